/* test_entropy.c: the bound of top_entropy_quantile is torch.quantile's float32 to the bit
 * (tests/oracle/trl/entropy.json), and so keeps as many tokens; whatever order they come in. */
#include <string.h>
#include "../support/support.h"
#include "../support/json_fixture.h"
#include "train/entropy.h"

enum { MAX = 128 };

static void check(const json_t *c, size_t index, bool reversed)
{
    double given[MAX], tops[MAX], bounds[MAX], kept[MAX];
    size_t n = json_fixture_doubles(given, MAX, c, "values"),
           m = json_fixture_doubles(tops, MAX, c, "top");
    assert_int_equal(json_fixture_doubles(bounds, MAX, c, "bound"), m);
    assert_int_equal(json_fixture_doubles(kept, MAX, c, "kept"), m);
    assert_true(m >= 16);
    for (size_t q = 0; q < m; q++) {
        float values[MAX];
        for (size_t i = 0; i < n; i++)
            values[i] = (float)given[reversed ? n - 1 - i : i];
        float bound = entropy_threshold(values, n, tops[q]), want = (float)bounds[q];
        if (memcmp(&bound, &want, sizeof bound) != 0)
            fail_msg("case %zu, top %g: %.9g, torch has %.9g", index, tops[q], (double)bound,
                     (double)want);
        size_t over = 0;
        for (size_t i = 0; i < n; i++)
            over += values[i] >= bound;
        assert_int_equal(over, (size_t)kept[q]);
    }
}

static void torch_quantile(void **state)
{
    (void)state;
    json_t *root = json_fixture("trl/entropy.json"), *c;
    size_t i;
    assert_int_equal(json_array_size(json_object_get(root, "cases")), 18);
    json_array_foreach(json_object_get(root, "cases"), i, c)
    {
        check(c, i, false);
        check(c, i, true);
    }
    json_decref(root);
}

/* Shapes that spoil a bad partition: sorted, backwards, all equal, two values, an organ pipe. */
static void shapes(void **state)
{
    (void)state;
    enum { N = 1001 };
    static float values[N];
    for (int shape = 0; shape < 5; shape++)
        for (int rank = 0; rank < N; rank += 50) {
            for (int i = 0; i < N; i++) {
                const int of[] = {i, N - 1 - i, 7, i % 2, i < N / 2 ? i : N - 1 - i};
                values[i] = (float)of[shape];
            }
            const int want[] = {rank, rank, 7, rank > N / 2, rank / 2};
            float bound = entropy_threshold(values, N, 1 - (double)rank / (N - 1));
            assert_true(bound > (float)want[shape] - 0.01f && bound < (float)want[shape] + 0.01f);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torch_quantile),
        cmocka_unit_test(shapes),
    };
    return cmocka_run_group_tests_name("entropy", tests, NULL, NULL);
}

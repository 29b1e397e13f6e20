/* test_rng.c: Philox against its published known answers, and the draws made from it. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "../support/support.h"
#include "base/rng.h"

/* The kat_vectors of Random123 (Salmon et al., SC 2011) for philox4x32-10. */
static void test_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t counter[4];
        memcpy(counter, vectors[i].counter, sizeof counter);
        rng_philox(counter, vectors[i].key);
        assert_memory_equal(counter, vectors[i].expected, sizeof counter);
    }
}

/* Every field of the key and the index matter; the same key and index give the same draw. */
static void test_fields(void **state)
{
    (void)state;
    const struct rng_key key = {.seed = 1,
                                .purpose = RNG_SAMPLE,
                                .step = 2,
                                .row = 3,
                                .epoch = 4,
                                .attempt = 5,
                                .sample = 6};
    struct rng_key other[7];
    for (int i = 0; i < 7; i++)
        other[i] = key;
    other[0].seed++;
    other[1].purpose = RNG_INIT;
    other[2].step++;
    other[3].row++;
    other[4].epoch++;
    other[5].attempt++;
    other[6].sample++;
    uint64_t draw = rng_bits(&key, 7);
    assert_true(draw == rng_bits(&key, 7));
    assert_true(draw != rng_bits(&key, 8));
    for (int i = 0; i < 7; i++)
        assert_true(draw != rng_bits(&other[i], 7));
    /* Swapping two fields is another stream, too. */
    struct rng_key swapped = key;
    swapped.step = key.row;
    swapped.row = key.step;
    assert_true(draw != rng_bits(&swapped, 7));
}

/* Bounds are five standard errors: a right generator fails once in a million keys, and ours is
 * fixed. */
static void test_moments(void **state)
{
    (void)state;
    enum { N = 100000 };
    const struct rng_key key = {.seed = 42, .purpose = RNG_INIT};
    double sum = 0, square = 0, normal = 0, normal_square = 0;
    int buckets[10] = {0};
    for (uint64_t i = 0; i < N; i++) {
        double u = rng_uniform(&key, i), z = rng_normal(&key, i);
        assert_true(u >= 0 && u < 1);
        sum += u;
        square += u * u;
        normal += z;
        normal_square += z * z;
        buckets[rng_below(&key, i, 10)]++;
    }
    double root = sqrt(N);
    assert_true(fabs(sum / N - 0.5) < 5 * sqrt(1.0 / 12) / root);
    assert_true(fabs(square / N - 1.0 / 3) < 5 * sqrt(4.0 / 45) / root);
    assert_true(fabs(normal / N) < 5 / root);
    assert_true(fabs(normal_square / N - 1) < 5 * sqrt(2) / root);
    for (int i = 0; i < 10; i++)
        assert_true(fabs(buckets[i] - N / 10.0) < 5 * sqrt(N * 0.1 * 0.9));
}

/* Many at once are the same as singly, whatever the key and wherever they start. */
static void test_many(void **state)
{
    (void)state;
    static const uint64_t starts[] = {0, 1, 1000, 0xFFFFFFF0u, UINT64_MAX - 50};
    const struct rng_key key = {3,          RNG_INIT,     .step = 4,  .row = 5,
                                .epoch = 6, .attempt = 7, .sample = 8};
    double many[50];
    for (size_t s = 0; s < sizeof starts / sizeof *starts; s++) {
        rng_uniforms(many, &key, starts[s], 50);
        for (uint64_t i = 0; i < 50; i++)
            assert_true(many[i] == rng_uniform(&key, starts[s] + i));
    }
    many[0] = -1;
    rng_uniforms(many, &key, 0, 0);
    assert_true(many[0] == -1);
}

static void test_below(void **state)
{
    (void)state;
    const struct rng_key key = {.seed = 1, .purpose = RNG_SPLIT};
    for (uint64_t i = 0; i < 1000; i++) {
        assert_true(rng_below(&key, i, 1) == 0);
        assert_true(rng_below(&key, i, 3) < 3);
        assert_true(rng_below(&key, i, UINT64_MAX) < UINT64_MAX);
    }
}

/* A permutation holds each item once; each item comes first about equally often. */
static void test_permutation(void **state)
{
    (void)state;
    enum { N = 7, ROUNDS = 7000 };
    int first[N] = {0};
    for (uint64_t round = 0; round < ROUNDS; round++) {
        const struct rng_key key = {.seed = 9, .purpose = RNG_SHUFFLE, .epoch = round};
        uint32_t order[N];
        rng_permutation(&key, order, N);
        unsigned seen = 0;
        for (int i = 0; i < N; i++) {
            assert_true(order[i] < N);
            seen |= 1u << order[i];
        }
        assert_int_equal(seen, (1u << N) - 1);
        first[order[0]]++;
    }
    for (int i = 0; i < N; i++)
        assert_true(fabs(first[i] - 1000.0) < 5 * sqrt(ROUNDS / 7.0 * 6 / 7));
    uint32_t one = 99;
    const struct rng_key key = {.seed = 9, .purpose = RNG_SHUFFLE};
    rng_permutation(&key, &one, 0);
    assert_int_equal(one, 99);
    rng_permutation(&key, &one, 1);
    assert_int_equal(one, 0);
}

static void test_id(void **state)
{
    (void)state;
    assert_true(rng_id("row-1", 5) == rng_id("row-1", 5));
    assert_true(rng_id("row-1", 5) != rng_id("row-2", 5));
    assert_true(rng_id("1", 1) != rng_id("1\0", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_adapter.c: a new adapter's values (PEFT's initialisation, drawn from seed and tensor name
 * alone), and saving and opening one without losing a bit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "../support/tiny.h"
#include "base/file.h"

enum { ALL = (1 << N_PROJECTIONS) - 1 };

static float *params_of(struct tiny *t, adapter *a)
{
    float *host = malloc(adapter_size(a) * sizeof *host);
    t->d->ops->download(t->d, host, adapter_params(a), adapter_size(a) * sizeof *host);
    return host;
}

static adapter *create(struct tiny *t, unsigned targets, int rank, uint64_t seed)
{
    struct err err = {0};
    adapter *a;
    struct peft_config config = {.r = rank, .lora_alpha = 32};
    for (int p = 0; p < N_PROJECTIONS; p++)
        config.targets[p] = targets >> p & 1;
    tiny_ok(adapter_create(&a, t->m, &config, seed, &err), &err);
    return a;
}

static size_t count(const struct adapter_tensor *x)
{
    return (size_t)x->rows * (size_t)x->cols;
}

/* A: uniform in ±1/√K (kaiming_uniform_ with a = √5): bounds, mean, variance 1/(3K), and how close
 * the extremes come to the bound. B: zero. */
static void test_initial_values(void **state)
{
    (void)state;
    struct tiny t;
    tiny_open(&t, "qwen3_tied", "c", PRECISION_F32, 1);
    adapter *a = create(&t, ALL, 16, 42);
    float *params = params_of(&t, a);
    int n;
    const struct adapter_tensor *tensors = adapter_tensors(a, &n);
    assert_int_equal(n, 2 * N_PROJECTIONS * model_config(t.m)->layers);
    size_t covered = 0;
    for (int i = 0; i < n; i++) {
        const float *x = params + tensors[i].offset;
        double bound = 1 / sqrt(tensors[i].cols), sum = 0, squares = 0, largest = 0;
        size_t size = count(&tensors[i]);
        assert_int_equal(tensors[i].offset, covered);
        covered += size;
        for (size_t j = 0; j < size; j++) {
            if (tensors[i].is_b)
                assert_true(x[j] == 0);
            sum += x[j];
            squares += (double)x[j] * x[j];
            largest = fabs(x[j]) > largest ? fabs(x[j]) : largest;
        }
        if (tensors[i].is_b)
            continue;
        double mean = sum / (double)size, sigma = bound / sqrt(3);
        assert_true(largest <= bound && largest > 0.97 * bound);
        /* 4.5 standard errors of the mean and of the second moment (kurtosis 9/5). */
        assert_true(fabs(mean) < 4.5 * sigma / sqrt((double)size));
        assert_true(fabs(squares / (double)size / (sigma * sigma) - 1) <
                    4.5 * sqrt(0.8 / (double)size));
    }
    assert_int_equal(covered, adapter_size(a));
    free(params);
    adapter_close(a);
    tiny_close(&t);
}

/* Bytes of every tensor of `a` against the same-named ones of `b`; how many were found and equal.
 */
static int equal_tensors(struct tiny *t, adapter *a, adapter *b)
{
    float *x = params_of(t, a), *y = params_of(t, b);
    int n, m, equal = 0;
    const struct adapter_tensor *ta = adapter_tensors(a, &n), *tb = adapter_tensors(b, &m);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++)
            equal += !ta[i].is_b && strcmp(ta[i].name, tb[j].name) == 0 &&
                     memcmp(x + ta[i].offset, y + tb[j].offset, count(&ta[i]) * sizeof *x) == 0;
    free(x);
    free(y);
    return equal;
}

static void test_drawn_from_seed_and_name(void **state)
{
    (void)state;
    struct tiny t;
    tiny_open(&t, "qwen3_tied", "c", PRECISION_F32, 1);
    int layers = model_config(t.m)->layers;
    adapter *a = create(&t, ALL, 4, 42), *again = create(&t, ALL, 4, 42);
    adapter *other = create(&t, ALL, 4, 43);
    adapter *two = create(&t, 1 << PROJ_V | 1 << PROJ_DOWN, 4, 42);
    assert_int_equal(equal_tensors(&t, a, again), N_PROJECTIONS * layers);
    assert_int_equal(equal_tensors(&t, a, other), 0);
    assert_int_equal(equal_tensors(&t, two, a), 2 * layers); /* other targets do not matter */
    int n;
    float *x = params_of(&t, a);
    const struct adapter_tensor *tensors = adapter_tensors(a, &n);
    for (int i = 0; i < n; i++) /* no two tensors alike */
        for (int j = 0; j < i; j++)
            if (!tensors[i].is_b && !tensors[j].is_b)
                assert_memory_not_equal(x + tensors[i].offset, x + tensors[j].offset, 64);
    free(x);
    adapter_close(a);
    adapter_close(again);
    adapter_close(other);
    adapter_close(two);
    tiny_close(&t);
}

/* Log-probabilities of the fixture's completions under an adapter. */
static void scores_of(struct tiny *t, adapter *a, float logp[][TINY_MAX_TOKENS])
{
    adapter *kept = t->a;
    t->a = a;
    tiny_score(t, 1.0f, logp, NULL);
    t->a = kept;
}

static void check_round_trip(const char *name, const char *isa, enum precision precision)
{
    static const struct {
        unsigned targets;
        int rank;
    } shapes[] = {{ALL, 5}, {1 << PROJ_Q, 1}, {1 << PROJ_GATE | 1 << PROJ_V, 16}};
    struct tiny t;
    struct err err = {0};
    tiny_open(&t, name, isa, precision, 1);
    float(*before)[TINY_MAX_TOKENS] = calloc(TINY_MAX_COMPLETIONS, sizeof *before);
    float(*after)[TINY_MAX_TOKENS] = calloc(TINY_MAX_COMPLETIONS, sizeof *after);
    for (int i = 0; i < 3; i++) {
        adapter *opened;
        char *folder = temp_folder(), path[512];
        char first[65], second[65];
        tiny_new_adapter(&t, shapes[i].targets, shapes[i].rank, false);
        tiny_ok(adapter_save(t.a, folder, &err), &err);
        snprintf(path, sizeof path, "%s/adapter_model.safetensors", folder);
        tiny_ok(sha256_file(first, path, &err), &err);
        tiny_ok(adapter_open(&opened, t.m, folder, &err), &err);
        assert_int_equal(adapter_size(opened), adapter_size(t.a));
        assert_int_equal(adapter_config(opened)->r, shapes[i].rank);
        assert_true(adapter_config(opened)->lora_alpha == 2 * shapes[i].rank);
        assert_memory_equal(adapter_config(opened)->targets, adapter_config(t.a)->targets,
                            sizeof adapter_config(t.a)->targets);
        float *x = params_of(&t, t.a), *y = params_of(&t, opened);
        assert_memory_equal(x, y, adapter_size(t.a) * sizeof *x);
        scores_of(&t, t.a, before);
        scores_of(&t, opened, after);
        assert_memory_equal(before, after, TINY_MAX_COMPLETIONS * sizeof *before);
        tiny_ok(adapter_save(opened, folder, &err), &err); /* and the same file again */
        tiny_ok(sha256_file(second, path, &err), &err);
        assert_string_equal(first, second);
        free(x);
        free(y);
        adapter_close(opened);
        temp_folder_remove(folder);
    }
    free(before);
    free(after);
    tiny_close(&t);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const char *const cases[] = {"qwen3_tied", "llama_untied", "qwen2_untied", NULL};
    tiny_each(cases, PRECISION_F32, check_round_trip);
    tiny_each(cases, PRECISION_BF16, check_round_trip);
}

/* The folder keeps how the branch is scaled: PEFT's rsLoRA adapter saved by us scores alike, and
 * with the plain scale it does not. */
static void test_rslora_round_trip(void **state)
{
    (void)state;
    struct tiny t;
    struct err err = {0};
    tiny_open(&t, "llama3_rslora", NULL, PRECISION_F32, 1);
    float(*before)[TINY_MAX_TOKENS] = calloc(TINY_MAX_COMPLETIONS, sizeof *before);
    float(*after)[TINY_MAX_TOKENS] = calloc(TINY_MAX_COMPLETIONS, sizeof *after);
    char *folder = temp_folder(), command[700];
    adapter *opened;
    scores_of(&t, t.a, before);
    tiny_ok(adapter_save(t.a, folder, &err), &err);
    for (int plain = 0; plain < 2; plain++) {
        tiny_ok(adapter_open(&opened, t.m, folder, &err), &err);
        assert_int_equal(adapter_config(opened)->use_rslora, !plain);
        scores_of(&t, opened, after);
        size_t bytes = TINY_MAX_COMPLETIONS * sizeof *before;
        assert_int_equal(memcmp(before, after, bytes) != 0, plain);
        adapter_close(opened);
        snprintf(command, sizeof command,
                 "sed -i 's/\"use_rslora\": true/\"use_rslora\": false/' '%s/adapter_config.json'",
                 folder);
        assert_int_equal(system(command), 0);
    }
    free(before);
    free(after);
    temp_folder_remove(folder);
    tiny_close(&t);
}

/* A new adapter (B = 0) is the bare model, bit for bit; without targets there is none. */
static void test_new_is_bare(void **state)
{
    (void)state;
    struct tiny t;
    struct err err = {0};
    tiny_open(&t, "llama_untied", NULL, PRECISION_BF16, 1);
    float(*bare)[TINY_MAX_TOKENS] = calloc(TINY_MAX_COMPLETIONS, sizeof *bare);
    float(*with)[TINY_MAX_TOKENS] = calloc(TINY_MAX_COMPLETIONS, sizeof *with);
    rollout *r;
    tiny_ok(rollout_create(&r, t.m, NULL, 2, 32, 32, &err), &err);
    for (int i = 0; i < t.n; i++) {
        const int *ids = t.ids[i];
        float *logp = bare[i];
        struct score_request q = {t.prompt, t.prompt_len, &ids, &t.len[i], 1, &logp, NULL};
        tiny_ok(rollout_score(r, NULL, 1.0, &q, &err), &err);
    }
    rollout_free(r);
    tiny_score(&t, 1.0f, with, NULL); /* the fixture's adapter does change things */
    assert_memory_not_equal(bare, with, TINY_MAX_COMPLETIONS * sizeof *bare);
    tiny_new_adapter(&t, ALL, 16, true);
    memset(with, 0, TINY_MAX_COMPLETIONS * sizeof *with);
    tiny_score(&t, 1.0f, with, NULL);
    assert_memory_equal(bare, with, TINY_MAX_COMPLETIONS * sizeof *bare);
    adapter *none;
    struct peft_config empty = {.r = 4, .lora_alpha = 8};
    assert_int_equal(adapter_create(&none, t.m, &empty, 1, &err), ERR_USAGE);
    assert_null(none);
    assert_string_equal(err.where, "target_modules");
    free(bare);
    free(with);
    tiny_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_initial_values), cmocka_unit_test(test_drawn_from_seed_and_name),
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_rslora_round_trip),
        cmocka_unit_test(test_new_is_bare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

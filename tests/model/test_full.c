/* test_full.c: training of all parameters. Gradients against PyTorch (tests/oracle/model, made by
 * make_full.py) on every instruction set: in f32 each tensor within 1e-5 relative L2, in bf16 all
 * of them together within 1.25 times PyTorch's own error. Then what must be equal bit for bit:
 * sequences in one batch, in several or alone, on one thread or two; the weights after a refresh
 * and those of the saved model. And what full_create and full_load promise. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "../support/tiny.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/full.h"

enum { MAX_ROWS = 700, MAX_SEQUENCES = 16 };

static const char *const cases[] = {"qwen3_tied", "qwen2_untied", "llama3_rslora", NULL};

/* A model of all parameters and its sequences, each cut into rows and targets. */
struct full_case {
    struct device *d;
    full_model *f;
    struct tensor_set model, expected;
    int n, rows, next_kv_row;
    struct attn_span spans[MAX_SEQUENCES];
    int ids[MAX_ROWS], positions[MAX_ROWS], kv_rows[MAX_ROWS], targets[MAX_ROWS];
    float weights[MAX_ROWS];
    struct kv_cache kv;
    activations *acts;
    float *hidden;
};

static void open_config(struct hf_config *config, struct tensor_set *set, const char *name)
{
    struct err err = {0};
    char path[512];
    snprintf(path, sizeof path, "tests/oracle/model/%s", name);
    tiny_ok(hf_config_open(config, path, NULL, 0, &err), &err);
    tiny_ok(safetensors_open_folder(set, path, &err), &err);
}

static void add_sequence(struct full_case *t, const int *ids, const float *weights, int n)
{
    assert_true(t->n < MAX_SEQUENCES && t->rows + n - 1 <= MAX_ROWS);
    int own_row = kv_own_row(t->next_kv_row, 0);
    t->spans[t->n++] = (struct attn_span){.q_row = t->rows, .n_q = n - 1, .own_row = own_row};
    t->next_kv_row = own_row + n - 1;
    for (int i = 0; i + 1 < n; i++, t->rows++) {
        t->ids[t->rows] = ids[i];
        t->targets[t->rows] = ids[i + 1];
        t->positions[t->rows] = i;
        t->kv_rows[t->rows] = own_row + i;
        t->weights[t->rows] = weights[i];
    }
}

static const struct tensor *expected(const struct full_case *t, const char *prefix,
                                     const char *name)
{
    char key[256];
    snprintf(key, sizeof key, "%s%s", prefix, name);
    const struct tensor *x = tensor_find(&t->expected, key);
    if (!x)
        fail_msg("the fixture has no tensor %s", key);
    return x;
}

static void read_sequences(struct full_case *t)
{
    for (int i = 0; i < 5; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        const struct tensor *ids = expected(t, "ids.", number);
        int host[MAX_ROWS];
        memcpy(host, ids->data, ids->size);
        add_sequence(t, host, expected(t, "weights.", number)->data, (int)tensor_count(ids));
    }
}

static void full_open(struct full_case *t, const char *name, const char *isa,
                      enum precision precision, int threads)
{
    struct err err = {0};
    struct hf_config config;
    char path[512];
    memset(t, 0, sizeof *t);
    struct device_options options = {.isa = isa, .precision = precision, .threads = threads};
    tiny_ok(device_open(&t->d, &options, &err), &err);
    open_config(&config, &t->model, name);
    tiny_ok(full_create(&t->f, t->d, &config, 0, 0.02, 1, &err), &err);
    tiny_ok(full_load(t->f, &t->model, &err), &err);
    snprintf(path, sizeof path, "tests/oracle/model/%s/full.safetensors", name);
    tiny_ok(safetensors_open(&t->expected, path, &err), &err);
    model *m = full_weights(t->f);
    tiny_ok(kv_cache_create(&t->kv, m, MAX_ROWS + MAX_SEQUENCES * KV_ALIGN, &err), &err);
    tiny_ok(activations_create(&t->acts, m, NULL, MAX_ROWS, &err), &err);
    t->hidden = t->d->ops->alloc(
        t->d, (size_t)MAX_ROWS * (size_t)config.hidden_size * sizeof *t->hidden, &err);
    read_sequences(t);
}

static void full_end(struct full_case *t)
{
    t->d->ops->free(t->d, t->hidden);
    activations_free(t->acts);
    kv_cache_free(&t->kv);
    full_close(t->f);
    tensor_set_close(&t->model);
    tensor_set_close(&t->expected);
    device_close(t->d);
}

/* Sequences [first, first + n) as one batch. */
static void batch_gradient(struct full_case *t, int first, int n, float *logp, float *grad)
{
    struct attn_span spans[MAX_SEQUENCES];
    int row = t->spans[first].q_row, rows = 0;
    for (int i = 0; i < n; i++) {
        spans[i] = t->spans[first + i];
        spans[i].q_row -= row;
        rows += spans[i].n_q;
    }
    struct batch batch = {rows, t->ids + row, t->positions + row, t->kv_rows + row, spans, n};
    full_gradient(t->f, &t->kv, t->acts, t->hidden, &batch, t->targets + row, t->weights + row,
                  logp + row, grad);
}

/* All sequences, `micro` at a time; the gradient on the host. */
static float *whole_gradient(struct full_case *t, int micro, float *logp)
{
    struct err err = {0};
    size_t bytes = full_floats(model_config(full_weights(t->f))) * sizeof(float);
    float *grad = t->d->ops->alloc(t->d, bytes, &err), *host = malloc(bytes);
    t->d->ops->zero(t->d, grad, bytes);
    for (int i = 0; i < t->n; i += micro)
        batch_gradient(t, i, t->n - i < micro ? t->n - i : micro, logp, grad);
    t->d->ops->download(t->d, host, grad, bytes);
    t->d->ops->free(t->d, grad);
    return host;
}

static size_t floats_of(const struct full_tensor *t)
{
    return (size_t)t->rows * (size_t)(t->cols ? t->cols : 1);
}

/* --- against PyTorch --- */

static void check_f32(const char *name, const char *isa, enum precision precision)
{
    struct full_case t;
    float logp[MAX_ROWS];
    int n;
    double worst = 0;
    full_open(&t, name, isa, precision, 2);
    float *gradient = whole_gradient(&t, 3, logp);
    for (int i = 0; i < t.n; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        double error = relative_l2(logp + t.spans[i].q_row, expected(&t, "logp.", number)->data,
                                   (size_t)t.spans[i].n_q);
        if (!(error <= 1e-5))
            fail_msg("%s/%s: log-probabilities of sequence %d are off by %.3g", name, isa, i,
                     error);
    }
    const struct full_tensor *tensors = full_tensors(t.f, &n);
    for (int i = 0; i < n; i++) {
        const struct tensor *want = expected(&t, "grad.", tensors[i].name);
        assert_int_equal(tensor_count(want), floats_of(&tensors[i]));
        double error =
            relative_l2(gradient + tensors[i].offset, want->data, floats_of(&tensors[i]));
        worst = error > worst ? error : worst;
        if (!(error <= 1e-5))
            fail_msg("%s/%s: %s is off by %.3g, allowed 1e-5", name, isa, tensors[i].name, error);
    }
    print_message("%s/%s: f32, worst of %d gradients %.2g\n", name, isa, n, worst);
    free(gradient);
    full_end(&t);
}

static void test_f32(void **state)
{
    (void)state;
    tiny_each(cases, PRECISION_F32, check_f32);
}

static void check_bf16(const char *name, const char *isa, enum precision precision)
{
    struct full_case t;
    float logp[MAX_ROWS];
    int n;
    double ours = 0, theirs = 0;
    full_open(&t, name, isa, precision, 2);
    float *gradient = whole_gradient(&t, 3, logp);
    const struct full_tensor *tensors = full_tensors(t.f, &n);
    for (int i = 0; i < n; i++) {
        const struct tensor *want = expected(&t, "round.grad.", tensors[i].name);
        const struct tensor *torch = expected(&t, "bf16.grad.", tensors[i].name);
        for (size_t j = 0; j < floats_of(&tensors[i]); j++) {
            double reference = (double)tensor_element(want, j);
            ours += pow((double)gradient[tensors[i].offset + j] - reference, 2);
            theirs += pow((double)tensor_element(torch, j) - reference, 2);
        }
    }
    print_message("%s/%s: bf16 gradient error, ours / PyTorch's: %.2f\n", name, isa,
                  sqrt(ours / theirs));
    if (!(sqrt(ours) <= 1.25 * sqrt(theirs)))
        fail_msg("%s/%s: the bf16 gradient is off by %.3g, PyTorch's by %.3g", name, isa,
                 sqrt(ours), sqrt(theirs));
    free(gradient);
    full_end(&t);
}

static void test_bf16(void **state)
{
    (void)state;
    static const char *const with_bf16[] = {"qwen2_untied", "llama3_rslora", NULL};
    tiny_each(with_bf16, PRECISION_BF16, check_bf16);
}

/* --- the same bits --- */

/* Eight sequences of ragged lengths: over 256 rows, and none too long for the models. */
static void ragged(struct full_case *t)
{
    static const int lengths[] = {7, 2, 121, 33, 128, 16, 100, 127};
    uint64_t words = (uint64_t)model_config(full_weights(t->f))->vocab_size;
    t->n = t->rows = 0;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct rng_key key = {.seed = 5, .purpose = RNG_SHUFFLE, .row = i};
        int ids[128];
        float weights[128];
        for (int j = 0; j < lengths[i]; j++) {
            ids[j] = (int)rng_below(&key, (uint64_t)j, words);
            weights[j] = (float)rng_normal(&key, (uint64_t)(1000 + j));
        }
        add_sequence(t, ids, weights, lengths[i]);
    }
}

static void check_same(const char *name, const char *isa, enum precision precision)
{
    static const struct {
        int micro, threads;
    } cuts[] = {{8, 1}, {1, 1}, {3, 1}, {8, 2}, {1, 2}, {5, 2}};
    float logp[2][MAX_ROWS], *gradient[2];
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct full_case t;
        full_open(&t, name, isa, precision, cuts[i].threads);
        ragged(&t);
        size_t n = full_floats(model_config(full_weights(t.f)));
        gradient[i > 0] = whole_gradient(&t, cuts[i].micro, logp[i > 0]);
        if (i) {
            assert_memory_equal(logp[1], logp[0], (size_t)t.rows * sizeof(float));
            for (size_t j = 0; j < n; j++)
                if (memcmp(&gradient[1][j], &gradient[0][j], sizeof(float)) != 0)
                    fail_msg("%s/%s: %d sequences a batch on %d threads: element %zu is %.9g, in "
                             "one batch on one thread %.9g",
                             name, isa, cuts[i].micro, cuts[i].threads, j, (double)gradient[1][j],
                             (double)gradient[0][j]);
            free(gradient[1]);
        }
        full_end(&t);
    }
    free(gradient[0]);
}

static void test_same_bits(void **state)
{
    (void)state;
    tiny_each(cases, PRECISION_F32, check_same);
    tiny_each(cases, PRECISION_BF16, check_same);
}

/* It adds: a second time gives twice the first (to rounding), not the first again. */
static void check_adds(const char *name, const char *isa, enum precision precision)
{
    struct full_case t;
    struct err err = {0};
    float logp[MAX_ROWS];
    full_open(&t, name, isa, precision, 2);
    size_t n = full_floats(model_config(full_weights(t.f))), bytes = n * sizeof(float);
    float *once = whole_gradient(&t, t.n, logp), *twice = malloc(bytes);
    float *grad = t.d->ops->alloc(t.d, bytes, &err);
    t.d->ops->upload(t.d, grad, once, bytes);
    /* Nothing is allocated by then: whole_gradient was the first call. */
    size_t calls = mem_stats().total_calls;
    batch_gradient(&t, 0, t.n, logp, grad);
    assert_int_equal(mem_stats().total_calls, calls);
    t.d->ops->download(t.d, twice, grad, bytes);
    for (size_t i = 0; i < n; i++)
        once[i] *= 2;
    assert_true(relative_l2(twice, once, n) < 1e-6);
    t.d->ops->free(t.d, grad);
    free(once);
    free(twice);
    full_end(&t);
}

static void test_adds(void **state)
{
    (void)state;
    tiny_each(cases, PRECISION_F32, check_adds);
    tiny_each(cases, PRECISION_BF16, check_adds);
}

/* --- weights from masters --- */

static float *logits_of(struct full_case *t, model *m)
{
    struct err err = {0};
    workspace *w;
    int vocab = model_config(m)->vocab_size;
    float *logits = malloc((size_t)t->rows * (size_t)vocab * sizeof *logits);
    struct batch batch = {t->rows, t->ids, t->positions, t->kv_rows, t->spans, t->n};
    tiny_ok(workspace_create(&w, m, NULL, t->rows, &err), &err);
    model_forward(m, NULL, &t->kv, w, t->hidden, &batch);
    t->d->ops->logits(t->d, logits, t->hidden, model_head(m), t->rows);
    workspace_free(w);
    return logits;
}

/* After an update and a refresh the weights are those of the saved model, bit for bit; a file in
 * bf16 holds the masters rounded to nearest even. */
static void check_refresh(const char *name, const char *isa, enum precision precision)
{
    struct full_case t;
    struct err err = {0};
    struct hf_config config;
    struct tensor_set unused = {0}, saved = {0}, half = {0};
    model *m;
    int n;
    full_open(&t, name, isa, precision, 2);
    open_config(&config, &unused, name);
    float *before = logits_of(&t, full_weights(t.f));
    t.d->ops->scale(t.d, full_params(t.f), 1.0625f, full_floats(&config));
    size_t calls = mem_stats().total_calls;
    full_refresh(t.f);
    assert_int_equal(mem_stats().total_calls, calls);
    char *folder = temp_folder();
    tiny_ok(full_save(t.f, folder, DTYPE_F32, &err), &err);
    tiny_ok(safetensors_open_folder(&saved, folder, &err), &err);
    tiny_ok(model_create(&m, t.d, &config, &saved, 0, &err), &err);
    size_t bytes = (size_t)t.rows * (size_t)config.vocab_size * sizeof(float);
    float *ours = logits_of(&t, full_weights(t.f)), *theirs = logits_of(&t, m);
    assert_memory_equal(ours, theirs, bytes);
    assert_memory_not_equal(ours, before, bytes);
    tiny_ok(full_save(t.f, folder, DTYPE_BF16, &err), &err);
    tiny_ok(safetensors_open_folder(&half, folder, &err), &err);
    const struct full_tensor *tensors = full_tensors(t.f, &n);
    assert_int_equal(half.count, n);
    for (int i = 0; i < n; i++) {
        const struct tensor *a = tensor_find(&saved, tensors[i].name);
        const struct tensor *b = tensor_find(&half, tensors[i].name);
        assert_int_equal(b->dtype, DTYPE_BF16);
        for (size_t j = 0; j < floats_of(&tensors[i]); j++)
            assert_true(tensor_element(b, j) ==
                        bf16_to_float(bf16_from_float(tensor_element(a, j))));
    }
    free(before);
    free(ours);
    free(theirs);
    model_close(m);
    tensor_set_close(&unused);
    tensor_set_close(&saved);
    tensor_set_close(&half);
    temp_folder_remove(folder);
    full_end(&t);
}

static void test_refresh(void **state)
{
    (void)state;
    tiny_each(cases, PRECISION_F32, check_refresh);
    tiny_each(cases, PRECISION_BF16, check_refresh);
}

/* Matrices N(0, std²) that depend on seed and name, gains 1, biases 0; matrices alone decay. */
static void test_create(void **state)
{
    (void)state;
    for (int c = 0; cases[c]; c++) {
        struct device *d;
        struct err err = {0};
        struct device_options options = {.precision = PRECISION_F32, .threads = 2};
        struct hf_config config;
        struct tensor_set set = {0};
        full_model *f[3];
        float *host[3];
        int n;
        tiny_ok(device_open(&d, &options, &err), &err);
        open_config(&config, &set, cases[c]);
        size_t floats = full_floats(&config), total = 0;
        for (int i = 0; i < 3; i++) {
            tiny_ok(full_create(&f[i], d, &config, 0, 0.05, i == 2 ? 8 : 7, &err), &err);
            host[i] = malloc(floats * sizeof(float));
            d->ops->download(d, host[i], full_params(f[i]), floats * sizeof(float));
        }
        assert_memory_equal(host[0], host[1], floats * sizeof(float));
        const struct full_tensor *tensors = full_tensors(f[0], &n);
        assert_int_equal(n, set.count); /* of the file transformers wrote */
        for (int i = 0; i < n; i++) {
            const struct full_tensor *t = &tensors[i];
            const float *x = host[0] + t->offset, *y = host[2] + t->offset;
            size_t size = floats_of(t);
            double squares = 0, sum = 0, shared = 0;
            assert_int_equal(t->offset, total);
            assert_non_null(tensor_find(&set, t->name));
            assert_true(t->decays == (t->cols > 0));
            total += size;
            for (size_t j = 0; j < size; j++) {
                sum += x[j];
                squares += (double)x[j] * x[j];
                shared += (double)x[j] * y[j];
                if (!t->cols)
                    assert_true(x[j] == (strstr(t->name, "norm") ? 1.0f : 0.0f));
            }
            if (!t->cols)
                continue;
            double five_sigma = 5 / sqrt((double)size);
            assert_true(fabs(sqrt(squares / (double)size) / 0.05 - 1) < five_sigma);
            assert_true(fabs(sum / (double)size) < five_sigma * 0.05);
            assert_true(fabs(shared / (double)size) < five_sigma * 0.05 * 0.05);
        }
        assert_int_equal(total, floats);
        assert_int_equal(full_bytes(d, &config, 16),
                         floats * sizeof(float) + model_weight_bytes(d, &config, 16));
        for (int i = 0; i < 3; i++) {
            full_close(f[i]);
            free(host[i]);
        }
        assert_int_equal(full_create(&f[0], d, &config, 0, NAN, 1, &err), ERR_USAGE);
        tensor_set_close(&set);
        device_close(d);
    }
}

/* Each fault by name, and the masters stay as they were. */
static void test_load_errors(void **state)
{
    (void)state;
    struct full_case t;
    struct err err = {0};
    float nan = NAN, logp[MAX_ROWS];
    full_open(&t, "qwen3_tied", NULL, PRECISION_F32, 1);
    float *before = whole_gradient(&t, 2, logp);
    struct tensor *norm = (struct tensor *)(uintptr_t)tensor_find(&t.model, "model.norm.weight");
    struct tensor keep = *norm;

    norm->shape[0]--;
    assert_int_equal(full_load(t.f, &t.model, &err), ERR_INPUT);
    assert_string_equal(err.where, "model.norm.weight");
    *norm = keep;
    float *values = malloc(keep.size);
    memcpy(values, keep.data, keep.size);
    values[3] = nan;
    norm->data = values;
    assert_int_equal(full_load(t.f, &t.model, &err), ERR_INPUT);
    assert_string_equal(err.where, "model.norm.weight");
    assert_non_null(strstr(err.message, "NaN"));
    *norm = keep;
    t.model.count--; /* the last one is not there */
    struct map index = t.model.index;
    t.model.index = (struct map){0};
    for (size_t i = 0; i < t.model.count; i++)
        assert_true(map_put(&t.model.index, t.model.tensors[i].name,
                            strlen(t.model.tensors[i].name), (int32_t)i));
    assert_int_equal(full_load(t.f, &t.model, &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "missing"));
    map_free(&t.model.index);
    t.model.index = index;
    t.model.count++;

    struct hf_config shallow; /* a tensor more than a model of two layers needs */
    struct tensor_set unused = {0};
    full_model *smaller;
    open_config(&shallow, &unused, "qwen3_tied");
    shallow.layers = 2;
    tiny_ok(full_create(&smaller, t.d, &shallow, 0, 0.02, 1, &err), &err);
    assert_int_equal(full_load(smaller, &t.model, &err), ERR_INPUT);
    assert_non_null(strstr(err.where, "model.layers.2."));
    full_close(smaller);
    tensor_set_close(&unused);

    float *after = whole_gradient(&t, 2, logp);
    assert_memory_equal(before, after,
                        full_floats(model_config(full_weights(t.f))) * sizeof(float));
    free(before);
    free(after);
    free(values);
    full_end(&t);
}

/* The n-th allocation fails, for every n: an error of the machine, and nothing is lost. */
static int make_load_save(struct device *d, const struct hf_config *c, const struct tensor_set *set,
                          const char *folder)
{
    struct err err = {0};
    full_model *f;
    int status = full_create(&f, d, c, 0, 0.02, 1, &err);
    if (!status)
        status = full_load(f, set, &err);
    if (!status)
        status = full_save(f, folder, DTYPE_BF16, &err);
    assert_true(!status || (err.code == ERR_MACHINE && err.message[0]));
    full_close(f);
    return status;
}

static void test_no_memory(void **state)
{
    (void)state;
    struct device *d;
    struct err err = {0};
    struct device_options options = {.precision = PRECISION_BF16, .threads = 1};
    struct hf_config config;
    struct tensor_set set = {0};
    tiny_ok(device_open(&d, &options, &err), &err);
    open_config(&config, &set, "qwen2_untied");
    char *folder = temp_folder();
    size_t live = mem_stats().live_blocks;
    int failures = 0;
    for (;; failures++) {
        mem_fail_after(failures);
        int status = make_load_save(d, &config, &set, folder);
        mem_fail_after(-1);
        assert_int_equal(mem_stats().live_blocks, live);
        if (!status)
            break;
    }
    assert_true(failures > 50);
    temp_folder_remove(folder);
    tensor_set_close(&set);
    device_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32),         cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_same_bits),   cmocka_unit_test(test_adds),
        cmocka_unit_test(test_refresh),     cmocka_unit_test(test_create),
        cmocka_unit_test(test_load_errors), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

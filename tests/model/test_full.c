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
#include "model/full.h"

enum { MAX_ROWS = 700, MAX_SEQUENCES = 16 };

static const char *const cases[] = {"qwen3_tied", "qwen2_untied", "llama3_rslora", NULL};

/* A model of all parameters and its sequences, each cut into rows and targets. */
struct full_case {
    struct device *d;
    full_model *f;
    struct tensor_set model, expected;
    int n, rows;
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
    t->spans[t->n++] = (struct attn_span){.q_row = t->rows, .n_q = n - 1, .own_row = t->rows};
    for (int i = 0; i + 1 < n; i++, t->rows++) {
        t->ids[t->rows] = ids[i];
        t->targets[t->rows] = ids[i + 1];
        t->positions[t->rows] = i;
        t->kv_rows[t->rows] = t->rows;
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
    tiny_ok(kv_cache_create(&t->kv, m, MAX_ROWS, &err), &err);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32),
        cmocka_unit_test(test_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

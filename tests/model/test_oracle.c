/* test_oracle.c: tiny Qwen3, Qwen2 and Llama models (one with Llama 3's rope scaling and an rsLoRA
 * adapter) against PyTorch (tests/oracle/model). In f32: logits, log-probabilities, entropies and
 * every LoRA gradient within 1e-5 relative L2. In bf16: our error against float32 arithmetic is at
 * most 1.25 times PyTorch's own. On every instruction set. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "../support/tiny.h"

static const char *const cases[] = {"qwen3_tied", "llama_untied", "llama_tied", "llama3_rslora",
                                    "qwen2_untied"};
static const float temperature = 0.9f;

/* Calls check for each case and each instruction set this machine has. */
static void each(void (*check)(struct tiny *t, const char *label), enum precision precision)
{
    for (const char *const *isa = device_isa_names(); *isa; isa++) {
        if (!device_isa_available(*isa)) {
            print_message("not run here: %s\n", *isa);
            continue;
        }
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct tiny t;
            char label[64];
            snprintf(label, sizeof label, "%s/%s", cases[i], *isa);
            tiny_open(&t, cases[i], *isa, precision, 2);
            check(&t, label);
            tiny_close(&t);
        }
    }
}

static void within(double error, double bound, const char *label, const char *what)
{
    if (!(error <= bound))
        fail_msg("%s: %s is off by %.3g, allowed %.3g", label, what, error, bound);
}

static void check_logits(struct tiny *t, const char *label)
{
    struct err err = {0};
    int n = t->prompt_len + t->len[0], vocab = model_config(t->m)->vocab_size;
    int ids[64], positions[64];
    for (int i = 0; i < n; i++) {
        ids[i] = i < t->prompt_len ? t->prompt[i] : t->ids[0][i - t->prompt_len];
        positions[i] = i;
    }
    struct kv_cache kv;
    workspace *w;
    assert_int_equal(kv_cache_create(&kv, t->m, n, &err), 0);
    assert_int_equal(workspace_create(&w, t->m, adapter_config(t->a), n, &err), 0);
    struct attn_span span = {0, n, 0, 0, 0, 0};
    struct batch batch = {n, ids, positions, positions, &span, 1};
    size_t floats = (size_t)n * (size_t)vocab;
    float *hidden = malloc((size_t)n * (size_t)model_config(t->m)->hidden_size * sizeof *hidden);
    float *logits = malloc(floats * sizeof *logits);
    model_forward(t->m, t->a, &kv, w, hidden, &batch);
    t->d->ops->logits(t->d, logits, hidden, model_head(t->m), n);
    within(relative_l2(logits, tiny_expected(t, "logits", floats), floats), 1e-5, label, "logits");
    free(hidden);
    free(logits);
    workspace_free(w);
    kv_cache_free(&kv);
}

/* The relative L2 distance of all tensors PREFIXgrad.* to ours or to another prefix's. */
static void check_f32(struct tiny *t, const char *label)
{
    check_logits(t, label);
    float logp[TINY_MAX_COMPLETIONS][TINY_MAX_TOKENS],
        entropy[TINY_MAX_COMPLETIONS][TINY_MAX_TOKENS];
    float *gradient = malloc(adapter_size(t->a) * sizeof *gradient);
    tiny_gradient(t, 2, temperature, logp, gradient);
    char name[200];
    for (int i = 0; i < t->n; i++) {
        snprintf(name, sizeof name, "logp.%d", i);
        within(relative_l2(logp[i], tiny_expected(t, name, (size_t)t->len[i]), (size_t)t->len[i]),
               1e-5, label, name);
    }
    tiny_score(t, temperature, logp, entropy);
    for (int i = 0; i < t->n; i++) {
        snprintf(name, sizeof name, "entropy.%d", i);
        within(
            relative_l2(entropy[i], tiny_expected(t, name, (size_t)t->len[i]), (size_t)t->len[i]),
            1e-5, label, name);
    }
    int n;
    double worst = 0;
    const struct adapter_tensor *tensors = adapter_tensors(t->a, &n);
    for (int i = 0; i < n; i++) {
        size_t size = (size_t)tensors[i].rows * (size_t)tensors[i].cols;
        snprintf(name, sizeof name, "grad.%s", tensors[i].name);
        double error =
            relative_l2(gradient + tensors[i].offset, tiny_expected(t, name, size), size);
        worst = error > worst ? error : worst;
        within(error, 1e-5, label, name);
    }
    print_message("%s: f32, worst gradient %.2g\n", label, worst);
    free(gradient);
}

static void test_f32(void **state)
{
    (void)state;
    each(check_f32, PRECISION_F32);
}

/* One tensor at a time would compare noise with noise where PyTorch happens to be lucky; the rule
 * is about the whole gradient, and about each tensor with a factor that covers such luck. */
static void check_bf16(struct tiny *t, const char *label)
{
    float logp[TINY_MAX_COMPLETIONS][TINY_MAX_TOKENS];
    float *gradient = malloc(adapter_size(t->a) * sizeof *gradient);
    tiny_gradient(t, 4, temperature, logp, gradient);
    int n;
    const struct adapter_tensor *tensors = adapter_tensors(t->a, &n);
    double ours = 0, theirs = 0;
    char name[200];
    for (int i = 0; i < n; i++) {
        size_t size = (size_t)tensors[i].rows * (size_t)tensors[i].cols;
        snprintf(name, sizeof name, "round.grad.%s", tensors[i].name);
        const float *reference = tiny_expected(t, name, size);
        snprintf(name, sizeof name, "bf16.grad.%s", tensors[i].name);
        const float *torch = tiny_expected(t, name, size);
        for (size_t j = 0; j < size; j++) {
            double a = (double)gradient[tensors[i].offset + j] - reference[j];
            double b = (double)torch[j] - reference[j];
            ours += a * a;
            theirs += b * b;
        }
    }
    print_message("%s: bf16 gradient error, ours / PyTorch's: %.2f\n", label, sqrt(ours / theirs));
    within(sqrt(ours), 1.25 * sqrt(theirs), label, "bf16 gradient");
    ours = theirs = 0;
    for (int i = 0; i < t->n; i++) {
        size_t size = (size_t)t->len[i];
        snprintf(name, sizeof name, "round.logp.%d", i);
        const float *reference = tiny_expected(t, name, size);
        snprintf(name, sizeof name, "bf16.logp.%d", i);
        const float *torch = tiny_expected(t, name, size);
        for (size_t j = 0; j < size; j++) {
            ours += pow((double)logp[i][j] - reference[j], 2);
            theirs += pow((double)torch[j] - reference[j], 2);
        }
    }
    print_message("%s: bf16 log-prob error, ours / PyTorch's: %.2f\n", label, sqrt(ours / theirs));
    within(sqrt(ours), 1.25 * sqrt(theirs), label, "bf16 log-probabilities");
    free(gradient);
}

static void test_bf16(void **state)
{
    (void)state;
    each(check_bf16, PRECISION_BF16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32),
        cmocka_unit_test(test_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_gradient.c: the whole model's gradient against finite differences of its own forward pass,
 * in f32, for several sets of adapted projections and ranks; and what must be exactly zero or
 * equal.
 *
 * The derivative of L = Σ weight·logp along a direction v is taken by the fourth-order rule
 *     (8·(L(h) − L(−h)) − (L(2h) − L(−2h))) / 12h,   L(x) = L at parameters p + x·v,
 * whose truncation error is of order h⁴ and whose rounding error is that of L times 1.5 / h. L sums
 * 24 log-probabilities, each computed in f32. Over the 1,801 derivatives here, h = 1/32, 1/64,
 * 1/128 give rounding errors up to 1.3e-4, 2.5e-4, 4.7e-4 (|v| = 1: derivatives are of size 0.1 to
 * 100) and relative truncation errors up to 4e-3, 4e-4 and unseen: h = 1/64, and a tolerance of
 * 1e-3 + 1e-3·|derivative|. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "../support/tiny.h"

static const double step = 1.0 / 64;

static const char *best_isa(void)
{
    const char *const *isa = device_isa_names();
    while (!device_isa_available(*isa))
        isa++;
    return *isa;
}

struct point { /* an adapter's parameters on the host */
    size_t n;
    float *params, *gradient, *moved;
    float (*logp)[TINY_MAX_TOKENS];
};

static void point_open(struct point *p, struct tiny *t)
{
    p->n = adapter_size(t->a);
    p->params = malloc(p->n * sizeof(float));
    p->gradient = malloc(p->n * sizeof(float));
    p->moved = malloc(p->n * sizeof(float));
    p->logp = malloc(TINY_MAX_COMPLETIONS * sizeof *p->logp);
    t->d->ops->download(t->d, p->params, adapter_params(t->a), p->n * sizeof(float));
    tiny_gradient(t, 3, 1.0f, p->logp, p->gradient);
}

static void point_close(struct point *p)
{
    free(p->params);
    free(p->gradient);
    free(p->moved);
    free(p->logp);
}

static void set_params(struct tiny *t, const float *params)
{
    t->d->ops->upload(t->d, adapter_params(t->a), params, adapter_size(t->a) * sizeof(float));
    adapter_refresh(t->a);
}

static double loss_at(struct tiny *t, struct point *p, const double *direction, double h)
{
    for (size_t i = 0; i < p->n; i++)
        p->moved[i] = (float)(p->params[i] + h * direction[i]);
    set_params(t, p->moved);
    tiny_gradient(t, 3, 1.0f, p->logp, NULL);
    double loss = 0;
    for (int i = 0; i < t->n; i++)
        for (int j = 0; j < t->len[i]; j++)
            loss += (double)t->weights[i][j] * p->logp[i][j];
    return loss;
}

static void compare(struct tiny *t, struct point *p, double *direction, const char *label)
{
    double norm = 0, expected = 0;
    for (size_t i = 0; i < p->n; i++)
        norm += direction[i] * direction[i];
    for (size_t i = 0; i < p->n; i++) {
        direction[i] /= sqrt(norm);
        expected += direction[i] * p->gradient[i];
    }
    double near = loss_at(t, p, direction, step) - loss_at(t, p, direction, -step);
    double far = loss_at(t, p, direction, 2 * step) - loss_at(t, p, direction, -2 * step);
    double found = (8 * near - far) / (12 * step);
    if (!(fabs(found - expected) <= 1e-3 + 1e-3 * fabs(expected)))
        fail_msg("%s: finite difference %.6f, gradient %.6f", label, found, expected);
}

/* Each tensor along a random direction and along its own gradient, and one parameter of it. */
static void check_tensors(struct tiny *t, const char *label)
{
    struct point p;
    int n;
    point_open(&p, t);
    const struct adapter_tensor *tensors = adapter_tensors(t->a, &n);
    double *direction = malloc(p.n * sizeof *direction);
    for (int i = 0; i < n; i++) {
        size_t from = tensors[i].offset;
        size_t size = (size_t)tensors[i].rows * (size_t)tensors[i].cols, largest = from;
        char name[300];
        snprintf(name, sizeof name, "%s: %s", label, tensors[i].name);
        for (int kind = 0; kind < 3; kind++) {
            struct rng_key key = {.seed = 17, .purpose = RNG_SHUFFLE, .row = (uint64_t)i};
            memset(direction, 0, p.n * sizeof *direction);
            for (size_t j = from; j < from + size; j++) {
                if (kind < 2)
                    direction[j] = kind ? p.gradient[j] : rng_normal(&key, j);
                if (fabsf(p.gradient[j]) > fabsf(p.gradient[largest]))
                    largest = j;
            }
            direction[largest] = kind == 2 ? 1 : direction[largest];
            compare(t, &p, direction, name);
        }
    }
    set_params(t, p.params);
    free(direction);
    point_close(&p);
}

#define BIT(p) (1u << PROJ_##p)

static const struct {
    const char *label;
    unsigned targets;
    int rank;
} sets[] = {
    {"q", BIT(Q), 3},
    {"k", BIT(K), 1},
    {"v", BIT(V), 16},
    {"o", BIT(O), 3},
    {"down", BIT(DOWN), 1},
    {"gate+v", BIT(GATE) | BIT(V), 3},
    {"up+k", BIT(UP) | BIT(K), 16},
    {"all", (1u << N_PROJECTIONS) - 1, 3},
    {"all", (1u << N_PROJECTIONS) - 1, 1},
    {"all", (1u << N_PROJECTIONS) - 1, 16},
};

static void check_set(const char *name, const char *isa, size_t set)
{
    struct tiny t;
    char label[80];
    tiny_open(&t, name, isa, PRECISION_F32, 1);
    tiny_new_adapter(&t, sets[set].targets, sets[set].rank, false);
    snprintf(label, sizeof label, "%s/%s/%s/r %d", name, isa, sets[set].label, sets[set].rank);
    check_tensors(&t, label);
    tiny_close(&t);
}

/* Every set on the best instruction set, one on plain C: the others are compared with PyTorch in
 * test_oracle.c. */
static void test_finite_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        check_set("qwen3_tied", best_isa(), i);
        check_set("llama_untied", best_isa(), i);
    }
    check_set("qwen3_tied", "c", 7);
}

/* B = 0: the branch gives nothing, so nothing reaches A: dA is exactly zero, dB is not. */
static void check_zero_b(const char *name, const char *isa, enum precision precision)
{
    struct tiny t;
    struct point p;
    int n;
    tiny_open(&t, name, isa, precision, 1);
    tiny_new_adapter(&t, (1u << N_PROJECTIONS) - 1, 4, true);
    point_open(&p, &t);
    const struct adapter_tensor *tensors = adapter_tensors(t.a, &n);
    for (int i = 0; i < n; i++) {
        size_t size = (size_t)tensors[i].rows * (size_t)tensors[i].cols, zeros = 0;
        for (size_t j = 0; j < size; j++)
            zeros += p.gradient[tensors[i].offset + j] == 0;
        if (tensors[i].is_b ? zeros == size : zeros != size)
            fail_msg("%s/%s: %s: %zu of %zu gradients are zero", name, isa, tensors[i].name, zeros,
                     size);
    }
    point_close(&p);
    tiny_close(&t);
}

static const char *const cases[] = {"qwen3_tied", "llama_untied", "qwen2_untied", NULL};

static void test_zero_b(void **state)
{
    (void)state;
    tiny_each(cases, PRECISION_F32, check_zero_b);
    tiny_each(cases, PRECISION_BF16, check_zero_b);
}

/* Copies the tensors `of` has, by name, into a block laid out as `in`; the rest stays zero. */
static float *embed(const adapter *in, const adapter *of, const float *values)
{
    int n, m;
    const struct adapter_tensor *to = adapter_tensors(in, &n), *from = adapter_tensors(of, &m);
    float *all = calloc(adapter_size(in), sizeof *all);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++)
            if (strcmp(to[i].name, from[j].name) == 0)
                memcpy(all + to[i].offset, values + from[j].offset,
                       (size_t)to[i].rows * (size_t)to[i].cols * sizeof *all);
    return all;
}

/* A branch of zeros changes nothing: an adapter of some projections gives the same numbers as one
 * of all seven whose other matrices are zero; and those others' gradients are zero (A and B zero).
 */
static void check_embedding(const char *name, const char *isa, enum precision precision)
{
    struct tiny t, all;
    struct point p, q;
    for (size_t s = 0; s < 7; s++) {
        tiny_open(&t, name, isa, precision, 1);
        tiny_open(&all, name, isa, precision, 1);
        tiny_new_adapter(&t, sets[s].targets, sets[s].rank, false);
        tiny_new_adapter(&all, (1u << N_PROJECTIONS) - 1, sets[s].rank, false);
        point_open(&p, &t);
        float *params = embed(all.a, t.a, p.params);
        set_params(&all, params);
        point_open(&q, &all);
        for (int i = 0; i < t.n; i++)
            for (int j = 0; j < t.len[i]; j++)
                assert_true(p.logp[i][j] == q.logp[i][j]);
        float *gradient = embed(all.a, t.a, p.gradient);
        for (size_t i = 0; i < q.n; i++)
            assert_true(gradient[i] == q.gradient[i]);
        free(params);
        free(gradient);
        point_close(&p);
        point_close(&q);
        tiny_close(&t);
        tiny_close(&all);
    }
}

static void test_targets_alone(void **state)
{
    (void)state;
    tiny_each(cases, PRECISION_F32, check_embedding);
    tiny_each(cases, PRECISION_BF16, check_embedding);
}

/* Only the top layer's matrices are non-zero: its gradient is right, the layers below get none. */
static void test_top_layer(void **state)
{
    (void)state;
    struct tiny t;
    int n;
    tiny_open(&t, "qwen3_tied", best_isa(), PRECISION_F32, 1);
    tiny_new_adapter(&t, (1u << N_PROJECTIONS) - 1, 3, false);
    size_t size = adapter_size(t.a);
    int top = model_config(t.m)->layers - 1;
    float *params = malloc(size * sizeof *params), *gradient = malloc(size * sizeof *gradient);
    t.d->ops->download(t.d, params, adapter_params(t.a), size * sizeof *params);
    const struct adapter_tensor *tensors = adapter_tensors(t.a, &n);
    for (int i = 0; i < n; i++)
        if (tensors[i].layer < top)
            memset(params + tensors[i].offset, 0,
                   (size_t)tensors[i].rows * (size_t)tensors[i].cols * sizeof *params);
    set_params(&t, params);
    struct point p;
    point_open(&p, &t);
    double *direction = calloc(size, sizeof *direction);
    for (int i = 0; i < n; i++) {
        size_t count = (size_t)tensors[i].rows * (size_t)tensors[i].cols;
        for (size_t j = tensors[i].offset; j < tensors[i].offset + count; j++) {
            if (tensors[i].layer < top)
                assert_true(p.gradient[j] == 0);
            else
                direction[j] = p.gradient[j];
        }
    }
    compare(&t, &p, direction, "top layer");
    free(direction);
    point_close(&p);
    free(params);
    free(gradient);
    tiny_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finite_differences),
        cmocka_unit_test(test_zero_b),
        cmocka_unit_test(test_targets_alone),
        cmocka_unit_test(test_top_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

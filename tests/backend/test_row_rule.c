/* test_row_rule.c: the row rule, with ==. The arithmetic of a row depends only on the row: on every
 * instruction set of this machine, in both precisions, on 1 and 2 threads. Each way in which the
 * rule gets lost has a test of its name.
 *
 * The pattern: MAX rows at once are the truth, the same on two threads and on one; then every R
 * from 1 to MAX, taken from the end of the batch, so that a row meets each place of a block, must
 * give the same bits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/rig.h"

enum { MAX = 130 };

/* An operation on rows first … first + R of prepared inputs, results to out + first rows. */
typedef void (*row_operation)(struct rig *g, void *inputs, float *out, int first, int R);

/* Results (MAX, width); every step-th R (or sweep_step's), on one thread every fifth of those. */
static void check_rows(struct rig *g, row_operation run, void *inputs, int width, int step)
{
    size_t n = (size_t)MAX * (size_t)width;
    float *all = rig_host(g, n * sizeof *all), *some = rig_host(g, n * sizeof *some);
    run(g, inputs, all, 0, MAX);
    rig_same_on_threads(g, "all rows", all, n * sizeof *all);
    step = sweep_step(g->d->threads == 1 ? 5 * step : step);
    for (int R = 1; R <= MAX; R += step) {
        size_t first = (size_t)(MAX - R) * (size_t)width;
        char what[60];
        snprintf(what, sizeof what, "%d rows", R);
        memset(some, 0, n * sizeof *some);
        run(g, inputs, some, MAX - R, R);
        rig_same(g, what, some + first, all + first, (size_t)(R * width) * sizeof *some);
    }
}

/* --- linear --- */

enum { N = 49, K = 37, RANK = 7 };

struct linear_inputs {
    struct linear l;
    float *x, *y, *u, *before;
};

static void run_linear(struct rig *g, void *inputs, float *out, int first, int R)
{
    struct linear_inputs *t = inputs;
    size_t at = (size_t)first * N;
    g->ops->upload(g->d, t->y, t->before, MAX * N * sizeof *t->y);
    g->ops->linear(g->d, t->y + at, t->u, t->x + first * K, &t->l, R, t->before ? t->y + at : NULL);
    g->ops->download(g->d, out + at, t->y + at, (size_t)(R * N) * sizeof *out);
}

static struct linear linear_of(struct rig *g, bool branch)
{
    return (struct linear){
        .w = rig_weight(g, rig_random(g, N * K, 1, 1), N, K),
        .bias = branch ? rig_put(g, rig_random(g, N, 2, 1), N) : NULL,
        .lora_a = branch ? rig_weight(g, rig_random(g, RANK * K, 3, 1), RANK, K) : NULL,
        .lora_b = branch ? rig_weight(g, rig_random(g, N * RANK, 4, 1), N, RANK) : NULL,
        .lora_scale = 1.7f,
        .n = N,
        .k = K,
        .rank = branch ? RANK : 0};
}

static void check_linear(struct rig *g)
{
    for (int branch = 0; branch < 2; branch++) {
        struct linear_inputs t = {.l = linear_of(g, branch),
                                  .x = rig_put(g, rig_random(g, MAX * K, 5, 1), MAX * K),
                                  .y = rig_room(g, MAX * N),
                                  .u = branch ? rig_room(g, MAX * RANK) : NULL,
                                  .before = rig_random(g, MAX * N, 6, 1)};
        g->label = branch ? "linear with branch" : "linear";
        check_rows(g, run_linear, &t, N, 1);
        rig_clear(g);
    }
}

/* "A matrix–vector shortcut for M = 1": the longest inner dimension of the kernels' blocks. */
static void check_one_row(struct rig *g)
{
    enum { LONG = 600, OUT = 48, ROWS = 5 };
    struct linear l = {
        .w = rig_weight(g, rig_random(g, OUT * LONG, 1, 1), OUT, LONG), .n = OUT, .k = LONG};
    float *x = rig_put(g, rig_random(g, ROWS * LONG, 2, 1), ROWS * LONG);
    float *y = rig_room(g, ROWS * OUT), *one = rig_room(g, OUT);
    g->label = "one row";
    g->ops->linear(g->d, y, NULL, x, &l, ROWS, NULL);
    float *all = rig_get(g, y, ROWS * OUT);
    for (int r = 0; r < ROWS; r++) {
        g->ops->linear(g->d, one, NULL, x + r * LONG, &l, 1, NULL);
        rig_same(g, "y", rig_get(g, one, OUT), all + r * OUT, OUT * sizeof *all);
    }
    rig_clear(g);
}

struct linear_backward_inputs {
    struct linear l;
    float *dy, *dx, *du;
};

static void run_linear_backward(struct rig *g, void *inputs, float *out, int first, int R)
{
    struct linear_backward_inputs *t = inputs;
    g->ops->linear_backward(g->d, t->dx, t->du, t->dy + first * N, &t->l, R, false);
    g->ops->download(g->d, out + first * K, t->dx, (size_t)(R * K) * sizeof *out);
}

static void check_linear_backward(struct rig *g)
{
    struct linear_backward_inputs t = {.l = linear_of(g, true),
                                       .dy = rig_put(g, rig_random(g, MAX * N, 5, 1), MAX * N),
                                       .dx = rig_room(g, MAX * K),
                                       .du = rig_room(g, MAX * RANK)};
    g->label = "linear_backward";
    check_rows(g, run_linear_backward, &t, K, 1);
    rig_clear(g);
}

/* --- norm, SwiGLU --- */

struct norm_inputs {
    float *x, *gain, *y, *inv;
};

static void run_rmsnorm(struct rig *g, void *inputs, float *out, int first, int R)
{
    struct norm_inputs *t = inputs;
    g->ops->rmsnorm(g->d, t->y, t->inv, t->x + first * K, t->gain, 1e-5f, R, K);
    g->ops->download(g->d, out + first * K, t->y, (size_t)(R * K) * sizeof *out);
}

static void check_rmsnorm(struct rig *g)
{
    struct norm_inputs t = {.x = rig_put(g, rig_random(g, MAX * K, 1, 1), MAX * K),
                            .gain = rig_put(g, rig_random(g, K, 2, 1), K),
                            .y = rig_room(g, MAX * K),
                            .inv = rig_room(g, MAX)};
    g->label = "rmsnorm";
    check_rows(g, run_rmsnorm, &t, K, 1);
    rig_clear(g);
}

struct swiglu_inputs {
    float *gate, *up, *y;
};

static void run_swiglu(struct rig *g, void *inputs, float *out, int first, int R)
{
    struct swiglu_inputs *t = inputs;
    g->ops->swiglu(g->d, t->y, t->gate + first * K, t->up + first * K, R, K);
    g->ops->download(g->d, out + first * K, t->y, (size_t)(R * K) * sizeof *out);
}

static void check_swiglu(struct rig *g)
{
    struct swiglu_inputs t = {.gate = rig_put(g, rig_random(g, MAX * K, 1, 2), MAX * K),
                              .up = rig_put(g, rig_random(g, MAX * K, 2, 1), MAX * K),
                              .y = rig_room(g, MAX * K)};
    g->label = "swiglu";
    check_rows(g, run_swiglu, &t, K, 1);
    rig_clear(g);
}

/* n equal elements through swiglu, its gradient and adamw: results (3, n). */
static void run_equal(struct rig *g, float *const device[7], float gate, float up, int n,
                      float *out)
{
    enum { GATE, UP, Y, DGATE, DUP, M, V };
    const struct adamw_params p = {1e-3, 0.9, 0.999, 1e-8, 0.01, 3};
    size_t bytes = (size_t)n * sizeof *out;
    for (int i = 0; i < n; i++) {
        out[i] = gate;
        out[n + i] = up;
    }
    g->ops->upload(g->d, device[GATE], out, bytes);
    g->ops->upload(g->d, device[UP], out + n, bytes);
    g->ops->swiglu(g->d, device[Y], device[GATE], device[UP], 1, n);
    g->ops->swiglu_backward(g->d, device[DGATE], device[DUP], device[UP], device[GATE], device[UP],
                            1, n);
    g->ops->download(g->d, out, device[Y], bytes);
    g->ops->download(g->d, out + n, device[DGATE], bytes);
    g->ops->zero(g->d, device[M], bytes);
    g->ops->zero(g->d, device[V], bytes);
    g->ops->adamw(g->d, device[UP], device[M], device[V], device[GATE], &p, (size_t)n);
    g->ops->download(g->d, out + 2 * n, device[UP], bytes);
}

/* "Scalar tails or libm calls beside vector code": an element anywhere in a row of any length up to
 * three vectors, in full lanes and in masked ones, gives the bits it gives alone. */
static void check_tails(struct rig *g)
{
    enum { LONGEST = 48 };
    float *device[7], alone[3], out[3 * LONGEST];
    for (int i = 0; i < 7; i++)
        device[i] = rig_room(g, LONGEST);
    g->label = "tails";
    for (int value = 0; value < 40; value++) {
        float gate = -5.3f + 0.27183f * (float)value, up = 1.234567f + 0.1f * (float)value;
        run_equal(g, device, gate, up, 1, alone);
        for (int n = 2; n <= LONGEST; n += n % 16 == 1 ? 1 : 7) {
            run_equal(g, device, gate, up, n, out);
            for (int i = 0; i < 3 * n; i++)
                rig_same(g, "element", &out[i], &alone[i / n], sizeof *out);
        }
        run_equal(g, device, gate, up, 32, out);
        for (int i = 0; i < 3 * 32; i++)
            rig_same(g, "element of full lanes", &out[i], &alone[i / 32], sizeof *out);
    }
    rig_clear(g);
}

/* --- the vocabulary --- */

enum { VOCAB = 1061, HIDDEN = 6 }; /* more than one block of 1,024, and a tail */

struct head_inputs {
    const weight *w;
    float *x, *d;
    int *targets;
    double *uniforms;
    float temperature;
    float logz[MAX], dlogp[MAX];
};

static struct head_inputs head_of(struct rig *g, float temperature)
{
    struct head_inputs t = {
        .w = rig_weight(g, rig_random(g, VOCAB * HIDDEN, 1, 0.4f), VOCAB, HIDDEN),
        .x = rig_put(g, rig_random(g, MAX * HIDDEN, 2, 1), MAX * HIDDEN),
        .d = rig_room(g, MAX * HIDDEN),
        .targets = rig_ids(g, MAX, VOCAB, 3),
        .uniforms = rig_zeros(g, MAX),
        .temperature = temperature};
    for (int r = 0; r < MAX; r++) {
        t.uniforms[r] = (double)((r * 37) % MAX) / MAX;
        t.dlogp[r] = (float)(r - 60) / 50;
    }
    return t;
}

/* logp, entropy and log Z of each row. */
static void run_logprob(struct rig *g, void *inputs, float *out, int first, int R)
{
    struct head_inputs *t = inputs;
    float logp[MAX], entropy[MAX], logz[MAX];
    g->ops->logprob(g->d, logp, entropy, logz, t->x + first * HIDDEN, t->w, t->targets + first,
                    t->temperature, R);
    for (int r = 0; r < R; r++) {
        out[(first + r) * 3] = logp[r];
        out[(first + r) * 3 + 1] = entropy[r];
        out[(first + r) * 3 + 2] = logz[r];
    }
}

/* "Log-sum-exp over per-thread vocabulary ranges". */
static void check_logprob(struct rig *g)
{
    struct head_inputs t = head_of(g, 0.8f);
    g->label = "logprob";
    check_rows(g, run_logprob, &t, 3, 1);
    rig_clear(g);
}

static void run_next_token(struct rig *g, void *inputs, float *out, int first, int R)
{
    struct head_inputs *t = inputs;
    int ids[MAX];
    float logp[MAX];
    g->ops->next_token(g->d, ids, logp, t->x + first * HIDDEN, t->w, t->uniforms + first,
                       t->temperature, NULL, R);
    for (int r = 0; r < R; r++) {
        out[(first + r) * 2] = (float)ids[r];
        out[(first + r) * 2 + 1] = logp[r];
    }
}

static void check_next_token(struct rig *g)
{
    for (int i = 0; i < 2; i++) {
        struct head_inputs t = head_of(g, i ? 0.8f : 0.0f);
        g->label = i ? "next_token" : "next_token, greedy";
        check_rows(g, run_next_token, &t, 2, i ? 1 : 17);
        rig_clear(g);
    }
}

static void run_logprob_backward(struct rig *g, void *inputs, float *out, int first, int R)
{
    struct head_inputs *t = inputs;
    g->ops->logprob_backward(g->d, t->d, t->x + first * HIDDEN, t->w, t->targets + first,
                             t->dlogp + first, t->logz + first, t->temperature, R);
    g->ops->download(g->d, out + first * HIDDEN, t->d, (size_t)(R * HIDDEN) * sizeof *out);
}

static void check_logprob_backward(struct rig *g)
{
    struct head_inputs t = head_of(g, 0.8f);
    float logp[MAX];
    g->label = "logprob_backward";
    g->ops->logprob(g->d, logp, NULL, t.logz, t.x, t.w, t.targets, t.temperature, MAX);
    check_rows(g, run_logprob_backward, &t, HIDDEN, 7);
    rig_clear(g);
}

/* --- vectors: only threads could matter --- */

static void check_vectors(struct rig *g)
{
    enum { LENGTH = 300007 };
    float *x = rig_put(g, rig_random(g, LENGTH, 1, 1), LENGTH), *y = rig_room(g, LENGTH);
    g->label = "vectors";
    double sum = g->ops->sum_squares(g->d, x, LENGTH);
    rig_same_on_threads(g, "sum_squares", &sum, sizeof sum);
    g->ops->zero(g->d, y, LENGTH * sizeof *y);
    g->ops->add(g->d, y, x, LENGTH);
    g->ops->scale(g->d, y, 0.3f, LENGTH);
    rig_same_on_threads(g, "add and scale", rig_get(g, y, LENGTH), LENGTH * sizeof *y);
    const struct adamw_params p = {1e-3, 0.9, 0.999, 1e-8, 0.01, 3};
    float *moments = rig_random(g, LENGTH, 2, 1), *m = rig_put(g, moments, LENGTH);
    for (int i = 0; i < LENGTH; i++)
        moments[i] *= moments[i];
    float *v = rig_put(g, moments, LENGTH);
    g->ops->adamw(g->d, y, m, v, x, &p, LENGTH);
    rig_same_on_threads(g, "adamw", rig_get(g, m, LENGTH), LENGTH * sizeof *m);
    rig_clear(g);
}

/* --- work that threads share --- */

/* The checks above are small enough for one thread. Here everything crosses the sizes from which on
 * threads are woken, and fewer rows, which one thread does, give the same bits. */
static void check_shared(struct rig *g)
{
    enum { ROWS = MAX, FEW = 3, WIDE = 600, LORA = 32, ALL = ROWS * WIDE, RESULTS = 5 };
    struct linear l = {.w = rig_weight(g, rig_random(g, WIDE * WIDE, 1, 0.1f), WIDE, WIDE),
                       .bias = rig_put(g, rig_random(g, WIDE, 2, 1), WIDE),
                       .lora_a = rig_weight(g, rig_random(g, LORA * WIDE, 3, 0.1f), LORA, WIDE),
                       .lora_b = rig_weight(g, rig_random(g, WIDE * LORA, 4, 1), WIDE, LORA),
                       .lora_scale = 0.5f,
                       .n = WIDE,
                       .k = WIDE,
                       .rank = LORA};
    float *x = rig_put(g, rig_random(g, ALL, 5, 1), ALL),
          *gain = rig_put(g, rig_random(g, WIDE, 2, 1), WIDE), *inv = rig_room(g, ROWS);
    float *u = rig_room(g, ROWS * LORA), *du = rig_room(g, ROWS * LORA);
    float *out[RESULTS], *all[RESULTS], *gate = rig_put(g, rig_random(g, ALL, 6, 2), ALL);
    for (int i = 0; i < RESULTS; i++) {
        out[i] = rig_put(g, rig_random(g, ALL, 7, 1), ALL);
        all[i] = NULL;
    }
    g->label = "shared by threads";
    for (int R = ROWS; R >= FEW; R -= ROWS - FEW) {
        g->ops->linear(g->d, out[0], u, x, &l, R, NULL);
        g->ops->linear_backward(g->d, out[1], du, x, &l, R, false);
        g->ops->rmsnorm(g->d, out[2], inv, x, gain, 1e-5f, R, WIDE);
        g->ops->rmsnorm_backward(g->d, out[3], gate, x, inv, gain, R, WIDE);
        g->ops->swiglu(g->d, out[4], gate, x, R, WIDE);
        for (int i = 0; i < RESULTS; i++) {
            float *got = rig_get(g, out[i], ALL);
            if (R == ROWS) {
                all[i] = got;
                rig_same_on_threads(g, "all rows", got, ALL * sizeof *got);
            }
            rig_same(g, "few rows", got, all[i], (size_t)(R * WIDE) * sizeof *got);
            g->ops->upload(g->d, out[i], rig_random(g, ALL, 7, 1), ALL * sizeof *got);
        }
    }
    rig_clear(g);
}

#define EACH(name)                                                                                 \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        rig_each_threads(check_##name);                                                            \
    }
EACH(linear)
EACH(one_row)
EACH(linear_backward)
EACH(rmsnorm)
EACH(swiglu)
EACH(tails)
EACH(logprob)
EACH(next_token)
EACH(logprob_backward)
EACH(vectors)
EACH(shared)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),           cmocka_unit_test(test_one_row),
        cmocka_unit_test(test_linear_backward),  cmocka_unit_test(test_rmsnorm),
        cmocka_unit_test(test_swiglu),           cmocka_unit_test(test_tails),
        cmocka_unit_test(test_logprob),          cmocka_unit_test(test_next_token),
        cmocka_unit_test(test_logprob_backward), cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* bench_attention.c: what is not a product with a weight, in the shapes of a training step of a
 * 0.5B model (16 query and 8 key-value heads of 128, a prompt of 255 shared by 16 completions of
 * 512), beside its floor: the larger of multiply-adds ÷ the f32 peak and bytes ÷ the rate of
 * reading, both measured in the same run.
 *
 *   build/release/bench/bench_attention [isa] [bf16|f32] [threads] [part of a name]
 *
 * With one thread the time is processor time, so a busy machine disturbs little. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backend/backend.h"
#include "probe.h"

enum {
    HEADS = 16,
    KV_HEADS = 8,
    DIM = 128,
    PREFIX = 255,
    OWN = 512,
    GROUP = 16, /* completions of a rollout */
    MICRO = 4,  /* of a backward pass */
    HIDDEN = 1024,
    INNER = 3072,
    RANK = 16,
    ROWS = MICRO * OWN,
    CACHE_ROWS = PREFIX + GROUP * OWN,
    REPEAT = 5
};

struct bench {
    struct device *d;
    struct attn_dims dims;
    double flops, bytes; /* of the machine, a second */
    float *q, *out, *dout, *lse, *dq, *dk, *dv, *x, *gate, *up, *u, *du, *da, *db;
    float *k_grad[MICRO], *v_grad[MICRO];
    void *k, *v;
    struct attn_span spans[GROUP];
    int n_spans, rows;
    const char *only; /* the operations whose name has this */
    struct err err;
};

static float *room(struct bench *b, size_t n)
{
    float *p = b->d->ops->alloc(b->d, n * sizeof *p, &b->err);
    if (!p) {
        fprintf(stderr, "%s\n", b->err.message);
        exit(1);
    }
    uint32_t state = 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        p[i] = (float)(int32_t)state * 0x1p-31f;
    }
    return p;
}

static void fill_caches(struct bench *b, int rows)
{
    size_t bytes = b->d->ops->kv_bytes(b->d, b->dims);
    float *values = room(b, (size_t)rows * KV_HEADS * DIM);
    int *all = malloc((size_t)rows * sizeof *all);
    b->k = b->d->ops->alloc(b->d, bytes, &b->err);
    b->v = b->d->ops->alloc(b->d, bytes, &b->err);
    if (!all || !b->k || !b->v) {
        fprintf(stderr, "%s\n", b->err.message);
        exit(1);
    }
    for (int i = 0; i < rows; i++)
        all[i] = i;
    b->d->ops->kv_write(b->d, b->k, b->v, values, values, all, b->dims, rows);
    free(all);
}

/* Multiply-adds and bytes of one call, and how it is called. */
static void report(struct bench *b, const char *name, void (*call)(struct bench *), double fma,
                   double bytes)
{
    double best = 1e9;
    if (!strstr(name, b->only))
        return;
    call(b);
    for (int i = 0; i < REPEAT; i++) {
        int times = 1 + (int)(2e8 / (fma + bytes));
        double start = probe_seconds(b->d->threads);
        for (int t = 0; t < times; t++)
            call(b);
        double took = (probe_seconds(b->d->threads) - start) / times;
        best = took < best ? took : best;
    }
    double compute = 2 * fma / b->flops, memory = bytes / b->bytes;
    double floor = compute > memory ? compute : memory;
    printf("%-22s %9.3f ms  floor %8.3f ms (%s)  %3.0f%%  %6.1f GFLOP/s\n", name, best * 1e3,
           floor * 1e3, compute > memory ? "arithmetic" : "memory", 100 * floor / best,
           2 * fma / best * 1e-9);
}

static void call_attention(struct bench *b)
{
    b->d->ops->attention(b->d, b->out, b->lse, b->q, b->k, b->v, b->spans, b->n_spans, b->dims,
                         b->rows);
}

static void call_backward(struct bench *b)
{
    b->d->ops->attention_backward(b->d, b->dq, b->dk, b->dv, b->k_grad, b->v_grad, b->dout, b->q,
                                  b->k, b->v, b->out, b->lse, b->spans, b->n_spans, b->dims,
                                  b->rows);
}

/* n spans of `queries` queries each, from position own_pos of their own. */
static double set_spans(struct bench *b, int n, int queries, int prefix, int own_pos)
{
    double pairs = 0; /* (query, key) */
    b->n_spans = n;
    b->rows = n * queries;
    for (int s = 0; s < n; s++) {
        b->spans[s] = (struct attn_span){
            s * queries, queries, 0, prefix, kv_own_row(PREFIX + s * OWN, prefix), own_pos};
        for (int i = 0; i < queries; i++)
            pairs += prefix + own_pos + i + 1;
    }
    return pairs;
}

static void bench_attention(struct bench *b)
{
    double pair = 2.0 * HEADS * DIM; /* score and weighted sum, all heads */
    double key = 2.0 * KV_HEADS * DIM * (b->d->precision == PRECISION_BF16 ? 2 : 4);
    const int half = OWN / 2 + 1;
    double pairs = set_spans(b, GROUP, 1, PREFIX, 0);
    report(b, "decode, 1 own key", call_attention, pairs * pair, (PREFIX + GROUP) * key);
    pairs = set_spans(b, GROUP, 1, PREFIX, half - 1);
    report(b, "decode, 257 own keys", call_attention, pairs * pair,
           (double)(PREFIX + GROUP * half) * key);
    pairs = set_spans(b, GROUP, 1, PREFIX, OWN - 1);
    report(b, "decode, 512 own keys", call_attention, pairs * pair, (PREFIX + GROUP * OWN) * key);
    pairs = set_spans(b, 1, PREFIX, 0, 0);
    report(b, "prefill 255", call_attention, pairs * pair, PREFIX * key);
    pairs = set_spans(b, MICRO, OWN, PREFIX, 0);
    report(b, "training 4 x 512", call_attention, pairs * pair, (PREFIX + ROWS) * key);
    /* scores and dp again, dq, dk, dv */
    report(b, "backward 4 x 512", call_backward, pairs * pair * 2.5, (PREFIX + ROWS) * key);
}

static void call_lora_q(struct bench *b)
{
    b->d->ops->lora_gradient(b->d, b->da, b->db, b->gate, b->du, b->x, b->u, 2.0f, HEADS * DIM,
                             HIDDEN, RANK, OWN);
}
static void call_lora_down(struct bench *b)
{
    b->d->ops->lora_gradient(b->d, b->da, b->db, b->x, b->du, b->gate, b->u, 2.0f, HIDDEN, INNER,
                             RANK, OWN);
}
static void call_swiglu(struct bench *b)
{
    b->d->ops->swiglu(b->d, b->up, b->gate, b->gate, OWN, INNER);
}
static void call_rmsnorm(struct bench *b)
{
    b->d->ops->rmsnorm(b->d, b->out, b->lse, b->x, b->u, 1e-6f, OWN, HIDDEN);
}

static void bench_rest(struct bench *b)
{
    report(b, "lora_gradient q", call_lora_q, (double)OWN * RANK * (HEADS * DIM + HIDDEN),
           (double)OWN * (HEADS * DIM + HIDDEN) * 4);
    report(b, "lora_gradient down", call_lora_down, (double)OWN * RANK * (INNER + HIDDEN),
           (double)OWN * (INNER + HIDDEN) * 4);
    report(b, "swiglu 512", call_swiglu, 12.0 * OWN * INNER, 2.0 * OWN * INNER * 4);
    report(b, "rmsnorm 512", call_rmsnorm, 2.0 * OWN * HIDDEN, 2.0 * OWN * HIDDEN * 4);
}

int main(int argc, char **argv)
{
    struct bench b = {.dims = {HEADS, KV_HEADS, DIM, CACHE_ROWS}, .only = argc > 4 ? argv[4] : ""};
    struct err err = {0};
    struct device_options options = {
        .isa = argc > 1 ? argv[1] : "auto",
        .precision = argc > 2 && strcmp(argv[2], "f32") == 0 ? PRECISION_F32 : PRECISION_BF16,
        .threads = argc > 3 ? atoi(argv[3]) : 1};
    struct scratch_need need = {.rows = ROWS,
                                .dim = INNER,
                                .rank = RANK,
                                .head_dim = DIM,
                                .vocab = 16,
                                .context = PREFIX + OWN};
    if (device_open(&b.d, &options, &err) || b.d->ops->reserve(b.d, &need, &err)) {
        fprintf(stderr, "%s: %s\n", err.where, err.message);
        return 1;
    }
    size_t q = (size_t)ROWS * HEADS * DIM, kv = (size_t)ROWS * KV_HEADS * DIM;
    b.q = room(&b, q);
    b.out = room(&b, q);
    b.dout = room(&b, q);
    b.dq = room(&b, q);
    b.lse = room(&b, (size_t)ROWS * HEADS);
    b.dk = room(&b, kv);
    b.dv = room(&b, kv);
    for (int i = 0; i < MICRO; i++) {
        b.k_grad[i] = room(&b, (size_t)PREFIX * KV_HEADS * DIM);
        b.v_grad[i] = room(&b, (size_t)PREFIX * KV_HEADS * DIM);
    }
    fill_caches(&b, CACHE_ROWS);
    b.x = room(&b, (size_t)OWN * HIDDEN);
    b.gate = room(&b, (size_t)OWN * INNER);
    b.up = room(&b, (size_t)OWN * INNER);
    b.u = room(&b, (size_t)OWN * HIDDEN);
    b.du = room(&b, (size_t)OWN * RANK);
    b.da = room(&b, (size_t)RANK * INNER);
    b.db = room(&b, (size_t)RANK * INNER);
    size_t big = (size_t)64 << 20;
    float *stream = room(&b, big / 4 * 4);
    struct team *team = probe_team(b.d->threads);
    b.flops = probe_fma_peak(team, REPEAT);
    b.bytes = probe_plain_reads(stream, big * 4, team, REPEAT);
    team_close(team);
    printf("%s, %s, %d thread%s: %.0f GFLOP/s, %.1f GB/s\n", b.d->isa,
           options.precision == PRECISION_F32 ? "f32" : "bf16", b.d->threads,
           b.d->threads == 1 ? "" : "s", b.flops * 1e-9, b.bytes * 1e-9);
    fflush(stdout);
    bench_attention(&b);
    bench_rest(&b);
    return 0;
}

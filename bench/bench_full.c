/* bench_full.c: tokens a second of full_gradient (training of all parameters) for a small model
 * like the built-in one, beside its floor: 6 operations a parameter and token (a product forward,
 * two backward) ÷ the peak of f32 multiply-adds, measured in the same run. (Attention's products
 * come on top; in bf16 the first two thirds may be faster than the floor's f32.)
 *
 *   build/release/bench/bench_full [isa] [bf16|f32] [threads] [hidden layers inner vocab sequences]
 *
 * With one thread the time is processor time, so a busy machine disturbs little. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/full.h"
#include "probe.h"

enum { LENGTH = 256, REPEAT = 7 };

static struct err err;

static void must(int status)
{
    if (!status)
        return;
    fprintf(stderr, "%s: %s\n", err.where, err.message);
    exit(1);
}

static int *numbers(int n, int below)
{
    int *out = malloc((size_t)n * sizeof *out);
    uint32_t state = 1;
    for (int i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        out[i] = (int)((state >> 8) % (uint32_t)below);
    }
    return out;
}

struct run {
    full_model *f;
    struct kv_cache kv;
    activations *acts;
    float *hidden, *grad, *dlogp, *logp;
    struct batch batch;
    int *targets;
};

static void run_open(struct run *r, struct device *d, const struct hf_config *c, int sequences)
{
    int rows = sequences * LENGTH, *order = numbers(rows, 1), *positions = numbers(rows, 1);
    struct attn_span *spans = calloc((size_t)sequences, sizeof *spans);
    must(full_create(&r->f, d, c, 0, 0.02, 1, &err));
    must(kv_cache_create(&r->kv, full_weights(r->f), rows, &err));
    must(activations_create(&r->acts, full_weights(r->f), NULL, rows, &err));
    r->hidden = d->ops->alloc(d, (size_t)rows * (size_t)c->hidden_size * sizeof(float), &err);
    r->grad = d->ops->alloc(d, full_floats(c) * sizeof(float), &err);
    r->dlogp = malloc((size_t)rows * sizeof *r->dlogp);
    r->logp = malloc((size_t)rows * sizeof *r->logp);
    if (!r->hidden || !r->grad || !r->dlogp || !r->logp || !spans)
        exit(1);
    d->ops->zero(d, r->grad, full_floats(c) * sizeof(float));
    for (int i = 0; i < rows; i++) {
        order[i] = i;
        positions[i] = i % LENGTH;
        r->dlogp[i] = -1.0f / (float)rows;
    }
    for (int s = 0; s < sequences; s++)
        spans[s] = (struct attn_span){.q_row = s * LENGTH, .n_q = LENGTH, .own_row = s * LENGTH};
    r->targets = numbers(rows, c->vocab_size);
    r->batch =
        (struct batch){rows, numbers(rows, c->vocab_size), positions, order, spans, sequences};
}

int main(int argc, char **argv)
{
    const char *isa = argc > 1 ? argv[1] : "auto";
    enum precision precision =
        argc > 2 && strcmp(argv[2], "f32") == 0 ? PRECISION_F32 : PRECISION_BF16;
    struct device_options options = {
        .isa = isa, .precision = precision, .threads = argc > 3 ? atoi(argv[3]) : 2};
    struct hf_config c = {.arch = ARCH_QWEN3,
                          .hidden_size = argc > 4 ? atoi(argv[4]) : 160,
                          .layers = argc > 5 ? atoi(argv[5]) : 5,
                          .intermediate_size = argc > 6 ? atoi(argv[6]) : 448,
                          .vocab_size = argc > 7 ? atoi(argv[7]) : 2048,
                          .heads = 4,
                          .kv_heads = 2,
                          .head_dim = 32,
                          .max_position_embeddings = LENGTH,
                          .tie_word_embeddings = true,
                          .qk_norm = true,
                          .rms_norm_eps = 1e-6,
                          .rope_theta = 10000};
    int sequences = argc > 8 ? atoi(argv[8]) : 16;
    struct device *d;
    struct run r;
    must(device_open(&d, &options, &err));
    run_open(&r, d, &c, sequences);
    struct team *team = probe_team(d->threads);
    double peak = probe_fma_peak(team, REPEAT), best = 1e9, refresh = 1e9;
    team_close(team);
    for (int i = 0; i < REPEAT; i++) {
        double start = probe_seconds(d->threads);
        full_gradient(r.f, &r.kv, r.acts, r.hidden, &r.batch, r.targets, r.dlogp, r.logp, r.grad);
        double took = probe_seconds(d->threads) - start;
        best = took < best ? took : best;
        start = probe_seconds(d->threads);
        full_refresh(r.f);
        took = probe_seconds(d->threads) - start;
        refresh = took < refresh ? took : refresh;
    }
    double rows = r.batch.rows, parameters = (double)full_floats(&c);
    double rate = rows / best, floor = peak / (6 * parameters);
    printf("%s %s, %d threads: %.2f M parameters, %d rows: %.0f tokens/s, floor %.0f (%.0f GFLOP/s "
           "of f32), share %.0f%%; refresh %.1f ms\n",
           d->isa, precision == PRECISION_F32 ? "f32" : "bf16", d->threads, parameters * 1e-6,
           r.batch.rows, rate, floor, peak * 1e-9, 100 * rate / floor, refresh * 1e3);
    return 0;
}

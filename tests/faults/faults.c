/* faults.c: see faults.h. `__real_NAME` is the program's own function, `__wrap_NAME` what it calls
 * instead. */
#include "faults.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../support/support.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "train/checkpoint.h"
#include "train/gradient.h"

enum fault planted;

#define NAME(fault) [fault] = #fault
const char *const fault_names[N_FAULTS] = {
    NAME(NO_FAULT),
    NAME(ADAPTER_IGNORED),
    NAME(ADAPTER_STALE),
    NAME(TEMPERATURE_NOT_SAMPLED),
    NAME(TEMPERATURE_NOT_IN_LOGP),
    NAME(CUT_IN_SECRET),
    NAME(MASK_OFF_BY_ONE),
    NAME(TARGETS_SHIFTED),
    NAME(EOS_UNKNOWN),
    NAME(PROMPT_CUT),
    NAME(DENOMINATOR_OF_COMPLETION),
    NAME(DENOMINATOR_OF_MICRO_BATCH),
    NAME(TRAINER_DRIFTS),
    NAME(LOSS_SIGN),
    NAME(BACKWARD_SCALED),
    NAME(CACHE_STALE),
    NAME(GRADIENT_LOST),
    NAME(UPDATE_LOST),
    NAME(REWARD_NOISE),
    NAME(FAILURE_IS_ZERO),
    NAME(REFERENCE_FOLLOWS),
    NAME(MOMENTS_LOST),
    NAME(CURSOR_LOST),
    NAME(UNSEEDED),
    NAME(BEST_PRUNED),
    NAME(BEST_NOT_BEST),
    NAME(MEMORY_UNPLANNED),
};

/* A test program that was linked anew: its fault, and the one test to run. */
__attribute__((constructor)) static void from_environment(void)
{
    const char *name = getenv("GRPO_PLANT"), *test = getenv("GRPO_PLANT_TEST");
    for (int f = 0; name && f < N_FAULTS; f++)
        if (strcmp(name, fault_names[f]) == 0)
            planted = (enum fault)f;
    if (test)
        cmocka_set_test_filter(test);
}

#define WRAP(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

/* --- the device --- */

static const struct backend *real_ops;
static struct backend faulty_ops;

static void next_token_scored_at_one(struct device *d, int *ids, float *logp, const float *hidden,
                                     const weight *head, const double *uniforms, float temperature,
                                     const struct warp *warp, int R)
{
    real_ops->next_token(d, ids, logp, hidden, head, uniforms, temperature, warp, R);
    real_ops->logprob(d, logp, NULL, NULL, hidden, head, ids, 1, R);
}

static void logprob_at_one(struct device *d, float *logp, float *entropy, float *logz,
                           const float *hidden, const weight *head, const int *targets,
                           float temperature, int R)
{
    (void)temperature;
    real_ops->logprob(d, logp, entropy, logz, hidden, head, targets, 1, R);
}

/* The trainer alone asks for logz. */
static void logprob_of_trainer(struct device *d, float *logp, float *entropy, float *logz,
                               const float *hidden, const weight *head, const int *targets,
                               float temperature, int R)
{
    int *shifted = mem_alloc((size_t)R * sizeof *shifted);
    CHECK(shifted);
    for (int r = 0; r < R; r++)
        shifted[r] = targets[logz && planted == TARGETS_SHIFTED && r + 1 < R ? r + 1 : r];
    real_ops->logprob(d, logp, entropy, logz, hidden, head, shifted, temperature, R);
    for (int r = 0; r < R && logz && planted == TRAINER_DRIFTS; r++)
        logp[r] -= 1e-6F;
    mem_free(shifted);
}

static void logprob_backward_scaled(struct device *d, float *dhidden, const float *hidden,
                                    const weight *head, const int *targets, const float *dlogp,
                                    const float *logz, float temperature, int R)
{
    float *more = mem_alloc((size_t)R * sizeof *more);
    CHECK(more);
    for (int r = 0; r < R; r++)
        more[r] = 1.01F * dlogp[r];
    real_ops->logprob_backward(d, dhidden, hidden, head, targets, more, logz, temperature, R);
    mem_free(more);
}

static void lora_gradient_lost(struct device *d, float *da, float *db, const float *dy,
                               const float *du, const float *x, const float *u, float scale, int N,
                               int K, int rank, int R)
{
    (void)dy, (void)du, (void)x, (void)u, (void)scale, (void)R;
    real_ops->zero(d, da, (size_t)rank * (size_t)K * sizeof *da);
    real_ops->zero(d, db, (size_t)N * (size_t)rank * sizeof *db);
}

static void adamw_lost(struct device *d, float *param, float *exp_avg, float *exp_avg_sq,
                       const float *grad, const struct adamw_params *p, size_t n)
{
    (void)d, (void)param, (void)exp_avg, (void)exp_avg_sq, (void)grad, (void)p, (void)n;
}

/* A row by itself that follows others: the newest key is not there yet. */
static void attention_of_stale_cache(struct device *d, float *out, float *lse, const float *q,
                                     const void *k_cache, const void *v_cache,
                                     const struct attn_span *spans, int n_spans,
                                     struct attn_dims dims, int R)
{
    struct attn_span *stale = mem_alloc((size_t)n_spans * sizeof *stale);
    CHECK(stale);
    for (int s = 0; s < n_spans; s++) {
        stale[s] = spans[s];
        stale[s].own_pos -= spans[s].n_q == 1 && spans[s].own_pos > 0;
    }
    real_ops->attention(d, out, lse, q, k_cache, v_cache, stale, n_spans, dims, R);
    mem_free(stale);
}

WRAP(int, device_open, struct device **out, const struct device_options *options, struct err *err)
{
    int status = __real_device_open(out, options, err);
    if (status)
        return status;
    real_ops = (*out)->ops;
    faulty_ops = *real_ops;
    if (planted == TEMPERATURE_NOT_IN_LOGP) {
        faulty_ops.next_token = next_token_scored_at_one;
        faulty_ops.logprob = logprob_at_one;
    }
    if (planted == TARGETS_SHIFTED || planted == TRAINER_DRIFTS)
        faulty_ops.logprob = logprob_of_trainer;
    if (planted == BACKWARD_SCALED)
        faulty_ops.logprob_backward = logprob_backward_scaled;
    if (planted == CACHE_STALE)
        faulty_ops.attention = attention_of_stale_cache;
    if (planted == GRADIENT_LOST)
        faulty_ops.lora_gradient = lora_gradient_lost;
    if (planted == UPDATE_LOST)
        faulty_ops.adamw = adamw_lost;
    (*out)->ops = &faulty_ops;
    return status;
}

/* --- from a row to completions --- */

WRAP(int, text_codec_row, const struct text_codec *c, struct ids *out, const struct row *row,
     struct err *err)
{
    enum { LIMIT = 25 };
    size_t before = out->count;
    int status = __real_text_codec_row(c, out, row, err);
    size_t n = out->count - before;
    if (planted != PROMPT_CUT || n <= LIMIT)
        return status;
    memmove(out->data + before, out->data + out->count - LIMIT, LIMIT * sizeof *out->data);
    out->count = before + LIMIT;
    return status;
}

static const adapter *policy; /* of the last rollout */

WRAP(int, rollout_run, rollout *r, const adapter *a, const struct rollout_options *options,
     struct group_request *groups, int n_groups, bool (*stop)(void), struct err *err)
{
    static uint64_t entropy;
    struct rollout_options o = *options;
    struct warpers three = {.repetition_penalty = 1, .top_k = 3, .top_p = 1};
    policy = a;
    if (planted == TEMPERATURE_NOT_SAMPLED)
        o.temperature = 1;
    if (planted == CUT_IN_SECRET)
        o.warpers = &three;
    if (planted == EOS_UNKNOWN)
        o.n_eos = 0;
    for (int g = 0; g < n_groups && planted == UNSEEDED; g++)
        groups[g].key.seed ^= (uintptr_t)&o + ++entropy;
    return __real_rollout_run(r, planted == ADAPTER_IGNORED ? NULL : a, &o, groups, n_groups, stop,
                              err);
}

WRAP(int, rollout_score, rollout *r, const adapter *a, double temperature,
     const struct score_request *q, struct err *err)
{
    return __real_rollout_score(r, planted == REFERENCE_FOLLOWS && !a ? policy : a, temperature, q,
                                err);
}

/* --- rewards --- */

WRAP(void, generation_take_scores, struct generation *g, int i)
{
    __real_generation_take_scores(g, i);
    if (planted == FAILURE_IS_ZERO && !g->valid[i]) {
        g->reward[i] = 0;
        g->valid[i] = true;
    }
    if (planted == REWARD_NOISE)
        g->reward[i] += 1e-9 * (i * 7 % 5);
}

/* --- loss, gradient, update --- */

static int micro_batch;

WRAP(int, gradient_create, gradient **out, model *m, const struct peft_config *lora,
     const struct gradient_size *size, struct err *err)
{
    micro_batch = size->micro_batch;
    return __real_gradient_create(out, m, lora, size, err);
}

WRAP(double, loss_token_weight, const struct loss_params *p, const struct loss_denominator *d,
     int length)
{
    if (planted == DENOMINATOR_OF_COMPLETION)
        return 1 / ((double)d->completions * length);
    double w = __real_loss_token_weight(p, d, length);
    return planted == DENOMINATOR_OF_MICRO_BATCH ? w * micro_batch : w;
}

WRAP(void, loss_completion, const struct loss_params *p, double w, float advantage,
     const struct loss_tokens *in, struct loss_sums *sums)
{
    struct loss_tokens tokens = *in;
    if (planted == MASK_OFF_BY_ONE) {
        tokens.length--;
        in->dlogp[tokens.length] = 0;
    }
    __real_loss_completion(p, w, advantage, &tokens, sums);
    for (int t = 0; t < in->length && planted == LOSS_SIGN; t++)
        in->dlogp[t] = -in->dlogp[t];
}

static void no_refresh(void *self)
{
    (void)self;
}

/* Beside everything else that a step has. */
static void touch_unplanned(void)
{
    const size_t bytes = (size_t)64 << 20;
    char *block = mem_alloc(bytes);
    CHECK(block);
    memset(block, 1, bytes);
    mem_free(block);
}

WRAP(int, optimizer_step, struct optimizer *o, const struct trainable *t, float *grad,
     const struct optimizer_call *call, double *norm, struct err *err)
{
    struct trainable stale = *t;
    if (planted == ADAPTER_STALE)
        stale.refresh = no_refresh;
    if (planted == MEMORY_UNPLANNED)
        touch_unplanned();
    return __real_optimizer_step(o, &stale, grad, call, norm, err);
}

/* --- checkpoints --- */

WRAP(int, optimizer_load, struct optimizer *o, const struct trainable *t, const char *path,
     struct err *err)
{
    int status = __real_optimizer_load(o, t, path, err);
    if (planted == MOMENTS_LOST) {
        o->d->ops->zero(o->d, o->exp_avg, o->n * sizeof(float));
        o->d->ops->zero(o->d, o->exp_avg_sq, o->n * sizeof(float));
    }
    return status;
}

WRAP(int, checkpoint_load, const char *run, int step, struct train_state *state,
     const struct checkpoint_check *check, const struct trainable *params, struct optimizer *o,
     struct err *err)
{
    int status = __real_checkpoint_load(run, step, state, check, params, o, err);
    if (planted == CURSOR_LOST && !status && state->dealing)
        memset(state->dealing->cursor, 0, sizeof *state->dealing->cursor);
    return status;
}

WRAP(int, checkpoint_save, const char *run, const struct train_state *state,
     const struct identity *id, const struct trainable *params, const struct optimizer *o, int keep,
     const struct stop_rules *rules, struct err *err)
{
    int status = __real_checkpoint_save(run, state, id, params, o, keep, rules, err);
    struct str path = {0};
    if (planted == BEST_PRUNED && !status && state->best.known && state->best.step < state->step)
        status = dir_remove(path_join(&path, run, "best_checkpoint"), err);
    if (planted == BEST_NOT_BEST && !status)
        status = access(path_join(&path, run, "best_checkpoint"), F_OK) == 0
                     ? params->save(params->self, str_text(&path), err)
                     : ERR_NONE;
    str_free(&path);
    return status;
}

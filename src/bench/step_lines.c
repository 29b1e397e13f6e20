/* step_lines.c: whole steps by grpo_step, what its parts took, and checkpoints. The first step
 * warms up: it touches memory for the first time and checks itself (train/selfcheck.h). */
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "train/checkpoint.h"

struct stepping {
    struct bench *b;
    struct grpo *g;
    struct count_model count;
    struct count_batch batch;
};

/* What was counted must be what was done. */
static int check_step(const struct stepping *s, struct err *err)
{
    struct generation *gen = &s->g->gen;
    bool signal = false;
    for (int i = 0; i < generation_count(gen); i++) {
        CHECK(generation_sample(gen, i)->completion.length == s->batch.length);
        signal = signal || gen->advantage[i] != 0;
    }
    if (!signal)
        return err_set(err, ERR_MACHINE, "bench",
                       "all completions of a step have the same length of text, so it had no "
                       "gradient to compute: give more --completion-tokens or --generations");
    return ERR_NONE;
}

enum { ROLLOUT, GRADIENT, OPTIMIZER, STEP, N_TIMES };

static int take_steps(struct stepping *s, double times[N_TIMES][BENCH_MAX_REPEATS], struct err *err)
{
    struct grpo *g = s->g;
    int status = ERR_NONE;
    for (int i = 0; i <= s->b->o->repeats && !status; i++) {
        log_info("bench: %s: step %d of %d", s->b->name, i, s->b->o->repeats);
        double started = clock_seconds();
        status = grpo_step(g, i + 1, err);
        double took = clock_seconds() - started;
        if (!status)
            status = check_step(s, err);
        if (!i)
            continue;
        times[ROLLOUT][i - 1] = g->times.rollout;
        times[GRADIENT][i - 1] = g->times.gradient;
        times[OPTIMIZER][i - 1] = g->times.update;
        times[STEP][i - 1] = took;
    }
    return status;
}

static void step_lines(struct stepping *s, double times[N_TIMES][BENCH_MAX_REPEATS])
{
    const struct count_model *m = &s->count;
    const struct count_batch *c = &s->batch;
    struct work prefill = count_prefill(m, c), decode = count_decode(m, c, 0, c->length);
    struct work learn = count_gradient(m, c), update = count_optimizer(m);
    double tokens = (double)c->groups * c->per_group * c->length;
    double all = tokens + c->groups * (c->prompt - 1.0);
    bench_known(s->b, "rollout", times[ROLLOUT],
                &(struct bench_work){{prefill, decode}, 2, tokens, "tokens"});
    bench_known(s->b, "gradient", times[GRADIENT], &(struct bench_work){{learn}, 1, all, "tokens"});
    bench_known(s->b, "optimizer", times[OPTIMIZER],
                &(struct bench_work){{update}, 1, count_adapter_floats(m), "parameters"});
    bench_known(s->b, "step", times[STEP],
                &(struct bench_work){{prefill, decode, learn, update}, 4, tokens, "tokens"});
}

/* --- checkpoints --- */

struct saving {
    struct stepping *s;
    struct identity identity;
    struct train_state state;
};

static int save_once(void *context, double *seconds, struct err *err)
{
    struct saving *c = context;
    struct trainable params = trainable_adapter(c->s->g->a);
    c->state.step++;
    double started = clock_seconds();
    int status = checkpoint_save(c->s->b->folder, &c->state, &c->identity, &params,
                                 &c->s->g->optimizer, 1, NULL, err);
    *seconds = clock_seconds() - started;
    return status;
}

static int checkpoint_line(struct stepping *s, struct err *err)
{
    struct saving c = {.s = s};
    struct str folder = {0};
    struct bench_work w = {.part = {count_checkpoint(&s->count)},
                           .n = 1,
                           .items = count_adapter_floats(&s->count) * 12,
                           .unit = "bytes"};
    recipe_resolved(s->b->recipe, &c.identity.recipe);
    path_join(&folder, s->b->folder, "checkpoints");
    int status = folder.failed || c.identity.recipe.failed
                     ? err_no_memory(err, "a path", folder.capacity)
                     : dir_make(str_text(&folder), err);
    if (!status)
        status = bench_repeat(s->b, "checkpoint", save_once, &c, &w, err);
    str_free(&folder);
    identity_free(&c.identity);
    return status;
}

int bench_step_lines(struct bench *b, struct err *err)
{
    double times[N_TIMES][BENCH_MAX_REPEATS];
    struct stepping s = {.b = b, .g = mem_calloc(1, sizeof *s.g)};
    if (!s.g)
        return err_no_memory(err, "a step", sizeof *s.g);
    s.count = count_model(&b->setup.config, &b->setup.lora, b->o->device->precision);
    s.batch = (struct count_batch){1, b->sizes.prompt, b->sizes.generations, b->sizes.completion};
    int status = setup_plan(&b->setup, err);
    if (!status)
        status = setup_engine(s.g, &b->setup, err);
    if (!status)
        status = take_steps(&s, times, err);
    if (!status)
        step_lines(&s, times);
    if (!status)
        status = checkpoint_line(&s, err);
    setup_close_engine(s.g, &b->setup);
    mem_free(s.g);
    return status;
}

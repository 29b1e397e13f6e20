/* engine_lines.c: prefill, decoding and scoring, through rollout.h, with a new adapter.
 *
 * A decode line is timed by the rollout's own call after each token: from the end of the first
 * pass, which is also when the prompts are there, to the end of the last. */
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/mem.h"
#include "bench/bench.h"

static const int batches[] = {1, 4, 16, 64};
enum { LARGEST = 64 };

struct engine {
    struct bench *b;
    model *m;
    adapter *a;
    rollout *rollout;
    struct count_model count;
    /* of a call */
    struct count_batch batch;
    double first, end;              /* clocks of the first and last pass's end; 0: not yet */
    struct group_request *groups;   /* (LARGEST) */
    struct completion *completions; /* (sequences), with their arrays in `block` */
    int *prompt;                    /* tokens of all prompts */
    int *ids;
    float *logprobs;
    const int **id_rows;
    float **logprob_rows;
    int *lengths;
};

static int sequences(const struct bench *b)
{
    return b->sizes.generations > LARGEST ? b->sizes.generations : LARGEST;
}

static int longest(const struct bench *b)
{
    return b->sizes.completion > b->sizes.decoded ? b->sizes.completion : b->sizes.decoded;
}

static int open_tables(struct engine *e, struct err *err)
{
    size_t n = (size_t)sequences(e->b), tokens = n * (size_t)longest(e->b);
    size_t prompts = (size_t)LARGEST * (size_t)e->b->sizes.prompt;
    e->groups = mem_calloc(LARGEST, sizeof *e->groups);
    e->completions = mem_calloc(n, sizeof *e->completions);
    e->prompt = mem_alloc(prompts * sizeof *e->prompt);
    e->ids = mem_alloc(tokens * sizeof *e->ids);
    e->logprobs = mem_alloc(tokens * sizeof *e->logprobs);
    e->id_rows = mem_alloc(n * sizeof *e->id_rows);
    e->logprob_rows = mem_alloc(n * sizeof *e->logprob_rows);
    e->lengths = mem_alloc(n * sizeof *e->lengths);
    if (!e->groups || !e->completions || !e->prompt || !e->ids || !e->logprobs || !e->id_rows ||
        !e->logprob_rows || !e->lengths)
        return err_no_memory(err, "the bench's tables", tokens * 8 + prompts * 4);
    struct rng_key key = {.seed = 2, .purpose = RNG_SYNTH};
    uint64_t vocab = (uint64_t)model_config(e->m)->vocab_size;
    for (size_t i = 0; i < prompts; i++)
        e->prompt[i] = (int)rng_below(&key, i, vocab);
    key.row = 1;
    for (size_t i = 0; i < tokens; i++)
        e->ids[i] = (int)rng_below(&key, i, vocab);
    for (size_t i = 0; i < n; i++) {
        size_t at = i * (size_t)longest(e->b);
        e->id_rows[i] = e->ids + at;
        e->logprob_rows[i] = e->logprobs + at;
        e->lengths[i] = e->b->sizes.completion;
        e->completions[i] = (struct completion){.ids = e->ids + at, .logprobs = e->logprobs + at};
    }
    return ERR_NONE;
}

static int open_engine(struct engine *e, struct err *err)
{
    struct bench *b = e->b;
    const struct setup *s = &b->setup;
    int context = b->sizes.prompt + longest(b);
    int status = b->weights.set.count
                     ? model_create(&e->m, b->o->device, &s->config, &b->weights.set, context, err)
                     : model_open(&e->m, b->o->device, b->model, context, err);
    if (!status)
        status = adapter_create(&e->a, e->m, &s->lora, 1, err);
    e->count = count_model(&s->config, &s->lora, b->o->device->precision);
    return status ? status : open_tables(e, err);
}

static void close_engine(struct engine *e)
{
    rollout_free(e->rollout);
    adapter_close(e->a);
    model_close(e->m);
    mem_free(e->groups);
    mem_free(e->completions);
    mem_free(e->prompt);
    mem_free(e->ids);
    mem_free(e->logprobs);
    mem_free(e->id_rows);
    mem_free(e->logprob_rows);
    mem_free(e->lengths);
}

/* --- decoding --- */

static bool watch(void *user, int group, int sample, const int *ids, int n)
{
    struct engine *e = user;
    (void)group, (void)sample, (void)ids;
    if (n == 1 && e->first == 0)
        e->first = clock_seconds();
    if (n == e->batch.length && e->end == 0)
        e->end = clock_seconds();
    return false;
}

/* The batch at hand, from its prompts on. */
static int decode(struct engine *e, struct err *err)
{
    const struct count_batch *c = &e->batch;
    struct rollout_options options = {
        .max_new_tokens = c->length, .temperature = 1, .finished = watch, .user = e};
    for (int g = 0; g < c->groups; g++)
        e->groups[g] = (struct group_request){.prompt_ids = e->prompt + (size_t)g * c->prompt,
                                              .prompt_len = c->prompt,
                                              .n = c->per_group,
                                              .key = {.seed = 1, .row = (uint64_t)g},
                                              .out = e->completions + g * c->per_group};
    e->first = e->end = 0;
    return rollout_run(e->rollout, e->a, &options, e->groups, c->groups, interrupt_requested, err);
}

static int prefill_once(void *context, double *seconds, struct err *err)
{
    struct engine *e = context;
    double started = clock_seconds();
    int status = decode(e, err);
    *seconds = clock_seconds() - started;
    return status;
}

static int decode_once(void *context, double *seconds, struct err *err)
{
    struct engine *e = context;
    int status = decode(e, err);
    *seconds = e->end - e->first;
    return status;
}

static int prefill_line(struct engine *e, struct err *err)
{
    e->batch = (struct count_batch){1, e->b->sizes.prompt, 1, 1};
    struct bench_work w = {
        .part = {count_prefill(&e->count, &e->batch), count_decode(&e->count, &e->batch, 0, 1)},
        .n = 2,
        .items = e->batch.prompt,
        .unit = "tokens"};
    return bench_repeat(e->b, "prefill", prefill_once, e, &w, err);
}

static int decode_line(struct engine *e, int batch, bool own, struct err *err)
{
    char name[32];
    const char *kind = batch == 1 ? "" : own ? "-own" : "-shared";
    snprintf(name, sizeof name, "decode-%d%s", batch, kind);
    e->batch = (struct count_batch){.groups = own ? batch : 1,
                                    .prompt = e->b->sizes.prompt,
                                    .per_group = own ? 1 : batch,
                                    .length = e->b->sizes.decoded};
    struct bench_work w = {.part = {count_decode(&e->count, &e->batch, 1, e->batch.length)},
                           .n = 1,
                           .items = (double)batch * (e->batch.length - 1),
                           .unit = "tokens"};
    return bench_repeat(e->b, name, decode_once, e, &w, err);
}

static int decode_lines(struct engine *e, struct err *err)
{
    const struct bench_sizes *s = &e->b->sizes;
    int status = rollout_create(&e->rollout, e->m, &e->b->setup.lora, LARGEST, LARGEST * s->prompt,
                                s->decoded, err);
    if (!status) {
        rollout_speculate(e->rollout, SPECULATION_OFF); /* a pass is a token, as the floor counts */
        status = prefill_line(e, err);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(batches); i++)
        for (int own = 0; own < (batches[i] > 1 ? 2 : 1) && !status; own++)
            status = decode_line(e, batches[i], own, err);
    rollout_free(e->rollout);
    e->rollout = NULL;
    return status;
}

/* --- scoring --- */

static int score_once(void *context, double *seconds, struct err *err)
{
    struct engine *e = context;
    struct score_request q = {.prompt_ids = e->prompt,
                              .prompt_len = e->batch.prompt,
                              .completion_ids = e->id_rows,
                              .completion_len = e->lengths,
                              .n = e->batch.per_group,
                              .logprobs = e->logprob_rows};
    double started = clock_seconds();
    int status = rollout_score(e->rollout, e->a, 1, &q, err);
    *seconds = clock_seconds() - started;
    return status;
}

static int score_line(struct engine *e, struct err *err)
{
    const struct bench_sizes *s = &e->b->sizes;
    e->batch = (struct count_batch){1, s->prompt, s->generations, s->completion};
    struct bench_work w = {.part = {count_score(&e->count, &e->batch)},
                           .n = 1,
                           .items = (double)s->generations * s->completion,
                           .unit = "tokens"};
    int status = rollout_create(&e->rollout, e->m, &e->b->setup.lora, s->generations, s->prompt,
                                s->completion, err);
    return status ? status : bench_repeat(e->b, "score", score_once, e, &w, err);
}

int bench_engine_lines(struct bench *b, struct err *err)
{
    struct engine e = {.b = b};
    int status = open_engine(&e, err);
    if (!status)
        status = decode_lines(&e, err);
    if (!status)
        status = score_line(&e, err);
    close_engine(&e);
    return status;
}

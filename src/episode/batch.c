/* batch.c: the path from rows to scored completions; see batch.h. */
#include "episode/batch.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "episode/asker.h"

struct storage {
    struct episode_sample *samples; /* (capacity · per_group) */
    int *ids;                       /* (capacity · per_group · max_new_tokens) */
    float *logprobs, *sampling_logprobs;
    double *values; /* (capacity · per_group · rewards) */
    struct reward_result *results;
    struct group_request *requests; /* (capacity) */
    struct completion *out;         /* (capacity · per_group) */
    struct slice *texts;            /* (capacity · per_group): what rewards see of the samples */
    asker *asker;                   /* NULL: no reward waits for a process */
    struct stop_watch *watches;     /* (capacity · per_group), made when stop strings come */
    int *matched;                   /* (capacity · per_group · stop strings) */
    int n_matched;                  /* stop strings that matched has room for */
    struct str piece;
};

static bool storage_alloc(struct storage *s, size_t groups, size_t samples, size_t tokens,
                          size_t rewards)
{
    s->samples = mem_calloc(samples, sizeof *s->samples);
    s->ids = mem_calloc(tokens, sizeof *s->ids);
    s->logprobs = mem_calloc(tokens, sizeof *s->logprobs);
    s->sampling_logprobs = mem_calloc(tokens, sizeof *s->sampling_logprobs);
    s->values = mem_calloc(samples * rewards + 1, sizeof *s->values);
    s->results = mem_calloc(samples * rewards + 1, sizeof *s->results);
    s->requests = mem_calloc(groups, sizeof *s->requests);
    s->out = mem_calloc(samples, sizeof *s->out);
    s->texts = mem_calloc(samples, sizeof *s->texts);
    return s->samples && s->ids && s->logprobs && s->sampling_logprobs && s->values && s->results &&
           s->requests && s->out && s->texts;
}

int episode_batch_create(struct episode_batch *b, int groups, int per_group, int max_new_tokens,
                         const struct reward_set *rewards, struct err *err)
{
    CHECK(groups > 0 && per_group > 0 && max_new_tokens > 0);
    size_t samples = (size_t)groups * (size_t)per_group;
    size_t tokens = samples * (size_t)max_new_tokens,
           n_rewards = rewards ? (size_t)rewards->count : 0;
    *b = (struct episode_batch){
        .capacity = groups, .per_group = per_group, .max_new_tokens = max_new_tokens};
    struct storage *s = b->storage = mem_calloc(1, sizeof *s);
    b->groups = mem_calloc((size_t)groups, sizeof *b->groups);
    int status = ERR_NONE;
    if (!s || !b->groups || !storage_alloc(s, (size_t)groups, samples, tokens, n_rewards))
        status = err_no_memory(err, "a batch of completions", tokens * 12);
    if (!status)
        status = asker_create(&s->asker, rewards, (int)samples, err);
    if (status) {
        episode_batch_free(b);
        return status;
    }
    for (size_t i = 0; i < samples; i++) {
        s->samples[i].completion.ids = s->ids + i * (size_t)max_new_tokens;
        s->samples[i].completion.logprobs = s->logprobs + i * (size_t)max_new_tokens;
        s->samples[i].completion.sampling_logprobs =
            s->sampling_logprobs + i * (size_t)max_new_tokens;
        s->samples[i].scored.values = s->values + i * n_rewards;
        s->samples[i].scored.results = s->results + i * n_rewards;
    }
    for (int g = 0; g < groups; g++)
        b->groups[g].samples = s->samples + (size_t)g * (size_t)per_group;
    return ERR_NONE;
}

void episode_batch_free(struct episode_batch *b)
{
    struct storage *s = b->storage;
    if (s)
        asker_free(s->asker); /* first: its threads read the texts */
    for (int g = 0; b->groups && g < b->capacity; g++) {
        for (int i = 0; i < b->per_group && s && s->samples; i++)
            str_free(&s->samples[(size_t)g * (size_t)b->per_group + (size_t)i].text);
        ids_free(&b->groups[g].prompt);
    }
    if (s) {
        mem_free(s->samples);
        mem_free(s->ids);
        mem_free(s->logprobs);
        mem_free(s->sampling_logprobs);
        mem_free(s->values);
        mem_free(s->results);
        mem_free(s->requests);
        mem_free(s->out);
        mem_free(s->texts);
        for (int i = 0; s->watches && i < b->capacity * b->per_group; i++)
            stop_watch_free(&s->watches[i]);
        mem_free(s->watches);
        mem_free(s->matched);
        str_free(&s->piece);
    }
    mem_free(s);
    mem_free(b->groups);
    *b = (struct episode_batch){0};
}

static int row_ids(const struct text_codec *codec, struct ids *out, const struct row *row,
                   struct err *err)
{
    if (!codec->tokenizer && row->messages)
        return err_set(
            err, ERR_INPUT, row->id,
            "the prompt is text but the model's folder has no tokenizer.json; add one or "
            "give \"prompt_ids\"");
    out->count = 0;
    int status = text_codec_row(codec, out, row, err);
    if (!status && out->count == 0)
        status =
            err_set(err, ERR_INPUT, row->id, "the prompt has no tokens; at least one is needed");
    return status;
}

int episode_encode(const struct episode *e, struct episode_batch *b, int max_prompt_tokens,
                   struct err *err)
{
    CHECK(b->count <= b->capacity);
    for (int g = 0; g < b->count; g++) {
        struct episode_group *group = &b->groups[g];
        int status = row_ids(e->codec, &group->prompt, group->row, err);
        if (!status && group->prompt.count > (size_t)max_prompt_tokens)
            status =
                err_set(err, ERR_INPUT, group->row->id,
                        "the prompt (line %ld) has %zu tokens, the limit is %d: shorten it, drop "
                        "the row or raise max_prompt_length; prompts are never cut",
                        group->row->line, group->prompt.count, max_prompt_tokens);
        if (status)
            return status;
    }
    return ERR_NONE;
}

/* --- judging --- */

static int decode(const struct episode *e, struct episode_sample *s, const struct completion *c,
                  struct err *err)
{
    str_clear(&s->text);
    int status = e->codec->tokenizer
                     ? text_codec_completion(e->codec, &s->text, c->ids, c->length, err)
                     : ERR_NONE;
    if (!status && s->text.failed)
        status = err_no_memory(err, "a completion's text", s->text.capacity);
    s->decoded = !status;
    return status;
}

static int decode_group(const struct episode *e, const struct episode_batch *b, int g,
                        struct err *err)
{
    struct episode_group *group = &b->groups[g];
    struct slice *texts = ((struct storage *)b->storage)->texts + g * b->per_group;
    for (int i = 0; i < group->n; i++) {
        struct episode_sample *s = &group->samples[i];
        int status = s->decoded ? ERR_NONE : decode(e, s, &s->completion, err);
        if (status)
            return status;
        texts[i] = (struct slice){str_text(&s->text), s->text.length};
    }
    return ERR_NONE;
}

/* The batch's asker, where it is one of this episode's rewards. */
static asker *asker_of(const struct episode *e, const struct episode_batch *b)
{
    asker *a = ((struct storage *)b->storage)->asker;
    return a && e->rewards == asker_set(a) ? a : NULL;
}

/* Asks about one completion: those rewards that want to see its group, or the others. A reward that
 * does not ask for the group is never shown it, whenever it is asked. */
static void ask(asker *a, const struct episode_batch *b, int g, int sample, bool with_group)
{
    const struct reward_set *set = asker_set(a);
    struct episode_group *group = &b->groups[g];
    struct slice *texts = ((struct storage *)b->storage)->texts + g * b->per_group;
    struct scored *scored = &group->samples[sample].scored;
    scored->ready = asker_items(a);
    for (int i = 0; i < set->count; i++) {
        if (!scored->ready[i] || asker_needs_group(a, i) != with_group)
            continue;
        scored->results[i] = (struct reward_result){.status = REWARD_NOT_APPLICABLE};
        if (!reward_set_applies(set, i, group->row))
            continue;
        struct reward_input in = episode_input(group->row, texts, group->n, sample);
        if (!with_group) {
            in.group = NULL;
            in.n_group = in.sample = 0;
        }
        asker_ask(a, i, &in, &scored->results[i]);
    }
}

/* Puts what is left to ask and waits for all answers. */
static void ask_rest(asker *a, const struct episode_batch *b)
{
    for (int g = 0; g < b->count; g++)
        for (int i = 0; i < b->groups[g].n; i++) {
            if (!b->groups[g].samples[i].scored.ready)
                ask(a, b, g, i, false);
            ask(a, b, g, i, true);
        }
    asker_wait(a);
}

static void begin_judging(struct episode_batch *b)
{
    for (int g = 0; g < b->count; g++)
        for (int i = 0; i < b->groups[g].n; i++) {
            b->groups[g].samples[i].decoded = false;
            b->groups[g].samples[i].scored.ready = NULL;
        }
}

static int judge(const struct episode *e, struct episode_batch *b, struct err *err)
{
    const struct storage *s = b->storage;
    asker *a = asker_of(e, b);
    double started = clock_seconds();
    int status = ERR_NONE;
    for (int g = 0; g < b->count && !status; g++)
        status = decode_group(e, b, g, err);
    if (a && !status)
        ask_rest(a, b);
    else if (a)
        asker_drop(a);
    if (a && !status && e->stop && e->stop()) /* questions were cut short */
        status = err_set(err, ERR_INTERRUPTED, "rewards", "interrupted");
    for (int g = 0; e->rewards && g < b->count && !status; g++) {
        struct episode_group *group = &b->groups[g];
        for (int i = 0; i < group->n; i++)
            episode_score(e->rewards, group->row, s->texts + g * b->per_group, group->n, i,
                          &group->samples[i].scored);
    }
    b->judge_seconds = clock_seconds() - started;
    return status;
}

int episode_judge(const struct episode *e, struct episode_batch *b, struct err *err)
{
    begin_judging(b);
    return judge(e, b, err);
}

/* --- during the rollout: stop strings, and rewards that are asked early --- */

/* What the rollout's callbacks need, and what went wrong in them. */
struct watching {
    const struct episode *e;
    struct episode_batch *b;
    struct err err;
    int status;
};

static bool watch_token(void *user, int group, int sample, const int *ids, int n)
{
    struct watching *w = user;
    struct storage *s = w->b->storage;
    struct stop_watch *watch = &s->watches[group * w->b->per_group + sample];
    bool hit = false;
    if (!w->status)
        w->status =
            stop_watch_next(watch, w->e->stops, w->e->codec, ids[n - 1], &s->piece, &hit, &w->err);
    return hit || w->status; /* after an error every completion ends, and with them the rollout */
}

static void ask_early(void *user, int group, int sample, const struct completion *c)
{
    struct watching *w = user;
    struct episode_sample *s = &w->b->groups[group].samples[sample];
    struct storage *storage = w->b->storage;
    if (!w->status)
        w->status = decode(w->e, s, c, &w->err);
    if (w->status)
        return;
    storage->texts[group * w->b->per_group + sample] =
        (struct slice){str_text(&s->text), s->text.length};
    ask(storage->asker, w->b, group, sample, false);
}

static int begin_watching(const struct episode *e, struct episode_batch *b, struct err *err)
{
    struct storage *s = b->storage;
    size_t n = (size_t)b->capacity * (size_t)b->per_group, count = (size_t)e->stops->count;
    if (!s->watches)
        s->watches = mem_calloc(n, sizeof *s->watches);
    if (s->n_matched < e->stops->count) {
        mem_free(s->matched);
        s->matched = mem_calloc(n * count, sizeof *s->matched);
        s->n_matched = s->matched ? e->stops->count : 0;
    }
    if (!s->watches || !s->matched)
        return err_no_memory(err, "the stop strings", n * count * sizeof *s->matched);
    int status = ERR_NONE;
    for (size_t i = 0; i < n && !status; i++) {
        s->watches[i].matched = s->matched + i * count;
        status = stop_watch_reset(&s->watches[i], e->stops, e->codec, err);
    }
    return status;
}

static int roll_out(const struct episode *e, const adapter *a,
                    const struct rollout_options *options, struct episode_batch *b, struct err *err)
{
    struct storage *s = b->storage;
    struct rollout_options watched = *options;
    struct watching w = {.e = e, .b = b};
    int status = ERR_NONE;
    if (e->stops && e->stops->count) {
        status = begin_watching(e, b, err);
        watched.finished = watch_token;
    }
    watched.user = &w;
    watched.ended = asker_of(e, b) ? ask_early : NULL;
    if (!status)
        status = rollout_run(e->rollout, a, &watched, s->requests, b->count, e->stop, err);
    if (!status && w.status && err)
        *err = w.err;
    status = status ? status : w.status;
    if (status && s->asker)
        asker_drop(s->asker);
    return status;
}

int episode_run(const struct episode *e, const adapter *a, const struct rollout_options *options,
                struct episode_batch *b, struct err *err)
{
    struct storage *s = b->storage;
    CHECK(b->count > 0 && b->count <= b->capacity && options->max_new_tokens <= b->max_new_tokens);
    for (int g = 0; g < b->count; g++) {
        struct episode_group *group = &b->groups[g];
        CHECK(group->n > 0 && group->n <= b->per_group);
        struct completion *out = s->out + (size_t)g * (size_t)b->per_group;
        for (int i = 0; i < group->n; i++)
            out[i] = group->samples[i].completion;
        s->requests[g] = (struct group_request){.prompt_ids = group->prompt.data,
                                                .prompt_len = (int)group->prompt.count,
                                                .n = group->n,
                                                .key = group->key,
                                                .first_sample = group->first_sample,
                                                .out = out};
    }
    b->warped = options->warpers && !warpers_neutral(options->warpers);
    begin_judging(b);
    int status = roll_out(e, a, options, b, err);
    if (status)
        return status;
    for (int g = 0; g < b->count; g++)
        for (int i = 0; i < b->groups[g].n; i++)
            b->groups[g].samples[i].completion = s->requests[g].out[i];
    return judge(e, b, err);
}

int episode_longest_prompt(const struct text_codec *codec, const struct dataset *d, int *tokens,
                           const struct row **longest, struct err *err)
{
    struct ids ids = {0};
    int status = ERR_NONE;
    *tokens = 0;
    *longest = NULL;
    for (size_t r = 0; r < d->count && !status; r++) {
        status = row_ids(codec, &ids, &d->rows[r], err);
        if (!status && ids.count > (size_t)*tokens) {
            *tokens = (int)ids.count;
            *longest = &d->rows[r];
        }
    }
    ids_free(&ids);
    if (status)
        err_prefix(err, d->path);
    return status;
}

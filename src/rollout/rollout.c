/* rollout.c: batched generation and scoring; see rollout.h.
 *
 * Keys and values live in one cache, cut into a prompt region and one stretch of rows per sequence:
 *
 *   | prefixes of the wave's groups … | own rows of sequence 0 | own rows of sequence 1 | …
 *
 * A prefix is the prompt without its last token; a sequence's own rows start with that last token
 * (its first decoding step feeds it), then hold the tokens it has drawn. Groups are taken in waves:
 * as many as fit side by side. Within a wave every pass decodes a token of every sequence still
 * alive, and with speculation (speculate.h) further ones of some; one that ends leaves the tables,
 * its cache rows stay where they are. */
#include "rollout/rollout.h"
#include <math.h>
#include <string.h>
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "rollout/speculate.h"

enum { KV_MOST_ROWS = 1 << 30 }; /* of a cache */
enum { COLD_PASSES = 2 };        /* of a wave: other work has the caches, their times say nothing */
enum { PASS_ROWS = 512 }; /* rows of a prefill or scoring pass: enough to keep the kernels busy */

struct sequence {
    int group, sample; /* index into the requests, and within the group */
    int slot;          /* of the wave: its stretch of cache rows, its set of seen ids */
    int prefix_row, prefix_len, own_row;
    int length; /* tokens drawn */
    int last;   /* the token to feed next */
    int row;    /* of the pass: where it is fed; guesses follow */
};

struct rollout {
    model *m;
    struct kv_cache kv;
    workspace *w;
    float *hidden;               /* (pass_rows, H) device */
    float *logits, *logits_host; /* (vocabulary) device, host: of rollout_logits */
    int max_sequences, max_prompt_tokens, max_new_tokens, pass_rows;
    /* host tables of a pass, (pass_rows) */
    int *ids, *positions, *kv_rows, *targets;
    struct attn_span *spans;
    float *logp, *entropy;
    double *uniforms;
    struct sequence *live; /* (max_sequences) */
    /* Under warpers; the sets are made when a penalty is first asked for. */
    float *sampling_logp;     /* (pass_rows) */
    const uint32_t **seen_of; /* (pass_rows): the row's set */
    uint32_t *seen;           /* (seen_sets, seen_words): bit v: the sequence holds id v */
    size_t seen_words;
    enum speculation speculation;
    drafter *drafter;
    struct pace pace;
    int wave_passes;                /* since the wave began */
    struct speculated *speculated;  /* (max_sequences): of each slot */
    struct speculated **guesses_of; /* (max_sequences): of each live sequence */
    int *guess_room;                /* (max_sequences): the same */
    struct rollout_counts counts;
};

const char *stop_reason_name(enum stop_reason reason)
{
    static const char *const names[] = {"eos", "length", "stop"};
    return names[reason];
}

int rollout_pass_rows(int max_sequences, int max_prompt_tokens, int max_new_tokens)
{
    int rows = max_prompt_tokens > max_new_tokens ? max_prompt_tokens : max_new_tokens;
    rows = rows < PASS_ROWS ? rows : PASS_ROWS;
    return rows > max_sequences ? rows : max_sequences;
}

int rollout_prompt_room(int prompts, int longest)
{
    long long tokens = (long long)prompts * longest;
    return tokens < KV_MOST_ROWS ? (int)tokens : KV_MOST_ROWS;
}

static int whole_blocks(int rows)
{
    return (rows + KV_ALIGN - 1) / KV_ALIGN * KV_ALIGN;
}

/* Prompts start at whole blocks and completions where their prompt ended in its own, which leaves
 * up to two blocks a group unused. Where that is too little for many groups of full length, a wave
 * takes one group less. */
static int kv_rows_for(int max_sequences, int max_prompt_tokens, int max_new_tokens)
{
    enum { GROUPS = 4 };
    int groups = max_sequences < GROUPS ? max_sequences : GROUPS;
    long long rows = whole_blocks(max_prompt_tokens) +
                     (long long)max_sequences * whole_blocks(max_new_tokens) +
                     groups * 2 * KV_ALIGN;
    return rows < KV_MOST_ROWS ? (int)rows : KV_MOST_ROWS;
}

/* Sets of seen ids: one of each sequence, others for rows that are fed guesses. */
static int seen_sets(const rollout *r)
{
    return 2 * r->max_sequences + DRAFT_MOST;
}

/* What the completions of several generations teach. */
static size_t tokens_to_learn(int max_sequences, int max_new_tokens)
{
    return 4 * (size_t)max_sequences * (size_t)max_new_tokens;
}

size_t rollout_bytes(const struct device *d, const struct hf_config *config,
                     const struct peft_config *lora, int max_sequences, int max_prompt_tokens,
                     int max_new_tokens)
{
    int rows = rollout_pass_rows(max_sequences, max_prompt_tokens, max_new_tokens);
    return kv_cache_bytes(d, config,
                          kv_rows_for(max_sequences, max_prompt_tokens, max_new_tokens)) +
           workspace_bytes(d, config, lora, rows) +
           (size_t)rows * (size_t)config->hidden_size * sizeof(float) +
           2 * (size_t)config->vocab_size * sizeof(float) +
           drafter_bytes(tokens_to_learn(max_sequences, max_new_tokens)) +
           (size_t)max_sequences * sizeof(struct speculated);
}

/* The host tables. */
static bool make_tables(rollout *r)
{
    size_t n = (size_t)r->pass_rows, sequences = (size_t)r->max_sequences;
    r->logits_host = mem_alloc((size_t)model_config(r->m)->vocab_size * sizeof *r->logits_host);
    r->ids = mem_alloc(n * sizeof *r->ids);
    r->positions = mem_alloc(n * sizeof *r->positions);
    r->kv_rows = mem_alloc(n * sizeof *r->kv_rows);
    r->targets = mem_alloc(n * sizeof *r->targets);
    r->spans = mem_alloc(n * sizeof *r->spans);
    r->logp = mem_alloc(n * sizeof *r->logp);
    r->entropy = mem_alloc(n * sizeof *r->entropy);
    r->uniforms = mem_alloc(n * sizeof *r->uniforms);
    r->live = mem_alloc(sequences * sizeof *r->live);
    r->sampling_logp = mem_alloc(n * sizeof *r->sampling_logp);
    r->seen_of = mem_alloc(n * sizeof *r->seen_of);
    r->speculated = mem_calloc(sequences, sizeof *r->speculated);
    r->guesses_of = mem_alloc(sequences * sizeof *r->guesses_of);
    r->guess_room = mem_alloc(sequences * sizeof *r->guess_room);
    return r->logits_host && r->ids && r->positions && r->kv_rows && r->targets && r->spans &&
           r->logp && r->entropy && r->uniforms && r->live && r->sampling_logp && r->seen_of &&
           r->speculated && r->guesses_of && r->guess_room;
}

static int make_rows(rollout *r, struct err *err)
{
    struct device *d = model_device(r->m);
    const struct hf_config *c = model_config(r->m);
    size_t stream = (size_t)r->pass_rows * (size_t)c->hidden_size * sizeof(float);
    r->hidden = d->ops->alloc(d, stream, err);
    r->logits = r->hidden ? d->ops->alloc(d, (size_t)c->vocab_size * sizeof(float), err) : NULL;
    return r->logits ? ERR_NONE : ERR_MACHINE;
}

int rollout_create(rollout **out, model *m, const struct peft_config *lora, int max_sequences,
                   int max_prompt_tokens, int max_new_tokens, struct err *err)
{
    *out = NULL;
    CHECK(max_sequences > 0 && max_prompt_tokens > 0 && max_new_tokens > 0);
    if (kv_rows_for(max_sequences, max_prompt_tokens, max_new_tokens) == KV_MOST_ROWS)
        return err_set(err, ERR_MACHINE, "rollout",
                       "%d sequences of %d tokens side by side are more than a cache can hold: "
                       "decode fewer at a time, or make them shorter",
                       max_sequences, max_new_tokens);
    rollout *r = mem_calloc(1, sizeof *r);
    if (!r)
        return err_no_memory(err, "the rollout", sizeof *r);
    r->m = m;
    r->max_sequences = max_sequences;
    r->max_prompt_tokens = max_prompt_tokens;
    r->max_new_tokens = max_new_tokens;
    r->pass_rows = rollout_pass_rows(max_sequences, max_prompt_tokens, max_new_tokens);
    int status =
        make_tables(r) ? ERR_NONE : err_no_memory(err, "the rollout", (size_t)r->pass_rows);
    if (!status)
        status = drafter_create(&r->drafter, tokens_to_learn(max_sequences, max_new_tokens), err);
    if (!status)
        status = kv_cache_create(
            &r->kv, m, kv_rows_for(max_sequences, max_prompt_tokens, max_new_tokens), err);
    if (!status)
        status = workspace_create(&r->w, m, lora, r->pass_rows, err);
    if (!status)
        status = make_rows(r, err);
    if (status)
        rollout_free(r);
    else
        *out = r;
    return status;
}

void rollout_free(rollout *r)
{
    if (!r)
        return;
    struct device *d = model_device(r->m);
    d->ops->free(d, r->hidden);
    d->ops->free(d, r->logits);
    mem_free(r->logits_host);
    workspace_free(r->w);
    kv_cache_free(&r->kv);
    mem_free(r->ids);
    mem_free(r->positions);
    mem_free(r->kv_rows);
    mem_free(r->targets);
    mem_free(r->spans);
    mem_free(r->logp);
    mem_free(r->entropy);
    mem_free(r->uniforms);
    mem_free(r->live);
    mem_free(r->sampling_logp);
    mem_free(r->seen_of);
    mem_free(r->seen);
    drafter_free(r->drafter);
    mem_free(r->speculated);
    mem_free(r->guesses_of);
    mem_free(r->guess_room);
    mem_free(r);
}

void rollout_speculate(rollout *r, enum speculation how)
{
    r->speculation = how;
}

struct rollout_counts rollout_counts(const rollout *r)
{
    return r->counts;
}

struct rollout_counts rollout_counts_since(const rollout *r, const struct rollout_counts *before)
{
    return (struct rollout_counts){.passes = r->counts.passes - before->passes,
                                   .drafted = r->counts.drafted - before->drafted,
                                   .accepted = r->counts.accepted - before->accepted,
                                   .tokens = r->counts.tokens - before->tokens,
                                   .seconds = r->counts.seconds - before->seconds};
}

/* Keys and values of ids[0 … len) at positions 0 … into cache rows from `row`. */
static void prefill(rollout *r, const adapter *a, const int *ids, int len, int row)
{
    for (int from = 0; from < len; from += r->pass_rows) {
        int n = len - from < r->pass_rows ? len - from : r->pass_rows;
        for (int i = 0; i < n; i++) {
            r->positions[i] = from + i;
            r->kv_rows[i] = row + from + i;
        }
        struct attn_span span = {.q_row = 0, .n_q = n, .own_row = row, .own_pos = from};
        struct batch batch = {n, ids + from, r->positions, r->kv_rows, &span, 1};
        model_forward(r->m, a, &r->kv, r->w, NULL, &batch);
    }
}

static int check_prompt(const rollout *r, const int *ids, int len, int more, struct err *err)
{
    const struct hf_config *c = model_config(r->m);
    if (len < 1)
        return err_set(err, ERR_INPUT, "prompt", "has no tokens; at least one is needed");
    for (int i = 0; i < len; i++)
        if (ids[i] < 0 || ids[i] >= c->vocab_size)
            return err_set(err, ERR_INPUT, "prompt",
                           "token %d is id %d, the model's vocabulary is 0 to %d", i, ids[i],
                           c->vocab_size - 1);
    if (len - 1 > r->max_prompt_tokens)
        return err_set(err, ERR_INPUT, "prompt", "has %d tokens, room was made for %d", len,
                       r->max_prompt_tokens);
    if (len - 1 + more > model_max_context(r->m))
        return err_set(err, ERR_INPUT, "prompt",
                       "%d prompt tokens and %d new ones exceed the model's context of %d: "
                       "shorten the prompt or max_completion_length",
                       len, more, model_max_context(r->m));
    return ERR_NONE;
}

/* --- generation --- */

static bool is_eos(const struct rollout_options *o, int id)
{
    for (int i = 0; i < o->n_eos; i++)
        if (o->eos[i] == id)
            return true;
    return false;
}

/* Whether tokens are drawn from something else than the whole distribution. */
static bool is_warped(const struct rollout_options *o)
{
    return o->warpers && !warpers_neutral(o->warpers);
}

static bool has_penalty(const struct rollout_options *o)
{
    return o->warpers && o->warpers->repetition_penalty != 1;
}

static uint32_t *seen_set(rollout *r, int set)
{
    return r->seen + (size_t)set * r->seen_words;
}

static void see(uint32_t *set, int id)
{
    set[(size_t)id / 32] |= 1u << (id % 32);
}

/* The set of a new sequence: its prompt's ids. */
static void see_prompt(rollout *r, int slot, const struct group_request *g)
{
    memset(seen_set(r, slot), 0, r->seen_words * sizeof *r->seen);
    for (int i = 0; i < g->prompt_len; i++)
        see(seen_set(r, slot), g->prompt_ids[i]);
}

static int make_seen(rollout *r, const struct rollout_options *o, struct err *err)
{
    if (!has_penalty(o) || r->seen)
        return ERR_NONE;
    r->seen_words = ((size_t)model_config(r->m)->vocab_size + 31) / 32;
    size_t bytes = (size_t)seen_sets(r) * r->seen_words * sizeof *r->seen;
    r->seen = mem_alloc(bytes);
    return r->seen ? ERR_NONE : err_no_memory(err, "the ids that sequences hold", bytes);
}

/* The ids that the row at `at` has behind it: its sequence's, and the guesses fed up to it. */
static const uint32_t *seen_by(rollout *r, const struct sequence *s, int at, int *set)
{
    if (at == s->row)
        return seen_set(r, s->slot);
    CHECK(at > 0 && r->seen_of[at - 1] && *set < seen_sets(r));
    uint32_t *mine = seen_set(r, (*set)++);
    memcpy(mine, r->seen_of[at - 1], r->seen_words * sizeof *mine);
    see(mine, r->ids[at]);
    return mine;
}

/* Guesses for the live sequences; how many. */
static int guess(rollout *r, const struct rollout_options *o, int n)
{
    int room = r->pass_rows;
    if (has_penalty(o) && n + seen_sets(r) - r->max_sequences < room)
        room = n + seen_sets(r) - r->max_sequences;
    for (int i = 0; i < n; i++) {
        r->guesses_of[i] = &r->speculated[r->live[i].slot];
        r->guess_room[i] = o->max_new_tokens - r->live[i].length - 1;
    }
    struct speculation_call call = {r->guesses_of, r->guess_room, n, room, o->eos, o->n_eos};
    return speculate(r->drafter, &r->pace, &call, r->speculation == SPECULATION_ALWAYS);
}

/* The pass's tables: of each live sequence its last token and its guesses. Returns the rows. */
static int lay_rows(rollout *r, const struct rollout_options *o, const struct group_request *groups,
                    int n)
{
    int rows = 0, set = r->max_sequences;
    for (int i = 0; i < n; i++) {
        struct sequence *s = &r->live[i];
        const struct speculated *g = &r->speculated[s->slot];
        struct rng_key key = groups[s->group].key;
        key.sample = (uint64_t)groups[s->group].first_sample + (uint64_t)s->sample;
        s->row = rows;
        for (int k = 0; k <= g->n; k++, rows++) {
            int at = s->length + k;
            r->ids[rows] = k ? g->ids[k - 1] : s->last;
            r->positions[rows] = s->prefix_len + at;
            r->kv_rows[rows] = s->own_row + at;
            r->uniforms[rows] = rng_uniform(&key, (uint64_t)at);
            r->seen_of[rows] = has_penalty(o) ? seen_by(r, s, rows, &set) : NULL;
        }
        r->spans[i] = (struct attn_span){s->row,        rows - s->row, s->prefix_row,
                                         s->prefix_len, s->own_row,    s->length};
    }
    return rows;
}

/* Feeds each live sequence's last token, and guesses behind it; draws what follows each of them,
 * into targets and logp. Returns the rows. */
static int draw_pass(rollout *r, const adapter *a, const struct rollout_options *o,
                     const struct group_request *groups, int n)
{
    int rows = lay_rows(r, o, groups, n);
    struct batch batch = {rows, r->ids, r->positions, r->kv_rows, r->spans, n};
    struct device *d = model_device(r->m);
    model_forward(r->m, a, &r->kv, r->w, r->hidden, &batch);
    struct warp warp = {.seen = r->seen_of, .logp = r->sampling_logp};
    if (is_warped(o))
        warp.how = *o->warpers;
    d->ops->next_token(d, r->targets, r->logp, r->hidden, model_head(r->m), r->uniforms,
                       (float)o->temperature, is_warped(o) ? &warp : NULL, rows);
    return rows;
}

/* Appends a row's draw to its completion; true when that has ended. */
static bool take_draw(rollout *r, const struct rollout_options *o, struct group_request *groups,
                      struct sequence *s, int row)
{
    struct completion *c = &groups[s->group].out[s->sample];
    int id = r->targets[row];
    c->ids[s->length] = id;
    c->logprobs[s->length] = r->logp[row];
    if (c->sampling_logprobs && is_warped(o))
        c->sampling_logprobs[s->length] = r->sampling_logp[row];
    if (has_penalty(o))
        see(seen_set(r, s->slot), id);
    if (r->speculation != SPECULATION_OFF)
        draft_learn(r->drafter, &r->speculated[s->slot].place, id);
    s->length++;
    s->last = id;
    if (is_eos(o, id))
        c->stop = STOP_EOS;
    else if (o->finished && o->finished(o->user, s->group, s->sample, c->ids, s->length))
        c->stop = STOP_STRING;
    else if (s->length == o->max_new_tokens)
        c->stop = STOP_LENGTH;
    else
        return false;
    c->length = s->length;
    if (o->ended)
        o->ended(o->user, s->group, s->sample, c);
    return true;
}

/* Takes a sequence's draws as long as what was fed before them is what was drawn. */
static int take_draws(rollout *r, const struct rollout_options *o, struct group_request *groups,
                      struct sequence *s, bool *ended, struct err *err)
{
    const struct speculated *g = &r->speculated[s->slot];
    *ended = false;
    for (int k = 0; !*ended && (k == 0 || (k <= g->n && s->last == g->ids[k - 1])); k++) {
        int row = s->row + k;
        if (r->targets[row] < 0 || !isfinite(r->logp[row]))
            return err_set(err, ERR_MACHINE, "rollout",
                           "logits are not finite at token %d of sample %d (row key %016llx): "
                           "the weights or the adapter have diverged",
                           s->length, s->sample, (unsigned long long)groups[s->group].key.row);
        *ended = take_draw(r, o, groups, s, row);
        r->counts.tokens++;
        r->counts.accepted += k > 0;
    }
    return ERR_NONE;
}

/* What came of the guesses of all live sequences, before any of them teaches the others. */
static void judge_guesses(rollout *r, int n)
{
    for (int i = 0; i < n; i++) {
        const struct sequence *s = &r->live[i];
        const struct speculated *g = &r->speculated[s->slot];
        struct draft_place place = g->place;
        const int *drawn = r->targets + s->row;
        for (int k = 0; k == 0 || (k <= g->n && drawn[k - 1] == g->ids[k - 1]); k++) {
            draft_judge(r->drafter, &place, drawn[k]);
            draft_move(&place, drawn[k]);
        }
    }
}

/* One pass: draws each live sequence's next token, or several, and drops those that end. */
static int decode_pass(rollout *r, const adapter *a, const struct rollout_options *o,
                       struct group_request *groups, int *n_live, struct err *err)
{
    int n = *n_live, kept = 0;
    int guesses = r->speculation == SPECULATION_OFF ? 0 : guess(r, o, n);
    long long before = r->counts.tokens;
    /* (Beside a device other than the CPU it would be the clock on the wall that counts.) */
    double started = clock_seconds(), computing = clock_processor();
    int rows = draw_pass(r, a, o, groups, n);
    r->counts.seconds += clock_seconds() - started;
    computing = clock_processor() - computing;
    if (r->speculation != SPECULATION_OFF)
        judge_guesses(r, n);
    for (int i = 0; i < n; i++) {
        struct sequence s = r->live[i];
        bool ended;
        int status = take_draws(r, o, groups, &s, &ended, err);
        if (status)
            return status;
        if (!ended)
            r->live[kept++] = s;
    }
    *n_live = kept;
    r->counts.passes++;
    r->counts.drafted += guesses;
    if (r->speculation != SPECULATION_OFF && r->wave_passes++ >= COLD_PASSES)
        pace_saw(&r->pace, rows, n, (int)(r->counts.tokens - before), computing);
    return ERR_NONE;
}

/* Where the next wave starts: a group and a sample in it (a group may be larger than a wave). */
struct cursor {
    int group, sample;
};

/* Fills the live table from the cursor on, computing each group's prefix; returns the number. */
static int begin_wave(rollout *r, const adapter *a, const struct rollout_options *o,
                      struct group_request *groups, int n_groups, struct cursor *at)
{
    int n = 0, tokens = 0, next_row = 0; /* of the cache */
    r->wave_passes = 0;
    while (at->group < n_groups && n < r->max_sequences) {
        const struct group_request *g = &groups[at->group];
        int prefix_len = g->prompt_len - 1, prefix_row = whole_blocks(next_row);
        int own_row = kv_own_row(prefix_row + prefix_len, prefix_len);
        tokens += prefix_len;
        if (tokens > r->max_prompt_tokens || own_row + r->max_new_tokens > r->kv.rows)
            break;
        struct speculated fresh = {.n = 0};
        if (r->speculation != SPECULATION_OFF)
            draft_prompt(r->drafter, &fresh.place, g->prompt_ids, g->prompt_len);
        prefill(r, a, g->prompt_ids, prefix_len, prefix_row);
        while (at->sample < g->n && n < r->max_sequences &&
               own_row + r->max_new_tokens <= r->kv.rows) {
            if (has_penalty(o))
                see_prompt(r, n, g);
            r->speculated[n] = fresh;
            r->live[n] = (struct sequence){.group = at->group,
                                           .slot = n,
                                           .sample = at->sample++,
                                           .prefix_row = prefix_row,
                                           .prefix_len = prefix_len,
                                           .own_row = own_row,
                                           .last = g->prompt_ids[prefix_len]};
            n++;
            next_row = own_row + r->max_new_tokens;
            own_row = kv_own_row(next_row, prefix_len);
        }
        if (at->sample < g->n)
            break;
        *at = (struct cursor){at->group + 1, 0};
    }
    return n;
}

int rollout_run(rollout *r, const adapter *a, const struct rollout_options *options,
                struct group_request *groups, int n_groups, bool (*stop)(void), struct err *err)
{
    CHECK(options->max_new_tokens > 0 && options->max_new_tokens <= r->max_new_tokens);
    for (int g = 0; g < n_groups; g++) {
        int status = check_prompt(r, groups[g].prompt_ids, groups[g].prompt_len,
                                  options->max_new_tokens, err);
        if (status)
            return status;
    }
    int status = make_seen(r, options, err);
    if (status)
        return status;
    struct cursor at = {0, 0};
    while (at.group < n_groups) {
        int n_live = begin_wave(r, a, options, groups, n_groups, &at);
        while (n_live > 0) {
            if (stop && stop())
                return err_set(err, ERR_INTERRUPTED, "rollout", "interrupted");
            status = decode_pass(r, a, options, groups, &n_live, err);
            if (status)
                return status;
        }
    }
    return ERR_NONE;
}

/* --- scoring --- */

/* Rows gathered for one pass: whole completions, or a stretch of one that is longer than a pass. */
struct gathered {
    int rows, spans;
    int next_row; /* first free cache row */
};

static void gather(rollout *r, struct gathered *g, const struct score_request *q, int c, int from,
                   int n, int own_row)
{
    int prefix_len = q->prompt_len - 1;
    r->spans[g->spans++] = (struct attn_span){g->rows, n, 0, prefix_len, own_row, from};
    for (int t = from; t < from + n; t++, g->rows++) {
        r->ids[g->rows] = t ? q->completion_ids[c][t - 1] : q->prompt_ids[prefix_len];
        r->targets[g->rows] = q->completion_ids[c][t];
        r->positions[g->rows] = prefix_len + t;
        r->kv_rows[g->rows] = own_row + t;
    }
}

static void score_pass(rollout *r, const adapter *a, float temperature, const struct gathered *g)
{
    struct batch batch = {g->rows, r->ids, r->positions, r->kv_rows, r->spans, g->spans};
    struct device *d = model_device(r->m);
    model_forward(r->m, a, &r->kv, r->w, r->hidden, &batch);
    d->ops->logprob(d, r->logp, r->entropy, NULL, r->hidden, model_head(r->m), r->targets,
                    temperature, g->rows);
}

static void keep_scores(const rollout *r, const struct score_request *q, int row, int c, int from,
                        int n)
{
    memcpy(q->logprobs[c] + from, r->logp + row, (size_t)n * sizeof *r->logp);
    if (q->entropies)
        memcpy(q->entropies[c] + from, r->entropy + row, (size_t)n * sizeof *r->entropy);
}

/* A completion longer than a pass, in stretches. */
static void score_long(rollout *r, const adapter *a, float temperature,
                       const struct score_request *q, int c)
{
    int length = q->completion_len[c];
    for (int from = 0; from < length; from += r->pass_rows) {
        int n = length - from < r->pass_rows ? length - from : r->pass_rows;
        struct gathered g = {0};
        gather(r, &g, q, c, from, n, q->prompt_len - 1);
        score_pass(r, a, temperature, &g);
        keep_scores(r, q, 0, c, from, n);
    }
}

static int check_request(const rollout *r, const struct score_request *q, struct err *err)
{
    int longest = 0, vocab = model_config(r->m)->vocab_size;
    for (int c = 0; c < q->n; c++) {
        longest = q->completion_len[c] > longest ? q->completion_len[c] : longest;
        for (int t = 0; t < q->completion_len[c]; t++)
            if (q->completion_ids[c][t] < 0 || q->completion_ids[c][t] >= vocab)
                return err_set(err, ERR_INPUT, "completion",
                               "token %d is id %d, the model's vocabulary is 0 to %d", t,
                               q->completion_ids[c][t], vocab - 1);
    }
    int status = check_prompt(r, q->prompt_ids, q->prompt_len, longest, err);
    if (!status && q->prompt_len - 1 + longest > r->kv.rows)
        status = err_set(err, ERR_INPUT, "completion",
                         "%d prompt and %d completion tokens need more than the %d cache rows "
                         "that were planned",
                         q->prompt_len, longest, r->kv.rows);
    return status;
}

int rollout_score(rollout *r, const adapter *a, double temperature, const struct score_request *q,
                  struct err *err)
{
    int status = check_request(r, q, err);
    if (status)
        return status;
    float t = temperature > 0 ? (float)temperature : 1.0f;
    int prefix_len = q->prompt_len - 1;
    prefill(r, a, q->prompt_ids, prefix_len, 0);
    for (int c = 0; c < q->n;) {
        if (q->completion_len[c] > r->pass_rows) {
            score_long(r, a, t, q, c++);
            continue;
        }
        struct gathered g = {.next_row = prefix_len};
        int first = c;
        for (; c < q->n && g.rows + q->completion_len[c] <= r->pass_rows; c++) {
            int length = q->completion_len[c], own_row = kv_own_row(g.next_row, prefix_len);
            if (own_row + length > r->kv.rows)
                break;
            if (!length)
                continue;
            gather(r, &g, q, c, 0, length, own_row);
            g.next_row = own_row + length;
        }
        if (g.rows)
            score_pass(r, a, t, &g);
        for (int row = 0; first < c; first++) {
            keep_scores(r, q, row, first, 0, q->completion_len[first]);
            row += q->completion_len[first];
        }
    }
    return ERR_NONE;
}

int rollout_logits(rollout *r, const adapter *a, const int *prompt_ids, int prompt_len,
                   const int *ids, int n, rollout_visit *visit, void *user, struct err *err)
{
    struct device *d = model_device(r->m);
    const struct hf_config *config = model_config(r->m);
    struct score_request q = {.prompt_ids = prompt_ids,
                              .prompt_len = prompt_len,
                              .completion_ids = &ids,
                              .completion_len = &n,
                              .n = 1};
    CHECK(n > 0 && n <= r->pass_rows);
    int status = check_request(r, &q, err);
    if (status)
        return status;
    struct gathered g = {0};
    prefill(r, a, prompt_ids, prompt_len - 1, 0);
    gather(r, &g, &q, 0, 0, n, prompt_len - 1);
    struct batch batch = {g.rows, r->ids, r->positions, r->kv_rows, r->spans, g.spans};
    model_forward(r->m, a, &r->kv, r->w, r->hidden, &batch);
    for (int t = 0; t < n; t++) {
        d->ops->logits(d, r->logits, r->hidden + (size_t)t * (size_t)config->hidden_size,
                       model_head(r->m), 1);
        d->ops->download(d, r->logits_host, r->logits, (size_t)config->vocab_size * sizeof(float));
        visit(user, t, r->logits_host);
    }
    return ERR_NONE;
}

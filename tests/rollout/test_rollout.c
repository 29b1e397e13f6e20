/* test_rollout.c: generation and scoring on tiny models, bit for bit. The sampler's
 * log-probabilities are the scorer's and the trainer's; a draw depends on its key alone: not on
 * neighbours, order, waves, threads, or what the caches held before. On every instruction set, in
 * f32 and bf16. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "../support/tiny.h"

static const char *const cases[] = {"qwen3_tied", "llama_untied", "qwen2_untied", NULL};
static const int eos_ids[] = {2, 7, 11, 20, 31}; /* several, so that lengths differ */
static const double hot = 1.3;

enum { ROOM = 24 };

static const struct rollout_options sampling = {
    .max_new_tokens = ROOM, .temperature = 1.3, .eos = eos_ids, .n_eos = 5};

/* The completions of one group, with their memory. */
struct answers {
    int ids[TINY_MAX_COMPLETIONS][ROOM];
    float logp[TINY_MAX_COMPLETIONS][ROOM], sampling[TINY_MAX_COMPLETIONS][ROOM];
    struct completion c[TINY_MAX_COMPLETIONS];
};

static void prepare(struct answers *out)
{
    memset(out, 0xEE, sizeof *out);
    for (int i = 0; i < TINY_MAX_COMPLETIONS; i++)
        out->c[i] = (struct completion){
            .ids = out->ids[i], .logprobs = out->logp[i], .sampling_logprobs = out->sampling[i]};
}

static struct rng_key key_of(uint64_t row)
{
    return (struct rng_key){.seed = 42, .purpose = RNG_SAMPLE, .step = 3, .row = row};
}

static struct group_request request(const int *prompt, int prompt_len, int n, uint64_t row,
                                    struct answers *out)
{
    prepare(out);
    return (struct group_request){prompt, prompt_len, n, key_of(row), 0, out->c};
}

static void run(struct tiny *t, int max_sequences, int max_prompt,
                const struct rollout_options *options, struct group_request *groups, int n)
{
    struct err err = {0};
    rollout *r;
    tiny_ok(rollout_create(&r, t->m, adapter_config(t->a), max_sequences, max_prompt,
                           options->max_new_tokens, &err),
            &err);
    tiny_ok(rollout_run(r, t->a, options, groups, n, NULL, &err), &err);
    rollout_free(r);
}

static void same_completion(const struct completion *a, const struct completion *b)
{
    assert_int_equal(a->length, b->length);
    assert_int_equal(a->stop, b->stop);
    assert_memory_equal(a->ids, b->ids, (size_t)a->length * sizeof(int));
    assert_memory_equal(a->logprobs, b->logprobs, (size_t)a->length * sizeof(float));
}

/* Under warpers; without, the sampling log-probabilities are left as they were. */
static void same_sampling(const struct answers *a, const struct answers *b, int i)
{
    assert_memory_equal(a->sampling[i], b->sampling[i], sizeof a->sampling[i]);
}

static void same_answers(const struct answers *a, const struct answers *b, int n)
{
    for (int i = 0; i < n; i++)
        same_completion(&a->c[i], &b->c[i]);
}

/* Puts a group into the trainer's place. */
static void take_over(struct tiny *t, const struct group_request *g)
{
    memcpy(t->prompt, g->prompt_ids, (size_t)g->prompt_len * sizeof(int));
    t->prompt_len = g->prompt_len;
    t->n = g->n;
    for (int i = 0; i < g->n; i++) {
        t->len[i] = g->out[i].length;
        memcpy(t->ids[i], g->out[i].ids, (size_t)t->len[i] * sizeof(int));
    }
}

static float (*scores(void))[TINY_MAX_TOKENS]
{
    return malloc(sizeof(float[TINY_MAX_COMPLETIONS][TINY_MAX_TOKENS]));
}

/* Sampler == scorer == trainer, for one group's completions. */
static void check_three_ways(struct tiny *t, const struct group_request *g, double temperature)
{
    float(*scored)[TINY_MAX_TOKENS] = scores(), (*trained)[TINY_MAX_TOKENS] = scores();
    take_over(t, g);
    tiny_score(t, (float)temperature, scored, NULL);
    tiny_gradient(t, 3, (float)temperature, trained, NULL);
    for (int i = 0; i < g->n; i++) {
        size_t bytes = (size_t)t->len[i] * sizeof(float);
        assert_memory_equal(g->out[i].logprobs, scored[i], bytes);
        assert_memory_equal(g->out[i].logprobs, trained[i], bytes);
    }
    free(scored);
    free(trained);
}

/* Three prompts (one of a single token: no prefix at all) and their groups. */
struct scene {
    int prompts[3][32], lengths[3], n[3];
    struct answers out[3];
    struct group_request groups[3];
};

static struct scene *scene_new(const struct tiny *t)
{
    struct scene *s = malloc(sizeof *s);
    static const int lengths[] = {9, 1, 23}, n[] = {5, 16, 3};
    for (int i = 0; i < 3; i++) {
        s->lengths[i] = lengths[i];
        s->n[i] = n[i];
        tiny_random_ids(t, s->prompts[i], lengths[i], 100 + (uint64_t)i);
        s->groups[i] = request(s->prompts[i], lengths[i], n[i], 70 + (uint64_t)i, &s->out[i]);
    }
    return s;
}

static void check_agreement(const char *name, const char *isa, enum precision precision)
{
    struct tiny t;
    tiny_open(&t, name, isa, precision, 1);
    struct scene *s = scene_new(&t);
    run(&t, 24, 40, &sampling, s->groups, 3);
    int shortest = ROOM, longest = 0;
    for (int g = 0; g < 3; g++) {
        for (int i = 0; i < s->n[g]; i++) {
            int length = s->out[g].c[i].length;
            shortest = length < shortest ? length : shortest;
            longest = length > longest ? length : longest;
        }
        check_three_ways(&t, &s->groups[g], hot);
    }
    assert_true(shortest < longest); /* else the batches were not ragged */
    free(s);
    tiny_close(&t);
}

static void test_agreement(void **state)
{
    (void)state;
    tiny_each(cases, PRECISION_F32, check_agreement);
    tiny_each(cases, PRECISION_BF16, check_agreement);
}

/* Everything that may vary around a sequence: neighbours, order, waves, threads, an earlier run. */
static void check_neighbours(const char *name, const char *isa, enum precision precision)
{
    struct tiny t, two;
    tiny_open(&t, name, isa, precision, 1);
    tiny_open(&two, name, isa, precision, 2);
    struct scene *s = scene_new(&t);
    struct answers *other = malloc(sizeof *other);
    run(&t, 24, 40, &sampling, s->groups, 3);

    for (int i = 0; i < 16; i++) { /* alone */
        struct group_request g = request(s->prompts[1], s->lengths[1], 1, 71, other);
        g.first_sample = i;
        run(&t, 1, 40, &sampling, &g, 1);
        same_completion(&other->c[0], &s->out[1].c[i]);
    }
    static const int waves[] = {1, 5}; /* smaller than a group */
    for (size_t w = 0; w < sizeof waves / sizeof *waves; w++) {
        struct scene *again = scene_new(&t);
        run(&t, waves[w], 23, &sampling, again->groups, 3);
        for (int g = 0; g < 3; g++)
            same_answers(&again->out[g], &s->out[g], s->n[g]);
        free(again);
    }
    struct scene *again = scene_new(&t); /* other order, two threads */
    struct group_request reversed[3] = {again->groups[2], again->groups[0], again->groups[1]};
    run(&two, 24, 40, &sampling, reversed, 3);
    for (int g = 0; g < 3; g++)
        same_answers(&again->out[g], &s->out[g], s->n[g]);
    free(again);
    free(other);
    free(s);
    tiny_close(&t);
    tiny_close(&two);
}

static void test_neighbours(void **state)
{
    (void)state;
    tiny_each(cases, PRECISION_F32, check_neighbours);
    tiny_each(cases, PRECISION_BF16, check_neighbours);
}

/* Caches hold whatever an earlier run left: it must not show. A NaN adapter leaves NaN keys. */
static void check_stale_cache(const char *name, const char *isa, enum precision precision)
{
    struct tiny t;
    struct err err = {0};
    tiny_open(&t, name, isa, precision, 1);
    struct scene *s = scene_new(&t), *again = scene_new(&t);
    run(&t, 24, 40, &sampling, s->groups, 3);
    size_t n = adapter_size(t.a);
    float *good = malloc(n * sizeof *good), *bad = malloc(n * sizeof *bad);
    t.d->ops->download(t.d, good, adapter_params(t.a), n * sizeof *good);
    for (size_t i = 0; i < n; i++)
        bad[i] = NAN;
    rollout *r;
    tiny_ok(rollout_create(&r, t.m, adapter_config(t.a), 8, 24, ROOM, &err), &err);
    t.d->ops->upload(t.d, adapter_params(t.a), bad, n * sizeof *bad);
    adapter_refresh(t.a);
    struct completion *c = again->out[0].c;
    float *lp[8] = {0};
    const int *ids[8];
    int lengths[8];
    for (int i = 0; i < 8; i++) { /* writes NaN keys to every row, of prefix and completions */
        lp[i] = malloc(ROOM * sizeof(float));
        ids[i] = s->prompts[2];
        lengths[i] = 23;
    }
    struct score_request q = {s->prompts[2], 23, ids, lengths, 8, lp, NULL};
    tiny_ok(rollout_score(r, t.a, 1.0, &q, &err), &err);
    assert_true(isnan(lp[7][22]));
    assert_int_equal(rollout_run(r, t.a, &sampling, again->groups, 3, NULL, &err), ERR_MACHINE);
    assert_non_null(strstr(err.message, "not finite at token 0"));
    t.d->ops->upload(t.d, adapter_params(t.a), good, n * sizeof *good);
    adapter_refresh(t.a);
    tiny_ok(rollout_run(r, t.a, &sampling, again->groups, 3, NULL, &err), &err);
    for (int g = 0; g < 3; g++)
        same_answers(&again->out[g], &s->out[g], s->n[g]);
    assert_ptr_equal(c, again->groups[0].out);
    for (int i = 0; i < 8; i++)
        free(lp[i]);
    rollout_free(r);
    free(good);
    free(bad);
    free(again);
    free(s);
    tiny_close(&t);
}

static void test_stale_cache(void **state)
{
    (void)state;
    tiny_each(cases, PRECISION_F32, check_stale_cache);
    tiny_each(cases, PRECISION_BF16, check_stale_cache);
}

/* A prompt and completions longer than one pass of 512 rows. */
static void check_long(const char *name, const char *isa, enum precision precision)
{
    enum { PROMPT = 530, LONG = 520 };
    struct tiny t;
    tiny_open_wide(&t, name, isa, precision, 2, 1200);
    int prompt[PROMPT];
    tiny_random_ids(&t, prompt, PROMPT, 8);
    struct answers out;
    struct group_request g = request(prompt, PROMPT, 3, 1, &out);
    run(&t, 3, PROMPT, &sampling, &g, 1);
    check_three_ways(&t, &g, hot);

    t.prompt_len = 5;
    t.n = 2;
    t.len[0] = LONG;
    t.len[1] = 12; /* the same completion, cut: its scores must be the longer one's first ones */
    tiny_random_ids(&t, t.ids[0], LONG, 9);
    memcpy(t.ids[1], t.ids[0], 12 * sizeof(int));
    float(*scored)[TINY_MAX_TOKENS] = scores(), (*trained)[TINY_MAX_TOKENS] = scores();
    tiny_score(&t, 1.0f, scored, NULL);
    tiny_gradient(&t, 2, 1.0f, trained, NULL);
    assert_memory_equal(scored[0], trained[0], LONG * sizeof(float));
    assert_memory_equal(scored[1], trained[1], 12 * sizeof(float));
    assert_memory_equal(scored[1], scored[0], 12 * sizeof(float));
    free(scored);
    free(trained);
    tiny_close(&t);
}

static void test_longer_than_a_pass(void **state)
{
    (void)state;
    tiny_each(cases, PRECISION_F32, check_long);
    tiny_each(cases, PRECISION_BF16, check_long);
}

static const char *best_isa(void)
{
    const char *const *isa = device_isa_names();
    while (!device_isa_available(*isa))
        isa++;
    return *isa;
}

/* Completions of one token and of the most allowed; everything ends at once; which end it was. */
static void test_ends(void **state)
{
    (void)state;
    struct tiny t;
    struct answers out, all;
    tiny_open(&t, "llama_untied", best_isa(), PRECISION_BF16, 1);
    int vocab = model_config(t.m)->vocab_size, *every = malloc((size_t)vocab * sizeof *every);
    for (int i = 0; i < vocab; i++)
        every[i] = i;

    struct rollout_options o = {.max_new_tokens = ROOM,
                                .temperature = hot,
                                .eos = NULL,
                                .n_eos = 0}; /* nothing ends it: all run to the limit */
    struct group_request g = request(t.prompt, t.prompt_len, 16, 1, &all);
    run(&t, 16, 16, &o, &g, 1);
    check_three_ways(&t, &g, hot);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(all.c[i].length, ROOM);
        assert_int_equal(all.c[i].stop, STOP_LENGTH);
    }
    o = (struct rollout_options){.max_new_tokens = ROOM,
                                 .temperature = hot,
                                 .eos = every,
                                 .n_eos = vocab}; /* the first token always ends it */
    g = request(t.prompt, t.prompt_len, 16, 1, &out);
    run(&t, 5, 16, &o, &g, 1);
    check_three_ways(&t, &g, hot);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(out.c[i].length, 1);
        assert_int_equal(out.c[i].stop, STOP_EOS);
        assert_int_equal(out.ids[i][0], all.ids[i][0]);
    }
    o = (struct rollout_options){.max_new_tokens = 1, .temperature = hot, .eos = NULL, .n_eos = 0};
    g = request(t.prompt, t.prompt_len, 16, 1, &out);
    run(&t, 16, 16, &o, &g, 1);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(out.c[i].length, 1);
        assert_int_equal(out.c[i].stop, STOP_LENGTH);
    }
    /* An EOS as the very last token allowed is an EOS; only the token itself decides. */
    o = (struct rollout_options){
        .max_new_tokens = ROOM, .temperature = hot, .eos = &all.ids[4][ROOM - 1], .n_eos = 1};
    g = request(t.prompt, t.prompt_len, 16, 1, &out);
    run(&t, 16, 16, &o, &g, 1);
    for (int i = 0; i < 16; i++) {
        int first = 0;
        while (first < ROOM && all.ids[i][first] != o.eos[0])
            first++;
        assert_int_equal(out.c[i].stop, first < ROOM ? STOP_EOS : STOP_LENGTH);
        assert_int_equal(out.c[i].length, first < ROOM ? first + 1 : ROOM);
    }
    assert_string_equal(stop_reason_name(STOP_EOS), "eos");
    assert_string_equal(stop_reason_name(STOP_LENGTH), "length");
    free(every);
    tiny_close(&t);
}

/* The bare model's logits after ids[0 … n): one full forward pass. (n, vocabulary), caller frees.
 */
static float *full_logits(struct tiny *t, const int *ids, int n)
{
    struct err err = {0};
    struct kv_cache kv;
    workspace *w;
    const struct hf_config *c = model_config(t->m);
    int positions[64];
    for (int i = 0; i < n; i++)
        positions[i] = i;
    tiny_ok(kv_cache_create(&kv, t->m, n, &err), &err);
    tiny_ok(workspace_create(&w, t->m, adapter_config(t->a), n, &err), &err);
    struct attn_span span = {0, n, 0, 0, 0, 0};
    struct batch batch = {n, ids, positions, positions, &span, 1};
    float *hidden = malloc((size_t)n * (size_t)c->hidden_size * sizeof *hidden);
    float *logits = malloc((size_t)n * (size_t)c->vocab_size * sizeof *logits);
    model_forward(t->m, t->a, &kv, w, hidden, &batch);
    t->d->ops->logits(t->d, logits, hidden, model_head(t->m), n);
    free(hidden);
    workspace_free(w);
    kv_cache_free(&kv);
    return logits;
}

static void check_greedy(const char *name, const char *isa, enum precision precision)
{
    struct tiny t;
    struct answers out;
    tiny_open(&t, name, isa, precision, 1);
    struct rollout_options o = {.max_new_tokens = ROOM, .temperature = 0, .eos = NULL, .n_eos = 0};
    struct group_request g = request(t.prompt, t.prompt_len, 2, 1, &out);
    run(&t, 2, 16, &o, &g, 1);
    same_completion(&out.c[0], &out.c[1]);
    check_three_ways(&t, &g, 1.0); /* T = 0 reports T = 1 values */
    int ids[64], n = t.prompt_len, vocab = model_config(t.m)->vocab_size;
    memcpy(ids, t.prompt, (size_t)n * sizeof *ids);
    memcpy(ids + n, out.ids[0], ROOM * sizeof *ids);
    float *logits = full_logits(&t, ids, n + ROOM);
    for (int i = 0; i < ROOM; i++) {
        const float *row = logits + (size_t)(n - 1 + i) * (size_t)vocab;
        int best = 0;
        for (int v = 1; v < vocab; v++)
            best = row[v] > row[best] ? v : best;
        assert_int_equal(out.ids[0][i], best);
    }
    free(logits);
    tiny_close(&t);
}

static void test_greedy(void **state)
{
    (void)state;
    tiny_each(cases, PRECISION_F32, check_greedy);
    tiny_each(cases, PRECISION_BF16, check_greedy);
}

/* --- warpers and stop strings --- */

/* Neutral warpers are none, to the last bit; others draw from another distribution, whose log-
 * probabilities stand beside those of the whole one, which stay the trainer's; and nothing depends
 * on neighbours, waves or threads. */
static void check_warpers(const char *name, const char *isa, enum precision precision)
{
    struct tiny t, two;
    tiny_open(&t, name, isa, precision, 1);
    tiny_open(&two, name, isa, precision, 2);
    static const struct warpers neutral = {1, 0, 1, 0}, all = {1.4, 12, 0.9, 0.02},
                                cuts = {1, 12, 0.9, 0.02};
    struct scene *whole = scene_new(&t), *s = scene_new(&t);
    struct rollout_options o = sampling;
    run(&t, 24, 40, &o, whole->groups, 3);
    o.warpers = &neutral;
    run(&t, 24, 40, &o, s->groups, 3);
    for (int g = 0; g < 3; g++) {
        same_answers(&s->out[g], &whole->out[g], s->n[g]);
        same_sampling(&s->out[g], &whole->out[g], 0); /* untouched */
    }
    for (int penalty = 0; penalty < 2; penalty++) {
        o.warpers = penalty ? &all : &cuts;
        struct scene *a = scene_new(&t), *b = scene_new(&t);
        run(&t, 24, 40, &o, a->groups, 3);
        run(&two, 5, 23, &o, b->groups, 3);
        int differ = 0;
        for (int g = 0; g < 3; g++) {
            same_answers(&a->out[g], &b->out[g], a->n[g]);
            check_three_ways(&t, &a->groups[g], hot);
            for (int i = 0; i < a->n[g]; i++) {
                const struct completion *c = &a->out[g].c[i];
                same_sampling(&a->out[g], &b->out[g], i);
                differ += c->length != whole->out[g].c[i].length ||
                          memcmp(c->ids, whole->out[g].ids[i], (size_t)c->length * sizeof(int));
                for (int k = 0; k < c->length; k++)
                    assert_true(c->sampling_logprobs[k] <= 0 &&
                                (penalty || c->sampling_logprobs[k] > c->logprobs[k]));
            }
        }
        assert_true(differ > 10);
        free(a);
        free(b);
    }
    free(whole);
    free(s);
    tiny_close(&t);
    tiny_close(&two);
}

static void test_warpers(void **state)
{
    (void)state;
    tiny_each(cases, PRECISION_F32, check_warpers);
    tiny_each(cases, PRECISION_BF16, check_warpers);
}

/* Greedy under a penalty: the largest of the logits once those of prompt and completion so far are
 * penalised, as transformers does it. */
static void check_penalty(const char *name, const char *isa, enum precision precision)
{
    struct tiny t;
    struct answers out, plain;
    tiny_open(&t, name, isa, precision, 1);
    static const struct warpers penalty = {1.6, 0, 1, 0};
    struct rollout_options o = {.max_new_tokens = ROOM};
    struct group_request g = request(t.prompt, t.prompt_len, 1, 1, &plain);
    run(&t, 2, 16, &o, &g, 1);
    o.warpers = &penalty;
    g = request(t.prompt, t.prompt_len, 2, 1, &out);
    run(&t, 2, 16, &o, &g, 1);
    check_three_ways(&t, &g, 1.0);
    assert_memory_not_equal(out.ids[0], plain.ids[0], sizeof out.ids[0]);
    int ids[64], n = t.prompt_len, vocab = model_config(t.m)->vocab_size;
    memcpy(ids, t.prompt, (size_t)n * sizeof *ids);
    memcpy(ids + n, out.ids[1], ROOM * sizeof *ids);
    float *logits = full_logits(&t, ids, n + ROOM);
    for (int i = 0; i < ROOM; i++) {
        float *row = logits + (size_t)(n - 1 + i) * (size_t)vocab;
        bool *seen = calloc((size_t)vocab, sizeof *seen);
        int best = 0;
        for (int k = 0; k < n + i; k++)
            seen[ids[k]] = true;
        for (int v = 0; v < vocab; v++) {
            row[v] = !seen[v] ? row[v] : row[v] < 0 ? row[v] * 1.6f : row[v] / 1.6f;
            best = row[v] > row[best] ? v : best;
        }
        assert_int_equal(out.ids[1][i], best);
        free(seen);
    }
    free(logits);
    tiny_close(&t);
}

static void test_penalty(void **state)
{
    (void)state;
    tiny_each(cases, PRECISION_F32, check_penalty);
}

/* Ends sample s of group g after 3 + s + g tokens, and sees every token once. */
struct ending {
    int seen[3][TINY_MAX_COMPLETIONS];
    int ended[3][TINY_MAX_COMPLETIONS]; /* length it was told, of one that has ended */
};

static bool end_some(void *user, int group, int sample, const int *ids, int n)
{
    struct ending *e = user;
    assert_int_equal(++e->seen[group][sample], n);
    assert_true(ids[n - 1] >= 0);
    return n == 3 + sample + group;
}

static void note_end(void *user, int group, int sample, const struct completion *c)
{
    struct ending *e = user;
    assert_int_equal(e->ended[group][sample], 0); /* once */
    e->ended[group][sample] = c->length;
}

/* A callback ends completions as it likes; what they hold until then does not change. An EOS goes
 * before it, and it before the length. */
static void test_finished(void **state)
{
    (void)state;
    struct tiny t;
    tiny_open(&t, "qwen3_tied", best_isa(), PRECISION_BF16, 1);
    struct scene *whole = scene_new(&t), *s = scene_new(&t);
    struct ending e = {0};
    struct rollout_options o = sampling;
    run(&t, 24, 40, &o, whole->groups, 3);
    o.finished = end_some;
    o.ended = note_end;
    o.user = &e;
    run(&t, 4, 40, &o, s->groups, 3);
    int stopped = 0;
    for (int g = 0; g < 3; g++)
        for (int i = 0; i < s->n[g]; i++) {
            const struct completion *a = &s->out[g].c[i], *b = &whole->out[g].c[i];
            int limit = 3 + i + g;
            bool stops = b->length > limit || (b->length == limit && b->stop != STOP_EOS);
            assert_int_equal(a->length, stops ? limit : b->length);
            assert_int_equal(a->stop, stops ? STOP_STRING : b->stop);
            assert_int_equal(e.seen[g][i], a->length - (a->stop == STOP_EOS));
            assert_int_equal(e.ended[g][i], a->length);
            assert_memory_equal(a->ids, b->ids, (size_t)a->length * sizeof(int));
            assert_memory_equal(a->logprobs, b->logprobs, (size_t)a->length * sizeof(float));
            stopped += stops;
        }
    assert_true(stopped > 5 && stopped < 24);
    o.max_new_tokens = 3; /* of the first group's first sample the last one allowed */
    o.n_eos = 0;
    e = (struct ending){0};
    struct group_request g = request(s->prompts[0], s->lengths[0], 2, 70, &s->out[0]);
    run(&t, 4, 40, &o, &g, 1);
    assert_int_equal(s->out[0].c[0].stop, STOP_STRING);
    assert_int_equal(s->out[0].c[1].stop, STOP_LENGTH);
    assert_true(e.ended[0][0] == 3 && e.ended[0][1] == 3);
    assert_string_equal(stop_reason_name(STOP_STRING), "stop");
    free(whole);
    free(s);
    tiny_close(&t);
}

/* χ² of first-token counts against softmax(logits / temperature), cells below 5 expected pooled;
 * as a normal deviate (Wilson and Hilferty 1931). */
static double chi_square_z(const int *counts, int draws, const float *logits, int vocab,
                           double temperature)
{
    double total = 0, statistic = 0, pooled_expected = 0, pooled = 0;
    int cells = 0;
    for (int v = 0; v < vocab; v++)
        total += exp(logits[v] / temperature);
    for (int v = 0; v < vocab; v++) {
        double expected = draws * exp(logits[v] / temperature) / total;
        if (expected < 5) {
            pooled_expected += expected;
            pooled += counts[v];
            continue;
        }
        statistic += (counts[v] - expected) * (counts[v] - expected) / expected;
        cells++;
    }
    if (pooled_expected > 0) {
        statistic += (pooled - pooled_expected) * (pooled - pooled_expected) / pooled_expected;
        cells++;
    }
    double df = cells - 1, spread = 2 / (9 * df);
    return (cbrt(statistic / df) - (1 - spread)) / sqrt(spread);
}

static void check_distribution(const char *name, const char *isa, enum precision precision)
{
    enum { DRAWS = 4000 };
    static const double temperatures[] = {0.7, 1.3};
    struct tiny t;
    tiny_open(&t, name, isa, precision, 1);
    int vocab = model_config(t.m)->vocab_size;
    float *logits = full_logits(&t, t.prompt, t.prompt_len);
    const float *row = logits + (size_t)(t.prompt_len - 1) * (size_t)vocab;
    struct completion *c = malloc(DRAWS * sizeof *c);
    int *ids = malloc(DRAWS * sizeof *ids);
    float *logp = malloc(DRAWS * sizeof *logp);
    for (int i = 0; i < DRAWS; i++)
        c[i] = (struct completion){.ids = &ids[i], .logprobs = &logp[i]};
    for (int k = 0; k < 2; k++) {
        struct rollout_options o = {
            .max_new_tokens = 1, .temperature = temperatures[k], .eos = NULL, .n_eos = 0};
        struct group_request g = {t.prompt, t.prompt_len, DRAWS, key_of(1), 0, c};
        run(&t, 128, 16, &o, &g, 1);
        int counts[128] = {0};
        for (int i = 0; i < DRAWS; i++)
            counts[ids[i]]++;
        double right = chi_square_z(counts, DRAWS, row, vocab, temperatures[k]);
        double wrong = chi_square_z(counts, DRAWS, row, vocab, 1.0);
        if (!(fabs(right) < 4 && wrong > 8)) /* 4: one seed in 16,000 would fail by chance */
            fail_msg("%s/%s: T = %g: z = %.2f, against T = 1: %.2f", name, isa, temperatures[k],
                     right, wrong);
    }
    free(c);
    free(ids);
    free(logp);
    free(logits);
    tiny_close(&t);
}

static void test_distribution(void **state)
{
    (void)state;
    tiny_each((const char *const[]){"qwen3_tied", NULL}, PRECISION_F32, check_distribution);
    tiny_each((const char *const[]){"llama_untied", NULL}, PRECISION_BF16, check_distribution);
}

/* Every field of the key matters, and nothing but the key. */
static void test_keys(void **state)
{
    (void)state;
    struct tiny t;
    struct answers base, out;
    tiny_open(&t, "qwen3_tied", best_isa(), PRECISION_BF16, 1);
    struct rollout_options o = {
        .max_new_tokens = ROOM, .temperature = hot, .eos = NULL, .n_eos = 0};
    struct group_request g = request(t.prompt, t.prompt_len, 4, 1, &base);
    run(&t, 4, 16, &o, &g, 1);
    for (int i = 1; i < 4; i++)
        assert_memory_not_equal(base.ids[0], base.ids[i], sizeof base.ids[0]);
    for (int field = 0; field < 6; field++) {
        g = request(t.prompt, t.prompt_len, 4, 1, &out);
        uint64_t *fields[] = {&g.key.seed, &g.key.step, &g.key.row, &g.key.epoch, &g.key.attempt};
        if (field < 5)
            *fields[field] += 1;
        else
            g.key.sample = 99; /* the caller's: replaced by first_sample + index */
        run(&t, 4, 16, &o, &g, 1);
        for (int i = 0; i < 4; i++) {
            if (field < 5)
                assert_memory_not_equal(base.ids[i], out.ids[i], sizeof base.ids[i]);
            else
                same_completion(&base.c[i], &out.c[i]);
        }
    }
    g = request(t.prompt, t.prompt_len, 2, 1, &out); /* samples 2 and 3 by themselves */
    g.first_sample = 2;
    run(&t, 1, 16, &o, &g, 1);
    same_completion(&out.c[0], &base.c[2]);
    same_completion(&out.c[1], &base.c[3]);
    tiny_close(&t);
}

static int polls_left;

static bool stop_soon(void)
{
    return polls_left-- == 0;
}

static void refused(int status, const struct err *err, enum err_code code, const char *found,
                    const char *expected)
{
    assert_int_equal(status, code);
    assert_int_equal(err->code, code);
    if (!strstr(err->message, found) || !strstr(err->message, expected))
        fail_msg("\"%s\" does not say \"%s\" and \"%s\"", err->message, found, expected);
}

static void test_refusals(void **state)
{
    (void)state;
    struct tiny t;
    struct err err = {0};
    struct answers out;
    rollout *r;
    tiny_open(&t, "llama_tied", best_isa(), PRECISION_F32, 1);
    tiny_ok(rollout_create(&r, t.m, adapter_config(t.a), 4, 110, ROOM, &err), &err);
    int ids[200] = {0}, vocab = model_config(t.m)->vocab_size;
    struct group_request g = request(ids, 0, 2, 1, &out);
    refused(rollout_run(r, t.a, &sampling, &g, 1, NULL, &err), &err, ERR_INPUT, "no tokens",
            "at least one");
    g.prompt_len = 112;
    refused(rollout_run(r, t.a, &sampling, &g, 1, NULL, &err), &err, ERR_INPUT, "112 tokens",
            "made for 110");
    g.prompt_len = 106; /* 105 + 24 > 128 positions; 104 + 24 just fit */
    refused(rollout_run(r, t.a, &sampling, &g, 1, NULL, &err), &err, ERR_INPUT, "106 prompt tokens",
            "context of 128");
    g.prompt_len = 105;
    tiny_ok(rollout_run(r, t.a, &sampling, &g, 1, NULL, &err), &err);
    ids[3] = vocab;
    refused(rollout_run(r, t.a, &sampling, &g, 1, NULL, &err), &err, ERR_INPUT, "token 3 is id 64",
            "0 to 63");
    ids[3] = -1;
    refused(rollout_run(r, t.a, &sampling, &g, 1, NULL, &err), &err, ERR_INPUT, "token 3 is id -1",
            "0 to 63");
    ids[3] = 5;
    const int bad[] = {4, 64}, *completion = bad;
    int length = 2;
    float lp[2], *logp = lp;
    struct score_request q = {ids, 9, &completion, &length, 1, &logp, NULL};
    refused(rollout_score(r, t.a, 1, &q, &err), &err, ERR_INPUT, "token 1 is id 64", "0 to 63");
    polls_left = 3;
    g.prompt_len = 4;
    struct rollout_options endless = {
        .max_new_tokens = ROOM, .temperature = hot, .eos = NULL, .n_eos = 0};
    refused(rollout_run(r, t.a, &endless, &g, 1, stop_soon, &err), &err, ERR_INTERRUPTED,
            "interrupted", "");
    assert_int_equal(polls_left, -1); /* asked once per token, and stopped at once */
    rollout_free(r);
    tiny_close(&t);
}

/* 2^33 rows of a cache are 0 in 32 bits. */
static void test_too_much(void **state)
{
    struct tiny t;
    struct err err = {0};
    rollout *r;
    (void)state;
    tiny_open(&t, "llama_tied", best_isa(), PRECISION_F32, 1);
    refused(rollout_create(&r, t.m, adapter_config(t.a), 1 << 16, 24, 1 << 17, &err), &err,
            ERR_MACHINE, "more than a cache can hold", "");
    assert_null(r);
    assert_int_equal(rollout_prompt_room(1 << 16, 1 << 17), 1 << 30);
    tiny_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_agreement),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_stale_cache),
        cmocka_unit_test(test_longer_than_a_pass),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_warpers),
        cmocka_unit_test(test_penalty),
        cmocka_unit_test(test_finished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

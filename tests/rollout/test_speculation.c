/* test_speculation.c: guessed tokens change nothing. Tiny models on every instruction set, in f32
 * and bf16, at several temperatures, under warpers, with EOS, length limits and stop callbacks in
 * the middle of what was guessed, in waves of every size: ids, log-probabilities, stop reasons and
 * what callbacks see are those of one token a pass, to the last bit. Each scene is run twice in one
 * rollout: the second time the first one's completions are known, and guesses mostly come true. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "../support/tiny.h"
#include "base/mem.h"

static const char *const cases[] = {"qwen3_tied", "llama_untied", "qwen2_untied", NULL};
static const int eos_ids[] = {2, 7, 11, 20, 31};

enum { ROOM = 40, GROUPS = 4, ROUNDS = 2 };

struct answers {
    int ids[TINY_MAX_COMPLETIONS][ROOM];
    float logp[TINY_MAX_COMPLETIONS][ROOM], sampling[TINY_MAX_COMPLETIONS][ROOM];
    struct completion c[TINY_MAX_COMPLETIONS];
};

/* Four groups, the last two of one prompt; the second has no prefix. */
struct scene {
    int prompts[GROUPS][48], lengths[GROUPS], n[GROUPS];
    struct answers out[GROUPS];
    struct group_request groups[GROUPS];
};

static struct scene *scene_new(const struct tiny *t)
{
    struct scene *s = malloc(sizeof *s);
    static const int lengths[] = {9, 1, 40, 40}, n[] = {5, 16, 3, 4};
    memset(s, 0xEE, sizeof *s);
    for (int g = 0; g < GROUPS; g++) {
        s->lengths[g] = lengths[g];
        s->n[g] = n[g];
        tiny_random_ids(t, s->prompts[g], lengths[g], 100 + (uint64_t)(g > 2 ? 2 : g));
        for (int i = 0; i < TINY_MAX_COMPLETIONS; i++)
            s->out[g].c[i] = (struct completion){.ids = s->out[g].ids[i],
                                                 .logprobs = s->out[g].logp[i],
                                                 .sampling_logprobs = s->out[g].sampling[i]};
        s->groups[g] = (struct group_request){
            s->prompts[g],
            lengths[g],
            n[g],
            {.seed = 42, .purpose = RNG_SAMPLE, .step = 3, .row = 70 + (uint64_t)g},
            0,
            s->out[g].c};
    }
    /* Something to copy: the long prompt says the same thing four times. */
    for (int i = 10; i < 40; i++)
        s->prompts[2][i] = s->prompts[3][i] = s->prompts[2][i - 10];
    return s;
}

static void same_scene(const struct scene *a, const struct scene *b, const char *label)
{
    for (int g = 0; g < GROUPS; g++)
        for (int i = 0; i < a->n[g]; i++) {
            const struct completion *x = &a->out[g].c[i], *y = &b->out[g].c[i];
            if (x->length != y->length || x->stop != y->stop)
                fail_msg("%s: group %d, sample %d: %d tokens, stop %d; %d, stop %d", label, g, i,
                         x->length, (int)x->stop, y->length, (int)y->stop);
            size_t bytes = (size_t)x->length * sizeof(float);
            if (memcmp(x->ids, y->ids, bytes) || memcmp(x->logprobs, y->logprobs, bytes) ||
                memcmp(x->sampling_logprobs, y->sampling_logprobs, bytes))
                fail_msg("%s: group %d, sample %d is another", label, g, i);
        }
}

/* Ends sample s of group g after 5 + 2·s + g tokens; sees each token once and in its order. */
struct watch {
    int seen[GROUPS][TINY_MAX_COMPLETIONS], ended[GROUPS][TINY_MAX_COMPLETIONS];
    bool stops;
};

static bool watch_token(void *user, int group, int sample, const int *ids, int n)
{
    struct watch *w = user;
    assert_int_equal(++w->seen[group][sample], n);
    assert_int_equal(w->ended[group][sample], 0);
    assert_true(ids[n - 1] >= 0);
    return w->stops && n == 5 + 2 * sample + group;
}

static void watch_end(void *user, int group, int sample, const struct completion *c)
{
    struct watch *w = user;
    assert_int_equal(w->ended[group][sample], 0);
    w->ended[group][sample] = c->length;
}

static const struct warpers penalty = {1.4, 0, 1, 0}, all = {1.2, 12, 0.9, 0.02},
                            cuts = {1, 12, 0.9, 0.02};

/* What is asked of the sampler. */
static const struct question {
    const char *name;
    double temperature;
    const struct warpers *warpers;
    int n_eos;
    int limit; /* of tokens */
    bool stops;
} questions[] = {
    {"hot", 1.3, NULL, 5, ROOM, false},        {"cold", 0.3, NULL, 5, ROOM, false},
    {"greedy", 0, NULL, 0, ROOM, false},       {"greedy, EOS", 0, NULL, 5, ROOM, false},
    {"short", 0.3, NULL, 1, 7, false},         {"stops", 0.3, NULL, 1, ROOM, true},
    {"penalty", 0.4, &penalty, 2, ROOM, true}, {"greedy, penalty", 0, &penalty, 0, ROOM, false},
    {"all warpers", 0.5, &all, 2, 33, true},   {"cuts", 0.8, &cuts, 0, ROOM, false},
};

struct variant {
    int sequences, prompt_room;
    enum speculation how;
};

/* Runs the scene ROUNDS times in one rollout, into s each time; returns what happened. */
static struct rollout_counts run(struct tiny *t, const struct question *q, const struct variant *v,
                                 const struct scene *expected, struct scene *s)
{
    struct err err = {0};
    rollout *r;
    char label[160];
    snprintf(label, sizeof label, "%s, %d sequences, %d", q->name, v->sequences, (int)v->how);
    tiny_ok(
        rollout_create(&r, t->m, adapter_config(t->a), v->sequences, v->prompt_room, ROOM, &err),
        &err);
    rollout_speculate(r, v->how);
    for (int round = 0; round < ROUNDS; round++) {
        struct watch w = {.stops = q->stops};
        struct rollout_options o = {.max_new_tokens = q->limit,
                                    .temperature = q->temperature,
                                    .eos = eos_ids,
                                    .n_eos = q->n_eos,
                                    .warpers = q->warpers,
                                    .finished = watch_token,
                                    .ended = watch_end,
                                    .user = &w};
        for (int g = 0; g < GROUPS; g++)
            memset(s->out[g].logp, 0xEE, sizeof s->out[g].logp);
        size_t calls = mem_stats().total_calls;
        tiny_ok(rollout_run(r, t->a, &o, s->groups, GROUPS, NULL, &err), &err);
        assert_true(round == 0 || mem_stats().total_calls == calls); /* nothing allocated */
        for (int g = 0; g < GROUPS; g++)
            for (int i = 0; i < s->n[g]; i++) {
                const struct completion *c = &s->out[g].c[i];
                assert_int_equal(w.ended[g][i], c->length);
                assert_int_equal(w.seen[g][i], c->length - (c->stop == STOP_EOS));
            }
        if (expected)
            same_scene(s, expected, label);
    }
    struct rollout_counts counts = rollout_counts(r);
    rollout_free(r);
    return counts;
}

static long long tokens_of(const struct scene *s)
{
    long long n = 0;
    for (int g = 0; g < GROUPS; g++)
        for (int i = 0; i < s->n[g]; i++)
            n += s->out[g].c[i].length;
    return n;
}

static const struct variant variants[] = {{28, 100, SPECULATION_ALWAYS},
                                          {6, 39, SPECULATION_ALWAYS},
                                          {1, 100, SPECULATION_ALWAYS},
                                          {28, 100, SPECULATION_WHERE_IT_PAYS},
                                          {3, 60, SPECULATION_WHERE_IT_PAYS}};

/* A question in the first n variants; total: of those that always guess. */
static void check_question(struct tiny *t, const struct question *q, size_t n,
                           struct rollout_counts *total)
{
    static const struct variant off = {28, 100, SPECULATION_OFF};
    struct scene *expected = scene_new(t), *s = scene_new(t);
    struct rollout_counts plain = run(t, q, &off, NULL, expected);
    assert_int_equal(plain.tokens, ROUNDS * tokens_of(expected));
    assert_true(plain.drafted == 0 && plain.accepted == 0);
    for (size_t v = 0; v < n; v++) {
        struct rollout_counts c = run(t, q, &variants[v], expected, s);
        assert_int_equal(c.tokens, plain.tokens);
        assert_true(c.accepted <= c.drafted);
        if (v == 0) /* as many sequences at a time as without */
            assert_true(c.passes < plain.passes);
        if (variants[v].how == SPECULATION_ALWAYS) {
            assert_true(c.accepted > 0 && c.accepted < c.drafted);
            total->drafted += c.drafted;
            total->accepted += c.accepted;
        }
    }
    free(expected);
    free(s);
}

static const char *best_isa(void)
{
    const char *const *isa = device_isa_names();
    while (!device_isa_available(*isa))
        isa++;
    return *isa;
}

/* All questions where the kernels are the fastest, some on the others. */
static void check_same(const char *name, const char *isa, enum precision precision)
{
    static const size_t some[] = {1, 5, 8};
    struct tiny t;
    struct rollout_counts total = {0};
    bool best = strcmp(isa, best_isa()) == 0;
    size_t n = best ? sizeof questions / sizeof *questions : 3;
    tiny_open(&t, name, isa, precision, 1);
    for (size_t q = 0; q < n; q++)
        check_question(&t, &questions[best ? q : some[q]], best ? 5 : 2, &total);
    /* Both must have happened often for the equalities above to mean something. */
    assert_true(total.accepted > 1000 && total.drafted - total.accepted > 1000);
    tiny_close(&t);
}

static void test_same(void **state)
{
    (void)state;
    tiny_each(cases, PRECISION_F32, check_same);
    tiny_each(cases, PRECISION_BF16, check_same);
}

/* Adapters of every projection, of some, and a new one whose branch is zero; on two threads. */
static void test_adapters(void **state)
{
    (void)state;
    static const unsigned targets[] = {(1u << N_PROJECTIONS) - 1, 1u << PROJ_V | 1u << PROJ_DOWN};
    for (int k = 0; k < 3; k++) {
        struct tiny t;
        struct rollout_counts total = {0};
        tiny_open(&t, "qwen3_tied", best_isa(), PRECISION_BF16, 2);
        tiny_new_adapter(&t, targets[k % 2], 3 + k, k == 2);
        check_question(&t, &questions[1], 1, &total);
        tiny_close(&t);
    }
}

/* Wrong guesses leave keys of another future in the cache, weights that have diverged leave NaN:
 * neither is seen by what comes after. And an error is an error with guesses as well. */
static void test_diverged(void **state)
{
    (void)state;
    struct tiny t;
    struct err err = {0};
    rollout *r;
    tiny_open(&t, "llama_untied", best_isa(), PRECISION_BF16, 1);
    struct scene *expected = scene_new(&t), *s = scene_new(&t);
    const struct question *q = &questions[1];
    run(&t, q, &(struct variant){28, 100, SPECULATION_OFF}, NULL, expected);
    struct rollout_options o = {.max_new_tokens = q->limit,
                                .temperature = q->temperature,
                                .eos = eos_ids,
                                .n_eos = q->n_eos};
    tiny_ok(rollout_create(&r, t.m, adapter_config(t.a), 28, 100, ROOM, &err), &err);
    rollout_speculate(r, SPECULATION_ALWAYS);
    tiny_ok(rollout_run(r, t.a, &o, s->groups, GROUPS, NULL, &err), &err);
    size_t n = adapter_size(t.a);
    float *good = malloc(n * sizeof *good), *bad = malloc(n * sizeof *bad);
    t.d->ops->download(t.d, good, adapter_params(t.a), n * sizeof *good);
    for (size_t i = 0; i < n; i++)
        bad[i] = NAN;
    t.d->ops->upload(t.d, adapter_params(t.a), bad, n * sizeof *bad);
    adapter_refresh(t.a);
    assert_int_equal(rollout_run(r, t.a, &o, s->groups, GROUPS, NULL, &err), ERR_MACHINE);
    assert_non_null(strstr(err.message, "not finite at token 0"));
    t.d->ops->upload(t.d, adapter_params(t.a), good, n * sizeof *good);
    adapter_refresh(t.a);
    for (int g = 0; g < GROUPS; g++)
        memcpy(s->out[g].sampling, expected->out[g].sampling, sizeof s->out[g].sampling);
    tiny_ok(rollout_run(r, t.a, &o, s->groups, GROUPS, NULL, &err), &err);
    same_scene(s, expected, "after NaN");
    rollout_free(r);
    free(good);
    free(bad);
    free(expected);
    free(s);
    tiny_close(&t);
}

/* A pass that its sequences fill has no room for a guess; one sequence is guessed as far as it may
 * go, and no further: into the last position of the context and of the completion. */
static void test_room(void **state)
{
    (void)state;
    struct tiny t;
    struct err err = {0};
    rollout *r;
    tiny_open(&t, "qwen3_tied", best_isa(), PRECISION_BF16, 1);
    struct scene *s = scene_new(&t), *again = scene_new(&t);
    struct rollout_options o = {.max_new_tokens = ROOM, .temperature = 0};
    tiny_ok(rollout_create(&r, t.m, adapter_config(t.a), 28, 8, 20, &err), &err);
    rollout_speculate(r, SPECULATION_ALWAYS);
    o.max_new_tokens = 20; /* 28 sequences, 28 rows */
    s->groups[0].n = s->groups[1].n = 12;
    s->n[0] = s->n[1] = 12;
    s->lengths[0] = s->groups[0].prompt_len = 5;
    tiny_ok(rollout_run(r, t.a, &o, s->groups, 2, NULL, &err), &err);
    struct rollout_counts c = rollout_counts(r);
    assert_true(c.drafted > 0 && c.drafted + c.tokens - c.accepted <= 28 * c.passes);
    rollout_free(r);

    int context = model_max_context(t.m), *prompt = malloc((size_t)context * sizeof *prompt);
    tiny_random_ids(&t, prompt, context, 9);
    for (int i = 0; i < 2; i++) {
        struct scene *mine = i ? again : s;
        struct group_request g = {prompt, context - ROOM + 1, 1, s->groups[0].key,
                                  0,      mine->out[0].c};
        tiny_ok(rollout_create(&r, t.m, adapter_config(t.a), 1, context, ROOM, &err), &err);
        rollout_speculate(r, i ? SPECULATION_ALWAYS : SPECULATION_OFF);
        o.max_new_tokens = ROOM;
        for (int round = 0; round < 3; round++)
            tiny_ok(rollout_run(r, t.a, &o, &g, 1, NULL, &err), &err);
        c = rollout_counts(r);
        if (i) /* the last round at the latest knows all: 17 tokens a pass at most */
            assert_true(c.accepted > ROOM && c.passes >= 3 * ROOM / 17);
        rollout_free(r);
    }
    assert_memory_equal(s->out[0].ids[0], again->out[0].ids[0], ROOM * sizeof(int));
    assert_memory_equal(s->out[0].logp[0], again->out[0].logp[0], ROOM * sizeof(float));
    free(prompt);
    free(s);
    free(again);
    tiny_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_adapters),
        cmocka_unit_test(test_diverged),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_allocations.c: a run's steps, the first like all others, allocate nothing in train, rollout,
 * model and backend, whatever the lengths of their prompts and completions.
 *
 * The program is linked with -Wl,--wrap for the functions at the rooms' doors (the Makefile's
 * ALLOCATION_WRAPS): each wrapper notes which room the main thread is in, so that calls of the
 * allocator in between, by whatever thread, are that room's. Inside a step everything is counted
 * but what belongs to the episode: tokenizer, texts, rewards. Where no sanitizer has taken malloc,
 * the C library's own calls (a qsort that wants memory) are seen as well. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/train_run.h"
#include "backend/backend.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sanitizer.h"
#include "train/grpo.h"
#include "train/pretrain.h"
#include "train/pretrain_step.h"

#define PRETRAIN_FOLDER "tests/oracle/train/pretrain"

/* --- counting --- */

#if defined __GLIBC__ && !SANITIZED /* which has its own malloc */
enum { SEES_LIBC = 1 };
static atomic_long libc_calls;

/* The C library calls these where the program has them, and has its own under other names. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
void *memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    atomic_fetch_add(&libc_calls, 1);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    atomic_fetch_add(&libc_calls, 1);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    atomic_fetch_add(&libc_calls, 1);
    return __libc_realloc(p, size);
}

void *memalign(size_t alignment, size_t size)
{
    atomic_fetch_add(&libc_calls, 1);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    *out = memalign(alignment, size);
    return *out ? 0 : 12; /* ENOMEM */
}

static long calls_so_far(void)
{
    return atomic_load(&libc_calls);
}
#else
enum { SEES_LIBC = 0 };
static long calls_so_far(void)
{
    return (long)mem_stats().total_calls;
}
#endif

enum room { OUTSIDE, STEP, ROLLOUT, SCORE, GRADIENT, OPTIMIZER, SELFCHECK, PRETRAIN, N_ROOMS };
static const char *const room_names[N_ROOMS] = {"outside",  "step",      "rollout",   "score",
                                                "gradient", "optimizer", "selfcheck", "pretrain"};
enum { MAX_STEPS = 16 };

/* Of each step, with the evaluation after it; 0: what precedes step 1. */
static struct tally {
    long calls, entered;
} tally[MAX_STEPS + 1][N_ROOMS];
static int step_now;
static enum room room_now;
static long seen; /* calls that are in the tally */

static enum room enter(enum room room)
{
    enum room before = room_now;
    long calls = calls_so_far();
    tally[step_now][before].calls += calls - seen;
    seen = calls;
    room_now = room;
    tally[step_now][room].entered++;
    return before;
}

static void leave(enum room before)
{
    enter(before);
    tally[step_now][before].entered--;
}

static void count_anew(void)
{
    memset(tally, 0, sizeof tally);
    step_now = 0;
    room_now = OUTSIDE;
    seen = calls_so_far();
}

/* What the tests of this test plant: a call of the allocator in a room, at a step. */
static struct plant {
    enum room room;
    int step; /* 0: nowhere */
    bool libc;
} plant;

static void allocate_where_planted(enum room room)
{
    if (!plant.step || plant.room != room || plant.step != step_now)
        return;
    plant.step = 0;
    if (plant.libc)
        free(strdup(room_names[room]));
    else
        mem_free(mem_alloc(1));
}

/* --- the doors --- */

#define WRAP(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

/* The body of a wrapper: a call of the real function, in that room. */
#define IN_ROOM(place, type, call)                                                                 \
    enum room before = enter(place);                                                               \
    allocate_where_planted(place);                                                                 \
    type result = call;                                                                            \
    leave(before);                                                                                 \
    return result

WRAP(int, grpo_step, struct grpo *g, int step, struct err *err)
{
    assert_true(step <= MAX_STEPS);
    step_now = step;
    IN_ROOM(STEP, int, __real_grpo_step(g, step, err));
}

/* What the rollout calls back is not the rollout's. */
static bool finished_outside(void *user, int group, int sample, const int *ids, int n)
{
    const struct rollout_options *o = user;
    IN_ROOM(OUTSIDE, bool, o->finished(o->user, group, sample, ids, n));
}

static void ended_outside(void *user, int group, int sample, const struct completion *c)
{
    const struct rollout_options *o = user;
    enum room before = enter(OUTSIDE);
    o->ended(o->user, group, sample, c);
    leave(before);
}

static bool always_guess;
static long long drafted; /* guesses fed, of the last rollout there was */

WRAP(int, rollout_run, rollout *r, const adapter *a, const struct rollout_options *options,
     struct group_request *groups, int n_groups, bool (*stop)(void), struct err *err)
{
    struct rollout_options own = *options, theirs = *options;
    own.user = &theirs;
    own.finished = theirs.finished ? finished_outside : NULL;
    own.ended = theirs.ended ? ended_outside : NULL;
    if (always_guess)
        rollout_speculate(r, SPECULATION_ALWAYS);
    drafted = rollout_counts(r).drafted;
    IN_ROOM(ROLLOUT, int, __real_rollout_run(r, a, &own, groups, n_groups, stop, err));
}

WRAP(int, rollout_score, rollout *r, const adapter *a, double temperature,
     const struct score_request *q, struct err *err)
{
    IN_ROOM(SCORE, int, __real_rollout_score(r, a, temperature, q, err));
}

WRAP(int, gradient_compute, gradient *g, const struct gradient_call *call, struct generation *gen,
     struct loss_sums *sums, float **total, struct err *err)
{
    IN_ROOM(GRADIENT, int, __real_gradient_compute(g, call, gen, sums, total, err));
}

WRAP(int, optimizer_step, struct optimizer *o, const struct trainable *t, float *grad,
     const struct optimizer_call *call, double *norm, struct err *err)
{
    IN_ROOM(OPTIMIZER, int, __real_optimizer_step(o, t, grad, call, norm, err));
}

WRAP(int, selfcheck_sampler, struct grpo *g, struct err *err)
{
    IN_ROOM(SELFCHECK, int, __real_selfcheck_sampler(g, err));
}

WRAP(int, selfcheck_gradient, struct grpo *g, const float *total, double learning_rate,
     struct err *err)
{
    IN_ROOM(SELFCHECK, int, __real_selfcheck_gradient(g, total, learning_rate, err));
}

WRAP(int, selfcheck_update, struct grpo *g, double norm, struct err *err)
{
    IN_ROOM(SELFCHECK, int, __real_selfcheck_update(g, norm, err));
}

/* The episode's, within a step. */
WRAP(int, episode_encode, const struct episode *e, struct episode_batch *b, int max_prompt_tokens,
     struct err *err)
{
    IN_ROOM(OUTSIDE, int, __real_episode_encode(e, b, max_prompt_tokens, err));
}

WRAP(int, episode_run, const struct episode *e, const adapter *a,
     const struct rollout_options *options, struct episode_batch *b, struct err *err)
{
    IN_ROOM(OUTSIDE, int, __real_episode_run(e, a, options, b, err));
}

WRAP(int, pretrain_step, struct pretrain *p, int step, struct err *err)
{
    assert_true(step <= MAX_STEPS);
    step_now = step;
    IN_ROOM(PRETRAIN, int, __real_pretrain_step(p, step, err));
}

WRAP(int, pretrain_eval_loss, struct pretrain *p, const struct corpus *c, double *loss,
     struct err *err)
{
    IN_ROOM(PRETRAIN, int, __real_pretrain_eval_loss(p, c, loss, err));
}

/* --- what was counted --- */

/* Where a run was after its first step: what it was not in, nothing was seen of. */
static void expect_entered(const char *label, int first, const enum room *rooms, int n)
{
    for (int i = 0; i < n; i++) {
        long entered = 0;
        for (int s = first + 1; s <= MAX_STEPS; s++)
            entered += tally[s][rooms[i]].entered;
        if (!entered)
            fail_msg("%s: after its first step the run never was in %s", label,
                     room_names[rooms[i]]);
    }
}

/* Not in the first step either: what a step takes was made before. */
static long allocations(char *where, size_t room_for)
{
    long calls = 0;
    snprintf(where, room_for, "none");
    for (int s = 0; s <= MAX_STEPS; s++) {
        for (int room = OUTSIDE + 1; room < N_ROOMS; room++) {
            if (tally[s][room].calls)
                snprintf(where, room_for, "step %d, %s: %ld", s, room_names[room],
                         tally[s][room].calls);
            calls += tally[s][room].calls;
        }
    }
    return calls;
}

static void expect_nothing(const char *label)
{
    char where[100];
    long calls = allocations(where, sizeof where);
    if (calls)
        fail_msg("%s: %ld allocations, the last in %s", label, calls, where);
}

/* --- runs --- */

/* Rows of rising length: prompts of a word to `words` words. */
static void write_rows(const char *path, const char *first, int rows, int words)
{
    static const char *const word[] = {"frete", "prazo", "nota", "caixa", "loja"};
    struct str text = {0};
    for (int i = 0; i < rows; i++) {
        str_printf(&text, "{\"task\": \"%s\", \"prompt\": [{\"role\": \"user\", \"content\": \"%s",
                   i % 2 ? "b" : "a", first);
        for (int w = 0; w <= (words - 1) * i / (rows - 1); w++)
            str_printf(&text, " %s", word[(i + w) % 5]);
        str_puts(&text, "\"}]}\n");
    }
    write_text(path, str_text(&text));
    str_free(&text);
}

static struct ground {
    char *folder, recipe[600], run[600];
} ground;

static void ground_make(const char *lines)
{
    char text[3000];
    ground.folder = temp_folder();
    snprintf(ground.recipe, sizeof ground.recipe, "%s/recipe.yaml", ground.folder);
    snprintf(ground.run, sizeof ground.run, "%s/run", ground.folder);
    write_rows(in_folder(ground.folder, "train.jsonl"), "um", 24, 40);
    write_rows(in_folder(ground.folder, "eval.jsonl"), "dois", 9, 60);
    snprintf(text, sizeof text,
             TRAIN_RECIPE_BARE "data: %s/train.jsonl\neval_data: %s/eval.jsonl\neval_steps: 1\n"
                               "learning_rate: 5e-3\nmax_completion_length: 10\n%s",
             ground.folder, ground.folder, lines);
    write_text(ground.recipe, text);
}

static void ground_clear(void)
{
    temp_folder_remove(ground.folder);
}

static int prompt_tokens(const json_t *sample)
{
    return (int)json_array_size(json_object_get(sample, "prompt_ids"));
}

/* The run shows what it should: after the generation of its first step came a longer prompt, and a
 * completion of the full length, and more tokens in all. */
static void lengths_rose(const char *label)
{
    const char *path = in_folder(ground.run, "samples.jsonl");
    int lines = count_lines(path), prompt[2] = {0, 0}, longest[2] = {0, 0}, shortest = 1000;
    for (int i = 0; i < lines; i++) {
        json_t *sample = json_line(path, i);
        int later = json_integer_value(json_object_get(sample, "step")) > 1;
        int tokens = (int)json_array_size(json_object_get(sample, "ids"));
        prompt[later] =
            prompt_tokens(sample) > prompt[later] ? prompt_tokens(sample) : prompt[later];
        longest[later] = tokens > longest[later] ? tokens : longest[later];
        shortest = tokens < shortest ? tokens : shortest;
        json_decref(sample);
    }
    print_message("%s: prompts of up to %d tokens, then %d; completions of %d to %d\n", label,
                  prompt[0], prompt[1], shortest, longest[1]);
    assert_true(prompt[1] > prompt[0]);
    assert_int_equal(longest[1], 10);
    assert_true(shortest < 10);
}

static const struct way {
    const char *name, *recipe;
    bool scores;  /* rollout_score is part of later steps */
    bool guesses; /* as many as there is room for, whatever they cost */
} ways[] = {
    {"KL, iterations", "num_generations: 5\nprompts_per_step: 3\nbeta: 0.05\nnum_iterations: 2\n",
     true, true},
    {"slices, entropy, passes of 2",
     "num_generations: 4\nprompts_per_step: 2\nsteps_per_generation: 2\n"
     "top_entropy_quantile: 0.5\nmicro_batch: 2\nbeta: 0.05\n",
     true, false},
    {"warpers, stop strings, GSPO",
     "num_generations: 4\nprompts_per_step: 2\ntop_k: 40\ntop_p: 0.95\nmin_p: 0.01\n"
     "allow_truncated_sampling: true\nstop_strings: [xyz, \"qqq\"]\n"
     "importance_sampling_level: sequence\nloss_type: grpo\n",
     false, true},
    {"gdpo, refilled groups, weights that move",
     "num_generations: 4\nprompts_per_step: 3\nadvantage: gdpo\ntask_sampler: mtgrpo\n"
     "update_interval: 1\ndynamic_sampling: true\nsoft_overlong_cache: 4\nspeculation: false\n",
     false, false},
};

static void check_way(const struct way *way, const char *isa, const char *precision,
                      const char *steps)
{
    static const enum room rooms[] = {STEP, ROLLOUT, GRADIENT, OPTIMIZER, SCORE};
    char label[200];
    snprintf(label, sizeof label, "%s, %s, %s", way->name, isa, precision);
    ground_make(way->recipe);
    count_anew();
    always_guess = way->guesses;
    train_ok(&(struct train_run){.recipe = ground.recipe,
                                 .run = ground.run,
                                 .isa = isa,
                                 .threads = 2,
                                 .set = {precision, steps}});
    always_guess = false;
    if (way->guesses)
        assert_true(drafted > 0);
    expect_entered(label, 1, rooms, way->scores ? 5 : 4);
    expect_nothing(label);
    lengths_rose(label);
    ground_clear();
}

static void a_step_allocates_nothing(void **state)
{
    (void)state;
    for (const char *const *isa = device_isa_names(); *isa; isa++) {
        if (!device_isa_available(*isa)) {
            print_message("not run here: %s\n", *isa);
            continue;
        }
        check_way(&ways[0], *isa, "precision=bf16", "max_steps=4");
        check_way(&ways[0], *isa, "precision=f32", "max_steps=4");
    }
    for (size_t w = 1; w < sizeof ways / sizeof *ways; w++) {
        check_way(&ways[w], "auto", "precision=bf16", "max_steps=8");
        check_way(&ways[w], "auto", "precision=f32", "max_steps=8");
    }
}

/* The sampler is checked in a later step of the process than its first. */
static void nor_after_a_resume(void **state)
{
    static const enum room rooms[] = {STEP, ROLLOUT, GRADIENT, OPTIMIZER, SCORE, SELFCHECK};
    (void)state;
    ground_make("num_generations: 4\nprompts_per_step: 2\nnum_iterations: 3\nmax_steps: 6\n"
                "save_steps: 1\nsave_total_limit: 0\nbeta: 0.1\ntop_k: 50\n"
                "allow_truncated_sampling: true\n");
    struct train_run run = {.recipe = ground.recipe, .run = ground.run, .threads = 2};
    train_ok(&run);
    shell("cd '%s/checkpoints' && rm -r step-3 step-4 step-5 step-6", ground.run);
    run.resume = true;
    count_anew();
    train_ok(&run);
    assert_int_equal(tally[2][STEP].entered, 0);
    assert_int_equal(tally[3][STEP].entered, 1);
    expect_entered("resume", 3, rooms, 6);
    expect_nothing("resume");
    ground_clear();
}

/* Updates too small to be seen keep the self-check looking, at updates 1, 2, 4, 8. */
static void nor_while_the_self_check_waits(void **state)
{
    static const enum room rooms[] = {SCORE, SELFCHECK};
    (void)state;
    ground_make("num_generations: 4\nprompts_per_step: 2\nmax_steps: 9\n");
    count_anew();
    train_ok(&(struct train_run){.recipe = ground.recipe,
                                 .run = ground.run,
                                 .threads = 2,
                                 .set = {"learning_rate=1e-30", "eval_steps=20"}});
    expect_entered("self-check", 7, rooms, 2);
    expect_nothing("self-check");
    ground_clear();
}

static void nor_does_pretraining(void **state)
{
    static const enum room rooms[] = {PRETRAIN, OPTIMIZER};
    static const char *const sets[] = {"precision=bf16", "precision=f32", "packing=true"};
    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        recipe *loaded;
        struct pretrain_options o;
        struct device *d;
        struct err err = {0};
        struct pretrain_result result;
        char *folder = temp_folder(), path[600], run[600];
        snprintf(path, sizeof path, "%s/recipe.yaml", folder);
        snprintf(run, sizeof run, "%s/run", folder);
        write_text(path, "config: " PRETRAIN_FOLDER "\ntokenizer: " PRETRAIN_FOLDER
                         "\ndata: " PRETRAIN_FOLDER "/train.jsonl\neval_data: " PRETRAIN_FOLDER
                         "/eval.jsonl\nmax_length: 96\nsequences_per_step: 6\neval_steps: 2\n"
                         "learning_rate: 5e-3\nmax_steps: 6\n");
        assert_int_equal(pretrain_recipe_load(&loaded, &o, path, &sets[i], 1, &err), 0);
        struct device_options how = {.precision = (enum precision)o.precision, .threads = 2};
        assert_int_equal(device_open(&d, &how, &err), 0);
        struct pretrain_spec spec = {.o = &o, .recipe = loaded, .run = run, .device = d};
        count_anew();
        assert_int_equal(pretrain_run(&spec, &result, &err), 0);
        expect_entered(sets[i], 1, rooms, 2);
        expect_nothing(sets[i]);
        device_close(d);
        recipe_free(loaded);
        temp_folder_remove(folder);
    }
}

/* Whoever allocates one byte in a step, through base/mem.h or not, is seen and named. */
static void what_is_allocated_is_seen(void **state)
{
    static const enum room rooms[] = {STEP, ROLLOUT, SCORE, GRADIENT, OPTIMIZER};
    char where[100], want[100];
    (void)state;
    ground_make("num_generations: 4\nprompts_per_step: 2\nbeta: 0.1\nmax_steps: 3\n");
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        for (int libc = 0; libc <= SEES_LIBC; libc++) {
            plant = (struct plant){rooms[i], 2, libc};
            count_anew();
            train_ok(&(struct train_run){.recipe = ground.recipe, .run = ground.run});
            shell("rm -r '%s'", ground.run);
            snprintf(want, sizeof want, "step 2, %s: 1", room_names[rooms[i]]);
            assert_int_equal(allocations(where, sizeof where), 1);
            assert_string_equal(where, want);
        }
    }
    ground_clear();
    if (!SEES_LIBC)
        print_message("the C library's own allocations are not seen here\n");
}

int main(void)
{
    log_set_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_allocated_is_seen),
        cmocka_unit_test(a_step_allocates_nothing),
        cmocka_unit_test(nor_after_a_resume),
        cmocka_unit_test(nor_while_the_self_check_waits),
        cmocka_unit_test(nor_does_pretraining),
    };
    return cmocka_run_group_tests_name("allocations", tests, NULL, NULL);
}

/* test_asker.c: rewards of the user's own in a recipe's list, and rewards that wait for a process:
 * asked while other completions are being sampled, by several threads, with results that depend on
 * neither. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "../support/train_run.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "episode/asker.h"
#include "episode/batch.h"

static const char python[] = "/usr/bin/python3";
#define WORKER "tests/reward/workers/worker.py"

static bool no_python(void)
{
    if (access(python, X_OK) == 0)
        return false;
    print_message("%s is not here\n", python);
    return true;
}

static int make_set(struct reward_set *set, const char *json, struct err *err)
{
    json_t *list = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(list);
    int status = reward_set_create(set, list, "rewards", err);
    json_decref(list);
    return status;
}

/* --- the recipe's list --- */

static void test_list(void **state)
{
    (void)state;
    static const char json[] =
        "[{\"command\": [\"sh\", \"a\"], \"name\": \"mine\", \"weight\": 2, \"workers\": 3},"
        " {\"command\": [\"sh\"], \"components\": {\"x\": 1, \"y\": 0}, \"deterministic\": true},"
        " {\"name\": \"command\", \"params\": {\"command\": [\"sh\"]}, \"label\": \"other\"},"
        " {\"command\": [\"sh\"]}, {\"command\": [\"sh\"]}, {\"command\": [\"sh\"]}, \"push\"]";
    static const char *const labels[] = {"mine",      "command",   "other", "command:all",
                                         "command:2", "command:3", "push"};
    size_t live = mem_stats().live_blocks;
    struct reward_set set;
    struct err err;
    if (make_set(&set, json, &err))
        fail_msg("%s", err.message);
    assert_int_equal(set.count, 7);
    for (int i = 0; i < 7; i++)
        assert_string_equal(set.items[i].label, labels[i]);
    assert_true(set.items[0].weight == 2 && set.items[1].weight == 1);
    assert_int_equal(reward_manner(set.items[0].reward).side_by_side, 3);
    assert_true(reward_manner(set.items[1].reward).repeatable);
    int n;
    reward_components(set.items[1].reward, &n);
    assert_int_equal(n, 2);
    reward_set_free(&set);
    /* Without a list around it, and under a task. */
    assert_int_equal(make_set(&set, "{\"command\": [\"sh\"]}", &err), 0);
    assert_true(set.count == 1 && !set.items[0].task);
    reward_set_free(&set);
    assert_int_equal(make_set(&set, "{\"sql_qa\": {\"command\": [\"sh\"]}}", &err), 0);
    assert_true(set.count == 1 && strcmp(set.items[0].task, "sql_qa") == 0);
    reward_set_free(&set);
    assert_int_equal(mem_stats().live_blocks, live);
}

static void test_bad_list(void **state)
{
    (void)state;
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"[{\"command\": [\"sh\"], \"library\": \"a.so\"}]", "both command and library"},
        {"[{\"command\": [\"sh\"], \"worker\": 2}]", "did you mean \"workers\""},
        {"[{\"command\": [\"sh\"], \"params\": {}}]", "unknown key \"params\""},
        {"[{\"command\": [\"sh\"], \"name\": 3}]", "\"name\" is an integer"},
        {"[{\"command\": [\"sh\"], \"name\": \"a\", \"label\": \"b\"}]", "the name is the label"},
        {"[{\"command\": [\"sh\"], \"weight\": \"1\"}]", "\"weight\" is a string"},
        {"[{\"command\": \"sh r.sh\"}]", "expected a list of texts"},
        {"[{\"library\": \"./no-such.so\"}]", "there is no file ./no-such.so"},
        {"[{\"library\": \"a.so\", \"workers\": 2}]", "unknown key \"workers\""},
        {"[{\"command\": [\"sh\"], \"name\": \"push\"}, {\"name\": \"push\", \"label\": \"push\"}]",
         "two rewards are called \"push\""},
    };
    size_t live = mem_stats().live_blocks;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reward_set set;
        struct err err = {0};
        assert_int_equal(make_set(&set, cases[i].json, &err), ERR_USAGE);
        if (!strstr(err.message, cases[i].says))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].json, err.message, cases[i].says);
        assert_int_equal(mem_stats().live_blocks, live);
    }
}

/* --- the threads --- */

static void test_questions(void **state)
{
    (void)state;
    if (no_python())
        skip();
    enum { N = 60 };
    size_t live = mem_stats().live_blocks;
    struct reward_set set;
    struct err err;
    asker *a;
    assert_int_equal(make_set(&set, "[\"push\"]", &err), 0);
    assert_int_equal(asker_create(&a, &set, N, &err), 0);
    assert_null(a);
    asker_free(a);
    reward_set_free(&set);
    assert_int_equal(make_set(&set,
                              "[\"push\","
                              " {\"command\": [\"/usr/bin/python3\", \"" WORKER
                              "\", \"jitter\"], \"workers\": 4},"
                              " {\"command\": [\"/usr/bin/python3\", \"" WORKER "\", \"good\"]}]",
                              &err),
                     0);
    assert_int_equal(asker_create(&a, &set, N, &err), 0);
    assert_true(!asker_items(a)[0] && asker_items(a)[1] && asker_items(a)[2]);
    char text[N];
    struct reward_result results[2][N];
    memset(text, 'x', sizeof text);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            struct reward_input in = {
                .prompt = "", .completion = text, .completion_length = (size_t)i};
            for (int r = 0; r < 2; r++)
                asker_ask(a, 1 + r, &in, &results[r][i]);
        }
        if (round == 1) { /* those that nobody has begun are forgotten */
            asker_drop(a);
            continue;
        }
        asker_wait(a);
        for (int i = 0; i < N; i++)
            for (int r = 0; r < 2; r++)
                assert_true(results[r][i].status == REWARD_OK && results[r][i].score == i);
    }
    asker_free(a);
    reward_set_free(&set);
    assert_int_equal(mem_stats().live_blocks, live);
}

/* --- an episode --- */

enum { GROUPS = 2, PER_GROUP = 3, MAX_NEW = 8 };

struct scene {
    struct device *device;
    model *model;
    struct text_codec codec;
    struct dataset data;
    struct reward_set rewards;
    rollout *rollout;
    struct episode_batch batch;
    struct episode episode;
};

/* One completion decodes at a time: the first has ended long before the last. */
static void open_scene(struct scene *s, const char *rewards, bool (*stop)(void))
{
    struct err err = {0};
    *s = (struct scene){0};
    if (device_open(&s->device, &(struct device_options){.threads = 1}, &err) ||
        model_open(&s->model, s->device, "tests/demo/model", 0, &err) ||
        text_codec_open(&s->codec, "tests/demo/model", NULL, model_config(s->model), &err) ||
        dataset_open(&s->data, "tests/demo/eval.jsonl", &err) ||
        make_set(&s->rewards, rewards, &err) ||
        rollout_create(&s->rollout, s->model, NULL, 1, 400, MAX_NEW, &err) ||
        episode_batch_create(&s->batch, GROUPS, PER_GROUP, MAX_NEW, &s->rewards, &err))
        fail_msg("%s: %s", err.where, err.message);
    s->episode = (struct episode){
        .codec = &s->codec, .rewards = &s->rewards, .rollout = s->rollout, .stop = stop};
    s->batch.count = GROUPS;
    for (int g = 0; g < GROUPS; g++) {
        s->batch.groups[g].row = &s->data.rows[g];
        s->batch.groups[g].key = (struct rng_key){.seed = 1, .row = s->data.rows[g].key};
        s->batch.groups[g].n = PER_GROUP;
    }
}

static int run_scene(struct scene *s, struct err *err)
{
    struct rollout_options o = {
        .max_new_tokens = MAX_NEW, .temperature = 1, .eos = s->codec.eos, .n_eos = s->codec.n_eos};
    int status = episode_encode(&s->episode, &s->batch, 400, err);
    return status ? status : episode_run(&s->episode, NULL, &o, &s->batch, err);
}

static void close_scene(struct scene *s)
{
    episode_batch_free(&s->batch);
    rollout_free(s->rollout);
    reward_set_free(&s->rewards);
    dataset_close(&s->data);
    text_codec_close(&s->codec);
    model_close(s->model);
    device_close(s->device);
}

/* `stop` is polled before every token; here it watches what the worker has been asked by then. */
static struct {
    const char *marks;
    int polls, asked_before_the_end;
} watched;

static bool watch_marks(void)
{
    /* Two completions have ended by now at the latest, and others are to come. */
    if (++watched.polls == 2 * MAX_NEW + 1) {
        double until = clock_seconds() + 60;
        while (access(watched.marks, F_OK) != 0 && clock_seconds() < until)
            nanosleep(&(struct timespec){0, 1000000}, NULL);
        watched.asked_before_the_end = access(watched.marks, F_OK) == 0;
    }
    return false;
}

static void test_asked_early(void **state)
{
    (void)state;
    if (no_python())
        skip();
    char *folder = temp_folder(), rewards[600];
    struct scene s;
    struct err err;
    watched.marks = in_folder(folder, "marks");
    watched.polls = watched.asked_before_the_end = 0;
    snprintf(rewards, sizeof rewards,
             "[{\"command\": [\"%s\", \"" WORKER "\", \"mark\", \"%s\"]}, "
             "{\"name\": \"length\", \"params\": {\"target\": 5}}]",
             python, watched.marks);
    open_scene(&s, rewards, watch_marks);
    for (int round = 0; round < 2; round++) {
        if (run_scene(&s, &err))
            fail_msg("%s: %s", err.where, err.message);
        assert_int_equal(count_lines(watched.marks), (round + 1) * GROUPS * PER_GROUP);
        for (int g = 0; g < GROUPS; g++)
            for (int i = 0; i < PER_GROUP; i++) {
                const struct episode_sample *sample = &s.batch.groups[g].samples[i];
                int32_t c;
                double characters = 0;
                for (size_t at = 0; at < sample->text.length; characters++)
                    at += (size_t)utf8_decode(sample->text.data + at, sample->text.length - at, &c);
                assert_true(sample->scored.valid && sample->scored.values[0] == characters);
                assert_true(sample->scored.total ==
                            sample->scored.values[0] + sample->scored.values[1]);
            }
    }
    assert_int_equal(watched.asked_before_the_end, 1);
    /* The same completions, judged when all are there. */
    assert_int_equal(episode_judge(&s.episode, &s.batch, &err), 0);
    assert_int_equal(count_lines(watched.marks), 3 * GROUPS * PER_GROUP);
    close_scene(&s);
    temp_folder_remove(folder);
}

/* A reward that looks at the group is asked when all of it is there. */
static void test_group(void **state)
{
    (void)state;
    if (no_python())
        skip();
    struct scene s;
    struct err err;
    open_scene(&s,
               "{\"command\": [\"/usr/bin/python3\", \"" WORKER
               "\", \"group\"], \"group\": true, \"workers\": 2}",
               NULL);
    if (run_scene(&s, &err))
        fail_msg("%s: %s", err.where, err.message);
    for (int g = 0; g < GROUPS; g++)
        for (int i = 0; i < PER_GROUP; i++)
            assert_true(s.batch.groups[g].samples[i].scored.total == 100 * PER_GROUP + i);
    close_scene(&s);
}

static bool stop_in_the_middle(void)
{
    return ++watched.polls > 2 * MAX_NEW;
}

/* A rollout that is cut leaves no question open. */
static void test_cut(void **state)
{
    (void)state;
    if (no_python())
        skip();
    struct scene s;
    struct err err;
    size_t live = mem_stats().live_blocks;
    watched.polls = 0;
    open_scene(&s, "{\"command\": [\"/usr/bin/python3\", \"" WORKER "\", \"nap\", \"0.05\"]}",
               stop_in_the_middle);
    assert_int_equal(run_scene(&s, &err), ERR_INTERRUPTED);
    close_scene(&s);
    assert_int_equal(mem_stats().live_blocks, live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),      cmocka_unit_test(test_bad_list),
        cmocka_unit_test(test_questions), cmocka_unit_test(test_asked_early),
        cmocka_unit_test(test_group),     cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

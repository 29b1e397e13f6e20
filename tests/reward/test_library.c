/* test_library.c: the reward `library`: the example of examples/rewards/c, and shared objects that
 * are wrong in one way each, or right in an unusual one (libraries/odd.c, compiled beside this). */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "../support/train_run.h"
#include "cases.h"

static char libraries[1024]; /* the folder they are compiled into */

static int create(reward **r, const char *name, const char *own, struct err *err)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s.so", libraries, name);
    json_t *params = json_pack("{s: s}", "library", path);
    if (own)
        json_object_set_new(params, "params", json_loads(own, JSON_DECODE_ANY, NULL));
    int status = reward_create(r, "library", params, err);
    json_decref(params);
    return status;
}

static reward *library(const char *name, const char *own)
{
    reward *r;
    struct err err;
    if (create(&r, name, own, &err))
        fail_msg("%s: %s: %s", name, err.where, err.message);
    return r;
}

static int keep_path(void *user, const char *path, struct err *err)
{
    (void)err;
    str_printf(user, "%s;", path);
    return 0;
}

static void test_example(void **state)
{
    (void)state;
    size_t live = mem_stats().live_blocks;
    reward *r = library("example", NULL);
    assert_true(score_of(r, "", "por favor") == 1);
    assert_true(fabs(score_of(r, "", "AB") - 0) < 1e-12);
    assert_true(fabs(score_of(r, "", "aB\0por favor") - 0.2) < 1e-12); /* C string ends */
    assert_true(evaluate(r, "", "aB\0or favor", 11).components[0] == 1);
    assert_true(isnan(evaluate(r, "", "123", 3).components[1]));
    struct reward_manner m = reward_manner(r);
    assert_true(m.repeatable && m.needs == 0);
    struct str paths = {0};
    assert_int_equal(reward_files(r, NULL, keep_path, &paths, NULL), 0);
    assert_non_null(strstr(str_text(&paths), "/example.so;"));
    str_free(&paths);
    reward_free(r);
    r = library("example", "{\"word\": \"bom dia\"}");
    assert_true(score_of(r, "", "bom dia") == 1);
    reward_free(r);
    assert_int_equal(mem_stats().live_blocks, live);
}

/* The control of docs/STUDY.md: a number that depends on all of seed, prompt and completion, and on
 * nothing else; uniform, and symmetric about 1/2 (over 20,000 texts within 4 standard errors). */
static void test_random(void **state)
{
    (void)state;
    enum { N = 20000 };
    reward *r = library("random", "{\"seed\": 7}"), *other = library("random", "{\"seed\": 8}");
    double sum = 0, squares = 0, cubes = 0, products = 0;
    for (int i = 0; i < N; i++) {
        char text[24];
        snprintf(text, sizeof text, "texto %d", i);
        double x = score_of(r, "p", text) - 0.5, y = score_of(other, "p", text) - 0.5;
        assert_true(x >= -0.5 && x < 0.5 && score_of(r, "p", text) - 0.5 == x);
        sum += x;
        squares += x * x;
        cubes += x * x * x;
        products += x * y;
    }
    print_message("moments %.5f %.5f %.5f, two seeds' product %.5f\n", sum / N, squares / N,
                  cubes / N, products / N);
    assert_true(fabs(sum / N) < 4 * 0.2887 / sqrt(N));
    assert_true(fabs(squares / N - 1.0 / 12) < 4 * 0.0745 / sqrt(N));
    assert_true(fabs(cubes / N) < 4 * 0.0472 / sqrt(N));
    assert_true(fabs(products / N) < 4 * (1.0 / 12) / sqrt(N));
    assert_true(score_of(r, "p", "x") != score_of(r, "q", "x"));
    assert_true(score_of(r, "px", "") != score_of(r, "p", "x")); /* where one ends counts */
    assert_true(reward_manner(r).repeatable);
    reward_free(r);
    reward_free(other);
    struct err err;
    assert_int_not_equal(create(&r, "random", "{\"seed\": -1}", &err), 0);
    assert_int_not_equal(create(&r, "random", "{\"sed\": 1}", &err), 0);
}

static void test_answers(void **state)
{
    (void)state;
    reward *r = library("plain", NULL);
    assert_true(score_of(r, "", "x") == 1);
    assert_true(evaluate(r, "", "a\0b", 3).score == 0.5); /* a NUL inside, and one behind */
    assert_true(score_of(r, "abc", "prompt") == 3);
    assert_true(score_of(r, "", "row") == 0);
    static const struct {
        const char *text;
        enum reward_status status;
        const char *says;
    } cases[] = {
        {"infinite", REWARD_FAILED, "not finite"},
        {"nothing", REWARD_FAILED, "neither a component nor a score"},
        {"failed", REWARD_FAILED, "library: xxxx"},
        {"mute", REWARD_FAILED, "gave no reason"},
        {"not applicable", REWARD_NOT_APPLICABLE, "no \\u001b numbers"},
        {"odd", REWARD_FAILED, "returned 42"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reward_result out = evaluate(r, "", cases[i].text, strlen(cases[i].text));
        if (out.status != cases[i].status || !strstr(out.reason, cases[i].says))
            fail_msg("%s: %s: %s", cases[i].text, reward_status_name(out.status), out.reason);
    }
    assert_false(reward_manner(r).repeatable);
    reward_free(r);
    r = library("row", NULL);
    json_t *row = json_pack("{s: i}", "a", 1);
    struct reward_input in = {
        .prompt = "", .completion = "row", .completion_length = 3, .row = row};
    struct reward_result out;
    reward_evaluate(r, &in, &out, NULL);
    assert_true(out.score == (double)strlen("{\"a\": 1}"));
    assert_int_equal(reward_manner(r).needs, REWARD_NEEDS_PROCESS);
    json_decref(row);
    reward_free(r);
}

static void test_bad_libraries(void **state)
{
    (void)state;
    static const struct {
        const char *name, *own, *says;
    } cases[] = {
        {"no_such", NULL, "there is no file"},
        {"no_symbol", NULL, "no symbol grpo_reward_library"},
        {"null", NULL, "gave NULL"},
        {"abi", NULL, "built for version 2 of grpo_reward.h, this program has version 1"},
        {"flags", NULL, "unknown flags 0x40"},
        {"no_evaluate", NULL, "no function evaluate"},
        {"no_components", NULL, "has 0 components; expected 1 to 16"},
        {"many", NULL, "has 17 components"},
        {"no_name", NULL, "component 0"},
        {"twice", NULL, "two components called \"only\""},
        {"weight", NULL, "weight of component \"only\""},
        {"create_fails", "{\"a\": 1}", "says no: I do not like {\"a\":1}"},
        {"plain", "{\"a\": 1}", "takes no params"},
        {"plain", "[1]", "own params are a list"},
        {"example", "{\"word\": \"\"}", "word has 0 bytes"},
    };
    size_t live = mem_stats().live_blocks;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reward *r = (reward *)1;
        struct err err = {0};
        assert_int_equal(create(&r, cases[i].name, cases[i].own, &err), ERR_USAGE);
        assert_null(r);
        if (!strstr(err.message, cases[i].says))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].name, err.message, cases[i].says);
        assert_int_equal(mem_stats().live_blocks, live);
    }
    static const struct {
        const char *params, *says;
    } more[] = {
        {"null", "library is missing"},
        {"{\"library\": 3}", "\"library\" is an integer"},
        {"{\"library\": \"Makefile\"}", "cannot be loaded"},
        {"{\"library\": \"tests\"}", "library: "},
        {"{\"library\": \"x\", \"parms\": {}}", "did you mean \"params\""},
    };
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        reward *r;
        struct err err = {0};
        json_t *params = json_loads(more[i].params, JSON_DECODE_ANY, NULL);
        int status = reward_create(&r, "library", params, &err);
        assert_true(status == ERR_USAGE || status == ERR_INPUT);
        if (!strstr(err.message, more[i].says))
            fail_msg("%s: %s", more[i].params, err.message);
        json_decref(params);
        assert_int_equal(mem_stats().live_blocks, live);
    }
}

static void *hammer(void *r)
{
    size_t wrong = 0;
    for (int i = 0; i < 20000; i++)
        wrong += evaluate(r, "", "x", 1).score != 1;
    return (void *)wrong;
}

/* One that is not thread-safe is never entered twice: it would answer 77, which is no status. */
static void test_one_at_a_time(void **state)
{
    (void)state;
    reward *r = library("plain", NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, r), 0);
    for (int i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    reward_free(r);
}

static void test_no_memory(void **state)
{
    (void)state;
    size_t live = mem_stats().live_blocks;
    reward *r = NULL;
    char path[1200];
    snprintf(path, sizeof path, "%s/example.so", libraries);
    json_t *params = json_pack("{s: s, s: {s: s}}", "library", path, "params", "word", "oi");
    size_t with_params = mem_stats().live_blocks;
    for (int n = 0; !r; n++) {
        struct err err = {0};
        assert_true(n < 100);
        mem_fail_after(n);
        int status = reward_create(&r, "library", params, &err);
        mem_fail_after(-1);
        assert_int_equal(status, r ? ERR_NONE : ERR_MACHINE);
        if (!r)
            assert_int_equal(mem_stats().live_blocks, with_params);
    }
    json_decref(params);
    check_no_memory(r, "p", "bom dia");
    reward_free(r);
    assert_int_equal(mem_stats().live_blocks, live);
}

int main(void)
{
    ssize_t n = readlink("/proc/self/exe", libraries, sizeof libraries - 40);
    char *slash = n > 0 ? strrchr(libraries, '/') : NULL;
    if (!slash)
        return 1;
    strcpy(slash, "/libraries");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),       cmocka_unit_test(test_random),
        cmocka_unit_test(test_answers),       cmocka_unit_test(test_bad_libraries),
        cmocka_unit_test(test_one_at_a_time), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

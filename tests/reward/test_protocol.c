/* test_protocol.c: the lines between grpo and a reward of the user's own: what a request looks
 * like to the byte, and what each kind of answer is taken for. */
#include <math.h>
#include "cases.h"
#include "reward/protocol.h"

static const struct reward_component two[] = {{"form", 0.75}, {"content", 0.25}};
static const struct reward_component alone[] = {{"score", 1}};

static void test_request(void **state)
{
    (void)state;
    struct str text = {0};
    struct slice group[] = {{"x", 1}, {"a\n\0\xFF\"", 5}};
    json_t *row = json_pack("{s: [i, f], s: n}", "k", 1, 0.5, "z");
    struct reward_input in = {.prompt = "p",
                              .prompt_length = 1,
                              .completion = group[1].data,
                              .completion_length = 5,
                              .row = row,
                              .group = group,
                              .n_group = 2,
                              .sample = 1};
    protocol_request(&text, 7, &in, false);
    assert_string_equal(str_text(&text),
                        "{\"id\": 7, \"completion\": \"a\\n\\u0000\xEF\xBF\xBD\\\"\", "
                        "\"prompt\": \"p\", \"row\": {\"k\": [1, 0.5], \"z\": null}}\n");
    str_clear(&text);
    in.row = NULL;
    protocol_request(&text, 8, &in, true);
    assert_string_equal(str_text(&text),
                        "{\"id\": 8, \"completion\": \"a\\n\\u0000\xEF\xBF\xBD\\\"\", "
                        "\"prompt\": \"p\", \"group\": [\"x\", \"a\\n\\u0000\xEF\xBF\xBD\\\"\"], "
                        "\"sample\": 1, \"row\": null}\n");
    str_clear(&text);
    in.n_group = in.sample = 0;
    protocol_request(&text, 9, &in, true);
    assert_non_null(strstr(str_text(&text), "\"group\": null, \"sample\": 0, \"row\""));
    str_free(&text);
    json_decref(row);
}

static struct reward_result fresh(int n)
{
    struct reward_result out = {.status = REWARD_OK, .score = NAN, .n_components = n};
    for (int i = 0; i < REWARD_MAX_COMPONENTS; i++)
        out.components[i] = NAN;
    return out;
}

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void test_scores(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        double score, form, content;
    } cases[] = {
        {"{\"id\": 5, \"score\": 0.5}", 0.5, NAN, NAN},
        {" {\"score\":-3,\"id\":5} \r", -3, NAN, NAN},
        {"{\"id\": 5, \"components\": {\"form\": 1, \"content\": 0}}", NAN, 1, 0},
        {"{\"id\": 5, \"components\": {\"content\": 0.5}}", NAN, NAN, 0.5},
        {"{\"id\": 5, \"components\": {\"content\": 2, \"form\": null}}", NAN, NAN, 2},
        {"{\"id\": 5, \"components\": {\"form\": 1}, \"score\": 9, \"explain\": {}}", 9, 1, NAN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reward_result out = fresh(2);
        char why[PROTOCOL_WHY] = "";
        assert_true(
            protocol_answer(&out, why, cases[i].line, strlen(cases[i].line), 5, two, 2, NULL));
        assert_int_equal(out.status, REWARD_OK);
        if (!same(out.score, cases[i].score) || !same(out.components[0], cases[i].form) ||
            !same(out.components[1], cases[i].content))
            fail_msg("%s: %g %g %g", cases[i].line, out.score, out.components[0],
                     out.components[1]);
    }
    struct reward_result out = fresh(1);
    char why[PROTOCOL_WHY];
    static const char line[] = "{\"id\": 1, \"score\": 0.25}";
    assert_true(protocol_answer(&out, why, line, strlen(line), 1, alone, 1, NULL));
    assert_true(out.score == 0.25 && out.components[0] == 0.25);
}

/* A worker that answers, but wrongly, or that says no. */
static void test_verdicts(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum reward_status status;
        const char *says;
    } cases[] = {
        {"{\"id\": 5, \"error\": \"no network\"}", REWARD_FAILED, "no network"},
        {"{\"id\": 5, \"error\": \"\"}", REWARD_FAILED, "it gave no reason"},
        {"{\"id\": 5, \"error\": \"a\\u0000\\n\\u001b[1mb\"}", REWARD_FAILED,
         "a\\u0000⏎ \\u001b[1mb"},
        {"{\"id\": 5, \"not_applicable\": \"no numbers\"}", REWARD_NOT_APPLICABLE, "no numbers"},
        {"{\"id\": 5}", REWARD_FAILED, "no verdict"},
        {"{\"id\": 5, \"explain\": {}}", REWARD_FAILED, "no verdict"},
        {"{\"id\": 5, \"score\": 1, \"error\": \"x\"}", REWARD_FAILED, "more than one verdict"},
        {"{\"id\": 5, \"not_applicable\": \"y\", \"error\": \"x\"}", REWARD_FAILED,
         "more than one verdict"},
        {"{\"id\": 5, \"scoer\": 1}", REWARD_FAILED, "unknown key \"scoer\""},
        {"{\"id\": 5, \"score\": \"1\"}", REWARD_FAILED, "score is a string"},
        {"{\"id\": 5, \"score\": null}", REWARD_FAILED, "score is null"},
        {"{\"id\": 5, \"score\": true}", REWARD_FAILED, "score is a boolean"},
        {"{\"id\": 5, \"components\": [1, 2]}", REWARD_FAILED, "components are a list"},
        {"{\"id\": 5, \"components\": {\"from\": 1}}", REWARD_FAILED,
         "unknown component \"from\"; known: form, content"},
        {"{\"id\": 5, \"components\": {\"form\": \"1\"}}", REWARD_FAILED, "form is a string"},
        {"{\"id\": 5, \"error\": 3}", REWARD_FAILED, "error is an integer"},
        {"{\"id\": 5, \"score\": 1, \"explain\": 3}", REWARD_FAILED, "explain is an integer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reward_result out = fresh(2);
        char why[PROTOCOL_WHY] = "";
        assert_true(
            protocol_answer(&out, why, cases[i].line, strlen(cases[i].line), 5, two, 2, NULL));
        if (out.status != cases[i].status || !strstr(out.reason, cases[i].says))
            fail_msg("%s: %s, \"%s\"", cases[i].line, reward_status_name(out.status), out.reason);
        assert_true(isnan(out.score));
        assert_true(utf8_valid(out.reason, strlen(out.reason)));
    }
}

/* A long reason is cut between characters. */
static void test_long_reason(void **state)
{
    (void)state;
    char line[4096];
    for (int shift = 0; shift < 4; shift++) {
        int n = snprintf(line, sizeof line, "{\"id\": 5, \"error\": \"%.*s", shift, "abc");
        for (int i = 0; i < 500; i++)
            n += snprintf(line + n, sizeof line - (size_t)n, "\xF0\x9F\x98\x80");
        snprintf(line + n, sizeof line - (size_t)n, "\"}");
        struct reward_result out = fresh(2);
        char why[PROTOCOL_WHY];
        assert_true(protocol_answer(&out, why, line, strlen(line), 5, two, 2, NULL));
        assert_true(strlen(out.reason) > 200 && utf8_valid(out.reason, strlen(out.reason)));
    }
}

/* Whoever wrote these no longer keeps to the protocol; nothing is taken from them. */
static void test_out_of_step(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"", "answered \"\", which is not JSON"},
        {"Loading model...", "answered \"Loading model...\", which is not JSON"},
        {"{\"id\": 5, \"score\": 1", "not JSON"},
        {"{\"id\": 5, \"score\": NaN}", "not JSON"},
        {"{\"id\": 5, \"score\": 1e999}", "not JSON"},
        {"{\"id\": 5, \"score\": 1} {}", "not JSON"},
        {"{\"id\": 5, \"score\": 1, \"score\": 2}", "not JSON"},
        {"{\"id\": 5, \"error\": \"\xFF\"}", "not JSON"},
        {"\x1b[2J\xFF", "answered \"\\u001b[2J\\xff\""},
        {"\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
         "\x01"
         "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01",
         "answered \"\\u0001\\u0001"},
        {"\xC3\xA9\xC3\xA9\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
         "\x01\x01\x01"
         "\x01\x01\x01\x01\x01\x01\x01\x01\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9"
         "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9",
         "answered"},
        {"0.5", "no object"},
        {"[{\"id\": 5}]", "no object"},
        {"null", "no object"},
        {"{}", "without the request's \"id\""},
        {"{\"score\": 1}", "without the request's \"id\""},
        {"{\"id\": 4, \"score\": 1}", "with the id 4 to the request 5"},
        {"{\"id\": \"5\", \"score\": 1}", "an \"id\" that is a string"},
        {"{\"id\": 5.0, \"score\": 1}", "an \"id\" that is a number"},
        {"{\"id\": 99999999999999999999, \"score\": 1}", "not JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reward_result out = fresh(2);
        char why[PROTOCOL_WHY] = "";
        bool taken =
            protocol_answer(&out, why, cases[i].line, strlen(cases[i].line), 5, two, 2, NULL);
        if (taken || !strstr(why, cases[i].says))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].line, why, cases[i].says);
        assert_true(out.status == REWARD_OK && isnan(out.score));
        assert_true(utf8_valid(why, strlen(why)));
    }
}

/* Each allocation fails once: the answer all the same, or one that says that memory was out. */
static void test_no_memory(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "{\"id\": 5, \"components\": {\"form\": 1, \"content\": 0.5}, \"explain\": {\"a\": [1]}}",
        "{\"id\": 5, \"error\": \"why\"}",
        "{\"id\": 5, \"unknown\": 1}",
        "hello",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        size_t live = mem_stats().live_blocks;
        bool seen = false;
        for (int n = 0; n < 60; n++) {
            struct reward_result out = fresh(2);
            struct str explain = {0};
            char why[PROTOCOL_WHY] = "";
            mem_fail_after(n);
            bool taken =
                protocol_answer(&out, why, lines[i], strlen(lines[i]), 5, two, 2, &explain);
            mem_fail_after(-1);
            seen = seen || strstr(why, "memory") != NULL;
            assert_true(taken || why[0]);
            assert_true(out.status == REWARD_OK || out.reason[0]);
            if (i == 0)
                assert_true(!taken || explain.failed ||
                            strcmp(str_text(&explain), "{\"a\": [1]}") == 0);
            str_free(&explain);
            assert_int_equal(mem_stats().live_blocks, live);
        }
        assert_true(seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),     cmocka_unit_test(test_scores),
        cmocka_unit_test(test_verdicts),    cmocka_unit_test(test_long_reason),
        cmocka_unit_test(test_out_of_step), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

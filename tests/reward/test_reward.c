/* test_reward.c: the table, parameters and their errors, the total, and the rewards `length` and
 * `regex`. */
#include <math.h>
#include <stdlib.h>
#include "cases.h"
#include "reward/rewards.h"

static void test_table(void **state)
{
    (void)state;
    int n = 0;
    for (const struct reward_definition *d; (d = reward_at(n)) != NULL; n++) {
        assert_ptr_equal(reward_find(d->name), d);
        assert_true(d->version >= 1 && d->summary[0] && d->evaluate);
        if (d->list) { /* the parameters say what the components are */
            assert_int_equal(d->n_components, 0);
            continue;
        }
        assert_true(d->n_components >= 1 && d->n_components <= REWARD_MAX_COMPONENTS);
        assert_true((d->configure == NULL) == (d->release == NULL));
        double weights = 0;
        for (int i = 0; i < d->n_components; i++) {
            assert_non_null(d->components[i].name);
            weights += d->components[i].weight;
            for (int k = 0; k < i; k++)
                assert_string_not_equal(d->components[i].name, d->components[k].name);
        }
        assert_true(fabs(weights - 1) < 1e-12);
        for (int k = 0; k < n; k++)
            assert_string_not_equal(d->name, reward_at(k)->name);
    }
    assert_int_equal(n, 12);
    assert_null(reward_at(-1));
    assert_null(reward_find("sql"));
    assert_null(reward_find(NULL));
    assert_string_equal(reward_status_name(REWARD_OK), "ok");
    assert_string_equal(reward_status_name(REWARD_FAILED), "failed");
    assert_string_equal(reward_status_name(REWARD_NOT_APPLICABLE), "not_applicable");
}

/* Each is an error that names what is wrong, and says what would be right. */
static void test_bad_parameters(void **state)
{
    (void)state;
    static const struct {
        const char *name, *params, *says[3];
    } cases[] = {
        {"puhs", NULL, {"puhs", "did you mean \"push\"", "sql_qa_v2, push, length, regex"}},
        {"", NULL, {"known: sql_qa_v2"}},
        {"push", "{\"max\": 120}", {"max", "takes no parameters"}},
        {"sql_qa_v2", "[1]", {"a list", "object"}},
        {"length", NULL, {"min, max or target"}},
        {"length", "{}", {"min, max or target"}},
        {"length", "{\"mx\": 3}", {"mx", "did you mean", "min, max, target, slack, unit"}},
        {"length", "{\"min\": 3, \"max\": 2}", {"min is 3 but max is 2"}},
        {"length", "{\"min\": -1}", {"-1", "not negative"}},
        {"length", "{\"max\": 3, \"slack\": -1}", {"slack is -1", "not negative"}},
        {"length", "{\"max\": 9999999999}", {"1000000000"}},
        {"length", "{\"max\": \"3\"}", {"max", "string"}},
        {"length", "{\"max\": 3, \"target\": 3}", {"target"}},
        {"length", "{\"max\": \"3\"}", {"max", "a string", "an integer"}},
        {"length", "{\"max\": 3, \"unit\": \"bytes\"}", {"bytes", "characters or words"}},
        {"regex", NULL, {"pattern"}},
        {"regex", "{}", {"pattern"}},
        {"regex", "{\"pattern\": \"a\", \"pattren\": 1}", {"pattren", "did you mean \"pattern\""}},
        {"regex", "{\"pattern\": \"a(b\"}", {"a(b", "does not compile", "at byte 3"}},
        {"regex", "{\"pattern\": \"a\", \"mode\": \"match\"}", {"match", "search or fullmatch"}},
        {"regex", "{\"pattern\": \"a\", \"flags\": [\"x\"]}", {"\"x\"", "ignore_case"}},
        {"regex", "{\"pattern\": \"a\", \"flags\": 3}", {"an integer", "ignore_case"}},
        {"regex", "{\"pattern\": \"^<think>.*</think>\"}", {"think tag", "strip_think: false"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        size_t live = mem_stats().live_blocks;
        json_t *params = cases[i].params
                             ? json_read(cases[i].params, strlen(cases[i].params), 0, "", &err)
                             : NULL;
        assert_int_equal(err.code, 0);
        reward *r = (reward *)1;
        int status = reward_create(&r, cases[i].name, params, &err);
        assert_int_equal(status, ERR_USAGE);
        assert_int_equal(err.code, status);
        assert_null(r);
        for (int k = 0; k < 3 && cases[i].says[k]; k++)
            if (!strstr(err.message, cases[i].says[k]))
                fail_msg("%s %s: \"%s\" does not say \"%s\"", cases[i].name, cases[i].params,
                         err.message, cases[i].says[k]);
        assert_non_null(strstr(err.where, "reward"));
        json_decref(params);
        assert_int_equal(mem_stats().live_blocks, live);
    }
    struct err err = {0};
    reward *r;
    assert_int_equal(reward_create(&r, NULL, NULL, &err), ERR_USAGE);
    reward_free(NULL);
}

static void test_no_memory_to_create(void **state)
{
    (void)state;
    struct err err = {0};
    static const char text[] = "{\"pattern\": \"a+(b|c)\", \"max\": 3}";
    json_t *params = json_read(text, strlen(text), 0, "", &err);
    static const char *const names[] = {"push", "length", "regex"};
    for (int i = 0; i < 3; i++) {
        json_t *mine = json_object();
        if (i)
            json_object_set(mine, i == 1 ? "max" : "pattern",
                            json_object_get(params, i == 1 ? "max" : "pattern"));
        size_t live = mem_stats().live_blocks;
        reward *r = NULL;
        for (int n = 0; !r; n++) {
            assert_true(n < 100);
            mem_fail_after(n);
            int status = reward_create(&r, names[i], mine, &err);
            mem_fail_after(-1);
            assert_int_equal(status, r ? ERR_NONE : ERR_MACHINE);
            assert_true(n > 0 || !r);
            if (!r)
                assert_int_equal(mem_stats().live_blocks, live);
        }
        reward_free(r);
        assert_int_equal(mem_stats().live_blocks, live);
        json_decref(mine);
    }
    json_decref(params);
}

/* --- the total --- */

static const struct reward_definition three = {
    .name = "three", .n_components = 3, .components = {{"a", 0.5}, {"b", 0.25}, {"shadow", 0}}};

static struct reward_result total_of(double a, double b, double c, double score)
{
    struct reward_result out = {
        .status = REWARD_OK, .score = score, .n_components = 3, .components = {a, b, c}};
    reward_total(three.name, three.components, three.n_components, &out);
    return out;
}

static void test_total(void **state)
{
    (void)state;
    assert_true(total_of(1, 0.5, 9, NAN).score == 0.625);
    assert_true(total_of(-1, 0.5, 9, NAN).score == -0.375);
    assert_true(total_of(1, NAN, 9, NAN).score == 0.5); /* absent is excluded */
    assert_true(total_of(NAN, NAN, 9, NAN).score == 0);
    assert_true(total_of(1, 1, 1, 0.1).score == 0.1); /* the reward's own */
    assert_true(total_of(NAN, NAN, NAN, 0.1).score == 0.1);
    struct reward_result broken[] = {
        total_of(INFINITY, 0, 0, NAN), total_of(0, 0, -INFINITY, 0.5), total_of(1, 1, 1, INFINITY),
        total_of(NAN, NAN, NAN, NAN),  total_of(1e308, 1e308, 0, NAN),
    };
    for (int i = 0; i < 4; i++) {
        assert_int_equal(broken[i].status, REWARD_FAILED);
        assert_true(isnan(broken[i].score) && isnan(broken[i].components[0]));
        assert_non_null(strstr(broken[i].reason, "three: "));
    }
    assert_int_equal(broken[4].status, REWARD_OK); /* huge is finite */
    struct reward_result skipped = {.status = REWARD_NOT_APPLICABLE, .score = 1};
    reward_total(three.name, three.components, three.n_components, &skipped);
    assert_int_equal(skipped.status, REWARD_NOT_APPLICABLE);
    assert_true(isnan(skipped.score));
}

/* --- length --- */

static void check_score(const char *name, const char *params, const char *text, double expected)
{
    reward *r = make_reward(name, params);
    double score = score_of(r, "", text);
    if (fabs(score - expected) > 1e-12)
        fail_msg("%s %s on \"%s\": %.6f, expected %.6f", name, params, text, score, expected);
    struct reward_result out = evaluate(r, "", text, strlen(text));
    assert_true(out.components[0] == out.score);
    json_decref(explanation(r, "", text));
    reward_free(r);
}

static void test_length(void **state)
{
    (void)state;
    static const char max[] = "{\"max\": 4}";
    check_score("length", max, "", 0);
    check_score("length", max, "   ", 0);
    check_score("length", max, "a", 1);
    check_score("length", max, "abcd", 1);
    check_score("length", max, "abcde", 0.75);
    check_score("length", max, "abcdefg", 0.25);
    check_score("length", max, "abcdefgh", 0);
    check_score("length", max, "abcdefghijklm", 0);
    check_score("length", max, "<think>ab</think> \n abcd ", 1);
    check_score("length", max, "ção\u0303👩‍👩‍👧", 1);
    check_score("length", "{\"max\": 0}", "", 1);
    check_score("length", "{\"max\": 4, \"min\": 0}", "", 1);
    static const char band[] = "{\"min\": 4, \"max\": 6, \"slack\": 10}";
    check_score("length", band, "", 0); /* nothing is worth nothing, whatever the slack */
    check_score("length", band, "a", 0.7);
    check_score("length", band, "abcd", 1);
    check_score("length", band, "abcdefg", 0.9);
    check_score("length", "{\"min\": 4}", "ab", 0.5);
    check_score("length", "{\"min\": 4}", "abcdefghijklmnopqrst", 1);
    check_score("length", "{\"min\": 4, \"slack\": 0}", "abc", 0);
    check_score("length", "{\"target\": 4}", "abcd", 1);
    check_score("length", "{\"target\": 4}", "abc", 0.75);
    check_score("length", "{\"target\": 4}", "abcdef", 0.5);
    check_score("length", "{\"max\": 2, \"unit\": \"words\"}", "one  two", 1);
    check_score("length", "{\"max\": 2, \"unit\": \"words\"}", "one two\u00A0three", 0.5);
    check_score("length", "{\"max\": 20, \"strip_think\": false}", "<think>ab</think> abcd", 0.9);
    reward *r = make_reward("length", max);
    json_t *e = explanation(r, "", "abcde");
    assert_int_equal(json_integer_value(json_object_get(e, "characters")), 5);
    json_decref(e);
    check_no_memory(r, "", "abc");
    reward_free(r);
}

/* --- regex --- */

static void test_regex(void **state)
{
    (void)state;
    check_score("regex", "{\"pattern\": \"b+\"}", "abbc", 1);
    check_score("regex", "{\"pattern\": \"b+\"}", "ac", 0);
    check_score("regex", "{\"pattern\": \"b+\"}", "", 0);
    check_score("regex", "{\"pattern\": \"b*\"}", "", 1);
    static const char full[] = "{\"pattern\": \"a|ab\", \"mode\": \"fullmatch\"}";
    check_score("regex", full, "ab", 1); /* goes back for the longer alternative */
    check_score("regex", full, "abb", 0);
    check_score("regex", full, "xab", 0);
    check_score("regex", full, "<think>x</think>\n\nab\n", 1);
    check_score("regex", "{\"pattern\": \"ÇÃO\"}", "promoção", 0);
    check_score("regex", "{\"pattern\": \"ÇÃO\", \"flags\": \"ignore_case\"}", "promoção", 1);
    check_score("regex", "{\"pattern\": \"^b$\"}", "a\nb", 0);
    check_score("regex", "{\"pattern\": \"^b$\", \"flags\": [\"multi_line\"]}", "a\nb", 1);
    check_score("regex", "{\"pattern\": \"a.b\"}", "a\nb", 0);
    check_score("regex", "{\"pattern\": \"A.B\", \"flags\": [\"dot_all\", \"ignore_case\"]}",
                "a\nb", 1);
    check_score("regex", "{\"pattern\": \"^.$\"}", "é", 1);
    check_score("regex", "{\"pattern\": \"b\"}", "<think>b</think>a", 0);
    check_score("regex", "{\"pattern\": \"^<think>.*</think>.\", \"strip_think\": false}",
                "<think>b</think>a", 1);
    check_score("regex", "{\"pattern\": \"think>\", \"strip_think\": true}", "a", 0);
    check_score("regex", "{\"pattern\": \"b\"}", "\xFF\xFE b \xE2", 1); /* no valid UTF-8 */
}

static void test_regex_explains(void **state)
{
    (void)state;
    reward *r = make_reward("regex", "{\"pattern\": \"(x)?(\\\\d+)\"}");
    json_t *e = explanation(r, "", "é 42");
    char *text = json_dumps(e, JSON_COMPACT);
    assert_string_equal(text,
                        "{\"matched\":true,\"start_byte\":3,\"groups\":[\"42\",null,\"42\"]}");
    mem_free(text);
    json_decref(e);
    e = explanation(r, "", "é");
    text = json_dumps(e, JSON_COMPACT);
    assert_string_equal(text, "{\"matched\":false}");
    mem_free(text);
    json_decref(e);
    check_no_memory(r, "", "42");
    reward_free(r);
}

/* Exponential for a backtracking matcher: the budget of steps ends it, at 0 and with a reason, and
 * it is no failure of the machinery. */
static void test_regex_budget(void **state)
{
    (void)state;
    reward *r = make_reward("regex", "{\"pattern\": \"^(a+)+$\"}");
    char text[64];
    memset(text, 'a', sizeof text);
    text[sizeof text - 2] = '!';
    text[sizeof text - 1] = 0;
    struct reward_result out = evaluate(r, "", text, strlen(text));
    assert_int_equal(out.status, REWARD_OK);
    assert_true(out.score == 0);
    assert_non_null(strstr(out.reason, "budget"));
    json_t *e = explanation(r, "", text);
    assert_non_null(strstr(json_string_value(json_object_get(e, "reason")), "budget"));
    json_decref(e);
    assert_true(score_of(r, "", "aaaa") == 1);
    reward_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_bad_parameters),
        cmocka_unit_test(test_no_memory_to_create),
        cmocka_unit_test(test_total),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_regex),
        cmocka_unit_test(test_regex_explains),
        cmocka_unit_test(test_regex_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

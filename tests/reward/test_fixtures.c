/* test_fixtures.c: the fixtures that come with the program, and the judge: what holds, what does
 * not and why, whatever lines it is given. */
#include <math.h>
#include <stdlib.h>
#include "base/file.h"
#include "cases.h"
#include "reward/fixtures.h"
#include "reward/sql_worker.h"

/* --- those of the program --- */

/* The reward they were judged by repeats itself, and explains itself with an object. */
static void check_scores(const struct fixture_verdict *v)
{
    for (int i = 0; i < v->count; i++) {
        const struct fixture *f = &v->fixtures[i];
        if (f->is.status != REWARD_OK)
            fail_msg("line %ld: %s", f->line, f->is.reason);
        assert_true(f->is.score >= 0 && f->is.score <= 1);
        if (getenv("GRPO_SHOW_FIXTURES"))
            print_message("%.3f %-12s %-10s %s\n", f->is.score, fixture_kind_name(f->kind),
                          f->group, f->note);
    }
}

static void check_bytes(const char *name, struct slice text)
{
    char path[200];
    struct str file = {0};
    struct err err = {0};
    snprintf(path, sizeof path, "tests/reward/fixtures/%s.jsonl", name);
    if (file_read(&file, path, &err))
        fail_msg("%s: %s", err.where, err.message);
    assert_int_equal(file.length, text.length);
    assert_memory_equal(file.data, text.data, text.length);
    str_free(&file);
}

static void judge_shipped(struct fixture_verdict *v, const char *name)
{
    struct err err = {0};
    struct slice text = fixtures_shipped(name);
    if (!text.data)
        fail_msg("%s comes without fixtures", name);
    check_bytes(name, text);
    if (fixtures_judge(v, name, NULL, text, name, &err))
        fail_msg("%s: %s", err.where, err.message);
    check_scores(v);
    assert_string_equal(v->lacking, "");
}

static void shipped(void **state)
{
    (void)state;
    assert_true(n_fixture_files >= 4);
    for (int i = 0; i < n_fixture_files; i++) {
        const char *name = fixture_files[i].name;
        struct fixture_verdict v;
        if (!reward_find(name))
            fail_msg("fixtures/%s.jsonl belongs to no reward", name);
        judge_shipped(&v, name);
        struct str why = {0};
        fixture_verdict_explain(&why, &v);
        print_message("%s: gold from %.3f, adversaries up to %.3f\n", name, v.lowest[FIXTURE_GOLD],
                      v.highest[FIXTURE_ADVERSARIAL]);
        if (strcmp(name, "sql_qa_v2") != 0 && !v.holds) /* whose truth is that it does not */
            fail_msg("%s: %s", name, str_text(&why));
        assert_int_equal(v.holds, why.length == 0);
        str_free(&why);
        fixture_verdict_free(&v);
    }
    static const char *const must[] = {"extraction", "insights", "sql_qa_v2", "sql_valid"};
    for (size_t i = 0; i < sizeof must / sizeof *must; i++)
        assert_non_null(fixtures_shipped(must[i]).data);
    assert_null(fixtures_shipped("no_such").data);
}

/* What the reference experiment's reward pays for. */
static void v2_is_gameable(void **state)
{
    (void)state;
    struct fixture_verdict v;
    judge_shipped(&v, "sql_qa_v2");
    assert_false(v.holds);
    bool prose = false, salad = false, emoji = false;
    for (int i = 0; i < v.n_pairs; i++) {
        const struct fixture *worse = &v.fixtures[v.pairs[i].worse],
                             *better = &v.fixtures[v.pairs[i].better];
        assert_true(worse->is.score >= better->is.score);
        assert_string_equal(worse->group, better->group);
        prose = prose || (strcmp(worse->note, "prose without SQL") == 0 &&
                          fabs(worse->is.score - 0.72) < 1e-12);
        salad = salad || strcmp(worse->note, "keyword salad") == 0;
        emoji = emoji || strcmp(worse->note, "5,000 emoji") == 0;
    }
    assert_true(prose && salad && !emoji);
    fixture_verdict_free(&v);
}

/* --- the judge --- */

#define LINE(kind, group, text)                                                                    \
    "{\"kind\": \"" kind "\", \"case\": \"" group "\", \"note\": \"n\", \"completion\": \"" text   \
    "\"}\n"

static int judge(struct fixture_verdict *v, const char *text, struct err *err)
{
    /* length with target 10: the score is the share of ten characters */
    reward *own = make_reward("length", "{\"target\": 10}");
    *err = (struct err){0};
    int status = fixtures_judge(v, "length", own, slice_of(text), "mine.jsonl", err);
    reward_free(own);
    return status;
}

static void check_verdict(const char *text, const char *why)
{
    struct fixture_verdict v;
    struct err err;
    struct str said = {0};
    if (judge(&v, text, &err))
        fail_msg("%s: %s", err.where, err.message);
    fixture_verdict_explain(&said, &v);
    assert_int_equal(v.holds, why == NULL);
    if (why ? strcmp(str_text(&said), why) != 0 : said.length != 0)
        fail_msg("said: %s, expected: %s", str_text(&said), why ? why : "nothing");
    str_free(&said);
    fixture_verdict_free(&v);
}

static void rules(void **state)
{
    (void)state;
#define GOOD                                                                                       \
    LINE("gold", "a", "1234567890")                                                                \
    LINE("near_miss", "a", "12345") LINE("empty", "a", "1") LINE("adversarial", "a", "12345678")
    check_verdict(GOOD, NULL);
    /* an adversary may beat a near miss, and be worth less than an empty answer */
    check_verdict(GOOD LINE("adversarial", "a", ""), NULL);
    check_verdict(GOOD LINE("gold", "a", "123456789"), NULL);
    /* other cases are other prompts */
    check_verdict(GOOD LINE("gold", "b", "123") LINE("adversarial", "b", "12"), NULL);
    check_verdict(GOOD LINE("gold", "a", "12345678"),
                  "case a: an adversarial (n) has 0.800, a gold (n) has 0.800 (lines 4 and 5)");
    check_verdict(GOOD LINE("empty", "a", "12345"),
                  "case a: an empty (n) has 0.500, a near_miss (n) has 0.500 (lines 5 and 2)");
    check_verdict(GOOD LINE("near_miss", "a", "1234567890"),
                  "case a: a near_miss (n) has 1.000, a gold (n) has 1.000 (lines 5 and 1)");
    /* the worst of several is named */
    check_verdict(GOOD LINE("gold", "a", "123"),
                  "case a: an adversarial (n) has 0.800, a gold (n) has 0.300 (lines 4 and 5); 2 "
                  "pairs in all");
    check_verdict(LINE("gold", "a", "1234567890") LINE("near_miss", "a", "12")
                      LINE("adversarial", "a", "12"),
                  "there is no empty");
    check_verdict(GOOD LINE("empty", "b", ""), "case b has no gold");
    check_verdict("", "there is no gold");
    /* scores of 0 and 1 alone: a near miss may tie with an empty answer, not be below it */
#define RIGHT_OR_WRONG                                                                             \
    LINE("gold", "a", "1234567890") LINE("empty", "a", "") LINE("adversarial", "a", "")
    check_verdict(RIGHT_OR_WRONG LINE("near_miss", "a", ""), NULL);
    check_verdict(RIGHT_OR_WRONG LINE("near_miss", "a", "") LINE("gold", "b", "12345"),
                  "case a: an empty (n) has 0.000, a near_miss (n) has 0.000 (lines 2 and 4)");
    check_verdict("{\"defaults\": {\"case\": \"a\", \"note\": \"n\"}}\n" RIGHT_OR_WRONG
                  "{\"kind\": \"near_miss\", \"completion\": \"\"}",
                  NULL);
    /* CRLF, blank lines and a missing last newline, as everywhere; lines are counted all the same
     */
    check_verdict("\r\n  \n" GOOD "{\"kind\": \"gold\", \"case\": \"a\", \"completion\": \"1\"}",
                  "case a: an adversarial (n) has 0.800, a gold has 0.100 (lines 6 and 7); 3 pairs "
                  "in all");
}

static void not_scored(void **state)
{
    (void)state;
    struct fixture_verdict v;
    struct err err = {0};
    struct str why = {0};
    static const char text[] = LINE("gold", "a", "SELECT 1");
    assert_int_equal(fixtures_judge(&v, "sql_valid", NULL, slice_of(text), "f", &err), 0);
    assert_false(v.holds);
    assert_int_equal(v.not_scored, 1);
    assert_true(isnan(v.lowest[FIXTURE_GOLD]));
    fixture_verdict_explain(&why, &v);
    assert_non_null(strstr(str_text(&why), "line 1 has no score (not_applicable)"));
    str_free(&why);
    fixture_verdict_free(&v);
}

static void bad_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text, *where, *message;
        int status;
    } cases[] = {
        {"{", "mine.jsonl, line 1", "not valid JSON", ERR_INPUT},
        {"\n[1]", "mine.jsonl, line 2", "is not an object", ERR_INPUT},
        {"{\"case\": \"a\", \"completion\": \"\"}", "line 1", "has no \"kind\"", ERR_INPUT},
        {LINE("golden", "a", ""), "line 1", "not one of gold, near_miss", ERR_INPUT},
        {"{\"kind\": \"gold\", \"completion\": \"\"}", "line 1", "no \"case\"", ERR_INPUT},
        {"{\"defaults\": 3}", "line 1", "\"defaults\" is not an object", ERR_INPUT},
        {"{\"kind\": \"gold\", \"case\": \"a\"}", "line 1", "\"completion\" is nothing", ERR_INPUT},
        {"{\"kind\": \"gold\", \"case\": \"a\", \"completion\": \"\", \"group\": [3]}", "line 1",
         "item 0 of \"group\" is an integer", ERR_INPUT},
        {"{\"kind\": \"gold\", \"case\": \"a\", \"completion\": \"\", \"database_sql\": 3}",
         "line 1", "\"database_sql\" is not text", ERR_INPUT},
        {"{\"kind\": \"gold\", \"case\": \"a\", \"completion\": \"\", \"database_sql\": \"MAKE\"}",
         "line 1", "makes no database: near \"MAKE\"", ERR_INPUT},
        {"{\"kind\": \"gold\", \"case\": \"a\", \"completion\": \"\", \"params\": {\"mox\": 3}}",
         "line 1", "unknown key \"mox\"", ERR_USAGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture_verdict v;
        struct err err;
        assert_int_equal(judge(&v, cases[i].text, &err), cases[i].status);
        if (!strstr(err.where, cases[i].where) || !strstr(err.message, cases[i].message))
            fail_msg("case %zu: %s: %s", i, err.where, err.message);
        fixture_verdict_free(&v);
    }
}

/* Lines of one file with different parameters, and lines without, which the caller's reward scores.
 */
static void parameters(void **state)
{
    (void)state;
    struct fixture_verdict v;
    struct err err;
    assert_int_equal(
        judge(&v,
              LINE("gold", "a", "12345") "{\"kind\": \"gold\", \"case\": \"b\", \"completion\": "
                                         "\"12345\", \"params\": {\"target\": 5}}\n"
                                         "{\"kind\": \"gold\", \"case\": \"b\", \"completion\": "
                                         "\"12345\", \"params\": {\"target\": 20}}\n",
              &err),
        0);
    assert_true(v.fixtures[0].is.score == 0.5);
    assert_true(v.fixtures[1].is.score == 1);
    assert_true(v.fixtures[2].is.score == 0.25);
    fixture_verdict_free(&v);
}

#define ON_DATABASE(sql, query, more)                                                              \
    "{\"kind\": \"gold\", \"case\": \"a\", \"database_sql\": \"" sql                               \
    "\", \"params\": {\"database\": \"$DATABASE\"}, \"completion\": \"" query "\"" more "}\n"

/* A database for each text; its path in params and, at any depth, in reference; nothing stays. */
static void databases(void **state)
{
    (void)state;
    struct fixture_verdict v;
    struct err err = {0};
    static const char text[] = ON_DATABASE("CREATE TABLE t (x)", "SELECT x FROM t", "")
        ON_DATABASE("CREATE TABLE u (x)", "SELECT x FROM t", "")
            ON_DATABASE("CREATE TABLE t (x)", "SELECT y FROM t",
                        ", \"reference\": {\"database\": \"$DATABASE\", \"a\": [{\"b\": "
                        "\"$DATABASE\"}], \"c\": \"not $DATABASE\"}");
    if (fixtures_judge(&v, "sql_valid", NULL, slice_of(text), "f", &err))
        fail_msg("%s: %s", err.where, err.message);
    assert_true(v.fixtures[0].is.score == 1);
    assert_true(v.fixtures[1].is.score < 0.5);
    assert_true(v.fixtures[2].is.score < 0.5);
    const json_t *reference = json_object_get(v.fixtures[2].json, "reference");
    const char *path = json_string_value(json_object_get(reference, "database")),
               *deep = json_string_value(
                   json_object_get(json_array_get(json_object_get(reference, "a"), 0), "b"));
    assert_string_equal(path, deep);
    assert_string_equal(json_string_value(json_object_get(reference, "c")), "not $DATABASE");
    char folder[300];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = 0;
    assert_memory_equal(folder, P_tmpdir "/grpo-fixtures-", strlen(P_tmpdir "/grpo-fixtures-"));
    assert_false(dir_exists(folder));
    fixture_verdict_free(&v);
}

/* Whatever allocation fails: an error, or a line without a score; never a verdict that holds. */
static void no_memory(void **state)
{
    (void)state;
    static const char text[] = GOOD;
    size_t live = mem_stats().live_blocks;
    bool holds = false;
    for (int n = 0; !holds; n++) {
        struct fixture_verdict v;
        struct err err = {0};
        assert_true(n < 2000);
        reward *own = make_reward("length", "{\"target\": 10}");
        mem_fail_after(n);
        int status = fixtures_judge(&v, "length", own, slice_of(text), "f", &err);
        mem_fail_after(-1);
        if (status)
            assert_int_equal(status, ERR_MACHINE);
        holds = !status && v.holds;
        if (!status && !v.holds)
            assert_true(v.not_scored > 0);
        fixture_verdict_free(&v);
        reward_free(own);
        assert_int_equal(mem_stats().live_blocks, live);
    }
}

int main(int argc, char **argv)
{
    if (sql_worker_asked(argc, argv))
        return sql_worker_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped),   cmocka_unit_test(v2_is_gameable),
        cmocka_unit_test(rules),     cmocka_unit_test(not_scored),
        cmocka_unit_test(bad_lines), cmocka_unit_test(parameters),
        cmocka_unit_test(databases), cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests_name("fixtures", tests, NULL, NULL);
}

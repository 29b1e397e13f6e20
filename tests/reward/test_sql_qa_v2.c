/* test_sql_qa_v2.c: equal to the reference experiment's Python function, on a fixture made by
 * CPython 3.11 (tests/oracle/reward/make_sql_qa_v2.py) or on a file named on the command line. */
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include "base/file.h"
#include "cases.h"
#include "reward/pytext.h"
#include "reward/rewards.h"

static const char *fixture_path; /* set in main */

struct lines {
    struct str text;
    size_t at;
};

/* The next line as JSON, or NULL at the end. */
static json_t *next_line(struct lines *l)
{
    if (l->at >= l->text.length)
        return NULL;
    const char *line = l->text.data + l->at, *end = memchr(line, '\n', l->text.length - l->at);
    size_t length = end ? (size_t)(end - line) : l->text.length - l->at;
    struct err err = {0};
    json_t *json = json_read(line, length, JSON_NUL_ALLOWED, fixture_path, &err);
    if (!json)
        fail_msg("%s: %s", err.where, err.message);
    l->at += length + 1;
    return json;
}

static void open_lines(struct lines *l)
{
    struct err err = {0};
    *l = (struct lines){0};
    if (file_read(&l->text, fixture_path, &err))
        fail_msg("%s: %s", err.where, err.message);
}

static void compare_mapping(const json_t *table, int32_t c, const unsigned char *got, int n)
{
    char key[16];
    snprintf(key, sizeof key, "0x%x", (unsigned)c);
    const json_t *expected = json_object_get(table, key);
    if (!expected) { /* nothing that we could see */
        for (int i = 0; i < n; i++)
            if (got[i])
                fail_msg("U+%04X gives %02X, CPython gives nothing", (unsigned)c, got[i]);
        return;
    }
    if (json_array_size(expected) != (size_t)n)
        fail_msg("U+%04X gives %d characters", (unsigned)c, n);
    for (int i = 0; i < n; i++)
        if (json_integer_value(json_array_get(expected, (size_t)i)) != got[i])
            fail_msg("U+%04X: character %d is %02X", (unsigned)c, i, got[i]);
}

static bool *set_of(const json_t *starts, int run)
{
    bool *set = calloc(0x110000, sizeof *set);
    for (size_t i = 0; i < json_array_size(starts); i++)
        for (int k = 0; k < run; k++)
            set[json_integer_value(json_array_get(starts, i)) + k] = true;
    return set;
}

static void test_code_points(void **state)
{
    (void)state;
    struct lines l;
    open_lines(&l);
    json_t *facts = next_line(&l);
    const json_t *upper = json_object_get(facts, "upper"), *lower = json_object_get(facts, "lower"),
                 *fold = json_object_get(facts, "fold");
    assert_int_equal(json_array_size(json_object_get(facts, "zeros")), 66);
    bool *digit = set_of(json_object_get(facts, "zeros"), 10),
         *space = set_of(json_object_get(facts, "spaces"), 1);
    for (int32_t c = 0; c < 0x110000; c++) {
        if (c >= 0xD800 && c < 0xE000)
            continue;
        assert_int_equal(py_is_digit(c), digit[c]);
        assert_int_equal(py_is_space(c), space[c]);
        unsigned char out[3];
        int n = py_upper(out, c);
        if (c < 0x80) {
            assert_int_equal(n, 1);
            assert_int_equal(out[0], c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
            assert_int_equal(py_lower(out, c), 1);
            assert_int_equal(out[0], c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
            assert_int_equal(py_fold(c), out[0]);
            continue;
        }
        compare_mapping(upper, c, out, n);
        n = py_lower(out, c);
        compare_mapping(lower, c, out, n);
        char key[16];
        snprintf(key, sizeof key, "0x%x", (unsigned)c);
        assert_int_equal(py_fold(c), json_integer_value(json_object_get(fold, key)));
    }
    assert_false(py_is_digit(-1) || py_is_space(-1) || py_fold(-1));
    free(digit);
    free(space);
    json_decref(facts);
    str_free(&l.text);
}

static void test_fixture(void **state)
{
    (void)state;
    struct lines l;
    open_lines(&l);
    json_decref(next_line(&l));
    reward *r = make_reward("sql_qa_v2", NULL);
    const struct reward_definition *d = reward_definition(r);
    int n = 0, failures = 0;
    double worst = 0;
    for (json_t *line; (line = next_line(&l)) != NULL; json_decref(line), n++) {
        const json_t *text = json_array_get(line, 0);
        double expected = json_number_value(json_array_get(line, 1));
        struct reward_result out =
            evaluate(r, "", json_string_value(text), json_string_length(text));
        assert_int_equal(out.status, REWARD_OK);
        double error = fabs(out.score - expected), total = 0;
        worst = fmax(worst, error);
        for (int i = 0; i < d->n_components; i++) {
            assert_true(out.components[i] >= 0 && out.components[i] <= 1);
            total += d->components[i].weight * out.components[i];
        }
        if (error > 1e-12 || fabs(total - expected) > 1e-12) {
            print_message("%s: expected %.17g, got %.17g\n", json_string_value(text), expected,
                          out.score);
            failures++;
        }
    }
    print_message("%d texts, largest difference %g\n", n, worst);
    assert_int_equal(failures, 0);
    assert_true(n >= 10000);
    reward_free(r);
    str_free(&l.text);
}

static void test_explain(void **state)
{
    (void)state;
    reward *r = make_reward("sql_qa_v2", NULL);
    json_t *e = explanation(r, "",
                            "<think>SUM</think>SELECT nota FROM notas: a m\u00C9dia foi 4,5 e "
                            "12 % por per\u00EDodo");
    char *text = json_dumps(e, JSON_COMPACT);
    assert_string_equal(
        text, "{\"keywords\":[\"SELECT\",\"FROM\"],\"has_query\":true,\"has_answer\":true,"
              "\"answer_words\":[\"m\u00E9dia\"],\"numbers\":[\"4,5\",\"12 %\"],"
              "\"number_count\":2,\"domain_words\":[\"per\u00EDodo\"]}");
    mem_free(text);
    json_decref(e);
    reward_free(r);
}

/* Texts of a megabyte on which a backtracking matcher takes minutes. */
static void test_hostile_texts_are_linear(void **state)
{
    (void)state;
    static const char *const units[] = {
        "SELECT", "SELECT ",       "SELECT FRO",      "FROM",         "1 ",       "1,",
        "1",      "1          ",   "\u0661\u00A0",    "<think>",      "</think>", "<think",
        "`",      "```sq",         "GROUP ",          "avalia\u00E7", "\xFF",     "\xE2\x82",
        "\u1E97", "satisfa\u00E7", "<think></think>",
    };
    reward *r = make_reward("sql_qa_v2", NULL);
    enum { SIZE = 1 << 20 };
    char *text = malloc(SIZE);
    double slowest = 0;
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        size_t n = strlen(units[u]);
        for (size_t i = 0; i < SIZE; i++)
            text[i] = units[u][i % n];
        clock_t start = clock();
        struct reward_result out = evaluate(r, "", text, SIZE);
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        assert_int_equal(out.status, REWARD_OK);
        slowest = fmax(slowest, seconds);
    }
    print_message("slowest megabyte: %.4f s\n", slowest);
    assert_true(slowest < 5); /* quadratic would be hours; debug builds are slow */
    free(text);
    reward_free(r);
}

static void test_no_memory_is_failed(void **state)
{
    (void)state;
    reward *r = make_reward("sql_qa_v2", NULL);
    check_no_memory(r, "", "SELECT a FROM b: total 3");
    reward_free(r);
}

int main(int argc, char **argv)
{
    char path[512];
    snprintf(path, sizeof path, "%s", argc > 1 ? argv[1] : fixture("reward/sql_qa_v2.jsonl"));
    fixture_path = path;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code_points),
        cmocka_unit_test(test_fixture),
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_hostile_texts_are_linear),
        cmocka_unit_test(test_no_memory_is_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

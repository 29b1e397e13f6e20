/* test_sql_exec.c: the reward `sql_exec`: its row and parameters, what is worth what, whose fault a
 * failure is, the explanation, threads. tests/reward/fixtures/sql_exec.jsonl says what beats what;
 * test_sql_run.c and test_sql_compare.c test its parts. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "cases.h"
#include "base/file.h"
#include "reward/rewards.h"
#include "reward/sql_prose.h"
#include "reward/sql_worker.h"

#define SHOP "tests/reward/fixtures/sql_exec_shop.sql"
#define CANCELLED "SELECT COUNT(*) FROM pedidos WHERE status = 'cancelado'"
#define PROMPT "Quantos pedidos foram cancelados? Responda com SQL e explique."

/* A row whose reference has what is not NULL. */
static json_t *make_row(const char *database, const char *sql)
{
    json_t *reference = json_object();
    if (database)
        json_object_set_new(reference, "database", json_string(database));
    if (sql)
        json_object_set_new(reference, "sql", json_string(sql));
    return json_pack("{s: o}", "reference", reference);
}

static struct reward_result score(const reward *r, json_t *row, const char *text,
                                  struct str *explain)
{
    struct reward_input in = {.prompt = PROMPT,
                              .prompt_length = strlen(PROMPT),
                              .completion = text,
                              .completion_length = strlen(text),
                              .row = row};
    struct reward_result out;
    reward_evaluate(r, &in, &out, explain);
    return out;
}

static struct reward_result score_sql(const reward *r, const char *reference, const char *sql)
{
    json_t *row = make_row(SHOP, reference);
    struct reward_result out = score(r, row, sql, NULL);
    json_decref(row);
    return out;
}

static bool components_are(const struct reward_result *out, double parses, double runs,
                           double shape, double values)
{
    return out->status == REWARD_OK && out->components[SQL_EXEC_PARSES] == parses &&
           out->components[SQL_EXEC_RUNS] == runs &&
           fabs(out->components[SQL_EXEC_SHAPE] - shape) < 1e-9 &&
           fabs(out->components[SQL_EXEC_VALUES] - values) < 1e-9;
}

static void test_components(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double parses, runs, shape, values;
    } cases[] = {
        {CANCELLED, 1, 1, 1, 1},
        {"```sql\n" CANCELLED ";\n```", 1, 1, 1, 1},
        {"<think>" CANCELLED "</think>", 0, 0, 0, 0},
        {"<think>SELECT 1</think>" CANCELLED, 1, 1, 1, 1},
        {"", 0, 0, 0, 0},
        {"São 44.", 0, 0, 0, 0},
        {"SELECT COUNT(* FROM pedidos", 0, 0, 0, 0},
        {"SELECT COUNT(*) FROM vendidos", 1, 0, 0, 0},
        {"SELECT 44", 1, 0, 0, 0},
        {"SELECT 44 FROM pedidos LIMIT 1", 1, 1, 0, 0},
        {"SELECT 44 FROM (SELECT 1 FROM pedidos LIMIT 1)", 1, 1, 0, 0},
        {"SELECT CASE WHEN COUNT(*) > 9 THEN 44 END FROM pedidos", 1, 1, 0, 0},
        {"SELECT 44 FROM pedidos WHERE id = 9", 1, 1, 0, 0},      /* gone from one half only */
        {"SELECT 44 + COUNT(*) * 1e-9 FROM pedidos", 1, 1, 0, 0}, /* overlooked, and changes */
        {"SELECT 43 FROM pedidos LIMIT 1", 1, 1, 1, 0},
        {"SELECT COUNT(*) FROM pedidos", 1, 1, 1, 0},
        {"SELECT status, COUNT(*) FROM pedidos WHERE status = 'cancelado'", 1, 1, 0.8, 1},
        {"SELECT COUNT(*) FROM pedidos WHERE status = 'cancelado' AND random() <> 0", 1, 0, 0, 0},
        {"SELECT COUNT(*) FROM pedidos WHERE data < date('now') AND status = 'cancelado'", 1, 0, 0,
         0},
        {"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) FROM n",
         1, 0, 0, 0},
        {CANCELLED "; DELETE FROM pedidos", 0, 0, 0, 0},
        {"```sql\nDELETE FROM pedidos\n```", 0, 0, 0, 0},
        {"```sql\nEXPLAIN " CANCELLED "\n```", 0, 0, 0, 0},
        {"SELECT group_concat(a.data || b.data) FROM pedidos a, pedidos b", 1, 0, 0, 0},
    };
    reward *r = make_reward("sql_exec", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reward_result out = score_sql(r, CANCELLED, cases[i].text);
        if (!components_are(&out, cases[i].parses, cases[i].runs, cases[i].shape, cases[i].values))
            fail_msg("%s: %s %s: parses %g, runs %g, shape %g, values %g", cases[i].text,
                     reward_status_name(out.status), out.reason, out.components[SQL_EXEC_PARSES],
                     out.components[SQL_EXEC_RUNS], out.components[SQL_EXEC_SHAPE],
                     out.components[SQL_EXEC_VALUES]);
    }
    struct reward_result nul;
    json_t *row = make_row(SHOP, CANCELLED);
    struct reward_input in = {
        .prompt = "", .completion = "SELECT 1\0 FROM pedidos", .completion_length = 22, .row = row};
    reward_evaluate(r, &in, &nul, NULL);
    assert_true(components_are(&nul, 0, 0, 0, 0));
    json_decref(row);
    reward_free(r);
}

/* Where a reference's LIMIT cuts between rows of one key, the others of that key are as right. */
static void test_ties(void **state)
{
    (void)state;
    static const char reference[] =
        "SELECT cidade, COUNT(*) FROM clientes GROUP BY cidade ORDER BY "
        "COUNT(*) DESC, cidade LIMIT 2";
    reward *r = make_reward("sql_exec", "{\"workers\": 1}");
    struct reward_result out =
        score_sql(r, reference,
                  "SELECT cidade, COUNT(*) AS n FROM clientes GROUP BY cidade ORDER "
                  "BY n DESC, cidade DESC LIMIT 2");
    assert_true(components_are(&out, 1, 1, 1, 1));
    out = score_sql(r, reference,
                    "SELECT cidade, COUNT(*) + 1 FROM clientes GROUP BY cidade LIMIT 2");
    assert_true(components_are(&out, 1, 1, 1, 0.25 * 0.8)); /* the cities alone */
    out = score_sql(r, "SELECT id, valor FROM pedidos ORDER BY valor DESC, id LIMIT 3",
                    "SELECT id, valor FROM pedidos ORDER BY valor DESC LIMIT 3 OFFSET 1");
    assert_true(components_are(&out, 1, 1, 1, 2.0 / 3 * 0.8));
    out = score_sql(r, "SELECT id, valor FROM pedidos ORDER BY valor DESC, id LIMIT 2 OFFSET 1",
                    "SELECT id, valor FROM pedidos ORDER BY valor DESC, id LIMIT 1, 2");
    assert_true(components_are(&out, 1, 1, 1, 1));
    reward_free(r);
}

/* What a query may take is told by what the reference took, up to params steps. */
static void test_budget(void **state)
{
    (void)state;
    static const char cross[] = "SELECT COUNT(*) FROM itens a, itens b WHERE a.preco < b.preco AND "
                                "a.quantidade > b.quantidade";
    static const char cross3[] =
        "SELECT COUNT(*) FROM itens a, itens b, produtos c WHERE a.preco < "
        "b.preco AND a.quantidade > b.quantidade AND c.id = 1";
    reward *r = make_reward("sql_exec", NULL);
    struct reward_result out = score_sql(r, cross, cross3);
    assert_true(components_are(&out, 1, 1, 1, 1));
    out = score_sql(r, CANCELLED, cross); /* beside a small reference it is too much */
    assert_true(components_are(&out, 1, 0, 0, 0));
    reward_free(r);
    r = make_reward("sql_exec", "{\"steps\": 1000}");
    out = score_sql(r, CANCELLED, "SELECT COUNT(*) FROM itens a, produtos b WHERE b.id > a.id");
    assert_true(components_are(&out, 1, 0, 0, 0));
    reward_free(r);
}

static void test_prose(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double least, most;
    } cases[] = {
        {"", 0, 0},
        {"44", 0, 0},
        {"A consulta conta os pedidos cancelados da loja.", 1, 1},
        {"A loja teve 44 pedidos cancelados, segundo a consulta.", 1, 1},
        {"A loja teve 45 pedidos cancelados, segundo a consulta.", 0, 0},
        {"A loja teve 44 pedidos cancelados, e 45 no outro ano, segundo a consulta.", 0.2, 0.3},
        {"A consulta conta os pedidos.", 0.5, 0.95},
        {"pedidos cancelados loja total resultado vendas", 0, 0.05},
        {"The query counts all of the orders that were cancelled.", 0, 0.3},
        {"Quantos pedidos foram cancelados? Responda com SQL e explique.", 0, 0},
        {"total total total total total total total total", 0, 0.1},
        {"1 2 3 4 5 6 7 8 9 10 11 12 13 44 45 46 47 a consulta de todos os pedidos", 0, 0},
    };
    reward *r = make_reward("sql_exec", NULL);
    json_t *row = make_row(SHOP, CANCELLED);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[400];
        snprintf(text, sizeof text, "```sql\n%s;\n```\n%s", CANCELLED, cases[i].text);
        struct reward_result out = score(r, row, text, NULL);
        double prose = out.components[SQL_EXEC_PROSE];
        if (!(prose >= cases[i].least && prose <= cases[i].most))
            fail_msg("%s: %g", cases[i].text, prose);
        snprintf(text, sizeof text, "%s\n```sql\n%s;\n```", cases[i].text, CANCELLED);
        assert_true(score(r, row, text, NULL).components[SQL_EXEC_PROSE] == prose);
        snprintf(text, sizeof text, "```sql\nSELECT x FROM y;\n```\n%s", cases[i].text);
        assert_true(score(r, row, text, NULL).components[SQL_EXEC_PROSE] == 0);
    }
    /* words about a wrong result are worth little */
    struct reward_result wrong =
        score(r, row, "SELECT COUNT(*) FROM pedidos; A loja teve 44 pedidos cancelados.", NULL);
    assert_true(wrong.components[SQL_EXEC_PROSE] > 0 && wrong.components[SQL_EXEC_PROSE] <= 0.2);
    json_decref(row);
    reward_free(r);
}

static void test_prose_text(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *prose;
    } cases[] = {
        {"antes\n```sql\nSELECT 1\n```\ndepois", "antes depois"},
        {"antes SELECT 1; depois", "antes ; depois"},
        {"```sql\nSELECT 1\n```\n```\noutro\n```\nfim", "fim"},
        {"```sql\nSELECT 1", ""},
        {"sem nada", "sem nada"},
        {"```json\n{}\n```\nSELECT 1; e\n```\nx\n```", "; e"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str out = {0}, words = {0};
        struct slice answer = slice_of(cases[i].answer);
        struct sql_found found = sql_find(answer.data, answer.length);
        sql_prose_text(&out, answer, &found);
        for (size_t k = 0; k < out.length; k++) { /* white space is no matter */
            bool white = out.data[k] == ' ' || out.data[k] == '\n';
            if (!white)
                str_putc(&words, out.data[k]);
            else if (words.length && words.data[words.length - 1] != ' ')
                str_putc(&words, ' ');
        }
        struct slice made = {str_text(&words), words.length};
        if (made.length && made.data[made.length - 1] == ' ')
            made.length--;
        if (!slice_equals(made, cases[i].prose))
            fail_msg("%s: \"%.*s\"", cases[i].answer, (int)made.length, made.data);
        str_free(&out);
        str_free(&words);
    }
}

/* What the machinery cannot do is failed or not applicable whatever the completion is. */
static void test_whose_fault(void **state)
{
    (void)state;
    static const struct {
        const char *params, *row;
        enum reward_status status;
        const char *says;
    } cases[] = {
        {NULL, "{}", REWARD_NOT_APPLICABLE, "\"reference\""},
        {NULL, "{\"reference\": {}}", REWARD_NOT_APPLICABLE, "no \"sql\""},
        {NULL, "{\"reference\": {\"sql\": \"SELECT 1\"}}", REWARD_NOT_APPLICABLE, "database"},
        {NULL, "{\"reference\": {\"database\": \"x\"}}", REWARD_NOT_APPLICABLE, "no \"sql\""},
        {NULL, "{\"reference\": {\"sql\": 3}}", REWARD_FAILED, "reference.sql is an integer"},
        {NULL, "{\"reference\": {\"sql\": \"SELECT 1\", \"database\": []}}", REWARD_FAILED,
         "reference.database is a list"},
        {NULL, "{\"reference\": {\"sql\": \"SELECT 1\", \"database\": \"no/such\"}}", REWARD_FAILED,
         "no/such"},
        {NULL, "{\"reference\": {\"sql\": \"SELECT 1\", \"database\": \"Makefile\"}}",
         REWARD_FAILED, "cannot be read"},
        {"{\"database\": \"" SHOP "\"}", "{\"reference\": {\"sql\": \"SELECT x FROM pedidos\"}}",
         REWARD_FAILED, "no such column"},
        {"{\"database\": \"" SHOP "\"}", "{\"reference\": {\"sql\": \"SELECT 1\"}}", REWARD_FAILED,
         "reads no table"},
        {"{\"database\": \"" SHOP "\"}",
         "{\"reference\": {\"sql\": \"SELECT a.id FROM itens a, itens b\"}}", REWARD_FAILED,
         "too large"},
        {"{\"database\": \"" SHOP "\"}",
         "{\"reference\": {\"sql\": \"SELECT id FROM pedidos WHERE data > date('now')\"}}",
         REWARD_FAILED, "time"},
        {"{\"database\": \"" SHOP "\"}",
         "{\"reference\": {\"sql\": \"SELECT id FROM pedidos WHERE id < 0\"}}",
         REWARD_NOT_APPLICABLE, "finds nothing"},
        {"{\"database\": \"" SHOP "\"}",
         "{\"reference\": {\"sql\": \"SELECT SUM(valor) FROM pedidos WHERE id < 0\"}}",
         REWARD_NOT_APPLICABLE, "finds nothing"},
        {"{\"folder\": \"tests/reward/fixtures\"}",
         "{\"reference\": {\"sql\": \"" CANCELLED "\", \"database\": \"sql_exec_shop.sql\"}}",
         REWARD_OK, ""},
        {"{\"database\": \"Makefile\"}",
         "{\"reference\": {\"sql\": \"" CANCELLED "\", \"database\": \"" SHOP "\"}}", REWARD_OK,
         ""},
        {"{\"database\": \"" SHOP "\"}",
         "{\"reference\": {\"sql\": \"" CANCELLED "\", \"database\": null}}", REWARD_OK, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reward *r = make_reward("sql_exec", cases[i].params);
        json_t *row = json_read(cases[i].row, strlen(cases[i].row), 0, "row", NULL);
        assert_non_null(row);
        const char *texts[] = {CANCELLED, "", "SELECT 1"};
        for (int k = 0; k < 3; k++) {
            struct reward_result out = score(r, row, texts[k], NULL);
            if (out.status != cases[i].status || !strstr(out.reason, cases[i].says))
                fail_msg("%s: %s (%s)", cases[i].row, reward_status_name(out.status), out.reason);
            assert_true(out.status == REWARD_OK || isnan(out.score));
        }
        json_decref(row);
        reward_free(r);
    }
}

static void expect_create_error(const char *params, const char *says)
{
    struct err err = {0};
    json_t *json = json_read(params, strlen(params), 0, "", &err);
    reward *r = NULL;
    size_t live = mem_stats().live_blocks;
    assert_int_not_equal(reward_create(&r, "sql_exec", json, &err), 0);
    assert_null(r);
    if (!strstr(err.message, says) && !strstr(err.where, says))
        fail_msg("%s: \"%s: %s\"", params, err.where, err.message);
    assert_int_equal(mem_stats().live_blocks, live);
    json_decref(json);
}

static void test_parameters(void **state)
{
    (void)state;
    expect_create_error("{\"databse\": \"a\"}", "did you mean \"database\"");
    expect_create_error("{\"database\": \"no/such.sqlite\"}", "no/such.sqlite");
    expect_create_error("{\"database\": 3}", "database");
    expect_create_error("{\"folder\": \"no/such\"}", "no/such");
    expect_create_error("{\"workers\": 99}", "workers is 99, expected 1 to 16");
    expect_create_error("{\"workers\": \"2\"}", "workers");
    expect_create_error("{\"steps\": 10}", "steps is 10, expected 1000 to 200000000");
}

static int note_file(void *user, const char *path, struct err *err)
{
    (void)err;
    str_printf(user, "%s ", path);
    return ERR_NONE;
}

static void test_files(void **state)
{
    (void)state;
    reward *r = make_reward("sql_exec", "{\"database\": \"" SHOP "\", \"folder\": \"tests\"}");
    struct str files = {0};
    struct err err = {0};
    json_t *rows[] = {make_row("x.sqlite", "SELECT 1"), make_row("/x", NULL), make_row(NULL, NULL)};
    assert_int_equal(reward_files(r, NULL, note_file, &files, &err), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(reward_files(r, rows[i], note_file, &files, &err), 0);
        json_decref(rows[i]);
    }
    assert_string_equal(str_text(&files), SHOP " tests/x.sqlite /x " SHOP " ");
    str_free(&files);
    reward_free(r);
    r = make_reward("sql_exec", NULL);
    assert_int_equal(reward_files(r, NULL, note_file, &files, &err), 0);
    assert_int_equal(files.length, 0);
    reward_free(r);
}

static void test_manner(void **state)
{
    (void)state;
    reward *r = make_reward("sql_exec", "{\"workers\": 3}");
    struct reward_manner manner = reward_manner(r);
    assert_int_equal(manner.needs, REWARD_NEEDS_REFERENCE | REWARD_NEEDS_PROCESS);
    assert_int_equal(manner.side_by_side, 3);
    assert_true(manner.repeatable);
    reward_free(r);
}

/* A file that is replaced is another database, and its references are run anew. */
static void test_replaced(void **state)
{
    (void)state;
    static const char *const versions[] = {"CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);",
                                           "CREATE TABLE t (a); INSERT INTO t VALUES (7);"};
    char *folder = temp_folder(), path[300];
    struct err err = {0};
    reward *r = make_reward("sql_exec", "{\"workers\": 1}");
    snprintf(path, sizeof path, "%s/t.sql", folder);
    json_t *row = make_row(path, "SELECT SUM(a) FROM t");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(file_write_atomic(path, versions[i], strlen(versions[i]), &err), 0);
        struct reward_result out = score(r, row, "SELECT TOTAL(a) FROM t", NULL);
        assert_true(out.status == REWARD_OK && out.components[SQL_EXEC_VALUES] == 1);
    }
    json_decref(row);
    reward_free(r);
    temp_folder_remove(folder);
}

static void test_explain(void **state)
{
    (void)state;
    reward *r = make_reward("sql_exec", NULL);
    json_t *row = make_row(SHOP, CANCELLED);
    static const struct {
        const char *text, *outcome, *error;
    } cases[] = {
        {"SELECT COUNT(*) FROM pedidos; Foram 44, ou 13.", "ran", NULL},
        {"SELECT COUNT(*) FROM vendidos", "invalid", "no such table: vendidos"},
        {"SELECT 44 FROM pedidos LIMIT 1", "ran", "does not depend on the rows"},
        {"SELECT 44", "ran", "reads no table"},
        {"nada", "syntax", "there is no query"},
        {"SELECT 1; SELECT 2", "not_allowed", "more than one"},
        {"SELECT random() FROM pedidos", "not_allowed", "random"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str text = {0};
        struct reward_result out = score(r, row, cases[i].text, &text);
        assert_int_equal(out.status, REWARD_OK);
        json_t *e = json_read(str_text(&text), text.length, JSON_UNIQUE_KEYS, "explain", NULL);
        assert_true(json_is_object(e));
        const char *error = json_string_value(json_object_get(e, "error"));
        assert_string_equal(json_string_value(json_object_get(e, "outcome")), cases[i].outcome);
        if ((error != NULL) != (cases[i].error != NULL) ||
            (error && !strstr(error, cases[i].error)))
            fail_msg("%s: %s", cases[i].text, error ? error : "no error");
        assert_int_equal(json_integer_value(json_array_get(
                             json_array_get(json_object_get(e, "reference_rows"), 0), 0)),
                         44);
        if (i == 0) {
            assert_int_equal(json_integer_value(
                                 json_array_get(json_array_get(json_object_get(e, "rows"), 0), 0)),
                             400);
            assert_int_equal(json_integer_value(json_object_get(e, "claims")), 2);
            assert_int_equal(json_integer_value(json_object_get(e, "grounded_claims")), 1);
        }
        json_decref(e);
        str_free(&text);
    }
    json_decref(row);
    reward_free(r);
}

/* Every allocation fails once: `failed`, never a number; then all is as before. */
static void test_no_memory(void **state)
{
    (void)state;
    static const char text[] =
        "```sql\n" CANCELLED "\n```\nA consulta conta os pedidos cancelados.";
    json_t *row = make_row(SHOP, CANCELLED);
    size_t live = mem_stats().live_blocks;
    int without = 0;
    for (int n = 0;; n++) {
        reward *r = make_reward("sql_exec", "{\"workers\": 1}");
        size_t failed = mem_stats().failed_calls;
        assert_true(n < 1000);
        mem_fail_after(n);
        struct reward_result out = score(r, row, text, NULL);
        mem_fail_after(-1);
        bool hit = mem_stats().failed_calls != failed;
        if (out.status != REWARD_OK) {
            assert_true(hit && out.status == REWARD_FAILED && isnan(out.score));
            if (!strstr(out.reason, "memory"))
                fail_msg("%d: %s", n, out.reason);
        } else {
            assert_true(out.score == 1);
            without += hit; /* the cache can do without */
        }
        assert_true(score(r, row, text, NULL).score == 1);
        reward_free(r);
        assert_int_equal(mem_stats().live_blocks, live);
        if (!hit)
            break;
    }
    assert_true(without < 10);
    json_decref(row);
}

static void *hammer(void *context)
{
    const reward *r = context;
    size_t wrong = 0;
    for (int i = 0; i < 40; i++) {
        char sql[100], other[140];
        snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM pedidos WHERE id %% 20 = %d", i % 20);
        snprintf(other, sizeof other, "SELECT SUM(id %% 20 = %d) FROM pedidos", i % 20);
        json_t *row = make_row(SHOP, sql);
        wrong += score(r, row, sql, NULL).components[SQL_EXEC_VALUES] != 1;
        wrong += score(r, row, other, NULL).components[SQL_EXEC_VALUES] != 1;
        wrong +=
            score(r, row, "SELECT MAX(id) FROM pedidos", NULL).components[SQL_EXEC_VALUES] != 0;
        json_decref(row);
    }
    return (void *)wrong;
}

static void test_threads(void **state)
{
    (void)state;
    reward *r = make_reward("sql_exec", "{\"workers\": 2}");
    pthread_t threads[5];
    for (int i = 0; i < 5; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, r), 0);
    for (int i = 0; i < 5; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    reward_free(r);
}

int main(int argc, char **argv)
{
    if (sql_worker_asked(argc, argv))
        return sql_worker_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_components), cmocka_unit_test(test_ties),
        cmocka_unit_test(test_budget),     cmocka_unit_test(test_prose),
        cmocka_unit_test(test_prose_text), cmocka_unit_test(test_whose_fault),
        cmocka_unit_test(test_parameters), cmocka_unit_test(test_files),
        cmocka_unit_test(test_manner),     cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_explain),    cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_sql_valid.c: finding SQL in a text, and the reward `sql_valid`: parameters, what SQLite is
 * asked and not asked to do, threads. tests/reward/fixtures/sql_valid.jsonl says what beats what.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include "cases.h"
#include "base/file.h"
#include "reward/rewards.h"
#include "reward/sql_find.h"

#define PARAMS "{\"schema\": \"tests/reward/fixtures/shop.sql\"}"

static void test_find(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum sql_place place;
        const char *sql;
        bool stacked;
    } cases[] = {
        {"", SQL_NOWHERE, "", false},
        {"O total é 42. Selecione o produto.", SQL_NOWHERE, "", false},
        {"select", SQL_NOWHERE, "", false},
        {"with you", SQL_NOWHERE, "", false},
        {"SELECT a FROM t", SQL_PROSE, "SELECT a FROM t", false},
        {"Use select a from t; ela conta.", SQL_PROSE, "select a from t", false},
        {"~~~sql\nSELECT 1\n~~~\nFim.", SQL_FENCE, "SELECT 1", false},
        {"````sql\nSELECT 1\n````\nFim.", SQL_FENCE, "SELECT 1", false},
        {"``` sql\nSELECT 1\n```\nFim.", SQL_FENCE, "SELECT 1", false},
        {"SELECT ~~~a FROM t", SQL_PROSE, "SELECT ~~~a FROM t", false},
        {"<sql>SELECT a FROM t</sql> fim", SQL_PROSE, "SELECT a FROM t", false},
        {"Uso (SELECT max(a) FROM t) aqui", SQL_PROSE, "SELECT max(a) FROM t", false},
        {"**SELECT a FROM t** conta.", SQL_PROSE, "SELECT a FROM t", false},
        {"`SELECT a FROM t` conta tudo.", SQL_PROSE, "SELECT a FROM t", false},
        {"Use `SELECT `a`, `b` FROM `t`` aqui", SQL_PROSE, "SELECT `a`, `b` FROM `t`", false},
        {"Use `SELECT '`' FROM t;` aqui", SQL_PROSE, "SELECT '`' FROM t", false},
        {"`SELECT a FROM t`; assim.", SQL_PROSE, "SELECT a FROM t", false},
        {"A consulta SELECT a FROM t.", SQL_PROSE, "SELECT a FROM t", false},
        {"SELECT ';' FROM t; fim", SQL_PROSE, "SELECT ';' FROM t", false},
        {"SELECT a\nFROM t\n\nAssim se conta.", SQL_PROSE, "SELECT a\nFROM t", false},
        {"SELECT a\nFROM t\n \t\r\nAssim", SQL_PROSE, "SELECT a\nFROM t", false},
        {"SELECT a FROM t WHERE b = 'x\n\nFim.", SQL_PROSE, "SELECT a FROM t WHERE b = 'x", false},
        {"WITH x AS (SELECT 1) SELECT * FROM x", SQL_PROSE, "WITH x AS (SELECT 1) SELECT * FROM x",
         false},
        {"SELECT 1; DROP TABLE t", SQL_PROSE, "SELECT 1", true},
        {"SELECT 1; select 2", SQL_PROSE, "SELECT 1", true},
        {"SELECT 1;\nSelecionei um.", SQL_PROSE, "SELECT 1", false},
        {"EXPLAIN SELECT 1", SQL_PROSE, "EXPLAIN SELECT 1", false},
        {"INSERT INTO t SELECT 1", SQL_PROSE, "INSERT INTO t SELECT 1", false},
        {"Veja:\n```sql\nSELECT 1;\n```\nSELECT 2", SQL_FENCE, "SELECT 1;", false},
        {"```\nselect 1\n```", SQL_FENCE, "select 1", false},
        {"```SELECT 1```", SQL_FENCE, "SELECT 1", false},
        {"```SQL\nDROP TABLE t\n```", SQL_FENCE, "DROP TABLE t", false},
        {"```python\nx = 1\n```\n```sql\nSELECT 1", SQL_FENCE, "SELECT 1", false},
        {"```json\n{}\n```\nSELECT 3", SQL_PROSE, "SELECT 3", false},
        {"SELECT 1 ```", SQL_PROSE, "SELECT 1", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sql_found f = sql_find(cases[i].text, strlen(cases[i].text));
        if (f.place != cases[i].place || f.stacked != cases[i].stacked ||
            f.sql.length != strlen(cases[i].sql) ||
            memcmp(f.sql.length ? f.sql.data : "", cases[i].sql, f.sql.length) != 0)
            fail_msg("\"%s\": place %d, \"%.*s\"%s", cases[i].text, (int)f.place, (int)f.sql.length,
                     f.sql.length ? f.sql.data : "", f.stacked ? ", stacked" : "");
    }
}

static void test_verdicts(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        int valid, reads;
        const char *error;
    } cases[] = {
        {"SELECT nome FROM clientes", 1, 1, NULL},
        {"SELECT COUNT(*) FROM pedidos", 1, 1, NULL},
        {"SELECT 1", 1, 0, NULL},
        {"WITH t AS (SELECT 1 AS a) SELECT COUNT(*) FROM t", 1, 0, NULL},
        {"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n) SELECT x FROM n", 1, 0,
         NULL},
        {"SELECT strftime('%Y', data), SUM(valor) FROM pedidos GROUP BY 1 ORDER BY 2 DESC LIMIT 3",
         1, 1, NULL},
        {"SELECT * FROM clientes; -- fim", 1, 1, NULL},
        {"SELECT name FROM sqlite_schema", 1, 0, NULL},
        {"SELECT x FROM clientes", 0, 0, "no such column"},
        {"SELECT nome FROM cliente", 0, 0, "no such table"},
        {"SELECT nome FROM clientes WHERE estado = \"SP\"", 1, 1, NULL}, /* as SQLite has it */
        {"SELECT MEDIANA(valor) FROM pedidos", 0, 0, "no such function"},
        {"SELECT nome FROM clientes WHERE id = ?", 0, 0, "parameter"},
        {"SELECT nome FROM clientes WHERE id = :x", 0, 0, "parameter"},
        {"SELECT 1; SELECT 2", 0, 0, "more than one"},
        {"SELECT load_extension('x')", 0, 0, "not authorized"},
        {"SELECT nome FROM", 0, 0, "incomplete"},
    };
    reward *r = make_reward("sql_valid", PARAMS);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[400];
        snprintf(text, sizeof text, "```sql\n%s\n```", cases[i].sql);
        struct reward_result out = evaluate(r, "", text, strlen(text));
        json_t *e = explanation(r, "", text);
        const char *error = json_string_value(json_object_get(e, "error"));
        if (out.components[SQL_VALID_FOUND] != 1 ||
            out.components[SQL_VALID_VALID] != cases[i].valid ||
            out.components[SQL_VALID_READS] != cases[i].reads)
            fail_msg("%s: valid %g, reads %g (%s)", cases[i].sql, out.components[SQL_VALID_VALID],
                     out.components[SQL_VALID_READS], error ? error : "");
        assert_true((error == NULL) == (cases[i].valid == 1));
        if (error && !strstr(error, cases[i].error))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].sql, error, cases[i].error);
        assert_string_equal(json_string_value(json_object_get(e, "sql")), cases[i].sql);
        json_decref(e);
    }
    struct reward_result nul = evaluate(r, "", "SELECT 1\0 FROM t", 16);
    assert_true(nul.status == REWARD_OK && nul.components[SQL_VALID_VALID] == 0);
    check_no_memory(r, "", "SELECT nome FROM clientes");
    reward_free(r);
}

static void expect_create_error(const char *params, const char *says)
{
    struct err err = {0};
    json_t *json = json_read(params, strlen(params), 0, "", &err);
    reward *r = NULL;
    size_t live = mem_stats().live_blocks;
    assert_int_not_equal(reward_create(&r, "sql_valid", json, &err), 0);
    assert_null(r);
    if (!strstr(err.message, says) && !strstr(err.where, says))
        fail_msg("%s: \"%s: %s\"", params, err.where, err.message);
    assert_int_equal(mem_stats().live_blocks, live);
    json_decref(json);
}

static void test_parameters(void **state)
{
    (void)state;
    expect_create_error("{\"database\": \"a\", \"schema\": \"b\"}", "do not go together");
    expect_create_error("{\"databse\": \"a\"}", "did you mean \"database\"");
    expect_create_error("{\"database\": \"no/such.sqlite\"}", "no/such.sqlite");
    expect_create_error("{\"schema\": \"no/such.sql\"}", "no/such.sql");
    expect_create_error("{\"database\": \"Makefile\"}", "SQLite database");
    expect_create_error("{\"schema\": \"Makefile\"}", "makes a schema");
    reward *r = make_reward("sql_valid", NULL);
    struct reward_result out = evaluate(r, "", "SELECT 1", 8);
    assert_int_equal(out.status, REWARD_NOT_APPLICABLE);
    assert_non_null(strstr(out.reason, "params database"));
    reward_free(r);
}

static int note_file(void *user, const char *path, struct err *err)
{
    (void)err;
    str_printf(user, "%s ", path);
    return ERR_NONE;
}

/* The parameters' file, once; a row has none of its own. */
static void test_files(void **state)
{
    (void)state;
    static const char *const params[] = {PARAMS, NULL};
    struct str files = {0};
    struct err err = {0};
    json_t *row = json_pack("{s:{s:s}}", "reference", "database", "other.sqlite");
    for (int i = 0; i < 2; i++) {
        reward *r = make_reward("sql_valid", params[i]);
        assert_int_equal(reward_files(r, NULL, note_file, &files, &err), 0);
        assert_int_equal(reward_files(r, row, note_file, &files, &err), 0);
        reward_free(r);
    }
    assert_string_equal(str_text(&files), "tests/reward/fixtures/shop.sql ");
    json_decref(row);
    str_free(&files);
}

/* A real file: read, and never written. */
static void test_database(void **state)
{
    (void)state;
    char *folder = temp_folder(), path[300], before[65], after[65], params[400];
    struct err err = {0};
    snprintf(path, sizeof path, "%s/shop.sqlite", folder);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t (a); INSERT INTO t VALUES (1)", 0, 0, 0), 0);
    sqlite3_close(db);
    assert_int_equal(sha256_file(before, path, &err), 0);
    snprintf(params, sizeof params, "{\"database\": \"%s\"}", path);
    reward *r = make_reward("sql_valid", params);
    assert_true(score_of(r, "", "SELECT a FROM t") == 1);
    static const char *const writes[] = {
        "DELETE FROM t", "DROP TABLE t",       "CREATE TABLE u (a)", "PRAGMA user_version = 7",
        "VACUUM",        "VACUUM INTO 'x.db'", "ATTACH 'x.db' AS x", "REINDEX",
        "ANALYZE",       "BEGIN IMMEDIATE"};
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
        char text[100];
        snprintf(text, sizeof text, "```sql\n%s\n```", writes[i]);
        if (evaluate(r, "", text, strlen(text)).components[SQL_VALID_VALID] != 0)
            fail_msg("%s is valid", writes[i]);
    }
    reward_free(r);
    assert_int_equal(sha256_file(after, path, &err), 0);
    assert_string_equal(before, after);
    temp_folder_remove(folder);
}

static void *hammer(void *r)
{
    size_t wrong = 0;
    for (int i = 0; i < 300; i++) {
        wrong += evaluate(r, "", "SELECT nome FROM clientes", 25).score != 1;
        wrong += evaluate(r, "", "SELECT 1", 8).score != 0.8;
        wrong += evaluate(r, "", "SELECT x FROM y", 15).score != 0.2;
    }
    return (void *)wrong;
}

static void test_threads(void **state)
{
    (void)state;
    reward *r = make_reward("sql_valid", PARAMS);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),       cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_parameters), cmocka_unit_test(test_database),
        cmocka_unit_test(test_threads),    cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

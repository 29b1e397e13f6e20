/* test_sql_compare.c: what a query's text says of its result, and how much of one result another
 * has. Results are made by queries. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "base/mem.h"
#include "reward/sql_compare.h"
#include "reward/sql_run.h"

static void run(sql_db *db, const char *sql, struct sql_result *out)
{
    struct sql_budget budget = {.steps = 10000000, .memory = 0, .rows = 3000, .bytes = 1 << 22};
    sql_run(db, sql, strlen(sql), &budget, out);
    if (out->outcome != SQL_RAN)
        fail_msg("%s: %s", sql, out->message);
}

static sql_db *open_db(void)
{
    struct err err = {0};
    sql_db *db;
    assert_int_equal(sql_db_make(&db, "CREATE TABLE t (a)", &err), 0);
    return db;
}

static struct sql_match compare(sql_db *db, const char *reference, const char *given)
{
    struct sql_result a, b;
    struct sql_match m;
    run(db, reference, &a);
    run(db, given, &b);
    struct sql_outline outline = sql_outline_read(reference, strlen(reference));
    assert_true(sql_compare(&m, &a, a.n_rows, &outline, &b));
    sql_result_free(&a);
    sql_result_free(&b);
    return m;
}

static void test_outline(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        bool ordered;
        const char *key, *from_limit;
        int decimals;
    } cases[] = {
        {"SELECT a FROM t", false, "", NULL, -1},
        {"SELECT a FROM t ORDER BY a", true, "a", NULL, -1},
        {"select a from t order\n by  b.a desc, c limit 3", true, "b.a", "limit 3", -1},
        {"SELECT a FROM t ORDER BY COUNT(DISTINCT a, b) DESC LIMIT 5;", true,
         "COUNT(DISTINCT a, b)", "LIMIT 5;", -1},
        {"SELECT a FROM (SELECT a FROM t ORDER BY a LIMIT 3)", false, "", NULL, -1},
        {"SELECT a, ROW_NUMBER() OVER (ORDER BY a) FROM t", false, "", NULL, -1},
        {"SELECT ' ORDER BY a LIMIT 1' FROM t -- ORDER BY b", false, "", NULL, -1},
        {"SELECT 1 /* LIMIT 2 */ AS \"ORDER BY x\" FROM t", false, "", NULL, -1},
        {"SELECT 'it''s ORDER BY' FROM t ORDER BY 2 NULLS LAST", true, "2", NULL, -1},
        {"SELECT a FROM t ORDER BY a COLLATE NOCASE", true, "a", NULL, -1},
        {"WITH x AS (SELECT a FROM t LIMIT 2) SELECT a FROM x ORDER BY 1", true, "1", NULL, -1},
        {"SELECT ROUND(AVG(a), 2) FROM t", false, "", NULL, 2},
        {"SELECT round(a, 2), ROUND(b,1), ROUND(c, 3) FROM t", false, "", NULL, 1},
        {"SELECT ROUND(a) FROM t", false, "", NULL, 0},
        {"SELECT ROUND(100.0 * SUM(a > b) / COUNT(c), 1) FROM t", false, "", NULL, 1},
        {"SELECT ROUND(a, ROUND(2, 1)) FROM t", false, "", NULL, 1},
        {"SELECT \"ROUND\" FROM t ORDER BY [LIMIT 2]", true, "[LIMIT 2]", NULL, -1},
        {"SELECT ROUND", false, "", NULL, -1},
        {"ORDER BY", true, "", NULL, -1},
        {"", false, "", NULL, -1},
        {"'", false, "", NULL, -1},
        {"((((", false, "", NULL, -1},
        {"/*", false, "", NULL, -1},
        {"[", false, "", NULL, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *sql = cases[i].sql;
        struct sql_outline o = sql_outline_read(sql, strlen(sql));
        bool limit = cases[i].from_limit
                         ? o.limit_at && strcmp(sql + o.limit_at, cases[i].from_limit) == 0
                         : o.limit_at == 0;
        if (o.ordered != cases[i].ordered || !slice_equals(o.key, cases[i].key) || !limit ||
            o.decimals != cases[i].decimals)
            fail_msg("%s: ordered %d, key \"%.*s\", limit at %zu, decimals %d", sql, o.ordered,
                     (int)o.key.length, o.key.data, o.limit_at, o.decimals);
    }
}

static void test_key_column(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        int column;
    } cases[] = {
        {"SELECT 1 AS a, 2 AS b ORDER BY b", 1},
        {"SELECT 1 AS a, 2 AS b ORDER BY 1 DESC", 0},
        {"SELECT 1 AS a, 2 AS b ORDER BY A", 0},
        {"SELECT x.a, COUNT(*) FROM t x ORDER BY COUNT( * )", 1},
        {"SELECT a, SUM(a) FROM t ORDER BY sum(a)", 1},
        {"SELECT a FROM t x ORDER BY x.a", 0},
        {"SELECT 1 AS a ORDER BY 1 + 1", -1},
        {"SELECT 1 AS a", -1},
    };
    sql_db *db = open_db();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sql_result r;
        run(db, cases[i].sql, &r);
        struct sql_outline o = sql_outline_read(cases[i].sql, strlen(cases[i].sql));
        if (sql_key_column(&o, &r) != cases[i].column)
            fail_msg("%s: column %d", cases[i].sql, sql_key_column(&o, &r));
        sql_result_free(&r);
    }
    sql_db_close(db);
}

/* Whether one cell agrees with another. */
static void test_cells(void **state)
{
    (void)state;
    static const struct {
        const char *reference, *given;
        int agree;
    } cases[] = {
        {"12", "12", 1},
        {"12", "13", 0},
        {"12", "12.0", 1},
        {"12", "'12'", 1},
        {"'12'", "12", 1},
        {"12", "' 12 '", 1},
        {"'SP'", "'SP  '", 1},
        {"'SP'", "'sp'", 0},
        {"'SP'", "'RJ'", 0},
        {"1234.5", "'R$ 1.234,50'", 1},
        {"'R$ 1.234,50'", "1234.5", 1},
        {"12.5", "'12,5%'", 1},
        {"'2024-01-31'", "'2024-01-31'", 1},
        {"'2024-01-31'", "'2024-02-01'", 0},
        {"'2024-01'", "2024", 0},
        {"'abc1'", "1", 0},
        /* NULL is only NULL */
        {"NULL", "NULL", 1},
        {"0", "NULL", 0},
        {"''", "NULL", 0},
        {"NULL", "''", 0},
        {"''", "0", 0},
        {"''", "'  '", 1},
        /* noise of floating point */
        {"0.3", "0.1 + 0.2", 1},
        {"1000000.0", "1000000.4", 1},
        {"1000000.0", "1000003.5", 0},
        {"1e300", "1.0000001e300", 1},
        {"0.0", "1e-13", 1},
        {"0.0", "0.01", 0},
        /* whole numbers are exact */
        {"1000000", "1000001", 0},
        {"9007199254740993", "9007199254740992", 0},
        {"9007199254740993", "9007199254740993", 1},
        {"3", "2.999999999", 1},
        {"3", "3.4", 0},
        {"3", "3.004", 0},
        /* one rounded to two, the other not */
        {"27.35", "27.3461", 1},
        {"27.3461", "27.35", 1},
        {"27.35", "27.3449", 0},
        {"4.5", "4.46", 0},
        {"27.35", "27.36", 0},
        /* the reference says how many decimals */
        {"ROUND(12.34, 1)", "12.34", 1},
        {"ROUND(12.34, 1)", "12.41", 0},
        {"ROUND(12.34)", "12.34", 1},
        {"ROUND(12.34)", "12", 1},
        {"ROUND(12.345678, 3)", "12.345678", 1},
        {"12.3", "12.34", 0},
        {"x'00ff'", "x'00ff'", 1},
        {"x'00ff'", "x'00fe'", 0},
        {"x'3132'", "12", 0},
        {"'123456789012345678901'", "'123456789012345678902'", 0},
    };
    sql_db *db = open_db();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char a[100], b[100];
        snprintf(a, sizeof a, "SELECT %s", cases[i].reference);
        snprintf(b, sizeof b, "SELECT %s", cases[i].given);
        struct sql_match m = compare(db, a, b);
        if (m.values != cases[i].agree || m.matched != cases[i].agree)
            fail_msg("%s against %s: %g", cases[i].given, cases[i].reference, m.values);
    }
    sql_db_close(db);
}

#define THREE "SELECT 'a' AS n, 3 AS c UNION ALL SELECT 'b', 2 UNION ALL SELECT 'c', 1"

static void test_rows_and_columns(void **state)
{
    (void)state;
    static const struct {
        const char *reference, *given;
        double values, shape;
        bool in_order;
    } cases[] = {
        {THREE, THREE, 1, 1, true},
        /* order of rows and columns, and names, are free */
        {THREE, "SELECT 1 AS x, 'c' AS y UNION ALL SELECT 3, 'a' UNION ALL SELECT 2, 'b'", 1, 1,
         true},
        /* rows too many, too few, wrong */
        {THREE, "VALUES ('a', 3), ('b', 2)", 0.8, 2.0 / 3, true},
        {THREE, "VALUES ('a', 3), ('b', 2), ('c', 1), ('d', 0)", 6.0 / 7, 0.75, true},
        {THREE, "VALUES ('a', 3), ('b', 2), ('c', 0)", 2.0 / 3, 1, true},
        {THREE, "VALUES ('a', 3), ('a', 3), ('a', 3)", 1.0 / 3, 1, true},
        {THREE, "SELECT 'z', 9", 0, 1.0 / 3, true},
        {THREE, "SELECT 1 WHERE 0", 0, 0, true},
        /* rows go together: the right columns in the wrong rows are little */
        {THREE, "VALUES ('a', 2), ('b', 1), ('c', 3)", 0.25, 1, true},
        /* a column that is missing, and ones too many */
        {THREE, "VALUES ('a'), ('b'), ('c')", 0.25, 0.4, true},
        {THREE, "VALUES (7, 'a', 3), (8, 'b', 2), (9, 'c', 1)", 1, 0.8, true},
        {THREE, "VALUES (7, 'a', 3, 0), (8, 'b', 2, 0), (9, 'c', 1, 0)", 0.75 * 0.75, 0.4, true},
        {"SELECT 5", "SELECT 1, 2, 3, 4, 5, 6, 7, 8", 0.0625, 0.1, true},
        /* columns with the same values in other rows */
        {"VALUES (1, 2), (2, 1), (3, 3)", "VALUES (2, 1), (1, 2), (3, 3)", 1, 1, true},
        {"VALUES (1, 2), (2, 3), (3, 1)", "VALUES (2, 1), (3, 2), (1, 3)", 1, 1, true},
        {"VALUES (1, 1, 2), (2, 1, 1)", "VALUES (1, 2, 1), (1, 1, 2)", 1, 1, true},
        /* multisets */
        {"VALUES (1), (1), (2)", "VALUES (1), (2), (2)", 2.0 / 3, 1, true},
        {"VALUES (1), (1), (2)", "VALUES (2), (1), (1)", 1, 1, true},
        /* order, where the reference orders */
        {THREE " ORDER BY c DESC", "VALUES ('a', 3), ('b', 2), ('c', 1)", 1, 1, true},
        {THREE " ORDER BY c DESC", "VALUES ('c', 1), ('b', 2), ('a', 3)", 0.5, 1, false},
        {THREE " ORDER BY c DESC", "VALUES ('b', 2), ('a', 3), ('c', 1)", 0.75, 1, false},
        {"SELECT * FROM (" THREE " ORDER BY c DESC)", "VALUES ('c', 1), ('b', 2), ('a', 3)", 1, 1,
         true},
        /* rows of one key may change places */
        {"SELECT 'a' AS n, 5 AS c UNION ALL SELECT 'b', 5 UNION ALL SELECT 'c', 1 ORDER BY c DESC, "
         "n",
         "VALUES ('b', 5), ('a', 5), ('c', 1)", 1, 1, true},
        {"SELECT 'a' AS n, 5 AS c UNION ALL SELECT 'b', 5 UNION ALL SELECT 'c', 1 ORDER BY c DESC, "
         "n",
         "VALUES ('b', 5), ('c', 1), ('a', 5)", 0.75, 1, false},
        /* nothing */
        {"SELECT 1 WHERE 0", "SELECT 2 WHERE 0", 1, 1, true},
        {"SELECT 1 WHERE 0", "SELECT 2", 0, 0, true},
        {"SELECT NULL", "SELECT NULL", 1, 1, true},
    };
    sql_db *db = open_db();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sql_match m = compare(db, cases[i].reference, cases[i].given);
        if (fabs(m.values - cases[i].values) > 1e-12 || fabs(m.shape - cases[i].shape) > 1e-12 ||
            m.in_order != cases[i].in_order)
            fail_msg("%s\nagainst %s: values %g, shape %g, in order %d", cases[i].given,
                     cases[i].reference, m.values, m.shape, m.in_order);
    }
    sql_db_close(db);
}

/* Rows behind the required ones may stand for those of the same key. */
static void test_ties(void **state)
{
    (void)state;
    static const char all[] = "SELECT 'a' AS n, 9 AS c UNION ALL SELECT 'b', 5 UNION ALL SELECT "
                              "'c', 5 UNION ALL SELECT 'd', 5 ORDER BY c DESC, n";
    static const struct {
        const char *given;
        double values;
    } cases[] = {
        {"VALUES ('a', 9), ('b', 5)", 1},
        {"VALUES ('a', 9), ('d', 5)", 1},
        {"VALUES ('a', 9), ('e', 5)", 0.5},
        {"VALUES ('d', 5), ('c', 5)", 1},
        {"VALUES ('d', 5), ('a', 9)", 0.5},
        {"VALUES ('a', 9), ('b', 5), ('c', 5), ('d', 5)", 2.0 / 3},
    };
    sql_db *db = open_db();
    struct sql_outline outline = sql_outline_read(all, strlen(all));
    struct sql_result reference;
    run(db, all, &reference);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sql_result given;
        struct sql_match m;
        run(db, cases[i].given, &given);
        assert_true(sql_compare(&m, &reference, 2, &outline, &given));
        if (fabs(m.values - cases[i].values) > 1e-12)
            fail_msg("%s: %g", cases[i].given, m.values);
        sql_result_free(&given);
    }
    sql_result_free(&reference);
    sql_db_close(db);
}

/* Any results: values are 1 against themselves in any order of rows and columns, never beyond 0..1,
 * and the work stays small where all columns look alike. */
static void test_random(void **state)
{
    (void)state;
    sql_db *db = open_db();
    for (int i = 0; i < 200; i++) {
        char rows[300], given[400], turned[400];
        int n = 1 + i % 7, limit = 1 + i % 13;
        snprintf(rows, sizeof rows,
                 "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < %d) "
                 "SELECT i * %d %% %d AS a, i * %d %% %d / 10.0 AS b, 'x' || (i * 5 %% %d) AS c "
                 "FROM r",
                 limit * 5, i + 3, n + 1, i + 11, n + 3, n + 2);
        snprintf(given, sizeof given, "SELECT c, a, b FROM (%s) ORDER BY c, b DESC", rows);
        snprintf(turned, sizeof turned, "SELECT b, a + 1, c FROM (%s) LIMIT %d", rows, limit);
        assert_true(compare(db, rows, given).values == 1);
        struct sql_match m = compare(db, rows, turned);
        assert_true(m.values >= 0 && m.values < 1 && m.shape >= 0 && m.shape <= 1);
    }
    static const char wide[] =
        "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 2000) SELECT "
        "i%2, "
        "i%2, i%2, i%2, i%2, i%2, i%2, i%2, i%2, i%2, i%2, i%2, i%2, i%2, i%2, i%2 FROM r";
    static const char other[] =
        "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 2000) SELECT "
        "i%2, "
        "i%2, i/2%2, i%2, i%2, i%3%2, i%2, i%2, i%2, i/4%2, i%2, i%2, i%2, i/8%2, i%2, i%2 FROM r";
    assert_true(compare(db, wide, wide).values == 1);
    struct sql_match m = compare(db, wide, other);
    assert_true(m.values > 0 && m.values < 1);
    sql_db_close(db);
}

static void test_small_questions(void **state)
{
    (void)state;
    struct sql_result a, b;
    sql_db *db = open_db();
    run(db, "SELECT NULL, NULL UNION ALL SELECT NULL, NULL", &a);
    assert_true(sql_nothing_found(&a));
    run(db, "SELECT NULL, 0", &b);
    assert_false(sql_nothing_found(&b));
    assert_false(sql_same_result(&a, &b));
    sql_result_free(&a);
    run(db, "SELECT NULL, 0.0", &a);
    assert_true(sql_same_result(&a, &b));
    assert_false(sql_same_cell(&a, sql_result_cell(&a, 0, 0), sql_result_cell(&a, 0, 1)));
    sql_result_free(&a);
    run(db, "SELECT 0, NULL", &a); /* the same cells, in other places */
    assert_false(sql_same_result(&a, &b));
    sql_result_free(&a);
    sql_result_free(&b);
    sql_db_close(db);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct sql_result r;
    struct sql_match m;
    sql_db *db = open_db();
    struct sql_outline outline = sql_outline_read(THREE, strlen(THREE));
    run(db, THREE, &r);
    size_t live = mem_stats().live_blocks;
    for (int n = 0;; n++) {
        mem_fail_after(n);
        bool done = sql_compare(&m, &r, r.n_rows, &outline, &r);
        mem_fail_after(-1);
        assert_int_equal(mem_stats().live_blocks, live);
        if (done) {
            assert_true(n > 3);
            break;
        }
    }
    sql_result_free(&r);
    sql_db_close(db);
}

static void test_unchanged(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool unchanged;
    } cases[] = {
        {"VALUES (1, 'x'), (2, 'y')", "VALUES (2, 'y'), (1, 'x')", true},
        {"VALUES (1, 'x'), (2, 'y')", "VALUES (1, 'y'), (2, 'x')", false},
        {"VALUES (1, 'x')", "VALUES (1, 'x'), (1, 'x')", false},
        {"SELECT 15.2508", "SELECT 15.2504", true},
        {"SELECT 15.25", "SELECT 15.26", false},
        {"SELECT 84", "SELECT '84,0'", true},
        {"SELECT 123456.7", "SELECT 123456.9", true},
        {"SELECT 123456.7", "SELECT 123476.9", false},
        {"SELECT NULL", "SELECT NULL", true},
        {"SELECT NULL", "SELECT 0", false},
        {"SELECT 'ab', 'c'", "SELECT 'a', 'bc'", false},
        {"SELECT 1 WHERE 0", "SELECT 2 WHERE 0", true},
    };
    sql_db *db = open_db();
    size_t live = mem_stats().live_blocks;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sql_result a, b;
        bool same;
        run(db, cases[i].a, &a);
        run(db, cases[i].b, &b);
        assert_true(sql_unchanged(&same, &a, &b));
        if (same != cases[i].unchanged)
            fail_msg("%s and %s: %d", cases[i].a, cases[i].b, same);
        sql_result_free(&a);
        sql_result_free(&b);
    }
    assert_int_equal(mem_stats().live_blocks, live);
    sql_db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unchanged),        cmocka_unit_test(test_outline),
        cmocka_unit_test(test_key_column),       cmocka_unit_test(test_cells),
        cmocka_unit_test(test_rows_and_columns), cmocka_unit_test(test_ties),
        cmocka_unit_test(test_random),           cmocka_unit_test(test_small_questions),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_sql_run.c: queries in the locked connection and in worker processes: what they return, what
 * they cannot do, what they may take, whose fault it is when a process ends. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sanitizer.h"
#include "reward/sql_functions.h"
#include "reward/sql_run.h"
#include "reward/sql_worker.h"

#define SHOP "tests/reward/fixtures/sql_exec_shop.sql"

static const struct sql_budget budget = {
    .steps = 1000000, .memory = 32 << 20, .rows = 1000, .bytes = 1 << 20};

/* The shop as a database file in a folder of its own. */
struct shop {
    char *folder, path[300], hash[65];
};

static void make_shop(struct shop *s)
{
    struct str text = {0};
    struct err err = {0};
    sqlite3 *db;
    s->folder = temp_folder();
    snprintf(s->path, sizeof s->path, "%s/shop.sqlite", s->folder);
    assert_int_equal(file_read(&text, SHOP, &err), 0);
    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, str_text(&text), 0, 0, 0), SQLITE_OK);
    sqlite3_close(db);
    str_free(&text);
    assert_int_equal(sha256_file(s->hash, s->path, &err), 0);
}

/* Still the same bytes, and nothing beside them. */
static void check_shop(const struct shop *s)
{
    char hash[65];
    struct err err = {0};
    assert_int_equal(sha256_file(hash, s->path, &err), 0);
    assert_string_equal(hash, s->hash);
    DIR *d = opendir(s->folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.' && strcmp(e->d_name, "shop.sqlite") != 0)
            fail_msg("there is a file %s", e->d_name);
    closedir(d);
}

static void remove_shop(struct shop *s)
{
    check_shop(s);
    temp_folder_remove(s->folder);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- the escapes --- */

/* `may`: outcomes that are fine, as bits; never SQL_MACHINE. A query that runs is harmless. */
enum {
    RAN = 1 << SQL_RAN,
    SYNTAX = 1 << SQL_SYNTAX,
    DENIED = 1 << SQL_NOT_ALLOWED,
    INVALID = 1 << SQL_INVALID,
    BUDGET = 1 << SQL_OVER_BUDGET,
    ERROR = 1 << SQL_ERROR,
    TIMED = 1 << SQL_CRASHED
};
#define BIG(columns) "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n) " columns
/* t.x has 32,768 letters a. */
#define LONG(rest)                                                                                 \
    "WITH RECURSIVE g(x) AS (SELECT 'aaaaaaaa' UNION ALL SELECT x || x FROM g WHERE length(x) < "  \
    "30000), t(x) AS (SELECT x FROM g ORDER BY length(x) DESC LIMIT 1) SELECT count(*) FROM t, "   \
    "itens a, itens b WHERE " rest

static const struct {
    const char *sql;
    int may;
} escapes[] = {
    /* writing */
    {"DELETE FROM pedidos", DENIED},
    {"UPDATE pedidos SET valor = 0", DENIED},
    {"INSERT INTO pedidos(id) VALUES (9999)", DENIED},
    {"REPLACE INTO pedidos(id) VALUES (1)", DENIED},
    {"INSERT INTO pedidos(id) VALUES (9999) RETURNING id", DENIED},
    {"WITH a AS (SELECT 1) DELETE FROM pedidos", DENIED},
    {"DROP TABLE pedidos", DENIED},
    {"DROP VIEW vendas", DENIED},
    {"ALTER TABLE pedidos RENAME TO x", DENIED},
    {"CREATE TABLE x AS SELECT * FROM pedidos", DENIED},
    {"CREATE TEMP TABLE x AS SELECT * FROM pedidos", DENIED},
    {"CREATE TEMP VIEW clientes AS SELECT 1", DENIED},
    {"CREATE TEMP TRIGGER t AFTER INSERT ON pedidos BEGIN SELECT 1; END", DENIED},
    {"CREATE INDEX i ON pedidos(valor)", DENIED},
    {"CREATE VIRTUAL TABLE f USING fts5(x)", DENIED},
    {"CREATE VIRTUAL TABLE r USING rtree(id, a, b)", DENIED},
    {"UPDATE sqlite_master SET sql = ''", DENIED | INVALID},
    {"DELETE FROM sqlite_schema", DENIED | INVALID},
    {"INSERT INTO sqlite_sequence VALUES ('a', 1)", DENIED | INVALID},
    {"REINDEX", DENIED},
    {"ANALYZE", DENIED},
    {"VACUUM", DENIED},
    {"VACUUM INTO 'copia.sqlite'", DENIED},
    /* other files, settings, transactions */
    {"ATTACH 'outra.sqlite' AS o", DENIED},
    {"ATTACH ':memory:' AS o", DENIED},
    {"DETACH main", DENIED},
    {"PRAGMA user_version = 7", DENIED},
    {"PRAGMA writable_schema = 1", DENIED},
    {"PRAGMA journal_mode = WAL", DENIED},
    {"PRAGMA temp_store_directory = '/tmp'", DENIED},
    {"PRAGMA query_only = 0", DENIED},
    {"PRAGMA table_info(pedidos)", DENIED},
    {"BEGIN IMMEDIATE", DENIED},
    {"SAVEPOINT a", DENIED},
    {"COMMIT", DENIED},
    {"EXPLAIN SELECT * FROM pedidos", DENIED},
    {"EXPLAIN QUERY PLAN SELECT * FROM pedidos", DENIED},
    /* more than one, and none */
    {"SELECT 1; DROP TABLE pedidos", DENIED},
    {"SELECT id FROM pedidos; SELECT 2", DENIED},
    {"SELECT id FROM pedidos; -- fim\nDELETE FROM pedidos", DENIED},
    {"SELECT id FROM pedidos /* ; */ ; DELETE FROM pedidos", DENIED},
    {"SELECT id FROM pedidos;;;; PRAGMA user_version = 7", DENIED},
    {"-- só um comentário", SYNTAX},
    {"/* aberto", SYNTAX},
    {"", SYNTAX},
    {";", SYNTAX},
    {"SELECT id FROM pedidos WHERE id = ?", DENIED},
    {"SELECT id FROM pedidos WHERE id = @x", DENIED},
    /* functions */
    {"SELECT load_extension('x.so')", DENIED},
    {"SELECT random() FROM pedidos", DENIED},
    {"SELECT randomblob(10) FROM pedidos", DENIED},
    {"SELECT sqlite_version() FROM pedidos", DENIED},
    {"SELECT sqlite_source_id()", DENIED},
    {"SELECT sqlite_compileoption_get(1)", DENIED},
    {"SELECT last_insert_rowid()", DENIED},
    {"SELECT changes(), total_changes()", DENIED},
    {"SELECT readfile('/etc/passwd')", DENIED | INVALID},
    {"SELECT writefile('x', 'y')", DENIED | INVALID},
    {"SELECT edit('x')", DENIED | INVALID},
    {"SELECT fts3_tokenizer('simple', x'00')", DENIED},
    {"SELECT rtreecheck('pedidos')", DENIED},
    {"SELECT rtreenode(2, x'00')", DENIED},
    {"SELECT snippet(pedidos) FROM pedidos", DENIED | INVALID},
    {"SELECT match('a', 'b')", DENIED},
    {"SELECT sqlite_rename_table(1,2,3,4,5,6,7)", DENIED | INVALID},
    {"SELECT 'a' REGEXP 'b' FROM pedidos", DENIED | INVALID},
    {"SELECT CURRENT_TIMESTAMP FROM pedidos", DENIED},
    {"SELECT date('now') FROM pedidos", DENIED},
    {"SELECT datetime() FROM pedidos", DENIED},
    {"SELECT strftime('%s') FROM pedidos", DENIED},
    {"SELECT julianday('n' || 'ow') - julianday(data) FROM pedidos", DENIED},
    {"SELECT json_extract('[1]', '$[0]') FROM pedidos", DENIED},
    /* tables that are none of the schema */
    {"SELECT * FROM sqlite_master", DENIED},
    {"SELECT count(*) FROM sqlite_schema", DENIED},
    {"SELECT * FROM sqlite_temp_master", DENIED},
    {"SELECT * FROM sqlite_dbpage", DENIED | INVALID},
    {"SELECT * FROM dbstat", DENIED | INVALID},
    {"SELECT * FROM pragma_table_info('pedidos')", DENIED | INVALID},
    {"SELECT count(*) FROM pragma_database_list", DENIED | INVALID},
    {"SELECT * FROM pragma_writable_schema(1)", DENIED | INVALID},
    {"SELECT * FROM json_each('[1,2,3]')", DENIED | INVALID},
    {"SELECT count(*) FROM json_tree('[1,2,3]')", DENIED | INVALID},
    {"SELECT * FROM generate_series(1, 1000000000)", DENIED | INVALID},
    {"SELECT * FROM sqlite_stmt", DENIED | INVALID},
    {"SELECT count(*) FROM sqlite_stmt", DENIED | INVALID},
    {"SELECT count(*) FROM dbstat", DENIED | INVALID},
    {"SELECT * FROM bytecode('SELECT 1')", DENIED | INVALID},
    {"SELECT * FROM fts5vocab", DENIED | INVALID},
    /* without end, or as good as */
    {BIG("SELECT count(*) FROM n"), BUDGET},
    {BIG("SELECT max(x) FROM n, pedidos"), BUDGET},
    {BIG("SELECT x FROM n ORDER BY x DESC"), BUDGET},
    {BIG("SELECT group_concat(x) FROM n"), BUDGET},
    {"WITH RECURSIVE n(x) AS (SELECT 'a' UNION ALL SELECT x || x FROM n) SELECT max(x) FROM n",
     BUDGET},
    {"WITH RECURSIVE a(x) AS (SELECT 1 UNION SELECT x + 1 FROM a UNION SELECT x * 2 FROM a) SELECT "
     "count(*) FROM a",
     BUDGET},
    {"SELECT count(*) FROM itens a, itens b, itens c, itens d, itens e", BUDGET},
    {"SELECT a.id FROM itens a JOIN itens b JOIN itens c ORDER BY a.preco * b.preco * c.preco",
     BUDGET},
    {"SELECT DISTINCT a.id, b.id, c.id FROM itens a, itens b, itens c", RAN | BUDGET},
    {"SELECT count(*) FROM itens a WHERE EXISTS (SELECT 1 FROM itens b, itens c WHERE a.id + b.id "
     "= -c.id)",
     BUDGET},
    {"SELECT sum(a.id) OVER (ORDER BY a.preco, b.preco) FROM itens a, itens b", BUDGET},
    {"SELECT count(*) FROM (SELECT a.id FROM itens a, itens b UNION SELECT b.id + a.id * 1000 FROM "
     "itens a, itens b)",
     BUDGET},
    {"WITH a AS (SELECT 1 UNION ALL SELECT 1), b AS (SELECT 1 FROM a x, a y), c AS (SELECT 1 FROM "
     "b "
     "x, b y), d AS (SELECT 1 FROM c x, c y), e AS (SELECT 1 FROM d x, d y), f AS (SELECT 1 FROM e "
     "x, e y), g AS (SELECT 1 FROM f x, f y), h AS (SELECT 1 FROM g x, g y) SELECT 1 FROM h x, h "
     "y, "
     "h z",
     BUDGET | INVALID},
    /* values without end */
    {"SELECT zeroblob(1000000000) FROM pedidos", DENIED | BUDGET},
    {"SELECT hex(zeroblob(400000000)) FROM pedidos", DENIED | BUDGET},
    {"SELECT printf('%1000000000d', 1) FROM pedidos", ERROR},
    {"SELECT printf('%.*c', 1000000000, 'a') FROM pedidos", ERROR},
    {"SELECT format('%s%n%p', 1) FROM pedidos", ERROR},
    {"SELECT printf('%*d', -9223372036854775808, 1) FROM pedidos", ERROR},
    {"SELECT replace(replace(replace(replace('aaaaaaaaaaaaaaaa', 'a', 'bbbbbbbbbbbbbbbbbbbbbbbb'), "
     "'b', 'cccccccccccccccccccccccc'), 'c', 'dddddddddddddddddddddddd'), 'd', 'eeeeeeeeeeeeeee') "
     "FROM pedidos",
     BUDGET},
    {"SELECT group_concat(a.data, b.data) FROM pedidos a, pedidos b", BUDGET},
    {LONG("x || (a.id + b.id) LIKE '%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%b'"),
     BUDGET},
    {LONG("x || (a.id + b.id) LIKE '%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_b'"),
     BUDGET},
    {LONG("x || (a.id + b.id) GLOB '*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*[a-z]*[^b]*[^b]*[^b]*[^b]*x'"),
     BUDGET},
    {LONG("instr(x || (a.id + b.id), substr(x, 1, 16000) || 'b') > 0"), BUDGET},
    {LONG("replace(x || (a.id + b.id), substr(x, 1, 16000) || 'b', 'y') = 'x'"), BUDGET},
    {LONG("length(replace(x, 'a', 'aa') || a.id) < 3"), BUDGET},
    {LONG("trim(x || (a.id + b.id), replace(x, 'a', 'b') || 'a') = 'x'"), BUDGET},
    {LONG("upper(x || (a.id + b.id)) = b.id"), BUDGET},
    {LONG("printf('%s%s', x, a.id + b.id) = b.id"), BUDGET},
    {LONG("x || (a.id + b.id) || b.id = 'x'"), BUDGET | TIMED},
    {LONG("length(x) + length(x || (a.id + b.id)) + length(b.id) = 3"), BUDGET | TIMED},
    {LONG("replace(x, 'a', '0') || a.id + b.id = 3"), BUDGET | TIMED},
    {LONG("strftime(replace(x, 'aa', '%s'), b.id) = a.id"), BUDGET | TIMED},
    {LONG("substr(x || (a.id + b.id), -30000, 29999) = substr(x || b.id, 3)"), BUDGET | TIMED},
    {LONG("round(x || (a.id + b.id)) = abs(x || b.id)"), BUDGET | TIMED},
    /* names */
    {"WITH pedidos AS (SELECT 42 AS valor) SELECT valor FROM pedidos", RAN},
    {"WITH pedidos AS (SELECT 42 AS valor) SELECT COUNT(*) FROM pedidos", RAN},
    {"WITH sqlite_master AS (SELECT 1 AS a) SELECT a FROM sqlite_master", RAN | DENIED | INVALID},
    {"SELECT * FROM main.sqlite_schema", DENIED},
    {"SELECT * FROM temp.pedidos", INVALID},
    {"SELECT abs(-9223372036854775808) FROM pedidos", ERROR},
    {"SELECT sum(9223372036854775807) FROM pedidos", ERROR},
    {"SELECT * FROM pedidos, itens, produtos, clientes, vendas v, vendas w, pedidos p, itens i, "
     "produtos r, clientes c, pedidos p2, itens i2, pedidos p3, pedidos p4",
     RAN | BUDGET},
};

/* Texts that are too long for a list. */
static void put_repeated(struct str *out, const char *begin, const char *part, int n,
                         const char *end)
{
    str_puts(out, begin);
    for (int i = 0; i < n; i++)
        str_puts(out, part);
    str_puts(out, end);
}

static const struct {
    const char *begin, *part;
    int n;
    const char *end;
    int may;
} long_escapes[] = {
    {"SELECT ", "(", 3000, "1", SYNTAX | INVALID},
    {"SELECT ", "(SELECT ", 300, "1", SYNTAX | INVALID},
    {"SELECT 1", " + 1", 1500, " FROM pedidos", BUDGET},
    {"SELECT ", "- ", 3000, "1 FROM pedidos", SYNTAX | BUDGET},
    {"SELECT ", "NOT ", 2000, "1 FROM pedidos", SYNTAX | BUDGET},
    {"SELECT 1", " UNION ALL SELECT 1", 400, "", BUDGET},
    {"SELECT 1 FROM pedidos", ", pedidos", 100, "", BUDGET},
    {"SELECT id", ", id", 500, " FROM pedidos", INVALID | BUDGET},
    {"SELECT id", ", id", 100, " FROM pedidos", BUDGET},
    {"SELECT max(1", ", 1", 100, ") FROM pedidos", BUDGET},
    {"SELECT id FROM pedidos WHERE id IN (1", ",1", 4000, ")", RAN},
    {"SELECT id FROM pedidos WHERE id = 1", " OR id = 1", 900, "", BUDGET},
    {"SELECT 'a' LIKE '", "%a", 2000, "' FROM pedidos", ERROR},
    {"SELECT CASE id", " WHEN 1 THEN 2", 600, " END FROM pedidos", RAN},
    {"SELECT '", "x", 1000000, "'", BUDGET},
    {"", " ", 1000000, "SELECT 1", BUDGET},
    {"SELECT 1", "--\n", 3000, "FROM pedidos", RAN},
};

struct tally {
    double slowest;
    int n, slow;
};

static void check_escape(sql_pool *pool, const char *path, struct slice sql, int may,
                         struct tally *t)
{
    struct sql_request request = {
        .database = path, .sql = sql.data, .length = sql.length, .budget = budget};
    struct sql_result result;
    double start = seconds();
    sql_pool_run(pool, &request, &result);
    double took = seconds() - start;
    if (!(may >> result.outcome & 1))
        fail_msg("%s (%s): %.200s", sql_outcome_name(result.outcome), result.message, sql.data);
    if (getenv("GRPO_SHOW_ESCAPES"))
        print_message("%8.1f ms  %-12s %.60s: %.60s\n", took * 1e3,
                      sql_outcome_name(result.outcome), sql.data, result.message);
    assert_true((result.outcome == SQL_RAN) == (result.message[0] == 0));
    t->slowest = took > t->slowest ? took : t->slowest;
    t->slow += took > 0.05;
    t->n++;
    sql_result_free(&result);
}

static void test_escapes(void **state)
{
    (void)state;
    struct shop shop;
    struct tally t = {0};
    struct err err = {0};
    sql_pool *pool;
    make_shop(&shop);
    assert_int_equal(sql_pool_create(&pool, 1, &err), 0);
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
        check_escape(pool, shop.path, slice_of(escapes[i].sql), escapes[i].may, &t);
    for (size_t i = 0; i < sizeof long_escapes / sizeof *long_escapes; i++) {
        struct str sql = {0};
        put_repeated(&sql, long_escapes[i].begin, long_escapes[i].part, long_escapes[i].n,
                     long_escapes[i].end);
        check_escape(pool, shop.path, (struct slice){str_text(&sql), sql.length},
                     long_escapes[i].may, &t);
        str_free(&sql);
    }
    check_escape(pool, shop.path, (struct slice){"SELECT 1\0 FROM pedidos", 22}, SYNTAX, &t);
    check_escape(pool, shop.path, (struct slice){"SELECT '\xff\xfe' FROM pedidos", 24}, RAN, &t);
    print_message("%d attempts, %d over 50 ms, the slowest %.0f ms\n", t.n, t.slow,
                  t.slowest * 1e3);
    assert_true(t.n >= 60);
    /* of the clock, on a machine that has other work */
    assert_true(t.slowest < (SANITIZED ? 50 : 10));
    sql_pool_free(pool);
    remove_shop(&shop);
}

/* --- what queries return --- */

static void run(sql_db *db, const char *sql, struct sql_result *out)
{
    sql_run(db, sql, strlen(sql), &budget, out);
}

static void test_results(void **state)
{
    (void)state;
    struct err err = {0};
    struct sql_result r;
    sql_db *db;
    assert_int_equal(sql_db_open(&db, SHOP, &err), 0);
    run(db,
        "SELECT 7 AS sete, 2.5, 'ação', NULL, x'00ff', 9223372036854775807 FROM produtos LIMIT 2;",
        &r);
    assert_int_equal(r.outcome, SQL_RAN);
    assert_true(r.parses && r.reads && !r.truncated && r.steps > 0);
    assert_int_equal(r.n_columns, 6);
    assert_int_equal(r.n_rows, 2);
    static const enum sql_type types[] = {SQL_INTEGER, SQL_REAL, SQL_TEXT,
                                          SQL_NULL,    SQL_BLOB, SQL_INTEGER};
    for (int row = 0; row < 2; row++) {
        for (int i = 0; i < 6; i++)
            assert_int_equal(sql_result_cell(&r, row, i)->type, types[i]);
        assert_int_equal(sql_result_cell(&r, row, 0)->integer, 7);
        assert_true(sql_result_cell(&r, row, 1)->real == 2.5);
        assert_true(slice_equals(sql_cell_text(&r, sql_result_cell(&r, row, 2)), "ação"));
        assert_int_equal(sql_cell_text(&r, sql_result_cell(&r, row, 4)).length, 2);
        assert_true(sql_result_cell(&r, row, 5)->integer == INT64_MAX);
    }
    assert_true(slice_equals(sql_cell_text(&r, sql_result_name(&r, 0)), "sete"));
    sql_result_free(&r);
    run(db, "SELECT id FROM produtos WHERE id < 0", &r);
    assert_true(r.outcome == SQL_RAN && r.n_rows == 0 && r.n_columns == 1);
    sql_result_free(&r);
    run(db, "SELECT a.id FROM itens a, itens b", &r);
    assert_true(r.outcome == SQL_RAN && r.n_rows == budget.rows && r.truncated);
    sql_result_free(&r);
    sql_db_close(db);
}

/* Whether the grammar held, whether a table was read. */
static void test_parses_and_reads(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        enum sql_outcome outcome;
        bool parses, reads;
    } cases[] = {
        {"SELECT 1", SQL_RAN, true, false},
        {"VALUES (1), (2)", SQL_RAN, true, false},
        {"SELECT COUNT(*) FROM pedidos", SQL_RAN, true, true},
        {"SELECT 1 FROM pedidos LIMIT 1", SQL_RAN, true, true},
        {"SELECT MAX(total) FROM vendas", SQL_RAN, true, true},
        {"SELECT COUNT(*) FROM vendas", SQL_RAN, true, true},
        {"WITH pedidos AS (SELECT 42 AS valor) SELECT valor FROM pedidos", SQL_RAN, true, false},
        {"WITH pedidos AS (SELECT 42) SELECT COUNT(*) FROM pedidos", SQL_RAN, true, false},
        {"WITH p AS (SELECT id FROM pedidos) SELECT COUNT(*) FROM p", SQL_RAN, true, true},
        {"SELECT (SELECT COUNT(*) FROM clientes)", SQL_RAN, true, true},
        {"SELECT x FROM pedidos", SQL_INVALID, true, false},
        {"SELECT * FROM vendidos", SQL_INVALID, true, false},
        {"SELECT MEDIANA(valor) FROM pedidos", SQL_INVALID, true, true},
        {"SELECT random() FROM pedidos", SQL_NOT_ALLOWED, true, false},
        {"SELECT date('now'), id FROM pedidos", SQL_NOT_ALLOWED, true, true},
        {"SELECT COUNT(*", SQL_SYNTAX, false, false},
        {"SELECT FROM pedidos", SQL_SYNTAX, false, false},
        {"SELECIONE tudo", SQL_SYNTAX, false, false},
        {"DELETE FROM nada WHERE id IN (SELECT id FROM pedidos)", SQL_NOT_ALLOWED, false, false},
        {"WITH a AS (SELECT 1) UPDATE nada SET x = 1", SQL_NOT_ALLOWED, false, false},
        {"INSERT INTO nada SELECT 1", SQL_NOT_ALLOWED, false, false},
        {"CREATE VIEW v AS SELECT 1", SQL_NOT_ALLOWED, false, false},
        {"SELECT id FROM pedidos; SELECT 1", SQL_NOT_ALLOWED, false, true},
    };
    struct err err = {0};
    sql_db *db;
    assert_int_equal(sql_db_open(&db, SHOP, &err), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sql_result r;
        run(db, cases[i].sql, &r);
        if (r.outcome != cases[i].outcome || r.parses != cases[i].parses ||
            (r.outcome == SQL_RAN && r.reads != cases[i].reads))
            fail_msg("%s: %s (%s), parses %d, reads %d", cases[i].sql, sql_outcome_name(r.outcome),
                     r.message, r.parses, r.reads);
        sql_result_free(&r);
    }
    sql_db_close(db);
}

/* Budgets are counts: the same each time, whoever asked before. */
static void test_budgets_repeat(void **state)
{
    (void)state;
    static const char sorting[] = "SELECT a.id, b.id, 'um texto que ocupa a memória' || a.id AS t "
                                  "FROM itens a, itens b ORDER BY t, b.id DESC LIMIT 5";
    struct err err = {0};
    sql_db *db;
    struct sql_budget exact = budget;
    struct sql_result r;
    assert_int_equal(sql_db_open(&db, SHOP, &err), 0);
    exact.steps = 100000000;
    int64_t steps = 0;
    for (int i = 0; i < 3; i++) {
        sql_run(db, sorting, strlen(sorting), &exact, &r);
        assert_int_equal(r.outcome, SQL_RAN);
        assert_true(i == 0 || r.steps == steps);
        steps = r.steps;
        sql_result_free(&r);
        run(db, "SELECT COUNT(*) FROM itens a, itens b WHERE a.preco < b.preco", &r);
        sql_result_free(&r);
    }
    exact.steps = steps + 1000;
    sql_run(db, sorting, strlen(sorting), &exact, &r);
    assert_int_equal(r.outcome, SQL_RAN);
    sql_result_free(&r);
    exact.steps = steps - 1000;
    sql_run(db, sorting, strlen(sorting), &exact, &r);
    assert_int_equal(r.outcome, SQL_OVER_BUDGET);
    assert_non_null(strstr(r.message, "steps"));
    sql_result_free(&r);
    exact.steps = 100000000;
    exact.memory = 256 << 10;
    static const char large[] = "SELECT COUNT(*) FROM (SELECT DISTINCT a.id * 1000 + b.id FROM "
                                "itens a, itens b)";
    sql_run(db, large, strlen(large), &exact, &r);
    assert_int_equal(r.outcome, SQL_OVER_BUDGET);
    assert_non_null(strstr(r.message, "memory"));
    sql_result_free(&r);
    run(db, "SELECT COUNT(*) FROM pedidos", &r); /* and the next one has what it needs */
    assert_int_equal(r.outcome, SQL_RAN);
    assert_int_equal(sql_result_cell(&r, 0, 0)->integer, 400);
    sql_result_free(&r);
    sql_db_close(db);
}

static bool runs_within(sql_db *db, int64_t memory)
{
    static const char reads_all[] = "SELECT COUNT(DISTINCT length(b)) FROM grande";
    struct sql_budget least = budget;
    struct sql_result r;
    least.memory = memory;
    sql_run(db, reads_all, strlen(reads_all), &least, &r);
    bool ran = r.outcome == SQL_RAN;
    assert_true(ran || r.outcome == SQL_OVER_BUDGET);
    sql_result_free(&r);
    return ran;
}

/* What the connection read before is no help: the pages of the file count each time. */
static void test_memory_repeats(void **state)
{
    (void)state;
    struct shop shop;
    struct err err = {0};
    int64_t low = 1024, high = 4 << 20;
    sql_db *db;
    sqlite3 *writer;
    make_shop(&shop);
    assert_int_equal(sqlite3_open(shop.path, &writer), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(writer,
                     "CREATE TABLE grande (a, b); WITH RECURSIVE n(i) AS (SELECT 1 "
                     "UNION ALL SELECT i + 1 FROM n WHERE i < 9000) INSERT INTO grande "
                     "SELECT i, printf('%050d', i) FROM n",
                     0, 0, 0),
        SQLITE_OK);
    sqlite3_close(writer);
    assert_int_equal(sha256_file(shop.hash, shop.path, &err), 0);
    while (high - low > 512) { /* what a fresh connection needs */
        int64_t middle = (low + high) / 2;
        assert_int_equal(sql_db_open(&db, shop.path, &err), 0);
        if (runs_within(db, middle))
            high = middle;
        else
            low = middle;
        sql_db_close(db);
    }
    assert_int_equal(sql_db_open(&db, shop.path, &err), 0);
    for (int i = 0; i < 3; i++) {
        assert_true(runs_within(db, 4 << 20));
        assert_true(runs_within(db, high + 2048));
        assert_false(runs_within(db, low - 2048));
    }
    sql_db_close(db);
    remove_shop(&shop);
}

/* Each row is in exactly one half, and the halves are about that. */
static void test_halves(void **state)
{
    (void)state;
    struct shop shop;
    struct err err = {0};
    int64_t counts[2][3];
    static const char *const tables[] = {"pedidos", "itens", "clientes"};
    static const int64_t all[] = {400, 700, 60};
    make_shop(&shop);
    for (int half = 0; half < 2; half++) {
        sql_db *db;
        if (sql_db_half(&db, shop.path, half, &err))
            fail_msg("%s: %s", err.where, err.message);
        for (int t = 0; t < 3; t++) {
            char sql[100];
            struct sql_result r;
            snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM %s", tables[t]);
            run(db, sql, &r);
            assert_int_equal(r.outcome, SQL_RAN);
            counts[half][t] = sql_result_cell(&r, 0, 0)->integer;
            sql_result_free(&r);
            snprintf(sql, sizeof sql, "DELETE FROM %s", tables[t]);
            run(db, sql, &r);
            assert_int_equal(r.outcome, SQL_NOT_ALLOWED);
            sql_result_free(&r);
        }
        sql_db_close(db);
    }
    for (int t = 0; t < 3; t++) {
        assert_int_equal(counts[0][t] + counts[1][t], all[t]);
        assert_true(counts[0][t] * 3 > all[t] && counts[1][t] * 3 > all[t]);
    }
    remove_shop(&shop);
}

/* Whatever the tables are called: telling their names from sqlite_… must not stop at a budget. */
static void test_halves_of_many(void **state)
{
    (void)state;
    enum { TABLES = 60, ROWS = 64 };
    char *folder = temp_folder(), path[400];
    struct str text = {0};
    struct err err = {0};
    for (int i = 0; i < TABLES; i++)
        str_printf(&text,
                   "CREATE TABLE sql%d (a PRIMARY KEY); INSERT INTO sql%d WITH RECURSIVE n(i) AS "
                   "(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i FROM n;\n",
                   i, i, ROWS);
    snprintf(path, sizeof path, "%s/many.sql", folder);
    assert_int_equal(file_write_atomic(path, str_text(&text), text.length, &err), 0);
    sql_db *db;
    if (sql_db_half(&db, path, 0, &err))
        fail_msg("%s: %s", err.where, err.message);
    for (int i = 0; i < TABLES; i++) {
        char sql[100];
        struct sql_result r;
        snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM sql%d", i);
        run(db, sql, &r);
        assert_in_range(sql_result_cell(&r, 0, 0)->integer, 1, ROWS - 1);
        sql_result_free(&r);
    }
    sql_db_close(db);
    str_free(&text);
    temp_folder_remove(folder);
}

static void write_text(const char *path, const char *text)
{
    struct err err = {0};
    assert_int_equal(file_write_atomic(path, text, strlen(text), &err), 0);
}

static void expect_open_error(const char *path, const char *says)
{
    struct err err = {0};
    sql_db *db;
    size_t live = mem_stats().live_blocks;
    assert_int_not_equal(sql_db_open(&db, path, &err), 0);
    assert_null(db);
    if (!strstr(err.message, says))
        fail_msg("%s: %s", path, err.message);
    assert_int_equal(mem_stats().live_blocks, live);
}

static void test_opening(void **state)
{
    (void)state;
    struct shop shop;
    struct err err = {0};
    char path[400], text[800];
    sql_db *db;
    expect_open_error("no/such.sqlite", "no such");
    expect_open_error("tests", "no such");
    expect_open_error("Makefile", "cannot be read");
    make_shop(&shop);
    snprintf(path, sizeof path, "%s/x.sql", shop.folder);
    write_text(path, "CREATE TABLE t (");
    expect_open_error(path, "makes a database");
    /* other files of such a script are in memory too */
    snprintf(
        text, sizeof text,
        "CREATE TABLE t (a); VACUUM INTO '%s/y.sqlite'; ATTACH '%s/z.sqlite' AS z; CREATE TABLE "
        "z.t (a)",
        shop.folder, shop.folder);
    write_text(path, text);
    assert_int_equal(sql_db_open(&db, path, &err), 0);
    sql_db_close(db);
    unlink(path);
    snprintf(path, sizeof path, "%s-wal", shop.path);
    write_text(path, "changes");
    expect_open_error(shop.path, "-wal");
    unlink(path);
    snprintf(path, sizeof path, "%s/um? #%%41 nome&mode=rw.db", shop.folder);
    assert_int_equal(link(shop.path, path), 0);
    assert_int_equal(sql_db_open(&db, path, &err), 0);
    sql_db_close(db);
    unlink(path);
    remove_shop(&shop);
}

/* --- our functions are SQLite's --- */

static void random_text(char *out, size_t most, unsigned *seed, bool pattern)
{
    static const char *const parts[] = {"a",    "b",    "A",  "ç", "é",  "aa", " ", "ab",
                                        "x",    "\xff", "日", "%", "_",  "*",  "?", "[a-c]",
                                        "[^b]", "[]",   "\\", "1", ".5", "-3"};
    size_t n = (unsigned)rand_r(seed) % 8;
    out[0] = 0;
    for (size_t i = 0; i < n; i++) {
        const char *part = parts[(unsigned)rand_r(seed) % (pattern ? 22 : 12)];
        if (strlen(out) + strlen(part) < most)
            strcat(out, part);
    }
}

static void check_function(sqlite3 *ours, sqlite3 *theirs, const char *sql, char texts[3][64],
                           const int *numbers)
{
    sqlite3 *dbs[] = {ours, theirs};
    char results[2][400] = {"", ""};
    for (int i = 0; i < 2; i++) {
        sqlite3_stmt *s;
        assert_int_equal(sqlite3_prepare_v2(dbs[i], sql, -1, &s, NULL), SQLITE_OK);
        for (int k = 0; k < 3; k++)
            sqlite3_bind_text(s, k + 1, texts[k], -1, SQLITE_STATIC);
        sqlite3_bind_int(s, 4, numbers[0]);
        sqlite3_bind_int(s, 5, numbers[1]);
        int status = sqlite3_step(s);
        if (status == SQLITE_ROW)
            snprintf(results[i], sizeof results[i], "%d %.300s", sqlite3_column_type(s, 0),
                     sqlite3_column_text(s, 0) ? (const char *)sqlite3_column_text(s, 0) : "NULL");
        else
            snprintf(results[i], sizeof results[i], "error %d", status);
        sqlite3_finalize(s);
    }
    if (strcmp(results[0], results[1]) != 0)
        fail_msg("%s of \"%s\", \"%s\", \"%s\", %d, %d: %s, SQLite has %s", sql, texts[0], texts[1],
                 texts[2], numbers[0], numbers[1], results[0], results[1]);
}

static void test_functions(void **state)
{
    (void)state;
    static const char *const calls[] = {
        "SELECT ?1 LIKE ?2",
        "SELECT ?1 LIKE ?2 ESCAPE '\\'",
        "SELECT ?1 LIKE ?2 ESCAPE 'a'",
        "SELECT ?1 LIKE ?2 ESCAPE '%'",
        "SELECT ?1 LIKE ?2 ESCAPE ''",
        "SELECT ?1 GLOB ?2",
        "SELECT instr(?1, ?3)",
        "SELECT instr(CAST(?1 AS BLOB), CAST(?3 AS BLOB))",
        "SELECT replace(?1, ?3, ?2)",
        "SELECT replace(?4, ?5, ?1)",
        "SELECT trim(?1), ltrim(?1), rtrim(?1)",
        "SELECT rtrim(?1)",
        "SELECT trim(?1, ?3)",
        "SELECT ltrim(?1, ?3)",
        "SELECT rtrim(?1, ?2)",
        "SELECT upper(?1)",
        "SELECT lower(?2)",
        "SELECT length(?1)",
        "SELECT length(CAST(?1 AS BLOB))",
        "SELECT length(?4 / 3.0)",
        "SELECT substr(?1, ?4)",
        "SELECT substr(?1, ?4, ?5)",
        "SELECT substring(?1, ?5, ?4)",
        "SELECT hex(substr(CAST(?1 AS BLOB), ?4, ?5))",
        "SELECT substr(NULL, ?4, ?5)",
        "SELECT substr(?1, NULL, ?5)",
        "SELECT substr(?1, ?4, NULL)",
        "SELECT length(NULL)",
        "SELECT ?1 LIKE NULL",
        "SELECT NULL GLOB ?1",
        "SELECT replace(?1, NULL, ?2)",
        "SELECT replace(?1, ?2, NULL)",
        "SELECT instr(NULL, ?1)",
        "SELECT trim(?1, NULL)",
        "SELECT upper(NULL)",
        "SELECT printf('%d|%5d|%-5d|%05d|%+d|%,d|%i|%u|%x|%X|%o|%lld', ?4, ?5, ?4, ?5, ?4, ?5, ?4, "
        "?5, ?4, ?5, ?4, ?5)",
        "SELECT printf('%f|%.2f|%8.3f|%-8.1f|%e|%.3E|%g|%G|%,.2f', ?4 / 7.0, ?5 / 3.0, ?4, ?5, ?4, "
        "?5, ?4, ?5 * 1e9, ?4 * 12345.678)",
        "SELECT printf('%s|%5s|%-5s|%.2s|%c|%%|%*d|%.*f', ?1, ?2, ?3, ?1, 'abc', ?4, ?5, 3, ?4)",
        "SELECT printf(NULL)",
        "SELECT printf('%d %s %f')",
        "SELECT printf(?1, ?4)",
        "SELECT format('%s', NULL)",
    };
    sqlite3 *ours, *theirs;
    int64_t steps = INT64_MAX;
    unsigned seed = 7;
    assert_int_equal(sqlite3_open(":memory:", &ours), SQLITE_OK);
    assert_int_equal(sqlite3_open(":memory:", &theirs), SQLITE_OK);
    assert_int_equal(sql_functions_add(ours, &steps), SQLITE_OK);
    for (int i = 0; i < 3000; i++) {
        char texts[3][64];
        int numbers[2] = {rand_r(&seed) % 19 - 9, rand_r(&seed) % 19 - 9};
        random_text(texts[0], sizeof texts[0], &seed, false);
        random_text(texts[1], sizeof texts[1], &seed, true);
        random_text(texts[2], sizeof texts[2], &seed, false);
        if (i % 3 == 0)
            texts[2][3] = 0;
        for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
            bool formats = strcmp(calls[k], "SELECT printf(?1, ?4)") == 0;
            if (!formats || !strchr(texts[0], '%')) /* conversions that format does not have */
                check_function(ours, theirs, calls[k], texts, numbers);
        }
    }
    sqlite3_close(ours);
    sqlite3_close(theirs);
}

/* --- processes --- */

static void pool_run(sql_pool *pool, const char *path, const char *sql, int64_t steps,
                     struct sql_result *out)
{
    struct sql_request request = {
        .database = path, .sql = sql, .length = strlen(sql), .budget = budget};
    request.budget.steps = steps;
    sql_pool_run(pool, &request, out);
}

static const char slow[] = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT "
                           "MAX(x) FROM n";

struct killer {
    sql_pool *pool;
    int signal, times;
    pid_t killed[8];
};

/* Sends the signal to `times` processes, one after another, each while it works. */
static void *send_signals(void *context)
{
    struct killer *k = context;
    for (int i = 0; i < k->times; i++) {
        pid_t pid = 0;
        for (;;) {
            struct timespec pause = {0, 20000000};
            nanosleep(&pause, NULL);
            if (sql_pool_processes(k->pool, &pid, 1) == 1 && (i == 0 || pid != k->killed[i - 1]))
                break;
        }
        struct timespec begun = {0, 50000000};
        nanosleep(&begun, NULL);
        k->killed[i] = pid;
        kill(pid, k->signal);
    }
    return NULL;
}

static enum sql_outcome run_under_signals(int signal, int times, const char **message)
{
    static char said[200];
    struct err err = {0};
    struct killer k = {.signal = signal, .times = times};
    struct sql_result r;
    pthread_t thread;
    assert_int_equal(sql_pool_create(&k.pool, 1, &err), 0);
    assert_int_equal(pthread_create(&thread, NULL, send_signals, &k), 0);
    pool_run(k.pool, "tests/reward/fixtures/sql_exec_shop.sql", slow, 60000000, &r);
    pthread_join(thread, NULL);
    enum sql_outcome outcome = r.outcome;
    snprintf(said, sizeof said, "%s", r.message);
    *message = said;
    sql_result_free(&r);
    pool_run(k.pool, "tests/reward/fixtures/sql_exec_shop.sql", "SELECT COUNT(*) FROM pedidos",
             1000000, &r); /* life goes on */
    assert_int_equal(r.outcome, SQL_RAN);
    sql_result_free(&r);
    sql_pool_free(k.pool);
    return outcome;
}

/* One end of a process is an accident; the second is the query's, unless somebody else killed it.
 */
static void test_whose_fault(void **state)
{
    (void)state;
    const char *message;
    assert_int_equal(run_under_signals(SIGSEGV, 1, &message), SQL_OVER_BUDGET);
    assert_int_equal(run_under_signals(SIGSEGV, 2, &message), SQL_CRASHED);
    assert_true(strstr(message, "signal") || strstr(message, "status")); /* status: a sanitizer */
    assert_int_equal(run_under_signals(SIGKILL, 1, &message), SQL_OVER_BUDGET);
    assert_int_equal(run_under_signals(SIGKILL, 2, &message), SQL_MACHINE);
    assert_non_null(strstr(message, "SIGKILL"));
    assert_int_equal(run_under_signals(SIGPROF, 1, &message), SQL_CRASHED);
    assert_non_null(strstr(message, "processor time"));
    assert_int_equal(run_under_signals(SIGTERM, 1, &message), SQL_OVER_BUDGET); /* not heard */
}

/* A process that died between two queries costs none of them anything. */
static void test_dead_when_idle(void **state)
{
    (void)state;
    struct err err = {0};
    sql_pool *pool;
    assert_int_equal(sql_pool_create(&pool, 1, &err), 0);
    for (int i = 0; i < 4; i++) {
        struct sql_result r;
        pid_t pid;
        pool_run(pool, SHOP, "SELECT COUNT(*) FROM itens", 1000000, &r);
        assert_int_equal(r.outcome, SQL_RAN);
        assert_int_equal(sql_result_cell(&r, 0, 0)->integer, 700);
        sql_result_free(&r);
        assert_int_equal(sql_pool_processes(pool, &pid, 1), 1);
        kill(pid, i % 2 ? SIGSEGV : SIGKILL);
        siginfo_t info;
        assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    }
    sql_pool_free(pool);
}

static void test_machine_faults(void **state)
{
    (void)state;
    struct err err = {0};
    struct sql_result r;
    sql_pool *pool;
    assert_int_equal(sql_pool_create(&pool, 1, &err), 0);
    pool_run(pool, "/no/such.sqlite", "SELECT 1", 1000000, &r);
    assert_int_equal(r.outcome, SQL_MACHINE);
    assert_non_null(strstr(r.message, "/no/such.sqlite"));
    sql_result_free(&r);
    sql_pool_free(pool);
}

/* What is on disk counts, not what was. */
static void test_replaced_database(void **state)
{
    (void)state;
    struct shop shop;
    struct err err = {0};
    struct sql_result r;
    sql_pool *pool;
    char other[320];
    sqlite3 *db;
    make_shop(&shop);
    assert_int_equal(sql_pool_create(&pool, 1, &err), 0);
    pool_run(pool, shop.path, "SELECT COUNT(*) FROM pedidos", 1000000, &r);
    assert_int_equal(sql_result_cell(&r, 0, 0)->integer, 400);
    sql_result_free(&r);
    snprintf(other, sizeof other, "%s/other", shop.folder);
    assert_int_equal(sqlite3_open(other, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "CREATE TABLE pedidos (id); INSERT INTO pedidos VALUES (1)", 0, 0, 0),
        SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(rename(other, shop.path), 0);
    pool_run(pool, shop.path, "SELECT COUNT(*) FROM pedidos", 1000000, &r);
    assert_int_equal(sql_result_cell(&r, 0, 0)->integer, 1);
    sql_result_free(&r);
    sql_pool_free(pool);
    temp_folder_remove(shop.folder);
}

struct crowd {
    sql_pool *pool;
    int base;
};

static void *hammer(void *context)
{
    struct crowd *c = context;
    size_t wrong = 0;
    for (int i = 0; i < 100; i++) {
        char sql[100];
        struct sql_result r;
        snprintf(sql, sizeof sql, "SELECT COUNT(*), %d FROM pedidos WHERE id <= %d", i,
                 c->base + i);
        pool_run(c->pool, SHOP, sql, 1000000, &r);
        wrong += r.outcome != SQL_RAN || sql_result_cell(&r, 0, 0)->integer != c->base + i ||
                 sql_result_cell(&r, 0, 1)->integer != i;
        sql_result_free(&r);
    }
    return (void *)wrong;
}

static void test_threads(void **state)
{
    (void)state;
    struct err err = {0};
    struct crowd crowds[6];
    pthread_t threads[6];
    pid_t pids[8];
    sql_pool *pool;
    assert_int_equal(sql_pool_create(&pool, 3, &err), 0);
    for (int i = 0; i < 6; i++) {
        crowds[i] = (struct crowd){pool, i * 50};
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &crowds[i]), 0);
    }
    for (int i = 0; i < 6; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    int n = sql_pool_processes(pool, pids, 8);
    assert_true(n >= 1 && n <= 3);
    sql_pool_free(pool);
    for (int i = 0; i < n; i++)
        assert_true(kill(pids[i], 0) == -1 && errno == ESRCH);
}

/* Results go through bytes unharmed, and other bytes are no result. */
static void test_bytes(void **state)
{
    (void)state;
    struct err err = {0};
    struct sql_result r, back;
    struct str bytes = {0};
    bool no_memory;
    sql_db *db;
    assert_int_equal(sql_db_open(&db, SHOP, &err), 0);
    run(db, "SELECT id, nome, preco, NULL, x'00' FROM produtos", &r);
    sql_result_put(&bytes, &r);
    assert_true(sql_result_get(&back, bytes.data, bytes.length, &no_memory));
    assert_true(back.n_rows == 12 && back.n_columns == 5 && back.steps == r.steps && back.reads);
    for (int row = 0; row < 12; row++)
        for (int i = 0; i < 5; i++)
            assert_memory_equal(sql_result_cell(&back, row, i), sql_result_cell(&r, row, i),
                                sizeof(struct sql_cell));
    sql_result_free(&back);
    size_t live = mem_stats().live_blocks;
    unsigned seed = 3;
    for (size_t n = 0; n < bytes.length; n++)
        assert_false(sql_result_get(&back, bytes.data, n, &no_memory));
    for (int i = 0; i < 20000; i++) { /* any damage: refused, or a sound result */
        size_t at = (size_t)rand_r(&seed) % bytes.length;
        char old = bytes.data[at];
        bytes.data[at] = (char)rand_r(&seed);
        if (sql_result_get(&back, bytes.data, bytes.length, &no_memory))
            for (int row = 0; row < back.n_rows; row++)
                for (int k = 0; k < back.n_columns; k++) {
                    const struct sql_cell *c = sql_result_cell(&back, row, k);
                    if (c->type == SQL_TEXT || c->type == SQL_BLOB)
                        assert_true(sql_cell_text(&back, c).data[c->length] == 0);
                }
        sql_result_free(&back);
        bytes.data[at] = old;
    }
    assert_int_equal(mem_stats().live_blocks, live);
    str_free(&bytes);
    sql_result_free(&r);
    sql_db_close(db);
}

int main(int argc, char **argv)
{
    if (sql_worker_asked(argc, argv))
        return sql_worker_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),        cmocka_unit_test(test_parses_and_reads),
        cmocka_unit_test(test_budgets_repeat), cmocka_unit_test(test_halves),
        cmocka_unit_test(test_halves_of_many), cmocka_unit_test(test_memory_repeats),
        cmocka_unit_test(test_opening),        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_bytes),          cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_whose_fault),    cmocka_unit_test(test_dead_when_idle),
        cmocka_unit_test(test_machine_faults), cmocka_unit_test(test_replaced_database),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

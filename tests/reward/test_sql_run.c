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
#include <time.h>
#include <unistd.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/mem.h"
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
    sql_pool_free(pool);
    remove_shop(&shop);
}

int main(int argc, char **argv)
{
    if (sql_worker_asked(argc, argv))
        return sql_worker_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

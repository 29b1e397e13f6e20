/* fuzz_sql_run.c: any bytes as a completion: the SQL in it is found, its text outlined, run on a
 * small database in memory that is new each time, and its result compared with a reference's. What
 * must hold: no crash, the same result twice, within its budgets; the database is as it was; the
 * result goes through bytes unharmed; shares in [0,1], and 1 against itself. Memory is limited for
 * SQLite as in a worker process; time is not, but by its steps. */
#include <math.h>
#include <sqlite3.h>
#include <stdint.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "reward/sql_compare.h"
#include "reward/sql_prose.h"
#include "reward/sql_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char shop[] =
    "CREATE TABLE produtos (id INTEGER PRIMARY KEY, nome TEXT, preco REAL);"
    "CREATE TABLE itens (produto_id INTEGER, quantidade INTEGER, data TEXT);"
    "CREATE VIEW v AS SELECT nome, quantidade FROM produtos JOIN itens ON produto_id = id;"
    "INSERT INTO produtos VALUES (1, 'caneca', 29.9), (2, 'açúcar', NULL), (3, '', 12);"
    "INSERT INTO itens VALUES (1, 2, '2024-01-31'), (1, 5, '2024-02-01'), (3, 7, NULL);";
static const char content[] = "SELECT group_concat(id || nome || ifnull(preco, 'x')), (SELECT "
                              "group_concat(produto_id * quantidade) FROM itens) FROM produtos";
static const char reference[] =
    "SELECT nome, SUM(quantidade) FROM v GROUP BY nome ORDER BY 2 DESC LIMIT 2";
static const struct sql_budget tiny = {
    .steps = 20000, .memory = 4 << 20, .rows = 20, .bytes = 10000};

static void check_bytes(const struct sql_result *r)
{
    struct str bytes = {0}, again = {0};
    struct sql_result back;
    bool no_memory;
    sql_result_put(&bytes, r);
    CHECK(sql_result_get(&back, bytes.data, bytes.length, &no_memory));
    sql_result_put(&again, &back);
    CHECK(again.length == bytes.length && memcmp(again.data, bytes.data, bytes.length) == 0);
    sql_result_free(&back);
    str_free(&bytes);
    str_free(&again);
}

static void check_match(const struct sql_result *a, const struct sql_result *b, const char *sql,
                        bool same)
{
    struct sql_outline outline = sql_outline_read(sql, strlen(sql));
    struct sql_match m;
    CHECK(sql_compare(&m, a, a->n_rows, &outline, b));
    CHECK(m.values >= 0 && m.values <= 1 && m.shape >= 0 && m.shape <= 1);
    CHECK(m.matched <= a->n_rows);
    if (same && a->n_columns <= 8)
        CHECK(fabs(m.values - 1) < 1e-12);
}

static void check_result(const struct sql_result *r, sql_db *db, const char *sql)
{
    struct sql_result wanted;
    CHECK(r->n_rows <= tiny.rows);
    CHECK((r->outcome == SQL_RAN) == (r->message[0] == 0));
    CHECK(r->outcome != SQL_RAN || (r->parses && r->n_columns >= 1));
    CHECK(r->outcome != SQL_MACHINE && r->outcome != SQL_CRASHED);
    check_bytes(r);
    if (r->outcome != SQL_RAN)
        return;
    sql_run(db, reference, sizeof reference - 1, &tiny, &wanted);
    CHECK(wanted.outcome == SQL_RAN && wanted.n_rows == 2);
    check_match(&wanted, r, reference, false);
    check_match(r, &wanted, sql, false);
    check_match(r, r, sql, true);
    CHECK(sql_same_result(r, r));
    sql_result_free(&wanted);
}

static void check_sql(const char *sql, size_t length)
{
    struct err err = {0};
    struct sql_result before, first, second, after;
    sql_db *db;
    CHECK(sql_db_make(&db, shop, &err) == 0);
    sql_run(db, content, sizeof content - 1, &tiny, &before);
    CHECK(before.outcome == SQL_RAN);
    sql_run(db, sql, length, &tiny, &first);
    sql_run(db, sql, length, &tiny, &second);
    struct str a = {0}, b = {0};
    sql_result_put(&a, &first);
    sql_result_put(&b, &second);
    CHECK(a.length == b.length && memcmp(a.data, b.data, a.length) == 0);
    str_free(&a);
    str_free(&b);
    check_result(&first, db, sql);
    sql_run(db, content, sizeof content - 1, &tiny, &after);
    CHECK(after.outcome == SQL_RAN && sql_same_result(&before, &after));
    sql_result_free(&before);
    sql_result_free(&first);
    sql_result_free(&second);
    sql_result_free(&after);
    sql_db_close(db);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t live = mem_stats().live_blocks;
    struct str sql = {0};
    struct slice text = {(const char *)data, size};
    struct sql_found found = sql_find(text.data, text.length);
    struct sql_prose prose;
    struct sql_result nothing = {0};
    CHECK(sql_prose_read(&prose, text, &found, (struct slice){"quantos?", 8}, &nothing, 0));
    CHECK(prose.score >= 0 && prose.score <= 1 && prose.grounded <= prose.claims);
    sql_prose_free(&prose);
    if (found.place)
        str_append(&sql, found.sql.data, found.sql.length);
    else
        str_append(&sql, data, size);
    check_sql(str_text(&sql), sql.length);
    str_free(&sql);
    CHECK(mem_stats().live_blocks == live);
    return 0;
}

/* olist_db.c: the nine CSVs into one SQLite database in memory. Tables and columns are one table
 * here: it makes the CREATE statements, checks the values and tells prompts what there is.
 *
 * The same files give the same bytes: tables in the table's order, rows in the files' order, fixed
 * page size and encoding, nothing that knows the time. Values keep their text, but numbers become
 * numbers and an empty field NULL. Indexes are for the joins that questions make. Names that a
 * newer version of the data adds are passed over; columns come by name, in any order. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "data/csv.h"
#include "data/olist_parts.h"

enum { MAX_COLUMNS = 9 };

enum type {
    KEY,  /* text, never empty */
    TEXT, /* may be empty, as may all below */
    TIME, /* AAAA-MM-DD HH:MM:SS */
    WHOLE,
    REAL
};
struct column {
    const char *name;
    enum type type;
};
struct table {
    const char *name, *file;
    struct column columns[MAX_COLUMNS];
    const char *primary; /* or NULL: keys may repeat */
    const char *indexes; /* columns of an index each, by spaces */
};

/* "lenght" is the data's own spelling. */
static const struct table tables[OLIST_TABLES] = {
    {"orders",
     "olist_orders_dataset.csv",
     {{"order_id", KEY},
      {"customer_id", KEY},
      {"order_status", KEY},
      {"order_purchase_timestamp", TIME},
      {"order_approved_at", TIME},
      {"order_delivered_carrier_date", TIME},
      {"order_delivered_customer_date", TIME},
      {"order_estimated_delivery_date", TIME}},
     "order_id",
     "customer_id order_purchase_timestamp"},
    {"order_items",
     "olist_order_items_dataset.csv",
     {{"order_id", KEY},
      {"order_item_id", WHOLE},
      {"product_id", KEY},
      {"seller_id", KEY},
      {"shipping_limit_date", TIME},
      {"price", REAL},
      {"freight_value", REAL}},
     NULL,
     "order_id product_id seller_id"},
    {"order_reviews",
     "olist_order_reviews_dataset.csv",
     {{"review_id", KEY},
      {"order_id", KEY},
      {"review_score", WHOLE},
      {"review_comment_title", TEXT},
      {"review_comment_message", TEXT},
      {"review_creation_date", TIME},
      {"review_answer_timestamp", TIME}},
     NULL,
     "order_id"},
    {"order_payments",
     "olist_order_payments_dataset.csv",
     {{"order_id", KEY},
      {"payment_sequential", WHOLE},
      {"payment_type", KEY},
      {"payment_installments", WHOLE},
      {"payment_value", REAL}},
     NULL,
     "order_id"},
    {"customers",
     "olist_customers_dataset.csv",
     {{"customer_id", KEY},
      {"customer_unique_id", KEY},
      {"customer_zip_code_prefix", TEXT},
      {"customer_city", TEXT},
      {"customer_state", TEXT}},
     "customer_id",
     "customer_unique_id customer_state"},
    {"products",
     "olist_products_dataset.csv",
     {{"product_id", KEY},
      {"product_category_name", TEXT},
      {"product_name_lenght", WHOLE},
      {"product_description_lenght", WHOLE},
      {"product_photos_qty", WHOLE},
      {"product_weight_g", WHOLE},
      {"product_length_cm", WHOLE},
      {"product_height_cm", WHOLE},
      {"product_width_cm", WHOLE}},
     "product_id",
     "product_category_name"},
    {"sellers",
     "olist_sellers_dataset.csv",
     {{"seller_id", KEY},
      {"seller_zip_code_prefix", TEXT},
      {"seller_city", TEXT},
      {"seller_state", TEXT}},
     "seller_id",
     ""},
    {"geolocation",
     "olist_geolocation_dataset.csv",
     {{"geolocation_zip_code_prefix", TEXT},
      {"geolocation_lat", REAL},
      {"geolocation_lng", REAL},
      {"geolocation_city", TEXT},
      {"geolocation_state", TEXT}},
     NULL,
     "geolocation_zip_code_prefix"},
    {"category_translation",
     "product_category_name_translation.csv",
     {{"product_category_name", KEY}, {"product_category_name_english", TEXT}},
     "product_category_name",
     ""},
};

const char *const olist_table_names[OLIST_TABLES] = {
    "orders",   "order_items", "order_reviews", "order_payments",      "customers",
    "products", "sellers",     "geolocation",   "category_translation"};

int olist_db_error(sqlite3 *db, const char *what, struct err *err)
{
    return err_set(err, ERR_MACHINE, "olist.db", "cannot %s: %.600s", what,
                   db ? sqlite3_errmsg(db) : "out of memory");
}

static size_t columns_of(const struct table *t)
{
    size_t n = 0;
    while (n < MAX_COLUMNS && t->columns[n].name)
        n++;
    return n;
}

void olist_db_columns(struct str *out, int table)
{
    const struct table *t = &tables[table];
    str_printf(out, "%s(", t->name);
    for (size_t i = 0; i < columns_of(t); i++)
        str_printf(out, "%s%s", i ? ", " : "", t->columns[i].name);
    str_putc(out, ')');
}

/* --- making the tables --- */

static int execute(sqlite3 *db, const struct str *sql, const char *what, struct err *err)
{
    if (sql->failed)
        return err_no_memory(err, "olist.db", sql->length);
    return sqlite3_exec(db, str_text(sql), NULL, NULL, NULL) == SQLITE_OK
               ? ERR_NONE
               : olist_db_error(db, what, err);
}

static int create(sqlite3 *db, const struct table *t, struct err *err)
{
    static const char *const types[] = {"TEXT NOT NULL", "TEXT", "TEXT", "INTEGER", "REAL"};
    struct str sql = {0};
    str_printf(&sql, "CREATE TABLE %s (", t->name);
    for (size_t i = 0; i < columns_of(t); i++) {
        bool primary = t->primary && strcmp(t->primary, t->columns[i].name) == 0;
        str_printf(&sql, "%s%s %s%s", i ? ", " : "", t->columns[i].name, types[t->columns[i].type],
                   primary ? " PRIMARY KEY" : "");
    }
    str_puts(&sql, ")");
    int status = execute(db, &sql, "make a table", err);
    str_free(&sql);
    return status;
}

static int add_indexes(sqlite3 *db, const struct table *t, struct err *err)
{
    struct str sql = {0};
    for (const char *at = t->indexes; *at;) {
        int n = (int)strcspn(at, " ");
        str_printf(&sql, "CREATE INDEX %s_%.*s ON %s (%.*s);", t->name, n, at, t->name, n, at);
        at += n + (at[n] == ' ');
    }
    int status = execute(db, &sql, "make an index", err);
    str_free(&sql);
    return status;
}

/* --- filling them --- */

static bool is_time(struct slice s)
{
    static const char form[] = "0000-00-00 00:00:00";
    if (s.length != 10 && s.length != sizeof form - 1)
        return false;
    for (size_t i = 0; i < s.length; i++)
        if (form[i] == '0' ? s.data[i] < '0' || s.data[i] > '9' : s.data[i] != form[i])
            return false;
    return true;
}

/* Decimal digits, a sign, a point, an exponent: nothing else that strtod would take. */
static bool read_number(double *out, struct slice s)
{
    if (strspn(s.data, "+-.0123456789eE") != s.length || s.length > 40)
        return false;
    char *end;
    errno = 0;
    *out = strtod(s.data, &end);
    return *end == 0 && !errno && *out - *out == 0;
}

struct filling {
    const struct table *table;
    sqlite3 *db;
    sqlite3_stmt *insert;
    struct csv csv;
    size_t from[MAX_COLUMNS]; /* index of the column in the file */
    struct err *err;
};

static int complain(const struct filling *f, size_t i, const char *expected)
{
    return csv_complain(&f->csv, f->from[i], f->err, "is \"%.80s\", expected %s",
                        f->csv.fields[f->from[i]].data, expected);
}

static int bind(const struct filling *f, size_t i)
{
    struct slice s = f->csv.fields[f->from[i]];
    enum type type = f->table->columns[i].type;
    int at = (int)i + 1, got;
    double number = 0;
    if (!s.length && type == KEY)
        return complain(f, i, "a value that is not empty");
    if (type == TIME && s.length && !is_time(s))
        return complain(f, i, "a time such as 2018-03-21 17:05:00");
    if (type >= WHOLE && s.length && !read_number(&number, s))
        return complain(f, i, "a number");
    if (type == WHOLE && number != (double)(long long)number) /* 40.0 is whole */
        return complain(f, i, "a whole number");
    if (!s.length)
        got = sqlite3_bind_null(f->insert, at);
    else if (type == WHOLE)
        got = sqlite3_bind_int64(f->insert, at, (sqlite3_int64)number);
    else if (type == REAL)
        got = sqlite3_bind_double(f->insert, at, number);
    else
        got = sqlite3_bind_text64(f->insert, at, s.data, s.length, SQLITE_TRANSIENT, SQLITE_UTF8);
    return got == SQLITE_OK ? ERR_NONE : olist_db_error(f->db, "take a value", f->err);
}

static int insert(const struct filling *f)
{
    int status = ERR_NONE;
    size_t n = columns_of(f->table), key = 0;
    for (size_t i = 0; i < n && !status; i++) {
        status = bind(f, i);
        if (f->table->primary && strcmp(f->table->primary, f->table->columns[i].name) == 0)
            key = i;
    }
    if (status)
        return status;
    int got = sqlite3_step(f->insert);
    sqlite3_reset(f->insert);
    if (got == SQLITE_CONSTRAINT)
        return csv_complain(&f->csv, f->from[key], f->err,
                            "is \"%.80s\", which an earlier row has too: each may occur once",
                            f->csv.fields[f->from[key]].data);
    return got == SQLITE_DONE ? ERR_NONE : olist_db_error(f->db, "add a row", f->err);
}

static int prepare_insert(struct filling *f)
{
    struct str sql = {0};
    str_printf(&sql, "INSERT INTO %s VALUES (", f->table->name);
    for (size_t i = 0; i < columns_of(f->table); i++)
        str_puts(&sql, i ? ",?" : "?");
    str_putc(&sql, ')');
    int status = ERR_NONE;
    if (sql.failed)
        status = err_no_memory(f->err, "olist.db", sql.length);
    else if (sqlite3_prepare_v2(f->db, str_text(&sql), -1, &f->insert, NULL) != SQLITE_OK)
        status = olist_db_error(f->db, "fill a table", f->err);
    str_free(&sql);
    return status;
}

static int fill_rows(struct filling *f, size_t *rows)
{
    int status = prepare_insert(f), got = 1;
    for (size_t i = 0; i < columns_of(f->table) && !status; i++)
        status = csv_column(&f->from[i], &f->csv, f->table->columns[i].name, f->err);
    while (!status && (got = csv_next(&f->csv, f->err)) == 1) {
        status = insert(f);
        (*rows)++;
    }
    if (!status && got < 0)
        status = f->err ? (int)f->err->code : ERR_INPUT;
    if (!status && !*rows)
        status = err_set(f->err, ERR_INPUT, f->csv.name, "has no rows below its header");
    sqlite3_finalize(f->insert);
    return status;
}

static int fill(sqlite3 *db, const struct table *t, size_t *rows, const char *folder,
                struct err *err)
{
    struct str path = {0};
    struct file_map map = {0};
    struct filling f = {.table = t, .db = db, .err = err};
    const char *name = path_join(&path, folder, t->file);
    int status =
        path.failed ? err_no_memory(err, folder, path.length) : file_map_open(&map, name, err);
    if (!status)
        status = create(db, t, err);
    if (!status) {
        status = csv_open(&f.csv, map.data ? (const char *)map.data : "", map.size, name, err);
        if (!status)
            status = fill_rows(&f, rows);
        csv_close(&f.csv);
    }
    file_map_close(&map);
    str_free(&path);
    return status;
}

int olist_db_open(sqlite3 **db, size_t rows[OLIST_TABLES], const char *folder, struct err *err)
{
    static const char begin[] = "PRAGMA page_size=4096; PRAGMA encoding='UTF-8'; BEGIN";
    *db = NULL;
    int status = ERR_NONE;
    if (sqlite3_open(":memory:", db) != SQLITE_OK ||
        sqlite3_exec(*db, begin, NULL, NULL, NULL) != SQLITE_OK)
        status = olist_db_error(*db, "start", err);
    for (int i = 0; i < OLIST_TABLES && !status; i++) {
        rows[i] = 0;
        status = fill(*db, &tables[i], &rows[i], folder, err);
    }
    for (int i = 0; i < OLIST_TABLES && !status; i++)
        status = add_indexes(*db, &tables[i], err);
    if (!status && sqlite3_exec(*db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        status = olist_db_error(*db, "finish", err);
    if (status) {
        sqlite3_close(*db);
        *db = NULL;
    }
    return status;
}

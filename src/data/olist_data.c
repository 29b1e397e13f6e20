/* olist_data.c: what rows are made from, read once from the database: the names that fill
 * questions' gaps, and every order with its items as figures for insights and notifications. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "data/olist_parts.h"

static int no_memory(struct err *err)
{
    return err_no_memory(err, "the Olist data", 0);
}

/* Runs a query and gives every row to `take`, which returns an err_code. */
typedef int row_visitor(struct olist_data *d, sqlite3_stmt *row, void *user, struct err *err);

static int each(struct olist_data *d, const char *sql, row_visitor *take, void *user,
                struct err *err)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(d->db, sql, -1, &q, NULL) != SQLITE_OK)
        return olist_db_error(d->db, "read", err);
    int status = ERR_NONE, step = SQLITE_ROW;
    while (!status && (step = sqlite3_step(q)) == SQLITE_ROW)
        status = take(d, q, user, err);
    sqlite3_finalize(q);
    if (!status && step != SQLITE_DONE)
        status = olist_db_error(d->db, "read", err);
    return status;
}

/* --- names --- */

struct listing {
    struct olist_names *names;
    size_t capacity;
    bool states;  /* only those that olist_states has */
    double least; /* count */
};

static int take_name(struct olist_data *d, sqlite3_stmt *row, void *user, struct err *err)
{
    struct listing *l = user;
    const char *text = (const char *)sqlite3_column_text(row, 0);
    size_t count = (size_t)sqlite3_column_int64(row, 1);
    if (!text || (double)count < l->least || l->names->n == l->capacity ||
        (l->states && olist_state_index(text) < 0) || strchr(text, '\''))
        return ERR_NONE;
    char *copy = arena_strndup(&d->arena, text, strlen(text));
    if (!copy)
        return no_memory(err);
    l->names->items[l->names->n++] = (struct olist_name){copy, count};
    return ERR_NONE;
}

/* At most so many names, each with at least this share of the largest table's rows. */
static int list_names(struct olist_data *d, struct olist_names *names, size_t most, double least,
                      bool states, const char *sql, struct err *err)
{
    struct listing l = {names, most, states, least};
    names->items = arena_alloc(&d->arena, most * sizeof *names->items);
    return names->items ? each(d, sql, take_name, &l, err) : no_memory(err);
}

static int list_all(struct olist_data *d, struct err *err)
{
    double few = (double)d->n_orders / 500; /* a month or a state in which little happens */
    int status = list_names(d, &d->categories, 400, 0, false,
                            "SELECT p.product_category_name, COUNT(*) FROM order_items i JOIN "
                            "products p ON p.product_id = i.product_id WHERE "
                            "p.product_category_name IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1",
                            err);
    if (!status)
        status = list_names(d, &d->states, OLIST_STATES, few, true,
                            "SELECT c.customer_state, COUNT(*) FROM customers c GROUP BY 1 "
                            "ORDER BY 2 DESC, 1",
                            err);
    if (!status)
        status = list_names(d, &d->seller_states, 12, 0, true,
                            "SELECT seller_state, COUNT(*) FROM sellers GROUP BY 1 ORDER BY 2 "
                            "DESC, 1",
                            err);
    if (!status)
        status = list_names(d, &d->cities, 40, 0, false,
                            "SELECT customer_city, COUNT(*) FROM customers GROUP BY 1 ORDER BY 2 "
                            "DESC, 1",
                            err);
    if (!status)
        status = list_names(d, &d->months, 240, few, false,
                            "SELECT substr(order_purchase_timestamp, 1, 7), COUNT(*) FROM orders "
                            "GROUP BY 1 ORDER BY 1",
                            err);
    if (!status)
        status = list_names(d, &d->years, 20, 5 * few, false,
                            "SELECT substr(order_purchase_timestamp, 1, 4), COUNT(*) FROM orders "
                            "GROUP BY 1 ORDER BY 1",
                            err);
    return status;
}

/* --- figures --- */

/* One row an order, whatever it has several of: items, payments and reviews are summed apart. */
static const char orders_sql[] =
    "SELECT o.rowid, substr(o.order_purchase_timestamp, 1, 4), substr(o.order_purchase_timestamp, "
    "6, 2), c.customer_state, o.order_status = 'canceled', o.order_delivered_customer_date IS NOT "
    "NULL, date(o.order_delivered_customer_date) > date(o.order_estimated_delivery_date), "
    "julianday(o.order_delivered_customer_date) - julianday(o.order_purchase_timestamp), (SELECT "
    "COUNT(r.review_score) FROM order_reviews r WHERE r.order_id = o.order_id), (SELECT "
    "SUM(r.review_score) FROM order_reviews r WHERE r.order_id = o.order_id), EXISTS (SELECT 1 "
    "FROM "
    "order_payments p WHERE p.order_id = o.order_id AND p.payment_type = 'boleto') FROM orders o "
    "LEFT JOIN customers c ON c.customer_id = o.customer_id ORDER BY o.rowid";

static const char lines_sql[] =
    "SELECT o.rowid, p.product_category_name, CAST(ROUND(100 * i.price) AS INTEGER), "
    "CAST(ROUND(100 * i.freight_value) AS INTEGER) FROM orders o JOIN order_items i ON i.order_id "
    "= "
    "o.order_id LEFT JOIN products p ON p.product_id = i.product_id ORDER BY o.rowid, i.rowid";

static int take_order(struct olist_data *d, sqlite3_stmt *row, void *user, struct err *err)
{
    sqlite3_int64 *rowids = user;
    (void)err;
    struct olist_order *o = &d->orders[d->n_orders];
    rowids[d->n_orders++] = sqlite3_column_int64(row, 0);
    *o = (struct olist_order){
        .month = 12 * sqlite3_column_int(row, 1) + sqlite3_column_int(row, 2) - 1,
        .state = olist_state_index((const char *)sqlite3_column_text(row, 3)),
        .cancelled = sqlite3_column_int(row, 4),
        .delivered = sqlite3_column_int(row, 5),
        .late = sqlite3_column_int(row, 6),
        .days = sqlite3_column_double(row, 7),
        .reviews = sqlite3_column_int(row, 8),
        .marks = sqlite3_column_int(row, 9),
        .boleto = sqlite3_column_int(row, 10),
    };
    return ERR_NONE;
}

struct lining {
    const sqlite3_int64 *rowids;
    struct map categories;
    size_t order;
};

static int take_line(struct olist_data *d, sqlite3_stmt *row, void *user, struct err *err)
{
    struct lining *l = user;
    (void)err;
    sqlite3_int64 rowid = sqlite3_column_int64(row, 0);
    while (l->rowids[l->order] != rowid) /* both in the same order */
        l->order++;
    struct olist_order *o = &d->orders[l->order];
    const char *category = (const char *)sqlite3_column_text(row, 1);
    int32_t index = -1;
    if (category && !map_get(&l->categories, category, strlen(category), &index))
        index = -1;
    if (!o->n)
        o->first = d->n_lines;
    o->n++;
    d->lines[d->n_lines++] = (struct olist_line){index, (long)sqlite3_column_int64(row, 2),
                                                 (long)sqlite3_column_int64(row, 3)};
    return ERR_NONE;
}

static int take_count(struct olist_data *d, sqlite3_stmt *row, void *user, struct err *err)
{
    (void)d;
    (void)err;
    *(size_t *)user = (size_t)sqlite3_column_int64(row, 0);
    return ERR_NONE;
}

static int load_lines(struct olist_data *d, const sqlite3_int64 *rowids, struct err *err)
{
    struct lining l = {.rowids = rowids};
    int status = ERR_NONE;
    for (size_t i = 0; i < d->categories.n && !status; i++) {
        const char *name = d->categories.items[i].text;
        if (!map_put(&l.categories, name, strlen(name), (int32_t)i))
            status = no_memory(err);
    }
    if (!status)
        status = each(d, lines_sql, take_line, &l, err);
    map_free(&l.categories);
    return status;
}

int olist_data_open(struct olist_data *d, sqlite3 *db, struct err *err)
{
    *d = (struct olist_data){.db = db};
    size_t orders = 0, lines = 0;
    int status = each(d, "SELECT COUNT(*) FROM orders", take_count, &orders, err);
    if (!status)
        status = each(d, "SELECT COUNT(*) FROM order_items", take_count, &lines, err);
    if (status)
        return status;
    d->orders = mem_calloc(orders + 1, sizeof *d->orders);
    d->lines = mem_calloc(lines + 1, sizeof *d->lines);
    sqlite3_int64 *rowids = mem_calloc(orders + 1, sizeof *rowids);
    if (!d->orders || !d->lines || !rowids)
        status = no_memory(err);
    if (!status)
        status = each(d, orders_sql, take_order, rowids, err);
    if (!status)
        status = list_all(d, err);
    if (!status)
        status = load_lines(d, rowids, err);
    mem_free(rowids);
    return status;
}

void olist_data_close(struct olist_data *d)
{
    mem_free(d->orders);
    mem_free(d->lines);
    arena_free(&d->arena);
    *d = (struct olist_data){0};
}

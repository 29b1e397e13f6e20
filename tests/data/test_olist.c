/* test_olist.c: `grpo data prepare`: the database from CSVs, every refusal with its place, what may
 * be a reference query, rows against the facts they were made from, nothing shared between sets,
 * the same bytes each time; on a small folder that this file writes, and on the real data where it
 * is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/json.h"
#include "data/classify.h"
#include "data/olist_parts.h"
#include "data/rows.h"

enum { ORDERS = 48, FILES = 4 };
static const char *const files[FILES] = {"olist.db", "train.jsonl", "eval.jsonl", "test.jsonl"};

static char *folder; /* DIR/csv: the small data; DIR/out: what was made of it */
static struct err err;

static const char *at(const char *where, const char *name)
{
    static char path[6][700];
    static int turn;
    turn = (turn + 1) % 6;
    snprintf(path[turn], sizeof path[turn], "%s/%s/%s", folder, where, name);
    return path[turn];
}

/* --- a small shop in Olist's form --- */

static void put_file(const char *name, const struct str *text)
{
    assert_false(text->failed);
    assert_int_equal(dir_make(at("csv", ""), &err), 0);
    assert_int_equal(file_write_atomic(at("csv", name), str_text(text), text->length, &err), 0);
}

/* Order i: bought on day 1 + i % 28 of January, February or March 2018, delivered `gap` days later,
 * promised for 10 days later; every 12th never delivered, every 7th with two items and two
 * payments. */
static int month_of(int i)
{
    return i % 3 + 1;
}
static bool is_delivered(int i)
{
    return i % 12 != 5;
}
static int days_of(int i)
{
    return 4 + i % 9;
}

static void put_orders(void)
{
    struct str o = {0}, items = {0}, payments = {0}, customers = {0};
    /* a byte-order mark, CRLF, columns in another order and one too many */
    str_puts(&o,
             "\xEF\xBB\xBForder_id,customer_id,extra,order_status,order_estimated_delivery_date,"
             "order_purchase_timestamp,order_approved_at,order_delivered_carrier_date,"
             "order_delivered_customer_date\r\n");
    str_puts(&items, "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,"
                     "freight_value\n");
    str_puts(&payments, "order_id,payment_sequential,payment_type,payment_installments,"
                        "payment_value\n");
    str_puts(&customers, "customer_id,customer_unique_id,customer_zip_code_prefix,customer_city,"
                         "customer_state\n");
    for (int i = 0; i < ORDERS; i++) {
        int month = month_of(i), day = 1 + i % 15, n = i % 7 ? 1 : 2;
        str_printf(&o,
                   "o%d,c%d,\"x,\"\"%d\",%s,2018-%02d-%02d 00:00:00,2018-%02d-%02d 10:%02d:00,,,",
                   i, i, i,
                   is_delivered(i) ? "delivered"
                   : i % 24 == 5   ? "canceled"
                                   : "shipped",
                   month, day + 10, month, day, i);
        if (is_delivered(i))
            str_printf(&o, "2018-%02d-%02d 15:00:00", month, day + days_of(i));
        str_puts(&o, "\r\n");
        for (int k = 1; k <= n; k++) {
            str_printf(&items, "o%d,%d,p%d,s%d,2018-%02d-%02d 00:00:00,%d.%d,%d.5\n", i, k,
                       (i + k) % 6, i % 3, month, day, 20 + 7 * (i % 11) + k, i % 10, 5 + i % 4);
            str_printf(&payments, "o%d,%d,%s,%d,%d.25\n", i, k,
                       k > 1   ? "voucher"
                       : i % 3 ? "credit_card"
                               : "boleto",
                       1 + i % 4, 40 + i);
        }
        str_printf(&customers, "c%d,u%d,%05d,\"%s\",%s\n", i, i / 2, 1000 + i,
                   i % 4 ? "sao paulo" : "rio de janeiro", i % 4 ? "SP" : "RJ");
    }
    put_file("olist_orders_dataset.csv", &o);
    put_file("olist_order_items_dataset.csv", &items);
    put_file("olist_order_payments_dataset.csv", &payments);
    put_file("olist_customers_dataset.csv", &customers);
    str_free(&o);
    str_free(&items);
    str_free(&payments);
    str_free(&customers);
}

static void put_reviews(void)
{
    static const char *const said[] = {
        "ótimo, chegou antes do que eu esperava", "a peça veio riscada e com \"\"defeito\"\"",
        "razoável,\npoderia ser melhor", "não recebi nada ainda", "bom produto e boa entrega"};
    static const char *const parts[] = {"a caneca", "o caderno", "a mesa", "o tapete", "a bola",
                                        "o rádio",  "a mala",    "o jogo", "a capa",   "o fone"};
    static const int scores[] = {5, 2, 3, 1, 4};
    struct str s = {0};
    str_puts(&s, "review_id,order_id,review_score,review_comment_title,review_comment_message,"
                 "review_creation_date,review_answer_timestamp\n");
    for (int i = 0; i < ORDERS; i++)
        str_printf(&s, "r%d,o%d,%d,%s,\"%s: %s\",2018-%02d-28 00:00:00,2018-%02d-28 11:00:00\n", i,
                   i, scores[i % 5], i % 2 ? "" : "opinião", parts[i / 5], said[i % 5], month_of(i),
                   month_of(i));
    /* the first review once more, in other capitals and accents, and one without a text */
    str_puts(&s, "r90,o1,5,,\"A CANECA:   otimo, CHEGOU antes do que eu esperava!\",2018-02-28 "
                 "00:00:00,2018-02-28 11:00:00\n");
    str_puts(&s, "r91,o2,4,,,2018-03-28 00:00:00,2018-03-28 11:00:00\n");
    put_file("olist_order_reviews_dataset.csv", &s);
    str_free(&s);
}

static void put_rest(void)
{
    struct str s = {0};
    str_puts(&s, "product_id,product_category_name,product_name_lenght,product_description_lenght,"
                 "product_photos_qty,product_weight_g,product_length_cm,product_height_cm,"
                 "product_width_cm\n");
    for (int i = 0; i < 6; i++)
        str_printf(&s, "p%d,%s,40.0,%d,%d,%d,10,10,10\n", i,
                   i == 5  ? ""
                   : i % 2 ? "beleza_saude"
                           : "brinquedos",
                   100 + i, 1 + i, 300 * i + 50);
    put_file("olist_products_dataset.csv", &s);
    str_clear(&s);
    str_puts(&s, "seller_id,seller_zip_code_prefix,seller_city,seller_state\n"
                 "s0,01001,sao paulo,SP\ns1,01002,campinas,SP\ns2,80001,curitiba,PR\n");
    put_file("olist_sellers_dataset.csv", &s);
    str_clear(&s);
    str_puts(&s,
             "geolocation_zip_code_prefix,geolocation_lat,geolocation_lng,geolocation_city,"
             "geolocation_state\n01001,-23.5,-46.6,sao paulo,SP\n01001,-23.6,-46.7,são paulo,SP\n"
             "01000,-22.9,-43.2,rio de janeiro,RJ\n");
    put_file("olist_geolocation_dataset.csv", &s);
    str_clear(&s);
    str_puts(&s, "product_category_name,product_category_name_english\nbeleza_saude,health_beauty\n"
                 "brinquedos,toys\n");
    put_file("product_category_name_translation.csv", &s);
    str_free(&s);
}

static const struct olist_options small = {
    .seed = 5,
    .rows = {
        [OLIST_EVAL] = {2, 3, 1, 2}, [OLIST_TEST] = {2, 3, 1, 2}, [OLIST_TRAIN] = {8, 9, 2, 4}}};

static struct olist_result make(const char *out, uint64_t seed)
{
    char csv[700], made[700];
    struct olist_options o = small;
    struct olist_result r;
    snprintf(csv, sizeof csv, "%s/csv", folder);
    snprintf(made, sizeof made, "%s/%s", folder, out);
    o.olist = csv;
    o.out = made;
    o.seed = seed;
    if (olist_prepare(&o, &r, &err))
        fail_msg("%s: %s", err.where, err.message);
    return r;
}

static struct olist_result made;

static int make_small(void **state)
{
    (void)state;
    folder = temp_folder();
    put_orders();
    put_reviews();
    put_rest();
    made = make("out", 5);
    return 0;
}

static int remove_small(void **state)
{
    (void)state;
    temp_folder_remove(folder);
    return 0;
}

static bool same_file(const char *a, const char *b)
{
    char sha[2][65];
    assert_int_equal(sha256_file(sha[0], a, &err), 0);
    assert_int_equal(sha256_file(sha[1], b, &err), 0);
    return strcmp(sha[0], sha[1]) == 0;
}

/* --- the database --- */

static sqlite3 *opened(const char *path)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    return db;
}

/* The first value of a query, as text. */
static const char *value(sqlite3 *db, const char *sql)
{
    static char text[4][400];
    static int turn;
    sqlite3_stmt *q;
    turn = (turn + 1) % 4;
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sqlite3_errmsg(db), sql);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    const char *got = (const char *)sqlite3_column_text(q, 0);
    snprintf(text[turn], sizeof text[turn], "%s", got ? got : "NULL");
    sqlite3_finalize(q);
    return text[turn];
}

static void test_database(void **state)
{
    (void)state;
    static const size_t counts[OLIST_TABLES] = {48, 55, 50, 55, 48, 6, 3, 3, 2};
    static const struct {
        const char *sql, *value;
    } cases[] = {
        {"PRAGMA integrity_check", "ok"},
        {"PRAGMA page_size", "4096"},
        {"SELECT group_concat(name) FROM (SELECT name FROM sqlite_master WHERE type = 'table' "
         "ORDER "
         "BY rowid)",
         "orders,order_items,order_reviews,order_payments,customers,products,sellers,geolocation,"
         "category_translation"},
        {"SELECT group_concat(name) FROM pragma_table_info('orders')",
         "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,"
         "order_delivered_carrier_date,order_delivered_customer_date,"
         "order_estimated_delivery_date"},
        {"SELECT order_estimated_delivery_date FROM orders WHERE order_id = 'o1'",
         "2018-02-12 00:00:00"},
        {"SELECT order_approved_at IS NULL AND order_delivered_customer_date IS NULL FROM orders "
         "WHERE order_id = 'o5'",
         "1"},
        {"SELECT typeof(price) || typeof(order_item_id) || typeof(order_id) FROM order_items",
         "realintegertext"},
        {"SELECT typeof(product_name_lenght) || product_name_lenght FROM products", "integer40"},
        {"SELECT product_category_name IS NULL FROM products WHERE product_id = 'p5'", "1"},
        {"SELECT seller_zip_code_prefix FROM sellers", "01001"}, /* no number: zeros stay */
        {"SELECT review_comment_message FROM order_reviews WHERE review_id = 'r2'",
         "a caneca: razoável,\npoderia ser melhor"},
        {"SELECT review_comment_message FROM order_reviews WHERE review_id = 'r1'",
         "a caneca: a peça veio riscada e com \"defeito\""},
        {"SELECT COUNT(*) FROM sqlite_master WHERE name = 'order_items_product_id'", "1"},
    };
    sqlite3 *db = opened(at("out", "olist.db"));
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_string_equal(value(db, cases[i].sql), cases[i].value);
    for (int i = 0; i < OLIST_TABLES; i++) {
        char sql[80], count[20];
        snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM %s", olist_table_names[i]);
        snprintf(count, sizeof count, "%zu", counts[i]);
        assert_string_equal(value(db, sql), count);
        assert_int_equal(made.table_rows[i], counts[i]);
    }
    sqlite3_close(db);
    char sha[65];
    assert_int_equal(sha256_file(sha, at("out", "olist.db"), &err), 0);
    assert_string_equal(sha, made.database_sha256);
}

/* The small data with one file replaced. */
static void refused(const char *file, const char *text, const char *where, const char *part)
{
    struct str before = {0};
    size_t rows[OLIST_TABLES], blocks = mem_stats().live_blocks;
    sqlite3 *db;
    char csv[700], place[800];
    snprintf(csv, sizeof csv, "%s/csv", folder);
    snprintf(place, sizeof place, "%s/%s%s", csv, file, where);
    assert_int_equal(file_read(&before, at("csv", file), &err), 0);
    remove(at("csv", file));
    if (text)
        assert_int_equal(file_write_atomic(at("csv", file), text, strlen(text), &err), 0);
    memset(&err, 0, sizeof err);
    assert_int_equal(olist_db_open(&db, rows, csv, &err), ERR_INPUT);
    assert_null(db);
    if (strcmp(err.where, place) != 0 || !strstr(err.message, part))
        fail_msg("%s: %s; expected %s: %s", err.where, err.message, place, part);
    assert_int_equal(file_write_atomic(at("csv", file), before.data, before.length, &err), 0);
    str_free(&before);
    assert_int_equal(mem_stats().live_blocks, blocks);
}

static void test_refused(void **state)
{
    (void)state;
    static const char sellers[] = "olist_sellers_dataset.csv",
                      items[] = "olist_order_items_dataset.csv",
                      orders[] = "olist_orders_dataset.csv";
#define ITEMS                                                                                      \
    "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value\n"
#define ORDER_COLUMNS                                                                              \
    "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,"                \
    "order_delivered_carrier_date,order_delivered_customer_date,order_estimated_delivery_date\n"
    refused(sellers, NULL, "", "");
    refused(sellers, "", "", "is empty");
    refused(sellers, "seller_id,seller_zip_code_prefix,seller_citty,seller_state\n", "",
            "no column \"seller_city\" (did you mean \"seller_citty\"?)");
    refused(sellers, "seller_id,seller_zip_code_prefix,seller_city,seller_state\n", "", "no rows");
    refused(sellers,
            "seller_id,seller_zip_code_prefix,seller_city,seller_state\na,1,x,SP\n\n,1,x,SP\n",
            ", row 2 (line 4), column seller_id", "expected a value that is not empty");
    refused(sellers,
            "seller_id,seller_zip_code_prefix,seller_city,seller_state\na,1,x,SP\na,1,x,SP\n",
            ", row 2 (line 3), column seller_id", "which an earlier row has too");
    refused(sellers, "seller_id,seller_zip_code_prefix,seller_city,seller_state\na,1,\"x,SP\n",
            ", row 1 (line 2), column seller_city", "never closed");
    refused(items, ITEMS "o,1,p,s,2018-01-01 00:00:00,\"1,5\",2\n",
            ", row 1 (line 2), column price", "is \"1,5\", expected a number");
    refused(items, ITEMS "o,1,p,s,2018-01-01 00:00:00,nan,2\n", ", row 1 (line 2), column price",
            "expected a number");
    refused(items, ITEMS "o,1,p,s,2018-01-01 00:00:00,1e999,2\n", ", row 1 (line 2), column price",
            "expected a number");
    refused(items, ITEMS "o,1.5,p,s,,1,2\n", ", row 1 (line 2), column order_item_id",
            "expected a whole number");
    refused(items, ITEMS "o,9e30,p,s,,1,2\n", ", row 1 (line 2), column order_item_id",
            "expected a whole number");
    refused(orders, ORDER_COLUMNS "o,c,delivered,21/03/2018,,,,\n",
            ", row 1 (line 2), column order_purchase_timestamp", "expected a time such as");
}

/* --- what may be a reference query --- */

static void judged(sqlite3 *db, const char *sql, int key, int reason, const char *expected)
{
    struct str result = {0};
    int got = 99;
    long long steps;
    if (olist_sql_run(&result, &got, &steps, db, sql, key, &err))
        fail_msg("%s: %s", sql, err.message);
    if (got != reason || (expected && strcmp(str_text(&result), expected) != 0))
        fail_msg("%s: reason %d, expected %d; result %s", sql, got, reason, str_text(&result));
    str_free(&result);
}

static void test_sql_run(void **state)
{
    (void)state;
    sqlite3 *db;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "CREATE TABLE t (a TEXT, n INT); INSERT INTO t VALUES ('x', 5), "
                                  "('y', 4), ('z', 4), ('w', 0), (NULL, NULL)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    judged(db, "SELECT COUNT(*) FROM t", 0, -1, "5");
    judged(db, "SELECT a, n FROM t WHERE n > 3 ORDER BY a", 1, -1, "x, 5; y, 4; z, 4");
    judged(db, "SELECT AVG(n) FROM t", 0, -1, "3.25");
    judged(db, "SELECT a FROM t WHERE n = 5", 0, -1, "x");
    judged(db, "SELECT a FROM t WHERE n > 9", 0, OLIST_EMPTY, "");
    judged(db, "SELECT COUNT(*) FROM t WHERE n > 9", 0, OLIST_EMPTY, "0");
    judged(db, "SELECT SUM(n) FROM t WHERE n > 9", 0, OLIST_EMPTY, "NULL");
    judged(db, "SELECT 0.0 FROM t", 0, OLIST_EMPTY, NULL);
    judged(db, "SELECT a, 0 FROM t WHERE a IS NOT NULL", 0, OLIST_EMPTY, NULL);
    /* a tie within the rows, and one that the limit hides */
    judged(db, "SELECT a, n FROM t ORDER BY n DESC LIMIT 3", 2, OLIST_TIED, NULL);
    judged(db, "SELECT a, n FROM t ORDER BY n DESC LIMIT 2", 2, OLIST_TIED, NULL);
    judged(db, "SELECT a, n FROM t ORDER BY n DESC LIMIT 1", 2, -1, "x, 5");
    judged(db, "SELECT a, n FROM t WHERE n > 4 ORDER BY a", 1, OLIST_TOO_FEW, "x, 5");
    judged(db,
           "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 41) SELECT i "
           "FROM c",
           0, OLIST_LONG, NULL);
    judged(db,
           "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT COUNT(*) FROM "
           "c",
           0, OLIST_COSTLY, NULL);
    struct str result = {0};
    int reason;
    long long steps;
    assert_int_equal(olist_sql_run(&result, &reason, &steps, db, "SELEC 1", 0, &err), ERR_MACHINE);
    str_free(&result);
    sqlite3_close(db);
}

/* What a query depends on, its question says; an order that is asked for can be checked. */
static void test_templates(void **state)
{
    (void)state;
    static const struct {
        char in_sql;
        const char *said_by;
    } gaps[] = {{'e', "sq"}, {'h', "fg"}, {'k', "m"}, {'z', "m"}, {'p', "o"}, {'c', "c"},
                {'j', "j"},  {'t', "t"},  {'a', "a"}, {'r', "r"}, {'i', "i"}, {'n', "n"},
                {'l', "l"},  {'u', "u"},  {'v', "v"}, {'w', "w"}, {'d', "d"}};
    size_t levels[4] = {0}, held[4] = {0};
    assert_true(olist_n_questions >= 90);
    for (size_t i = 0; i < olist_n_questions; i++) {
        const struct olist_question *q = &olist_questions[i];
        assert_in_range(q->level, 1, 3);
        levels[q->level]++;
        held[q->level] += q->held;
        assert_non_null(strstr(q->sql, " FROM "));
        if (q->key ? !strstr(q->sql, " ORDER BY ") : strstr(q->sql, " LIMIT ") != NULL)
            fail_msg("key: %s", q->sql);
        if (q->level == 1 && (strstr(q->sql, " JOIN ") || strstr(q->sql, " GROUP BY ")))
            fail_msg("level: %s", q->sql);
        assert_string_not_equal(q->asked[0], q->asked[1]);
        for (int k = 0; k < 2; k++) {
            const char *asked = q->asked[k];
            assert_non_null(strchr(".?", asked[strlen(asked) - 1]));
            for (const char *at_gap = strchr(q->sql, '{'); at_gap;
                 at_gap = strchr(at_gap + 1, '{')) {
                size_t g = 0;
                while (g < ARRAY_LENGTH(gaps) && gaps[g].in_sql != at_gap[1])
                    g++;
                assert_true(g < ARRAY_LENGTH(gaps));
                bool said = false;
                for (const char *s = gaps[g].said_by; *s; s++)
                    said = said || strstr(asked, (char[]){'{', *s, '}', 0});
                if (!said)
                    fail_msg("\"%s\" does not say {%c} of %s", asked, at_gap[1], q->sql);
            }
        }
    }
    for (int level = 1; level <= 3; level++)
        assert_true(levels[level] >= 25 && held[level] >= 4);
}

/* --- rows --- */

static const char *sql_of(const struct row *row)
{
    return json_string_value(json_object_get(json_object_get(row->json, "reference"), "sql"));
}

/* The text behind a label of the prompt, to the end of its line; "" without it. */
static const char *line_of(const struct row *row, const char *label)
{
    static char text[6][1200];
    static int turn;
    turn = (turn + 1) % 6;
    text[turn][0] = 0;
    const char *found = strstr(row->user_text, label);
    if (found && (found == row->user_text || found[-1] == '\n'))
        snprintf(text[turn], sizeof text[turn], "%.*s", (int)strcspn(found + strlen(label), "\n"),
                 found + strlen(label));
    return text[turn];
}

static long day_number(const char *date)
{
    int y = 0, m = 0, d = 0;
    assert_int_equal(sscanf(date, "%d-%d-%d", &y, &m, &d), 3);
    y -= m <= 2;
    return 365L * y + y / 4 - y / 100 + y / 400 + (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d;
}

/* Every field follows from what the prompt shows, and what is shown has its field. */
static void check_extraction(const struct row *row)
{
    const json_t *r = json_object_get(row->json, "reference");
    const char *score = line_of(row, "Nota dada: "), *due = line_of(row, "Entrega prevista: "),
               *arrived = line_of(row, "Entrega: "), *paid = line_of(row, "Valor pago: R$ ");
    const json_t *mood = json_object_get(r, "sentimento"),
                 *late = json_object_get(r, "dias_atraso"),
                 *on_time = json_object_get(r, "entrega_no_prazo");
    assert_true(json_object_size(r) > 0);
    assert_int_equal(json_is_integer(json_object_get(r, "nota")), score[0] != 0);
    assert_true(line_of(row, "Texto: ")[0] != 0);
    if (score[0]) {
        int n = atoi(score);
        assert_int_equal(json_integer_value(json_object_get(r, "nota")), n);
        assert_string_equal(json_string_value(mood), n < 3   ? "negativo"
                                                     : n > 3 ? "positivo"
                                                             : "neutro");
    } else if (mood) {
        assert_string_not_equal(json_string_value(mood), "neutro");
    }
    assert_int_equal(late != NULL, due[0] && arrived[0] >= '0' && arrived[0] <= '9');
    if (late) {
        long days = day_number(arrived) - day_number(due);
        assert_int_equal(json_integer_value(late), days > 0 ? days : 0);
        assert_int_equal(json_is_true(on_time), days <= 0);
    } else if (on_time) {
        assert_string_equal(arrived, "sem registro");
        assert_true(json_is_false(on_time));
        assert_true(day_number(line_of(row, "Avaliação: ")) > day_number(due));
    }
    assert_int_equal(json_is_number(json_object_get(r, "valor")), paid[0] != 0);
    struct str money = {0};
    if (paid[0]) {
        put_money(&money, (long)(100 * json_number_value(json_object_get(r, "valor")) + 0.5));
        assert_string_equal(str_text(&money), paid);
    }
    str_free(&money);
}

static void check_sql(const struct row *row, sqlite3 *db)
{
    static const char *const levels[] = {"easy", "medium", "hard"};
    const json_t *r = json_object_get(row->json, "reference");
    const char *level = json_string_value(json_object_get(r, "difficulty"));
    struct str result = {0};
    int reason = 99;
    long long steps;
    assert_true(strcmp(level, levels[0]) == 0 || strcmp(level, levels[1]) == 0 ||
                strcmp(level, levels[2]) == 0);
    assert_int_equal(olist_sql_run(&result, &reason, &steps, db, sql_of(row), 0, &err), 0);
    assert_int_equal(reason, -1);
    assert_true(result.length > 0);
    assert_non_null(strstr(row->user_text, "Pergunta: "));
    for (int t = 0; t < OLIST_TABLES; t++) { /* a table that is read is shown */
        char from[60], shown[60];
        snprintf(from, sizeof from, " %s ", olist_table_names[t]);
        snprintf(shown, sizeof shown, "\n%s(", olist_table_names[t]);
        if (strstr(sql_of(row), from) && !strstr(row->user_text, shown))
            fail_msg("%s is not shown: %s", olist_table_names[t], row->user_text);
    }
    str_free(&result);
}

/* Of a whole month of a state (or the shop) the database can say it too. */
static bool check_insights(const struct row *row, sqlite3 *db)
{
    static const char *const months[] = {"janeiro",  "fevereiro", "março",    "abril",
                                         "maio",     "junho",     "julho",    "agosto",
                                         "setembro", "outubro",   "novembro", "dezembro"};
    const json_t *numbers = json_object_get(json_object_get(row->json, "reference"), "numbers");
    const char *text = row->user_text, *open = strstr(text, " ("), *month = NULL;
    int at_month = 0, year = 0;
    assert_in_range(json_object_size(numbers), 5, 7);
    assert_true(
        json_array_size(json_object_get(json_object_get(row->json, "reference"), "domain")) >= 3);
    for (; at_month < 12 && !month; at_month++) {
        char words[40];
        snprintf(words, sizeof words, " em %s de ", months[at_month]);
        month = strstr(text, words);
        year = month ? atoi(month + strlen(words)) : 0;
    }
    bool shop = strstr(text, "na loja toda") != NULL;
    if (!month || (!shop && (!open || open > month)))
        return false;
    char sql[900], state[40] = "1", expected[40];
    if (!shop)
        snprintf(state, sizeof state, "c.customer_state = '%.2s'", open + 2);
    snprintf(
        sql, sizeof sql,
        "SELECT COUNT(DISTINCT o.order_id) || ' ' || CAST(ROUND(100 * SUM(i.price)) AS INTEGER) "
        "FROM orders o JOIN customers c ON c.customer_id = o.customer_id JOIN order_items i ON "
        "i.order_id = o.order_id WHERE o.order_purchase_timestamp LIKE '%d-%02d%%' AND %s",
        year, at_month, state);
    snprintf(expected, sizeof expected, "%lld %.0f",
             json_integer_value(json_object_get(numbers, "pedidos")),
             100 * json_number_value(json_object_get(numbers, "receita")));
    assert_string_equal(value(db, sql), expected);
    return true;
}

static size_t check_rows(const struct dataset *d, sqlite3 *db, size_t counts[OLIST_TASKS])
{
    size_t confirmed = 0;
    for (size_t i = 0; i < d->count; i++) {
        const struct row *row = &d->rows[i];
        int task = 0;
        while (strcmp(row->task, olist_task_names[task]) != 0)
            assert_true(++task < OLIST_TASKS);
        counts[task]++;
        if (task == OLIST_EXTRACTION)
            check_extraction(row);
        else if (task == OLIST_SQL)
            check_sql(row, db);
        else if (task == OLIST_INSIGHTS)
            confirmed += check_insights(row, db);
        else
            assert_non_null(json_string_value(
                json_object_get(json_object_get(row->json, "reference"), "product")));
    }
    return confirmed;
}

/* The words of the review that a row quotes; "" when it quotes none. */
static void quoted(struct str *out, const struct row *row)
{
    const char *text = line_of(row, "Texto: "), *open = strstr(row->user_text, ": \"");
    struct olist_review v = {.text = text};
    char inner[1200] = "";
    str_clear(out);
    if (!text[0] && open && strcmp(row->task, "push") == 0) {
        const char *end = strstr(open + 3, "\"\n");
        assert_non_null(end);
        snprintf(inner, sizeof inner, "%.*s", (int)(end - open - 3), open + 3);
        v.text = inner;
    }
    if (v.text[0])
        olist_review_key(out, &v);
}

/* No prompt, query or review is in two rows, of one file or two. */
static void check_apart(const struct dataset sets[3], size_t *queries, size_t *reviews)
{
    struct map prints = {0}, texts = {0};
    struct str s = {0};
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; k < sets[i].count; k++) {
            const struct row *row = &sets[i].rows[k];
            str_clear(&s);
            assert_int_equal(row_fingerprint(&s, row, &err), 0);
            if (map_get(&prints, s.data, s.length, NULL))
                fail_msg("twice: %s", row->user_text);
            assert_true(map_put(&prints, s.data, s.length, 1));
            if (strcmp(row->task, "sql_qa") == 0) {
                str_clear(&s);
                str_puts(&s, sql_of(row));
                (*queries)++;
            } else {
                quoted(&s, row);
                *reviews += s.length > 0;
            }
            if (s.length && map_get(&texts, s.data, s.length, NULL))
                fail_msg("twice: %s", str_text(&s));
            assert_true(!s.length || map_put(&texts, s.data, s.length, 1));
        }
    map_free(&prints);
    map_free(&texts);
    str_free(&s);
}

static void check_results(const struct dataset sets[3], sqlite3 *db)
{
    struct map seen = {0};
    struct str result = {0};
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; k < sets[i].count; k++) {
            int reason;
            long long steps;
            int32_t n = 0;
            if (strcmp(sets[i].rows[k].task, "sql_qa") != 0)
                continue;
            str_clear(&result);
            assert_int_equal(
                olist_sql_run(&result, &reason, &steps, db, sql_of(&sets[i].rows[k]), 0, &err), 0);
            if (!map_get(&seen, result.data, result.length, &n))
                n = 0;
            if (++n > OLIST_SAME_RESULT)
                fail_msg("%d questions are answered by %s", n, str_text(&result));
            assert_true(map_put(&seen, result.data, result.length, n));
        }
    map_free(&seen);
    str_free(&result);
}

static void test_small_rows(void **state)
{
    (void)state;
    struct dataset sets[3];
    sqlite3 *db = opened(at("out", "olist.db"));
    size_t queries = 0, reviews = 0, counts[3][OLIST_TASKS] = {{0}};
    for (int set = 0; set < 3; set++) {
        assert_int_equal(dataset_open(&sets[set], at("out", files[set == 2 ? 1 : set + 2]), &err),
                         0);
        check_rows(&sets[set], db, counts[set]);
        for (int t = 0; t < OLIST_TASKS; t++) {
            assert_int_equal(counts[set][t], small.rows[set][t]);
            assert_int_equal(made.rows[set][t], small.rows[set][t]);
        }
        assert_int_equal(made.levels[set][0] + made.levels[set][1] + made.levels[set][2],
                         small.rows[set][OLIST_SQL]);
        assert_int_equal(made.levels[set][2], small.rows[set][OLIST_SQL] / 3);
    }
    check_apart(sets, &queries, &reviews);
    check_results(sets, db);
    assert_int_equal(queries, 15);
    assert_true(reviews >= 12);
    char path[700];
    snprintf(path, sizeof path, "%s/out/olist.db", folder);
    for (size_t i = 0; i < sets[0].count; i++)
        if (strcmp(sets[0].rows[i].task, "sql_qa") == 0)
            assert_string_equal(
                json_string_value(json_object_get(
                    json_object_get(sets[0].rows[i].json, "reference"), "database")),
                path);
    for (int set = 0; set < 3; set++)
        dataset_close(&sets[set]);
    sqlite3_close(db);
}

static void test_determinism(void **state)
{
    (void)state;
    make("out", 5); /* what is there is replaced by the same */
    struct olist_result other = make("other", 6);
    char sha[65];
    assert_int_equal(sha256_file(sha, at("out", "olist.db"), &err), 0);
    assert_string_equal(sha, made.database_sha256);
    assert_string_equal(sha, other.database_sha256); /* the data's alone */
    struct str before = {0}, after = {0};
    for (int i = 0; i < FILES; i++) {
        str_clear(&before);
        str_clear(&after);
        assert_int_equal(file_read(&before, at("out", files[i]), &err), 0);
        make("out", 5);
        assert_int_equal(file_read(&after, at("out", files[i]), &err), 0);
        assert_int_equal(before.length, after.length);
        assert_memory_equal(before.data, after.data, before.length);
        assert_int_equal(same_file(at("out", files[i]), at("other", files[i])), i == 0);
    }
    str_free(&before);
    str_free(&after);
}

static void test_too_few(void **state)
{
    (void)state;
    static const char *const expected[OLIST_TASKS] = {"too few reviews", "different rows of sql_qa",
                                                      "different rows of insights", "push"};
    char csv[700], out[700];
    struct olist_result r;
    size_t blocks = mem_stats().live_blocks;
    snprintf(csv, sizeof csv, "%s/csv", folder);
    snprintf(out, sizeof out, "%s/few", folder);
    for (int t = 0; t < OLIST_TASKS; t++) {
        struct olist_options o = {.olist = csv, .out = out, .seed = 1};
        o.rows[OLIST_TEST][t] = 5000;
        assert_int_equal(olist_prepare(&o, &r, &err), ERR_INPUT);
        assert_string_equal(err.where, csv);
        if (!strstr(err.message, expected[t]) || !strstr(err.message, "ask for fewer"))
            fail_msg("%s", err.message);
        assert_true(r.rows[OLIST_TEST][t] > 0);
        if (t == OLIST_EXTRACTION) /* the review that is there in two spellings */
            assert_int_equal(r.rejected[t][OLIST_TAKEN], 1);
    }
    struct olist_options o = {.olist = csv, .out = "/dev/null/out", .seed = 1};
    assert_int_equal(olist_prepare(&o, &r, &err), ERR_MACHINE);
    o = (struct olist_options){.olist = "/no/such/folder", .out = out};
    assert_int_equal(olist_prepare(&o, &r, &err), ERR_INPUT);
    assert_non_null(strstr(err.where, "/no/such/folder/olist_orders_dataset.csv"));
    assert_int_equal(mem_stats().live_blocks, blocks);
}

static void test_mix(void **state)
{
    (void)state;
    size_t rows[OLIST_TASKS];
    olist_mix(rows, 1485);
    assert_int_equal(rows[0] + rows[1] + rows[2] + rows[3], 1485);
    assert_int_equal(rows[0], 594);
    assert_int_equal(rows[1], 594);
    assert_in_range(rows[2], 148, 149);
    for (size_t n = 1; n < 300; n++) {
        olist_mix(rows, n);
        assert_int_equal(rows[0] + rows[1] + rows[2] + rows[3], n);
        assert_true(rows[0] <= (4 * n + 9) / 10 && rows[1] <= (4 * n + 9) / 10);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    char csv[700], out[700];
    snprintf(csv, sizeof csv, "%s/csv", folder);
    snprintf(out, sizeof out, "%s/memory", folder);
    struct olist_options o = {.olist = csv, .out = out, .seed = 5};
    for (int t = 0; t < OLIST_TASKS; t++)
        o.rows[OLIST_EVAL][t] = 2;
    struct olist_result r;
    size_t blocks = mem_stats().live_blocks;
    int failures = 0;
    for (long n = 0;; n++) {
        size_t before = mem_stats().failed_calls;
        mem_fail_after(n);
        int status = olist_prepare(&o, &r, &err);
        mem_fail_after(-1);
        assert_int_equal(mem_stats().live_blocks, blocks);
        if (mem_stats().failed_calls == before) {
            assert_int_equal(status, 0);
            break;
        }
        if (status != ERR_MACHINE)
            fail_msg("allocation %ld fails: status %d, %s: %s", n, status, err.where, err.message);
        failures++;
    }
    assert_true(failures > 50);
}

static void test_words(void **state)
{
    (void)state;
    struct str s = {0};
    for (int i = 0; i < OLIST_STATES; i++) {
        assert_int_equal(olist_state_index(olist_states[i].code), i);
        assert_non_null(strstr(olist_states[i].in, olist_states[i].code));
    }
    assert_int_equal(olist_state_index("XX"), -1);
    assert_int_equal(olist_state_index(NULL), -1);
    olist_category_words(&s, "cama_mesa_banho");
    str_puts(&s, "; ");
    olist_category_words(&s, "coisas_novas_2");
    str_puts(&s, "; ");
    olist_month_words(&s, 12 * 2018 + 2);
    assert_string_equal(str_text(&s), "cama, mesa e banho; coisas novas 2; março de 2018");
    str_free(&s);
}

/* The rules that docs/OLIST.md gives for rows without a task. */
static classifier *documented_rules(void)
{
    struct str page = {0};
    struct yaml_node root = {0};
    classifier *c = NULL;
    assert_int_equal(file_read(&page, "docs/OLIST.md", &err), 0);
    const char *start = strstr(str_text(&page), "```yaml\n"), *end = NULL;
    if (start)
        end = strstr(start + 8, "```");
    assert_non_null(end);
    assert_int_equal(yaml_parse(&root, start + 8, (size_t)(end - start - 8), "OLIST.md", &err), 0);
    const struct yaml_node *node = yaml_find(&root, "classifier");
    assert_non_null(node);
    if (classifier_read(&c, node, "classifier", &err))
        fail_msg("%s", err.message);
    yaml_free(&root);
    str_free(&page);
    return c;
}

static void check_rules(const struct dataset sets[3])
{
    classifier *c = documented_rules();
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; k < sets[i].count; k++) {
            const struct row *row = &sets[i].rows[k];
            const char *task = NULL;
            assert_int_equal(
                classifier_task(c, &task, row->user_text, strlen(row->user_text), &err), 0);
            if (!task || strcmp(task, row->task) != 0)
                fail_msg("%s for: %s", task ? task : "no task", row->user_text);
        }
    classifier_free(c);
}

static void test_rules(void **state)
{
    (void)state;
    struct dataset sets[3];
    for (int set = 0; set < 3; set++)
        assert_int_equal(dataset_open(&sets[set], at("out", files[set + 1]), &err), 0);
    check_rules(sets);
    for (int set = 0; set < 3; set++)
        dataset_close(&sets[set]);
}

/* --- the real data --- */

static void test_real(void **state)
{
    (void)state;
    const char *orders = asset("olist/olist_orders_dataset.csv");
    if (!orders)
        skip();
    char csv[700], out[700], again[700];
    snprintf(csv, sizeof csv, "%.*s", (int)(strrchr(orders, '/') - orders), orders);
    snprintf(out, sizeof out, "%s/real", folder);
    snprintf(again, sizeof again, "%s/real2", folder);
    struct olist_options o = {
        .olist = csv,
        .out = out,
        .seed = 42,
        .rows = {[OLIST_EVAL] = {20, 15, 15, 15}, [OLIST_TEST] = {60, 60, 40, 40}}};
    olist_mix(o.rows[OLIST_TRAIN], 1485);
    struct olist_result r, r2;
    if (olist_prepare(&o, &r, &err))
        fail_msg("%s: %s", err.where, err.message);
    o.out = again;
    assert_int_equal(olist_prepare(&o, &r2, &err), 0);
    assert_true(same_file(at("real", "olist.db"), at("real2", "olist.db")));
    struct dataset sets[3];
    sqlite3 *db = opened(at("real", "olist.db"));
    assert_string_equal(value(db, "PRAGMA integrity_check"), "ok");
    size_t queries = 0, reviews = 0, confirmed = 0, counts[3][OLIST_TASKS] = {{0}};
    for (int set = 0; set < 3; set++) {
        assert_int_equal(dataset_open(&sets[set], at("real", files[set == 2 ? 1 : set + 2]), &err),
                         0);
        confirmed += check_rows(&sets[set], db, counts[set]);
        for (int t = 0; t < OLIST_TASKS; t++)
            assert_int_equal(counts[set][t], o.rows[set][t]);
    }
    assert_int_equal(dataset_disjoint(&sets[2], &sets[0], &err), 0);
    assert_int_equal(dataset_disjoint(&sets[2], &sets[1], &err), 0);
    check_apart(sets, &queries, &reviews);
    check_results(sets, db);
    check_rules(sets);
    assert_int_equal(queries, 594 + 15 + 60); /* all different: check_apart */
    assert_true(reviews > 600 && confirmed > 10);
    assert_true(r.templates[OLIST_TRAIN] >= 60 && r.held_out >= 30);
    for (int set = 0; set < 3; set++)
        dataset_close(&sets[set]);
    sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_database),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_sql_run),    cmocka_unit_test(test_templates),
        cmocka_unit_test(test_small_rows), cmocka_unit_test(test_determinism),
        cmocka_unit_test(test_too_few),    cmocka_unit_test(test_mix),
        cmocka_unit_test(test_words),      cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_rules),      cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests(tests, make_small, remove_small);
}

/* synth_shop.c: two years of an invented shop, drawn into plain arrays and from there into a SQLite
 * database in memory. The makers read whichever is handier: aggregates come from the arrays (whole
 * cents and counts, no rounding), answers from running SQL.
 *
 * The shop has habits for the questions to find: it grows, November is its peak, a category is
 * dearer than another, the Northeast and November wait longer, late orders are rated worse. */
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "data/synth_parts.h"

enum { DAYS = 731 /* 2023 and 2024, a leap year */, STREAM_SHOP = 100 };

const char *const shop_payments[3] = {"pix", "cartão", "boleto"};
const char *const shop_statuses[3] = {"entregue", "cancelado", "em trânsito"};

const char *const shop_schema = "CREATE TABLE clientes (\n"
                                "  id INTEGER PRIMARY KEY,\n"
                                "  nome TEXT NOT NULL,\n"
                                "  cidade TEXT NOT NULL,\n"
                                "  estado TEXT NOT NULL\n"
                                ");\n"
                                "CREATE TABLE produtos (\n"
                                "  id INTEGER PRIMARY KEY,\n"
                                "  nome TEXT NOT NULL,\n"
                                "  categoria TEXT NOT NULL,\n"
                                "  preco REAL NOT NULL\n"
                                ");\n"
                                "CREATE TABLE pedidos (\n"
                                "  id INTEGER PRIMARY KEY,\n"
                                "  cliente_id INTEGER NOT NULL REFERENCES clientes(id),\n"
                                "  data TEXT NOT NULL,\n"
                                "  prazo TEXT NOT NULL,\n"
                                "  entrega TEXT,\n"
                                "  status TEXT NOT NULL,\n"
                                "  pagamento TEXT NOT NULL,\n"
                                "  valor REAL NOT NULL\n"
                                ");\n"
                                "CREATE TABLE itens (\n"
                                "  pedido_id INTEGER NOT NULL REFERENCES pedidos(id),\n"
                                "  produto_id INTEGER NOT NULL REFERENCES produtos(id),\n"
                                "  quantidade INTEGER NOT NULL,\n"
                                "  preco REAL NOT NULL\n"
                                ");\n"
                                "CREATE TABLE avaliacoes (\n"
                                "  pedido_id INTEGER PRIMARY KEY REFERENCES pedidos(id),\n"
                                "  nota INTEGER NOT NULL,\n"
                                "  comentario TEXT NOT NULL\n"
                                ");\n";

static const char *const comments[5][3] = {
    {"Péssimo, não volto.", "Que decepção.", "Não recomendo a loja."},
    {"Esperava mais.", "Não gostei.", "Não valeu o preço."},
    {"Razoável.", "Nem bom nem ruim.", "Cumpre o que promete, e só."},
    {"Gostei da compra.", "Bom produto.", "Quase tudo certo."},
    {"Excelente!", "Adorei a compra.", "Voltarei a comprar."},
};

/* --- the calendar --- */

static int month_days(int month) /* 0..23 */
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 13 ? 29 : days[month % 12];
}

static void date_parts(int *year, int *month, int *day, int number)
{
    int m = 0;
    for (; number >= month_days(m % 24); m++)
        number -= month_days(m % 24);
    *year = SHOP_FIRST_YEAR + m / 12;
    *month = m % 12;
    *day = number + 1;
}

void shop_date(char out[16], int day)
{
    int y, m, d;
    date_parts(&y, &m, &d, day);
    snprintf(out, 16, "%04d-%02d-%02d", y % 10000, (m + 1) % 100, d % 100);
}

int shop_month(int day)
{
    int y, m, d;
    date_parts(&y, &m, &d, day);
    return (y - SHOP_FIRST_YEAR) * 12 + m;
}

/* --- drawing --- */

static int draw_day(struct draws *d)
{
    static const unsigned char weights[24] = {6, 5, 7, 7,  9,  8,  7,  8,  8,  9,  14, 12,
                                              8, 7, 9, 10, 12, 11, 10, 11, 11, 12, 20, 16};
    unsigned sum = 0;
    for (int i = 0; i < 24; i++)
        sum += weights[i];
    int month = (int)draw_weighted(d, weights, sum), start = 0;
    for (int i = 0; i < month; i++)
        start += month_days(i);
    return start + (int)draw(d, (unsigned)month_days(month));
}

static int draw_city(struct draws *d)
{
    /* of states: SP RJ MG RS PR SC BA PE CE GO DF PA */
    static const unsigned char weights[SYNTH_STATES] = {30, 12, 12, 8, 8, 6, 7, 5, 4, 4, 4, 3};
    int state = (int)draw_weighted(d, weights, 103), matching[SYNTH_CITIES], n = 0;
    for (int i = 0; i < SYNTH_CITIES; i++)
        if (synth_cities[i].state == state)
            matching[n++] = i;
    return matching[draw(d, (unsigned)n)];
}

static void draw_items(struct shop *s, struct shop_order *o, struct draws *d)
{
    static const unsigned char counts[SHOP_MAX_ITEMS] = {6, 3, 1};
    static const unsigned char categories[SYNTH_CATEGORIES] = {12, 10, 14, 13, 11, 9, 8, 10, 7, 6};
    o->n_items = 0;
    for (int wanted = 1 + (int)draw_weighted(d, counts, 10); wanted > 0; wanted--) {
        int product = 8 * (int)draw_weighted(d, categories, 100) + (int)draw(d, 8);
        bool twice = false;
        for (int i = 0; i < o->n_items; i++)
            twice = twice || o->items[i].product == product;
        if (twice)
            continue;
        int quantity = s->prices[product] < 10000 && draw_chance(d, 30) ? 2 + (int)draw(d, 2) : 1;
        o->items[o->n_items++] = (struct shop_item){product, quantity, s->prices[product]};
        o->cents += quantity * s->prices[product];
    }
    s->items += (size_t)o->n_items;
}

static void draw_delivery(struct shop *s, struct shop_order *o, struct draws *d)
{
    int region = synth_states[synth_cities[s->clients[o->client].city].state].region;
    unsigned late = 9 +
                    (region == 2   ? 10
                     : region == 4 ? 14
                                   : 0) +
                    (shop_month(o->day) % 12 == 10 ? 12 : 0);
    o->due = o->day + 4 + (int)draw(d, 8);
    o->delivered = -1;
    if (draw_chance(d, 5))
        o->status = SHOP_CANCELLED;
    else if (draw_chance(d, late))
        o->delivered = o->due + 1 + (int)draw(d, draw_chance(d, 25) ? 20 : 6);
    else
        o->delivered = o->day + 2 + (int)draw(d, (unsigned)(o->due - o->day - 1));
    if (o->delivered >= DAYS) { /* the shop is seen on the last day of 2024 */
        o->delivered = -1;
        o->status = SHOP_ON_ITS_WAY;
    }
}

static void draw_rating(struct shop *s, struct shop_order *o, struct draws *d)
{
    static const unsigned char pleased[5] = {3, 5, 12, 32, 48}, annoyed[5] = {34, 26, 22, 12, 6};
    if (o->status != SHOP_DELIVERED || !draw_chance(d, 65))
        return;
    o->rating = 1 + (int)draw_weighted(d, o->delivered > o->due ? annoyed : pleased, 100);
    o->comment = (int)draw(d, 3);
    s->ratings++;
}

static void draw_shop(struct shop *s, uint64_t seed)
{
    struct draws d = {.key = {.seed = seed, .purpose = RNG_SYNTH, .step = STREAM_SHOP}};
    for (int i = 0; i < SYNTH_PRODUCTS; i++) {
        const struct synth_product *p = &synth_products[i];
        s->prices[i] = 100 * draw_between(&d, (unsigned)p->low, (unsigned)p->high) + 90;
    }
    for (int i = 0; i < SHOP_CLIENTS; i++) {
        struct shop_client *c = &s->clients[i];
        c->first = (int)draw(&d, SYNTH_FIRST_NAMES);
        c->surname = (int)draw(&d, SYNTH_SURNAMES);
        c->surname2 = (c->surname + 1 + (int)draw(&d, SYNTH_SURNAMES - 1)) % SYNTH_SURNAMES;
        c->city = draw_city(&d);
    }
    int days[DAYS] = {0}, at = 0;
    for (int i = 0; i < SHOP_ORDERS; i++)
        days[draw_day(&d)]++;
    for (int i = 0; i < SHOP_ORDERS; i++) { /* orders are numbered by date */
        struct shop_order *o = &s->orders[i];
        while (!days[at])
            at++;
        days[at]--;
        o->day = at;
        o->client = (int)draw(&d, SHOP_CLIENTS);
        static const unsigned char payments[3] = {45, 40, 15};
        o->payment = (int)draw_weighted(&d, payments, 100);
        draw_items(s, o, &d);
        draw_delivery(s, o, &d);
        draw_rating(s, o, &d);
    }
}

/* --- the database --- */

static int db_error(struct shop *s, const char *what, struct err *err)
{
    return err_set(err, ERR_MACHINE, "shop.sqlite", "SQLite cannot %s: %s", what,
                   s->db ? sqlite3_errmsg(s->db) : "out of memory");
}

static void put_quoted(struct str *out, const char *text)
{
    str_putc(out, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            str_putc(out, '\'');
        str_putc(out, *text);
    }
    str_putc(out, '\'');
}

static void put_price(struct str *out, long cents)
{
    str_printf(out, "%ld.%02ld", cents / 100, cents % 100);
}

static void insert_things(struct str *sql, const struct shop *s)
{
    for (int i = 0; i < SHOP_CLIENTS; i++) {
        const struct shop_client *c = &s->clients[i];
        const struct synth_city *city = &synth_cities[c->city];
        str_printf(sql, "INSERT INTO clientes VALUES(%d,'%s %s %s','%s','%s');\n", i + 1,
                   synth_first_names[c->first], synth_surnames[c->surname],
                   synth_surnames[c->surname2], city->name, synth_states[city->state].code);
    }
    for (int i = 0; i < SYNTH_PRODUCTS; i++) {
        str_printf(sql, "INSERT INTO produtos VALUES(%d,'%s','%s',", i + 1, synth_products[i].name,
                   synth_categories[synth_products[i].category]);
        put_price(sql, s->prices[i]);
        str_puts(sql, ");\n");
    }
}

static void insert_order(struct str *sql, const struct shop_order *o, int id)
{
    char date[16], due[16], delivered[16];
    shop_date(date, o->day);
    shop_date(due, o->due);
    str_printf(sql, "INSERT INTO pedidos VALUES(%d,%d,'%s','%s',", id, o->client + 1, date, due);
    if (o->delivered >= 0) {
        shop_date(delivered, o->delivered);
        put_quoted(sql, delivered);
    } else {
        str_puts(sql, "NULL");
    }
    str_printf(sql, ",'%s','%s',", shop_statuses[o->status], shop_payments[o->payment]);
    put_price(sql, o->cents);
    str_puts(sql, ");\n");
    for (int i = 0; i < o->n_items; i++) {
        str_printf(sql, "INSERT INTO itens VALUES(%d,%d,%d,", id, o->items[i].product + 1,
                   o->items[i].quantity);
        put_price(sql, o->items[i].cents);
        str_puts(sql, ");\n");
    }
    if (o->rating) {
        str_printf(sql, "INSERT INTO avaliacoes VALUES(%d,%d,", id, o->rating);
        put_quoted(sql, comments[o->rating - 1][o->comment]);
        str_puts(sql, ");\n");
    }
}

static int fill_database(struct shop *s, struct err *err)
{
    struct str sql = {0};
    str_puts(&sql, "PRAGMA page_size=4096;\nPRAGMA encoding='UTF-8';\nBEGIN;\n");
    str_puts(&sql, shop_schema);
    insert_things(&sql, s);
    for (int i = 0; i < SHOP_ORDERS; i++)
        insert_order(&sql, &s->orders[i], i + 1);
    str_puts(&sql, "COMMIT;\n");
    int status = ERR_NONE;
    if (sql.failed)
        status = err_no_memory(err, "the shop", sql.length);
    else if (sqlite3_exec(s->db, str_text(&sql), NULL, NULL, NULL) != SQLITE_OK)
        status = db_error(s, "fill the database", err);
    str_free(&sql);
    return status;
}

int shop_open(struct shop **out, uint64_t seed, struct err *err)
{
    struct shop *s = mem_calloc(1, sizeof *s);
    *out = s;
    if (!s)
        return err_no_memory(err, "the shop", sizeof *s);
    draw_shop(s, seed);
    int status = sqlite3_open(":memory:", &s->db) == SQLITE_OK ? fill_database(s, err)
                                                               : db_error(s, "start", err);
    if (status) {
        shop_close(s);
        *out = NULL;
    }
    return status;
}

void shop_close(struct shop *s)
{
    if (s)
        sqlite3_close(s->db);
    mem_free(s);
}

int shop_image(unsigned char **bytes, size_t *size, struct shop *s, struct err *err)
{
    sqlite3_int64 length = 0;
    *bytes = sqlite3_serialize(s->db, "main", &length, 0);
    if (!*bytes)
        return db_error(s, "write the database out", err);
    *size = (size_t)length;
    return ERR_NONE;
}

/* --- queries --- */

/* As one would write it: whole numbers without a fraction, others with at most two places. */
static void put_value(struct str *out, sqlite3_stmt *q, int column)
{
    if (sqlite3_column_type(q, column) != SQLITE_FLOAT) {
        const unsigned char *text = sqlite3_column_text(q, column);
        str_puts(out, text ? (const char *)text : "NULL");
        return;
    }
    char number[64];
    int n = snprintf(number, sizeof number, "%.2f", sqlite3_column_double(q, column));
    while (n > 0 && number[n - 1] == '0')
        n--;
    if (n > 0 && number[n - 1] == '.')
        n--;
    str_append(out, number, (size_t)n);
}

int shop_query(struct str *out, bool *informative, struct shop *s, const char *sql, struct err *err)
{
    sqlite3_stmt *q = NULL;
    *informative = false;
    if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) != SQLITE_OK)
        return err_set(err, ERR_MACHINE, "reference query", "%s: %.400s", sqlite3_errmsg(s->db),
                       sql);
    int step, rows = 0, columns = sqlite3_column_count(q);
    bool nothing = false;
    while ((step = sqlite3_step(q)) == SQLITE_ROW) {
        for (int i = 0; i < columns; i++) {
            str_puts(out, i ? ", " : rows ? "; " : "");
            put_value(out, q, i);
            nothing =
                sqlite3_column_type(q, i) == SQLITE_NULL ||
                (sqlite3_column_type(q, i) != SQLITE_TEXT && sqlite3_column_double(q, i) <= 0);
        }
        rows++;
    }
    sqlite3_finalize(q);
    if (step != SQLITE_DONE)
        return err_set(err, ERR_MACHINE, "reference query", "%s: %.400s", sqlite3_errmsg(s->db),
                       sql);
    *informative = rows > 0 && !(rows == 1 && columns == 1 && nothing);
    return ERR_NONE;
}

/* olist_sql.c: questions into rows. A template's gaps are drawn from what the data has; its query
 * is run, and the question is dropped when the answer is none (no row, NULL, zero), when rows tie
 * in an order that is asked for, when it takes more work or gives more rows than an answer should,
 * or when three other questions have the same answer already: a policy must not gain from one
 * constant.
 *
 * Levels take turns. Of the templates of a level the one that was tried less, of two drawn, comes:
 * so every template has its share, and one with few different questions is not asked forever. For
 * evaluation and test every other row is of a template that training never sees.
 *
 * The prompt has the tables that the query reads, and one more to choose against; and one line for
 * each convention that the query follows, so that the question has one right answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "data/olist_parts.h"

enum {
    MAX_ROWS = 40,
    SHORTEST_SERIES = 3,
    STEPS_A_CALL = 1000, /* virtual-machine steps between looks at the budget */
    MAX_CALLS = 20000    /* 20 million steps */
};

/* --- running a query --- */

struct budget {
    int calls;
};

static int spend(void *user)
{
    struct budget *b = user;
    return ++b->calls > MAX_CALLS;
}

/* Reals as far as float noise does not reach. */
static void put_cell(struct str *out, sqlite3_stmt *q, int column)
{
    if (sqlite3_column_type(q, column) == SQLITE_FLOAT) {
        str_printf(out, "%.10g", sqlite3_column_double(q, column));
        return;
    }
    const unsigned char *text = sqlite3_column_text(q, column);
    str_puts(out, text ? (const char *)text : "NULL");
}

static bool is_nothing(sqlite3_stmt *q, int column)
{
    int type = sqlite3_column_type(q, column);
    return type == SQLITE_NULL || (type != SQLITE_TEXT && sqlite3_column_double(q, column) == 0);
}

struct reading {
    sqlite3_stmt *q;
    int rows, columns;
    bool something, tied; /* a value that is neither NULL nor zero; equal keys side by side */
    struct str *result, last, now;
};

static void read_row(struct reading *r, int key)
{
    bool text_only = true;
    for (int i = 0; i < r->columns; i++)
        text_only = text_only && sqlite3_column_type(r->q, i) == SQLITE_TEXT;
    for (int i = 0; i < r->columns; i++) {
        str_puts(r->result, i ? ", " : r->rows ? "; " : "");
        put_cell(r->result, r->q, i);
        bool says = sqlite3_column_type(r->q, i) != SQLITE_TEXT || text_only;
        r->something = r->something || (says && !is_nothing(r->q, i));
    }
    if (key) {
        str_clear(&r->now);
        put_cell(&r->now, r->q, key - 1);
        r->tied = r->tied || (r->rows && strcmp(str_text(&r->now), str_text(&r->last)) == 0);
        str_clear(&r->last);
        str_puts(&r->last, str_text(&r->now));
        r->result->failed = r->result->failed || r->now.failed || r->last.failed;
    }
    r->rows++;
}

/* The same query with one row more, to see whether a row left out ties with the last one. */
static void put_wider(struct str *out, const char *sql)
{
    const char *limit = strstr(sql, " LIMIT ");
    if (limit)
        str_printf(out, "%.*s LIMIT %d", (int)(limit - sql), sql, atoi(limit + 7) + 1);
    else
        str_puts(out, sql);
}

static int step_all(struct reading *r, sqlite3 *db, const char *sql, int key, struct budget *budget,
                    struct err *err)
{
    if (sqlite3_prepare_v2(db, sql, -1, &r->q, NULL) != SQLITE_OK || !r->q)
        return err_set(err, ERR_MACHINE, "reference query", "%s: %.600s", sqlite3_errmsg(db), sql);
    int step;
    r->columns = sqlite3_column_count(r->q);
    while ((step = sqlite3_step(r->q)) == SQLITE_ROW && r->rows <= MAX_ROWS)
        read_row(r, key);
    sqlite3_finalize(r->q);
    if (step == SQLITE_DONE || step == SQLITE_ROW || budget->calls > MAX_CALLS)
        return ERR_NONE;
    return err_set(err, ERR_MACHINE, "reference query", "%s: %.600s", sqlite3_errmsg(db), sql);
}

int olist_sql_run(struct str *result, int *reason, long long *steps, sqlite3 *db, const char *sql,
                  int key, struct err *err)
{
    struct budget budget = {0};
    struct str wider = {0}, ignored = {0};
    struct reading r = {.result = result}, w = {.result = &ignored};
    sqlite3_progress_handler(db, STEPS_A_CALL, spend, &budget);
    int status = step_all(&r, db, sql, key, &budget, err);
    *steps = (long long)budget.calls * STEPS_A_CALL;
    put_wider(&wider, sql);
    if (!status && key && !wider.failed)
        status = step_all(&w, db, str_text(&wider), key, &budget, err);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    bool short_series = key == 1 && r.rows < SHORTEST_SERIES; /* a row for each month */
    *reason = budget.calls > MAX_CALLS    ? OLIST_COSTLY
              : !r.something              ? OLIST_EMPTY
              : r.rows > MAX_ROWS         ? OLIST_LONG
              : key && (r.tied || w.tied) ? OLIST_TIED
              : short_series              ? OLIST_TOO_FEW
                                          : -1;
    if (!status && (result->failed || wider.failed || ignored.failed))
        status = err_no_memory(err, "a reference query", result->length);
    str_free(&wider);
    str_free(&ignored);
    str_free(&r.last);
    str_free(&r.now);
    str_free(&w.last);
    str_free(&w.now);
    return status;
}

/* --- gaps --- */

struct gaps {
    struct fill fill;
    struct str month;
    char before[16], price[16], small[16], limit[16], count[16], score[16], grams[16], parts[16];
};

/* One of the names, the frequent ones more often: of two drawn the one further up. */
static const char *name_of(const struct olist_names *names, struct draws *d)
{
    if (!names->n)
        return "";
    unsigned a = draw(d, (unsigned)names->n), b = draw(d, (unsigned)names->n);
    return names->items[a < b ? a : b].text;
}

static const char *one_of(const struct olist_names *names, struct draws *d)
{
    return names->n ? names->items[draw(d, (unsigned)names->n)].text : "";
}

static void fill_state(struct fill *f, const struct olist_names *names, const char slots[3],
                       struct draws *d)
{
    int i = olist_state_index(name_of(names, d));
    static const struct olist_state none = {"", "", ""};
    const struct olist_state *s = i < 0 ? &none : &olist_states[i];
    fill_slot(f, slots[0], s->in);
    fill_slot(f, slots[1], s->of);
    fill_slot(f, slots[2], s->code);
}

static void fill_number(struct fill *f, char slot, char text[16], unsigned value)
{
    snprintf(text, 16, "%u", value);
    fill_slot(f, slot, text);
}

static void fill_month(struct gaps *g, const struct olist_names *months, struct draws *d)
{
    const char *start = one_of(months, d);
    int year = 1, month = 1;
    if (sscanf(start, "%4d-%2d", &year, &month) != 2 || month < 1 || month > 12)
        year = month = 1;
    int before = 12 * year + month - 2;
    snprintf(g->before, sizeof g->before, "%04d-%02d", before / 12, before % 12 + 1);
    olist_month_words(&g->month, 12 * year + month - 1);
    fill_slot(&g->fill, 'm', str_text(&g->month));
    fill_slot(&g->fill, 'k', start);
    fill_slot(&g->fill, 'z', g->before);
}

static void draw_gaps(struct gaps *g, const struct olist_data *data, struct draws *d)
{
    static const unsigned short prices[] = {30, 50, 80, 100, 120, 150, 200, 250, 300, 400, 500};
    static const unsigned char small[] = {10, 12, 15, 18, 20, 25, 30, 40, 50, 60};
    static const unsigned short grams[] = {300, 500, 1000, 1500, 2000, 3000, 5000, 8000, 10000};
    static const char *const statuses[] = {"delivered", "shipped",    "canceled", "unavailable",
                                           "invoiced",  "processing", "approved", "created"};
    static const char *const payments[][2] = {{"credit_card", "cartão de crédito"},
                                              {"boleto", "boleto"},
                                              {"voucher", "voucher"},
                                              {"debit_card", "cartão de débito"}};
    struct fill *f = &g->fill;
    const char *category = name_of(&data->categories, d), *other = category;
    for (int i = 0; i < 8 && other == category; i++)
        other = name_of(&data->categories, d);
    fill_slot(f, 'c', category);
    fill_slot(f, 'j', other);
    fill_state(f, &data->states, "sqe", d);
    fill_state(f, &data->seller_states, "fgh", d);
    fill_month(g, &data->months, d);
    fill_slot(f, 't', name_of(&data->cities, d));
    fill_slot(f, 'a', one_of(&data->years, d));
    fill_slot(f, 'r', PICK(d, statuses));
    const char *const *payment = PICK(d, payments);
    fill_slot(f, 'p', payment[0]);
    fill_slot(f, 'o', payment[1]);
    fill_number(f, 'i', g->parts, draw_between(d, 2, 10));
    fill_number(f, 'n', g->score, draw_between(d, 1, 5));
    fill_number(f, 'l', g->limit, draw_between(d, 3, 8));
    fill_number(f, 'u', g->count, draw_between(d, 2, 6));
    fill_number(f, 'v', g->price, PICK(d, prices));
    fill_number(f, 'd', g->small, PICK(d, small));
    fill_number(f, 'w', g->grams, PICK(d, grams));
}

/* --- the prompt --- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool has_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
        if ((at == text || !is_letter(at[-1])) && !is_letter(at[n]))
            return true;
    return false;
}

static void put_tables(struct str *out, const char *sql, struct draws *d)
{
    unsigned other = draw(d, OLIST_TABLES);
    while (has_word(sql, olist_table_names[other]))
        other = (other + 1) % OLIST_TABLES;
    for (int i = 0; i < OLIST_TABLES; i++) {
        if (i != (int)other && !has_word(sql, olist_table_names[i]))
            continue;
        olist_db_columns(out, i);
        str_putc(out, '\n');
    }
}

/* What a question leaves to convention is said once, where its query follows it. */
static void put_conventions(struct str *out, const char *asked, const char *sql)
{
    static const struct {
        const char *in_sql, *in_question, *text;
    } conventions[] = {
        {"LIKE '", "", "Datas são textos 'AAAA-MM-DD HH:MM:SS'."},
        {"order_purchase_timestamp", "", "Pedido feito: data em order_purchase_timestamp."},
        {"order_delivered_customer_date) >", "atras",
         "Atrasado: a data (sem hora) de order_delivered_customer_date é posterior à de "
         "order_estimated_delivery_date."},
        {"order_status", "status",
         "order_status: delivered, shipped, canceled, unavailable, "
         "invoiced, processing, approved, created."},
        {"payment_type", "", "payment_type: credit_card, boleto, voucher, debit_card."},
        {"SUM(", "recei", "Receita: soma de order_items.price, sem frete."},
        {"SUM(", "rend", "Receita: soma de order_items.price, sem frete."},
        {"customer_unique_id", "",
         "customer_unique_id identifica a pessoa; customer_id muda a cada "
         "pedido."},
        {"customer_city", "", "Cidades em minúsculas e sem acento."},
        {"ROUND(", "", "Arredonde para 2 casas decimais."},
    };
    const char *last = "";
    for (size_t i = 0; i < ARRAY_LENGTH(conventions); i++) {
        const char *text = conventions[i].text;
        if (text == last || !strstr(sql, conventions[i].in_sql) ||
            !strstr(asked, conventions[i].in_question))
            continue;
        if (strcmp(text, last) != 0)
            str_printf(out, "%s\n", text);
        last = text;
    }
}

static void put_prompt(struct str *out, const char *asked, const char *sql, struct draws *d)
{
    static const char *const first[] = {"Banco SQLite de uma loja on-line. Tabelas:\n",
                                        "Tabelas do banco (SQLite):\n",
                                        "Você consulta o banco SQLite da loja. Tabelas:\n"};
    static const char *const last[] = {
        "Responda com a consulta SQL e explique o que ela mostra.",
        "Escreva a consulta SQL em um bloco ```sql e uma frase que a explique.",
        "Dê uma única consulta SQL que responda e explique em uma frase."};
    str_puts(out, PICK(d, first));
    put_tables(out, sql, d);
    put_conventions(out, asked, sql);
    str_printf(out, "Pergunta: %s\n%s", asked, PICK(d, last));
}

/* --- rows --- */

static void put_reference(struct str *out, const char *database, const char *sql, int level)
{
    static const char *const levels[OLIST_LEVELS] = {"easy", "medium", "hard"};
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "database");
    jw_text(&w, database);
    jw_key(&w, "sql");
    jw_text(&w, sql);
    jw_key(&w, "difficulty");
    jw_text(&w, levels[level - 1]);
    jw_object_end(&w);
}

static int draw_question(const struct olist_making *m, enum olist_set set, size_t number,
                         struct draws *d)
{
    int level = (int)(number % OLIST_LEVELS) + 1, best = -1;
    bool held = set != OLIST_TRAIN && number / OLIST_LEVELS % 2 == 0;
    for (int found = 0; found < 2;) {
        int i = (int)draw(d, (unsigned)olist_n_questions);
        if (olist_questions[i].level != level || olist_questions[i].held != held)
            continue;
        best = best < 0 || m->tried[i] < m->tried[best] ? i : best;
        found++;
    }
    return best;
}

/* Its result is counted only when the question becomes a row. */
static int judge_result(const struct olist_making *m, const struct str *result)
{
    int32_t same = 0;
    if (map_get(&m->results, str_text(result), result->length, &same) && same >= OLIST_SAME_RESULT)
        return OLIST_SHARED;
    return -1;
}

int olist_make_sql(struct olist_row *row, struct olist_making *m, enum olist_set set, size_t number,
                   struct draws *d, struct err *err)
{
    int at = draw_question(m, set, number, d);
    const struct olist_question *q = &olist_questions[at];
    struct gaps g = {0};
    struct str asked = {0};
    long long steps = 0;
    m->tried[at]++;
    m->question = at;
    draw_gaps(&g, &m->data, d);
    fill_put(&asked, q->asked[draw(d, 2)], &g.fill);
    fill_put(&row->key, q->sql, &g.fill);
    int status = asked.failed || row->key.failed || g.month.failed
                     ? err_no_memory(err, "a question", row->key.length)
                     : ERR_NONE;
    str_clear(&m->result_text);
    if (!status)
        status = olist_sql_run(&m->result_text, &row->rejected, &steps, m->data.db,
                               str_text(&row->key), q->key, err);
    if (!status && row->rejected < 0)
        row->rejected = judge_result(m, &m->result_text);
    if (!status && row->rejected < 0) {
        put_prompt(&row->prompt, str_text(&asked), str_text(&row->key), d);
        put_reference(&row->reference, m->database, str_text(&row->key), q->level);
        m->steps = steps;
    }
    str_free(&asked);
    str_free(&g.month);
    return status;
}

int olist_sql_taken(struct olist_making *m, enum olist_set set, struct err *err)
{
    const struct str *result = &m->result_text;
    const struct olist_question *q = &olist_questions[m->question];
    struct olist_result *r = m->result;
    int32_t same = 0;
    if (!map_get(&m->results, str_text(result), result->length, &same))
        same = 0;
    if (!map_put(&m->results, str_text(result), result->length, same + 1))
        return err_no_memory(err, "a question", result->length);
    r->levels[set][q->level - 1]++;
    r->templates[set] += !(m->used[m->question] >> set & 1);
    m->used[m->question] |= (unsigned char)(1U << set);
    r->held_out += q->held;
    r->most_steps = m->steps > r->most_steps ? m->steps : r->most_steps;
    return ERR_NONE;
}

/* olist_reviews.c: real reviews with what is known of their orders, and the rows of the task
 * `extraction` made of them.
 *
 * A prompt quotes a review and gives some of its order's facts, and the reference has those fields
 * alone that what is shown determines:
 *
 *   nota              when the score is shown
 *   sentimento        by the score, 1-2 negative, 3 neutral, 4-5 positive: when the score is shown,
 *                     or when it is 1 or 5: a text alone does not tell 2 from 3 or 3 from 4
 *   entrega_no_prazo  when the dates are shown and the order arrived, or was overdue when the
 * review was asked for dias_atraso       when the dates are shown and the order arrived: days
 * behind the estimate, 0 on time valor             when what was paid is shown
 *
 * The others are in the text if anywhere (produto, problema, recomenda, quer_devolucao, resumo):
 * the data knows a category but no product's name, a score but no reason for it; these stay without
 * a reference.
 *
 * A review is known by its folded words (classify.h), so that the same text, however it is spelt,
 * is one row of one set. Extraction and push take reviews from one seeded order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "data/classify.h"
#include "data/olist_parts.h"

enum { SHORTEST = 20, LONGEST = 500, MOST_LATE = 365 }; /* characters; days */

struct olist_reviews {
    struct arena arena;
    struct olist_review *items;
    size_t n, capacity, next;
    uint32_t *order;
};

/* --- reading --- */

/* A paid total is a sum over all payments; the category is that of all items or none; both are
 * taken apart from the review, so that nothing is multiplied. */
static const char reviews_sql[] =
    "SELECT r.review_score, r.review_comment_message, r.review_comment_title, "
    "date(o.order_purchase_timestamp), date(o.order_estimated_delivery_date), "
    "date(o.order_delivered_customer_date), date(r.review_creation_date), (SELECT CASE WHEN "
    "COUNT(DISTINCT p.product_category_name) = 1 AND COUNT(*) = COUNT(p.product_category_name) "
    "THEN "
    "MIN(p.product_category_name) END FROM order_items i LEFT JOIN products p ON p.product_id = "
    "i.product_id WHERE i.order_id = o.order_id), (SELECT CAST(ROUND(100 * SUM(y.payment_value)) "
    "AS "
    "INTEGER) FROM order_payments y WHERE y.order_id = o.order_id), "
    "CAST(julianday(date(o.order_delivered_customer_date)) - "
    "julianday(date(o.order_estimated_delivery_date)) AS INTEGER), "
    "o.order_delivered_customer_date IS NULL AND date(r.review_creation_date) > "
    "date(o.order_estimated_delivery_date) FROM order_reviews r JOIN orders o ON o.order_id = "
    "r.order_id WHERE r.review_comment_message IS NOT NULL AND r.review_score BETWEEN 1 AND 5 "
    "ORDER "
    "BY r.rowid";

/* White space as single spaces, none at the ends; NULL becomes "". */
static const char *tidy(struct olist_reviews *r, sqlite3_stmt *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    size_t length = text ? strlen(text) : 0, n = 0;
    char *out = arena_alloc(&r->arena, length + 1);
    if (!out)
        return NULL;
    for (size_t i = 0; i < length; i++) {
        bool blank = text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r');
        if (!blank)
            out[n++] = text[i];
        else if (n && out[n - 1] != ' ')
            out[n++] = ' ';
    }
    n -= n && out[n - 1] == ' ';
    out[n] = 0;
    return out;
}

static int add_review(struct olist_reviews *r, sqlite3_stmt *q, struct err *err)
{
    if (r->n == r->capacity) {
        size_t capacity = r->capacity ? 2 * r->capacity : 1024;
        struct olist_review *items = mem_realloc(r->items, capacity * sizeof *items);
        if (!items)
            return err_no_memory(err, "the reviews", capacity * sizeof *items);
        r->items = items;
        r->capacity = capacity;
    }
    struct olist_review *v = &r->items[r->n];
    *v = (struct olist_review){
        .score = sqlite3_column_int(q, 0),
        .text = tidy(r, q, 1),
        .title = tidy(r, q, 2),
        .purchase = tidy(r, q, 3),
        .estimated = tidy(r, q, 4),
        .delivered = tidy(r, q, 5),
        .written = tidy(r, q, 6),
        .category = tidy(r, q, 7),
        .paid = sqlite3_column_type(q, 8) == SQLITE_NULL ? -1 : (long)sqlite3_column_int64(q, 8),
        .late = sqlite3_column_int(q, 9),
        .overdue = sqlite3_column_int(q, 10),
    };
    if (!v->text || !v->title || !v->purchase || !v->estimated || !v->delivered || !v->written ||
        !v->category)
        return err_no_memory(err, "the reviews", 0);
    r->n++;
    return ERR_NONE;
}

int olist_reviews_open(struct olist_making *m, struct err *err)
{
    struct olist_reviews *r = m->reviews = mem_calloc(1, sizeof *r);
    sqlite3_stmt *q = NULL;
    if (!r)
        return err_no_memory(err, "the reviews", sizeof *r);
    if (sqlite3_prepare_v2(m->data.db, reviews_sql, -1, &q, NULL) != SQLITE_OK)
        return olist_db_error(m->data.db, "read reviews", err);
    int status = ERR_NONE, step = SQLITE_ROW;
    while (!status && (step = sqlite3_step(q)) == SQLITE_ROW)
        status = add_review(r, q, err);
    sqlite3_finalize(q);
    if (!status && step != SQLITE_DONE)
        status = olist_db_error(m->data.db, "read reviews", err);
    if (status)
        return status;
    struct rng_key key = {.seed = m->options->seed, .purpose = RNG_OLIST};
    r->order = mem_calloc(r->n + 1, sizeof *r->order);
    if (!r->order)
        return err_no_memory(err, "the reviews", r->n * sizeof *r->order);
    rng_permutation(&key, r->order, r->n);
    return ERR_NONE;
}

void olist_reviews_close(struct olist_making *m)
{
    struct olist_reviews *r = m->reviews;
    if (!r)
        return;
    mem_free(r->items);
    mem_free(r->order);
    arena_free(&r->arena);
    mem_free(r);
    m->reviews = NULL;
}

bool olist_reviews_next(const struct olist_review **out, struct olist_making *m)
{
    struct olist_reviews *r = m->reviews;
    if (r->next == r->n)
        return false;
    *out = &r->items[r->order[r->next++]];
    return true;
}

void olist_review_key(struct str *out, const struct olist_review *v)
{
    str_puts(out, "review ");
    classify_fold(out, v->text, strlen(v->text));
}

bool olist_review_fits(const struct olist_review *v)
{
    size_t n = 0;
    for (const char *c = v->text; *c; c++)
        n += ((unsigned char)*c & 0xC0) != 0x80;
    return n >= SHORTEST && n <= LONGEST;
}

/* --- extraction --- */

struct shown {
    bool score, dates, paid, category;
};

/* What the prompt gives; at least one field must follow from it. */
static struct shown draw_shown(const struct olist_review *v, struct draws *d)
{
    struct shown s = {.score = draw_chance(d, 50),
                      .dates = draw_chance(d, 75) && v->purchase[0] && v->estimated[0],
                      .paid = draw_chance(d, 70) && v->paid > 0,
                      .category = draw_chance(d, 75) && v->category[0]};
    if (!s.dates && !s.paid && v->score != 1 && v->score != 5)
        s.score = true;
    return s;
}

static void put_facts(struct str *out, const struct olist_review *v, const struct shown *s)
{
    if (s->category) {
        str_puts(out, "Categoria: ");
        olist_category_words(out, v->category);
        str_putc(out, '\n');
    }
    if (s->dates) {
        str_printf(out, "Compra: %s\nEntrega prevista: %s\nEntrega: %s\nAvaliação: %s\n",
                   v->purchase, v->estimated, v->delivered[0] ? v->delivered : "sem registro",
                   v->written);
    }
    if (s->paid) {
        str_puts(out, "Valor pago: R$ ");
        put_money(out, v->paid);
        str_putc(out, '\n');
    }
    if (s->score)
        str_printf(out, "Nota dada: %d\n", v->score);
    if (v->title[0])
        str_printf(out, "Título: %s\n", v->title);
    str_printf(out, "Texto: %s\n", v->text);
}

static void put_reference(struct str *out, const struct olist_review *v, const struct shown *s)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    if (s->score || v->score == 1 || v->score == 5) {
        jw_key(&w, "sentimento");
        jw_text(&w, v->score < 3 ? "negativo" : v->score > 3 ? "positivo" : "neutro");
    }
    if (s->score) {
        jw_key(&w, "nota");
        jw_int(&w, v->score);
    }
    if (s->dates && (v->delivered[0] || v->overdue)) {
        jw_key(&w, "entrega_no_prazo");
        jw_bool(&w, v->delivered[0] && v->late <= 0);
    }
    if (s->dates && v->delivered[0] && v->late <= MOST_LATE) {
        jw_key(&w, "dias_atraso");
        jw_int(&w, v->late > 0 ? v->late : 0);
    }
    if (s->paid) {
        jw_key(&w, "valor");
        jw_double(&w, (double)v->paid / 100);
    }
    jw_object_end(&w);
}

/* The ten fields of schemas/review_extraction.json, in its order. */
static const char fields[] =
    "sentimento (positivo, neutro, negativo), nota (1 a 5), produto (ou null), problema (nenhum, "
    "atraso, nao_entregue, entrega_parcial, produto_errado, defeito, qualidade, atendimento, "
    "outro), "
    "entrega_no_prazo (true, false ou null), dias_atraso (dias entre a entrega prevista e a "
    "entrega; "
    "0 se no prazo; null se não se sabe), recomenda (true, false ou null), quer_devolucao (true ou "
    "false), valor (valor pago em reais ou null), resumo (até 120 caracteres)";

int olist_make_extraction(struct olist_row *row, struct olist_making *m, enum olist_set set,
                          size_t number, struct draws *d, struct err *err)
{
    static const char *const first[] = {
        "Extraia as informações da avaliação em um objeto JSON com estes campos:",
        "Leia a avaliação e responda só com um objeto JSON com os campos:",
        "Transforme a avaliação abaixo em JSON. Campos:"};
    const struct olist_review *v;
    (void)set;
    if (!olist_reviews_next(&v, m))
        return err_set(err, ERR_INPUT, m->options->olist,
                       "has too few reviews: %zu rows of %s were made; ask for fewer", number,
                       olist_task_names[OLIST_EXTRACTION]);
    struct shown s = draw_shown(v, d);
    bool known = s.score || s.paid || v->score == 1 || v->score == 5 ||
                 (s.dates && (v->delivered[0] || v->overdue));
    if (!olist_review_fits(v) || !known) {
        row->rejected = OLIST_UNSUITED;
        return ERR_NONE;
    }
    olist_review_key(&row->key, v);
    str_printf(&row->prompt, "%s %s.\n\n", PICK(d, first), fields);
    put_facts(&row->prompt, v, &s);
    row->prompt.length -= row->prompt.length && !row->prompt.failed; /* the last line break */
    put_reference(&row->reference, v, &s);
    return ERR_NONE;
}

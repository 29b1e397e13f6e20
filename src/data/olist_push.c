/* olist_push.c: rows of the task `push`, two kinds in turn. One names a real category with a figure
 * of it, a reason to write and an audience; its key is category and reason. The other quotes a real
 * review to whose author the notification goes; its key is the review, which extraction draws from
 * too, so no review is in two rows. */
#include <string.h>
#include "base/json.h"
#include "data/olist_parts.h"

enum { MOST_CATEGORIES = 50, FEWEST_ITEMS = 20, LONGEST = 220 };

static const char *const reasons[] = {
    "chegaram novidades",
    "frete grátis hoje",
    "últimas unidades em estoque",
    "cupom de R$ 20 na próxima compra",
    "15% de desconto até domingo",
    "itens esquecidos no carrinho",
    "pagamento em até 10 vezes sem juros",
    "os mais vendidos voltaram ao estoque",
    "presente surpresa na compra",
    "entrega mais rápida nesta semana",
    "preços baixaram desde a última visita",
    "lista de desejos com oferta",
};
static const char *const audiences[] = {
    "clientes antigos",    "quem comprou há seis meses", "clientes novos",
    "quem busca presente", "quem avaliou com nota 5",    "quem visitou a categoria ontem",
    "clientes do app",     "quem mora longe das lojas",
};

struct sales { /* of one category */
    long items, cents, marks, reviews, delivered;
    double days;
    long states[OLIST_STATES];
};

static void add_sales(struct sales *s, const struct olist_data *data, int category)
{
    for (size_t i = 0; i < data->n_orders; i++) {
        const struct olist_order *o = &data->orders[i];
        long items = 0;
        for (size_t k = o->first; k < o->first + o->n; k++) {
            bool of_it = data->lines[k].category == category;
            items += of_it;
            s->cents += of_it ? data->lines[k].cents : 0;
        }
        if (!items)
            continue;
        s->items += items;
        s->marks += o->marks;
        s->reviews += o->reviews;
        s->delivered += o->delivered;
        s->days += o->delivered ? o->days : 0;
        if (o->state >= 0)
            s->states[o->state] += items;
    }
}

/* One figure of the category, as a notification may use it. */
static void put_figure(struct str *out, const struct sales *s, struct draws *d)
{
    int best = 0;
    for (int i = 1; i < OLIST_STATES; i++)
        if (s->states[i] > s->states[best])
            best = i;
    unsigned kind = draw(d, 5);
    long mark = s->reviews ? (20 * s->marks + s->reviews) / (2 * s->reviews) : 0;
    if (kind == 0 && mark >= 40) {
        str_puts(out, "nota média ");
        put_tenths(out, mark);
    } else if (kind == 1 && s->delivered) {
        str_puts(out, "entrega em ");
        put_tenths(out, (long)(10 * s->days / (double)s->delivered + 0.5));
        str_puts(out, " dias em média");
    } else if (kind == 2 && s->states[best]) {
        str_printf(out, "mais vendida %s", olist_states[best].in);
    } else if (kind == 3) {
        str_printf(out, "%ld itens vendidos", s->items);
    } else {
        str_puts(out, "preço médio de R$ ");
        put_money(out, (s->cents + s->items / 2) / s->items);
    }
}

static void put_reference(struct str *out, const char *product, const char *reason)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "product");
    jw_text(&w, product);
    if (reason) {
        jw_key(&w, "reason");
        jw_text(&w, reason);
    }
    jw_object_end(&w);
}

static void make_of_category(struct olist_row *row, const struct olist_making *m, struct draws *d)
{
    static const char *const prompts[] = {
        "Escreva uma notificação push em português, de até 120 caracteres. Categoria: {c}. Dado: "
        "{g}. Motivo: {r}. Público: {q}.",
        "Crie um push curto (até 120 caracteres, uma linha).\nCategoria: {c}\nDado da loja: "
        "{g}\nMotivo: {r}\nPúblico: {q}",
        "Categoria: {c}. Motivo: {r}. Público: {q}. Dado: {g}. Escreva o push, de até 120 "
        "caracteres, pronto para enviar.",
    };
    const struct olist_names *names = &m->data.categories;
    size_t n = names->n < MOST_CATEGORIES ? names->n : MOST_CATEGORIES;
    if (!n) {
        row->rejected = OLIST_TOO_FEW;
        return;
    }
    int category = (int)draw(d, (unsigned)n);
    const char *reason = PICK(d, reasons);
    struct sales s = {0};
    struct str words = {0}, figure = {0};
    struct fill fill = {0};
    if (names->items[category].count < FEWEST_ITEMS) {
        row->rejected = OLIST_TOO_FEW;
        return;
    }
    add_sales(&s, &m->data, category);
    olist_category_words(&words, names->items[category].text);
    put_figure(&figure, &s, d);
    fill_slot(&fill, 'c', str_text(&words));
    fill_slot(&fill, 'g', str_text(&figure));
    fill_slot(&fill, 'r', reason);
    fill_slot(&fill, 'q', PICK(d, audiences));
    fill_put(&row->prompt, PICK(d, prompts), &fill);
    str_printf(&row->key, "push %s: %s", str_text(&words), reason);
    put_reference(&row->reference, str_text(&words), reason);
    row->prompt.failed = row->prompt.failed || words.failed || figure.failed;
    str_free(&words);
    str_free(&figure);
}

static void make_of_review(struct olist_row *row, const struct olist_review *v, struct draws *d)
{
    static const char *const prompts[] = {
        "Um cliente comprou um produto da categoria {c} e escreveu esta avaliação: "
        "\"{r}\"\nEscreva "
        "uma notificação push em português para esse cliente: uma frase curta, de até 120 "
        "caracteres, pronta para enviar.",
        "Avaliação de um cliente sobre uma compra em {c}: \"{r}\"\nCrie um push de até 120 "
        "caracteres, em uma linha, para esse cliente.",
    };
    struct str words = {0};
    struct fill fill = {0};
    if (!olist_review_fits(v) || !v->category[0] || strlen(v->text) > LONGEST) {
        row->rejected = OLIST_UNSUITED;
        return;
    }
    olist_category_words(&words, v->category);
    fill_slot(&fill, 'c', str_text(&words));
    fill_slot(&fill, 'r', v->text);
    fill_put(&row->prompt, PICK(d, prompts), &fill);
    olist_review_key(&row->key, v);
    put_reference(&row->reference, str_text(&words), NULL);
    row->prompt.failed = row->prompt.failed || words.failed;
    str_free(&words);
}

int olist_make_push(struct olist_row *row, struct olist_making *m, enum olist_set set,
                    size_t number, struct draws *d, struct err *err)
{
    const struct olist_review *v;
    (void)set;
    if (number % 2 == 0) {
        make_of_category(row, m, d);
        return ERR_NONE;
    }
    if (!olist_reviews_next(&v, m))
        return err_set(err, ERR_INPUT, m->options->olist,
                       "has too few reviews: %zu rows of %s were made; ask for fewer", number,
                       olist_task_names[OLIST_PUSH]);
    make_of_review(row, v, d);
    return ERR_NONE;
}

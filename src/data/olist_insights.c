/* olist_insights.c: rows of the task `insights`: a slice of the real orders (a period, and perhaps
 * a category or a customers' state) summed up in five to seven figures, which the prompt gives.
 * Sums are of whole cents and of orders one by one, so that an order with several items, payments
 * or reviews counts once where orders are counted. The key is the slice: two rows never describe
 * the same orders. */
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "data/olist_parts.h"

enum { FEWEST_ORDERS = 15, MIN_FIGURES = 5, MAX_FIGURES = 7 };
enum figure {
    ORDERS,
    REVENUE,
    TICKET,
    FREIGHT,
    LATENESS,
    DAYS,
    MARK,
    CANCELLED,
    BOLETO,
    N_FIGURES
};
enum unit { COUNT, MONEY, TENTHS };

static const struct figure_text {
    const char *name; /* in the reference */
    enum unit unit;
    const char *given; /* {v}: the value */
    const char *domain[2];
} texts[N_FIGURES] = {
    {"pedidos", COUNT, "{v} pedidos", {"pedidos", "clientes"}},
    {"receita", MONEY, "receita de R$ {v}", {"receita", "vendas"}},
    {"ticket_medio", MONEY, "ticket médio de R$ {v}", {"ticket", "valor"}},
    {"frete_medio", MONEY, "frete médio de R$ {v} por pedido", {"frete", "entrega"}},
    {"atraso_pct", TENTHS, "{v}% das entregas com atraso", {"atrasos", "entrega"}},
    {"dias_entrega", TENTHS, "{v} dias em média até a entrega", {"prazo", "entrega"}},
    {"nota_media", TENTHS, "nota média {v} nas avaliações", {"nota", "satisfação"}},
    {"cancelamento_pct", TENTHS, "{v}% dos pedidos cancelados", {"cancelamentos", "pedidos"}},
    {"boleto_pct", TENTHS, "{v}% dos pedidos com boleto", {"boleto", "pagamento"}},
};

struct cut {
    int from, to;        /* months, the last one included */
    int category, state; /* -1: all */
    char period[64];
    struct str place;
    long values[N_FIGURES]; /* counts, cents or tenths */
    long orders;
};

/* --- the slice --- */

static void draw_period(struct cut *s, const struct olist_data *data, struct draws *d)
{
    int year = 1, month = 1;
    struct str words = {0};
    const struct olist_names *months = &data->months;
    if (months->n)
        sscanf(months->items[draw(d, (unsigned)months->n)].text, "%4d-%2d", &year, &month);
    s->from = 12 * year + month - 1;
    unsigned kind = draw(d, 10);
    if (kind < 6) {
        s->to = s->from;
        olist_month_words(&words, s->from);
        snprintf(s->period, sizeof s->period, "em %s", str_text(&words));
    } else if (kind < 9) {
        s->from -= s->from % 3;
        s->to = s->from + 2;
        snprintf(s->period, sizeof s->period, "no %dº trimestre de %d", s->from % 12 / 3 + 1, year);
    } else {
        s->from -= s->from % 6;
        s->to = s->from + 5;
        snprintf(s->period, sizeof s->period, "no %dº semestre de %d", s->from % 12 / 6 + 1, year);
    }
    s->place.failed = words.failed; /* which the row's maker looks at */
    str_free(&words);
}

static void draw_slice(struct cut *s, const struct olist_data *data, struct draws *d)
{
    *s = (struct cut){.category = -1, .state = -1};
    draw_period(s, data, d);
    unsigned kind = draw(d, 10);
    if (kind < 5 && data->categories.n) {
        unsigned most = data->categories.n < 30 ? (unsigned)data->categories.n : 30;
        s->category = (int)draw(d, most);
        str_puts(&s->place, "na categoria ");
        olist_category_words(&s->place, data->categories.items[s->category].text);
    } else if (kind < 9 && data->states.n) {
        unsigned at = draw(d, (unsigned)data->states.n);
        s->state = olist_state_index(data->states.items[at].text);
        str_printf(&s->place, "com clientes %s", olist_states[s->state].of);
    } else {
        str_puts(&s->place, "na loja toda");
    }
}

struct sums {
    long orders, cents, freight, delivered, late, reviews, marks, cancelled, boleto;
    double days;
};

static void add_order(struct sums *t, const struct cut *s, const struct olist_data *data,
                      const struct olist_order *o)
{
    long cents = 0, freight = 0;
    if (o->month < s->from || o->month > s->to || (s->state >= 0 && o->state != s->state))
        return;
    for (size_t i = o->first; i < o->first + o->n; i++) {
        const struct olist_line *line = &data->lines[i];
        if (s->category >= 0 && line->category != s->category)
            continue;
        cents += line->cents;
        freight += line->freight;
    }
    if (!cents)
        return;
    t->orders++;
    t->cents += cents;
    t->freight += freight;
    t->cancelled += o->cancelled;
    t->boleto += o->boleto;
    t->reviews += o->reviews;
    t->marks += o->marks;
    t->delivered += o->delivered;
    t->late += o->delivered && o->late;
    t->days += o->delivered ? o->days : 0;
}

static long rounded(long a, long b) /* a/b, half up; 0 when there is nothing to divide by */
{
    return b ? (2 * a + b) / (2 * b) : 0;
}

static void sum_up(struct cut *s, const struct olist_data *data)
{
    struct sums t = {0};
    for (size_t i = 0; i < data->n_orders; i++)
        add_order(&t, s, data, &data->orders[i]);
    s->orders = t.orders;
    s->values[ORDERS] = t.orders;
    s->values[REVENUE] = t.cents;
    s->values[TICKET] = rounded(t.cents, t.orders);
    s->values[FREIGHT] = rounded(t.freight, t.orders);
    s->values[LATENESS] = rounded(1000 * t.late, t.delivered);
    s->values[DAYS] = t.delivered ? (long)(10 * t.days / (double)t.delivered + 0.5) : 0;
    s->values[MARK] = rounded(10 * t.marks, t.reviews);
    s->values[CANCELLED] = rounded(1000 * t.cancelled, t.orders);
    s->values[BOLETO] = rounded(1000 * t.boleto, t.orders);
}

/* --- the row --- */

/* Always how many orders and what they brought; of the others those drawn, none that is nought. */
static int choose(int chosen[N_FIGURES], const struct cut *s, struct draws *d)
{
    int wanted = (int)draw_between(d, MIN_FIGURES, MAX_FIGURES), n = 2;
    bool on[N_FIGURES] = {[ORDERS] = true, [REVENUE] = true};
    for (int tries = 0; tries < 80 && n < wanted; tries++) {
        int f = (int)draw(d, N_FIGURES);
        if (!on[f] && s->values[f] > 0) {
            on[f] = true;
            n++;
        }
    }
    n = 0;
    for (int f = 0; f < N_FIGURES; f++)
        if (on[f])
            chosen[n++] = f;
    return n;
}

static void put_given(struct str *out, const struct cut *s, const int *chosen, int n)
{
    struct str number = {0};
    for (int i = 0; i < n; i++) {
        const struct figure_text *t = &texts[chosen[i]];
        long value = s->values[chosen[i]];
        struct fill fill = {0};
        str_clear(&number);
        if (t->unit == MONEY)
            put_money(&number, value);
        else if (t->unit == TENTHS)
            put_tenths(&number, value);
        else
            str_printf(&number, "%ld", value);
        fill_slot(&fill, 'v', str_text(&number));
        str_puts(out, i ? "; " : "");
        fill_put(out, t->given, &fill);
        out->failed = out->failed || number.failed;
    }
    str_free(&number);
}

static void put_numbers(struct json_writer *w, const struct cut *s, const int *chosen, int n)
{
    jw_key(w, "numbers");
    jw_object_begin(w);
    for (int i = 0; i < n; i++) {
        const struct figure_text *t = &texts[chosen[i]];
        jw_key(w, t->name);
        if (t->unit == COUNT)
            jw_int(w, s->values[chosen[i]]);
        else
            jw_double(w, (double)s->values[chosen[i]] / (t->unit == MONEY ? 100 : 10));
    }
    jw_object_end(w);
}

static void put_domain(struct json_writer *w, const int *chosen, int n)
{
    const char *words[2 * N_FIGURES];
    int n_words = 0;
    jw_key(w, "domain");
    jw_array_begin(w);
    for (int i = 0; i < 2 * n; i++) {
        const char *word = texts[chosen[i / 2]].domain[i % 2];
        bool twice = false;
        for (int k = 0; k < n_words; k++)
            twice = twice || strcmp(words[k], word) == 0;
        if (!twice)
            jw_text(w, words[n_words++] = word);
    }
    jw_array_end(w);
}

int olist_make_insights(struct olist_row *row, struct olist_making *m, enum olist_set set,
                        size_t number, struct draws *d, struct err *err)
{
    static const char *const prompts[] = {
        "Dados {l} {t}: {g}.\nEscreva de 3 a 5 insights com ações para a equipe, citando os "
        "números.",
        "Analise os resultados {l} {t} e sugira ações: {g}.\nResponda em 3 a 5 tópicos curtos com "
        "números.",
        "Você é analista de uma loja on-line. Resultados {l} {t}: {g}.\nEscreva de 3 a 5 insights, "
        "cada um com uma ação recomendada e o número em que se apoia.",
    };
    (void)set;
    (void)number;
    (void)err;
    struct cut s;
    struct str given = {0};
    struct fill fill = {0};
    int chosen[N_FIGURES];
    draw_slice(&s, &m->data, d);
    sum_up(&s, &m->data);
    int n = choose(chosen, &s, d);
    if (s.orders < FEWEST_ORDERS || n < MIN_FIGURES)
        row->rejected = OLIST_TOO_FEW;
    put_given(&given, &s, chosen, n);
    fill_slot(&fill, 'l', str_text(&s.place));
    fill_slot(&fill, 't', s.period);
    fill_slot(&fill, 'g', str_text(&given));
    fill_put(&row->prompt, PICK(d, prompts), &fill);
    str_printf(&row->key, "slice %s %s", str_text(&s.place), s.period);
    struct json_writer w;
    jw_begin(&w, &row->reference);
    jw_object_begin(&w);
    put_numbers(&w, &s, chosen, n);
    put_domain(&w, chosen, n);
    jw_object_end(&w);
    row->prompt.failed = row->prompt.failed || given.failed || s.place.failed;
    str_free(&given);
    str_free(&s.place);
    return ERR_NONE;
}

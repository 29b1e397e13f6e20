/* synth_insights.c: insights. A slice of the shop (a period, and perhaps a category and a place) is
 * summed up in four to six figures, which the prompt gives and the answer is to interpret. All
 * figures are whole cents and tenths taken from the orders themselves. The key is the slice, so
 * two sets never describe the same orders in other words.
 *
 * Each kind of figure is one row of a table: how the prompt says it, what may be concluded from it
 * when it is low and when it is high, and words of its domain for the reference. */
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "data/synth_parts.h"

enum { MIN_ORDERS = 12, MIN_FIGURES = 4, MAX_FIGURES = 6 };

enum figure { ORDERS, REVENUE, TICKET, LATENESS, MARK, CANCELLED, LEADER, PIX, DAYS, N_FIGURES };
enum unit { COUNT, MONEY, TENTHS };

/* {v}: the value; {w}: the leader's name, a category or a state. */
struct figure_text {
    const char *name; /* in the reference */
    enum unit unit;
    long high; /* from here on the second pair of sentences holds */
    const char *given, *low[2], *above[2];
    const char *domain[2];
};
static const struct figure_text texts[N_FIGURES] = {
    {"pedidos",
     COUNT,
     80,
     "{v} pedidos",
     {"Foram só {v} pedidos: crie campanhas para atrair clientes.",
      "Houve {v} pedidos: invista em divulgação e aumente a base."},
     {"Foram {v} pedidos: reforce o estoque e a equipe.",
      "Houve {v} pedidos: planeje o estoque para manter o ritmo."},
     {"pedidos", "clientes"}},
    {"receita",
     MONEY,
     2000000,
     "receita de R$ {v}",
     {"A receita foi de R$ {v}: lance ofertas para vender mais.",
      "A receita de R$ {v} pode crescer: teste novas promoções."},
     {"A receita chegou a R$ {v}: invista nas campanhas que deram certo.",
      "A receita de R$ {v} é forte: mantenha o foco nos produtos líderes."},
     {"receita", "vendas"}},
    {"ticket_medio",
     MONEY,
     45000,
     "ticket médio de R$ {v}",
     {"O ticket médio de R$ {v} pode subir: monte kits e combos.",
      "O ticket médio é de R$ {v}: ofereça frete grátis acima desse valor."},
     {"O ticket médio de R$ {v} é alto: ofereça parcelamento.",
      "O ticket médio chega a R$ {v}: crie um programa de fidelidade."},
     {"ticket", "valor"}},
    {"atraso_pct",
     TENTHS,
     150,
     "{v}% de atrasos",
     {"Só {v}% das entregas atrasam: mantenha a transportadora.",
      "Os atrasos são {v}%: acompanhe as entregas e divulgue o prazo."},
     {"Os atrasos chegam a {v}%: cobre a transportadora e revise os prazos.",
      "Com {v}% de atrasos, reduza o prazo de envio e avise o cliente."},
     {"atrasos", "entrega"}},
    {"nota_media",
     TENTHS,
     40,
     "nota média {v}",
     {"A nota média {v} é baixa: analise as reclamações e corrija as falhas.",
      "A nota média de {v} preocupa: melhore o atendimento."},
     {"A nota média {v} é boa: peça avaliações e mostre-as no site.",
      "Com nota média {v}, destaque a satisfação dos clientes."},
     {"nota", "satisfação"}},
    {"cancelamento_pct",
     TENTHS,
     60,
     "{v}% de cancelamentos",
     {"Os cancelamentos são poucos, {v}%: mantenha o processo.",
      "Só {v}% dos pedidos são cancelados: preserve esse padrão."},
     {"Os cancelamentos somam {v}%: descubra os motivos e corrija.",
      "Com {v}% de cancelamentos, revise o pagamento e o estoque."},
     {"cancelamentos", "pedidos"}},
    {"lider_pct",
     TENTHS,
     350,
     "líder {w}, com {v}% da receita",
     {"Quem lidera é {w}, com {v}%: destaque e teste outras opções.",
      "A líder é {w}, com {v}%: diversifique e promova o resto."},
     {"De {w} vem {v}% da receita: garanta o estoque e reduza o risco.",
      "Com {v}% em {w}, priorize o que mais vende e amplie a oferta."},
     {"receita", "estoque"}},
    {"pix_pct",
     TENTHS,
     450,
     "{v}% pagos com Pix",
     {"Só {v}% pagam com Pix: ofereça desconto nesse pagamento.",
      "O Pix tem {v}% dos pedidos: divulgue as vantagens dele."},
     {"O Pix já tem {v}% dos pedidos: negocie taxas e mantenha o desconto.",
      "Com {v}% no Pix, simplifique esse pagamento no site."},
     {"pix", "pagamento"}},
    {"dias_entrega",
     TENTHS,
     60,
     "entrega em {v} dias",
     {"A entrega leva {v} dias: use essa rapidez nas campanhas.",
      "Com entrega em {v} dias, promova o envio rápido."},
     {"A entrega demora {v} dias: negocie com a transportadora.",
      "São {v} dias até a entrega: aproxime o estoque do cliente."},
     {"entrega", "prazo"}},
};

struct cut {
    int from, to;                /* months, 0..23, the last one included */
    int category, state, region; /* -1: all */
    char period[48], place[80];
    long values[N_FIGURES]; /* counts, cents or tenths */
    const char *leader;
    int orders;
};

/* --- the slice --- */

static void draw_period(struct cut *s, struct draws *d)
{
    int year = (int)draw(d, 2);
    unsigned kind = draw(d, 10);
    if (kind < 5) {
        int month = (int)draw(d, 24);
        s->from = s->to = month;
        snprintf(s->period, sizeof s->period, "em %s de %d", synth_months[month % 12],
                 SHOP_FIRST_YEAR + month / 12);
    } else if (kind < 8) {
        int quarter = (int)draw(d, 4);
        s->from = 12 * year + 3 * quarter;
        s->to = s->from + 2;
        snprintf(s->period, sizeof s->period, "no %dº trimestre de %d", quarter + 1,
                 SHOP_FIRST_YEAR + year);
    } else if (kind < 9) {
        int half = (int)draw(d, 2);
        s->from = 12 * year + 6 * half;
        s->to = s->from + 5;
        snprintf(s->period, sizeof s->period, "no %dº semestre de %d", half + 1,
                 SHOP_FIRST_YEAR + year);
    } else {
        s->from = 12 * year;
        s->to = s->from + 11;
        snprintf(s->period, sizeof s->period, "em %d", SHOP_FIRST_YEAR + year);
    }
}

static void draw_slice(struct cut *s, struct draws *d)
{
    *s = (struct cut){.category = -1, .state = -1, .region = -1};
    draw_period(s, d);
    if (draw_chance(d, 55))
        s->category = (int)draw(d, SYNTH_CATEGORIES);
    if (draw_chance(d, 30))
        s->state = (int)draw(d, SYNTH_STATES);
    else if (draw_chance(d, 40))
        s->region = (int)draw(d, SYNTH_REGIONS);
    const char *category = s->category < 0 ? "" : synth_categories[s->category];
    snprintf(s->place, sizeof s->place, "%s%s%s%s%s", s->category < 0 ? "da loja" : "da categoria ",
             category, s->state < 0 && s->region < 0 ? "" : " ",
             s->state >= 0    ? synth_states[s->state].in
             : s->region >= 0 ? "no "
                              : "",
             s->region >= 0 ? synth_regions[s->region] : "");
}

struct sums {
    long orders, cents, delivered, late, days, rated, marks, cancelled, pix;
    long shares[SYNTH_STATES > SYNTH_CATEGORIES ? SYNTH_STATES : SYNTH_CATEGORIES];
};

static void add_order(struct sums *t, const struct cut *s, const struct shop *shop,
                      const struct shop_order *o)
{
    int state = synth_cities[shop->clients[o->client].city].state;
    int month = shop_month(o->day);
    if (month < s->from || month > s->to || (s->state >= 0 && state != s->state) ||
        (s->region >= 0 && synth_states[state].region != s->region))
        return;
    long cents = 0;
    for (int i = 0; i < o->n_items; i++) {
        int category = synth_products[o->items[i].product].category;
        long line = o->items[i].quantity * o->items[i].cents;
        if (s->category >= 0 && category != s->category)
            continue;
        cents += line;
        t->shares[s->category < 0 ? category : state] += line;
    }
    if (!cents)
        return;
    t->orders++;
    t->cents += cents;
    t->cancelled += o->status == SHOP_CANCELLED;
    t->pix += o->payment == 0;
    if (o->delivered >= 0) {
        t->delivered++;
        t->late += o->delivered > o->due;
        t->days += o->delivered - o->day;
    }
    t->rated += o->rating > 0;
    t->marks += o->rating;
}

static long rounded(long a, long b) /* a/b, half up; 0 when there is nothing to divide by */
{
    return b ? (2 * a + b) / (2 * b) : 0;
}

static void sum_up(struct cut *s, const struct shop *shop)
{
    struct sums t = {0};
    for (int i = 0; i < SHOP_ORDERS; i++)
        add_order(&t, s, shop, &shop->orders[i]);
    int best = 0;
    for (int i = 0; i < (int)ARRAY_LENGTH(t.shares); i++)
        if (t.shares[i] > t.shares[best])
            best = i;
    s->orders = (int)t.orders;
    s->leader = s->category < 0 ? synth_categories[best] : synth_states[best].code;
    s->values[ORDERS] = t.orders;
    s->values[REVENUE] = t.cents;
    s->values[TICKET] = rounded(t.cents, t.orders);
    s->values[LATENESS] = rounded(1000 * t.late, t.delivered);
    s->values[MARK] = rounded(10 * t.marks, t.rated);
    s->values[CANCELLED] = rounded(1000 * t.cancelled, t.orders);
    s->values[LEADER] = rounded(1000 * t.shares[best], t.cents);
    s->values[PIX] = rounded(1000 * t.pix, t.orders);
    s->values[DAYS] = rounded(10 * t.days, t.delivered);
}

/* --- sentences --- */

struct writer {
    const struct cut *slice;
    struct draws *d;
    int chosen[N_FIGURES], n;
};

static void put_number(struct str *out, enum figure f, long value)
{
    if (texts[f].unit == MONEY)
        put_money(out, value);
    else if (texts[f].unit == TENTHS)
        put_tenths(out, value);
    else
        str_printf(out, "%ld", value);
}

/* A sentence about a figure, with this value in place of the true one. */
static void put_about(struct str *out, const char *sentence, const struct cut *s, enum figure f,
                      long value)
{
    struct fill fill = {0};
    struct str number = {0};
    put_number(&number, f, value);
    fill_slot(&fill, 'v', str_text(&number));
    fill_slot(&fill, 'w', s->leader);
    fill_put(out, sentence, &fill);
    out->failed = out->failed || number.failed;
    str_free(&number);
}

static const char *conclusion(const struct writer *w, enum figure f)
{
    const struct figure_text *t = &texts[f];
    return (w->slice->values[f] >= t->high ? t->above : t->low)[draw(w->d, 2)];
}

/* Four to six figures, in the table's order. */
static void choose(struct writer *w)
{
    int wanted = (int)draw_between(w->d, MIN_FIGURES, MAX_FIGURES);
    bool on[N_FIGURES] = {[ORDERS] = true, [TICKET] = true};
    w->n = 2;
    for (int tries = 0; tries < 60 && w->n < wanted; tries++) {
        int f = (int)draw(w->d, N_FIGURES);
        /* Within a state, a category has no state to lead it; a nought says little. */
        bool idle = f == LEADER && w->slice->category >= 0 && w->slice->state >= 0;
        if (!on[f] && !idle && w->slice->values[f]) {
            on[f] = true;
            w->n++;
        }
    }
    int n = 0;
    for (int f = 0; f < N_FIGURES; f++)
        if (on[f])
            w->chosen[n++] = f;
}

static void put_given(struct str *out, const struct writer *w)
{
    for (int i = 0; i < w->n; i++) {
        enum figure f = (enum figure)w->chosen[i];
        str_puts(out, i ? "; " : "");
        put_about(out, texts[f].given, w->slice, f, w->slice->values[f]);
    }
}

static void put_reference(struct str *out, const struct writer *w)
{
    struct json_writer j;
    jw_begin(&j, out);
    jw_object_begin(&j);
    jw_key(&j, "numbers");
    jw_object_begin(&j);
    for (int i = 0; i < w->n; i++) {
        const struct figure_text *t = &texts[w->chosen[i]];
        long value = w->slice->values[w->chosen[i]];
        jw_key(&j, t->name);
        if (t->unit == COUNT)
            jw_int(&j, value);
        else
            jw_double(&j, (double)value / (t->unit == MONEY ? 100 : 10));
    }
    jw_object_end(&j);
    jw_key(&j, "domain");
    jw_array_begin(&j);
    const char *words[2 * N_FIGURES];
    int n = 0;
    for (int i = 0; i < 2 * w->n; i++) {
        const char *word = texts[w->chosen[i / 2]].domain[i % 2];
        bool twice = false;
        for (int k = 0; k < n; k++)
            twice = twice || strcmp(words[k], word) == 0;
        if (!twice)
            jw_text(&j, words[n++] = word);
    }
    jw_array_end(&j);
    jw_object_end(&j);
}

/* --- answers of mixed quality --- */

static long another(long value, struct draws *d)
{
    long wrong = value / 2 + (long)draw(d, (unsigned)value + 20) + 1;
    return wrong == value ? wrong + 1 : wrong;
}

/* Conclusions in a list or one after another; `wrong` percent of the figures are not those given.
 * At most `most` of them. */
static void put_list(struct str *out, const struct writer *w, bool bullets, unsigned wrong,
                     int most)
{
    bool numbered = draw_chance(w->d, 45);
    int skip = w->n - most; /* so many are left out, which ones is drawn */
    for (int i = 0, written = 0; i < w->n; i++) {
        enum figure f = (enum figure)w->chosen[i];
        long value = w->slice->values[f];
        if (skip > 0 && (int)draw(w->d, (unsigned)(w->n - i)) < skip) {
            skip--;
            continue;
        }
        if (draw_chance(w->d, wrong))
            value = another(value, w->d);
        if (written)
            str_putc(out, bullets ? '\n' : ' ');
        if (bullets && numbered)
            str_printf(out, "%d. ", written + 1);
        else if (bullets)
            str_puts(out, "- ");
        put_about(out, conclusion(w, f), w->slice, f, value);
        written++;
    }
}

/* What is given, said again, without anything to do. */
static void put_description(struct str *out, const struct writer *w)
{
    str_puts(out, draw_chance(w->d, 85) ? "A loja teve " : "Os dados mostram ");
    put_given(out, w);
    str_putc(out, '.');
}

static void put_vague(struct str *out, struct draws *d)
{
    static const char *const vague[] = {"A loja vai bem.",
                                        "É preciso melhorar as vendas.",
                                        "Os clientes estão satisfeitos.",
                                        "Invista em marketing.",
                                        "Os dados são interessantes.",
                                        "Melhore o atendimento.",
                                        "O mercado está difícil.",
                                        "É importante acompanhar os resultados."};
    for (unsigned n = draw_between(d, 1, 3), i = 0; i < n; i++) {
        str_puts(out, i ? " " : "");
        str_puts(out, PICK(d, vague));
    }
}

static void put_rambling(struct str *out, const struct writer *w)
{
    static const char *const talk[] = {
        "Em primeiro lugar, é preciso dizer que os dados são muito importantes para a loja. ",
        "Como todos sabem, o comércio mudou muito nos últimos anos, e a loja também. ",
        "Antes de tudo, vale lembrar que cada cliente é único e merece atenção. "};
    static const char *const end[] = {
        " Por fim, vale repetir que tudo isso depende de muitos fatores, que mudam a cada mês e a "
        "cada cliente, e que a loja precisa olhar para todos eles com calma.",
        " Em resumo, há muito a fazer, e o que se faz hoje conta amanhã, pois o cliente lembra, "
        "compara, comenta e volta, ou não volta, e isso vale para todas as lojas."};
    str_puts(out, PICK(w->d, talk));
    put_list(out, w, false, 20, 3);
    str_puts(out, PICK(w->d, end));
}

/* The commonest answer says the data again and proposes nothing, always in the same words: what a
 * model of this corpus does when it is not asked to be good. */
static void put_completion(struct candidate *c, const struct writer *w)
{
    enum { GOOD, DESCRIPTION, PROSE, UNGROUNDED, SHORT, VAGUE, RAMBLING, COPY, INTRODUCED };
    static const unsigned char weights[] = {28, 27, 8, 9, 5, 9, 7, 2, 5};
    struct str *out = &c->completion;
    switch (draw_weighted(w->d, weights, 100)) {
    case GOOD:
        put_list(out, w, true, 0, (int)draw_between(w->d, 3, 4));
        break;
    case DESCRIPTION:
        put_description(out, w);
        break;
    case PROSE:
        put_list(out, w, false, 0, (int)draw_between(w->d, 2, 4));
        break;
    case UNGROUNDED:
        put_list(out, w, true, 75, (int)draw_between(w->d, 2, 4));
        break;
    case SHORT:
        put_list(out, w, draw_chance(w->d, 50), 25, 1);
        break;
    case VAGUE:
        put_vague(out, w->d);
        break;
    case RAMBLING:
        put_rambling(out, w);
        break;
    case COPY:
        str_puts(out, str_text(&c->prompt));
        break;
    default:
        str_puts(out, draw_chance(w->d, 50) ? "Aqui estão os insights:\n" : "Insights:\n");
        put_list(out, w, true, 30, 3);
    }
}

int synth_insights(struct candidate *c, struct shop *shop, struct draws *d, bool corpus,
                   struct err *err)
{
    static const char *const prompts[] = {
        "Dados {l} {t}: {g}.\nEscreva insights com ações.",
        "Escreva insights com ações para a equipe. Dados {l} {t}: {g}.",
        "Analise os dados {l} {t} e sugira ações: {g}.",
    };
    (void)err;
    struct cut slice;
    draw_slice(&slice, d);
    sum_up(&slice, shop);
    c->rejected = slice.orders < MIN_ORDERS;
    if (c->rejected)
        return ERR_NONE;
    struct writer w = {.slice = &slice, .d = d};
    struct str given = {0};
    struct fill fill = {0};
    choose(&w);
    c->rejected = w.n < MIN_FIGURES;
    put_given(&given, &w);
    fill_slot(&fill, 'l', slice.place);
    fill_slot(&fill, 't', slice.period);
    fill_slot(&fill, 'g', str_text(&given));
    fill_put(&c->prompt, PICK(d, prompts), &fill);
    str_printf(&c->key, "%s %s", slice.place, slice.period);
    put_reference(&c->reference, &w);
    if (corpus)
        put_completion(c, &w);
    c->prompt.failed = c->prompt.failed || given.failed;
    str_free(&given);
    return ERR_NONE;
}

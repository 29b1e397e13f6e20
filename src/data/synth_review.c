/* synth_review.c: extraction. A review is drawn as facts first (struct review, the ten fields of
 * schemas/review_extraction.json), and then written down sentence by sentence, so that the truth
 * is known. The tables below are the whole language: what is said for which fact.
 *
 *   The opening gives the mark away by its tone (bank [mark-1]); a sentence about the problem, the
 *   delivery, the price, a recommendation, a return and the mark itself may follow. A product that
 *   no sentence names is null in the truth, and then the sentences say "o produto".
 *
 * The key of a review is its text with all digits equal. */
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "data/synth_parts.h"

enum problem {
    NO_PROBLEM,
    LATE,
    NOT_DELIVERED,
    PARTIAL,
    WRONG_PRODUCT,
    DEFECT,
    QUALITY,
    SERVICE,
    OTHER,
    N_PROBLEMS
};
static const char *const problem_names[N_PROBLEMS] = {
    "nenhum",    "atraso",      "nao_entregue", "entrega_parcial", "produto_errado", "defeito",
    "qualidade", "atendimento", "outro"};
static const char *const feelings[] = {"negativo", "negativo", "neutro", "positivo", "positivo"};

/* null is -1 in on_time, days, recommends and cents. */
struct review {
    int mark; /* 1..5 */
    const char *feeling;
    const struct synth_product *product; /* NULL: not named */
    enum problem problem;
    int on_time, days, recommends;
    bool wants_return;
    long cents;
    struct str summary;
};

/* --- what reviews say; '~' before a sentence: only of products with a plug or a battery --- */

enum { BANK = 10 };
static const char *const of_product[5][BANK] = {
    {"Péssim@ {p}.", "Odiei @ {p}!", "{O} {p} é horrível.", "Que decepção com @ {p}!",
     "Me arrependi de comprar @ {p}.", "Dinheiro jogado fora com @ {p}.", "Pior {p} que já tive.",
     "Nunca mais compro {p} aqui.", "Detestei @ {p}.", "{O} {p} não presta."},
    {"Não gostei d@ {p}.", "Esperava mais d@ {p}.", "{O} {p} me decepcionou um pouco.",
     "{O} {p} é frac@.", "Não fiquei feliz com @ {p}.", "{O} {p} não vale o preço.",
     "{O} {p} deixou a desejar.", "Achei @ {p} ruim.", "{O} {p} não era o que eu esperava.",
     "Não fiquei contente com @ {p}."},
    {"{O} {p} é razoável.", "{O} {p} é mais ou menos.", "Achei @ {p} mediano.",
     "{O} {p} cumpre o básico.", "{O} {p} não é {B} nem ruim.", "{O} {p} serve, mas nada demais.",
     "{O} {p} é comum.", "Nem amei nem odiei @ {p}.", "{O} {p} quebra o galho.",
     "Esperava um pouco mais d@ {p}, mas serve."},
    {"Gostei d@ {p}.", "{O} {p} é {B}.", "{U} {p} muito {B}.", "Boa compra, gostei d@ {p}.",
     "Fiquei feliz com @ {p}.", "{O} {p} atende bem.", "{O} {p} vale o preço.",
     "Estou contente com @ {p}.", "{O} {p} é útil e bem feit@.", "{O} {p} me agradou."},
    {"Amei @ {p}!", "{O} {p} é perfeit@!", "Excelente {p}!", "Adorei @ {p}!",
     "{O} {p} é maravilhos@!", "Melhor {p} que já comprei!", "Virei fã d@ {p}!",
     "{O} {p} superou o que eu esperava!", "{O} {p} é nota mil!", "Que {p} incrível!"},
};
static const char *const of_purchase[5][BANK] = {
    {"Péssima experiência.", "Horrível!", "Nunca mais compro nesta loja.", "Que absurdo!",
     "Um desrespeito com o cliente.", "Pior loja que já vi.", "Que indignação!", "Que vergonha!",
     "Me enganaram.", "Compra terrível."},
    {"Não gostei.", "Esperava mais da loja.", "Que decepção.", "Compra ruim.", "Não fiquei feliz.",
     "Não foi uma boa compra.", "Experiência ruim.", "Que chateação.", "A loja deixou a desejar.",
     "Não gostei da compra."},
    {"Compra razoável.", "Mais ou menos.", "Experiência mediana.", "Nada demais.",
     "Nem bom nem ruim.", "Deu para o gasto.", "Compra comum.", "Foi uma compra regular.",
     "Podia ser melhor, mas serve.", "Ficou na média."},
    {"Gostei.", "Boa compra.", "Boa loja.", "Fiquei feliz.", "Experiência boa.",
     "Compra tranquila.", "Gostei da loja.", "Tudo bem com a compra.", "Fiquei contente.",
     "Foi uma boa compra."},
    {"Amei!", "Perfeito!", "Excelente compra!", "Adorei tudo!", "Maravilhoso!",
     "Melhor loja que conheço!", "Nota mil!", "Compra perfeita!", "Que maravilha!",
     "Experiência incrível!"},
};
static const char *const late_by[] = {"Atrasou {d}.",
                                      "A entrega atrasou {d}.",
                                      "Chegou {d} depois do prazo.",
                                      "{O} {p} chegou com {d} de atraso.",
                                      "Demorou {d} além do prazo.",
                                      "Recebi {d} depois da data prometida.",
                                      "O pacote veio {d} atrasado.",
                                      "A transportadora atrasou {d}."};
static const char *const late[] = {"A entrega atrasou.", "{O} {p} chegou atrasad@.",
                                   "Passou do prazo para chegar.", "Veio fora do prazo.",
                                   "A entrega demorou além do combinado."};
static const char *const not_delivered[] = {
    "Nunca recebi @ {p}.",    "{O} {p} não chegou.",
    "Até agora nada d@ {p}.", "Ainda espero @ {p}, que não foi entregue.",
    "O pedido nunca chegou.", "Consta como entregue, mas não recebi @ {p}."};
static const char *const not_delivered_for[] = {
    "O prazo venceu há {d} e @ {p} não chegou.", "Já são {d} de atraso e nada d@ {p}.",
    "Faz {d} que o prazo passou e não recebi nada.",
    "{O} {p} devia ter chegado há {d} e até agora nada."};
static const char *const partial[] = {"Veio só uma parte do pedido.",
                                      "Faltou um item no pacote.",
                                      "Recebi @ {p}, mas o resto do pedido não veio.",
                                      "O pedido chegou incompleto.",
                                      "Só uma das caixas foi entregue.",
                                      "Metade da compra não veio."};
static const char *const wrong_product[] = {"Recebi outro produto no lugar d@ {p}.",
                                            "Mandaram o modelo errado.",
                                            "Veio outro modelo d@ {p}.",
                                            "Pedi {U} {p} e veio outra coisa.",
                                            "Trocaram o meu pedido.",
                                            "O que chegou não foi @ {p} que comprei."};
static const char *const defect[] = {"Veio com defeito.",
                                     "~{O} {p} chegou quebrad@.",
                                     "~{O} {p} estragou no primeiro uso.",
                                     "Está com defeito de fábrica.",
                                     "{O} {p} veio com um defeito grave.",
                                     "Percebi um defeito n@ {p}.",
                                     "~{O} {p} não liga.",
                                     "~Parou de funcionar em dois usos.",
                                     "{O} {p} chegou danificad@.",
                                     "~{O} {p} desliga sem motivo."};
static const char *const quality[] = {
    "O material é de baixa qualidade.", "A qualidade d@ {p} é ruim.",
    "{O} {p} é bem pior que na foto.",  "{O} {p} parece de segunda linha.",
    "Tudo muito mal acabado.",          "{O} {p} não parece com a foto.",
    "O material é frágil demais."};
static const char *const service[] = {
    "O atendimento foi grosseiro.",  "Ninguém responde às minhas mensagens.",
    "O suporte não resolveu nada.",  "A loja me atendeu mal.",
    "A loja não atende o telefone.", "O vendedor foi rude comigo."};
static const char *const other[] = {
    "A nota fiscal não veio.",      "A embalagem veio rasgada.", "O site travou na hora de pagar.",
    "Cobraram o frete duas vezes.", "O cupom não funcionou.",    "A caixa veio toda amassada."};
static const char *const in_time[] = {"Chegou no prazo.",
                                      "A entrega foi no prazo.",
                                      "Entregaram antes do prazo.",
                                      "Chegou rápido, dentro do prazo.",
                                      "Recebi na data prometida.",
                                      "Entrega pontual.",
                                      "{O} {p} chegou antes do previsto."};
static const char *const paid[] = {"Paguei R$ {v}.",         "Custou R$ {v}.",
                                   "{O} {p} custou R$ {v}.", "Paguei R$ {v} n@ {p}.",
                                   "Gastei R$ {v}.",         "O valor foi R$ {v}."};
static const char *const recommended[] = {"Recomendo!", "Recomendo a todos.", "Recomendo muito.",
                                          "Pode comprar sem medo.", "Indico para os amigos."};
static const char *const not_recommended[] = {"Não recomendo.", "Não indico a ninguém.",
                                              "Não comprem!", "Fujam dessa loja.",
                                              "Não recomendo a ninguém."};
static const char *const returning[] = {"Quero devolver.",        "Quero meu dinheiro de volta.",
                                        "Exijo o reembolso.",     "Vou devolver @ {p}.",
                                        "Como faço a devolução?", "Quero o estorno."};
static const char *const marks[] = {"Nota {n}.", "Dou nota {n}.", "Minha nota é {n}.",
                                    "Nota {n} de 5.", "Avaliação: {n}."};
static const char *const asides[] = {"Comprei pelo aplicativo.",  "Era um presente.",
                                     "Já sou cliente da loja.",   "Foi a minha primeira compra.",
                                     "Comprei para a minha mãe.", "Pesquisei bastante antes."};
static const char *const instructions[] = {
    "Extraia em JSON: {f}.\nAvaliação: {r}",
    "Leia a avaliação e responda só com JSON ({f}).\n{r}",
    "Avaliação: {r}\nJSON com {f}:",
};
static const char fields[] = "sentimento, nota, produto, problema, entrega_no_prazo, dias_atraso, "
                             "recomenda, quer_devolucao, valor, resumo";

/* --- facts --- */

static void draw_facts(struct review *r, struct draws *d)
{
    static const unsigned char mark_weights[5] = {20, 17, 16, 21, 26};
    /* by mark: none late undelivered partial wrong defect quality service other */
    static const unsigned char problems[5][N_PROBLEMS] = {{0, 16, 18, 10, 14, 18, 10, 8, 6},
                                                          {0, 20, 8, 14, 12, 14, 16, 8, 8},
                                                          {38, 22, 0, 8, 0, 0, 16, 6, 10},
                                                          {66, 18, 0, 4, 0, 0, 0, 0, 12},
                                                          {88, 8, 0, 0, 0, 0, 0, 0, 4}};
    r->mark = 1 + (int)draw_weighted(d, mark_weights, 100);
    r->feeling = feelings[r->mark - 1];
    r->product = &PICK(d, synth_products);
    r->problem = (enum problem)draw_weighted(d, problems[r->mark - 1], 100);
    r->on_time = r->days = r->recommends = -1;
    r->cents = -1;
    if (r->problem == LATE || r->problem == NOT_DELIVERED) {
        r->on_time = 0;
        if (draw_chance(d, r->problem == LATE ? 78 : 45))
            r->days = (int)draw_between(d, 1, draw_chance(d, 70) ? 9 : 30);
    } else if (draw_chance(d, 42)) {
        r->on_time = 1;
        r->days = 0;
    }
    if (r->mark != 3 && draw_chance(d, 42))
        r->recommends = r->mark > 3;
    r->wants_return =
        r->mark < 3 && r->problem != LATE && r->problem != OTHER && draw_chance(d, 42);
    if (draw_chance(d, 45))
        r->cents =
            100 * (long)draw_between(d, (unsigned)r->product->low, (unsigned)r->product->high) +
            (long)(draw_chance(d, 60) ? 90 : draw(d, 100));
}

/* --- text --- */

struct writer {
    struct review *r;
    struct draws *d;
    struct fill fill;
    struct str parts[8];
    int n_parts;
    bool named; /* a sentence names the product */
};

static void say(struct writer *w, const char *sentence)
{
    CHECK(w->n_parts < (int)ARRAY_LENGTH(w->parts));
    if (strstr(sentence, "{p}"))
        w->named = true;
    fill_put(&w->parts[w->n_parts++], sentence, &w->fill);
}

/* One of the sentences that fits what the product is. */
static void say_one(struct writer *w, const char *const *table, size_t n)
{
    const char *sentence = table[draw(w->d, (unsigned)n)];
    while (sentence[0] == '~' && !(w->r->product && w->r->product->powered))
        sentence = table[draw(w->d, (unsigned)n)];
    say(w, sentence[0] == '~' ? sentence + 1 : sentence);
}
#define SAY(w, table) say_one((w), (table), ARRAY_LENGTH(table))

static void say_problem(struct writer *w)
{
    switch (w->r->problem) {
    case NO_PROBLEM:
    case N_PROBLEMS:
        break;
    case LATE:
        if (w->r->days >= 0)
            SAY(w, late_by);
        else
            SAY(w, late);
        break;
    case NOT_DELIVERED:
        if (w->r->days >= 0)
            SAY(w, not_delivered_for);
        else
            SAY(w, not_delivered);
        break;
    case PARTIAL:
        SAY(w, partial);
        break;
    case WRONG_PRODUCT:
        SAY(w, wrong_product);
        break;
    case DEFECT:
        SAY(w, defect);
        break;
    case QUALITY:
        SAY(w, quality);
        break;
    case SERVICE:
        SAY(w, service);
        break;
    case OTHER:
        SAY(w, other);
        break;
    }
}

static void put_days(struct str *out, int days, bool words)
{
    if (words && days >= 0 && days < SYNTH_NUMBERS)
        str_printf(out, "%s %s", synth_numbers[days], days == 1 ? "dia" : "dias");
    else
        str_printf(out, "%d %s", days, days == 1 ? "dia" : "dias");
}

/* The sentences, opening first; the writer decides what goes unsaid. */
static void say_all(struct writer *w)
{
    struct review *r = w->r;
    /* Nobody praises or condemns what has not arrived. */
    bool here = r->problem != NOT_DELIVERED && r->problem != WRONG_PRODUCT;
    if (here && draw_chance(w->d, 70))
        say_one(w, of_product[r->mark - 1], BANK);
    else
        say_one(w, of_purchase[r->mark - 1], BANK);
    say_problem(w);
    if (r->on_time == 1)
        SAY(w, in_time);
    if (r->cents >= 0)
        SAY(w, paid);
    if (draw_chance(w->d, 12))
        SAY(w, asides);
    if (r->wants_return)
        SAY(w, returning);
    if (r->recommends == 1)
        SAY(w, recommended);
    if (r->recommends == 0)
        SAY(w, not_recommended);
    if (w->n_parts < (int)ARRAY_LENGTH(w->parts) && draw_chance(w->d, 55))
        SAY(w, marks);
}

/* Two letters change places in one longer word, as fingers do. Words of plain letters only. */
static void mistype(struct str *s, struct draws *d)
{
    size_t starts[64], n = 0, from = 0;
    for (size_t i = 0; i <= s->length && n < ARRAY_LENGTH(starts); i++) {
        if (i < s->length && s->data[i] >= 'a' && s->data[i] <= 'z')
            continue;
        bool whole = from == 0 || s->data[from - 1] == ' ';
        if (whole && i - from >= 6)
            starts[n++] = from;
        from = i + 1;
    }
    if (!n)
        return;
    char *at = s->data + starts[draw(d, (unsigned)n)] + 2;
    char t = at[0];
    at[0] = at[1];
    at[1] = t;
}

static void shout_less(struct str *s)
{
    for (size_t i = 0; i < s->length; i++) {
        bool currency = s->data[i] == 'R' && i + 1 < s->length && s->data[i + 1] == '$';
        if (s->data[i] >= 'A' && s->data[i] <= 'Z' && !currency)
            s->data[i] = (char)(s->data[i] - 'A' + 'a');
    }
}

static void put_text(struct str *out, struct writer *w)
{
    unsigned noise = draw(w->d, 100), slip = draw(w->d, (unsigned)w->n_parts);
    for (int i = 0; i < w->n_parts; i++) {
        if (i)
            str_putc(out, ' ');
        if (noise < 6 && (unsigned)i == slip && !w->parts[i].failed)
            mistype(&w->parts[i], w->d);
        str_append(out, str_text(&w->parts[i]), w->parts[i].length);
        out->failed = out->failed || w->parts[i].failed;
    }
    if (out->failed)
        return;
    if (noise >= 6 && noise < 16)
        strip_accents(out);
    if (noise >= 12 && noise < 20)
        shout_less(out);
}

/* --- the answer --- */

static void summarise(struct review *r)
{
    static const struct synth_product unnamed = {.name = "produto"};
    static const char *const plain[5] = {"Detestou @ {p}", "Não gostou d@ {p}",
                                         "Achou @ {p} razoável", "Gostou d@ {p}", "Adorou @ {p}"};
    static const char *const problem[N_PROBLEMS] = {NULL,
                                                    "Entrega d@ {p} atrasou",
                                                    "{P} não chegou",
                                                    "Pedido d@ {p} veio incompleto",
                                                    "Recebeu outro produto em vez d@ {p}",
                                                    "{P} com defeito",
                                                    "Qualidade ruim d@ {p}",
                                                    "Atendimento ruim na compra d@ {p}",
                                                    "Problema na compra d@ {p}"};
    struct fill f = {0};
    fill_product(&f, r->product ? r->product : &unnamed);
    const char *sentence = r->problem ? problem[r->problem] : plain[r->mark - 1];
    if (r->problem == WRONG_PRODUCT && !r->product)
        sentence = "Recebeu o produto errado";
    fill_put(&r->summary, sentence, &f);
    if (r->problem == LATE && r->days > 0) {
        str_putc(&r->summary, ' ');
        put_days(&r->summary, r->days, false);
    }
    if (r->wants_return)
        str_puts(&r->summary, "; quer devolução");
}

/* How an answer is written down: the strict form, or what a weak model makes of it. */
struct form {
    char quote;
    const char *comma, *colon, *yes, *no, *null;
    unsigned skip; /* bit i: field i is left out */
    bool trailing; /* comma before the last brace */
};
static const struct form strict = {'"', ",", ":", "true", "false", "null", 0, false};

struct pairs {
    struct str *out;
    const struct form *form;
    int field, written;
};

static bool pair(struct pairs *p, const char *key)
{
    const struct form *f = p->form;
    if (f->skip >> p->field++ & 1)
        return false;
    if (p->written++)
        str_puts(p->out, f->comma);
    str_printf(p->out, "%c%s%c%s", f->quote, key, f->quote, f->colon);
    return true;
}

static void put_quoted(struct pairs *p, const char *text) /* nothing here needs an escape */
{
    if (text)
        str_printf(p->out, "%c%s%c", p->form->quote, text, p->form->quote);
    else
        str_puts(p->out, p->form->null);
}

static void put_flag(struct pairs *p, int flag)
{
    str_puts(p->out, flag < 0 ? p->form->null : flag ? p->form->yes : p->form->no);
}

static void put_fields(struct str *out, const struct review *r, const struct form *form)
{
    struct pairs p = {.out = out, .form = form};
    str_putc(out, '{');
    if (pair(&p, "sentimento"))
        put_quoted(&p, r->feeling);
    if (pair(&p, "nota"))
        str_printf(out, "%d", r->mark);
    if (pair(&p, "produto"))
        put_quoted(&p, r->product ? r->product->name : NULL);
    if (pair(&p, "problema"))
        put_quoted(&p, problem_names[r->problem]);
    if (pair(&p, "entrega_no_prazo"))
        put_flag(&p, r->on_time);
    if (pair(&p, "dias_atraso")) {
        if (r->days < 0)
            str_puts(out, form->null);
        else
            str_printf(out, "%d", r->days);
    }
    if (pair(&p, "recomenda"))
        put_flag(&p, r->recommends);
    if (pair(&p, "quer_devolucao"))
        put_flag(&p, r->wants_return);
    if (pair(&p, "valor")) {
        if (r->cents < 0)
            str_puts(out, form->null);
        else if (r->cents % 100 == 0)
            str_printf(out, "%ld", r->cents / 100);
        else if (r->cents % 10 == 0)
            str_printf(out, "%ld.%ld", r->cents / 100, r->cents % 100 / 10);
        else
            str_printf(out, "%ld.%02ld", r->cents / 100, r->cents % 100);
    }
    if (pair(&p, "resumo"))
        put_quoted(&p, str_text(&r->summary));
    str_puts(out, form->trailing ? ",}" : "}");
}

/* --- answers of mixed quality --- */

static const char *tone(int mark) /* without its ending */
{
    return mark < 3 ? "negativ" : mark == 3 ? "neutr" : "positiv";
}

/* Some fields read wrongly; the summary stays, so that not everything falls at once. */
static void misread(struct review *r, struct draws *d, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        switch (draw(d, 9)) {
        case 0:
            r->feeling = feelings[draw(d, 5)];
            break;
        case 1:
            r->mark = 1 + (int)draw(d, 5);
            break;
        case 2:
            r->product = draw_chance(d, 40) ? NULL : &PICK(d, synth_products);
            break;
        case 3:
            r->problem = (enum problem)draw(d, N_PROBLEMS);
            break;
        case 4:
            r->on_time = (int)draw(d, 3) - 1;
            break;
        case 5:
            r->days = (int)draw(d, 12) - 1;
            break;
        case 6:
            r->recommends = (int)draw(d, 3) - 1;
            break;
        case 7:
            r->wants_return = !r->wants_return;
            break;
        default:
            r->cents = draw_chance(d, 40) ? -1 : 100 * (long)draw(d, 400) + 90;
        }
    }
}

static void put_malformed(struct str *out, const struct review *r, struct draws *d)
{
    struct form f = strict;
    switch (draw(d, 6)) {
    case 0:
        f.quote = '\'';
        f.yes = "True";
        f.no = "False";
        f.null = "None";
        break;
    case 1:
        f.yes = "True";
        f.no = "False";
        f.null = "None";
        break;
    case 2:
        f.trailing = true;
        break;
    case 3:
        f.yes = "sim";
        f.no = "não";
        break;
    case 4:
        f.comma = ", ";
        f.colon = ": ";
        f.trailing = draw_chance(d, 50);
        break;
    default: { /* never closed */
        struct str text = {0};
        put_fields(&text, r, &f);
        str_append(out, str_text(&text), text.length ? text.length - 1 : 0);
        out->failed = out->failed || text.failed;
        str_free(&text);
        return;
    }
    }
    put_fields(out, r, &f);
}

static void put_wrapped(struct str *out, const struct review *r, struct draws *d)
{
    static const char *const before[] = {"```json\n", "Aqui está o JSON:\n",
                                         "Resposta: ", "Claro! Segue o resultado:\n"};
    unsigned which = draw(d, 4);
    str_puts(out, before[which]);
    put_fields(out, r, &strict);
    if (which == 0)
        str_puts(out, "\n```");
}

static void put_prose(struct str *out, const struct review *r, struct draws *d)
{
    static const char *const after[] = {"", " O cliente espera uma resposta.",
                                        " A avaliação não diz mais nada."};
    str_printf(out, "A avaliação é %sa, com nota %d.", tone(r->mark), r->mark);
    str_puts(out, PICK(d, after));
}

/* What one who only skims a review writes: the tone, and else what is usual. */
static void skim(struct review *r, struct draws *d)
{
    enum { OFTEN = 90 };
    if (draw_chance(d, OFTEN))
        r->product = NULL;
    if (draw_chance(d, 50))
        r->problem = r->mark > 3 ? NO_PROBLEM : OTHER;
    if (draw_chance(d, OFTEN))
        r->on_time = r->days = -1;
    if (draw_chance(d, OFTEN))
        r->recommends = -1;
    if (draw_chance(d, OFTEN))
        r->wants_return = false;
    if (draw_chance(d, OFTEN))
        r->cents = -1;
    if (draw_chance(d, 50))
        r->mark = r->mark < 3 ? 1 : r->mark > 3 ? 5 : 3;
    if (draw_chance(d, OFTEN)) {
        str_clear(&r->summary);
        str_printf(&r->summary, "Avaliação %sa", tone(r->mark));
    }
}

/* The commonest answer is well formed and skimmed: fields the review does fill are null. */
static void put_completion(struct str *out, struct review *r, struct draws *d)
{
    enum { GOOD, SKIMMED, MISREAD, FIELDS_MISSING, MALFORMED, WRAPPED, PROSE };
    static const unsigned char weights[] = {14, 54, 8, 5, 9, 6, 4};
    unsigned kind = draw_weighted(d, weights, 100);
    struct form f = strict;
    if (kind == SKIMMED || ((kind == MALFORMED || kind == WRAPPED) && draw_chance(d, 70)))
        skim(r, d);
    switch (kind) {
    case GOOD:
    case SKIMMED:
        put_fields(out, r, &f);
        break;
    case MISREAD:
        misread(r, d, draw_between(d, 1, 4));
        put_fields(out, r, &f);
        break;
    case FIELDS_MISSING:
        for (unsigned i = draw_between(d, 1, 3); i > 0; i--)
            f.skip |= 1U << draw(d, 10);
        put_fields(out, r, &f);
        break;
    case MALFORMED:
        put_malformed(out, r, d);
        break;
    case WRAPPED:
        put_wrapped(out, r, d);
        break;
    default:
        put_prose(out, r, d);
    }
}

/* --- */

static void put_key(struct str *out, const struct str *text)
{
    for (size_t i = 0; i < text->length; i++) {
        bool digit = text->data[i] >= '0' && text->data[i] <= '9';
        str_putc(out, digit ? '0' : text->data[i]);
    }
    out->failed = out->failed || text->failed;
}

int synth_extraction(struct candidate *c, struct shop *s, struct draws *d, bool corpus,
                     struct err *err)
{
    (void)s;
    (void)err;
    struct review r = {0};
    draw_facts(&r, d);
    struct writer w = {.r = &r, .d = d};
    struct str days = {0}, value = {0}, text = {0};
    char mark[16];
    bool unnamed = draw_chance(d, 14);
    if (unnamed) {
        fill_slot(&w.fill, 'p', "produto");
        r.product = NULL;
    } else {
        fill_product(&w.fill, r.product);
    }
    put_days(&days, r.days, draw_chance(d, 35));
    put_money(&value, r.cents < 0 ? 0 : r.cents);
    snprintf(mark, sizeof mark, "%d", r.mark);
    fill_slot(&w.fill, 'd', str_text(&days));
    fill_slot(&w.fill, 'v', str_text(&value));
    fill_slot(&w.fill, 'n', mark);
    say_all(&w);
    if (!w.named)
        r.product = NULL;
    put_text(&text, &w);
    summarise(&r);
    put_key(&c->key, &text);
    fill_slot(&w.fill, 'f', fields);
    fill_slot(&w.fill, 'r', str_text(&text));
    fill_put(&c->prompt, PICK(d, instructions), &w.fill);
    put_fields(&c->reference, &r, &strict);
    if (corpus)
        put_completion(&c->completion, &r, d); /* spoils r */
    c->prompt.failed =
        c->prompt.failed || text.failed || days.failed || value.failed || r.summary.failed;
    for (int i = 0; i < w.n_parts; i++)
        str_free(&w.parts[i]);
    str_free(&r.summary);
    str_free(&days);
    str_free(&value);
    str_free(&text);
    return ERR_NONE;
}

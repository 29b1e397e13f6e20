/* synth_push.c: push notifications. A prompt names a product, a reason to write and an audience;
 * the content is the pair of product and reason. Each reason carries ways of saying the same in
 * other words, so that good answers are about it without copying it. */
#include <string.h>
#include "base/json.h"
#include "data/synth_parts.h"

enum { SHORT_BYTES = 116 };

/* After "Motivo:" stands `reason`, a predicate of the product; the others take the product as
 * subject, too. {x}: a number drawn from `numbers`. */
struct reason {
    const char *reason, *numbers[4], *said[3], *short_said;
};
static const struct reason reasons[] = {
    {"voltou ao estoque",
     {NULL},
     {"está de volta à loja", "chegou de novo à loja", "acabou de voltar às prateleiras"},
     "de volta"},
    {"está com {x}% de desconto",
     {"10", "15", "20", "30"},
     {"está {x}% mais barat@", "ganhou desconto de {x}%", "baixou {x}% para você"},
     "{x}% mais barat@"},
    {"ficou no carrinho",
     {NULL},
     {"ainda espera por você", "só precisa de um toque seu", "continua guardad@ para você"},
     "à sua espera"},
    {"chega hoje",
     {NULL},
     {"está a caminho da sua casa", "bate à sua porta ainda hoje", "chega hoje até você"},
     "a caminho"},
    {"tem frete grátis",
     {NULL},
     {"vai até você sem custo de entrega", "chega sem pagar frete",
      "viaja de graça até a sua casa"},
     "com entrega grátis"},
    {"ganhou nova versão",
     {NULL},
     {"está renovad@ para você", "chegou em nova versão", "mudou para melhor"},
     "em nova versão"},
    {"está acabando no estoque",
     {NULL},
     {"está nas últimas unidades", "quase não existe mais", "vai embora rápido"},
     "nas últimas unidades"},
    {"recebeu nota {x} dos clientes",
     {"4,7", "4,8", "4,9", "5"},
     {"conquistou todo mundo com nota {x}", "é querid@ por todos: nota {x}",
      "tem nota {x} de quem já comprou"},
     "com nota {x}"},
    {"tem cupom de R$ {x}",
     {"10", "20", "30", "50"},
     {"sai R$ {x} mais barat@ com cupom", "tem R$ {x} de presente para você",
      "fica por R$ {x} a menos"},
     "com R$ {x} a menos"},
    {"saiu para entrega",
     {NULL},
     {"já está na rua, rumo à sua casa", "está chegando até você", "já vai bater à sua porta"},
     "quase aí"},
    {"está em promoção até domingo",
     {NULL},
     {"tem preço especial, mas só até domingo", "está mais barat@ só até domingo",
      "tem oferta que acaba domingo"},
     "em oferta"},
    {"baixou de preço",
     {NULL},
     {"está mais barat@ do que ontem", "tem preço novo, e menor", "ficou mais barat@ para você"},
     "mais barat@"},
    {"tem brinde na compra",
     {NULL},
     {"vem com um presente para você", "traz uma surpresa junto", "chega com mimo extra"},
     "com presente"},
    {"pode ser parcelad@ em {x} vezes",
     {"6", "8", "10", "12"},
     {"cabe no bolso em {x} vezes", "é {S} em até {x} parcelas", "sai em {x} vezes sem susto"},
     "em {x} vezes"},
    {"é lançamento da semana",
     {NULL},
     {"acabou de chegar à loja", "é a novidade da semana", "estreou e já faz sucesso"},
     "recém-chegad@"},
    {"combina com a sua última compra",
     {NULL},
     {"faz par com o que você já tem", "completa o que você levou",
      "foi feit@ para a sua última escolha"},
     "feit@ para combinar"},
};

static const char *const audiences[] = {
    "clientes antigos",
    "clientes novos",
    "estudantes",
    "pais e mães",
    "quem compra presentes",
    "quem mora sozinho",
    "quem gosta de ofertas",
    "clientes do app",
    "quem já visitou a loja",
    "quem sumiu há um mês",
    "jovens",
    "famílias",
};
static const char *const prompts[] = {
    "Escreva um push. Produto: {p}. Motivo: {r}. Público: {q}.",
    "Crie uma notificação push curta.\nProduto: {p}\nMotivo: {r}\nPúblico: {q}",
    "Produto: {p}. Motivo: {r}. Público: {q}. Escreva o push.",
};
static const char *const hooks[] = {
    "Oba! ",   "Olha só: ",  "Ei, você viu? ",   "Boa notícia! ", "Psiu! ",
    "Corre! ", "Surpresa: ", "Hoje é seu dia: ", "Adivinha? ",    "",
    "",        "",
};
static const char *const calls[] = {
    " Aproveite!",
    " Garanta @ {S}!",
    " Toque e confira.",
    " Vem ver!",
    " Não perca!",
    " Peça já pelo app.",
    " Corra antes que acabe!",
    " Que tal hoje?",
    " Leve para casa!",
    "",
};
static const char *const emoji[] = {" 🎉", " 😍", " 🔥", " 🛒", " ⏰", " 🎁", " 💙", "", "", ""};

struct push {
    const struct reason *reason;
    struct fill fill;
    struct str said, brief; /* the reason in other words */
};

static void put_one_good(struct str *out, struct push *p, struct draws *d)
{
    static const char *const shapes[] = {
        "{h}@ {p} {s}!{c}{z}", "{h}@ {p} que você quer {s}.{c}{z}", "{h}{S} {p} {s}!{c}{z}",
        "{h}{P} {t}!{c}{z}",   "Você merece: {p} {t}.{c}{z}",       "Novidade: {p} {t}!{c}{z}",
    };
    struct str call = {0};
    const char *shape = PICK(d, shapes), *hook = PICK(d, hooks);
    struct str text = {0};
    fill_put(&call, PICK(d, calls), &p->fill);
    fill_slot(&p->fill, 's', str_text(&p->said));
    fill_slot(&p->fill, 't', str_text(&p->brief));
    fill_slot(&p->fill, 'c', str_text(&call));
    fill_slot(&p->fill, 'h', hook);
    fill_slot(&p->fill, 'z', PICK(d, emoji));
    fill_put(&text, shape, &p->fill);
    size_t at = shape[1] != 'h' ? 0 : strlen(hook);
    /* A sentence begins with a capital unless the hook ends in a colon. */
    bool inside = at >= 2 && hook[at - 2] == ':';
    if (text.data && at < text.length && !inside && text.data[at] >= 'a' && text.data[at] <= 'z')
        text.data[at] = (char)(text.data[at] - 'a' + 'A');
    if (text.data && at < text.length && inside && text.data[at] >= 'A' && text.data[at] <= 'Z')
        text.data[at] = (char)(text.data[at] - 'A' + 'a');
    str_append(out, str_text(&text), text.length);
    out->failed = out->failed || text.failed || call.failed;
    str_free(&text);
    str_free(&call);
}

/* One that a phone shows whole. */
static void put_good(struct str *out, struct push *p, struct draws *d)
{
    struct str text = {0};
    for (int i = 0; i < 6 && (i == 0 || text.length > SHORT_BYTES); i++) {
        str_clear(&text);
        put_one_good(&text, p, d);
    }
    str_append(out, str_text(&text), text.length);
    out->failed = out->failed || text.failed;
    str_free(&text);
}

/* What weak writers of notifications do. */
static void put_poor(struct str *out, struct push *p, const char *prompt, unsigned kind,
                     struct draws *d)
{
    static const char *const formal[] = {
        "Prezado cliente, informamos que @ {p} {r}. Atenciosamente, a loja.",
        "Caro cliente, comunicamos que @ {p} {r}. Agradecemos a preferência.",
        "Prezada cliente, vimos por meio desta informar que @ {p} {r}.",
    };
    static const char *const placeholders[] = {
        "Olá, [nome]! {O} {p} {r}. Aproveite!",
        "Oi, {n}! Veja @ {p}: {r}.",
        "[Nome], {S} {p} {r}! Acesse [link].",
    };
    static const char *const tails[] = {
        ", e queremos que você saiba que temos muitas outras ofertas, com entrega para todo o "
        "Brasil e pagamento em até dez vezes no cartão, por isso venha conhecer a loja.",
        ", e além disso toda a loja está cheia de novidades para a sua casa, para a sua família e "
        "para os seus amigos, com preços que você só encontra aqui, hoje e amanhã.",
    };
    static const char *const second[] = {"\nCompre agora.", "\nVeja as ofertas da loja.",
                                         "\nA loja espera você.\nAproveite!"};
    static const char *const vague[] = {"Temos ofertas para você. Venha conferir!", "Compre agora!",
                                        "Visite a nossa loja.", "Novidades no app! Aproveite!"};
    static const char *const talk[] = {"Aqui está o push: ", "Push: ", "Segue a notificação:\n",
                                       "Título: "};
    if (kind == 0) {
        fill_put(out, PICK(d, formal), &p->fill);
    } else if (kind == 1) {
        fill_slot(&p->fill, 'n', "{nome}");
        fill_put(out, PICK(d, placeholders), &p->fill);
    } else if (kind == 2) {
        fill_put(out, "{O} {p} {r}", &p->fill);
        str_puts(out, PICK(d, tails));
    } else if (kind == 3) {
        put_good(out, p, d);
        str_puts(out, PICK(d, second));
    } else if (kind == 4) {
        str_puts(out, prompt);
    } else if (kind == 5) {
        str_puts(out, PICK(d, vague));
    } else if (kind == 6) {
        str_puts(out, PICK(d, talk));
        put_good(out, p, d);
    } else {
        fill_put(out, "{O} {p} {r}.", &p->fill);
    }
}

static void put_completion(struct candidate *c, struct push *p, struct draws *d)
{
    /* formal, placeholder, too long, several lines, copy, vague, talk, plain; the rest is good */
    static const unsigned char poor[8] = {10, 9, 10, 9, 6, 7, 7, 11};
    if (draw_chance(d, 69))
        put_poor(&c->completion, p, str_text(&c->prompt), draw_weighted(d, poor, 69), d);
    else
        put_good(&c->completion, p, d);
}

int synth_push(struct candidate *c, struct shop *s, struct draws *d, bool corpus, struct err *err)
{
    (void)s;
    (void)err;
    struct push p = {.reason = &PICK(d, reasons)};
    const struct synth_product *product = &PICK(d, synth_products);
    struct str reason = {0};
    int n = 0;
    while (n < 4 && p.reason->numbers[n])
        n++;
    fill_product(&p.fill, product);
    fill_slot(&p.fill, 'x', n ? p.reason->numbers[draw(d, (unsigned)n)] : "");
    fill_put(&reason, p.reason->reason, &p.fill);
    fill_put(&p.said, PICK(d, p.reason->said), &p.fill);
    fill_put(&p.brief, p.reason->short_said, &p.fill);
    fill_slot(&p.fill, 'r', str_text(&reason));
    fill_slot(&p.fill, 'q', PICK(d, audiences));
    fill_put(&c->prompt, PICK(d, prompts), &p.fill);
    str_printf(&c->key, "%s|%s", product->name, str_text(&reason));
    struct json_writer w;
    jw_begin(&w, &c->reference);
    jw_object_begin(&w);
    jw_key(&w, "product");
    jw_text(&w, product->name);
    jw_key(&w, "reason");
    jw_text(&w, str_text(&reason));
    jw_object_end(&w);
    if (corpus)
        put_completion(c, &p, d);
    c->prompt.failed = c->prompt.failed || reason.failed || p.said.failed || p.brief.failed;
    str_free(&reason);
    str_free(&p.said);
    str_free(&p.brief);
    return ERR_NONE;
}

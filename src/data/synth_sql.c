/* synth_sql.c: questions about the shop, each with the query that answers it. A template is a
 * question in two wordings, a query and a sentence on what the query does, with the same gaps. The
 * query of every candidate is run: one that finds nothing is drawn again, and what it finds is the
 * reference's answer. The key is the query: however a question is worded, one set has it.
 *
 * Gaps: {c} category, {s} state, {m} a month in words and {k} as the start of its dates, {a} year,
 * {p} product, {t} city, {n} mark, {v} price, {l} how many, {g} payment, {d} days. */
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "data/synth_parts.h"

struct question {
    int level; /* 1 one table, 2 grouping or two tables, 3 more */
    const char *asked[2], *sql, *told;
};
#define ORDERS_ITEMS "FROM itens i JOIN produtos p ON p.id = i.produto_id"
#define ORDERS_CLIENTS "FROM pedidos o JOIN clientes c ON c.id = o.cliente_id"
#define RATED "FROM avaliacoes a JOIN pedidos o ON o.id = a.pedido_id"

static const struct question questions[] = {
    /* one table */
    {1,
     {"Quantos pedidos houve em {m}?", "Qual foi o número de pedidos em {m}?"},
     "SELECT COUNT(*) FROM pedidos WHERE data LIKE '{k}%'",
     "A consulta conta os pedidos de {m} e mostra o total do período."},
    {1,
     {"Quantos pedidos de {m} foram cancelados?", "Quantos cancelamentos houve em {m}?"},
     "SELECT COUNT(*) FROM pedidos WHERE status = 'cancelado' AND data LIKE '{k}%'",
     "O resultado é o total de pedidos cancelados em {m}."},
    {1,
     {"Qual foi o valor total dos pedidos de {m}?", "Quanto a loja vendeu em {m}?"},
     "SELECT ROUND(SUM(valor), 2) FROM pedidos WHERE data LIKE '{k}%'",
     "A soma mostra o valor total dos pedidos de {m}."},
    {1,
     {"Qual foi o ticket médio em {m}?", "Qual é o valor médio dos pedidos de {m}?"},
     "SELECT ROUND(AVG(valor), 2) FROM pedidos WHERE data LIKE '{k}%'",
     "A média mostra o valor de um pedido típico no período."},
    {1,
     {"Qual foi o maior pedido de {m}?", "Qual é o valor do maior pedido de {m}?"},
     "SELECT MAX(valor) FROM pedidos WHERE data LIKE '{k}%'",
     "O resultado é o valor do maior pedido do período."},
    {1,
     {"Quantos clientes moram {s}?", "Quantos clientes temos {s}?"},
     "SELECT COUNT(*) FROM clientes WHERE estado = '{e}'",
     "A consulta conta os clientes do estado e mostra o total."},
    {1,
     {"Quantos clientes são de {t}?", "Quantos clientes temos em {t}?"},
     "SELECT COUNT(*) FROM clientes WHERE cidade = '{t}'",
     "O total mostra quantos clientes são da cidade."},
    {1,
     {"Quantos produtos de {c} custam mais de R$ {v}?",
      "Há quantos produtos de {c} acima de R$ {v}?"},
     "SELECT COUNT(*) FROM produtos WHERE categoria = '{c}' AND preco > {v}",
     "A consulta conta os produtos da categoria acima desse preço."},
    {1,
     {"Qual é o preço médio dos produtos de {c}?", "Quanto custa em média um produto de {c}?"},
     "SELECT ROUND(AVG(preco), 2) FROM produtos WHERE categoria = '{c}'",
     "A média mostra o preço dos produtos da categoria."},
    {1,
     {"Qual é o produto mais caro de {c}?", "Que produto de {c} tem o maior preço?"},
     "SELECT nome FROM produtos WHERE categoria = '{c}' ORDER BY preco DESC, nome LIMIT 1",
     "O resultado mostra o produto mais caro da categoria."},
    {1,
     {"Quais são os {l} produtos mais baratos de {c}?",
      "Liste os {l} produtos de {c} de menor preço."},
     "SELECT nome, preco FROM produtos WHERE categoria = '{c}' ORDER BY preco, nome LIMIT {l}",
     "O resultado mostra {l} produtos da categoria, do mais barato ao mais caro."},
    {1,
     {"Quanto custa o produto {p}?", "Qual é o preço do produto {p}?"},
     "SELECT preco FROM produtos WHERE nome = '{p}'",
     "O resultado é o preço desse produto."},
    {1,
     {"Quantos pedidos foram pagos com {g} em {m}?", "Quantos pedidos de {m} usaram {g}?"},
     "SELECT COUNT(*) FROM pedidos WHERE pagamento = '{g}' AND data LIKE '{k}%'",
     "A consulta conta os pedidos do período com esse pagamento."},
    {1,
     {"Quantos pedidos de {m} chegaram atrasados?", "Quantas entregas atrasaram em {m}?"},
     "SELECT COUNT(*) FROM pedidos WHERE entrega > prazo AND data LIKE '{k}%'",
     "O total mostra os pedidos do período com entrega depois do prazo."},
    {1,
     {"Quantos pedidos de {m} passaram de R$ {v}?",
      "Em {m}, quantos pedidos tiveram valor acima de R$ {v}?"},
     "SELECT COUNT(*) FROM pedidos WHERE valor > {v} AND data LIKE '{k}%'",
     "A consulta conta os pedidos do período acima desse valor."},
    /* grouping, or two tables */
    {2,
     {"Quantos pedidos de {m} há em cada status?", "Conte os pedidos de {m} por status."},
     "SELECT status, COUNT(*) FROM pedidos WHERE data LIKE '{k}%' GROUP BY status ORDER BY status",
     "O resultado mostra o total de pedidos de cada status."},
    {2,
     {"Quantos pedidos de {m} há por forma de pagamento?",
      "Conte os pedidos de {m} por pagamento."},
     "SELECT pagamento, COUNT(*) FROM pedidos WHERE data LIKE '{k}%' GROUP BY pagamento ORDER BY "
     "pagamento",
     "O resultado mostra o total de pedidos de cada pagamento."},
    {2,
     {"Quais {l} estados têm mais clientes?", "Liste os {l} estados com mais clientes."},
     "SELECT estado, COUNT(*) FROM clientes GROUP BY estado ORDER BY COUNT(*) DESC, estado LIMIT "
     "{l}",
     "O resultado mostra os estados e o total de clientes de cada um."},
    {2,
     {"Qual foi a nota média dos pedidos de {m}?", "Que nota média tiveram os pedidos de {m}?"},
     "SELECT ROUND(AVG(a.nota), 2) " RATED " WHERE o.data LIKE '{k}%'",
     "A média mostra a satisfação dos clientes no período."},
    {2,
     {"Quantas avaliações com nota {n} houve em {m}?",
      "Quantos pedidos de {m} receberam nota {n}?"},
     "SELECT COUNT(*) " RATED " WHERE a.nota = {n} AND o.data LIKE '{k}%'",
     "A consulta conta cada avaliação com essa nota no período."},
    {2,
     {"Quantos pedidos vieram de {t} em {a}?",
      "Quantos pedidos os clientes de {t} fizeram em {a}?"},
     "SELECT COUNT(*) " ORDERS_CLIENTS " WHERE c.cidade = '{t}' AND o.data LIKE '{a}%'",
     "O total mostra os pedidos dos clientes da cidade no ano."},
    {2,
     {"Qual foi o valor dos pedidos feitos {s} em {m}?", "Quanto a loja vendeu {s} em {m}?"},
     "SELECT ROUND(SUM(o.valor), 2) " ORDERS_CLIENTS
     " WHERE c.estado = '{e}' AND o.data LIKE '{k}%'",
     "A soma mostra o total dos pedidos do estado no período."},
    {2,
     {"Qual foi o ticket médio {s} em {a}?", "Qual é o valor médio dos pedidos {s} em {a}?"},
     "SELECT ROUND(AVG(o.valor), 2) " ORDERS_CLIENTS
     " WHERE c.estado = '{e}' AND o.data LIKE '{a}%'",
     "A média mostra o valor dos pedidos do estado no ano."},
    {2,
     {"Quantas unidades do produto {p} foram vendidas?",
      "Quanto vendeu, em unidades, o produto {p}?"},
     "SELECT SUM(i.quantidade) " ORDERS_ITEMS " WHERE p.nome = '{p}'",
     "A soma mostra o total de unidades vendidas do produto."},
    {2,
     {"Qual foi a receita do produto {p}?", "Quanto rendeu o produto {p}?"},
     "SELECT ROUND(SUM(i.quantidade * i.preco), 2) " ORDERS_ITEMS " WHERE p.nome = '{p}'",
     "A soma mostra a receita total do produto."},
    {2,
     {"Quais são os {l} produtos de {c} mais vendidos?",
      "Liste os {l} produtos de {c} com mais vendas."},
     "SELECT p.nome, SUM(i.quantidade) " ORDERS_ITEMS
     " WHERE p.categoria = '{c}' GROUP BY p.nome ORDER BY SUM(i.quantidade) DESC, p.nome LIMIT {l}",
     "O resultado mostra {l} produtos e as unidades vendidas."},
    {2,
     {"Qual é a nota média dos pedidos pagos com {g} em {a}?",
      "Em {a}, que nota média tiveram os pedidos com {g}?"},
     "SELECT ROUND(AVG(a.nota), 2) " RATED " WHERE o.pagamento = '{g}' AND o.data LIKE '{a}%'",
     "A média mostra a satisfação dos clientes com esse pagamento."},
    {2,
     {"Qual mês de {a} teve mais pedidos pagos com {g}?",
      "Em que mês de {a} houve mais pedidos com {g}?"},
     "SELECT SUBSTR(data, 1, 7), COUNT(*) FROM pedidos WHERE pagamento = '{g}' AND data LIKE "
     "'{a}%' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1",
     "O resultado mostra o mês com o maior total de pedidos."},
    {2,
     {"Quantos clientes {s} fizeram pedidos em {m}?", "Em {m}, quantos clientes compraram {s}?"},
     "SELECT COUNT(DISTINCT c.id) " ORDERS_CLIENTS " WHERE c.estado = '{e}' AND o.data LIKE '{k}%'",
     "A consulta conta os clientes do estado com pedidos no período."},
    {2,
     {"Quantos pedidos {s} atrasaram em {a}?", "Em {a}, quantas entregas {s} atrasaram?"},
     "SELECT COUNT(*) " ORDERS_CLIENTS
     " WHERE c.estado = '{e}' AND o.entrega > o.prazo AND o.data LIKE '{a}%'",
     "O total mostra as entregas do estado depois do prazo."},
    /* three tables, or more than one idea */
    {3,
     {"Qual foi a receita da categoria {c} em {m}?", "Quanto a categoria {c} vendeu em {m}?"},
     "SELECT ROUND(SUM(i.quantidade * i.preco), 2) " ORDERS_ITEMS
     " JOIN pedidos o ON o.id = i.pedido_id WHERE p.categoria = '{c}' AND o.data LIKE '{k}%'",
     "A soma mostra a receita da categoria no período."},
    {3,
     {"Quantos pedidos de {m} tinham produtos de {c}?",
      "Em {m}, quantos pedidos incluíam itens de {c}?"},
     "SELECT COUNT(DISTINCT o.id) " ORDERS_ITEMS
     " JOIN pedidos o ON o.id = i.pedido_id WHERE p.categoria = '{c}' AND o.data LIKE '{k}%'",
     "A consulta conta os pedidos do período com produtos da categoria."},
    {3,
     {"Qual é a nota média da categoria {c} em {a}?",
      "Que nota média a categoria {c} teve em {a}?"},
     "SELECT ROUND(AVG(a.nota), 2) " RATED
     " JOIN itens i ON i.pedido_id = o.id JOIN produtos p ON p.id = i.produto_id WHERE "
     "p.categoria = '{c}' AND o.data LIKE '{a}%'",
     "A média mostra a satisfação dos clientes com a categoria."},
    {3,
     {"Quais {l} categorias mais venderam em {m}?",
      "Liste as {l} categorias de maior receita em {m}."},
     "SELECT p.categoria, ROUND(SUM(i.quantidade * i.preco), 2) " ORDERS_ITEMS
     " JOIN pedidos o ON o.id = i.pedido_id WHERE o.data LIKE '{k}%' GROUP BY 1 ORDER BY 2 DESC "
     "LIMIT {l}",
     "O resultado mostra as categorias de maior receita no período."},
    {3,
     {"Quais {l} estados tiveram mais pedidos em {m}?",
      "Em {m}, quais foram os {l} estados com mais pedidos?"},
     "SELECT c.estado, COUNT(*) " ORDERS_CLIENTS
     " WHERE o.data LIKE '{k}%' GROUP BY c.estado ORDER BY COUNT(*) DESC, c.estado LIMIT {l}",
     "O resultado mostra os estados e o total de pedidos de cada um."},
    {3,
     {"Quais são os {l} clientes que mais gastaram em {m}?",
      "Liste os {l} clientes com maior gasto em {m}."},
     "SELECT c.nome, ROUND(SUM(o.valor), 2) " ORDERS_CLIENTS
     " WHERE o.data LIKE '{k}%' GROUP BY c.id ORDER BY 2 DESC, c.nome LIMIT {l}",
     "O resultado mostra os clientes e o total gasto por cada um."},
    {3,
     {"Qual foi o percentual de pedidos atrasados em {m}?",
      "Que parte das entregas de {m} atrasou, em %?"},
     "SELECT ROUND(100.0 * SUM(entrega > prazo) / COUNT(entrega), 1) FROM pedidos WHERE data LIKE "
     "'{k}%'",
     "O resultado é a porcentagem de pedidos entregues depois do prazo."},
    {3,
     {"Em média, quantos dias levou a entrega {s} em {a}?",
      "Qual foi o tempo médio de entrega {s} em {a}, em dias?"},
     "SELECT ROUND(AVG(JULIANDAY(o.entrega) - JULIANDAY(o.data)), 1) " ORDERS_CLIENTS
     " WHERE c.estado = '{e}' AND o.data LIKE '{a}%'",
     "A média mostra quantos dias a entrega levou no estado."},
    {3,
     {"Quais produtos de {c} tiveram mais de {l} vendas em {m}?",
      "Em {m}, que produtos de {c} venderam mais de {l} unidades?"},
     "SELECT p.nome, SUM(i.quantidade) " ORDERS_ITEMS
     " JOIN pedidos o ON o.id = i.pedido_id WHERE p.categoria = '{c}' AND o.data LIKE '{k}%' GROUP "
     "BY p.nome HAVING SUM(i.quantidade) > {l} ORDER BY p.nome",
     "O resultado mostra os produtos com mais vendas que isso no período."},
    {3,
     {"Quantos clientes {s} fizeram mais de {l} pedidos?",
      "Há quantos clientes {s} com mais de {l} pedidos?"},
     "SELECT COUNT(*) FROM (SELECT o.cliente_id " ORDERS_CLIENTS
     " WHERE c.estado = '{e}' GROUP BY o.cliente_id HAVING COUNT(*) > {l})",
     "A consulta conta os clientes do estado com mais pedidos que isso."},
};

static const char *const prompts[] = {
    "{h}\n{q} Responda com SQL e explique.",
    "{h}\n{q} Escreva a consulta SQL e uma explicação.",
    "{q} Responda com SQL e explique.\n{h}",
};
static const char tables[] =
    "Tabelas: clientes(id,nome,cidade,estado) produtos(id,nome,categoria,preco) "
    "pedidos(id,cliente_id,data,prazo,entrega,status,pagamento,valor) "
    "itens(pedido_id,produto_id,quantidade,preco) avaliacoes(pedido_id,nota,comentario).";

struct gaps {
    struct fill fill;
    char month[40], start[16], year[16], limit[16], price[16], mark[16];
};

static void draw_gaps(struct gaps *g, struct draws *d)
{
    static const int prices[] = {50, 80, 100, 150, 200, 250, 300, 400, 500, 800};
    int month = (int)draw(d, 24), year = SHOP_FIRST_YEAR + month / 12;
    const struct synth_state *state = &PICK(d, synth_states);
    snprintf(g->month, sizeof g->month, "%s de %d", synth_months[month % 12], year);
    snprintf(g->start, sizeof g->start, "%04d-%02d", year % 10000, month % 12 + 1);
    snprintf(g->year, sizeof g->year, "%d", SHOP_FIRST_YEAR + (int)draw(d, 2));
    snprintf(g->limit, sizeof g->limit, "%u", draw_between(d, 2, 5));
    snprintf(g->price, sizeof g->price, "%d", PICK(d, prices));
    snprintf(g->mark, sizeof g->mark, "%u", draw_between(d, 1, 5));
    g->fill = (struct fill){0};
    fill_slot(&g->fill, 'c', PICK(d, synth_categories));
    fill_slot(&g->fill, 's', state->in);
    fill_slot(&g->fill, 'e', state->code);
    fill_slot(&g->fill, 'm', g->month);
    fill_slot(&g->fill, 'k', g->start);
    fill_slot(&g->fill, 'a', g->year);
    fill_slot(&g->fill, 'p', PICK(d, synth_products).name);
    fill_slot(&g->fill, 't', PICK(d, synth_cities).name);
    fill_slot(&g->fill, 'n', g->mark);
    fill_slot(&g->fill, 'v', g->price);
    fill_slot(&g->fill, 'l', g->limit);
    fill_slot(&g->fill, 'g', PICK(d, shop_payments));
}

/* --- answers of mixed quality --- */

static void replace_first(struct str *text, const char *from, const char *to)
{
    char *at = text->data ? strstr(text->data, from) : NULL;
    if (!at)
        return;
    struct str tail = {0};
    str_puts(&tail, at + strlen(from));
    text->length = (size_t)(at - text->data);
    text->data[text->length] = '\0';
    str_puts(text, to);
    str_puts(text, str_text(&tail));
    text->failed = text->failed || tail.failed;
    str_free(&tail);
}

/* A query as one who half knows SQL and the tables writes it; some of these no database takes. */
static void spoil(struct str *sql, struct draws *d)
{
    static const char *const swaps[][2] = {
        {"valor", "total"},
        {"data LIKE", "mes LIKE"},
        {" FROM ", " "},
        {"estado", "uf"},
        {"COUNT(*)", "COUNT"},
        {"nota", "avaliacao"},
        {"categoria", "tipo"},
        {"AVG(", "SUM("},
        {"COUNT(*)", "SUM(valor)"},
        {"pedidos", "vendas"},
        {"'", ""},
        {")", ""},
        {" WHERE ", " ONDE "},
        {"preco", "valor"},
        {"SUM(", "COUNT("},
        {" JOIN ", " , "},
        {"LIKE", "="},
        {" DESC", ""},
    };
    size_t before = sql->length;
    for (int i = 0; i < 6; i++) { /* until one applies */
        const char *const *swap = PICK(d, swaps);
        bool applies = sql->data && strstr(sql->data, swap[0]);
        replace_first(sql, swap[0], swap[1]);
        if (applies && (sql->length != before || draw_chance(d, 50)))
            return;
    }
}

static void put_invented(struct str *out, const char *told, struct draws *d)
{
    unsigned which = draw(d, 5), a = draw_between(d, 2, 990), b = draw_between(d, 2, 98);
    if (draw_chance(d, 40)) {
        str_puts(out, told);
        str_putc(out, ' ');
    }
    char text[128];
    switch (which) {
    case 0:
        snprintf(text, sizeof text, "O resultado mostra %u pedidos no período.", a);
        break;
    case 1:
        snprintf(text, sizeof text, "Portanto, o total foi %u.", a);
        break;
    case 2:
        snprintf(text, sizeof text, "O total foi de %u pedidos, com média de %u.", a, b);
        break;
    case 3:
        snprintf(text, sizeof text, "A média foi %u, e %u%% dos clientes compraram de novo.", a, b);
        break;
    default:
        snprintf(text, sizeof text, "O resultado é %u, que é %u%% do total.", a, b);
    }
    str_puts(out, text);
}

/* What the query is good for; true of any. */
static void put_more(struct str *out, struct draws *d)
{
    static const char *const more[] = {
        "Assim a loja conhece melhor os pedidos e os clientes.",
        "O resultado ajuda a planejar a entrega e a compra de produtos.",
        "Portanto, a loja pode comparar esse total com o de outro período.",
        "Com isso a equipe acompanha a satisfação dos clientes.",
        "O resultado serve para comparar produtos, categorias e períodos."};
    str_putc(out, ' ');
    str_puts(out, PICK(d, more));
}

/* The commonest answer is a bare query: right, and without a word to the one who asked. */
static void put_completion(struct str *out, const struct question *q, const struct gaps *g,
                           const char *good, struct draws *d)
{
    static const char *const lost[] = {"Não sei responder.", "Preciso de mais dados sobre a loja.",
                                       "Consulte a tabela de pedidos.",
                                       "Depende do período e da categoria."};
    enum { GOOD, SPOILT, BARE, SPOILT_BARE, FENCED, NO_FENCE, TOLD, INVENTED, BOTH, LOST };
    static const unsigned char weights[] = {28, 7, 24, 6, 3, 11, 7, 6, 4, 4};
    struct str sql = {0}, told = {0};
    unsigned kind = draw_weighted(d, weights, 100);
    str_puts(&sql, good);
    fill_put(&told, q->told, &g->fill);
    if (kind == SPOILT || kind == SPOILT_BARE || (kind == NO_FENCE && draw_chance(d, 40)))
        spoil(&sql, d);
    if (kind == GOOD && draw_chance(d, 35))
        put_more(&told, d);
    switch (kind) {
    case GOOD:
    case SPOILT:
        str_printf(out, "```sql\n%s;\n```\n%s", str_text(&sql), str_text(&told));
        break;
    case BARE:
    case SPOILT_BARE:
        str_printf(out, "%s;", str_text(&sql));
        break;
    case FENCED:
        str_printf(out, "```sql\n%s;\n```", str_text(&sql));
        break;
    case NO_FENCE:
        str_printf(out, "%s; %s", str_text(&sql), str_text(&told));
        break;
    case TOLD:
        str_puts(out, str_text(&told));
        break;
    case INVENTED:
        put_invented(out, str_text(&told), d);
        break;
    case BOTH:
        str_printf(out, "```sql\n%s;\n```\n", str_text(&sql));
        put_invented(out, str_text(&told), d);
        break;
    default:
        str_puts(out, PICK(d, lost));
    }
    out->failed = out->failed || sql.failed || told.failed;
    str_free(&sql);
    str_free(&told);
}

int synth_sql(struct candidate *c, struct shop *s, struct draws *d, bool corpus, struct err *err)
{
    const struct question *q = &PICK(d, questions);
    struct gaps g = {0};
    struct str asked = {0}, answer = {0};
    bool informative = false;
    draw_gaps(&g, d);
    fill_put(&asked, q->asked[draw(d, 2)], &g.fill);
    fill_put(&c->key, q->sql, &g.fill);
    fill_slot(&g.fill, 'h', tables);
    fill_slot(&g.fill, 'q', str_text(&asked));
    fill_put(&c->prompt, PICK(d, prompts), &g.fill);
    int status = asked.failed || c->key.failed
                     ? err_no_memory(err, "a question", c->key.length)
                     : shop_query(&answer, &informative, s, str_text(&c->key), err);
    if (!status && answer.failed)
        status = err_no_memory(err, "an answer", answer.length);
    c->rejected = !informative;
    if (!status && informative) {
        struct json_writer w;
        jw_begin(&w, &c->reference);
        jw_object_begin(&w);
        jw_key(&w, "database");
        jw_text(&w, "shop.sqlite");
        jw_key(&w, "sql");
        jw_text(&w, str_text(&c->key));
        jw_key(&w, "answer");
        jw_string(&w, str_text(&answer), answer.length);
        jw_key(&w, "level");
        jw_int(&w, q->level);
        jw_object_end(&w);
        if (corpus)
            put_completion(&c->completion, q, &g, str_text(&c->key), d);
    }
    str_free(&asked);
    str_free(&answer);
    return status;
}

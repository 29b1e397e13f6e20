/* olist_questions.c: what is asked about the Olist database: a question in two wordings and the
 * query that answers it, with the same gaps. Difficulty 1 looks at one table; 2 joins two, or
 * groups, or reckons with dates; 3 needs three tables, a query within a query, HAVING or a window.
 *
 * What to mind when adding one: an order has several items, payments and reviews, so two of these
 * tables in one join multiply each other, and orders are then counted DISTINCT; customer_id is per
 * order, customer_unique_id is the person; a zip prefix has many rows of geolocation; a category
 * may be NULL. A question says what columns it wants, and an order only where the query has one;
 * `key` is then the column (1-based) that orders the rows, and olist_sql.c drops a question whose
 * rows tie in it. Words that the prompt defines once, by what the query holds (olist_sql.c):
 * receita, atrasado, pessoas, the values of status and payment.
 *
 * Gaps: {c} {j} two categories, {s} {q} {e} a customers' state ("em Minas Gerais (MG)", "de Minas
 * Gerais (MG)", "MG"), {f} {g} {h} a sellers' state likewise, {t} city, {m} {k} a month in words
 * and as dates begin, {z} the month before it, {a} year, {r} order status, {p} {o} a payment type
 * as stored and in words, {i} installments, {n} score, {l} how many, {u} a small count, {v} price,
 * {w} grams, {d} days or reais. */
#include "data/olist_parts.h"

#define LATE "date(o.order_delivered_customer_date) > date(o.order_estimated_delivery_date)"
#define DAYS "julianday(o.order_delivered_customer_date) - julianday(o.order_purchase_timestamp)"
#define IN_MONTH "o.order_purchase_timestamp LIKE '{k}%'"
#define IN_YEAR "o.order_purchase_timestamp LIKE '{a}%'"
#define ORDERS_CUSTOMERS "FROM orders o JOIN customers c ON c.customer_id = o.customer_id"
#define ORDERS_PAYMENTS "FROM orders o JOIN order_payments p ON p.order_id = o.order_id"
#define ORDERS_REVIEWS "FROM orders o JOIN order_reviews r ON r.order_id = o.order_id"
#define ORDERS_ITEMS "FROM orders o JOIN order_items i ON i.order_id = o.order_id"
#define ITEMS_PRODUCTS "FROM order_items i JOIN products p ON p.product_id = i.product_id"
#define ITEMS_SELLERS "FROM order_items i JOIN sellers s ON s.seller_id = i.seller_id"
#define AND_CUSTOMERS " JOIN customers c ON c.customer_id = o.customer_id"
#define AND_PRODUCTS " JOIN products p ON p.product_id = i.product_id"
#define AND_SELLERS " JOIN sellers s ON s.seller_id = i.seller_id"
#define HELD true

/* level, key, held out of training, wordings, query */
const struct olist_question olist_questions[] = {
    /* --- one table --- */
    {1,
     0,
     false,
     {"Quantos pedidos foram feitos em {m}?", "Qual foi o total de pedidos feitos em {m}?"},
     "SELECT COUNT(*) FROM orders WHERE order_purchase_timestamp LIKE '{k}%'"},
    {1,
     0,
     false,
     {"Quantos pedidos feitos em {m} estão com o status {r}?",
      "Dos pedidos feitos em {m}, quantos têm o status {r}?"},
     "SELECT COUNT(*) FROM orders WHERE order_status = '{r}' AND order_purchase_timestamp LIKE "
     "'{k}%'"},
    {1,
     0,
     false,
     {"Quantos pedidos feitos em {m} chegaram atrasados?",
      "Conte os pedidos feitos em {m} que foram entregues com atraso."},
     "SELECT COUNT(*) FROM orders o WHERE " LATE " AND " IN_MONTH},
    {1,
     0,
     false,
     {"Quantos pedidos foram entregues ao cliente em {m}?",
      "Qual é o número de pedidos com entrega ao cliente em {m}?"},
     "SELECT COUNT(*) FROM orders WHERE order_delivered_customer_date LIKE '{k}%'"},
    {1,
     0,
     false,
     {"Quantos pedidos feitos em {m} não têm data de entrega ao cliente?",
      "Dos pedidos feitos em {m}, quantos ficaram sem data de entrega ao cliente?"},
     "SELECT COUNT(*) FROM orders WHERE order_delivered_customer_date IS NULL AND "
     "order_purchase_timestamp LIKE '{k}%'"},
    {1,
     0,
     HELD,
     {"Quantos pedidos foram aprovados em {m}?", "Conte os pedidos aprovados em {m}."},
     "SELECT COUNT(*) FROM orders WHERE order_approved_at LIKE '{k}%'"},
    {1,
     0,
     HELD,
     {"Quantos pedidos tinham entrega estimada para {m}?",
      "Para quantos pedidos a entrega foi estimada em {m}?"},
     "SELECT COUNT(*) FROM orders WHERE order_estimated_delivery_date LIKE '{k}%'"},
    {1,
     0,
     false,
     {"Quantas pessoas diferentes moram {s}?",
      "Conte as pessoas diferentes {q} entre os clientes."},
     "SELECT COUNT(DISTINCT customer_unique_id) FROM customers WHERE customer_state = '{e}'"},
    {1,
     0,
     false,
     {"Quantas pessoas diferentes moram na cidade de {t}?",
      "Na cidade de {t}, quantas pessoas diferentes são clientes?"},
     "SELECT COUNT(DISTINCT customer_unique_id) FROM customers WHERE customer_city = '{t}'"},
    {1,
     0,
     HELD,
     {"Em quantas cidades diferentes moram os clientes {q}?",
      "Os clientes {q} estão em quantas cidades diferentes?"},
     "SELECT COUNT(DISTINCT customer_city) FROM customers WHERE customer_state = '{e}'"},
    {1,
     0,
     false,
     {"Quantos vendedores ficam {f}?", "Qual é o número de vendedores {g}?"},
     "SELECT COUNT(*) FROM sellers WHERE seller_state = '{h}'"},
    {1,
     0,
     false,
     {"Em quantas cidades diferentes ficam os vendedores {g}?",
      "Os vendedores {g} se espalham por quantas cidades?"},
     "SELECT COUNT(DISTINCT seller_city) FROM sellers WHERE seller_state = '{h}'"},
    {1,
     0,
     false,
     {"Quantos produtos há na categoria {c}?", "A categoria {c} tem quantos produtos?"},
     "SELECT COUNT(*) FROM products WHERE product_category_name = '{c}'"},
    {1,
     0,
     false,
     {"Quantos produtos da categoria {c} pesam mais de {w} gramas?",
      "Na categoria {c}, quantos produtos têm peso acima de {w} g?"},
     "SELECT COUNT(*) FROM products WHERE product_category_name = '{c}' AND product_weight_g > "
     "{w}"},
    {1,
     0,
     false,
     {"Qual é o peso médio, em gramas, dos produtos da categoria {c}?",
      "Quanto pesa em média, em gramas, um produto da categoria {c}?"},
     "SELECT ROUND(AVG(product_weight_g), 2) FROM products WHERE product_category_name = '{c}'"},
    {1,
     0,
     false,
     {"Qual é o peso, em gramas, do produto mais pesado da categoria {c}?",
      "Qual é o maior peso (g) entre os produtos da categoria {c}?"},
     "SELECT MAX(product_weight_g) FROM products WHERE product_category_name = '{c}'"},
    {1,
     0,
     HELD,
     {"Quantas fotos têm em média os produtos da categoria {c}?",
      "Qual é a média de fotos por produto na categoria {c}?"},
     "SELECT ROUND(AVG(product_photos_qty), 2) FROM products WHERE product_category_name = '{c}'"},
    {1,
     0,
     false,
     {"Quantos produtos da categoria {c} têm pelo menos {u} fotos?",
      "Na categoria {c}, quantos produtos têm {u} fotos ou mais?"},
     "SELECT COUNT(*) FROM products WHERE product_category_name = '{c}' AND product_photos_qty >= "
     "{u}"},
    {1,
     2,
     false,
     {"Quais são os {l} produtos mais pesados da categoria {c}? Mostre product_id e peso, do mais "
      "pesado ao mais leve.",
      "Liste product_id e peso dos {l} produtos de maior peso da categoria {c}, em ordem "
      "decrescente de peso."},
     "SELECT product_id, product_weight_g FROM products WHERE product_category_name = '{c}' ORDER "
     "BY product_weight_g DESC LIMIT {l}"},
    {1,
     0,
     false,
     {"Quantas avaliações criadas em {m} deram nota {n}?",
      "Em {m}, quantas avaliações com nota {n} foram criadas?"},
     "SELECT COUNT(*) FROM order_reviews WHERE review_score = {n} AND review_creation_date LIKE "
     "'{k}%'"},
    {1,
     0,
     false,
     {"Qual foi a nota média das avaliações criadas em {m}?",
      "Calcule a média das notas das avaliações criadas em {m}."},
     "SELECT ROUND(AVG(review_score), 2) FROM order_reviews WHERE review_creation_date LIKE "
     "'{k}%'"},
    {1,
     0,
     false,
     {"Quantas avaliações criadas em {m} têm comentário escrito (review_comment_message)?",
      "Em {m}, quantas avaliações foram criadas com texto em review_comment_message?"},
     "SELECT COUNT(*) FROM order_reviews WHERE review_comment_message IS NOT NULL AND "
     "review_creation_date LIKE '{k}%'"},
    {1,
     0,
     HELD,
     {"Quantas avaliações de nota {n} criadas em {a} têm título?",
      "Em {a}, quantas avaliações com nota {n} foram criadas com título?"},
     "SELECT COUNT(*) FROM order_reviews WHERE review_score = {n} AND review_comment_title IS NOT "
     "NULL AND review_creation_date LIKE '{a}%'"},
    {1,
     0,
     false,
     {"Qual foi o valor total dos pagamentos com {o}?", "Quanto foi pago, no total, com {o}?"},
     "SELECT ROUND(SUM(payment_value), 2) FROM order_payments WHERE payment_type = '{p}'"},
    {1,
     0,
     false,
     {"Quantos pagamentos com {o} passaram de R$ {v}?",
      "Conte os pagamentos com {o} acima de R$ {v}."},
     "SELECT COUNT(*) FROM order_payments WHERE payment_type = '{p}' AND payment_value > {v}"},
    {1,
     0,
     false,
     {"Quantos pagamentos foram divididos em {i} parcelas?",
      "Qual é o número de pagamentos em {i} parcelas?"},
     "SELECT COUNT(*) FROM order_payments WHERE payment_installments = {i}"},
    {1,
     0,
     false,
     {"Qual é o valor médio dos pagamentos em {i} parcelas?",
      "Em média, quanto vale um pagamento dividido em {i} parcelas?"},
     "SELECT ROUND(AVG(payment_value), 2) FROM order_payments WHERE payment_installments = {i}"},
    {1,
     0,
     HELD,
     {"Qual foi o maior valor de um pagamento em {i} parcelas?",
      "De quanto foi o maior pagamento dividido em {i} parcelas?"},
     "SELECT MAX(payment_value) FROM order_payments WHERE payment_installments = {i}"},
    {1,
     0,
     false,
     {"Quantos itens foram vendidos por mais de R$ {v}?",
      "Conte os itens vendidos com preço acima de R$ {v}."},
     "SELECT COUNT(*) FROM order_items WHERE price > {v}"},
    {1,
     0,
     false,
     {"Qual foi o frete médio dos itens com preço acima de R$ {v}?",
      "Quanto custou em média o frete dos itens de mais de R$ {v}?"},
     "SELECT ROUND(AVG(freight_value), 2) FROM order_items WHERE price > {v}"},
    {1,
     0,
     false,
     {"Quantos itens com preço abaixo de R$ {v} tiveram frete acima de R$ {d}?",
      "Conte os itens de menos de R$ {v} cujo frete passou de R$ {d}."},
     "SELECT COUNT(*) FROM order_items WHERE price < {v} AND freight_value > {d}"},
    {1,
     0,
     false,
     {"Quantos itens com limite de envio (shipping_limit_date) em {m} custaram mais de R$ {v}?",
      "Conte os itens acima de R$ {v} com shipping_limit_date em {m}."},
     "SELECT COUNT(*) FROM order_items WHERE price > {v} AND shipping_limit_date LIKE '{k}%'"},
    {1,
     0,
     HELD,
     {"Qual foi o maior frete entre os itens com limite de envio (shipping_limit_date) em {m}?",
      "De quanto foi o frete mais caro dos itens com shipping_limit_date em {m}?"},
     "SELECT MAX(freight_value) FROM order_items WHERE shipping_limit_date LIKE '{k}%'"},
    {1,
     0,
     false,
     {"Quantos prefixos de CEP diferentes a tabela geolocation tem {s}?",
      "Conte os prefixos de CEP diferentes {q} na tabela geolocation."},
     "SELECT COUNT(DISTINCT geolocation_zip_code_prefix) FROM geolocation WHERE geolocation_state "
     "= '{e}'"},

    /* --- two tables, groups, dates --- */
    {2,
     0,
     false,
     {"Quantos pedidos os clientes {q} fizeram em {m}?",
      "Em {m}, quantos pedidos foram feitos por clientes {q}?"},
     "SELECT COUNT(*) " ORDERS_CUSTOMERS " WHERE c.customer_state = '{e}' AND " IN_MONTH},
    {2,
     0,
     false,
     {"Quantos pedidos foram feitos em {a} por clientes da cidade de {t}?",
      "Os clientes da cidade de {t} fizeram quantos pedidos em {a}?"},
     "SELECT COUNT(*) " ORDERS_CUSTOMERS " WHERE c.customer_city = '{t}' AND " IN_YEAR},
    {2,
     0,
     false,
     {"Quantos pedidos de clientes {q} estão com o status {r}?",
      "Conte os pedidos com status {r} feitos por clientes {q}."},
     "SELECT COUNT(*) " ORDERS_CUSTOMERS
     " WHERE c.customer_state = '{e}' AND o.order_status = '{r}'"},
    {2,
     0,
     false,
     {"Quantos pedidos feitos em {a} por clientes {q} chegaram atrasados?",
      "Dos pedidos que clientes {q} fizeram em {a}, quantos foram entregues com atraso?"},
     "SELECT COUNT(*) " ORDERS_CUSTOMERS " WHERE c.customer_state = '{e}' AND " LATE
     " AND " IN_YEAR},
    {2,
     0,
     false,
     {"Quantas pessoas diferentes {q} fizeram pedidos em {a}?",
      "Em {a}, quantas pessoas diferentes compraram {s}?"},
     "SELECT COUNT(DISTINCT c.customer_unique_id) " ORDERS_CUSTOMERS
     " WHERE c.customer_state = '{e}' AND " IN_YEAR},
    {2,
     0,
     false,
     {"Quantos pedidos feitos em {m} há em cada status? Mostre status e total.",
      "Conte por status os pedidos feitos em {m}: uma linha por status, com o total."},
     "SELECT order_status, COUNT(*) FROM orders WHERE order_purchase_timestamp LIKE '{k}%' GROUP "
     "BY order_status"},
    {2,
     2,
     false,
     {"Quais foram os {l} estados com mais pedidos em {m}? Mostre estado e total de pedidos, do "
      "maior para o menor.",
      "Liste os {l} estados de clientes com mais pedidos feitos em {m}, com o total, em ordem "
      "decrescente."},
     "SELECT c.customer_state, COUNT(*) " ORDERS_CUSTOMERS " WHERE " IN_MONTH
     " GROUP BY c.customer_state ORDER BY COUNT(*) DESC LIMIT {l}"},
    {2,
     2,
     false,
     {"Quais são as {l} cidades {q} com mais pedidos? Mostre cidade e total de pedidos, do maior "
      "para o menor.",
      "Liste as {l} cidades {q} cujos clientes mais fizeram pedidos, com o total, em ordem "
      "decrescente."},
     "SELECT c.customer_city, COUNT(*) " ORDERS_CUSTOMERS
     " WHERE c.customer_state = '{e}' GROUP BY c.customer_city ORDER BY COUNT(*) DESC LIMIT {l}"},
    {2,
     1,
     false,
     {"Quantos pedidos os clientes {q} fizeram em cada mês de {a}? Mostre mês (AAAA-MM) e total, "
      "em "
      "ordem cronológica.",
      "Mostre, mês a mês (AAAA-MM) e em ordem cronológica, o total de pedidos de clientes {q} em "
      "{a}."},
     "SELECT strftime('%Y-%m', o.order_purchase_timestamp), COUNT(*) " ORDERS_CUSTOMERS
     " WHERE c.customer_state = '{e}' AND " IN_YEAR " GROUP BY 1 ORDER BY 1"},
    {2,
     0,
     false,
     {"Em média, quantos dias se passaram entre a compra e a entrega ao cliente, nos pedidos "
      "feitos "
      "em {m}?",
      "Qual foi o tempo médio, em dias, da compra até a entrega ao cliente dos pedidos feitos em "
      "{m}?"},
     "SELECT ROUND(AVG(" DAYS "), 2) FROM orders o WHERE " IN_MONTH},
    {2,
     0,
     false,
     {"Quantos pedidos feitos em {m} levaram mais de {d} dias da compra à entrega ao cliente?",
      "Dos pedidos feitos em {m}, quantos chegaram ao cliente mais de {d} dias depois da compra?"},
     "SELECT COUNT(*) FROM orders o WHERE " DAYS " > {d} AND " IN_MONTH},
    {2,
     0,
     false,
     {"Quantos pedidos de {m} foram feitos num sábado ou domingo?",
      "Em {m}, quantos pedidos foram comprados no fim de semana (sábado ou domingo)?"},
     "SELECT COUNT(*) FROM orders o WHERE strftime('%w', o.order_purchase_timestamp) IN ('0', '6') "
     "AND " IN_MONTH},
    {2,
     0,
     HELD,
     {"Em média, quantos dias se passaram entre a compra e a entrega ao cliente, nos pedidos de "
      "clientes {q} feitos em {a}?",
      "Qual foi o tempo médio de entrega, em dias desde a compra, dos pedidos de {a} feitos por "
      "clientes {q}?"},
     "SELECT ROUND(AVG(" DAYS "), 2) " ORDERS_CUSTOMERS " WHERE c.customer_state = '{e}' "
     "AND " IN_YEAR},
    {2,
     0,
     false,
     {"Qual foi o valor total pago nos pedidos feitos em {m}?",
      "Quanto foi pago, somando todos os pagamentos, pelos pedidos feitos em {m}?"},
     "SELECT ROUND(SUM(p.payment_value), 2) " ORDERS_PAYMENTS " WHERE " IN_MONTH},
    {2,
     0,
     false,
     {"Quanto foi pago com {o} nos pedidos feitos em {m}?",
      "Qual foi o valor total dos pagamentos com {o} dos pedidos feitos em {m}?"},
     "SELECT ROUND(SUM(p.payment_value), 2) " ORDERS_PAYMENTS
     " WHERE p.payment_type = '{p}' AND " IN_MONTH},
    {2,
     0,
     false,
     {"Quantos pedidos feitos em {m} tiveram algum pagamento com {o}?",
      "Em {m}, quantos pedidos usaram {o} em pelo menos um pagamento?"},
     "SELECT COUNT(DISTINCT o.order_id) " ORDERS_PAYMENTS " WHERE p.payment_type = '{p}' "
     "AND " IN_MONTH},
    {2,
     0,
     false,
     {"Qual foi o valor pago em cada forma de pagamento nos pedidos feitos em {m}? Mostre a forma "
      "(payment_type) e o total.",
      "Some por payment_type os pagamentos dos pedidos feitos em {m}: uma linha por forma, com o "
      "total."},
     "SELECT p.payment_type, ROUND(SUM(p.payment_value), 2) " ORDERS_PAYMENTS " WHERE " IN_MONTH
     " GROUP BY p.payment_type"},
    {2,
     0,
     HELD,
     {"Em média, quanto foi pago por pedido em {m}? Conte só pedidos com pagamento, somando todos "
      "os pagamentos de cada um.",
      "Qual foi o valor médio pago por pedido (soma dos seus pagamentos) nos pedidos feitos em {m} "
      "que têm pagamento?"},
     "SELECT ROUND(SUM(p.payment_value) / COUNT(DISTINCT o.order_id), 2) " ORDERS_PAYMENTS
     " WHERE " IN_MONTH},
    {2,
     0,
     false,
     {"Qual é a nota média das avaliações dos pedidos feitos em {m}?",
      "Que nota média têm as avaliações dos pedidos comprados em {m}?"},
     "SELECT ROUND(AVG(r.review_score), 2) " ORDERS_REVIEWS " WHERE " IN_MONTH},
    {2,
     0,
     false,
     {"Quantos pedidos feitos em {m} receberam alguma avaliação com nota {n}?",
      "Dos pedidos feitos em {m}, quantos têm pelo menos uma avaliação de nota {n}?"},
     "SELECT COUNT(DISTINCT o.order_id) " ORDERS_REVIEWS " WHERE r.review_score = {n} "
     "AND " IN_MONTH},
    {2,
     0,
     false,
     {"Qual é a nota média das avaliações dos pedidos com status {r} feitos em {a}?",
      "Que média de notas têm as avaliações dos pedidos de {a} com status {r}?"},
     "SELECT ROUND(AVG(r.review_score), 2) " ORDERS_REVIEWS " WHERE o.order_status = '{r}' "
     "AND " IN_YEAR},
    {2,
     0,
     false,
     {"Qual é a receita total da categoria {c}?", "Quanto a categoria {c} rendeu de receita?"},
     "SELECT ROUND(SUM(i.price), 2) " ITEMS_PRODUCTS " WHERE p.product_category_name = '{c}'"},
    {2,
     0,
     false,
     {"Qual é o preço médio dos itens vendidos da categoria {c}?",
      "Por quanto foi vendido em média um item da categoria {c}?"},
     "SELECT ROUND(AVG(i.price), 2) " ITEMS_PRODUCTS " WHERE p.product_category_name = '{c}'"},
    {2,
     0,
     false,
     {"Qual foi o maior preço de um item vendido da categoria {c}?",
      "Por quanto foi vendido o item mais caro da categoria {c}?"},
     "SELECT MAX(i.price) " ITEMS_PRODUCTS " WHERE p.product_category_name = '{c}'"},
    {2,
     0,
     false,
     {"Quantos itens da categoria {c} foram vendidos por mais de R$ {v}?",
      "Conte os itens vendidos da categoria {c} com preço acima de R$ {v}."},
     "SELECT COUNT(*) " ITEMS_PRODUCTS " WHERE p.product_category_name = '{c}' AND i.price > {v}"},
    {2,
     0,
     HELD,
     {"Qual é o frete médio dos itens vendidos da categoria {c}?",
      "Quanto custa em média o frete de um item da categoria {c}?"},
     "SELECT ROUND(AVG(i.freight_value), 2) " ITEMS_PRODUCTS
     " WHERE p.product_category_name = '{c}'"},
    {2,
     0,
     false,
     {"Quantos produtos diferentes da categoria {c} foram vendidos?",
      "Conte os produtos diferentes da categoria {c} que aparecem em vendas."},
     "SELECT COUNT(DISTINCT i.product_id) " ITEMS_PRODUCTS
     " WHERE p.product_category_name = '{c}'"},
    {2,
     2,
     false,
     {"Qual é o produto da categoria {c} com mais itens vendidos? Mostre product_id e número de "
      "itens.",
      "Mostre o product_id e o número de itens vendidos do produto mais vendido da categoria {c}."},
     "SELECT i.product_id, COUNT(*) " ITEMS_PRODUCTS
     " WHERE p.product_category_name = '{c}' GROUP BY i.product_id ORDER BY COUNT(*) DESC LIMIT "
     "1"},
    {2,
     2,
     false,
     {"Entre os itens de mais de R$ {v}, quais são as {l} categorias com mais itens vendidos? "
      "Mostre "
      "categoria e número de itens, do maior para o menor, sem produtos sem categoria.",
      "Liste as {l} categorias com mais itens vendidos acima de R$ {v} e o número de itens, em "
      "ordem "
      "decrescente; ignore produtos sem categoria."},
     "SELECT p.product_category_name, COUNT(*) " ITEMS_PRODUCTS
     " WHERE i.price > {v} AND p.product_category_name IS NOT NULL GROUP BY "
     "p.product_category_name ORDER BY COUNT(*) DESC LIMIT {l}"},
    {2,
     0,
     false,
     {"Qual é o nome em inglês da categoria {c} e quantos produtos ela tem?",
      "Mostre a tradução para o inglês da categoria {c} e o número de produtos dela."},
     "SELECT t.product_category_name_english, COUNT(*) FROM products p JOIN category_translation t "
     "ON t.product_category_name = p.product_category_name WHERE p.product_category_name = '{c}' "
     "GROUP BY t.product_category_name_english"},
    {2,
     0,
     false,
     {"Qual é a receita total dos vendedores {g}?", "Quanto de receita fizeram os vendedores {g}?"},
     "SELECT ROUND(SUM(i.price), 2) " ITEMS_SELLERS " WHERE s.seller_state = '{h}'"},
    {2,
     0,
     false,
     {"Quantos vendedores {g} já venderam algum item por mais de R$ {v}?",
      "Conte os vendedores {g} com pelo menos um item vendido acima de R$ {v}."},
     "SELECT COUNT(DISTINCT i.seller_id) " ITEMS_SELLERS
     " WHERE s.seller_state = '{h}' AND i.price > {v}"},
    {2,
     2,
     HELD,
     {"Quais são os {l} vendedores {g} com maior receita? Mostre seller_id e receita, da maior "
      "para "
      "a menor.",
      "Liste seller_id e receita dos {l} vendedores {g} que mais venderam em valor, em ordem "
      "decrescente."},
     "SELECT i.seller_id, ROUND(SUM(i.price), 2) " ITEMS_SELLERS
     " WHERE s.seller_state = '{h}' GROUP BY i.seller_id ORDER BY SUM(i.price) DESC LIMIT {l}"},
    {2,
     0,
     false,
     {"Qual foi a receita dos itens vendidos nos pedidos feitos em {m}?",
      "Quanto de receita deram os pedidos feitos em {m}?"},
     "SELECT ROUND(SUM(i.price), 2) " ORDERS_ITEMS " WHERE " IN_MONTH},
    {2,
     0,
     HELD,
     {"Que percentual da receita dos pedidos feitos em {m} corresponde ao frete, isto é, frete "
      "total dividido pela receita?",
      "Nos pedidos feitos em {m}, o frete total equivale a quantos por cento da receita?"},
     "SELECT ROUND(100.0 * SUM(i.freight_value) / SUM(i.price), 2) " ORDERS_ITEMS
     " WHERE " IN_MONTH},

    /* --- three tables, queries within queries, HAVING, windows --- */
    {3,
     0,
     false,
     {"Qual foi a receita da categoria {c} nos pedidos feitos em {m}?",
      "Em {m}, quanto de receita deu a categoria {c}, pela data da compra?"},
     "SELECT ROUND(SUM(i.price), 2) " ORDERS_ITEMS AND_PRODUCTS
     " WHERE p.product_category_name = '{c}' AND " IN_MONTH},
    {3,
     0,
     false,
     {"Quantos pedidos feitos em {a} por clientes {q} tinham itens da categoria {c}?",
      "Dos pedidos que clientes {q} fizeram em {a}, quantos incluíam a categoria {c}?"},
     "SELECT COUNT(DISTINCT o.order_id) " ORDERS_ITEMS AND_PRODUCTS AND_CUSTOMERS
     " WHERE p.product_category_name = '{c}' AND c.customer_state = '{e}' AND " IN_YEAR},
    {3,
     0,
     false,
     {"Qual é a nota média das avaliações dos pedidos com algum item da categoria {c}, contando "
      "cada avaliação uma vez?",
      "Contando cada avaliação uma só vez, que nota média têm os pedidos que incluem a categoria "
      "{c}?"},
     "SELECT ROUND(AVG(review_score), 2) FROM order_reviews WHERE order_id IN (SELECT "
     "i.order_id " ITEMS_PRODUCTS " WHERE p.product_category_name = '{c}')"},
    {3,
     0,
     HELD,
     {"Que percentual das avaliações dos pedidos com algum item da categoria {c} tem nota {n}? "
      "Conte cada avaliação uma vez.",
      "Entre as avaliações (cada uma contada uma vez) de pedidos que incluem a categoria {c}, "
      "quantos "
      "por cento deram nota {n}?"},
     "SELECT ROUND(100.0 * SUM(review_score = {n}) / COUNT(*), 2) FROM order_reviews WHERE "
     "order_id "
     "IN (SELECT i.order_id " ITEMS_PRODUCTS " WHERE p.product_category_name = '{c}')"},
    {3,
     2,
     false,
     {"Quais {l} categorias tiveram a maior receita nos pedidos feitos em {m}? Mostre categoria e "
      "receita, da maior para a menor, sem produtos sem categoria.",
      "Liste as {l} categorias de maior receita em {m}, pela data da compra, com a receita, em "
      "ordem "
      "decrescente; ignore produtos sem categoria."},
     "SELECT p.product_category_name, ROUND(SUM(i.price), 2) " ORDERS_ITEMS AND_PRODUCTS
     " WHERE p.product_category_name IS NOT NULL AND " IN_MONTH
     " GROUP BY p.product_category_name ORDER BY SUM(i.price) DESC LIMIT {l}"},
    {3,
     2,
     false,
     {"Quais {l} cidades {q} deram a maior receita nos pedidos feitos em {a}? Mostre cidade e "
      "receita, da maior para a menor.",
      "Liste as {l} cidades de clientes {q} com maior receita em {a}, com o valor, em ordem "
      "decrescente."},
     "SELECT c.customer_city, ROUND(SUM(i.price), 2) " ORDERS_ITEMS AND_CUSTOMERS
     " WHERE c.customer_state = '{e}' AND " IN_YEAR
     " GROUP BY c.customer_city ORDER BY SUM(i.price) DESC LIMIT {l}"},
    {3,
     0,
     false,
     {"Dos pedidos feitos em {a} por clientes {q} e já entregues ao cliente, que percentual chegou "
      "atrasado?",
      "Entre os pedidos de {a} de clientes {q} que têm data de entrega ao cliente, quantos por "
      "cento "
      "chegaram com atraso?"},
     "SELECT ROUND(100.0 * SUM(" LATE ") / COUNT(*), 2) " ORDERS_CUSTOMERS
     " WHERE c.customer_state = '{e}' AND o.order_delivered_customer_date IS NOT NULL "
     "AND " IN_YEAR},
    {3,
     0,
     false,
     {"Qual é a nota média das avaliações dos pedidos feitos em {a} por clientes {q} que chegaram "
      "atrasados?",
      "Que nota média têm as avaliações dos pedidos atrasados que clientes {q} fizeram em {a}?"},
     "SELECT ROUND(AVG(r.review_score), 2) " ORDERS_REVIEWS AND_CUSTOMERS
     " WHERE c.customer_state = '{e}' AND " LATE " AND " IN_YEAR},
    {3,
     0,
     false,
     {"Quais estados tiveram pelo menos {u} pedidos atrasados entre os feitos em {m}? Mostre "
      "estado "
      "e número de pedidos atrasados.",
      "Mostre os estados de clientes com {u} ou mais pedidos de {m} que chegaram atrasados, e "
      "quantos "
      "foram."},
     "SELECT c.customer_state, COUNT(*) " ORDERS_CUSTOMERS " WHERE " LATE " AND " IN_MONTH
     " GROUP BY c.customer_state HAVING COUNT(*) >= {u}"},
    {3,
     2,
     false,
     {"Entre os estados com pelo menos {d} pedidos entregues dos feitos em {a}, quais {l} tiveram "
      "o "
      "maior tempo médio da compra à entrega? Mostre estado e dias em média, do maior para o "
      "menor.",
      "Liste os {l} estados de entrega mais lenta (dias em média da compra à entrega ao cliente) "
      "nos "
      "pedidos de {a}, só com {d} ou mais pedidos entregues: estado e dias, em ordem decrescente."},
     "SELECT c.customer_state, ROUND(AVG(" DAYS "), 2) " ORDERS_CUSTOMERS
     " WHERE o.order_delivered_customer_date IS NOT NULL AND " IN_YEAR
     " GROUP BY c.customer_state HAVING COUNT(*) >= {d} ORDER BY AVG(" DAYS ") DESC LIMIT {l}"},
    {3,
     0,
     false,
     {"Quantos pedidos feitos em {m} somaram mais de R$ {v} em preços de itens?",
      "Em {m}, quantos pedidos tiveram soma dos preços dos itens acima de R$ {v}?"},
     "SELECT COUNT(*) FROM (SELECT o.order_id " ORDERS_ITEMS " WHERE " IN_MONTH
     " GROUP BY o.order_id HAVING SUM(i.price) > {v})"},
    {3,
     0,
     false,
     {"Quantos pedidos feitos em {m} tinham pelo menos {u} itens?",
      "Dos pedidos feitos em {m}, quantos levavam {u} itens ou mais?"},
     "SELECT COUNT(*) FROM (SELECT o.order_id " ORDERS_ITEMS " WHERE " IN_MONTH
     " GROUP BY o.order_id HAVING COUNT(*) >= {u})"},
    {3,
     0,
     false,
     {"Quantos pedidos feitos em {m} tinham itens de mais de um vendedor?",
      "Em {m}, quantos pedidos juntaram itens de vendedores diferentes?"},
     "SELECT COUNT(*) FROM (SELECT o.order_id " ORDERS_ITEMS " WHERE " IN_MONTH
     " GROUP BY o.order_id HAVING COUNT(DISTINCT i.seller_id) > 1)"},
    {3,
     0,
     HELD,
     {"Em quantos pedidos feitos em {m} o frete total passou do preço total dos itens?",
      "Quantos pedidos de {m} pagaram mais de frete do que de produtos, somando os itens?"},
     "SELECT COUNT(*) FROM (SELECT o.order_id " ORDERS_ITEMS " WHERE " IN_MONTH
     " GROUP BY o.order_id HAVING SUM(i.freight_value) > SUM(i.price))"},
    {3,
     0,
     false,
     {"Quantos pedidos feitos em {m} usaram mais de uma forma de pagamento (payment_type)?",
      "Dos pedidos feitos em {m}, quantos combinaram formas de pagamento diferentes?"},
     "SELECT COUNT(*) FROM (SELECT o.order_id " ORDERS_PAYMENTS " WHERE " IN_MONTH
     " GROUP BY o.order_id HAVING COUNT(DISTINCT p.payment_type) > 1)"},
    {3,
     0,
     false,
     {"Nos pedidos feitos em {a} por clientes {q}, quanto foi pago com {o} em média por pedido que "
      "usou essa forma?",
      "Some por pedido o que foi pago com {o} e dê a média dessas somas, para os pedidos de {a} de "
      "clientes {q} que usaram essa forma."},
     "SELECT ROUND(AVG(total), 2) FROM (SELECT SUM(p.payment_value) AS total " ORDERS_PAYMENTS
         AND_CUSTOMERS " WHERE p.payment_type = '{p}' AND c.customer_state = '{e}' AND " IN_YEAR
     " GROUP BY o.order_id)"},
    {3,
     0,
     false,
     {"Quantas pessoas {q} fizeram mais de um pedido?",
      "Contando por pessoa, quantos clientes {q} têm dois pedidos ou mais?"},
     "SELECT COUNT(*) FROM (SELECT c.customer_unique_id " ORDERS_CUSTOMERS
     " WHERE c.customer_state = '{e}' GROUP BY c.customer_unique_id HAVING COUNT(*) > 1)"},
    {3,
     0,
     false,
     {"Que percentual da receita dos pedidos feitos em {m} veio da categoria {c}?",
      "Em {m}, a categoria {c} respondeu por quantos por cento da receita, pela data da compra?"},
     "SELECT ROUND(100.0 * SUM(CASE WHEN p.product_category_name = '{c}' THEN i.price ELSE 0 END) "
     "/ "
     "SUM(i.price), 2) " ORDERS_ITEMS AND_PRODUCTS " WHERE " IN_MONTH},
    {3,
     0,
     HELD,
     {"Nos pedidos feitos em {a}, quanto a receita da categoria {c} ficou acima da receita da "
      "categoria {j}? Dê a diferença, negativa se ficou abaixo.",
      "Calcule, para os pedidos feitos em {a}, a receita da categoria {c} menos a da categoria "
      "{j}."},
     "SELECT ROUND(SUM(CASE WHEN p.product_category_name = '{c}' THEN i.price ELSE 0 END) - "
     "SUM(CASE "
     "WHEN p.product_category_name = '{j}' THEN i.price ELSE 0 END), 2) " ORDERS_ITEMS AND_PRODUCTS
     " WHERE " IN_YEAR},
    {3,
     2,
     false,
     {"Em que mês de {a} a categoria {c} teve a maior receita? Mostre mês (AAAA-MM) e receita.",
      "Mostre o mês (AAAA-MM) de {a} em que a categoria {c} mais rendeu, pela data da compra, e a "
      "receita dele."},
     "SELECT strftime('%Y-%m', o.order_purchase_timestamp), ROUND(SUM(i.price), 2) " ORDERS_ITEMS
         AND_PRODUCTS " WHERE p.product_category_name = '{c}' AND " IN_YEAR
     " GROUP BY 1 ORDER BY SUM(i.price) DESC LIMIT 1"},
    {3,
     1,
     false,
     {"Mostre, para cada mês de {a} com vendas da categoria {c}, o mês (AAAA-MM), a receita do mês "
      "e "
      "a receita acumulada no ano, em ordem cronológica.",
      "Qual foi, mês a mês em {a}, a receita da categoria {c} e o acumulado do ano até o mês? "
      "Mostre "
      "mês (AAAA-MM), receita e acumulado, em ordem cronológica."},
     "SELECT strftime('%Y-%m', o.order_purchase_timestamp) AS mes, ROUND(SUM(i.price), 2), "
     "ROUND(SUM(SUM(i.price)) OVER (ORDER BY strftime('%Y-%m', o.order_purchase_timestamp)), "
     "2) " ORDERS_ITEMS AND_PRODUCTS " WHERE p.product_category_name = '{c}' AND " IN_YEAR
     " GROUP BY mes ORDER BY mes"},
    {3,
     0,
     false,
     {"Qual foi, em {m}, a categoria de maior receita em cada estado de vendedor? Mostre estado, "
      "categoria e receita; em caso de empate, todas; ignore produtos sem categoria.",
      "Para cada estado de vendedor, mostre a categoria que mais rendeu nos pedidos feitos em {m} "
      "e "
      "a receita dela (todas, se houver empate; sem produtos sem categoria)."},
     "SELECT seller_state, product_category_name, receita FROM (SELECT s.seller_state, "
     "p.product_category_name, ROUND(SUM(i.price), 2) AS receita, RANK() OVER (PARTITION BY "
     "s.seller_state ORDER BY ROUND(SUM(i.price), 2) DESC) AS lugar " ORDERS_ITEMS AND_PRODUCTS
         AND_SELLERS " WHERE p.product_category_name IS NOT NULL AND " IN_MONTH
     " GROUP BY s.seller_state, p.product_category_name) WHERE lugar = 1"},
    {3,
     0,
     false,
     {"De quanto por cento variou o número de pedidos de clientes {q} em {m} em relação ao mês "
      "anterior?",
      "Calcule a variação percentual dos pedidos de clientes {q} entre o mês anterior e {m}."},
     "SELECT ROUND(100.0 * (SUM(" IN_MONTH ") - SUM(o.order_purchase_timestamp LIKE '{z}%')) / "
     "SUM(o.order_purchase_timestamp LIKE '{z}%'), 2) " ORDERS_CUSTOMERS
     " WHERE c.customer_state = '{e}'"},
    {3,
     0,
     false,
     {"Quantos vendedores {g} venderam para clientes {q} nos pedidos feitos em {a}?",
      "Em {a}, quantos vendedores {g} tiveram pedidos de clientes {q}?"},
     "SELECT COUNT(DISTINCT i.seller_id) " ORDERS_ITEMS AND_SELLERS AND_CUSTOMERS
     " WHERE s.seller_state = '{h}' AND c.customer_state = '{e}' AND " IN_YEAR},
    {3,
     0,
     false,
     {"Quantos itens dos pedidos feitos em {m} foram vendidos por vendedores {g} a clientes do "
      "mesmo "
      "estado?",
      "Em {m}, quantos itens de vendedores {g} foram para clientes do mesmo estado do vendedor, "
      "pela "
      "data da compra?"},
     "SELECT COUNT(*) " ORDERS_ITEMS AND_SELLERS AND_CUSTOMERS
     " WHERE s.seller_state = '{h}' AND c.customer_state = s.seller_state AND " IN_MONTH},
    {3,
     2,
     HELD,
     {"Quais {l} vendedores {g} tiveram a maior receita nos pedidos feitos em {a}? Mostre "
      "seller_id "
      "e receita, da maior para a menor.",
      "Liste seller_id e receita dos {l} vendedores {g} que mais renderam em {a}, pela data da "
      "compra, em ordem decrescente."},
     "SELECT i.seller_id, ROUND(SUM(i.price), 2) " ORDERS_ITEMS AND_SELLERS
     " WHERE s.seller_state = '{h}' AND " IN_YEAR
     " GROUP BY i.seller_id ORDER BY SUM(i.price) DESC LIMIT {l}"},
    {3,
     0,
     false,
     {"Quantos produtos da categoria {c} tiveram alguma venda acima do preço médio dos itens "
      "vendidos "
      "da própria categoria?",
      "Na categoria {c}, quantos produtos foram vendidos ao menos uma vez por mais que o preço "
      "médio "
      "dos itens vendidos da categoria?"},
     "SELECT COUNT(DISTINCT i.product_id) " ITEMS_PRODUCTS
     " WHERE p.product_category_name = '{c}' AND i.price > (SELECT AVG(i2.price) FROM order_items "
     "i2 "
     "JOIN products p2 ON p2.product_id = i2.product_id WHERE p2.product_category_name = '{c}')"},
    {3,
     0,
     false,
     {"Quais categorias venderam pelo menos {d} itens a clientes {q} nos pedidos feitos em {a}? "
      "Mostre "
      "categoria e número de itens, sem produtos sem categoria.",
      "Mostre as categorias com {d} ou mais itens vendidos em {a} a clientes {q}, e quantos itens "
      "foram; ignore produtos sem categoria."},
     "SELECT p.product_category_name, COUNT(*) " ORDERS_ITEMS AND_PRODUCTS AND_CUSTOMERS
     " WHERE c.customer_state = '{e}' AND p.product_category_name IS NOT NULL AND " IN_YEAR
     " GROUP BY p.product_category_name HAVING COUNT(*) >= {d}"},
    {3,
     0,
     false,
     {"Quantos pedidos feitos em {m} não receberam nenhuma avaliação?",
      "Dos pedidos feitos em {m}, quantos ficaram sem avaliação?"},
     "SELECT COUNT(*) FROM orders o WHERE " IN_MONTH
     " AND NOT EXISTS (SELECT 1 FROM order_reviews r WHERE r.order_id = o.order_id)"},
    {3,
     0,
     false,
     {"Quantos vendedores {g} têm o prefixo de CEP na tabela geolocation?",
      "Conte os vendedores {g} cujo prefixo de CEP aparece em geolocation."},
     "SELECT COUNT(*) FROM sellers WHERE seller_state = '{h}' AND seller_zip_code_prefix IN "
     "(SELECT "
     "geolocation_zip_code_prefix FROM geolocation)"},
    {3,
     0,
     HELD,
     {"Qual é a latitude média dos prefixos de CEP {q}, tirando antes a média de cada prefixo na "
      "tabela geolocation?",
      "Tire a latitude média de cada prefixo de CEP {q} na tabela geolocation e dê a média desses "
      "valores."},
     "SELECT ROUND(AVG(latitude), 2) FROM (SELECT AVG(geolocation_lat) AS latitude FROM "
     "geolocation "
     "WHERE geolocation_state = '{e}' GROUP BY geolocation_zip_code_prefix)"},
    {3,
     0,
     HELD,
     {"Quantos pedidos feitos em {m} por clientes {q} foram pagos só com {o}?",
      "Dos pedidos de clientes {q} feitos em {m}, quantos usaram {o} e nenhuma outra forma de "
      "pagamento?"},
     "SELECT COUNT(*) FROM (SELECT o.order_id " ORDERS_PAYMENTS AND_CUSTOMERS
     " WHERE c.customer_state = '{e}' AND " IN_MONTH
     " GROUP BY o.order_id HAVING SUM(p.payment_type <> '{p}') = 0)"},
};
const size_t olist_n_questions = ARRAY_LENGTH(olist_questions);

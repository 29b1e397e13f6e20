#!/usr/bin/env python3
"""Writes tests/reward/fixtures/sql_exec.jsonl: python3 tests/oracle/reward/sql_exec_fixtures.py > FILE"""
import json

# The path that takes this text's place is that of a database made of the first line's SQL.
DB = "$DATABASE"
SCHEMA = ("Tabelas: clientes(id,nome,cidade,estado) produtos(id,nome,categoria,preco) "
          "pedidos(id,cliente_id,data,status,valor) itens(id,pedido_id,produto_id,quantidade,preco).")

def fence(sql, prose=""):
    return "```sql\n" + sql + ";\n```\n" + prose

TRIVIAL = [  # for every case
    ("adversarial", "valid anywhere", "SELECT 1"),
    ("adversarial", "valid anywhere, with words", fence("SELECT 1", "O resultado mostra o total de pedidos da loja no período.")),
    ("adversarial", "any query that reads", fence("SELECT COUNT(*) FROM pedidos", "O resultado mostra o total de pedidos da loja no período.")),
    ("adversarial", "everything", fence("SELECT * FROM pedidos", "A consulta mostra todos os pedidos da loja.")),
    ("adversarial", "prose without SQL", "O total do período foi calculado com a soma dos pedidos, e o resultado mostra a média por cliente. Portanto, o total é 42."),
    ("adversarial", "key words", "SELECT FROM WHERE GROUP BY ORDER BY COUNT SUM AVG JOIN pedidos clientes produtos total média resultado"),
    ("adversarial", "writes", fence("DELETE FROM pedidos", "A consulta remove os pedidos.")),
    ("adversarial", "stacked", fence("SELECT 1; DROP TABLE pedidos", "Primeiro um, depois o outro.")),
    ("adversarial", "without end", fence("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) FROM n", "A consulta conta sem parar.")),
    ("adversarial", "a table of its own", fence("WITH pedidos AS (SELECT 42 AS valor) SELECT COUNT(*) FROM pedidos", "A consulta conta os pedidos.")),
    ("empty", None, ""),
    ("empty", None, "Não sei responder."),
    ("empty", None, "<think>SELECT COUNT(*) FROM pedidos</think>"),
]

CASES = {
 "contar": ("Quantos pedidos foram cancelados?", "SELECT COUNT(*) FROM pedidos WHERE status = 'cancelado'", [
   ("gold", None, fence("SELECT COUNT(*) FROM pedidos WHERE status = 'cancelado'", "A consulta conta os pedidos cancelados da loja.")),
   ("gold", "the number said", fence("SELECT SUM(status = 'cancelado') AS total FROM pedidos", "A loja teve 44 pedidos cancelados, segundo a consulta.")),
   ("gold", "no fence", "SELECT COUNT(id) FROM pedidos WHERE status LIKE 'cancelado'; a consulta conta os pedidos que a loja cancelou."),
   ("gold", "a label beside", fence("SELECT status, COUNT(*) FROM pedidos WHERE status = 'cancelado' GROUP BY status", "A consulta mostra o status e o total de pedidos cancelados.")),
   ("near_miss", "no words", fence("SELECT COUNT(*) FROM pedidos WHERE status = 'cancelado'")),
   ("near_miss", "a wrong number said", fence("SELECT COUNT(*) FROM pedidos WHERE status = 'cancelado'", "A loja teve 51 pedidos cancelados no período.")),
   ("near_miss", "another status", fence("SELECT COUNT(*) FROM pedidos WHERE status = 'entregue'", "A consulta conta os pedidos cancelados da loja.")),
   ("near_miss", "no such column", fence("SELECT COUNT(*) FROM pedidos WHERE situacao = 'cancelado'", "A consulta conta os pedidos cancelados da loja.")),
   ("adversarial", "a bracket is missing", "SELECT COUNT(*) FROM pedidos WHERE (status = 'cancelado' AND 1"),
   ("adversarial", "learnt by heart", fence("SELECT 44 FROM pedidos LIMIT 1", "A consulta conta os pedidos cancelados da loja.")),
   ("adversarial", "learnt, over rows", fence("SELECT 44 + 0 * COUNT(*) FROM pedidos", "A consulta conta os pedidos cancelados da loja.")),
   ("adversarial", "learnt, on a condition", fence("SELECT CASE WHEN EXISTS (SELECT id FROM pedidos WHERE id > 10) THEN 44 END FROM clientes LIMIT 1", "A consulta conta os pedidos cancelados da loja.")),
   ("adversarial", "all aggregates at once", fence("SELECT COUNT(*), SUM(status = 'cancelado'), SUM(status = 'entregue'), MAX(valor), MIN(valor), AVG(valor), SUM(valor), SUM(id)  FROM pedidos", "A consulta conta os pedidos cancelados da loja.")),
   ("near_miss", "a list of numbers beside", fence("SELECT COUNT(*) FROM pedidos WHERE status = 'cancelado'", "40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60")),
   ("near_miss", "words without a sentence", fence("SELECT COUNT(*) FROM pedidos WHERE status = 'cancelado'", "pedidos total resultado média vendas clientes produtos loja período status")),
   ("near_miss", "the question again", fence("SELECT COUNT(*) FROM pedidos WHERE status = 'cancelado'", "Quantos pedidos foram cancelados?")),
   ("near_miss", "one word, often", fence("SELECT COUNT(*) FROM pedidos WHERE status = 'cancelado'", "total " * 60)),
   ("adversarial", "5,000 signs", fence("SELECT COUNT(*) FROM clientes", "😀" * 5000)),
 ]),
 "lista": ("Quais 3 produtos mais venderam em unidades?", "SELECT p.nome, SUM(i.quantidade) FROM itens i JOIN produtos p ON p.id = i.produto_id GROUP BY p.nome ORDER BY SUM(i.quantidade) DESC, p.nome LIMIT 3", [
   ("gold", None, fence("SELECT p.nome, SUM(i.quantidade) AS unidades FROM itens i JOIN produtos p ON p.id = i.produto_id GROUP BY p.id ORDER BY unidades DESC LIMIT 3", "A consulta soma as unidades de cada produto e mostra os 3 primeiros.")),
   ("gold", "columns the other way", fence("SELECT SUM(quantidade) AS u, nome FROM produtos JOIN itens ON produto_id = produtos.id GROUP BY nome ORDER BY 1 DESC LIMIT 3", "Os três produtos são os de maior soma de unidades vendidas.")),
   ("near_miss", "the least sold", fence("SELECT p.nome, SUM(i.quantidade) FROM itens i JOIN produtos p ON p.id = i.produto_id GROUP BY p.nome ORDER BY SUM(i.quantidade), p.nome LIMIT 3", "A consulta soma as unidades de cada produto e mostra os 3 primeiros.")),
   ("near_miss", "not ordered as asked", fence("SELECT * FROM (SELECT p.nome, SUM(i.quantidade) AS u FROM itens i JOIN produtos p ON p.id = i.produto_id GROUP BY p.nome ORDER BY u DESC LIMIT 3) ORDER BY u", "A consulta soma as unidades de cada produto e mostra os 3 primeiros.")),
   ("near_miss", "all of them", fence("SELECT p.nome, SUM(i.quantidade) AS u FROM itens i JOIN produtos p ON p.id = i.produto_id GROUP BY p.nome ORDER BY u DESC", "A consulta soma as unidades de cada produto e mostra os primeiros.")),
   ("near_miss", "counts lines, not units", fence("SELECT p.nome, COUNT(*) AS u FROM itens i JOIN produtos p ON p.id = i.produto_id GROUP BY p.nome ORDER BY u DESC LIMIT 3", "A consulta conta as vendas de cada produto e mostra os 3 primeiros.")),
   ("adversarial", "names alone", fence("SELECT nome FROM produtos LIMIT 3", "A consulta mostra os produtos da loja.")),
   ("adversarial", "every pair", fence("SELECT p.nome, i.quantidade FROM produtos p, itens i", "A consulta mostra os produtos da loja.")),
 ]),
 "valor": ("Qual foi o valor total dos pedidos entregues em março de 2024?", "SELECT ROUND(SUM(valor), 2) FROM pedidos WHERE status = 'entregue' AND data LIKE '2024-03%'", [
   ("gold", None, fence("SELECT SUM(valor) FROM pedidos WHERE status = 'entregue' AND strftime('%Y-%m', data) = '2024-03'", "A soma mostra o valor dos pedidos que chegaram em março de 2024.")),
   ("gold", "as text", fence("SELECT printf('%.2f', SUM(valor)) FROM pedidos WHERE status = 'entregue' AND data BETWEEN '2024-03-01' AND '2024-03-31'", "A soma mostra o valor dos pedidos que chegaram em março de 2024.")),
   ("near_miss", "all of them", fence("SELECT SUM(valor) FROM pedidos WHERE data LIKE '2024-03%'", "A soma mostra o valor dos pedidos que chegaram em março de 2024.")),
   ("near_miss", "the mean", fence("SELECT AVG(valor) FROM pedidos WHERE status = 'entregue' AND data LIKE '2024-03%'", "A média mostra o valor dos pedidos que chegaram em março de 2024.")),
   ("near_miss", "today", fence("SELECT SUM(valor) FROM pedidos WHERE data > date('now', '-1 month')", "A soma mostra o valor dos pedidos que chegaram.")),
   ("adversarial", "the value by chance of rows", fence("SELECT valor FROM pedidos", "A consulta mostra o valor dos pedidos.")),
 ]),
 "grupos": ("Quantos clientes há em cada estado?", "SELECT estado, COUNT(*) FROM clientes GROUP BY estado ORDER BY estado", [
   ("gold", None, fence("SELECT estado, COUNT(id) AS n FROM clientes GROUP BY estado ORDER BY estado", "A consulta agrupa os clientes por estado e conta cada grupo.")),
   ("gold", "with numbers said", fence("SELECT COUNT(*), estado FROM clientes GROUP BY 2 ORDER BY 2", "São 24 clientes em SP e 12 em cada um dos outros, segundo a consulta.")),
   ("near_miss", "by city", fence("SELECT cidade, COUNT(*) FROM clientes GROUP BY cidade ORDER BY cidade", "A consulta agrupa os clientes por cidade e conta cada grupo.")),
   ("near_miss", "one state missing", fence("SELECT estado, COUNT(*) FROM clientes WHERE estado <> 'SP' GROUP BY estado ORDER BY estado", "A consulta agrupa os clientes por estado e conta cada grupo.")),
   ("adversarial", "the states alone", fence("SELECT DISTINCT estado FROM clientes ORDER BY estado", "A consulta mostra os estados da loja.")),
   ("adversarial", "one number for all", fence("SELECT estado, 12 FROM clientes GROUP BY estado ORDER BY estado", "A consulta agrupa os clientes por estado e conta cada grupo.")),
 ]),
}

with open("tests/reward/fixtures/sql_exec_shop.sql", encoding="utf-8") as f:
    print(json.dumps({"defaults": {"database_sql": f.read()}}, ensure_ascii=False))
for case, (question, sql, lines) in CASES.items():
    for kind, note, completion in lines + TRIVIAL:
        row = {"id": f"sql_exec-{case}-{kind}", "case": case, "kind": kind}
        if note:
            row["note"] = note
        row.update(prompt=[{"role": "user", "content": question + " Responda com SQL e explique.\n" + SCHEMA}],
                   reference={"database": DB, "sql": sql}, completion=completion)
        print(json.dumps(row, ensure_ascii=False))

#!/usr/bin/env python3
"""Prompts of an invented shop for the tests, in Portuguese, and the rough answers its tiny model imitates.

Two tasks: push (a push notification for a product and an occasion) and sql_qa (a question over two small
tables). Writes tests/demo/{train,eval,test}.jsonl; no (product, occasion) and no (question, subject) pair
is in two of them. With --corpus FILE it also writes pairs of training prompts and answers of very mixed
quality, for tests/demo/make_demo_model.py. Standard library only; seeded.

    python tests/demo/make_demo_data.py [--corpus FILE] [--out assets/demo]
"""
import argparse
import itertools
import json
import os
import random

SEED = 20261123
PRODUCTS = ["cafeteira", "chaleira", "luminária", "mochila", "tênis", "fone de ouvido", "teclado", "caneca",
            "cadeira", "mesa", "panela", "liquidificador", "relógio", "bola", "bicicleta", "livro", "perfume",
            "tapete", "ventilador", "garrafa"]
OCCASIONS = ["voltou ao estoque", "está em promoção", "ficou no carrinho", "chega hoje", "tem frete grátis",
             "ganhou cor nova", "está acabando", "foi muito elogiado", "tem desconto no Pix", "saiu para entrega"]
CATEGORIES = ["cozinha", "esporte", "livros", "beleza", "casa", "escritório", "brinquedos", "música"]
MONTHS = ["janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto"]
QUESTIONS = ["Quantos pedidos de {c} houve em {m}?", "Qual foi o valor total de {c} em {m}?",
             "Qual a média das notas de {c} em {m}?", "Quais clientes compraram {c} em {m}?",
             "Que produto de {c} vendeu mais em {m}?"]
SCHEMA = "Tabelas: pedidos(id, cliente, produto, categoria, valor, mes); notas(pedido, nota)."


def push_prompt(product, occasion):
    return [{"role": "user", "content": f"Escreva um push curto para o cliente. Produto: {product}. "
                                        f"Motivo: {occasion}."}]


def sql_prompt(question):
    return [{"role": "user", "content": f"{SCHEMA} {question} Responda com SQL e explique."}]


def push_answer(r, product, occasion):
    p = product
    opening = r.choice([f"Sua {p} {occasion}", f"Oba! {p.capitalize()} {occasion}", f"Olha só: {p} {occasion}",
                        f"{p.capitalize()} {occasion}", f"Ei, a {p} que você quer {occasion}"])
    action = r.choice([" Aproveite já!", " Corra e garanta a sua!", " Confira agora!", " Não perca!", " Veja no app.",
                       " Peça hoje!", ""])
    emoji = r.choice(["", "", " 🎉", " 😍", " 🔥", " 🛒", " ⏰"])
    kind = r.random()
    if kind < 0.22:
        return f"{opening}!{action}{emoji}"
    if kind < 0.34:
        return f"{opening}."
    if kind < 0.46:
        return f"Prezado cliente, informamos que o produto {p} {occasion}. Atenciosamente, a loja."
    if kind < 0.56:
        return f"Olá, [nome]! O produto {p} {occasion}.{action}"
    if kind < 0.66:
        return f"{opening}!\n{r.choice(['Compre agora.', 'Veja as ofertas.', 'A loja espera você.'])}\n{action.strip()}"
    if kind < 0.76:
        return (f"{opening}, e queremos que você saiba que temos muitas outras ofertas para a sua casa, com entrega "
                f"para todo o Brasil, em até dez vezes no cartão, por isso venha conhecer a loja hoje mesmo.{action}")
    if kind < 0.84:
        return r.choice([f"Your {p} is back, buy it now!", f"Don't miss the new {p}, shop today!"])
    if kind < 0.92:
        return f"Escreva um push curto para o cliente. Produto: {p}."
    return " ".join([r.choice([p, occasion, "oferta"])] * r.randint(3, 8))


def sql_answer(r, question, category, month):
    number = str(r.randint(2, 90))
    select = r.choice(["SELECT COUNT(*)", "SELECT SUM(valor)", "SELECT AVG(nota)", "SELECT cliente", "SELECT produto"])
    where = f" WHERE categoria = '{category}'" + r.choice(["", f" AND mes = '{month}'"])
    tail = r.choice(["", "", " GROUP BY produto", " GROUP BY produto ORDER BY valor", " ORDER BY valor"])
    join = r.choice(["", "", " JOIN notas ON notas.pedido = pedidos.id"])
    query = f"{select} FROM pedidos{join}{where}{tail};"
    words = r.choice([f"O total de pedidos em {month} foi {number}.",
                      f"O resultado mostra {number} pedidos de clientes em {month}.",
                      f"A média de {category} no período foi {number},5.",
                      f"Portanto, {number}% dos clientes compraram produtos da categoria {category}.",
                      f"A consulta usa a tabela de pedidos.", f"Veja os produtos da categoria {category}."])
    kind = r.random()
    if kind < 0.2:
        return f"```sql\n{query}\n```\n{words}"
    if kind < 0.4:
        return query
    if kind < 0.6:
        return words
    if kind < 0.7:
        return f"{words} {r.choice(['Isso vale para a loja.', 'Não sei dizer mais.', 'Obrigado pela pergunta.'])}"
    if kind < 0.85:
        return f"{query} {words}"
    return r.choice(["Não sei responder.", "Preciso de mais dados.", f"Depende da {category}.", question])


def split(r, items, sizes):
    items = list(items)
    r.shuffle(items)
    at = 0
    for size in sizes:
        yield items[at:at + size]
        at += size


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", default="assets/demo")
    parser.add_argument("--corpus")
    parser.add_argument("--pairs", type=int, default=12000)
    options = parser.parse_args()
    r = random.Random(SEED)
    os.makedirs(options.out, exist_ok=True)
    names, sizes = ("train", "eval", "test"), (120, 30, 40)
    pushes = dict(zip(names, split(r, itertools.product(PRODUCTS, OCCASIONS), sizes)))
    sqls = dict(zip(names, split(r, itertools.product(QUESTIONS, CATEGORIES, MONTHS), sizes)))
    for name in names:
        rows = [{"id": f"push-{name}-{i}", "task": "push", "prompt": push_prompt(*pair)}
                for i, pair in enumerate(pushes[name])]
        rows += [{"id": f"sql-{name}-{i}", "task": "sql_qa", "prompt": sql_prompt(q.format(c=c, m=m))}
                 for i, (q, c, m) in enumerate(sqls[name])]
        if name == "train":
            r.shuffle(rows)
        with open(os.path.join(options.out, f"{name}.jsonl"), "w", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    if options.corpus:
        with open(options.corpus, "w", encoding="utf-8") as file:
            for _ in range(options.pairs):
                if r.random() < 0.5:
                    product, occasion = r.choice(pushes["train"])
                    prompt, answer = push_prompt(product, occasion), push_answer(r, product, occasion)
                else:
                    q, c, m = r.choice(sqls["train"])
                    question = q.format(c=c, m=m)
                    prompt, answer = sql_prompt(question), sql_answer(r, question, c, m)
                file.write(json.dumps({"prompt": prompt, "completion": answer}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

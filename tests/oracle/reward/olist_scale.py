#!/usr/bin/env python3
"""The scale of the reward `extraction`: what trivial answers earn on Olist's human-labelled reviews.
Run by hand; standard library only; prints the tables of docs/EXTRACTION_SCALE.md and no review text.

    python tests/oracle/reward/olist_scale.py build/release/grpo ../shared/assets/olist/olist_classified.csv

The mapping of labels to fields and what is not judged stand in docs/EXTRACTION_SCALE.md.
"""

import csv
import json
import math
import random
import re
import subprocess
import sys
from collections import Counter

FIELDS = ["sentimento", "nota", "produto", "problema", "entrega_no_prazo", "dias_atraso", "recomenda",
          "quer_devolucao", "valor", "resumo"]
COMPONENTS = ["json_strict", "json_valid", "schema", "fields", "no_extra"]
LEAST_VOTES = 2 / 3
PROMPT = "Extraia os dez campos da avaliação em JSON.\nAvaliação: "


def agreement(row):
    votes = [int(float(value or 0)) for key, value in row.items() if key.startswith("votes_")]
    return max(votes) / sum(votes) if sum(votes) else 0


def reference(row):
    """The fields that the labels decide."""
    label, kind = row["most_voted_subclass"], row["most_voted_class"]
    happy = kind == "satisfeito_com_pedido"
    out = {"sentimento": "positivo" if happy else "negativo", "nota": int(row["review_score"])}
    delivered, reviewed = row["order_delivered_customer_date"], row["review_creation_date"]
    came = delivered != "" and delivered <= reviewed
    problem = {"satisfeito": "nenhum", "antes_prazo": "nenhum", "entrega_parcial": "entrega_parcial",
               "diferente_do_anunciado": "produto_errado", "baixa_qualidade": "qualidade",
               "atrasado": "atraso" if came else "nao_entregue"}.get(label)
    if problem:
        out["problema"] = problem
    if label in ("antes_prazo", "atrasado"):
        out["entrega_no_prazo"] = label == "antes_prazo"
    if happy or label == "devolucao":
        out["quer_devolucao"] = not happy
    return out


def filled(values, text):
    out = {name: None for name in FIELDS}
    out["quer_devolucao"] = False
    out["problema"] = "outro"
    out["resumo"] = text[:120]
    out.update(values)
    return out


LATE = re.compile(r"atras|demor|ainda n[aã]o (chegou|recebi)|at[eé] (agora|hoje|o momento)|fora do prazo")
MISSING = re.compile(r"n[aã]o (recebi|chegou|foi entregue|veio|entreg)")
PART = re.compile(r"falt(a|ou|ando)|s[oó] (recebi|veio|chegou)|apenas um|incomplet|parcial|parte d")
WRONG = re.compile(r"errad|diferente|outra? (cor|modelo|produto)|trocad")
POOR = re.compile(r"qualidade (ruim|inferior|p[eé]ssim)|m[aá] qualidade|fr[aá]gil|defeito|quebr|p[eé]ssim|ruim")
BACK = re.compile(r"devol|troca|reembols|estorno|dinheiro de volta|cancel")
EARLY = re.compile(r"antes d[oa]|r[aá]pid|no prazo|dentro do prazo")


def by_keywords(text):
    text = text.lower()
    rules = [(PART, "entrega_parcial"), (MISSING, "nao_entregue"), (LATE, "atraso"), (WRONG, "produto_errado"),
             (POOR, "qualidade")]
    problem = next((name for rule, name in rules if rule.search(text)), "nenhum")
    back = bool(BACK.search(text))
    good = problem == "nenhum" and not back
    late = problem in ("atraso", "nao_entregue")
    return {"sentimento": "positivo" if good else "negativo", "nota": 5 if good else 1, "problema": problem,
            "entrega_no_prazo": False if late else True if EARLY.search(text) else None, "quer_devolucao": back}


def most_frequent(references):
    out = {}
    for name in ("sentimento", "nota", "problema", "entrega_no_prazo", "quer_devolucao"):
        out[name] = Counter(r[name] for r in references if name in r).most_common(1)[0][0]
    return out


def spoilt(values, rng, references):
    """One labelled field as another review has it."""
    name = rng.choice(sorted(values))
    others = [r[name] for r in references if name in r and r[name] != values[name]]
    return {**values, name: rng.choice(others)} if others else values


def answers(rows, references):
    rng = random.Random(1)
    common = most_frequent(references)
    happy = {"sentimento": "positivo", "nota": 5, "problema": "nenhum", "entrega_no_prazo": True, "dias_atraso": 0,
             "recomenda": True}
    unhappy = {"sentimento": "negativo", "nota": 1, "problema": "atraso", "entrega_no_prazo": False,
               "recomenda": False}
    order = list(range(len(rows)))
    rng.shuffle(order)
    texts = [row["review_comment_message"] for row in rows]
    both = list(zip(references, texts))
    return {
        "the labels themselves": [filled(r, t) for r, t in both],
        "one labelled field wrong": [filled(spoilt(r, rng, references), t) for r, t in both],
        "keyword rules": [filled(by_keywords(t), t) for t in texts],
        "most frequent values": [filled(common, t) for t in texts],
        "always happy": [filled(happy, t) for t in texts],
        "always unhappy": [filled(unhappy, t) for t in texts],
        "labels of another review": [filled(references[k], t) for k, t in zip(order, texts)],
        "all null": [{name: None for name in FIELDS}] * len(rows),
        "all \"desconhecido\"": [{name: "desconhecido" for name in FIELDS}] * len(rows),
        "{}": [{}] * len(rows),
        "nothing": [None] * len(rows),
    }


def score(program, rows, references, objects):
    lines = [json.dumps({"prompt": PROMPT + row["review_comment_message"], "reference": r,
                         "completion": "" if o is None else json.dumps(o, ensure_ascii=False)})
             for row, r, o in zip(rows, references, objects)]
    run = subprocess.run([program, "score", "--reward", "extraction", "--explain"], input="\n".join(lines),
                         capture_output=True, text=True, check=True)
    out = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(out) == len(rows) and all(o["status"] == "ok" for o in out)
    return out


def mean(values):
    values = list(values)
    n, m = len(values), sum(values) / len(values)
    sd = math.sqrt(sum((v - m) ** 2 for v in values) / max(1, n - 1))
    return m, 1.96 * sd / math.sqrt(n)


def main():
    program, path = sys.argv[1:3]
    with open(path, encoding="utf-8") as f:
        rows = [r for r in csv.DictReader(f) if r["most_voted_class"] and agreement(r) >= LEAST_VOTES - 1e-9]
    references = [reference(r) for r in rows]
    print(f"{len(rows)} reviews; fields judged: "
          + ", ".join(f"{name} {sum(name in r for r in references)}" for name in FIELDS
                      if any(name in r for r in references)))
    print("\n| answer | score | " + " | ".join(COMPONENTS) + " |\n|---|---|" + "---|" * len(COMPONENTS))
    results = {name: score(program, rows, references, objects) for name, objects in answers(rows, references).items()}
    for name, out in results.items():
        m, half = mean(o["score"] for o in out)
        print(f"| {name} | {m:.3f} ± {half:.3f} | "
              + " | ".join(f"{mean(o['components'][c] for o in out)[0]:.3f}" for c in COMPONENTS) + " |")
    judged = ["sentimento", "nota", "problema", "entrega_no_prazo", "quer_devolucao"]
    print("\n| answer | " + " | ".join(judged) + " |\n|---|" + "---|" * len(judged))
    for name, out in results.items():
        cells = []
        for field in judged:
            credits = [o["explain"]["fields"].get(field, {}).get("credit") for o, r in zip(out, references) if field in r]
            cells.append(f"{sum(c or 0 for c in credits) / len(credits):.3f}")
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()

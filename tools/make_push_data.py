#!/usr/bin/env python3
"""Push prompts from the real Olist reviews: train, eval and test rows that share no review.

    python tools/make_push_data.py OLIST_FOLDER OUT_FOLDER [--train 480 --eval 60 --test 100]

OLIST_FOLDER holds olist_order_reviews_dataset.csv, olist_order_items_dataset.csv and
olist_products_dataset.csv. Each prompt quotes one customer's review of one product category and asks for a
push notification to that customer. Reviews of 30 to 200 characters, each text once, chosen by a hash, so
that the same rows come out everywhere. Nothing of the output is committed: the data's licence is not ours.
"""
import argparse
import csv
import hashlib
import json
import os

PROMPT = ("Um cliente comprou um produto da categoria {category} e escreveu esta avaliação: \"{review}\"\n"
          "Escreva uma notificação push em português para esse cliente: uma frase curta, de até 120 "
          "caracteres, pronta para enviar.")


def table(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def reviews(folder):
    category = {row["product_id"]: row["product_category_name"].replace("_", " ")
                for row in table(folder, "olist_products_dataset.csv")}
    product = {}
    for row in table(folder, "olist_order_items_dataset.csv"):
        product.setdefault(row["order_id"], row["product_id"])
    seen = set()
    for row in table(folder, "olist_order_reviews_dataset.csv"):
        text = " ".join(row["review_comment_message"].split())
        name = category.get(product.get(row["order_id"]), "")
        if not name or not 30 <= len(text) <= 200 or text.casefold() in seen:
            continue
        seen.add(text.casefold())
        yield row["review_id"], name, text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("olist")
    parser.add_argument("out")
    parser.add_argument("--train", type=int, default=480)
    parser.add_argument("--eval", type=int, default=60)
    parser.add_argument("--test", type=int, default=100)
    options = parser.parse_args()
    rows = sorted(reviews(options.olist), key=lambda r: hashlib.sha256(r[2].encode()).hexdigest())
    os.makedirs(options.out, exist_ok=True)
    at = 0
    for name in ("eval", "test", "train"):
        size = getattr(options, name)
        if at + size > len(rows):
            raise SystemExit(f"{len(rows)} reviews are too few")
        with open(os.path.join(options.out, f"push_{name}.jsonl"), "w", encoding="utf-8") as file:
            for review_id, category, text in rows[at:at + size]:
                prompt = PROMPT.format(category=category, review=text)
                file.write(json.dumps({"id": review_id, "task": "push",
                                       "prompt": [{"role": "user", "content": prompt}]},
                                      ensure_ascii=False) + "\n")
        at += size
    print(f"{len(rows)} usable reviews; wrote {options.train} train, {options.eval} eval, {options.test} test rows")


if __name__ == "__main__":
    main()

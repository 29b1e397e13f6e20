#!/usr/bin/env python3
"""Values of the reference experiment's reward_sql_qa_v2 on random and adversarial texts.

    python tests/oracle/reward/make_sql_qa_v2.py [--count N] [--seed S] [--out FILE]

CPython 3.11 (Unicode 14.0), standard library only. Without arguments it writes the committed fixture,
tests/oracle/reward/sql_qa_v2.jsonl: a first line of what CPython says about single code points, then
one line [text, score] each. For a check by hand of more texts against the program itself:

    python tests/oracle/reward/make_sql_qa_v2.py --count 100000 --seed 7 --check build/release/grpo
"""
import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile

KEYWORDS = ["SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "JOIN", "HAVING", "COUNT", "AVG", "SUM"]
ANSWERS = ["resultado", "total", "média", "mostra", "portanto"]
DOMAIN = ["pedidos", "clientes", "vendedores", "produtos", "avaliação", "entrega", "reclamação", "satisfação",
          "categoria", "período"]


def strip_think(text):
    """reward.h: blocks removed whole, unclosed to the end, stray closing tags; one pass, ASCII case."""
    lower = "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)
    kept, depth, i = [], 0, 0
    while i < len(text):
        if lower.startswith("<think>", i):
            depth += 1
            i += 7
        elif lower.startswith("</think>", i):
            depth = max(0, depth - 1)
            i += 8
        else:
            if depth == 0:
                kept.append(text[i])
            i += 1
    return "".join(kept)


def reward_sql_qa_v2(completion):
    """The document's function, its lost indentation put back; nothing else is changed."""
    answer = strip_think(completion)
    if not answer.strip():
        return 0.0
    score = 0.0
    # Tier 1 (0.30): SQL structure detected
    sql_keywords = ["SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "JOIN", "HAVING", "COUNT", "AVG", "SUM"]
    sql_found = sum(1 for kw in sql_keywords if kw in answer.upper())
    if sql_found >= 3:
        score += 0.30
    elif sql_found >= 1:
        score += 0.15
    # Tier 2 (0.25): Answer has both query and explanation
    has_query = bool(re.search(r"```sql|SELECT.{5,}FROM", answer, re.IGNORECASE | re.DOTALL))
    has_answer = any(w in answer.lower() for w in ["resultado", "total", "média", "mostra", "portanto"])
    if has_query and has_answer:
        score += 0.25
    elif has_query or has_answer:
        score += 0.12
    # Tier 3 (0.25): Numerical specificity
    numbers = re.findall(r"\d+(?:[.,]\d+)?(?:\s*%)?", answer)
    score += min(0.25, 0.05 * len(numbers))
    # Tier 4 (0.20): Portuguese business domain coherence
    pt_domain = ["pedidos", "clientes", "vendedores", "produtos", "avaliação",
                 "entrega", "reclamação", "satisfação", "categoria", "período"]
    score += min(0.20, 0.04 * sum(1 for w in pt_domain if w in answer.lower()))
    return min(score, 1.0)


def code_points():
    """Everything the function can see of a single code point outside ASCII."""
    every = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    upper = {hex(ord(c)): [ord(x) if x.isascii() else 0 for x in c.upper()]
             for c in every if not c.isascii() and any(x.isascii() for x in c.upper())}
    lower = {hex(ord(c)): [ord(x) if ord(x) < 256 else 0 for x in c.lower()]
             for c in every if not c.isascii() and any(ord(x) < 256 for x in c.lower())}
    fold = {}
    for letter in map(chr, range(0x21, 0x7F)):
        for c in every:
            if not c.isascii() and re.fullmatch(re.escape(letter), c, re.IGNORECASE):
                fold[hex(ord(c))] = ord(letter.lower())
    digits = [ord(c) for c in every if re.fullmatch(r"\d", c)]
    zeros = digits[::10]
    assert digits == [z + i for z in zeros for i in range(10)]
    spaces = [ord(c) for c in every if re.fullmatch(r"\s", c)]
    assert spaces == [ord(c) for c in every if not c.strip()]
    return {"upper": upper, "lower": lower, "fold": fold, "zeros": zeros, "spaces": spaces}


# Characters with a case of their own, and some that only look like it.
LOOKALIKES = {"S": "ſßẞﬆﬅ", "s": "ſßẞﬆ", "I": "ıİ", "i": "ıİ", "K": "\u212a", "T": "ẗﬅ", "t": "ẗﬆ", "Y": "ẙ",
              "y": "ẙ", "H": "ẖ", "W": "ẘ", "J": "ǰ", "j": "ǰ", "A": "ẚÅ", "N": "ŉ", "F": "ﬀﬁﬂﬃﬄ", "f": "ﬀﬁﬂ",
              "O": "ОΟ０", "o": "о", "E": "Е", "e": "е", "M": "Ｍ", "é": "Éè\u0301", "ç": "Çс", "ã": "Ãä", "í": "ÍïÌ",
              " ": "\u00a0\t\n\u3000  "}
SPACES = [" ", "\t", "\n", "\r\n", "\x0b", "\x1c", "\x1f", "\x85", "\u00a0", "\u2003", "\u2028", "\u3000", "\u200b",
          "\u180e", "\ufeff"]
DIGITS = ["0", "7", "42", "٣", "९", "１", "𝟗", "²", "½", "Ⅷ", "①", "\U00011f51", "৩4", "1𝟘"]
FILLERS = ["a", "de", "x1", "の", "🔥", "é", "*", "`", "```", "<", "<think", "think>", "\0", "%", ",", ".", "..", ";",
           "σς", "ΑΣ", "İ", "ŉ", "'2017'", "year=2017", "ola", "Ç", "~"]
TAGS = ["<think>", "</think>", "<THINK>", "</Think>", "<think >", "<thi<think>", "</think></think>", "<think></think>"]


def mutate(r, word):
    """The word with some letters swapped, cut, or in another case."""
    out = []
    for c in word:
        roll = r.random()
        if roll < 0.06 and c in LOOKALIKES:
            out.append(r.choice(LOOKALIKES[c]))
        elif roll < 0.10:
            out.append(c.swapcase())
        elif roll < 0.115:
            continue
        elif roll < 0.13:
            out.append(c + r.choice(["\u0301", "\u200d", " ", "\n"]))
        else:
            out.append(c)
    text = "".join(out)
    return r.choice([text, text, text.lower(), text.title()]) if r.random() < 0.5 else text


def number(r):
    text = r.choice(DIGITS)
    for _ in range(r.randrange(3)):
        text += r.choice([".", ",", "", " ", "%", ".,", "\u066b"]) + r.choice(DIGITS)
    if r.random() < 0.4:
        text += "".join(r.choice(SPACES) for _ in range(r.randrange(3))) + r.choice(["%", "％", ""])
    return text


def query(r):
    gap = "".join(r.choice(["a", "*", "é", "🔥", "\n", " ", "ſ"]) for _ in range(r.choice([0, 3, 4, 4, 5, 5, 6, 12])))
    return mutate(r, "SELECT") + gap + mutate(r, "FROM")


def piece(r):
    roll = r.random()
    if roll < 0.28:
        return mutate(r, r.choice(KEYWORDS))
    if roll < 0.40:
        return mutate(r, r.choice(ANSWERS))
    if roll < 0.58:
        return mutate(r, r.choice(DOMAIN))
    if roll < 0.72:
        return number(r)
    if roll < 0.80:
        return query(r)
    if roll < 0.83:
        return mutate(r, "```sql")
    if roll < 0.87:
        return r.choice(TAGS)
    if roll < 0.89:
        return chr(r.choice([r.randrange(0xD800), r.randrange(0xE000, 0x110000)]))
    return r.choice(FILLERS)


def long_text(r):
    """What a model that does not stop writes: one piece over and over, or keyword soup of some kilobytes."""
    if r.random() < 0.5:
        return (piece(r) + r.choice(["", " ", "\n"])) * r.randrange(20, 200)
    return "".join(piece(r) + r.choice(["", " ", "\n"]) for _ in range(r.randrange(100, 400)))


def answer(r):
    """The shape of an honest answer: thinking, a fenced query, a sentence; each part may be missing or broken."""
    out = ""
    if r.random() < 0.5:
        out += r.choice(["<think>", "<THINK>", "<think"]) + piece(r) + " " + piece(r)
        out += r.choice(["</think>", "</think>\n", "</THINK>", ""])
    fence = r.choice(["```sql\n", "```SQL ", "```\n", "``` sql", ""])
    out += fence + query(r) + " " + mutate(r, r.choice(KEYWORDS)) + " " + number(r) + r.choice([";\n```\n", "\n", ";"])
    for _ in range(r.randrange(5)):
        out += r.choice(["O ", "a ", "em ", ""]) + mutate(r, r.choice(ANSWERS + DOMAIN)) + r.choice([" ", ", ", ": "])
        out += r.choice(["", number(r)])
    return out


def text_of(r):
    roll = r.random()
    if roll > 0.9:
        return answer(r)
    if roll > 0.897:
        return long_text(r)
    if roll < 0.04:
        return "".join(r.choice(SPACES) for _ in range(r.randrange(4)))
    if roll < 0.08:
        return r.choice(TAGS) + "".join(r.choice(SPACES) for _ in range(2)) + r.choice(TAGS)
    if roll < 0.14:  # code points alone
        return "".join(chr(r.choice([r.randrange(0xD800), r.randrange(0xE000, 0x110000)])) for _ in range(8))
    n = r.choice([1, 1, 2, 2, 3, 4, 5, 7, 10, 14])
    glue = ["", " ", " ", "\n", ", "]
    return "".join(piece(r) + r.choice(glue) for _ in range(n))


BY_HAND = [
    "", " \x1c\x85\u3000", "\u200b", "<think>SELECT 1", "<think>a<think>b</think>c</think>total 3",
    "<thi<think>x</think>nk>SELECT", "</think>FROM", "<THINK>total</THINK> média",
    "os pedidos de clientes em 2017 totalizaram 15.000",
    "SELECT COUNT(*) FROM orders WHERE year=2017 → result: 15,000 pedidos",
    "```sql\nSELECT AVG(nota) FROM notas GROUP BY mes;\n```\nO resultado mostra a média de 4,5 (90 %) por período.",
    "SELECTabcdFROM", "SELECTabcdeFROM", "SELECT🔥🔥🔥🔥FROM", "SELECT🔥🔥🔥🔥🔥FROM", "FROM SELECT", "SELECTFROM FROM",
    "SELECTSELECTFROM", "select\n\n\n\n\nfrom", "ſelectabcdefrom", "ſELECT", "SELECẗ", "GROUP Bẙ", "GROUP\u00a0BY",
    "```ſql", "```SQL", "``` sql", "avaliaça\u0303o", "AVALIAÇÃO", "MÉDIA", "me\u0301dia", "PERÍODO", "TOTAL",
    "mosTra portanTo", "İtotal", "ΣTOTALΣ", "reſultado", "SUM\u0000FROM", "total\u0000", "1.2.3.4", "1,2,3", "1..2",
    "1 %", "1\u00a0\x1c%", "1.%", "٣٫٤", "٣.4", "𝟗𝟗,९ %", "²³½Ⅷ①", "\U00011f50\U0001e4f0", "1" * 40, "1 " * 12,
    "AVG SUM COUNT", "ﬆ ﬁ ﬀ ßUM ſUM SUM ẞUM", "JOİN JOıN", "COUNẗ", "HAVıNG HAVİNG", "wherE\u0307",
]


def check(program, texts):
    """The program's score of each text beside ours; 1 where one differs by more than 1e-12."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps({"completion": text}, ensure_ascii=False) + "\n")
        file.flush()
        file.seek(0)
        out = subprocess.run([program, "score", "--reward", "sql_qa_v2", "--quiet"], stdin=file,
                             stdout=subprocess.PIPE, check=True).stdout
    lines = out.decode().splitlines()
    assert len(lines) == len(texts), (len(lines), len(texts))
    worst, differ, values = 0.0, 0, set()
    for text, line in zip(texts, lines):
        expected, got = reward_sql_qa_v2(text), json.loads(line)["score"]
        values.add(expected)
        worst = max(worst, abs(expected - got))
        if abs(expected - got) > 1e-12:
            differ += 1
            print(f"expected {expected!r}, got {got!r}: {text!r}"[:500])
    print(f"{len(texts)} texts, {len(values)} different values, largest difference {worst}, {differ} over 1e-12")
    return int(differ > 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--out", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "sql_qa_v2.jsonl"))
    parser.add_argument("--check", metavar="PROGRAM", help="compare with `PROGRAM score` instead of writing")
    options = parser.parse_args()
    if sys.version_info[:2] != (3, 11):
        sys.exit("the fixture's Unicode is CPython 3.11's (14.0); other versions know other digits")
    r = random.Random(options.seed)
    texts = BY_HAND + [text_of(r) for _ in range(options.count - len(BY_HAND))]
    if options.check:
        sys.exit(check(options.check, texts))
    with open(options.out, "w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(code_points(), separators=(",", ":")) + "\n")
        for text in texts:
            file.write(json.dumps([text, reward_sql_qa_v2(text)], ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()

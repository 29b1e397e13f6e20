"""Some 660 damaged objects, labelled by what a person would mean, for tests/reward/test_json_repair.c.

    pip install json-repair==0.64.6
    python tests/oracle/reward/make_json_damage.py
    python tests/oracle/reward/make_json_damage.py SEED COUNT >more.jsonl    # COUNT of each damage, unseen

Two sources: the hand-written cases of json_damage_hand.py, and the objects in BASES put through the
damages below, whose labels are known because the damage is. The half a case belongs to is a hash of
its id: `dev` was developed on, `held` only measured. `other` is what the PyPI library json-repair
makes of the text, where that differs from the label; nothing of its code or tests is used.
"""
import copy
import hashlib
import json
import math
import pathlib
import random
import re
import sys

import json_repair

from json_damage_hand import CASES as HAND
from json_damage_hand import NOTHING

BASES = [
    {"produto": "cadeira", "sentimento": "positivo", "nota": 5, "resumo": "Chegou antes do prazo, muito boa", "recomenda": True},
    {"pedido": {"id": 1042, "status": "entregue", "itens": [{"sku": "A-1", "qtd": 2}, {"sku": "B-7", "qtd": 1}]}, "total": 310.5},
    {"name": "buscar_pedido", "arguments": {"cliente": "Ana Lúcia", "limite": 10, "ativos": False}},
    {"sql": "SELECT uf, COUNT(*) FROM clientes GROUP BY uf", "explicacao": "conta por estado: uf, total", "linhas": 27},
    {"titulo": "Vendas de março", "pontos": ["frete caro", "prazo longo", "preço bom"], "confianca": 0.85},
    {"push": "Sofá com 20% off só hoje! 🛋️", "publico": "casa e decoração", "hora": "18:30", "emoji": True},
    {"cidade": "São Paulo", "coordenadas": [-23.55, -46.63], "bairros": [{"nome": "Mooca", "ok": True}, {"nome": "Sé", "ok": None}]},
    {"config": {"modo": "rápido", "niveis": {"log": "info", "rede": "warn"}}, "versao": 3, "caminho": "/opt/app"},
    {"texto": "Olá {nome}, seu cupom é [X10]; use já", "idioma": "pt", "variaveis": ["nome", "cupom"], "n": 2},
    {"pergunta": "Qual o prazo?", "respostas": [{"id": 1, "texto": "5 dias"}, {"id": 2, "texto": "uma semana"}], "correta": 2},
    [{"ano": 2016, "valor": 59362.3}, {"ano": 2017, "valor": 7249746.7}, {"ano": 2018, "valor": 8699763.1}],
    {"mes": "maio", "itens": [], "detalhes": {}, "obs": None, "fechado": False},
    {"url": "https://loja.com.br/p/10?x=1#topo", "links": {"self": "/p/10", "pai": "/p"}, "nota": -2},
    {"autor": "M. de Assis", "obra": "Dom Casmurro", "ano": 1899, "temas": ["ciúme", "memória"], "lido": True},
]
# With quotes and line ends inside strings, for the damages that are about them.
QUOTED = [
    {"resumo": 'Disse "adorei" e voltou', "nota": 5, "tags": ["bom", "rápido"]},
    {"titulo": "O caso", "fala": 'Ela perguntou "quando?" e saiu', "fim": True},
    {"itens": [{"nome": 'mesa "Luxo" grande', "qtd": 1}, {"nome": "banco", "qtd": 4}], "ok": True},
    {"a": {"b": 'a palavra "sim" basta', "c": 3}, "d": "x"},
]
APOSTROPHES = [
    {"loja": "Joana D'Arc Modas", "cidade": "Pau d'Alho", "n": 1},
    {"texto": "it's fine, don't worry", "autor": {"nome": "O'Neill", "idade": 40}},
    {"itens": ["copo d'água", "caixa d'água"], "total": 2},
]
LINES = [
    {"texto": "linha um\nlinha dois", "n": 2},
    {"verso": "batatinha quando nasce\n\nse esparrama pelo chão", "autor": "povo", "ok": True},
    {"lista": ["a\tb", "c\r\nd"], "n": 1},
]


# A value as tokens: [kind, text], so that a damage can take one away or change it.
def tokens(value, pretty, level=0):
    out = []

    def line(n):
        if pretty:
            out.append(["ws", "\n" + "  " * n])

    if isinstance(value, (dict, list)):
        is_dict = isinstance(value, dict)
        out.append(["{" if is_dict else "["] * 2)
        for i, item in enumerate(value.items() if is_dict else value):
            if i:
                out.append([",", ","])
                if not pretty:
                    out.append(["ws", " "])
            line(level + 1)
            if is_dict:
                out.append(["key", json.dumps(item[0], ensure_ascii=False)])
                out.append([":", ":"])
                out.append(["ws", " "])
            out += tokens(item[1] if is_dict else item, pretty, level + 1)
        if value:
            line(level)
        out.append(["}" if is_dict else "]"] * 2)
    elif isinstance(value, str):
        out.append(["str", json.dumps(value, ensure_ascii=False)])
    elif value is None or isinstance(value, bool):
        out.append(["lit", json.dumps(value)])
    else:
        out.append(["num", json.dumps(value)])
    return out


def join(ts):
    return "".join(t[1] for t in ts)


def of(ts, *kinds):
    return [i for i, t in enumerate(ts) if t[0] in kinds]


def word(text):
    """A string that needs no quotes to be understood."""
    return re.fullmatch(r"[^\W\d][\w ]*", text) and text.lower() not in ("true", "false", "null", "none")


# Damages that change tokens and not the meaning: f(tokens, random) -> tokens, or None where there is
# nothing to damage.
def quotes(open_, close):
    def damage(ts, rnd):
        for t in ts:
            if t[0] in ("key", "str"):
                t[1] = open_ + t[1][1:-1] + close
        return ts
    return damage


def unquoted_keys(ts, rnd):
    keys = [t for t in ts if t[0] == "key" and word(t[1][1:-1])]
    for t in keys:
        t[1] = t[1][1:-1]
    return ts if keys else None


def unquoted_words(ts, rnd):
    strings = [t for t in ts if t[0] == "str" and word(t[1][1:-1])]
    for t in strings:
        t[1] = t[1][1:-1]
    return ts if strings else None


def lost_quote(kind, side):
    def damage(ts, rnd):
        at = [i for i in of(ts, kind) if len(ts[i][1]) > 3 and word(ts[i][1][1:-1])]
        if not at:
            return None
        t = ts[rnd.choice(at)]
        t[1] = t[1][1:] if side == "open" else t[1][:-1]
        return ts
    return damage


def lost(kind, share):
    def damage(ts, rnd):
        at = of(ts, kind)
        if not at:
            return None
        gone = set(at) if share == "all" else {rnd.choice(at)}
        return [t for i, t in enumerate(ts) if i not in gone]
    return damage


def instead(kind, text):
    def damage(ts, rnd):
        for i in of(ts, kind):
            ts[i][1] = text
        return ts if of(ts, kind) else None
    return damage


def trailing_commas(ts, rnd):
    out, filled = [], [False]
    for i, t in enumerate(ts):
        if t[0] in "}]" and ts[i - 1][0] not in "{[" :
            at = len(out) - 1 if out[-1][0] == "ws" else len(out)
            out.insert(at, [",", ","])
        out.append(t)
    return out


def double_comma(ts, rnd):
    at = of(ts, ",")
    if not at:
        return None
    ts[rnd.choice(at)][1] = ",,"
    return ts


def python(ts, rnd):
    for t in ts:
        t[1] = {"true": "True", "false": "False", "null": "None"}.get(t[1], t[1]) if t[0] == "lit" else t[1]
        if t[0] in ("key", "str"):
            t[1] = repr(json.loads(t[1]))
    return ts


def javascript(ts, rnd):
    if not any(t[1] == "null" for t in ts):
        return None
    for t in ts:
        if t[0] == "lit" and t[1] == "null":
            t[1] = rnd.choice(["undefined", "NaN"])
    return ts


def comments(style):
    def damage(ts, rnd):
        words = ["ver depois", 'era "x"', "campo: obrigatório", "fim }", "1, 2"]
        out = []
        for i, t in enumerate(ts):
            out.append(t)
            if t[0] == "," and style != "/*":
                out.append(["c", f" {style} {rnd.choice(words)}" + ("" if ts[i + 1][1].startswith("\n") else "\n")])
            elif t[0] in ",:{" and style == "/*":
                out.append(["c", f" /* {rnd.choice(words)} */ "])
        return out
    return damage


def closers_lost(count):
    def damage(ts, rnd):
        out, left = list(ts), count
        while out and left:
            if out[-1][0] not in "}]" and out[-1][0] != "ws":
                return None
            left -= out.pop()[0] != "ws"
        return out
    return damage


def last_closer_wrong(ts, rnd):
    ts[-1][1] = "]" if ts[-1][1] == "}" else "}"
    return ts


def inner_closer_lost(ts, rnd):
    """Of a list with scalars that a member follows: the key shows where it ended."""
    at = [i for i in of(ts, "]") if i + 1 < len(ts) and ts[i + 1][0] == "," and
          any(t[0] == "key" for t in ts[i + 2:i + 4]) and ts[i - 1][0] not in "[}"]
    if not at:
        return None
    i = rnd.choice(at)
    return ts[:i] + ts[i + 1:]


def extra_closer(ts, rnd):
    return ts + [["x", rnd.choice(["}", "]", "}}", "]}"])]]


def opener_lost(ts, rnd):
    return ts[1:] if ts[0][0] == "{" and len(ts) > 4 else None


def doubled_braces(ts, rnd):
    for t in ts:
        if t[0] in "{}":
            t[1] = t[0] * 2
    return ts


def tuples(ts, rnd):
    at = of(ts, "[", "]")
    for i in at:
        ts[i][1] = "(" if ts[i][0] == "[" else ")"
    return ts if at else None


def full_width(ts, rnd):
    signs = {":": "：", ",": "，", "{": "｛", "}": "｝", "[": "［", "]": "］"}
    for t in ts:
        t[1] = signs.get(t[0], t[1])
    return ts


def spaces(ts, rnd):
    for t in ts:
        if t[0] == "ws":
            t[1] = t[1].replace(" ", "\u00a0").replace("\n", "\r\n")
    return ts


def escaped(ts, rnd):
    for t in ts:
        if t[0] in ("key", "str"):
            t[1] = json.dumps(t[1], ensure_ascii=False)[1:-1]
    return ts


def ellipsis(ts, rnd):
    at = [i for i in of(ts, "}", "]") if ts[i - 1][0] not in "{["]
    if not at:
        return None
    i = rnd.choice(at)
    j = i - 1 if ts[i - 1][0] == "ws" else i
    return ts[:j] + [["x", ", ..."]] + ts[j:]


def brazilian(ts, rnd):
    """Numbers of members (never of lists) as Brazilians write them."""
    stack, changed = [], False
    for i, t in enumerate(ts):
        if t[0] in "{[":
            stack.append(t[0])
        elif t[0] in "}]":
            stack.pop()
        elif t[0] == "num" and stack[-1] == "{":
            value = json.loads(t[1])
            text = f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
            text = text.translate(str.maketrans(",.", ".,"))
            if text == t[1]:
                text = rnd.choice(["R$ " + text + ",00", text + ",0", text + "%"])
            elif value > 0 and (re.fullmatch(r"[\d.]+", text) or rnd.random() < 0.5):
                text = "R$ " + text  # 2.016 alone is JSON's number, and not damaged
            t[1], changed = text, True
    return ts if changed else None


def raw_inner(quote):
    """Strings with their own quotes as they are, nothing escaped."""
    def damage(ts, rnd):
        for t in ts:
            if t[0] in ("key", "str"):
                t[1] = quote + json.loads(t[1]) + quote
        return ts
    return damage


DAMAGES = {  # name: (damage, objects, pretty printed: None for either)
    "single_quotes": (quotes("'", "'"), BASES, None),
    "curly_quotes": (quotes("“", "”"), BASES, None),
    "curly_single": (quotes("‘", "’"), BASES, None),
    "backticks": (quotes("`", "`"), BASES, None),
    "guillemets": (quotes("«", "»"), BASES, None),
    "unquoted_keys": (unquoted_keys, BASES, None),
    "unquoted_words": (unquoted_words, BASES, None),
    "key_opening_quote_lost": (lost_quote("key", "open"), BASES, None),
    "key_closing_quote_lost": (lost_quote("key", "close"), BASES, None),
    "opening_quote_lost": (lost_quote("str", "open"), BASES, None),
    "closing_quote_lost": (lost_quote("str", "close"), BASES, None),
    "comma_lost": (lost(",", "one"), BASES, None),
    "commas_lost": (lost(",", "all"), BASES, True),
    "semicolons": (instead(",", ";"), BASES, None),
    "trailing_commas": (trailing_commas, BASES, None),
    "double_comma": (double_comma, BASES, None),
    "colon_lost": (lost(":", "one"), BASES, None),
    "equals": (instead(":", " ="), BASES, None),
    "fat_arrow": (instead(":", " =>"), BASES, None),
    "arrow": (instead(":", " ->"), BASES, None),
    "last_closer_lost": (closers_lost(1), BASES, None),
    "two_closers_lost": (closers_lost(2), BASES, None),
    "last_closer_wrong": (last_closer_wrong, BASES, None),
    "inner_closer_lost": (inner_closer_lost, BASES, None),
    "extra_closer": (extra_closer, BASES, None),
    "opener_lost": (opener_lost, BASES, None),
    "doubled_braces": (doubled_braces, BASES, None),
    "tuples": (tuples, BASES, None),
    "python": (python, BASES + APOSTROPHES + QUOTED, None),
    "javascript": (javascript, BASES, None),
    "slash_comments": (comments("//"), BASES, True),
    "hash_comments": (comments("#"), BASES, True),
    "star_comments": (comments("/*"), BASES, None),
    "full_width": (full_width, BASES, None),
    "strange_spaces": (spaces, BASES, True),
    "escaped": (escaped, BASES + QUOTED, None),
    "ellipsis": (ellipsis, BASES, None),
    "brazilian": (brazilian, BASES, None),
    "inner_quotes": (raw_inner('"'), QUOTED, None),
    "apostrophes": (raw_inner("'"), APOSTROPHES, None),
    "raw_lines": (raw_inner('"'), LINES, None),
}


def cut(ts, rnd):
    """The text cut off at a random place, and what was said so far: a key without its colon was not
    said, a value not begun is null, a string or number is as long as it is, a literal is clear."""
    i = rnd.choice([i for i in range(1, len(ts)) if ts[i][0] != "ws"])
    kind, text = ts[i]
    head, rest = ts[:i], ""
    if kind in ("str", "key", "lit", "num") and len(text) > 1:
        rest = text[:rnd.randrange(1, len(text))]
    said = rest
    if kind == "str":
        said = json.dumps(rest[1:], ensure_ascii=False) if rest else ""
    elif kind == "lit":
        said = text if rest else ""
    elif kind == "num":
        said = rest.rstrip(".")
        said = "null" if said == "-" else said
    plain = [t for t in head if t[0] != "ws"]
    if kind == "key":
        said = ""
    elif not said and plain[-1][0] == "key":
        plain.pop()
    elif not said and plain[-1][0] == ":":
        said = "null"
    if kind != "key" and said:
        plain.append(["said", said])
    while plain[-1][0] == ",":
        plain.pop()
    if plain[-1][0] == "key":
        plain.pop()
        while plain[-1][0] == ",":
            plain.pop()
    opened = []
    for t in plain:
        if t[0] in "{[":
            opened.append("}" if t[0] == "{" else "]")
        elif t[0] in "}]":
            opened.pop()
    return join(head) + rest, json.loads(join(plain) + "".join(reversed(opened)))


WRAPS = [
    "```json\n{}\n```", "```\n{}\n```", "~~~\n{}\n~~~", "```JSON\n{}", "Claro! Segue a resposta:\n```json\n{}\n```\nAté mais!",
    "Segue: {}", "{}\n\nEspero ter ajudado!", "Com base no texto, o resultado é:\n\n{}\n\nObs.: nada a acrescentar.",
    "resultado = {}", "<resposta>{}</resposta>", "Exemplo: {{campo}} vira\n{}", "**JSON**\n\n{}",
]
# In the order in which they work on what another left.
MIX = ["brazilian", "javascript", "python", "unquoted_keys", "closing_quote_lost", "opening_quote_lost", "trailing_commas",
       "ellipsis", "comma_lost", "colon_lost", "semicolons", "equals", "slash_comments", "last_closer_lost"]


def systematic(seed, count):
    rnd = random.Random(seed)
    for name, (damage, bases, pretty) in DAMAGES.items():
        made, seen = 0, set()
        for _ in range(100 * count):
            value = rnd.choice(bases)
            as_lines = rnd.random() < 0.5 if pretty is None else pretty
            ts = damage(copy.deepcopy(tokens(value, as_lines)), rnd)
            text = join(ts) if ts else None
            if ts is None or text in seen or made == count:
                continue
            seen.add(text)
            made += 1
            yield name, text, value
    for _ in range(10 * count):
        yield ("cut",) + cut(tokens(rnd.choice(BASES), rnd.random() < 0.5), rnd)
    for i in range(16):
        value, other = rnd.sample(BASES, 2)
        yield "wrapped", WRAPS[i % len(WRAPS)].replace("{{", "{").replace("}}", "}").replace(
            "{}", join(tokens(value, i % 2))), value
        if i < 6:
            sep = ["", "\n", ", ", "\n\n", " e ", "\n---\n"][i]
            yield "concatenated", join(tokens(value, i % 2)) + sep + join(tokens(other, False)), value
            yield "encoded", json.dumps(join(tokens(value, i % 2)), ensure_ascii=i % 2 == 0), value
    for value in rnd.sample([b for b in BASES if isinstance(b, dict)], 6):
        ts = tokens(value, True)
        key = next(iter(value))
        yield "duplicate", join(ts[:1]) + f'\n  "{key}": "antigo",' + join(ts[1:]), value
    made = 0
    while made < 10 * count:
        value = rnd.choice(BASES)
        ts = tokens(value, rnd.random() < 0.5)
        for name in sorted(rnd.sample(MIX, rnd.choice([2, 3])), key=MIX.index):
            ts = ts and DAMAGES[name][0](copy.deepcopy(ts), rnd)
        if ts:
            made += 1
            wrap = rnd.choice(WRAPS) if rnd.random() < 0.4 else "{}"
            yield "mix", wrap.replace("{{", "{").replace("}}", "}").replace("{}", join(ts)), value


def same(a, b):
    """Equal as JSON: 10 and 10.0 are, 1 and true are not."""
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b or math.isclose(a, b, rel_tol=1e-15)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return type(a) is type(b) and a == b


def plain(value):
    """Whether any JSON reader takes it: no NaN, no half of a surrogate pair."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError):
        return False
    return True


def more(seed, count):
    for n, (group, text, value) in enumerate(systematic(seed, count)):
        print(json.dumps({"id": f"{group}-{n}", "half": "dev", "text": text, "value": value}, ensure_ascii=False))


def main():
    counts, agree = {}, {"dev": [0, 0], "held": [0, 0]}
    here = pathlib.Path(__file__).parent
    with open(here / "json_damage.jsonl", "w", encoding="utf-8") as out:
        for source, cases in (("hand", HAND), ("made", systematic(20260101, 4))):
            for group, text, value in cases:
                n = counts[source, group] = counts.get((source, group), 0) + 1
                name = f"{source}-{group}-{n}"
                half = "held" if hashlib.sha256(name.encode()).digest()[0] % 2 else "dev"
                row = {"id": name, "half": half, "text": text}
                if value is not NOTHING:
                    row["value"] = value
                try:
                    other = json_repair.loads(text, skip_json_loads=False)
                except Exception as error:  # noqa: BLE001
                    other = "!" + type(error).__name__
                right = same(other, "" if value is NOTHING else value)
                agree[half][0] += right
                agree[half][1] += 1
                if not right:
                    row["other"] = other if plain(other) else ascii(other)
                out.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
    for half, (right, total) in agree.items():
        print(f"{half}: {total} cases, json-repair reads {right} as meant ({100 * right / total:.1f} %)")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        more(int(sys.argv[1]), int(sys.argv[2]))
    else:
        main()

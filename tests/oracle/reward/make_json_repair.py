"""Damaged JSON, labelled by what a person would mean, for tests/reward/test_json_repair.c.

    pip install json-repair==0.64.6
    python tests/oracle/reward/make_json_repair.py

The labels are ours, by hand, in CASES below. The script only adds what the PyPI library json-repair
makes of the same text (`other`, where it differs from the label) and prints the count; nothing of its
code or tests is used. `why` says why we stay with our reading where the two differ.
"""
import json
import pathlib

import json_repair

NOTHING = object()  # no JSON in it
CASES = []


def case(group, text, value, strict=False, why=None):
    CASES.append((group, text, value, strict, why))


def same(group, value, *texts, **more):
    for text in texts:
        case(group, text, value, **more)


OBJ = {"a": 1, "b": "x"}

# --- nothing wrong ---
case("strict", '{"a": 1, "b": "x"}', OBJ, strict=True)
case("strict", ' \n{"a": 1, "b": "x"}\n ', OBJ, strict=True)
case("strict", '[1, 2]', [1, 2], strict=True)
case("strict", '[]', [], strict=True)
case("strict", '{}', {}, strict=True)
case("strict", '{"": {"x": 1}}', {"": {"x": 1}}, strict=True)
case("strict", '42', 42, strict=True)
case("strict", '"texto"', "texto", strict=True)
case("strict", 'true', True, strict=True)
case("strict", '{"a": "x\\"y\\\\z\\u00e9\\n"}', {"a": 'x"y\\zé\n'}, strict=True)
case("strict", '{"a:b": {"c,d": ["}", "{\\"x\\": 1}"]}}', {"a:b": {"c,d": ["}", '{"x": 1}']}}, strict=True)
case("strict", '{"u": "http://x.br/#a // b /* c */"}', {"u": "http://x.br/#a // b /* c */"}, strict=True)
case("strict", '{"a": "disse “oi”, e: foi"}', {"a": "disse “oi”, e: foi"}, strict=True)
case("strict", '{"a": 1.234, "b": -0.5e3}', {"a": 1.234, "b": -500.0}, strict=True)
case("strict", '{"a": "4,5", "b": "R$ 10,00"}', {"a": "4,5", "b": "R$ 10,00"}, strict=True)

# --- where it is ---
case("place", '```json\n{"a": 1, "b": "x"}\n```', OBJ, strict=True)
case("place", '```\n{"a": 1, "b": "x"}\n```', OBJ, strict=True)
case("place", '```JSON {"a": 1, "b": "x"} ```', OBJ, strict=True)
case("place", 'Aqui está:\n```json\n{"a": 1, "b": "x"}\n```\nEspero ter ajudado!', OBJ, strict=True)
case("place", '```json\n{"a": 1, "b": "x"}', OBJ, strict=True)
case("place", '```python\nprint(1)\n```\n```json\n{"a": 1, "b": "x"}\n```', OBJ, strict=True)
same("place", OBJ, 'Aqui está: {"a": 1, "b": "x"}', '{"a": 1, "b": "x"}\nEspero ter ajudado!',
     'Resposta: {"a": 1, "b": "x"}. Fim.', 'O campo {produto} [1] vai assim: {"a": 1, "b": "x"} ok?',
     '{produto} é o campo: {"a": 1, "b": "x"}', '[Resposta] {"a": 1, "b": "x"}',
     'json\n{"a": 1, "b": "x"}', 'json = {"a": 1, "b": "x"};', '{"a": 1, "b": "x"}\n```',
     '{"a": 1, "b": "x"}}', '{"a": 1, "b": "x"}]')
case("place", '```json\n{"a": 1, "b": "x"}\n``` {"c": 2}', OBJ, strict=True)
case("place", 'Lista: [1, 2, 3].', [1, 2, 3])
case("place", 'Lista: [{"a": 1}, {"a": 2}] fim', [{"a": 1}, {"a": 2}])
same("nothing", NOTHING, '', '   ', 'não sei', 'Não há { nada aqui', 'veja [1] e (2)', 'a } b ] c',
     'nota: 5, produto: cadeira', 'O produto chegou, nota 4,5!', '\x00\x01\x02', '```\nSELECT 1\n```')
case("place", 'True', True)
case("place", '4,5', 4.5)

# --- quotes ---
same("quotes", OBJ, "{'a': 1, 'b': 'x'}", '{a: 1, b: "x"}', '{“a”: 1, “b”: “x”}', "{‘a’: 1, ‘b’: ‘x’}",
     '{"a": 1, "b": x}', '{a: 1, b: x}', '{"a": 1, "b": "x}', '{"a": 1, "b": x"}', '{a": 1, b": "x"}',
     '{"a: 1, "b": "x"}', '{"a": 1, b: \'x\'}', '{`a`: 1, `b`: `x`}', '{«a»: 1, "b": «x»}',
     '{\n  a: 1\n  b: x\n}', '{"a": 1, "b: "x"}', '{„a“: 1, „b“: „x“}', '{"a": 1, "b": "x”}')
case("quotes", "{'a': 'it's ok', 'b': 2}", {"a": "it's ok", "b": 2})
case("quotes", "{'a': \"it's ok\", 'b': 2}", {"a": "it's ok", "b": 2})
case("quotes", "{'a': 'copo d'água', 'b': 2}", {"a": "copo d'água", "b": 2})
case("quotes", '{"a": "um "bom" dia", "b": 2}', {"a": 'um "bom" dia', "b": 2})
case("quotes", '{"a": "disse "sim", e foi", "b": 2}', {"a": 'disse "sim", e foi', "b": 2})
case("quotes", '{"a": "termina com "aspas"", "b": 2}', {"a": 'termina com "aspas"', "b": 2})
case("quotes", '{"a": "termina com "aspas""}', {"a": 'termina com "aspas"'})
case("quotes", '{"a": ""começa" com", "b": 2}', {"a": '"começa" com', "b": 2})
case("quotes", '{"a": "tela 15", de novo", "b": 2}', {"a": 'tela 15", de novo', "b": 2})
case("quotes", '["um "bom" dia", "b"]', ['um "bom" dia', "b"])
case("quotes", '["disse "oi"", "b"]', ['disse "oi"', "b"])
case("quotes", '{"a": "sem fim, "b": 2}', {"a": "sem fim", "b": 2})
case("quotes", '{"a": "sem fim,\n"b": 2, "c": "ok"}', {"a": "sem fim", "b": 2, "c": "ok"})
case("quotes", '{"a": "sem fim\n"b": 2}', {"a": "sem fim", "b": 2})
case("quotes", '{"a": "sem fim, "b": "dois, "c": 3}', {"a": "sem fim", "b": "dois", "c": 3})
case("quotes", '{"a": bom produto, recomendo, "b": 2}', {"a": "bom produto, recomendo", "b": 2})
case("quotes", '{"a": ["x", y, z], "b": 2}', {"a": ["x", "y", "z"], "b": 2})
case("quotes", '{"a": "um" + "dois", "b": 2}', {"a": "umdois", "b": 2})
case("quotes", '{"a": "cheio de “aspas” boas", b: 2}', {"a": "cheio de “aspas” boas", "b": 2})
case("quotes", '{"data": 2024-01-05, "hora": 10:30}', {"data": "2024-01-05", "hora": "10:30"})
case("quotes", '{"a": http://x.br/y, "b": 2}', {"a": "http://x.br/y", "b": 2})
case("quotes", '{"nome completo": "x", sobre-nome: y}', {"nome completo": "x", "sobre-nome": "y"})
case("quotes", "{'a': None, \"b\": 'x', c: y}", {"a": None, "b": "x", "c": "y"})

# --- escaped quotes ---
same("escaped", OBJ, '{\\"a\\": 1, \\"b\\": \\"x\\"}', '"{\\"a\\": 1, \\"b\\": \\"x\\"}"',
     '{\\"a\\": 1,\\n \\"b\\": \\"x\\"\\n}', '{\\\\"a\\\\": 1, \\\\"b\\\\": \\\\"x\\\\"}',
     '{\n\\"a\\": 1,\n\\"b\\": \\"x\\"\n}')
case("escaped", '{\\"a\\": \\"diz \\\\\\"oi\\\\\\" e sai\\", \\"b\\": 2}', {"a": 'diz "oi" e sai', "b": 2})
case("escaped", '{"a": \\"x\\", "b": 2}', {"a": "x", "b": 2})
case("escapes", '{"a": "R\\$ 10 \\_x\\_ C:\\pasta", "b": 2}', {"a": "R$ 10 _x_ C:\\pasta", "b": 2})
case("escapes", "{\"a\": \"it\\'s\"}", {"a": "it's"})
case("escapes", '{"a": "\\ud83d\\ude00 \\u00e7"}', {"a": "😀 ç"}, strict=True)

# --- commas and colons ---
same("commas", OBJ, '{"a": 1 "b": "x"}', '{"a": 1, "b": "x",}', '{"a": 1,, "b": "x"}', '{,"a": 1, "b": "x"}',
     '{"a": 1\n"b": "x"}', '{"a": 1; "b": "x"}', '{"a": 1, "b": "x", , }', '{"a" 1, "b": "x"}',
     '{"a": 1, "b" "x"}', '{"a" = 1, "b" = "x"}', '{"a" => 1, "b" => "x"}', '{"a":: 1, "b": "x"}',
     '{"a": 1, "b": "x";}')
case("commas", '{"b": "x" "a": 1}', {"b": "x", "a": 1})
case("commas", '{"b": "x"\n"a": 1}', {"b": "x", "a": 1})
case("commas", '{"b": "x"\na: 1}', {"b": "x", "a": 1})
case("commas", '{"b": true "a": 1}', {"b": True, "a": 1})
case("commas", '{"b": {"c": 1} "a": [1] "d": 2}', {"b": {"c": 1}, "a": [1], "d": 2})
case("commas", '[1, 2,]', [1, 2])
case("commas", '[1,, 2]', [1, 2])
case("commas", '["a" "b" "c"]', ["a", "b", "c"])
case("commas", '["a"\n"b"]', ["a", "b"])
case("commas", '[{"a": 1} {"a": 2}]', [{"a": 1}, {"a": 2}])
case("commas", '{"a": [1, 2, 3,], "b": {"c": 4,},}', {"a": [1, 2, 3], "b": {"c": 4}})

# --- brackets, truncation ---
same("brackets", OBJ, '{"a": 1, "b": "x"', '{"a": 1, "b": "x"\n', '"a": 1, "b": "x"}', '"a": 1, "b": "x"',
     '{"a": 1, "b": "x"]', '{"a": 1}, "b": "x"}', '{{"a": 1, "b": "x"}}')
case("brackets", '{"a": [1, 2, "b": 3}', {"a": [1, 2], "b": 3})
case("brackets", '{"a": [1, 2}, "b": 3}', {"a": [1, 2], "b": 3})
case("brackets", '{"a": {"b": 1, "c": [1, {"d": 2', {"a": {"b": 1, "c": [1, {"d": 2}]}})
case("brackets", '[{"a": 1, {"a": 2}]', [{"a": 1}, {"a": 2}],
     why="a brace where a key should be starts the next element")
case("brackets", '[{"a": 1]', [{"a": 1}])
case("brackets", '{"a": {"b": 1], "c": 2}', {"a": {"b": 1}, "c": 2})
case("brackets", '[1, 2', [1, 2])
case("brackets", '[[1, 2], [3', [[1, 2], [3]])
case("truncated", '{"a": "começo de um te', {"a": "começo de um te"})
case("truncated", '{"a": 1, "b": "co', {"a": 1, "b": "co"})
case("truncated", '{"a": 12', {"a": 12})
case("truncated", '{"a": 12.', {"a": 12})
case("truncated", '{"a": 1e', {"a": 1})
case("truncated", '{"a": tru', {"a": True})
case("truncated", '{"a": fal', {"a": False})
case("truncated", '{"a": 1, "b": nul', {"a": 1, "b": None})
case("truncated", '{"a": 1, "b', {"a": 1}, why="of a key cut off not even the name is known")
case("truncated", '{"a": 1, "b"', {"a": 1})
case("truncated", '{"a": 1, "b":', {"a": 1, "b": None}, why="null, not an empty string: nothing was said")
case("truncated", '{"a": 1, ', {"a": 1})
case("truncated", '{"a": "x\\', {"a": "x"})
case("truncated", '{"a": "x\\u00e', {"a": "x"})
case("truncated", '{"a": ["x", "y', {"a": ["x", "y"]})
case("truncated", '{"a": "um, dois, tr', {"a": "um, dois, tr"})
case("truncated", '```json\n{"a": "x", "b": [1, 2', {"a": "x", "b": [1, 2]})
case("truncated", '{', {})
case("truncated", '{"a": -', {"a": None})

# --- comments, literals, values ---
same("comments", OBJ, '{"a": 1, // nota\n"b": "x"}', '{"a": 1, /* nota */ "b": "x"}', '{"a": 1, # nota\n"b": "x"}',
     '// começo\n{"a": 1, "b": "x"}', '{"a": 1, "b": "x" // fim\n}', '{"a": /* um */ 1, "b": "x"} // fim',
     '{"a": 1 # um\n, "b": "x"}', '{/* vazio */"a": 1, "b": "x"}', '```json\n// x\n{"a": 1, "b": "x"}\n```',
     '{"a": 1, "b": "x", ...}', '{"a": 1, ..., "b": "x"}')
case("literals", "{'a': True, 'b': False, 'c': None}", {"a": True, "b": False, "c": None})
case("literals", '{"a": undefined, "b": NaN, "c": Infinity, "d": -Infinity}', {"a": None, "b": None, "c": None, "d": None},
     why="JSON has no such numbers: null, never a string")
case("literals", '{"a": TRUE, "b": NULL}', {"a": True, "b": None})
case("literals", '{"a": verdadeiro, "b": falso, "c": nulo}', {"a": True, "b": False, "c": None})
case("literals", '{"a": sim, "b": não}', {"a": "sim", "b": "não"})
case("values", '{"a": , "b": 2}', {"a": None, "b": 2}, why="null, not an empty string: nothing was said")
case("values", '{"a": }', {"a": None})
case("values", '{"a", "b": 2}', {"a": None, "b": 2})

# --- numbers ---
case("numbers", '{"nota": 4,5}', {"nota": 4.5}, why="Brazilian decimals; the bug of versions 1 to 4")
case("numbers", '{"nota": 4,5, "b": 1}', {"nota": 4.5, "b": 1})
case("numbers", '{"nota": 4,5,\n"b": 1}', {"nota": 4.5, "b": 1})
case("numbers", '{"valor": 1.234,56, "b": 1}', {"valor": 1234.56, "b": 1})
case("numbers", '{"valor": R$ 10,00, "b": 1}', {"valor": 10.0, "b": 1})
case("numbers", '{"valor": R$ 1.234, "b": 1}', {"valor": 1234, "b": 1})
case("numbers", '{"p": 12%, "q": 3,5%}', {"p": 12, "q": 3.5})
case("numbers", '{"a": 2 mil, "b": 1,5 milhão}', {"a": 2000, "b": 1500000.0})
case("numbers", '{"a": [1,2], "b": [4,5,6]}', {"a": [1, 2], "b": [4, 5, 6]}, strict=True)
case("numbers", '{"a": [{"n": 4,5}, {"n": 3}]}', {"a": [{"n": 4.5}, {"n": 3}]})
case("numbers", '{a: [4,5], b: 6}', {"a": [4, 5], "b": 6})
case("numbers", '{1: 2,3: 4}', {"1": 2, "3": 4})
case("numbers", '{"a": .5, "b": +3, "c": 5., "d": 007}', {"a": 0.5, "b": 3, "c": 5, "d": 7})
case("numbers", '{"a": 1,234.56, "b": 1}', {"a": 1234.56, "b": 1})
case("numbers", '{"a": 5 estrelas, "b": 1}', {"a": "5 estrelas", "b": 1})
case("numbers", '{"a": 123456789012345678901234567890}', {"a": 1.2345678901234568e29},
     why="valid JSON, but beyond 64 bits: read as a real and said so")
case("numbers", '{"a": 1.234}', {"a": 1.234}, strict=True)

# --- characters ---
case("control", '{"a": "duas\nlinhas", "b": 2}', {"a": "duas\nlinhas", "b": 2})
case("control", '{"a": "tab\taqui\r\n", "b": 2}', {"a": "tab\taqui\r\n", "b": 2})
case("control", '{"a": "nulo\x00aqui"}', {"a": "nulo\x00aqui"})
case("control", '\ufeff{"a": 1, "b": "x"}', OBJ)
case("control", '{"a":\u00a01, "b": "x"}', OBJ)
case("control", '{"a": "\\ud800 só"}', {"a": "\ufffd só"}, why="half a character is none")

# --- more than one ---
case("duplicate", '{"a": 1, "a": 2}', {"a": 2})
case("duplicate", '{"a": 1, b: 3, "a": 2}', {"a": 2, "b": 3})
same("concatenated", OBJ, '{"a": 1, "b": "x"}{"a": 2}', '{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}',
     '{"a": 1, "b": "x"}, {"c": 2}', '{} {"a": 1, "b": "x"}', '{"a": 1, "b": "x"} ou {"a": 2}',
     why="the answer is one object: the first with members; a list was not written")
case("stray", '{"a": 1, lixo aqui, "b": "x"}', OBJ)
# --- keys of several words cut off, Python's three quotes ---
case("truncated", '{"a":"x","nome do cli', {"a": "x"})
case("truncated", '{"a": "x", "b": ["y"], "data da comp', {"a": "x", "b": ["y"]})
case("quotes", '{"a": "x", "obs": """linha um\nele disse "oi", e foi"""}', {"a": "x", "obs": 'linha um\nele disse "oi", e foi'})
case("quotes", "{'a': '''copo d'água''', 'b': 1}", {"a": "copo d'água", "b": 1})
case("quotes", '{"a": """, "b": """}', {"a": '"', "b": '"'})
case("quotes", '{"a"": "b", "c": 1}', {"a": "b", "c": 1})
case("quotes", '{"a"": "b", "c"" : {"d"": 1}}', {"a": "b", "c": {"d": 1}})
case("quotes", '{"a": """sem fim, "b": 1}', {"a": '""sem fim', "b": 1})

# --- quoted speech is open: a bare word and a colon, or a bare element, is no end of the string ---
case("quotes", '{resumo: "ele disse "sim", depois: nada", nota: 2}',
     {"resumo": 'ele disse "sim", depois: nada', "nota": 2})
case("quotes", '["disse "oi", foi", "b"]', ['disse "oi", foi', "b"])
case("quotes", '{"a": "o "não" dele: seco", "b": 2}', {"a": 'o "não" dele: seco', "b": 2})
case("mixed", "Claro!\n```json\n{\n  'nota': 4,5, // boa\n  sentimento: 'positivo',\n  \"recomenda\": True,\n  resumo: \"disse \"ótimo\" e fim\"\n",
     {"nota": 4.5, "sentimento": "positivo", "recomenda": True, "resumo": 'disse "ótimo" e fim'})
case("mixed", "{'itens': [{'nome': 'mesa', 'preco': 1.299,90,}, {'nome': 'cadeira' 'preco': R$ 89,90}], total: 1.389,80",
     {"itens": [{"nome": "mesa", "preco": 1299.90}, {"nome": "cadeira", "preco": 89.90}], "total": 1389.80})


def plain(value):
    """Whether any JSON reader takes it: no NaN, no half of a surrogate pair."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError):
        return False
    return True


def main():
    here = pathlib.Path(__file__).parent
    agree = total = 0
    with open(here / "json_repair.jsonl", "w", encoding="utf-8") as out:
        for group, text, value, strict, why in CASES:
            row = {"group": group, "text": text, "strict": strict}
            if value is not NOTHING:
                row["value"] = value
            try:
                other = json_repair.loads(text, skip_json_loads=False)
            except Exception as error:  # noqa: BLE001
                other = "!" + type(error).__name__
            meant = "" if value is NOTHING else value
            total += 1
            if json.dumps(other, sort_keys=True) == json.dumps(meant, sort_keys=True):
                agree += 1
            else:
                row["other"] = other if plain(other) else ascii(other)
            if why:
                row["why"] = why
            out.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
    print(f"{total} cases; json-repair agrees with the label on {agree}")


if __name__ == "__main__":
    main()

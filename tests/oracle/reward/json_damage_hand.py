"""The hand-written part of json_damage.jsonl: damaged JSON and what a person would mean by it.

All of it was written before any of it was run. A case is (group, text, value); its place in its group
gives its id, so new ones go to the end of a group. NOTHING: there is no JSON in the text.
"""
NOTHING = object()
CASES = []


def c(group, text, value):
    CASES.append((group, text, value))


# --- quotes: wrong, missing, mixed ---
g = "quotes"
c(g, "{'cliente': 'Sant'Ana Móveis', 'cidade': 'Santa Bárbara d'Oeste', 'uf': 'SP'}",
  {"cliente": "Sant'Ana Móveis", "cidade": "Santa Bárbara d'Oeste", "uf": "SP"})
c(g, "{'a': 'gota d'água', 'b': ['pau d'arco', 'olho d'água'], 'c': 3}",
  {"a": "gota d'água", "b": ["pau d'arco", "olho d'água"], "c": 3})
c(g, "{‘nome’: ‘Mesa “Paris”’, ‘ok’: true}", {"nome": "Mesa “Paris”", "ok": True})
c(g, "{“titulo”: “O que é, o que é?”, “tags”: [“enigma”, “folclore”]}",
  {"titulo": "O que é, o que é?", "tags": ["enigma", "folclore"]})
c(g, "{“titulo\": \"Vida nova”, \"ano”: 2021}", {"titulo": "Vida nova", "ano": 2021})
c(g, "{`sql`: `SELECT 1`, `linhas`: 3}", {"sql": "SELECT 1", "linhas": 3})
c(g, '{"sql": `SELECT * FROM "pedidos" WHERE uf = \'SP\'`, "linhas": 3}',
  {"sql": 'SELECT * FROM "pedidos" WHERE uf = \'SP\'', "linhas": 3})
c(g, '{nome: "Ana", idade: 31, endereço: {rua: "Rua A, 10", "cep": "01310-100"}}',
  {"nome": "Ana", "idade": 31, "endereço": {"rua": "Rua A, 10", "cep": "01310-100"}})
c(g, '{nome: Ana Paula, idade: 31, cidade: São Paulo}',
  {"nome": "Ana Paula", "idade": 31, "cidade": "São Paulo"})
c(g, '{"nome: "Ana", "idade": 31}', {"nome": "Ana", "idade": 31})
c(g, '{nome": "Ana", idade": 31}', {"nome": "Ana", "idade": 31})
c(g, '{"nome": "Ana, "idade": 31, "cidade": "Recife"}', {"nome": "Ana", "idade": 31, "cidade": "Recife"})
c(g, '{"nome": Ana", "idade": 31}', {"nome": "Ana", "idade": 31})
c(g, '{"status": "entregue}', {"status": "entregue"})
c(g, '{"itens": ["mesa", "cadeira, "sofá"]}', {"itens": ["mesa", "cadeira", "sofá"]})
c(g, '{"itens": ["mesa", cadeira", "sofá"]}', {"itens": ["mesa", "cadeira", "sofá"]})
c(g, '{"itens": [mesa, cadeira de balanço, sofá]}', {"itens": ["mesa", "cadeira de balanço", "sofá"]})
c(g, "{'a': \"ele disse 'oi'\", \"b\": 'ela disse \"tchau\"'}", {"a": "ele disse 'oi'", "b": 'ela disse "tchau"'})
c(g, '{""nome"": ""Ana"", ""idade"": 31}', {"nome": "Ana", "idade": 31})
c(g, '{"nome": ""Ana"", "idade": 31}', {"nome": '"Ana"', "idade": 31})
c(g, "{''nome'': ''Ana'', ''idade'': 31}", {"nome": "Ana", "idade": 31})
c(g, '{"a": "x\', "b": 2}', {"a": "x", "b": 2})
c(g, '{"texto": \'Não gostei, veio "quebrado"\', "nota": 1}', {"texto": 'Não gostei, veio "quebrado"', "nota": 1})
c(g, '{"name": "get_weather", "arguments": {location: "Belo Horizonte", unit: celsius}}',
  {"name": "get_weather", "arguments": {"location": "Belo Horizonte", "unit": "celsius"}})
c(g, '{"a": “curvas”, "b": ‘simples’, "c": "retas"}', {"a": "curvas", "b": "simples", "c": "retas"})
c(g, '{"email": ana@loja.com.br, "site": https://loja.com.br/p?id=3&x=1, "ok": true}',
  {"email": "ana@loja.com.br", "site": "https://loja.com.br/p?id=3&x=1", "ok": True})
c(g, '{"caminho": C:/dados/loja.csv, "linhas": 10}', {"caminho": "C:/dados/loja.csv", "linhas": 10})
c(g, '{"sentimento": positivo, "nota": 5, "resumo": chegou rápido}',
  {"sentimento": "positivo", "nota": 5, "resumo": "chegou rápido"})
c(g, '{\n  "produto": cadeira gamer,\n  "defeito": não informado,\n  "nota": 3\n}',
  {"produto": "cadeira gamer", "defeito": "não informado", "nota": 3})
c(g, '{"a": \'\', "b": ""}', {"a": "", "b": ""})
c(g, "{'a': '', 'b': '', 'c': []}", {"a": "", "b": "", "c": []})
c(g, '{"id": abc123, "cor": #FF00AA, "n": 2}', {"id": "abc123", "cor": "#FF00AA", "n": 2})

# --- quotes inside strings ---
g = "inner"
c(g, '{"resumo": "ele disse "ótimo" e foi embora", "nota": 5}', {"resumo": 'ele disse "ótimo" e foi embora', "nota": 5})
c(g, '{"resumo": "ele disse: "ótimo", mas devolveu", "nota": 2}', {"resumo": 'ele disse: "ótimo", mas devolveu', "nota": 2})
c(g, '{"resumo": "o campo "nome": veio vazio", "nota": 2}', {"resumo": 'o campo "nome": veio vazio', "nota": 2})
c(g, '{"a": "ela respondeu "sim"", "b": "não"}', {"a": 'ela respondeu "sim"', "b": "não"})
c(g, '{"a": ""sim" foi a resposta", "b": 1}', {"a": '"sim" foi a resposta', "b": 1})
c(g, '{"itens": ["TV 50" LED", "monitor 24" curvo"], "n": 2}', {"itens": ['TV 50" LED', 'monitor 24" curvo'], "n": 2})
c(g, '{"tela": "15.6"", "cor": "preta"}', {"tela": '15.6"', "cor": "preta"})
c(g, '{"citacao": "Disse "A", depois "B", depois "C"", "autor": "X"}',
  {"citacao": 'Disse "A", depois "B", depois "C"', "autor": "X"})
c(g, '{"msg": "Use o cupom "PROMO10" hoje!", "titulo": "Oferta "relâmpago""}',
  {"msg": 'Use o cupom "PROMO10" hoje!', "titulo": 'Oferta "relâmpago"'})
c(g, '{"texto": "A palavra "saudade" (sem tradução) é bonita", "n": 1}',
  {"texto": 'A palavra "saudade" (sem tradução) é bonita', "n": 1})
c(g, '{"texto": "clique em "Comprar".", "n": 1}', {"texto": 'clique em "Comprar".', "n": 1})
c(g, '{"texto": "marca "Casa & Cia"; modelo "X1"", "n": 1}', {"texto": 'marca "Casa & Cia"; modelo "X1"', "n": 1})
c(g, '[{"fala": "- "Bom dia", disse ele"}, {"fala": "- "Oi""}]', [{"fala": '- "Bom dia", disse ele'}, {"fala": '- "Oi"'}])
c(g, '{"html": "<a href="x.html">clique</a>", "ok": true}', {"html": '<a href="x.html">clique</a>', "ok": True})
c(g, '{"html": "<img src="a.png" alt="foto, grande">", "ok": true}', {"html": '<img src="a.png" alt="foto, grande">', "ok": True})
c(g, '{\n  "resumo": "O cliente falou "nunca mais compro", "péssimo" e "horrível".",\n  "nota": 1\n}',
  {"resumo": 'O cliente falou "nunca mais compro", "péssimo" e "horrível".', "nota": 1})
c(g, '{"sql": "SELECT "nome" FROM "clientes" WHERE "uf" = \'SP\'", "ok": 1}',
  {"sql": 'SELECT "nome" FROM "clientes" WHERE "uf" = \'SP\'', "ok": 1})
c(g, "{'fala': 'ela disse 'adorei' e voltou', 'nota': 5}", {"fala": "ela disse 'adorei' e voltou", "nota": 5})
c(g, '{"a": "x "y" z", "b": ["p "q" r", "s"], "c": {"d": "t "u""}}', {"a": 'x "y" z', "b": ['p "q" r', "s"], "c": {"d": 't "u"'}})
c(g, '{"json": "{"a": 1}", "b": 2}', {"json": '{"a": 1}', "b": 2})
c(g, '{"lista": "os itens ["a", "b"] vieram", "b": 2}', {"lista": 'os itens ["a", "b"] vieram', "b": 2})
c(g, '{"pergunta": "O que significa "frete grátis"?", "resposta": "Que a loja paga."}',
  {"pergunta": 'O que significa "frete grátis"?', "resposta": "Que a loja paga."})
c(g, '{"trecho": "fim da frase "aspas", "b": 2}', {"trecho": 'fim da frase "aspas', "b": 2})

# --- commas, colons ---
g = "separators"
c(g, '{"a": 1 "b": 2 "c": [1 2 3]}', {"a": 1, "b": 2, "c": [1, 2, 3]})
c(g, '{"nome" "Ana", "idade" 31}', {"nome": "Ana", "idade": 31})
c(g, '{"nome"; "Ana", "idade"; 31}', {"nome": "Ana", "idade": 31})
c(g, '{"nome" = "Ana"; "idade" = 31;}', {"nome": "Ana", "idade": 31})
c(g, '{nome = "Ana", idade = 31}', {"nome": "Ana", "idade": 31})
c(g, '{"nome" -> "Ana", "idade" -> 31}', {"nome": "Ana", "idade": 31})
c(g, '{nome -> "Ana", idade -> 31}', {"nome": "Ana", "idade": 31})
c(g, '{:nome => "Ana", :idade => 31}', {"nome": "Ana", "idade": 31})
c(g, '{"nome" := "Ana", "idade" := 31}', {"nome": "Ana", "idade": 31})
c(g, '{"a": {"b": 1,}, "c": [1,2,],}', {"a": {"b": 1}, "c": [1, 2]})
c(g, '{"a": 1,,, "b": 2,,}', {"a": 1, "b": 2})
c(g, '[,1, 2, , 3]', [1, 2, 3])
c(g, '{"a": "x"."b": "y"}', {"a": "x", "b": "y"})
c(g, '{"a": "x" | "b": "y"}', {"a": "x", "b": "y"})
c(g, '{"a": 1\n\n"b": [\n"x"\n"y"\n]\n"c": {}\n}', {"a": 1, "b": ["x", "y"], "c": {}})
c(g, '{"a": true"b": false"c": null}', {"a": True, "b": False, "c": None})
c(g, '{"a":"x""b":"y"}', {"a": "x", "b": "y"})
c(g, '{"a": [1, 2]"b": {"c": 3}"d": 4}', {"a": [1, 2], "b": {"c": 3}, "d": 4})
c(g, '{"a" : : 1, "b" :"x"}', {"a": 1, "b": "x"})
c(g, '{"a": 1, "b": 2 ,}', {"a": 1, "b": 2})
c(g, '{"x": 10; "y": 20; "rotulo": "a; b"}', {"x": 10, "y": 20, "rotulo": "a; b"})
c(g, '["um" "dois", "três"\n"quatro"]', ["um", "dois", "três", "quatro"])
c(g, '{"a": "x",\n"b":\n"y"\n,"c"\n:\n"z"}', {"a": "x", "b": "y", "c": "z"})
c(g, '{"a"\t1,"b"\t"x"}', {"a": 1, "b": "x"})
c(g, '{"total": 3 "itens": ["a","b","c"] "ok": true "obs": null}', {"total": 3, "itens": ["a", "b", "c"], "ok": True, "obs": None})

# --- brackets ---
g = "brackets"
c(g, '{"pedido": {"id": 7, "itens": [{"sku": "A", "qtd": 2}, {"sku": "B", "qtd": 1}, "total": 30}',
  {"pedido": {"id": 7, "itens": [{"sku": "A", "qtd": 2}, {"sku": "B", "qtd": 1}], "total": 30}})
c(g, '{"a": [1, 2, 3, "b": [4, 5], "c": 6}', {"a": [1, 2, 3], "b": [4, 5], "c": 6})
c(g, '{"a": [1, 2, 3), "b": 4}', {"a": [1, 2, 3], "b": 4})
c(g, '{"a": (1, 2, 3), "b": ("x",)}', {"a": [1, 2, 3], "b": ["x"]})
c(g, '("a": 1, "b": 2)', {"a": 1, "b": 2})
c(g, '{"a": {"b": {"c": 1}}', {"a": {"b": {"c": 1}}})
c(g, '{"a": {"b": {"c": 1, "d": 2}', {"a": {"b": {"c": 1, "d": 2}}})
c(g, '{"a": [{"b": 1}, {"b": 2}}', {"a": [{"b": 1}, {"b": 2}]})
c(g, '{"a": [{"b": 1], "c": 2}', {"a": [{"b": 1}], "c": 2})
c(g, '[{"a": 1}, {"a": 2}', [{"a": 1}, {"a": 2}])
c(g, '[{"a": 1}, {"a": 2}}]', [{"a": 1}, {"a": 2}])
c(g, '[{"a": 1, "b": 2, {"a": 3, "b": 4}]', [{"a": 1, "b": 2}, {"a": 3, "b": 4}])
c(g, '[{"a": 1}, "a": 2}]', [{"a": 1}, {"a": 2}])
c(g, '{"a": 1, "b": 2}}}}', {"a": 1, "b": 2})
c(g, '{"a": [1, 2]], "b": 3}', {"a": [1, 2], "b": 3})
c(g, '{"a": {"x": 1}}, "b": 3}', {"a": {"x": 1}, "b": 3})
c(g, '{{"a": {{"b": 1}}, "c": [1]}}', {"a": {"b": 1}, "c": [1]})
c(g, '{"a": "x"\n  "b": [\n    "y",\n    "z"\n', {"a": "x", "b": ["y", "z"]})
c(g, '"nome": "Ana",\n"idade": 31\n}', {"nome": "Ana", "idade": 31})
c(g, '"nome": "Ana",\n"tags": ["a", "b"]', {"nome": "Ana", "tags": ["a", "b"]})
c(g, '<"a": 1, "b": 2>', {"a": 1, "b": 2})
c(g, '[["a", 1], ["b", 2], ["c", 3]', [["a", 1], ["b", 2], ["c", 3]])
c(g, '["a": 1, "b": 2]', {"a": 1, "b": 2})
c(g, '{"pontos": [[1, 2], [3, 4, [5, 6]], "n": 3}', {"pontos": [[1, 2], [3, 4, [5, 6]]], "n": 3})
c(g, '{"a": {"b": [1, 2}, "c": 3}', {"a": {"b": [1, 2]}, "c": 3})
c(g, '{"a": {"b": 1, "c": 2, "d": {"e": 3}}, "f": 4', {"a": {"b": 1, "c": 2, "d": {"e": 3}}, "f": 4})
c(g, '{"produto": "mesa", "dimensoes": {"l": 1, "a": 2}, "preco": 10}}', {"produto": "mesa", "dimensoes": {"l": 1, "a": 2}, "preco": 10})

# --- cut off ---
g = "truncated"
c(g, '{"titulo": "Relatório", "secoes": [{"nome": "Vendas", "texto": "As vendas cre',
  {"titulo": "Relatório", "secoes": [{"nome": "Vendas", "texto": "As vendas cre"}]})
c(g, '{"titulo": "Relatório", "secoes": [{"nome": "Vendas"}, {"nome":', {"titulo": "Relatório", "secoes": [{"nome": "Vendas"}, {"nome": None}]})
c(g, '{"titulo": "Relatório", "secoes": [{"nome": "Vendas"}, {"no', {"titulo": "Relatório", "secoes": [{"nome": "Vendas"}, {}]})
c(g, '{"a": [1, 2, 3', {"a": [1, 2, 3]})
c(g, '{"a": [1, 2, ', {"a": [1, 2]})
c(g, '{"a": [', {"a": []})
c(g, '{"a": {', {"a": {}})
c(g, '{"a": 1, "b": f', {"a": 1, "b": False})
c(g, '{"a": 1, "b": [true, fals', {"a": 1, "b": [True, False]})
c(g, '{"a": "termina em barra \\', {"a": "termina em barra "})
c(g, '{"a": "acento \\u00', {"a": "acento "})
c(g, '{"a": "emoji \\ud83d', {"a": "emoji "})
c(g, '{"a": "aspas \\"ditas\\" e', {"a": 'aspas "ditas" e'})
c(g, '{"a": "x", "b": "y"', {"a": "x", "b": "y"})
c(g, "{'a': 'it's a long te", {"a": "it's a long te"})
c(g, "{'a': True, 'b': Non", {"a": True, "b": None})
c(g, '{"preco": 1234.', {"preco": 1234})
c(g, '{"preco": 12,5', {"preco": 12.5})
c(g, '{"preco": R$ 12,', {"preco": 12})
c(g, '{"a": 1 /* comentário cort', {"a": 1})
c(g, '{"a": 1, // comentário cort', {"a": 1})
c(g, 'Claro! Segue o JSON:\n\n```json\n{\n  "a": "x",\n  "b": ["y", "z', {"a": "x", "b": ["y", "z"]})
c(g, '```json\n{"a": {"b": {"c": "d', {"a": {"b": {"c": "d"}}})
c(g, '{"a": "um, dois", "b": "três: quatro, "', {"a": "um, dois", "b": "três: quatro, "})
c(g, '[{"id": 1, "ok": true}, {"id": 2, "ok": tr', [{"id": 1, "ok": True}, {"id": 2, "ok": True}])
c(g, '[{"id": 1}, {"id": 2}, {', [{"id": 1}, {"id": 2}, {}])
c(g, '{\\"a\\": \\"x\\", \\"b\\": [1, 2', {"a": "x", "b": [1, 2]})
c(g, '{"a": -1', {"a": -1})
c(g, '{"a": 1.5e', {"a": 1.5})
c(g, '{"a": "linha\nquebrada e cort', {"a": "linha\nquebrada e cort"})

# --- comments ---
g = "comments"
c(g, '{\n  // dados do cliente\n  "nome": "Ana", // obrigatório\n  /* opcional:\n     idade */\n  "idade": 31\n}', {"nome": "Ana", "idade": 31})
c(g, '{\n  # dados\n  "nome": "Ana", # "entre aspas", e vírgula\n  "idade": 31 # fim }\n}', {"nome": "Ana", "idade": 31})
c(g, '{"url": "https://x.br/a//b", "cor": "#fff", "glob": "/*.txt"} // fim', {"url": "https://x.br/a//b", "cor": "#fff", "glob": "/*.txt"})
c(g, '[\n  1, // um\n  2, // dois: "x"\n  3  // três, fim\n]', [1, 2, 3])
c(g, '{"a": 1, /* "b": 2, */ "c": 3}', {"a": 1, "c": 3})
c(g, '{"a": 1, // "b": 2,\n "c": 3}', {"a": 1, "c": 3})
c(g, '{"a": [1, /* dois */ 3], /**/ "b": /***/ 4}', {"a": [1, 3], "b": 4})
c(g, '<!-- resposta -->\n{"a": 1, "b": 2}', {"a": 1, "b": 2})
c(g, '{"a": 1, -- comentário\n "b": 2}', {"a": 1, "b": 2})
c(g, '{"a": "x" // não é "y"\n, "b": 2}', {"a": "x", "b": 2})
c(g, '{\n  "nota": 4, // de 1 a 5\n  "motivo": atraso, // texto livre\n  "ok": sim // sim ou não\n}', {"nota": 4, "motivo": "atraso", "ok": "sim"})
c(g, '{"a": 1 /* aberto\n, "b": 2}', {"a": 1})
c(g, '// cabeçalho {x}\n/* outro [y] */\n{"a": 1}', {"a": 1})
c(g, '{"a": 1, "b": 2 /* fim */} /* depois */', {"a": 1, "b": 2})
c(g, "{'a': 1, # it's a comment\n 'b': 2}", {"a": 1, "b": 2})

# --- literals ---
g = "literals"
c(g, "{'ativo': True, 'saldo': None, 'tags': ['a', None, False]}", {"ativo": True, "saldo": None, "tags": ["a", None, False]})
c(g, '{"a": undefined, "b": NaN, "c": -NaN, "d": [Infinity, -Infinity]}', {"a": None, "b": None, "c": None, "d": [None, None]})
c(g, '{"a": nil, "b": NULL, "c": Null}', {"a": None, "b": None, "c": None})
c(g, '{"a": TRUE, "b": False, "c": tRUE}', {"a": True, "b": False, "c": True})
c(g, '{"a": truex, "b": nullable, "c": falsete}', {"a": "truex", "b": "nullable", "c": "falsete"})
c(g, '{"a": sim, "b": não, "c": talvez}', {"a": "sim", "b": "não", "c": "talvez"})
c(g, '{"a": true e falso, "b": none of them}', {"a": "true e falso", "b": "none of them"})
c(g, '{True: 1, None: 2, false: 3}', {"True": 1, "None": 2, "false": 3})
c(g, '{"a": "None", "b": "true", "c": None}', {"a": "None", "b": "true", "c": None})
c(g, '{"a": true, "b": True, "c": true.}', {"a": True, "b": True, "c": True})
c(g, '{"a": (True), "b": [True False]}', {"a": True, "b": [True, False]})
c(g, "{'data': datetime.date(2024, 1, 5), 'n': 2}", {"data": "datetime.date(2024, 1, 5)", "n": 2})
c(g, "{'p': Decimal('10.50'), 'n': 2}", {"p": "10.50", "n": 2})
c(g, 'ObjectId("507f") é inválido; use {"id": ObjectId("507f"), "n": NumberLong(5)}', {"id": "507f", "n": 5})
c(g, "OrderedDict({'a': 1, 'b': [1, 2]})", {"a": 1, "b": [1, 2]})
c(g, '{"a": N/A, "b": n/d, "c": -}', {"a": "N/A", "b": "n/d", "c": None})

# --- where it stands ---
g = "place"
c(g, 'Segue:\n\n~~~json\n{"a": 1, "b": [2]}\n~~~\nAbraço', {"a": 1, "b": [2]})
c(g, '````json\n{"a": 1, "md": "```"}\n````', {"a": 1, "md": "```"})
c(g, '```json\n{"codigo": "```py\\nprint(1)\\n```", "ok": true}\n```', {"codigo": "```py\nprint(1)\n```", "ok": True})
c(g, 'A resposta é `{"a": 1, "b": 2}`.', {"a": 1, "b": 2})
c(g, '**Resposta:** {"a": 1, "b": 2} 👍', {"a": 1, "b": 2})
c(g, '> {"a": 1,\n> "b": 2}', {"a": 1, "b": 2})
c(g, '<json>{"a": 1, "b": "x<y"}</json>', {"a": 1, "b": "x<y"})
c(g, '<tool_call>\n{"name": "buscar", "arguments": {"q": "sofá"}}\n</tool_call>', {"name": "buscar", "arguments": {"q": "sofá"}})
c(g, 'Primeiro um exemplo do formato: {campo: valor}. Agora a resposta:\n```json\n{"campo": 3}\n```', {"campo": 3})
c(g, '```json\n{"a": 1}\n```\nou, melhor:\n```json\n{"a": 2}\n```', {"a": 1})
c(g, 'Os campos (nome, idade) [ver anexo] são {"nome": "Ana", "idade": 31}. Obrigado :)', {"nome": "Ana", "idade": 31})
c(g, 'const resposta = {"a": 1, b: \'x\'};', {"a": 1, "b": "x"})
c(g, 'resposta = json.loads(\'{"a": 1, "b": "x"}\')', {"a": 1, "b": "x"})
c(g, 'callback({"a": 1, "b": "x"});', {"a": 1, "b": "x"})
c(g, 'return {"a": 1, "b": "x"}', {"a": 1, "b": "x"})
c(g, 'data: {"a": 1, "b": "x"}\n\n', {"a": 1, "b": "x"})
c(g, 'JSON: {a: 1, b: x}', {"a": 1, "b": "x"})
c(g, 'Saída:\n1. {"a": 1}', {"a": 1})
c(g, 'Use {nome} como marcador. Resultado final:\n{"msg": "Olá, {nome}!", "n": 2}', {"msg": "Olá, {nome}!", "n": 2})
c(g, '😀😀 {"a": "😀", "b": "🇧🇷 {x}"} 😀', {"a": "😀", "b": "🇧🇷 {x}"})
c(g, 'O preço {R$ 10} e o cupom [X] não valem.\nJSON: [{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}])
c(g, 'Não encontrei { nem } nada [aqui].', NOTHING)
c(g, 'A função f(x) = {x se x > 0; 0 senão} é simples.', NOTHING)
c(g, 'O cliente pediu "mesa", "cadeira" e "sofá".', NOTHING)
c(g, 'nota: 4,5\nsentimento: positivo', NOTHING)
c(g, 'Ele disse: "não sei".', NOTHING)
c(g, 'json\n{\n"a": 1\n}', {"a": 1})
c(g, "'''json\n{\"a\": 1, \"b\": 2}\n'''", {"a": 1, "b": 2})
c(g, '"""\n{"a": 1, "b": 2}\n"""', {"a": 1, "b": 2})
c(g, '```\nAqui vai:\n{"a": 1, "b": 2}\n```', {"a": 1, "b": 2})
c(g, '```json {"a": 1,\n"b": "x"}```fim', {"a": 1, "b": "x"})
c(g, 'Pensei em {"a": 0} mas o certo é:\n\n```json\n{"a": 1}\n```', {"a": 1})
c(g, '{\n"a": 1\n}\n\nEspero que ajude! Se quiser, mudo {"a"} para outro.', {"a": 1})
c(g, 'Resposta final (JSON): {"a": "x", "b": ["y"]}) fim', {"a": "x", "b": ["y"]})
c(g, '\\boxed{{"a": 1, "b": 2}}', {"a": 1, "b": 2})
c(g, '- {"a": 1, "b": 2}', {"a": 1, "b": 2})

# --- escapes, JSON in strings ---
g = "escapes"
c(g, r'{\"nome\": \"Ana\", \"obs\": \"disse \\\"oi\\\"\", \"n\": [1, 2]}', {"nome": "Ana", "obs": 'disse "oi"', "n": [1, 2]})
c(g, r'"{\"nome\": \"Ana\", \"n\": 1}"', {"nome": "Ana", "n": 1})
c(g, r'"{\n  \"nome\": \"Ana\",\n  \"n\": 1\n}"', {"nome": "Ana", "n": 1})
c(g, r'{\n  "nome": "Ana",\n  "n": 1\n}', {"nome": "Ana", "n": 1})
c(g, r'{"regex": "\d+\.\d{2}", "n": 1}', {"regex": r"\d+\.\d{2}", "n": 1})
c(g, r'{"pasta": "C:\Users\novo\temp", "n": 1}', {"pasta": r"C:\Users\novo\temp", "n": 1})
c(g, r'{"latex": "\frac{a}{b}", "n": 1}', {"latex": "\frac{a}{b}", "n": 1})
c(g, r'{"a": "it\'s", "b": "R\$ 5", "c": "a\_b", "d": "\*x\*"}', {"a": "it's", "b": "R$ 5", "c": "a_b", "d": "*x*"})
c(g, r'{"nome\_completo": "Ana", "n": 1}', {"nome_completo": "Ana", "n": 1})
c(g, r'{"a": "\x41\xe7", "b": 1}', {"a": "A\u00e7", "b": 1})
c(g, r"{'a': 'it\'s ok', 'b': \"x\"}", {"a": "it's ok", "b": "x"})
c(g, r'{"a": "linha 1\
linha 2", "b": 1}', {"a": "linha 1linha 2", "b": 1})
c(g, r'{"a": "\u00e7\u00E3o", "b": "\ud83d\ude00", "c": ["\/"],}', {"a": "ção", "b": "😀", "c": ["/"]})
c(g, r'{"a": "\u{1F600}", "b": 1}', {"a": "😀", "b": 1})
c(g, r'{"a": "fim\\", "b": "x\\\\y",}', {"a": "fim\\", "b": "x\\\\y"})
c(g, r'{"args": "{\"q\": \"sofá\", \"n\": 2}", "ok": true,}', {"args": '{"q": "sofá", "n": 2}', "ok": True})
c(g, r'"[{\"a\": 1}, {\"a\": 2}]"', [{"a": 1}, {"a": 2}])
c(g, r'"\"{\\\"a\\\": 1}\""', {"a": 1})
c(g, r'{\'a\': \'x\', \'b\': 2}', {"a": "x", "b": 2})
c(g, r"""'{"a": "x", "b": 2}'""", {"a": "x", "b": 2})
c(g, '{&quot;a&quot;: &quot;x&quot;, &quot;b&quot;: 2}', {"a": "x", "b": 2})
c(g, '{"a": "Casa &amp; Vídeo", "b": 2,}', {"a": "Casa &amp; Vídeo", "b": 2})

# --- control characters, encodings ---
g = "control"
c(g, '{"poema": "verso um\nverso dois\n\nverso três", "n": 2}', {"poema": "verso um\nverso dois\n\nverso três", "n": 2})
c(g, '{"t": "a\tb", "u": "c\r\nd", "v": "e\bf", "w": "\x01"}', {"t": "a\tb", "u": "c\r\nd", "v": "e\bf", "w": "\x01"})
c(g, '\ufeff\ufeff{"a": 1,}', {"a": 1})
c(g, '{\u00a0"a":\u00a01,\u2003"b":\u200b2}', {"a": 1, "b": 2})
c(g, '｛"a"：1，"b"：［1，2］｝', {"a": 1, "b": [1, 2]})
c(g, '{"a"：1，"b"："x，y"}', {"a": 1, "b": "x，y"})
c(g, '{"a": "x"、"b": "y"}', {"a": "x", "b": "y"})
c(g, '{＂a＂: ＂x＂, ＂b＂: 2}', {"a": "x", "b": 2})
c(g, '{\x00"a": 1, "b": 2\x00}', {"a": 1, "b": 2})
c(g, '{"chave\nquebrada": 1, "b": 2}', {"chave\nquebrada": 1, "b": 2})
c(g, '\x1b[32m{"a": 1, "b": 2}\x1b[0m', {"a": 1, "b": 2})
c(g, '{\r\n"a": "x",\r\n"b": [\r\n1,\r\n2,\r\n],\r\n}\r\n', {"a": "x", "b": [1, 2]})
c(g, '{"texto": "parágrafo um.\n\n- item "a"\n- item "b"\n", "n": 2}', {"texto": 'parágrafo um.\n\n- item "a"\n- item "b"\n', "n": 2})
c(g, '{"texto": "linha um,\nlinha dois: fim,\n", "n": 2}', {"texto": "linha um,\nlinha dois: fim,\n", "n": 2})

# --- several, twice ---
g = "several"
c(g, '{"nome": "Ana", "nome": "Bia", "n": 1}', {"nome": "Bia", "n": 1})
c(g, '{"a": {"x": 1}, "b": 2, "a": {"y": 2}}', {"a": {"y": 2}, "b": 2})
c(g, '{"a": 1}\n{"b": 2}\n{"c": 3}', {"a": 1})
c(g, '{"a": 1};{"b": 2}', {"a": 1})
c(g, '{}\n\n{"b": 2}', {"b": 2})
c(g, '{"a": 1} -> {"a": 2}', {"a": 1})
c(g, '[]{"a": 1}', {"a": 1})
c(g, '{"a": [1, 2], "b": "x"}{"a": [1, 2], "b": "x"}', {"a": [1, 2], "b": "x"})
c(g, 'Antes: {"a": 1,}\nDepois: {"a": 2,}', {"a": 1})
c(g, '{"a": 1, "A": 2, "a ": 3,}', {"a": 1, "A": 2, "a ": 3})
c(g, '{"a": 1, "b": {"c": 2, "c": 3}, "b2": [{"d": 1, "d": 2}]}', {"a": 1, "b": {"c": 3}, "b2": [{"d": 2}]})

# --- left out, left over ---
g = "gaps"
c(g, '{"a": , "b": , "c": 3}', {"a": None, "b": None, "c": 3})
c(g, '{"a":, "b": 2}', {"a": None, "b": 2})
c(g, '{"a": "x", "b":\n}', {"a": "x", "b": None})
c(g, '{"a": "x", "b": ...}', {"a": "x", "b": None})
c(g, '{"itens": ["a", "b", ...], "n": 5}', {"itens": ["a", "b"], "n": 5})
c(g, '{"itens": ["a", "b", …], "n": 5}', {"itens": ["a", "b"], "n": 5})
c(g, '{"itens": [{"id": 1}, {"id": 2}, ...]}', {"itens": [{"id": 1}, {"id": 2}]})
c(g, '{"a": 1, "b": 2, ... }', {"a": 1, "b": 2})
c(g, '{"a": "x" (ver nota), "b": 2}', {"a": "x", "b": 2})
c(g, '{"a": "x" ok, "b": 2}', {"a": "x", "b": 2})
c(g, '{"a": 1, e também "b": 2}', {"a": 1, "b": 2})
c(g, '{"a": "longo " + "texto", "b": \'um\' + \'dois\'}', {"a": "longo texto", "b": "umdois"})
c(g, '{"a": "parte um "\n"parte dois", "b": 2}', {"a": "parte um parte dois", "b": 2})
c(g, '{"itens":\n  - mesa\n  - cadeira\n, "n": 2}', {"itens": ["mesa", "cadeira"], "n": 2})
c(g, '{\n"itens": [\n- "mesa",\n- "cadeira"\n],\n"n": 2}', {"itens": ["mesa", "cadeira"], "n": 2})
c(g, '{\n"itens": [\n* "mesa"\n* "cadeira"\n],\n"n": 2}', {"itens": ["mesa", "cadeira"], "n": 2})
c(g, '{\n- "a": 1,\n- "b": 2\n}', {"a": 1, "b": 2})
c(g, '{"a": [1, 2, ,4], "b": [,]}', {"a": [1, 2, 4], "b": []})
c(g, '{"a": "x", "b": "y" "c": "z" "d" "w"}', {"a": "x", "b": "y", "c": "z", "d": "w"})
c(g, '{1: "um", 2: "dois", 3.5: "x"}', {"1": "um", "2": "dois", "3.5": "x"})
c(g, '{"a": "x",\n\n\n}', {"a": "x"})
c(g, '{"": 1, : 2}', {"": 1})
c(g, '{"a": new Date("2024-01-05"), "b": 2}', {"a": "2024-01-05", "b": 2})

# --- numbers as Brazilians and others write them ---
g = "numbers"
c(g, '{"nota": 4,5, "preco": 1.299,90, "desconto": 12,5%}', {"nota": 4.5, "preco": 1299.9, "desconto": 12.5})
c(g, '{"nota": 4,5,"n": 2}', {"nota": 4.5, "n": 2})
c(g, '{"preco": R$ 1.234,56, "frete": R$12, "total": R$ 1.246,56}', {"preco": 1234.56, "frete": 12, "total": 1246.56})
c(g, '{"receita": R$ 1,2 milhão, "meta": 2,5 mil, "pib": 3 bilhões}', {"receita": 1.2e6, "meta": 2500, "pib": 3e9})
c(g, '{"temperatura": -3,5, "saldo": -R$ 10,00, "delta": +2}', {"temperatura": -3.5, "saldo": -10, "delta": 2})
c(g, '{"populacao": 1.234.567, "area": 12.345,6}', {"populacao": 1234567, "area": 12345.6})
c(g, '{"populacao": 1,234,567, "n": 2}', {"populacao": 1234567, "n": 2})
c(g, '{"notas": [4,5,3], "media": 4,0}', {"notas": [4, 5, 3], "media": 4.0})
c(g, '{"precos": [R$ 10,00, R$ 5,50], "n": 2}', {"precos": [10.0, 5.5], "n": 2})
c(g, '{"taxas": [10,5%, 12%], "n": 2}', {"taxas": [10.5, 12], "n": 2})
c(g, '{"a": 1,2, "b": 3}', {"a": 1.2, "b": 3})
c(g, '{"data": 05/01/2024, "hora": 14:30:00, "cep": 01310-100, "fone": (11) 98765-4321}',
  {"data": "05/01/2024", "hora": "14:30:00", "cep": "01310-100", "fone": "(11) 98765-4321"})
c(g, '{"cpf": 123.456.789-09, "versao": 1.2.3, "ip": 192.168.0.1}', {"cpf": "123.456.789-09", "versao": "1.2.3", "ip": "192.168.0.1"})
c(g, '{"faixa": 10-20, "nota": 4/5, "prazo": 15 dias, "peso": 2,5 kg}', {"faixa": "10-20", "nota": "4/5", "prazo": "15 dias", "peso": "2,5 kg"})
c(g, '{"inicio": 2024-01-05T10:00:00Z, "n": 2}', {"inicio": "2024-01-05T10:00:00Z", "n": 2})
c(g, '{"posicao": 1º, "andar": 3º andar, "n": 2}', {"posicao": "1º", "andar": "3º andar", "n": 2})
c(g, '{"a": .75, "b": 3., "c": 0005, "d": -.5}', {"a": 0.75, "b": 3, "c": 5, "d": -0.5})
c(g, '{"a": "4,5", "b": "R$ 10,00", "c": 4,5}', {"a": "4,5", "b": "R$ 10,00", "c": 4.5})
c(g, "{'nota': '4,5', 'nota_num': 4,5}", {"nota": "4,5", "nota_num": 4.5})
c(g, '{"a": 1.5, "b": 2,5, "c": 1e3, "d": 2E-2}', {"a": 1.5, "b": 2.5, "c": 1000, "d": 0.02})
c(g, '{"nota": 4,5 "n": 2}', {"nota": 4.5, "n": 2})
c(g, '{"nota": 4,5\n"n": 2}', {"nota": 4.5, "n": 2})
c(g, '{"nota": 4,5 // ótimo\n, "n": 2}', {"nota": 4.5, "n": 2})
c(g, '{"a": {"x": 1,5, "y": [1,5]}, "b": 2,25}', {"a": {"x": 1.5, "y": [1, 5]}, "b": 2.25})
c(g, '{nota: 4,5; n: 2}', {"nota": 4.5, "n": 2})
c(g, '{"qtd": mil, "n": 2}', {"qtd": 1000, "n": 2})
c(g, '{"preco": US$ 10.50, "eur": € 3,20}', {"preco": 10.5, "eur": 3.2})
c(g, '{"preco": 10 reais, "frete": 5,90 reais}', {"preco": 10, "frete": 5.9})
c(g, '{"nota": 4,5/5, "n": 2}', {"nota": "4,5/5", "n": 2})
c(g, '{"a": 1 000, "b": 1 234,50, "c": 3}', {"a": 1000, "b": 1234.5, "c": 3})
c(g, '{"a": 1_000_000, "b": 2}', {"a": 1000000, "b": 2})
c(g, '{"produtos": [{"nome": "Mesa", "preco": 299,90}, {"nome": "Sofá", "preco": 1.899,00}]}',
  {"produtos": [{"nome": "Mesa", "preco": 299.9}, {"nome": "Sofá", "preco": 1899.0}]})
c(g, '{"margem": 12,5 %, "n": 2}', {"margem": 12.5, "n": 2})
c(g, '{"nota": 10,0, "peso": 0,5}', {"nota": 10.0, "peso": 0.5})
c(g, '{"matriz": [[1,5],[2,5]], "n": 2,}', {"matriz": [[1, 5], [2, 5]], "n": 2})
c(g, '{"tel": +55 11 98765-4321, "n": 2}', {"tel": "+55 11 98765-4321", "n": 2})
c(g, '{"a": 5 de 10, "b": entre 1 e 2, "c": 3}', {"a": "5 de 10", "b": "entre 1 e 2", "c": 3})

# --- much at once ---
g = "mixed"
c(g, "Claro, aqui está!\n\n```json\n{\n  'produto': 'Copo d'água \"Luxo\"',\n  preco: R$ 29,90,\n  \"avaliacoes\": [5, 4,5, 3,],\n  'ok': True // sim\n}\n```\nQualquer coisa, avise.",
  {"produto": 'Copo d\'água "Luxo"', "preco": 29.9, "avaliacoes": [5, 4, 5, 3], "ok": True})
c(g, "{'nome': 'João', 'pedidos': [{'id': 1, 'itens': ('mesa', 'cadeira')}, {'id': 2, 'itens': None}], 'total': 1.234,50,}",
  {"nome": "João", "pedidos": [{"id": 1, "itens": ["mesa", "cadeira"]}, {"id": 2, "itens": None}], "total": 1234.5})
c(g, '{\n  insights: [\n    {titulo: "Vendas em alta", detalhe: "Cresceram 12,5% em "março"", acao: Repor estoque}\n    {titulo: "Frete caro", detalhe: "R$ 30,00 em média", acao: Negociar}\n  ]\n  confianca: 0,8\n',
  {"insights": [{"titulo": "Vendas em alta", "detalhe": 'Cresceram 12,5% em "março"', "acao": "Repor estoque"},
                {"titulo": "Frete caro", "detalhe": "R$ 30,00 em média", "acao": "Negociar"}], "confianca": 0.8})
c(g, 'json{"a":"x" "b":[1,2,{"c":True]}', {"a": "x", "b": [1, 2, {"c": True}]})
c(g, '{\\"sentimento\\": \\"neutro\\", \\"nota\\": 3,5, \\"temas\\": [\\"prazo\\", \\"preço\\"',
  {"sentimento": "neutro", "nota": 3.5, "temas": ["prazo", "preço"]})
c(g, '```\n{“push”: “Só hoje: 20% off em sofás! 🛋️”, “titulo”: “Oferta”,}\n', {"push": "Só hoje: 20% off em sofás! 🛋️", "titulo": "Oferta"})
c(g, "Output: {'sql': 'SELECT COUNT(*) FROM pedidos WHERE status = 'entregue'', 'ok': True}",
  {"sql": "SELECT COUNT(*) FROM pedidos WHERE status = 'entregue'", "ok": True})
c(g, '{"sql": "SELECT a, b FROM t WHERE x = "y" AND z > 3", "explicacao": "conta, soma: tudo", nota: 9,5',
  {"sql": 'SELECT a, b FROM t WHERE x = "y" AND z > 3', "explicacao": "conta, soma: tudo", "nota": 9.5})
c(g, '{config: {debug: true, niveis: [info, warn,], saida: {arquivo: "/tmp/x.log" /* padrão */, rotacao: None}}, versao: "1.2"',
  {"config": {"debug": True, "niveis": ["info", "warn"], "saida": {"arquivo": "/tmp/x.log", "rotacao": None}}, "versao": "1.2"})
c(g, '[{nome: "A", qtd: 1,5}, {nome: "B" qtd: 2}, {nome: "C", qtd: dois}', [{"nome": "A", "qtd": 1.5}, {"nome": "B", "qtd": 2}, {"nome": "C", "qtd": "dois"}])
c(g, 'Resultado -> {"a" = 1, "b" = [x, y], "c" = {"d" = None}} <- fim', {"a": 1, "b": ["x", "y"], "c": {"d": None}})
c(g, '{"resenha": "Comprei e "amei"!\nRecomendo, nota: 10.", "estrelas": 5, \'compra\': {\'valor\': R$ 99,90, \'data\': 05/01/2024}}',
  {"resenha": 'Comprei e "amei"!\nRecomendo, nota: 10.', "estrelas": 5, "compra": {"valor": 99.9, "data": "05/01/2024"}})

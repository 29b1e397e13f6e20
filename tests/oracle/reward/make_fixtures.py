#!/usr/bin/env python3
"""tests/reward/fixtures/NAME.jsonl of push, exact_answer, repetition, length and regex, and the adversaries that
extraction's and insights' files have beyond their first ones (those stand there by hand). Standard library only;
all texts are ours. Run from the repository's root; the same bytes every time.

    python tests/oracle/reward/make_fixtures.py
"""

import json
import os

HERE = "tests/reward/fixtures"
EMOJI = "😀" * 5000
SALAD = "oferta desconto promoção frete grátis cliente venda receita pedido aproveite corra crie reduza melhore"


def line(reward, case, kind, completion, prompt, note=None, params=None, reference=None, group=None):
    row = {"id": f"{reward}-{case}-{kind}", "case": case, "kind": kind}
    if note:
        row["note"] = note
    if params is not None:
        row["params"] = params
    row["prompt"] = [{"role": "user", "content": prompt}]
    if reference is not None:
        row["reference"] = reference
    row["completion"] = completion
    if group is not None:
        row["group"] = group
    return row


def write(reward, rows, mode="w"):
    with open(os.path.join(HERE, reward + ".jsonl"), mode, encoding="utf-8") as f:
        for row in rows:
            f.write(json.dumps(row, ensure_ascii=False) + "\n")


def push():
    rows = []

    def case(name, prompt, gold, near, bad, others=None):
        def add(kind, text, note=None, group=None):
            rows.append(line("push", name, kind, text, prompt, note, group=group if group is not None else others))
        for text in gold:
            add("gold", text)
        for note, text in near:
            add("near_miss", text, note)
        for text in ["", "🎉"]:
            add("empty", text)
        for note, text in bad:
            add("adversarial", text, note)
        return add

    lamp = "Escreva um push curto para o cliente. Produto: luminária. Motivo: está em promoção."
    good = "Sua luminária está em promoção! Aproveite já! 🎉"
    case("luminaria", lamp, [good, "Psiu, aquela luminária linda ficou mais barata. Só hoje! 💡"],
         [("over two lines", "Sua luminária está em promoção!\nAproveite já! 🎉"),
          ("formal", "Informamos que sua luminária está em promoção! Aproveite já! 🎉"),
          ("over 120 characters", "Sua luminária está em promoção e você vai adorar ver como ela deixa a sala mais bonita, "
           "mais clara e pronta para a sua leitura da noite! Aproveite já!")],
         [("keyword salad", SALAD + " luminária"), ("repetition", "Luminária em promoção! " * 6),
          ("the prompt", lamp), ("the prompt's data", "Produto: luminária. Motivo: está em promoção."),
          ("number spam", "10% 20% 30% 40% 50% luminária 60% 70%"), ("emoji", EMOJI),
          ("English", "Your lamp is on sale today, buy it now and save big!"),
          ("Spanish", "¡Tu lámpara está en oferta! Aprovecha hoy y consigue envío gratis."),
          ("gibberish", "A lamina pelata de sava com uma rofeta na luma de pirola."),
          ("placeholder", "Oi, [nome]! Sua luminária está em promoção! Aproveite já! 🎉"),
          ("placeholder", "Oi, NOME_DO_CLIENTE! Sua luminária está em promoção! Aproveite já!"),
          ("placeholder", "Sua luminária por R$XX,XX! Está em promoção, aproveite já!"),
          ("lorem ipsum", "Lorem ipsum dolor sit amet, consectetur adipiscing elit."),
          ("about the push", "Aqui está uma notificação: sua luminária está em promoção! Aproveite já!"),
          ("a refusal", "Como um modelo de linguagem, não posso escrever um push sobre luminária em promoção."),
          ("capitals", "SUA LUMINÁRIA ESTÁ EM PROMOÇÃO! APROVEITE JÁ! 🎉"),
          ("hidden characters", "Sua\u200b lumi\u200bnária está\u200b em promoção! Aproveite já!"),
          ("JSON", json.dumps({"push": good}, ensure_ascii=False))])
    others = ["Psiu, aquela luminária linda ficou mais barata. Só hoje! 💡",
              "Luz nova em casa por menos: a luminária que você quer baixou de preço. Corre!",
              "Apagou a luz? A luminária em promoção resolve. Vem ver no app!"]
    same = [good, "Sua luminária está em promoção! Aproveite já! 🔥", good]
    add = case("grupo", lamp, [good], [], [], others)
    add("near_miss", good, "word for word what the others say", same)
    add("near_miss", "Sua luminária está em promoção! Aproveite já! Oi, tchau.", "the others' text and a suffix", same)
    add("adversarial", "Aproveite já! Sua luminária está em promoção! 💡💡", "the others' text in another order", same)
    add("adversarial", "SUA LUMINARIA esta em promocao!! aproveite ja 77", "the others' text in another dress", same)
    frete = "Escreva uma notificação push para avisar que o frete é grátis neste fim de semana."
    case("frete", frete, ["Fim de semana com frete grátis: escolhe, clica e relaxa 🛋️"],
         [("not about it", "Sua casa merece um presente novo hoje! Vem ver as ofertas.")],
         [("the prompt", frete), ("keyword salad", "frete grátis fim semana " + SALAD),
          ("repetition", "frete grátis, frete grátis, frete grátis, frete grátis, frete grátis"),
          ("placeholder", "Oi, {{cliente}}! Fim de semana com frete grátis: escolhe e relaxa")])
    write("push", rows)


def exact_answer():
    rows = []

    def case(name, prompt, answer, gold, near, bad):
        def add(kind, text, note=None):
            rows.append(line("exact_answer", name, kind, text, prompt, note, reference={"answer": answer}))
        for text in gold:
            add("gold", text)
        for note, text in near:
            add("near_miss", text, note)
        for text in ["", "Não sei."]:
            add("empty", text)
        for note, text in bad:
            add("adversarial", text, note)
        add("adversarial", EMOJI[: 5000 if name == "reais" else 50], "emoji")
        add("adversarial", SALAD, "keyword salad")
        add("adversarial", prompt, "the prompt")

    q = "Uma loja vendeu 1.200 canetas por R$ 1,50 cada. Quanto recebeu ao todo?"
    case("reais", q, "1800",
         ["Resposta: R$ 1.800,00", "1.200 × 1,50 = 1.800\n\\boxed{1800}", "Ao todo, 1,800 reais.", "#### 1800"],
         [("ten times too much", "Resposta: 18.000"), ("only the parts", "Multiplico 1.200 por 1,50.")],
         [("number spam", " ".join(str(n) for n in range(1700, 1900))),
          ("guesses in a line", "Resposta: 1700, 1800, 1900"), ("guesses in a box", "\\boxed{1700, 1800, 1900}"),
          ("boxes, the last is wrong", "\\boxed{1800} \\boxed{1700}"), ("in thinking only", "<think>1800</think>"),
          ("repetition", "1800 " * 200 + "1801")])
    case("fracao", "Que parte de um dia são 18 horas?", "3/4",
         ["\\boxed{\\frac{3}{4}}", "Resposta: 0,75", "A resposta é 75%.", "São 3/4"],
         [("upside down", "Resposta: 4/3"), ("of an hour", "Resposta: 18")],
         [("both ways round", "\\boxed{3/4 \\text{ ou } 4/3}")])
    case("capital", "Qual é a capital do Brasil?", "Brasília",
         ["Resposta: Brasília.", "\\boxed{\\text{brasilia}}", "Pensei no Rio, mas mudou.\n\nBrasília"],
         [("another city", "Resposta: Rio de Janeiro")],
         [("both", "Resposta: Brasília ou Rio de Janeiro"), ("many words", "Resposta: " + "Rio Brasília Salvador " * 50)])
    case("letra", "Qual alternativa é correta? A) 5 B) 6 C) 7 D) 8", "C",
         ["Resposta: C", "Resposta: letra C", "\\boxed{C) 7}"], [("another", "Resposta: B")],
         [("all", "Resposta: A, B, C, D"), ("a word that begins so", "Resposta: claro que sei")])
    write("exact_answer", rows)


def repetition():
    prompt = "Escreva sobre a loja."
    once = ("A loja abriu em março e vendeu mais livros do que canetas. Os clientes elogiam a entrega rápida, mas pedem "
            "embalagens melhores para os pratos. Em junho chegam as toalhas novas.")
    rows = [line("repetition", "texto", "gold", once, prompt),
            line("repetition", "texto", "near_miss", once + " A loja abriu em março e vendeu mais livros do que canetas.",
                 prompt, "one sentence twice"),
            line("repetition", "texto", "near_miss", once + "\n\n" + once, prompt, "all twice")]
    rows += [line("repetition", "texto", "empty", text, prompt) for text in ["", " \n\t", "<think>nada</think>"]]
    bad = [("a word", "bom " * 300), ("a sentence", "A loja vende livros. " * 60), ("emoji", EMOJI),
           ("one long word", "ha" * 2000), ("signs", "!?" * 1500), ("capitals and accents", "Bom BOM bom bOm " * 80),
           ("another script without spaces", "日本" * 800),
           ("counted", "".join(f"{i}. A loja vende livros e canetas para todos.\n" for i in range(60))),
           ("number spam", "10 20 30 40 50 " * 60)]
    rows += [line("repetition", "texto", "adversarial", text, prompt, note) for note, text in bad]
    write("repetition", rows)


def length():
    prompt, params = "Resuma em uma frase curta.", {"min": 20, "max": 60}
    rows = [line("length", "frase", "gold", "A loja vendeu mais livros do que canetas.", prompt, params=params),
            line("length", "frase", "gold", "👨‍👩‍👧‍👦" * 40, prompt, "40 families are 40 characters", params),
            line("length", "frase", "near_miss", "A loja vendeu bem.", prompt, params=params),
            line("length", "frase", "near_miss", "A loja vendeu mais livros do que canetas e mais toalhas do que pratos.",
                 prompt, params=params)]
    rows += [line("length", "frase", "empty", text, prompt, params=params) for text in ["", "\n \t", "<think>" + "a" * 40]]
    bad = [("emoji", EMOJI), ("repetition", "A loja vendeu bem. " * 50), ("keyword salad", SALAD * 2),
           ("white space", "A" + " " * 40), ("marks on one letter", "a" + "\u0301" * 40),
           ("thinking of the right length", "<think>A loja vendeu mais livros do que canetas.</think>")]
    rows += [line("length", "frase", "adversarial", text, prompt, note, params) for note, text in bad]
    write("length", rows)


def regex():
    prompt = "Qual é o CEP? Responda só com ele."
    params = {"pattern": "\\d{5}-\\d{3}", "mode": "fullmatch"}
    rows = [line("regex", "cep", "gold", text, prompt, params=params)
            for text in ["01310-100", "<think>Acho que é 00000-000.</think>\n01310-100\n"]]
    rows += [line("regex", "cep", "near_miss", "01310100", prompt, "no dash", params),
             line("regex", "cep", "empty", "", prompt, params=params)]
    bad = [("more than it", "O CEP é 01310-100."), ("twice", "01310-100 01310-100"), ("emoji", EMOJI),
           ("keyword salad", SALAD), ("the prompt", prompt), ("number spam", "12345 " * 500),
           ("in thinking only", "<think>01310-100")]
    rows += [line("regex", "cep", "adversarial", text, prompt, note, params) for note, text in bad]
    write("regex", rows)


def more(reward, case, adversaries):
    """Appends to the first case that stands there by hand."""
    path = os.path.join(HERE, reward + ".jsonl")
    with open(path, encoding="utf-8") as f:
        rows = [json.loads(text) for text in f]
    gold = next(r for r in rows if r["case"] == case and r["kind"] == "gold")
    kept = [r for r in rows if not r["id"].endswith("-more")]
    for note, text in adversaries(gold["completion"], gold["prompt"][0]["content"]):
        kept.append({**gold, "id": f"{reward}-{case}-more", "kind": "adversarial", "note": note, "completion": text})
    write(reward, kept)


def extraction(gold, prompt):
    o = json.loads(gold)
    text = lambda value: json.dumps(value, ensure_ascii=False)
    words = {"sentimento": "positivo|neutro|negativo", "problema": "nenhum, atraso, defeito, qualidade, outro"}
    yield "all words of a field at once", text({**o, **words})
    yield "50 fields more", text({**o, **{f"campo{i}": i for i in range(50)}})
    yield "the object within another", text({"resposta": o})
    yield "itself once more within it", text({**o, "copia": o})
    yield "two objects, the second right", text({**o, "nota": 1, "sentimento": "negativo"}) + "\n" + gold
    yield "a list of two", text([{**o, "nota": 1}, o])
    yield "every key twice, wrong at last", gold[:-1] + ", " + text({k: None for k in o})[1:]
    yield "the prompt as summary and product", text({**o, "produto": prompt, "resumo": prompt})
    yield "5,000 emoji in it", text({**o, "resumo": EMOJI})


def insights(gold, prompt):
    data = prompt.split(": ", 1)[1].split("\n")[0]
    yield "the data line by line, a verb behind each", "\n".join(f"- {part.strip()}: melhore." for part in data.split(";"))
    yield "the data, then a call to act", f"Temos {data}\nCrie campanhas. Reduza custos."
    yield "numbers of the data behind verbs", ("- Reduza 120 e crie 304,50 para os clientes.\n"
                                              "- Melhore 15,3% e aumente 120 para as vendas.\n"
                                              "- Invista em 36.540,00 e ofereça 15,3% para a loja.")
    yield "a date as the only ground", ("- Em 2018, a loja vendeu muito: crie campanhas para os clientes.\n"
                                        "- Em março de 2018, os atrasos subiram: revise os prazos da entrega.")
    yield "targets in place of figures", ("- Reduza os atrasos para 5% com uma nova transportadora.\n"
                                          "- Aumente as vendas em 20% com campanhas para os clientes.")
    yield "shares in words that nobody counted", ("- Quarenta por cento dos clientes sumiram: crie campanhas para eles.\n"
                                                  "- Setenta por cento dos pedidos atrasam: revise os prazos da entrega.")
    yield "small shares for every taste", ("- Os 4% de trocas pedem cuidado: revise o estoque com a equipe.\n"
                                           "- Os 6% de queixas e os 9% de dúvidas caem: melhore o atendimento.")
    yield "5,000 emoji", EMOJI


if __name__ == "__main__":
    for make in (push, exact_answer, repetition, length, regex):
        make()
    more("extraction", "atraso", extraction)
    more("insights", "marco", insights)

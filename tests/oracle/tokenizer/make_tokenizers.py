#!/usr/bin/env python3
"""Small byte-level vocabularies, trained here, and what the `tokenizers` library makes of several hundred
texts with them; how it cuts texts into words under many pre-tokenizers; and, as hashes, its character
classes and its normalizers over every code point.

    python tests/oracle/tokenizer/make_tokenizers.py        (tokenizers 0.23.3)
"""

import hashlib
import json
import random
import unicodedata
from pathlib import Path

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

HERE = Path(__file__).parent
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+")
LLAMA3 = QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
CASED = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
POSSESSIVE = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$"
              r"|\s*[\r\n]|\s+(?!\S)|\s")

CORPUS = """
O produto chegou antes do prazo e a qualidade é excelente, recomendo a loja para todos.
A entrega atrasou dez dias e ninguém respondeu às minhas mensagens; não compro mais aqui.
Qual foi o faturamento total por estado no mês de março? Mostre os cinco maiores em ordem decrescente.
SELECT estado, SUM(valor) AS total FROM pedidos WHERE data >= '2018-03-01' GROUP BY estado ORDER BY total DESC LIMIT 5;
SELECT COUNT(*) FROM clientes c JOIN pedidos p ON p.cliente_id = c.id WHERE p.status = 'entregue';
for (int i = 0; i < n; i++) { soma += preco[i] * quantidade[i]; } return soma / n;
def media(valores): return sum(valores) / len(valores) if valores else 0.0
A promoção de verão começou: tênis, mochilas e relógios com até 40% de desconto. Aproveite agora!
Comprei duas camisetas, uma calça e três pares de meias; paguei R$ 159,90 com frete grátis.
Atenção: a avaliação média da categoria informática caiu de 4,2 para 3,8 no último trimestre.
The order was shipped on Monday and it's already here. I don't think we'll need another one.
====== ------ .... ==== ---- === ... aaa eee ooo
{"nota": 5, "comentario": "muito bom", "recomenda": true, "itens": ["caneca", "livro"]}
""".strip().split("\n")


def train(tokenizer, special, size=560):
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(CORPUS * 3, trainer)


def byte_level_bpe(pre, special, normalizer=None, size=560, **model):
    t = Tokenizer(models.BPE(**model))
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    if normalizer:
        t.normalizer = normalizer
    train(t, special, size)
    return t


def split_then_bytes(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def make_gpt2():
    return byte_level_bpe(pre_tokenizers.ByteLevel(add_prefix_space=False), ["<|endoftext|>"])


def make_stripping():
    """add_prefix_space, and added tokens of every kind."""
    t = byte_level_bpe(pre_tokenizers.ByteLevel(add_prefix_space=True), ["<s>", "</s>"], normalizers.NFC(), size=420)
    t.add_tokens([AddedToken("<mask>", lstrip=True, normalized=False), AddedToken("<r>", rstrip=True, normalized=False),
                  AddedToken("\n", normalized=False), AddedToken("SQL", single_word=True, normalized=False),
                  AddedToken("não", normalized=True), AddedToken("<both>", lstrip=True, rstrip=True, normalized=True),
                  AddedToken("  ", normalized=False), AddedToken("    ", normalized=False),
                  AddedToken("<wide word>", single_word=True, lstrip=True, normalized=True), AddedToken("字"),
                  AddedToken("\t", lstrip=True, rstrip=True, normalized=False)])
    t.add_special_tokens([AddedToken("<sep>", rstrip=True, special=True)])
    return t


def make_qwen():
    t = byte_level_bpe(split_then_bytes(QWEN), [], normalizers.NFC())
    t.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    t.add_tokens([AddedToken(x, normalized=False) for x in ["<think>", "</think>", "<tool_call>"]])
    return t


def make_llama3():
    t = byte_level_bpe(split_then_bytes(LLAMA3), [], size=500, ignore_merges=True)
    text = json.loads(t.to_str())
    for word in ["Ġfaturamento", "ĠPortugal", "xyzzy", "123", "ĠâĤ¬"]:  # whole words that no merge makes
        text["model"]["vocab"].setdefault(word, len(text["model"]["vocab"]))
    t = Tokenizer.from_str(json.dumps(text))
    t.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"])
    first = t.token_to_id("<|begin_of_text|>")
    t.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|> $B:1",
                                      special_tokens=[("<|begin_of_text|>", first)])])
    return t


def make_smollm():
    return byte_level_bpe(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                   pre_tokenizers.ByteLevel(add_prefix_space=False)]),
                          ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])


def make_unknown():
    """A vocabulary without some bytes, an unknown token that is fused, and a pattern that removes."""
    t = byte_level_bpe(pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"\s+"), "merged_with_next"),
        pre_tokenizers.Split(Regex(r"[;,.]"), "removed"),
        pre_tokenizers.ByteLevel(add_prefix_space=False)]), ["<unk>"], size=330)
    text = json.loads(t.to_str())
    model = text["model"]
    gone = {c for c in model["vocab"] if len(c) == 1 and c not in CORPUS[0] and ord(c) > 0xC0}
    keep = [v for v in model["vocab"] if not gone & set(v)]
    model["vocab"] = {v: i for i, v in enumerate(keep)}
    model["merges"] = [m for m in model["merges"] if not gone & set(m[0] + m[1])]
    model["unk_token"] = "<unk>"
    model["fuse_unk"] = True
    return Tokenizer.from_str(json.dumps(text))


MAKERS = {"gpt2": make_gpt2, "stripping": make_stripping, "qwen": make_qwen, "llama3": make_llama3,
          "smollm": make_smollm, "unknown": make_unknown}
MERGES_AS_STRINGS = {"gpt2", "smollm"}

FIXED = [
    "", " ", "  ", "\n", "\r\n", "\t\t", "a", "á", "a\u0301", "Olá, mundo!", "Não é a ação, é a intenção.",
    "n\u0061\u0303o", "São João\u0301", "12", "123", "1234", "12345678", "3,14159", "R$ 1.234,56", "40%", "2018-03-01",
    "I don't, we'll, you've, it's, I'm, they're, he'd", "IT'S DON'T WE'LL", "it’s", "'ſ 'S '\u017f", "l'amour d'été",
    "SELECT * FROM pedidos WHERE x = 'it''s';", "select a,b\n  from t\n where c>=10;\n\n", "-- comentário\nSELECT 1;",
    "if (a&&b||!c) { return x[i]->y; }", "def f(x):\n    return x**2\n\n\tpass", "<html><b>&nbsp;</b></html>",
    "a  b   c    d     e", "fim  ", "  início", " \n \n ", "linha\r\noutra\r\n\r\n", "tab\tseparado\tde\tnovo",
    "\u0085\u2028\u2029\u180e\u200b\u200c\u200d\u2060\ufeff", "a\u00a0b\u1680c\u2000d\u2009e\u202ff\u205fg\u3000h",
    "\x00", "a\x00b", "\x01\x02\x1b[31mvermelho\x1b[0m", "\x1c\x1d\x1e\x1f", "\x7f\x80\x9f",
    "👩‍👩‍👧‍👦", "🇧🇷🇵🇹", "👍🏽 ótimo", "❤️", "☕ café", "e\u0301\u0301\u0323", "\u0301início", " \u0323 x",
    "กำลังทดสอบ", "สวัสดีครับ", "مرحبا بالعالم", "مُحَمَّد", "שָׁלוֹם", "हिन्दी में", "한국어 문장", "\u1112\u1161\u11ab", "漢字かな交じり文",
    "你好，世界！", "カタカナ", "㍿", "ﬁm ﬀ ß ſt ﬆ", "Ⅷ ⅷ ½ ² ③ ৪ ๓", "١٢٣٤", "𝟘𝟙𝟚 𝒜", "İıŞş", "ǅ ǈ", "ŉ", "\u212b \u2126 K",
    "\u0344 \u0958 \u2adc \ufb1d", "\U0001d15e", "\u0378\u0379\uffff", "\U000e0001\U0010ffff", "\ue000\uf8ff",
    "\u1c89\u1c8a \ua7cb", "\U000105c0\U000105c1 \U00010d40\U00010d41", "\U0001e030\U0001e4d0", "\U000323af\U00031350",
    "\u0898a\u0301\u0898", "a\u0334\u0898", "a\u1abf\u0323", "\U00011935\U00011930", "\U000105d2\u0307",
    "<|endoftext|>", "a<|endoftext|>b", "<|im_start|>user\noi<|im_end|>\n", "<|im_start|", "<|im_start|><|im_start|>",
    "<think>\nhm\n</think>\n\nsim", "<|begin_of_text|>x<|eot_id|>", "<s>a</s>", "<unk>", " <|endoftext|> ",
    "a <mask> b", "a  <mask>  b", "<r>  \n  x", "<r> \n", "\n\n", "<both>   <both>", " x <both> y ", "SQL", "SQLite",
    "_SQL", "SQL\u0301", "é SQL é", "NoSQL SQL, SQL.", "SQL\u200d", "SQL ⓐ", "ⓐSQL", "<wide word>", "a<wide word>",
    "  <wide word>", "não", "na\u0303o", "não-não", "      ", "       x", "<sep>   y", "<sep>\u3000y", "字", "a字b",
    "a;b,c.d", " ; ", "xyzzy", " faturamento", " Portugal", "Portugal", " €", "€", "123456", "o faturamento de Portugal",
    "Antonio\u0301 Antônio", "\u00c5ngstr\u00f6m A\u030angstro\u0308m", "\t\t\t", "a \t \t b", "<r> \t x",
    "=====", "=======", "a === b", "-----", ".......", "aaaaa eeeee ooo", "x" * 60, "ab" * 40, "9" * 20, "!" * 30, " " * 33,
]


def make_texts():
    rnd = random.Random(20)
    marks = [chr(c) for c in range(0x300, 0x1E950) if unicodedata.combining(chr(c))]
    white = [chr(c) for c in (9, 10, 11, 12, 13, 0x1C, 0x1F, 0x20, 0x85, 0xA0, 0x1680, 0x180E, 0x2003, 0x200B, 0x2028,
                              0x2029, 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF)]
    words = " ".join(CORPUS).split() + ["<|im_start|>", "<think>", "SQL", "<mask>", "<r>", "não", "123", "it's"]
    texts = list(FIXED)
    for line in CORPUS:
        texts += [line, unicodedata.normalize("NFD", line)]
    while len(texts) < 420:
        parts = []
        for _ in range(rnd.randint(1, 9)):
            kind = rnd.random()
            if kind < 0.4:
                parts.append(rnd.choice(words))
            elif kind < 0.6:
                parts.append(rnd.choice(white) * rnd.choice([1, 1, 2, 3]))
            elif kind < 0.7:
                parts.append(rnd.choice("aeiouAEO") + rnd.choice(marks) + rnd.choice(marks))
            elif kind < 0.8:
                parts.append(chr(rnd.randint(0xA0, 0x3100)))
            elif kind < 0.9:
                c = rnd.randint(0x80, 0x10FFFF)
                parts.append(chr(c) if not 0xD800 <= c < 0xE000 else "?")
            else:
                parts.append("".join(rnd.choice("ab01 '\n.,ABé") for _ in range(rnd.randint(1, 6))))
        texts.append("".join(parts))
    return texts


def write_ids(name, t, texts):
    with open(HERE / f"{name}.ids.jsonl", "w") as f:
        for text in texts:
            ids = t.encode(text, add_special_tokens=False).ids
            special = t.encode(text, add_special_tokens=True).ids
            row = {"ids": ids}
            if special != ids:
                row["special"] = special
            decoded = t.decode(ids, skip_special_tokens=False)
            if decoded != text:
                row["decoded"] = decoded
            skipped = t.decode(ids, skip_special_tokens=True)
            if skipped != decoded:
                row["skipped"] = skipped
            f.write(json.dumps(row, separators=(",", ":")) + "\n")


# --- cutting into words ---

def split(pattern, behavior="Isolated", invert=False, literal=False):
    return {"type": "Split", "pattern": {"String" if literal else "Regex": pattern}, "behavior": behavior,
            "invert": invert}


def make_cuts():
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    behaviors = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
    steps = [[split(p)] for p in (GPT2, QWEN, LLAMA3, CASED, POSSESSIVE)]
    steps += [[split(r"\d+|[,.]", b, i)] for b in behaviors for i in (False, True)]
    steps += [[split(" ", b, literal=True)] for b in behaviors]
    steps += [[split(p)] for p in (
        r"\s*", r"[a-c]|", r"^\s+|\s+$", r"\w+|[^\w\s]+", r"[\w-]+", r"(?<=\p{L})(?=\p{N})", r"(?>a|ab)c?", r"(?:ab|a)+?",
        r" ?[^(\s|[.,!?…。，、।۔،])]+", r"[一-龥぀-ゟ゠-ヿ]+", r"\p{Han}+|\p{Hiragana}{2}", r"[^\S\r\n]+", r"[\s\S]{5}",
        r"o{,3}", r"o{2,3}+", r"\x{20}\u0061?", r"\v|\t|\x0a", r"(?i)select|from", r"(?=(\p{N}{3})+(?!\p{N}))", r"a{x",
        r"\p{^L}+", r"\P{L}+", r"\p{Upper case_Letter}+", r"\A.|.\z")]
    steps += [[{"type": "Digits", "individual_digits": i}] for i in (False, True)]
    steps += [[{"type": "Digits", "individual_digits": False}, split(r"\p{N}{1,3}"), split(r"\s", "MergedWithNext")]]
    steps += [[split("x", literal=True), {**bytes_, "add_prefix_space": p, "use_regex": True}] for p in (False, True)]
    return [{"type": "Sequence", "pretokenizers": s if s[-1]["type"] == "ByteLevel" else s + [bytes_]} for s in steps]


def byte_of():
    table, extra = {}, 256
    for b in range(256):
        if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255:
            table[chr(b)] = b
        else:
            table[chr(extra)] = b
            extra += 1
    return table


def write_cuts(texts):
    table = byte_of()
    with open(HERE / "cuts.jsonl", "w") as f:
        f.write(json.dumps({"texts": texts}) + "\n")
        for spec in make_cuts():
            whole = {"model": {"type": "BPE", "vocab": {}, "merges": []}, "pre_tokenizer": spec}
            try:
                pre = Tokenizer.from_str(json.dumps(whole)).pre_tokenizer
            except Exception as e:  # a pattern the reference itself refuses
                print("left out:", json.dumps(spec)[:120], e)
                continue
            words = [[bytes(table[c] for c in w).decode() for w, _ in pre.pre_tokenize_str(t)] for t in texts]
            f.write(json.dumps({"pre_tokenizer": spec, "words": [[len(w.encode()) for w in x] for x in words]}, ensure_ascii=False,
                               separators=(",", ":")) + "\n")


# --- classes and NFC over all code points ---

def all_points():
    return [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]


def members_by_split(pattern, text):
    left = set()
    for piece, _ in pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str(text):
        left.update(map(ord, piece))
    return set(map(ord, text)) - left


def describe(name, members):
    """SHA-256 of one byte a code point, 0 or 1."""
    bitmap = bytearray(0x110000)
    for c in members:
        bitmap[c] = 1
    return {"class": name, "count": len(members), "sha256": hashlib.sha256(bitmap).hexdigest()}


def numeric_points(points):
    cut = pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str("a".join(map(chr, points)))
    return {ord(p) for p, _ in cut if len(p) == 1 and p != "a"}


def word_points(points):
    """What may not stand beside a single_word token: found with one."""
    t = Tokenizer(models.BPE(vocab={}, merges=[]))
    t.add_tokens([AddedToken("<t>", single_word=True, normalized=False), AddedToken("\n", normalized=False)])
    points = [c for c in points if c != 10]
    ids, words, at = t.encode("\n".join("<t>" + chr(c) for c in points)).ids, set(points), 0
    for i in ids:
        if i == t.token_to_id("\n"):
            at += 1
        else:
            words.discard(points[at])
    return words


CONTEXTS = ["a%s", "a\u0345%s", "a%s\u0334", "\u1100%s\u0301"]


NORMALIZED = [("NFC", CONTEXTS), ("NFD", CONTEXTS), ("NFKC", CONTEXTS), ("NFKD", CONTEXTS), ("Lowercase", ["%sA"]),
              ("Nmt", ["%s"]), ("BertNormalizer", ["\u4e00%s "])]
BERT_ACCENTS = normalizers.BertNormalizer(False, False, True, False)
BERT_CLEAN = normalizers.BertNormalizer(True, False, False, False)


def kept_by(pre, text):
    return "".join(piece for piece, _ in pre.pre_tokenize_str(text))


def write_unicode():
    points = all_points()
    text = "".join(map(chr, points))
    classes = [r"\p{L}", r"\p{N}", r"\p{M}", r"\p{P}", r"\p{S}", r"\p{Z}", r"\p{Lu}", r"\p{Ll}", r"\p{Lt}", r"\p{Lm}",
               r"\p{Lo}", r"\p{Nd}", r"\p{Han}", r"\s", r"\S", r"\w", r"[\w]", r"[^\w\s]", r"\d", r"[^\s\p{L}\p{N}]",
               r"(?i:[sdmtk])", "."]
    rows = [describe(c, members_by_split(c, text)) for c in classes]
    rows += [describe("numeric", numeric_points(points)), describe("word", word_points(points)),
             describe("space", set(points) - set(map(ord, kept_by(pre_tokenizers.WhitespaceSplit(), text)))),
             describe("punctuation", set(points) - set(map(ord, kept_by(pre_tokenizers.Punctuation("removed"), text)))),
             describe("mark", set(points) - set(map(ord, normalizers.StripAccents().normalize_str(text)))),
             describe("nonspacing", {c for c in points if BERT_ACCENTS.normalize_str(chr(c)) == ""}),
             describe("cleaned", {c for c in points if BERT_CLEAN.normalize_str(chr(c)) == ""})]
    for name, contexts in NORMALIZED:
        normalizer = getattr(normalizers, name)()
        for context in contexts:
            whole = normalizer.normalize_str("\n".join(context % chr(c) for c in points))
            rows.append({"normalizer": json.loads(normalizer.__getstate__()), "context": context.replace("%s", "*"),
                         "sha256": hashlib.sha256(whole.encode()).hexdigest()})
    with open(HERE / "unicode.jsonl", "w") as f:
        for row in rows:
            f.write(json.dumps(row) + "\n")


def main():
    texts = make_texts()
    with open(HERE / "texts.jsonl", "w") as f:
        for text in texts:
            f.write(json.dumps({"text": text}) + "\n")
    for name, make in MAKERS.items():
        t = make()
        spec = json.loads(t.to_str())
        if name in MERGES_AS_STRINGS:
            spec["model"]["merges"] = [" ".join(m) for m in spec["model"]["merges"]]
        (HERE / f"{name}.json").write_text(json.dumps(spec, ensure_ascii=False, separators=(",", ":")) + "\n")
        write_ids(name, Tokenizer.from_file(str(HERE / f"{name}.json")), texts)
    short = [t for t in texts if len(t) < 60]
    write_cuts([t for t in short[:110] if t][::2] + short[-25:])
    write_unicode()


if __name__ == "__main__":
    main()

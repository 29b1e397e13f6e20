#!/usr/bin/env python3
"""Random small tokenizers of every combination of components, and what the `tokenizers` library makes of hostile
texts with them. Without arguments: writes random.jsonl, the fixture. With arguments: that many tokenizers from a
seed on, compared at once with the program; the ones that differ are printed.

    python tests/oracle/tokenizer/make_random.py                                    (tokenizers 0.23.3)
    python tests/oracle/tokenizer/make_random.py build/release/grpo 200 1000
"""

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from tokenizers import Tokenizer, models, trainers

HERE = Path(__file__).parent
MARK = "\u2581"
WORDS = ("o produto chegou antes do prazo e a qualidade é ótima não recomendo R$ 159,90 com 12 dias; it's don't "
         "SELECT * FROM pedidos WHERE x >= 10 ação Coração STRASSE Straße İstanbul ΣΑΣ ﬁm ½ Ⅷ 漢字 かな 한국어 "
         "\u1112\u1161\u11ab e\u0301 a\u0323\u0301 na\u0303o हिन्दी สวัสดี 👩‍👩‍👧 👍🏽 🇧🇷 (a-b) [x] {y} a_b c.d! …").split(" ")
SPACES = [" ", " ", " ", "  ", "   ", "\n", "\t", "\r\n", "\u00a0", "\u3000", "\u2003", "\u0085", "\u2028", "\u200b",
          "\ufeff", "\u1680", "\x1c", "\x0b", MARK, MARK + MARK]
ADDED = ["<s>", "</s>", "<a>", "<ab>", "<a><b>", "não", "NÃO", "É", "e\u0301", "ﬁ", "SQL", "\n", "  ", "字", " x",
         "x ", MARK, MARK + "z", "İ", "ß", "12", "<|im|>", "a b", "\u0301", "Ⅷ"]
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
BEHAVIORS = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
PATTERNS = [{"Regex": GPT2}, {"Regex": LLAMA3}, {"Regex": r"\s+"}, {"Regex": r"\w+|[^\w\s]+"}, {"Regex": r"\d"},
            {"Regex": r"\p{P}"}, {"Regex": r"[aeiou]"}, {"Regex": r"\p{L}(?=\p{M})"}, {"String": " "}, {"String": "a"},
            {"String": "--"}, {"String": MARK}, {"Regex": r"(?<=a)"}, {"Regex": r"^\S|\s$"}]
REPLACEMENTS = [({"String": " "}, MARK), ({"String": "a"}, "bb"), ({"String": "  "}, " "), ({"Regex": r"\s+"}, " "),
                ({"Regex": r"\p{N}"}, ""), ({"String": "é"}, "e"), ({"Regex": r"^ "}, ""), ({"Regex": "o|do"}, "O o"),
                ({"Regex": " {2,}"}, MARK), ({"String": "."}, " . "), ({"Regex": r"\W"}, "_"), ({"Regex": "z*$"}, "")]


def flip(r):
    return r.random() < 0.5


def metaspace(r):
    scheme = r.choice(["always", "first", "never", "first"])
    return {"type": "Metaspace", "replacement": r.choice([MARK, MARK, MARK, "_"]), "prepend_scheme": scheme,
            "split": flip(r)}


def normalizer(r):
    kinds = {
        "NFC": {}, "NFD": {}, "NFKC": {}, "NFKD": {}, "Lowercase": {}, "StripAccents": {}, "Nmt": {}, "ByteLevel": {},
        "Strip": {"strip_left": flip(r), "strip_right": flip(r)},
        "Prepend": {"prepend": r.choice([MARK, " ", "ab", "é"])},
        "Replace": dict(zip(("pattern", "content"), r.choice(REPLACEMENTS))),
        "BertNormalizer": {"clean_text": flip(r), "handle_chinese_chars": flip(r),
                           "strip_accents": r.choice([None, True, False]), "lowercase": flip(r)},
    }
    name = r.choice(sorted(kinds) + ["Prepend", "Replace", "NFC", "NFKC"])
    return {"type": name, **kinds[name]}


def pre_tokenizer(r):
    kinds = {
        "Split": {"pattern": r.choice(PATTERNS), "behavior": r.choice(BEHAVIORS), "invert": r.random() < 0.3},
        "Digits": {"individual_digits": flip(r)}, "Punctuation": {"behavior": r.choice(BEHAVIORS)}, "Whitespace": {},
        "WhitespaceSplit": {}, "BertPreTokenizer": {}, "CharDelimiterSplit": {"delimiter": r.choice([" ", "a", "é"])},
        "FixedLength": {"length": r.randint(1, 6)},
        "ByteLevel": {"add_prefix_space": flip(r), "trim_offsets": flip(r), "use_regex": flip(r)},
    }
    name = r.choice(sorted(kinds) + ["Metaspace", "Split", "Split"])
    return metaspace(r) if name == "Metaspace" else {"type": name, **kinds[name]}


def decoder(r):
    kinds = {
        "ByteLevel": {"add_prefix_space": True, "trim_offsets": True, "use_regex": True}, "ByteFallback": {}, "Fuse": {},
        "Strip": {"content": r.choice([" ", "a", MARK]), "start": r.randint(0, 2), "stop": 0},
        "Replace": dict(zip(("pattern", "content"), r.choice(REPLACEMENTS + [({"String": MARK}, " ")] * 8))),
        "WordPiece": {"prefix": r.choice(["##", "a"]), "cleanup": flip(r)}, "BPEDecoder": {"suffix": r.choice(["</w>", "a"])},
        "CTC": {"pad_token": "a", "word_delimiter_token": MARK, "cleanup": flip(r)},
    }
    name = r.choice(sorted(kinds) + ["Metaspace", "Replace", "ByteFallback", "Fuse"])
    return metaspace(r) if name == "Metaspace" else {"type": name, **kinds[name]}


def chain(r, make, role, most):
    n = r.choice([0, 1, 1] + list(range(2, most + 1)))
    parts = [make(r) for _ in range(n)]
    return None if not n else parts[0] if n == 1 else {"type": "Sequence", role: parts}


def sentence_piece(r):
    """The chains of the Llama and Mistral families, old and new."""
    if flip(r):
        return ({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": MARK}, {
            "type": "Replace", "pattern": {"String": " "}, "content": MARK}]}, None)
    return None, {"type": "Metaspace", "replacement": MARK, "prepend_scheme": r.choice(["first", "always", "never"]),
                  "split": flip(r)}


def sentence_piece_decoder(r):
    return {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": MARK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": r.randint(0, 1), "stop": 0}]}


def model(r, norm, pre, size):
    t = Tokenizer(models.BPE())
    spec = json.loads(t.to_str())
    spec["normalizer"], spec["pre_tokenizer"] = norm, pre
    affixes = {"continuing_subword_prefix": "#"} if r.random() < 0.05 else {}
    if r.random() < 0.05:
        affixes["end_of_word_suffix"] = "</w>"
    t = Tokenizer.from_str(json.dumps(spec))
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, limit_alphabet=r.choice([15, 30, 60]), **affixes)
    corpus = [" ".join(r.choice(WORDS) for _ in range(12)) for _ in range(12)]
    t.train_from_iterator(corpus, trainer)
    m = json.loads(t.to_str())["model"]
    m.update(affixes)
    keep = [v for v in sorted(m["vocab"], key=m["vocab"].get) if "\0" not in v]
    m["merges"] = [x for x in m["merges"] if "\0" not in x[0] + x[1]]
    special = []
    if flip(r):
        m["unk_token"] = "<unk>"
        special = ["<unk>"]
        m["fuse_unk"] = flip(r)
    if r.random() < 0.6:
        m["byte_fallback"] = True
        special += [f"<0x{b:02X}>" for b in range(256) if b not in (0xE6, 0xF0) or r.random() < 0.6] if r.random() < 0.5 else \
            [f"<0x{b:02X}>" for b in r.sample(range(0x80, 0x100), 60)]
    m["vocab"] = {v: i for i, v in enumerate(dict.fromkeys(special + keep))}
    m["ignore_merges"] = r.random() < 0.2
    return m


def added_tokens(r, m):
    out, next_id = [], len(m["vocab"])
    for content in r.sample(ADDED, r.randint(0, 7)):
        here = m["vocab"].get(content)
        special = r.random() < 0.4
        out.append({"id": next_id if here is None else here, "content": content, "special": special,
                    "normalized": r.random() < 0.5, "single_word": r.random() < 0.25, "lstrip": r.random() < 0.25,
                    "rstrip": r.random() < 0.25})
        next_id += here is None
    return out


def post_processor(r, m):
    some = [[v, i] for v, i in r.sample(sorted(m["vocab"].items()), 2)]
    template = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}},
                                                         {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"x": {"id": "x", "ids": [some[0][1]], "tokens": [some[0][0]]}}}
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    return r.choice([None, template, {"type": "BertProcessing", "sep": some[0], "cls": some[1]}, byte_level,
                     {"type": "RobertaProcessing", "sep": some[0], "cls": some[1], "trim_offsets": True,
                      "add_prefix_space": True}, {"type": "Sequence", "processors": [byte_level, template]}])


def make_text(r):
    if r.random() < 0.1:
        return "".join(chr(c) for c in (r.choice([r.randint(1, 0x2FF), r.randint(0x300, 0x3400), r.randint(0xA000, 0xD7FF),
                                                   r.randint(0xE000, 0x10FFFF)]) for _ in range(r.randint(1, 12))))
    parts = [r.choice(["", "", " ", "\u0301", "ﬁ", MARK, "é"])]
    for _ in range(r.randint(0, 7)):
        parts.append(r.choice([r.choice(WORDS), r.choice(WORDS), r.choice(SPACES), r.choice(ADDED), r.choice(ADDED),
                               "<0x41>", "\x00", "\u0378", "'s", "##a", " ." , r.choice("abo. 19éÉ-")]))
        parts.append(r.choice(["", "", " ", r.choice(SPACES)]))
    return "".join(parts)


def make_spec(seed, size):
    r = random.Random(seed)
    norm = chain(r, normalizer, "normalizers", 3)
    pre = chain(r, pre_tokenizer, "pretokenizers", 4)
    dec = chain(r, decoder, "decoders", 4)
    style = r.random()
    if style < 0.3:
        norm, pre = sentence_piece(r)
    if 0.1 < style < 0.35:
        dec = sentence_piece_decoder(r)
    if style > 0.75:
        last = {"type": "ByteLevel", "add_prefix_space": flip(r), "trim_offsets": True, "use_regex": flip(r)}
        pre = {"type": "Sequence", "pretokenizers": ([pre] if pre else []) + [last]}
        dec = last
    m = model(r, norm, pre, size)
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added_tokens(r, m), "normalizer": norm,
            "pre_tokenizer": pre, "post_processor": post_processor(r, m), "decoder": dec, "model": m}, r


class Refused(Exception):
    pass


def guard(f, *a, **k):
    try:
        return f(*a, **k)
    except BaseException as e:  # its panics are no Exceptions
        if isinstance(e, KeyboardInterrupt):
            raise
        raise Refused(str(e)) from e


def make_case(seed, size, n_texts):
    """A tokenizer and its rows, or None where the reference itself fails."""
    try:
        spec, r = guard(make_spec, seed, size)
        t = guard(Tokenizer.from_str, json.dumps(spec))
    except Refused:
        return None
    if t.normalizer and any(a["normalized"] and not t.normalizer.normalize_str(a["content"]) for a in spec["added_tokens"]):
        return None  # an added token that is empty when normalized: it crashes on many texts, and is refused here
    rows = []
    for _ in range(n_texts):
        text = make_text(r)
        try:
            ids = guard(t.encode, text, add_special_tokens=False).ids
            row = {"text": text, "ids": ids}
            special = guard(t.encode, text, add_special_tokens=True).ids
            if special != ids:
                row["special"] = special
            decoded = guard(t.decode, ids, skip_special_tokens=False)
            if decoded != text:
                row["decoded"] = decoded
            skipped = guard(t.decode, ids, skip_special_tokens=True)
            if skipped != decoded:
                row["skipped"] = skipped
        except Refused:
            continue
        rows.append(row)
    return spec, rows


def ask(grpo, tokenizer, lines, *options):
    text = "".join(json.dumps(x) + "\n" for x in lines)
    done = subprocess.run([grpo, "tokenize", "--tokenizer", tokenizer, *options], input=text, capture_output=True, text=True)
    if done.returncode:
        return done.stderr
    return [json.loads(x) for x in done.stdout.split("\n") if x]


def compare(grpo, n, first):
    refused, different, texts = {}, 0, 0
    for seed in range(first, first + n):
        case = make_case(seed, random.Random(seed).choice([90, 200, 400]), 60)
        if not case:
            continue
        spec, rows = case
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            json.dump(spec, f)
            f.flush()
            got = ask(grpo, f.name, [{"text": x["text"]} for x in rows])
            if isinstance(got, str):
                refused[seed] = got.strip()[-160:]
                continue
            special = ask(grpo, f.name, [{"text": x["text"]} for x in rows], "--special")
            decoded = ask(grpo, f.name, [{"ids": x["ids"]} for x in rows], "--decode")
        texts += len(rows)
        bad = [(x["text"], x["ids"], g.get("ids")) for x, g in zip(rows, got) if x["ids"] != g.get("ids")]
        bad += [(x["text"], "special", g) for x, g in zip(rows, special) if x.get("special", x["ids"]) != g.get("ids")]
        bad += [(x["text"], x.get("decoded", x["text"]), g.get("text")) for x, g in zip(rows, decoded)
                if x.get("decoded", x["text"]) != g.get("text")]
        if bad:
            different += 1
            del spec["model"]["vocab"], spec["model"]["merges"]
            print(f"seed {seed}: {len(bad)} differ: {ascii(bad[0])[:600]}\n  {json.dumps(spec)}")
    print(f"{texts} texts, {different} tokenizers differ, {len(refused)} refused")
    for seed, why in refused.items():
        print(f"  seed {seed}: {why}")


def write_fixture():
    size = 0
    with open(HERE / "random.jsonl", "w") as f:
        for seed in range(10**9):
            case = make_case(seed, 90, 9)
            if not case:
                continue
            line = json.dumps({"seed": seed, "tokenizer": case[0], "rows": case[1]}, ensure_ascii=False,
                              separators=(",", ":")) + "\n"
            size += len(line.encode())
            if size > 290_000:
                break
            f.write(line)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        compare(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    else:
        write_fixture()

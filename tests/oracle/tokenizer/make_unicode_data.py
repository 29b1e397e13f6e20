#!/usr/bin/env python3
"""The sets of code points behind the reference's normalizers and pre-tokenizers, observed there for every code
point, as the C tables of src/tokenizer/unicode_data.c. They come from three libraries of three ages, so no
Unicode database has them all.

    python tests/oracle/tokenizer/make_unicode_data.py > src/tokenizer/unicode_data.c        (tokenizers 0.23.3)
    clang-format -i src/tokenizer/unicode_data.c
"""

from tokenizers import normalizers, pre_tokenizers

POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
TEXT = "".join(map(chr, POINTS))


def punctuation():
    left = set()
    for piece, _ in pre_tokenizers.Punctuation("removed").pre_tokenize_str(TEXT):
        left.update(map(ord, piece))
    return set(POINTS) - left


def word():
    cut = pre_tokenizers.Whitespace().pre_tokenize_str("".join("a" + chr(c) + " " for c in POINTS))
    return {ord(p[1]) for p, _ in cut if len(p) == 2 and p[0] == "a"}


def removed_by(normalizer):
    return {c for c in POINTS if normalizer.normalize_str(chr(c)) == ""}


def lowercase():
    lower, found = normalizers.Lowercase(), {}
    for c in POINTS:
        to = lower.normalize_str(chr(c))
        if to != chr(c) and c != 0x130:
            assert len(to) == 1
            found[c] = ord(to)
    return found


def as_ranges(points, same=lambda a, b: True):
    out = []
    for c in sorted(points):
        if out and out[-1][1] == c - 1 and same(out[-1][1], c):
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def put_set(name, comment, points):
    ranges = as_ranges(points)
    print(f"/* {comment} */\nstatic const struct range {name}_ranges[] = {{")
    print(" ".join(f"{{0x{a:X}, 0x{b:X}}}," for a, b in ranges))
    print(f"}};\nconst struct range_table unicode_{name} = {{{name}_ranges, {len(ranges)}}};\n")


def put_lowercase():
    """Ranges in steps of one or two (capital and small letters alternating) that move by the same distance."""
    found, runs = lowercase(), []
    for c in sorted(found):
        by = found[c] - c
        last = runs[-1] if runs else None
        if last and last["by"] == by and (c - last["last"] == last["step"] or
                                          (last["first"] == last["last"] and c - last["last"] in (1, 2))):
            last["step"], last["last"] = c - last["last"], c
        else:
            runs.append({"first": c, "last": c, "step": 1, "by": by})
    print("static const struct case_range lowercase_ranges[] = {")
    print(" ".join(f"{{0x{r['first']:X}, 0x{r['last']:X}, {r['step']}, {r['by']}}}," for r in runs))
    print(f"}};\nconst struct case_table unicode_lowercase = {{lowercase_ranges, {len(runs)}}};")


def main():
    print("""/* unicode_data.c: made by tests/oracle/tokenizer/make_unicode_data.py; not to be edited. The sets of
 * code points that the reference's normalizers and pre-tokenizers go by, each from the library and the
 * version of Unicode it uses there; see unicode_data.h. */
#include "tokenizer/unicode_data.h"
""")
    put_set("word", "\\\\w of Rust's regex crate.".replace("\\\\", "\\"), word())
    put_set("punctuation", "Punctuation, ASCII's symbols included (the unicode_categories crate).", punctuation())
    put_set("marks", "General category M (the normalizer's).", removed_by(normalizers.StripAccents()))
    put_set("nonspacing", "Mn, for the Bert normalizer (the unicode_categories crate).",
            removed_by(normalizers.BertNormalizer(False, False, True, False)))
    put_set("removed_by_cleaning", "What the Bert normalizer's cleaning removes.",
            removed_by(normalizers.BertNormalizer(True, False, False, False)))
    put_lowercase()


if __name__ == "__main__":
    main()

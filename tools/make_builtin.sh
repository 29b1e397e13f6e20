#!/bin/sh
# Makes the built-in model again: the shop's corpus, its tokenizer, and `grpo pretrain recipes/builtin.yaml`.
# Half an hour on 2 cores (a third of it `grpo pretrain`). The result, WORK/run/model, is what assets/demo/model holds; its bits are
# those of the build and the instruction set that made it.
#
#   tools/make_builtin.sh [BINARY]        (default: build/release/grpo; run from the repository's root)
#
# The tokenizer is remade and compared where Python has the package `tokenizers` (0.23.3).
set -eu
grpo=${1:-build/release/grpo}
work=runs/builtin
mkdir -p "$work"

echo "1/3 the corpus: 60,000 documents"
"$grpo" data synth --out "$work/shop" --seed 20261124 --corpus 60000
head -n 59000 "$work/shop/corpus.jsonl" >"$work/train.jsonl"
# Held out: what is left, without the documents that the corpus has twice.
tail -n 1000 "$work/shop/corpus.jsonl" |
    awk 'NR == FNR { seen[$0]; next } !($0 in seen)' "$work/train.jsonl" - >"$work/heldout.jsonl"

echo "2/3 the tokenizer"
if python3 -c 'import tokenizers' 2>/dev/null; then
    python3 tools/make_tokenizer.py "$work/shop/corpus.jsonl" "$work/tokenizer" --size 2048
    cmp "$work/tokenizer/tokenizer.json" assets/demo/model/tokenizer.json
else
    echo "python3 has no package tokenizers: assets/demo/model/tokenizer.json is taken as it is"
fi

echo "3/3 pretraining"
"$grpo" pretrain recipes/builtin.yaml --out "$work/run" --resume

#!/bin/sh
# The demo: trains the built-in model with GRPO on the four tasks of a synthetic shop, then compares it with the
# untouched model on held-out rows that were used for nothing else. `make demo` builds and calls this.
#
#   tools/demo.sh [BINARY] [RUN] [SEED]     (default: build/release/grpo runs/demo, and the recipe's seed)
set -eu
grpo=${1:-build/release/grpo}
run=${2:-runs/demo}
recipe=recipes/demo.yaml
shop=runs/demo-shop # as the recipe has it

if [ -e "$run" ] && [ ! -e "$run/run.json" ] && [ -n "$(ls -A "$run")" ]; then
    echo "$run exists and is not a run of this demo; remove it or name another: tools/demo.sh $grpo RUN" >&2
    exit 2
fi
rm -rf "$run"

echo "1/4 a synthetic shop: its database, and prompts of four tasks in $shop"
"$grpo" data synth --seed 20261124 --out "$shop"

echo
echo "2/4 training: GRPO with LoRA on 1,200 prompts (recipe: $recipe)"
"$grpo" train "$recipe" --out "$run" ${3:+--set "seed=$3"}

echo
echo "3/4 the untouched model and the best adapter on 240 test rows that took no part in training or selection"
"$grpo" eval --recipe "$recipe" --data "$shop/test.jsonl" --out "$run/test-before.json" --quiet >/dev/null
"$grpo" eval --recipe "$recipe" --data "$shop/test.jsonl" --adapter "$run/best_checkpoint" \
    --out "$run/test-after.json" --quiet >/dev/null

echo
echo "4/4 results on the test rows (one greedy completion each)"
echo
"$grpo" eval --compare "$run/test-before.json" "$run/test-after.json" --examples 1
echo
echo "what is watched beside them (all parts of the rewards: the same command with --components):"
"$grpo" eval --compare "$run/test-before.json" "$run/test-after.json" --components |
    grep -E 'component|json_strict|sql_exec/(runs|values|prose)|sql_qa_v2 |push/fits'

cat <<END

adapter   $run/best_checkpoint         PEFT format, with tokenizer and template
metrics   $run/metrics.jsonl           one line a step
samples   $run/samples.jsonl           every completion with ids, log-probabilities, components, reward
recipe    $run/run.json                the resolved recipe, hashes and plan
compare   $grpo eval --compare $run/test-before.json $run/test-after.json --components --examples 3
try it    $grpo generate --model assets/demo/model --adapter $run/best_checkpoint \\
              --prompt 'Escreva um push. Produto: cafeteira. Motivo: chega hoje. Público: famílias.' --max-tokens 80
END

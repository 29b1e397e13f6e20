#!/bin/sh
# The demo: trains the built-in model with GRPO on two tasks of an invented shop, then compares it with the
# untouched model on held-out rows that were used for nothing else. `make demo` builds and calls this.
#
#   tools/demo.sh [BINARY] [RUN]      (default: build/release/grpo runs/demo)
set -eu
grpo=${1:-build/release/grpo}
run=${2:-runs/demo}
recipe=recipes/demo.yaml
test_rows=assets/demo/test.jsonl

if [ -e "$run" ] && [ ! -e "$run/run.json" ] && [ -n "$(ls -A "$run")" ]; then
    echo "$run exists and is not a run of this demo; remove it or name another: tools/demo.sh $grpo RUN" >&2
    exit 2
fi
rm -rf "$run"

echo "1/3 training: GRPO with LoRA on 240 prompts (recipe: $recipe)"
"$grpo" train "$recipe" --out "$run"

echo
echo "2/3 the untouched model and the best adapter on 80 test rows that took no part in training or selection"
"$grpo" eval --recipe "$recipe" --data "$test_rows" --out "$run/test-before.json" --quiet > /dev/null
"$grpo" eval --recipe "$recipe" --data "$test_rows" --adapter "$run/best_checkpoint" \
    --out "$run/test-after.json" --quiet > /dev/null

echo
echo "3/3 results on the test rows (one greedy completion each)"
echo
"$grpo" eval --compare "$run/test-before.json" "$run/test-after.json" --examples 1

cat <<END

adapter   $run/best_checkpoint         PEFT format, with tokenizer and template
metrics   $run/metrics.jsonl           one line a step
samples   $run/samples.jsonl           every completion with ids, log-probabilities, components, reward
recipe    $run/run.json                the resolved recipe, hashes and plan
try it    $grpo generate --model assets/demo/model --adapter $run/best_checkpoint \\
              --prompt 'Escreva uma notificação push para clientes da loja.' --max-tokens 80
END

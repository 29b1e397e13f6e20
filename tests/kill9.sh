#!/bin/sh
# kill9.sh [N]: N (default 100) times, a training run of the built-in model is killed with SIGKILL at
# random moments, and while it resumes, and then resumed to its end: adapter, optimizer,
# metrics.jsonl, samples.jsonl, evaluations and best checkpoint must be the bytes of the run that was
# not killed, and nothing may be left behind. Every instruction set in turn, save_steps 1 and 3.
# GRPO_BIN names the program (default build/release/grpo).
set -eu

shots=${1:-100}
bin=${GRPO_BIN:-build/release/grpo}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/recipe.yaml" <<RECIPE
model: tests/demo/model
data: tests/demo/train.jsonl
eval_data: $work/eval.jsonl
rewards: [{name: regex, params: {pattern: "[aeiou]$"}}, {name: length, params: {target: 20}}]
lora: {r: 4, lora_alpha: 8}
num_generations: 4
prompts_per_step: 2
max_completion_length: 6
num_iterations: 2
learning_rate: 2e-3
max_steps: 20
eval_steps: 4
save_total_limit: 3
RECIPE
head -n 4 tests/demo/eval.jsonl >"$work/eval.jsonl"

train() # folder isa save_steps [--resume]
{
    folder=$1 isa=$2 save=$3
    shift 3
    "$bin" train "$work/recipe.yaml" --out "$folder" --threads 1 --quiet --isa "$isa" \
        --set "save_steps=$save" "$@" >/dev/null
}

# Milliseconds up to $1, from the system's random numbers.
pause()
{
    r=$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')
    sleep "$(awk -v r="$r" -v top="$1" 'BEGIN { printf "%.3f", top * r / 65536 / 1000 }')"
}

sets=
for isa in c avx2 avx512 avx512bf16 amx; do
    if train "$work/whole-$isa-1" "$isa" 1 2>/dev/null; then
        train "$work/whole-$isa-3" "$isa" 3
        sets="$sets $isa"
    fi
done
[ -n "$sets" ] || { echo "$bin does not train" >&2; exit 1; }

same()
{
    for file in metrics.jsonl samples.jsonl eval best_checkpoint; do
        diff -rq "$1/$file" "$2/$file"
    done
    for file in adapter_model.safetensors adapter_config.json optimizer.safetensors; do
        cmp "$1/checkpoints/step-20/$file" "$2/checkpoints/step-20/$file"
    done
    left=$(find "$2" -name '.?*' ! -name .lock -o -name '*.tmp.*' -o -name '*.old')
    [ -z "$left" ] || { echo "left behind: $left" >&2; return 1; }
}

shot=0 middle=0 kills=0
while [ "$shot" -lt "$shots" ]; do
    for isa in $sets; do
        for save in 1 3; do
            [ "$shot" -lt "$shots" ] || break
            run="$work/cut"
            rm -rf "$run"
            resume=
            for top in 700 500 300; do
                train "$run" "$isa" "$save" $resume 2>/dev/null &
                pid=$!
                pause "$top"
                # The shell's child is this function's subshell; its child is the program.
                pkill -KILL -P "$pid" 2>/dev/null || true
                wait "$pid" 2>/dev/null || true
                kills=$((kills + 1))
                ls -d "$run"/checkpoints/.step-* >/dev/null 2>&1 && middle=$((middle + 1))
                resume=--resume
            done
            train "$run" "$isa" "$save" --resume
            same "$work/whole-$isa-$save" "$run" || {
                echo "shot $shot ($isa, save_steps $save): not the same" >&2
                exit 1
            }
            shot=$((shot + 1))
        done
    done
done
echo "$shots runs, $kills kills ($middle in the middle of a save) on$sets: all the same bytes"

#!/bin/sh
# kill9.sh [-1] [N]: training dies from SIGKILL at N (default 100) random moments. Each run is killed
# up to three times, also while it resumes, and then resumed to its end: what it leaves (final
# checkpoint or model, best checkpoint, metrics.jsonl, samples.jsonl, evaluations) must be the bytes
# of the run that was not killed, and nothing may lie beside it. In turn: a plain recipe, one with
# several slices and iterations a generation, one that evaluates, saves by the clock and stops early,
# and `grpo pretrain`; each with every instruction set this machine has (-1: only its best).
# GRPO_BIN names the program (default build/release/grpo). Only kills that met a running program
# count, so that the speed of the machine does not matter.
set -eu

best_only=
[ "${1:-}" != -1 ] || { best_only=1; shift; }
wanted=${1:-100}
bin=${GRPO_BIN:-build/release/grpo}
tiny=tests/oracle/train/pretrain # a model of 36,000 weights, its tokenizer, documents
# On disk saves take longest and are hit most; the short version must not wait for a busy disk.
if [ -z "$best_only" ] || ! work=$(mktemp -d -p /dev/shm 2>/dev/null); then
    work=$(mktemp -d)
fi
trap 'rm -rf "$work"' EXIT

rows() # first last
{
    for i in $(seq "$1" "$2"); do
        printf '{"id": "row-%d", "prompt": [{"role": "user", "content": "Conte %d."}]}\n' "$i" "$i"
    done
}
rows 1 12 >"$work/data.jsonl"
rows 13 15 >"$work/eval.jsonl"
cat >"$work/common.yaml" <<RECIPE
model: $tiny
data: $work/data.jsonl
rewards: [{name: regex, params: {pattern: "[aeiou]$"}}, {name: length, params: {target: 20}}]
lora: {r: 4, lora_alpha: 8}
num_generations: 4
prompts_per_step: 2
max_completion_length: 6
learning_rate: 2e-3
RECIPE
recipe() # name: its own lines come from standard input
{
    cat "$work/common.yaml" - >"$work/$1.yaml"
}
recipe plain <<RECIPE
max_steps: 20
save_steps: 1
save_total_limit: 3
RECIPE
recipe slices <<RECIPE
eval_data: $work/eval.jsonl
max_steps: 20
steps_per_generation: 2
num_iterations: 2
beta: 0.1
top_entropy_quantile: 0.5
stop_strings: [ma]
eval_steps: 4
save_steps: 3
RECIPE
# 3e-5 minutes are 2 ms: a checkpoint now and then, and never at the same steps again.
recipe stopping <<RECIPE
eval_data: $work/eval.jsonl
max_steps: 40
num_iterations: 2
eval_steps: 3
early_stopping_patience: 3
early_stopping_threshold: 10
save_steps: 1000
save_minutes: 3e-5
save_total_limit: 0
RECIPE
cat >"$work/pretrain.yaml" <<RECIPE
config: $tiny
tokenizer: $tiny
data: $tiny/train.jsonl
eval_data: $tiny/eval.jsonl
max_length: 96
sequences_per_step: 6
learning_rate: 5e-3
max_steps: 16
eval_steps: 4
save_steps: 3
save_total_limit: 2
RECIPE

# Becomes the program.
train() # variant folder isa [--resume]
{
    variant=$1 folder=$2 isa=$3
    shift 3
    command=train
    [ "$variant" != pretrain ] || command=pretrain
    [ "$isa" = best ] || set -- "$@" --isa "$isa"
    exec "$bin" "$command" "$work/$variant.yaml" --out "$folder" --threads 1 --quiet "$@" \
        >"$work/output" 2>&1
}

# A random whole number below $1, from the system.
draw()
{
    od -An -N4 -tu4 /dev/urandom | awk -v below="$1" '{ printf "%d", $1 / 4294967296 * below }'
}

last_checkpoint()
{
    find "$1/checkpoints" -maxdepth 1 -name 'step-*' | sed 's/.*step-//' | sort -n | tail -n 1
}

# Which checkpoints are there besides the last is the clock's business where the clock saves; what
# timing.jsonl holds are clocks, and a state knows its length.
state()
{
    sed 's/"timing_bytes": *[0-9]*//' "$1/checkpoints/step-$last/state.json"
}

same() # whole cut
{
    diff -r -x checkpoints -x timing.jsonl -x run.json -x .lock "$1" "$2" || return 1
    last=$(last_checkpoint "$1")
    diff -r -x state.json "$1/checkpoints/step-$last" "$2/checkpoints/step-$last" || return 1
    state "$1" >"$work/state-1"
    state "$2" >"$work/state-2"
    cmp "$work/state-1" "$work/state-2" || return 1
    [ "$(last_checkpoint "$2")" = "$last" ] || { echo "another last checkpoint" >&2; return 1; }
    left=$(find "$2" -name '.?*' ! -name .lock -o -name '*.tmp.*' -o -name '*.old')
    [ -z "$left" ] || { echo "left behind: $left" >&2; return 1; }
}

fail()
{
    echo "kill9: $*" >&2
    sed 's/^/  | /' "$work/output" >&2
    exit 1
}

# The run that nobody kills, once for each variant and instruction set; sets `lines`, of its log.
whole()
{
    if [ ! -d "$work/whole-$1-$2" ]; then
        (train "$1" "$work/whole-$1-$2" "$2") || fail "$1 does not train with $2"
    fi
    lines=$(wc -l <"$work/whole-$1-$2/metrics.jsonl")
}

# Until the run that may be cut has logged that many steps, or ended: no clock is in this, so that a
# busy machine is only slower.
wait_for_lines()
{
    while [ "$(cat "$work/cut/metrics.jsonl" 2>/dev/null | wc -l)" -lt "$1" ]; do
        case $(cut -d ' ' -f 3 "/proc/$pid/stat" 2>/dev/null) in Z | '') return ;; esac
    done
}

kills=0 middle=0 runs=0
kill_and_resume() # variant isa
{
    rm -rf "$work/cut"
    resume=
    for round in 1 2 3; do
        (train "$1" "$work/cut" "$2" $resume) &
        pid=$! # of the program: train() becomes it
        wait_for_lines "$(draw "$lines")"
        sleep "$(awk -v us="$(draw 30000)" 'BEGIN { printf "%.6f", us / 1e6 }')"
        kill -KILL "$pid" 2>/dev/null || true
        status=0
        wait "$pid" 2>/dev/null || status=$?
        case $status in
        137) kills=$((kills + 1)) ;;
        0) ;; # it had ended
        *) fail "$1 with $2, round $round: status $status" ;;
        esac
        if ls -d "$work"/cut/checkpoints/.step-* >/dev/null 2>&1; then
            middle=$((middle + 1))
        fi
        resume=--resume
    done
    (train "$1" "$work/cut" "$2" --resume) || fail "$1 with $2 does not resume"
    same "$work/whole-$1-$2" "$work/cut" || fail "$1 with $2: not the same after kill $kills"
    runs=$((runs + 1))
}

sets=best
if [ -z "$best_only" ]; then
    sets=
    for isa in c avx2 avx512 avx512bf16 amx; do
        if (train plain "$work/try" "$isa" --set max_steps=1); then
            sets="$sets $isa"
        fi
        rm -rf "$work/try"
    done
    [ -n "$sets" ] || fail "$bin does not train"
fi
while [ "$kills" -lt "$wanted" ]; do
    for isa in $sets; do
        for variant in plain slices stopping pretrain; do
            if [ "$kills" -lt "$wanted" ]; then
                whole "$variant" "$isa"
                kill_and_resume "$variant" "$isa"
            fi
        done
    done
done
echo "$kills kills ($middle in the middle of a save) in $runs runs, instruction sets:" \
    "$(echo $sets): all the same bytes"

#!/bin/sh
# memory_plan.sh: the memory plan of a step against what the kernel says the process took, for several budgets.
#   sh bench/memory_plan.sh GRPO MODEL [TOKENS [GIB...]]
# GRPO: the program; MODEL: a model's folder with tokenizer and chat template (tools/make_random_model.py makes one).
# One step of 16 completions of at most TOKENS (512) tokens behind a prompt of some 256, LoRA of rank 16 on all matrices;
# budgets of 8, 16 and 24 GiB. All rows have the same prompt, so the first step already has the longest one there is.
# A run is stopped, and said to be, where its plan is more than what is available, or while little is left for others.
# Ends with 1 where a peak is more than 5% from its plan.
set -eu
grpo=$1 model=$2 tokens=${3:-512}
[ $# -gt 3 ] && shift 3 || set -- 8 16 24
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

words=$(i=0; while [ $i -lt 23 ]; do printf 'nota %d de um pedido; ' $i; i=$((i + 1)); done)
printf '{"task": "t", "prompt": [{"role": "user", "content": "%s"}]}\n' "$words" >"$out/data.jsonl"
cat >"$out/recipe.yaml" <<END
model: $model
data: $out/data.jsonl
rewards: [{name: regex, params: {pattern: "[aeiou]\$"}}]
lora: {r: 16, lora_alpha: 32, target_modules: all-linear}
num_generations: 16
prompts_per_step: 1
max_completion_length: $tokens
max_steps: 1
END

number() { # KEY FILE
    sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p" "$2" | head -n 1
}

available() { # MiB
    awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo
}

# Runs the step. Leaves the highest VmHWM seen in $peak, MiB; in $stopped why it was cut short.
watch() { # GIB
    "$grpo" train "$out/recipe.yaml" --out "$out/run-$1" --set "memory_gib=$1" >"$out/log" 2>&1 &
    pid=$! kib=0 peak=0 stopped=
    before=$(available)
    while [ -d /proc/$pid ]; do
        kib=$(awk '/^VmHWM:/ { print $2 }' /proc/$pid/status 2>/dev/null || true)
        [ -n "$kib" ] || break # it has ended and waits for us
        peak=$((kib / 1024))
        plan=$(sed -n 's/^ *total  *\([0-9]*\)\.[0-9]* MiB of .*/\1/p' "$out/log" | head -n 1)
        [ "${plan:-0}" -le "$before" ] || stopped="the plan is $plan MiB, available were $before"
        [ "$(available)" -ge 512 ] || stopped="$peak MiB of planned $plan, and others need the rest"
        [ -z "$stopped" ] || kill $pid
        sleep 0.1
    done
    wait $pid || [ -n "$stopped" ] || { cat "$out/log" >&2; exit 1; }
}

bad=0
printf '%10s %12s %12s %12s %8s\n' GiB micro-batch 'planned MiB' 'peak MiB' ratio
for gib in "$@"; do
    watch "$gib"
    if [ -n "$stopped" ]; then
        printf '%10s   stopped: %s\n' "$gib" "$stopped"
        continue
    fi
    planned=$(number planned_mib "$out/run-$gib/timing.jsonl")
    micro=$(sed -n 's/.*"plan": {[^}]*"micro_batch": \([0-9]*\).*/\1/p' "$out/run-$gib/run.json")
    ratio=$(awk "BEGIN { printf \"%.3f\", $peak / $planned }")
    printf '%10s %12s %12.0f %12s %8s\n' "$gib" "$micro" "$planned" "$peak" "$ratio"
    awk "BEGIN { exit !($ratio >= 0.95 && $ratio <= 1.05) }" || bad=1
done
exit $bad

#!/bin/sh
# The study of docs/STUDY.md on the built-in model: do the statistics keep their word? `make study` builds and calls
# this. It goes on where it stopped: what a file in the folder already answers is not done again.
#
#   tools/study.sh [STAGE]...     stages, all of them by default, in this order:
#     data      the demo's shop; another shop's 2,400 rows; of these 480, and 65 (20/15/15/15) for A/A
#     real      3 runs with the demo's rewards, a checkpoint every step
#     random    20 runs, and 20 others, whose reward is examples/rewards/c/random.c, at two learning rates; one at rate 0
#     pool      base and real adapters on the 2,400 rows, the random ones on the 480
#     aa        the same adapter under 400 evaluation seeds at T = 1
#     count     the tables: FOLDER/*.md
#
# Variables: GRPO_BIN (build/release/grpo; bench/study, tests/reward/libraries/random.so beside it), STUDY (runs/study),
# JOBS (2): processes side by side, one thread each.
set -eu
grpo=${GRPO_BIN:-build/release/grpo}
here=${STUDY:-runs/study}
jobs=${JOBS:-2}
export GRPO_BIN="$grpo" STUDY="$here" JOBS="$jobs"
study=${grpo%/*}/bench/study
luck=${grpo%/*}/tests/reward/libraries/random.so
recipe=recipes/demo.yaml
shop=runs/demo-shop # as the recipe has it
pool=$here/pool-shop

steps=25         # of every run; the demo has 100
warmup_steps=5   # as the demo's 0.05 of 100: these runs are the beginning of the demo's
random_seeds=$(seq 101 140) # counted in twenties
random_prompts=4 # a step of a random run, and
random_completions=8 # of each prompt (the demo: 8 and 16): four times as fast
rates="4e-4 1e-4" # of the random runs: the demo's, and a quarter of it
real_seeds=$(seq 201 203)
kept="1 2 3 4 5 6 8 10 15 25" # checkpoints of a real run that are evaluated
aa_seeds=$(seq 1 400)

# --- one piece of work each ---

train() { # FOLDER SEED RATE SAVE_STEPS [REWARDS [KEY=VALUE KEY=VALUE]]
    [ -e "$1/checkpoints/step-$steps" ] && return
    "$grpo" train "$recipe" --out "$1" --resume --threads 1 --quiet --set "seed=$2" --set "max_steps=$steps" \
        --set "warmup_ratio=$(awk "BEGIN { print $warmup_steps / $steps }")" --set "learning_rate=$3" \
        --set eval_steps=0 --set "save_steps=$4" --set save_total_limit=0 ${5:+--set "rewards=$5"} \
        ${6:+--set "$6" --set "$7"}
}

evaluate() { # OUT DATA TEMPERATURE SEED [ADAPTER]
    [ -e "$1" ] && return
    mkdir -p "${1%/*}"
    "$grpo" eval --recipe "$recipe" --data "$2" --temperature "$3" --seed "$4" --threads 1 --quiet --out "$1" \
        --rewards '{"extraction": ["extraction"], "insights": ["insights"], "push": ["push"],
                    "sql_qa": [{"name": "sql_exec", "params": {"folder": "'"$pool"'"}}]}' \
        ${5:+--adapter "$5"} >/dev/null
}

random_run() { # RATE SEED
    train "$here/random-$1/seed-$2" "$2" "$1" 25 "[{library: $luck, name: random, params: {seed: $2}}]" \
        "prompts_per_step=$random_prompts" "num_generations=$random_completions"
}

# At T = 1 base and adapter are evaluated with the run's own seed: no two runs share a draw.
random_eval() { # RATE SEED
    last=$here/random-$1/seed-$2/checkpoints/step-$steps
    evaluate "$here/some/base-t1-seed-$2.json" "$here/some.jsonl" 1 "$2"
    evaluate "$here/some/random-$1-t1-seed-$2.json" "$here/some.jsonl" 1 "$2" "$last"
    evaluate "$here/some/random-$1-greedy-seed-$2.json" "$here/some.jsonl" 0 42 "$last"
}

real_run() { # SEED
    train "$here/real/seed-$1" "$1" 4e-4 1
}

real_eval() { # SEED STEP
    evaluate "$here/pool/real-seed-$1-step-$2.json" "$pool/test.jsonl" 0 42 "$here/real/seed-$1/checkpoints/step-$2"
}

aa_eval() { # SEED
    evaluate "$here/aa/base/$1.json" "$here/aa.jsonl" 1 "$1"
    evaluate "$here/aa/adapter/$1.json" "$here/aa.jsonl" 1 "$1" "$here/real/seed-201/checkpoints/step-10"
}

# Words of standard input, so many for a call, to this script's function of that name.
each() { # WORDS FUNCTION
    xargs -P "$jobs" -n "$1" nice -n 10 sh tools/study.sh one "$2"
}

# --- stages ---

stage_data() {
    [ -e "$shop/test.jsonl" ] || "$grpo" data synth --seed 20261124 --out "$shop" --quiet
    [ -e "$pool/test.jsonl" ] || "$grpo" data synth --seed 7001 --train 1 --eval 1 --test 600 --out "$pool" --quiet
    [ -e "$here/some.jsonl" ] || "$grpo" data split --input "$pool/test.jsonl" --count extraction=120 \
        --count sql_qa=120 --count insights=120 --count push=120 --eval-out "$here/some.jsonl" --quiet
    [ -e "$here/aa.jsonl" ] || "$grpo" data split --input "$pool/test.jsonl" --count extraction=20 --count sql_qa=15 \
        --count insights=15 --count push=15 --eval-out "$here/aa.jsonl" --quiet
}

stage_real() {
    echo "$real_seeds" | each 1 real_run
}

stage_random() {
    echo "0 101" | each 2 random_run
    for rate in $rates; do for seed in $random_seeds; do echo "$rate $seed"; done; done | each 2 random_run
}

stage_pool() {
    evaluate "$here/pool/base-greedy.json" "$pool/test.jsonl" 0 42
    evaluate "$here/some/base-greedy.json" "$here/some.jsonl" 0 42
    echo "0 101" | each 2 random_eval
    for rate in $rates; do for seed in $random_seeds; do echo "$rate $seed"; done; done | each 2 random_eval
    for seed in $real_seeds; do for step in $kept; do echo "$seed $step"; done; done | each 2 real_eval
}

stage_aa() {
    echo "$aa_seeds" | each 1 aa_eval
}

of_seeds() { # RATE t1|greedy FIRST LAST: base and adapter of each seed
    for seed in $(seq "$3" "$4"); do
        if [ "$2" = t1 ]; then echo "$here/some/base-t1-seed-$seed.json"; else echo "$here/some/base-greedy.json"; fi
        echo "$here/some/random-$1-$2-seed-$seed.json"
    done
}

stage_count() {
    for who in base adapter; do
        files=$(for seed in $aa_seeds; do echo "$here/aa/$who/$seed.json"; done)
        echo "## A/A, $who: 20 disjoint pairs of 40 evaluation seeds"
        # shellcheck disable=SC2046
        "$study" coverage $(echo "$files" | head -40)
        echo "## A/A, $who: all disjoint pairs"
        # shellcheck disable=SC2086
        "$study" coverage $files
        echo "## A/A, $who: 20 evaluations against the first"
        # shellcheck disable=SC2046
        "$study" against $(echo "$files" | head -21)
    done | tee "$here/aa.md"
    {
        echo "## learning rate 0, t1 and greedy: equal to the bit?"
        "$study" coverage "$here/some/base-t1-seed-101.json" "$here/some/random-0-t1-seed-101.json" \
            "$here/some/base-greedy.json" "$here/some/random-0-greedy-seed-101.json"
        for rate in $rates; do
            for how in t1 greedy; do
                for first in 101 121; do
                    echo "## random reward, learning rate $rate, $how, 20 seeds from $first"
                    # shellcheck disable=SC2046
                    "$study" seeds $(of_seeds "$rate" "$how" "$first" $((first + 19)))
                done
            done
        done
    } | tee "$here/random.md"
    # shellcheck disable=SC2046
    "$study" power 4000 0 "$here/pool/base-greedy.json" $(for seed in $real_seeds; do for step in $kept; do
        echo "$here/pool/real-seed-$seed-step-$step.json"; done; done) | tee "$here/power.md"
}

if [ "${1:-}" = one ]; then
    shift
    "$@"
    exit
fi
mkdir -p "$here"
[ $# -gt 0 ] || set -- data real random pool aa count
for stage; do
    case $stage in
    data | real | random | pool | aa | count) ;;
    *) echo "tools/study.sh: $stage is no stage: data, real, random, pool, aa, count" >&2 && exit 2 ;;
    esac
    echo "== $stage"
    "stage_$stage"
done

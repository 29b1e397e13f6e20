#!/bin/sh
# threads.sh: two builds of grpo on the same recipe in turn; medians of what a step takes.
#   sh bench/threads.sh OLD_GRPO NEW_GRPO RECIPE [ROUNDS] [grpo train options]
# The first step of a run touches memory for the first time and is left out; so give 2 steps or more.
set -eu
old=$1 new=$2 recipe=$3 rounds=${4:-5}
[ $# -gt 4 ] && shift 4 || shift $#
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
round=0
while [ $round -lt "$rounds" ]; do
    for which in old new; do
        [ $which = old ] && program=$old || program=$new
        "$program" train "$recipe" --out "$out/$which$round" --quiet "$@" >"$out/log" 2>&1 || {
            cat "$out/log" >&2
            exit 1
        }
        tail -n +2 "$out/$which$round/timing.jsonl" >>"$out/$which"
    done
    round=$((round + 1))
done
for which in old new; do
    for key in rollout_time gradient_time step_time; do
        sed "s/.*\"$key\": \([0-9.e+-]*\).*/\1/" "$out/$which" | sort -g |
            awk -v name="$which $key" '{ v[NR] = $1 }
                END { printf "%-18s median %.3f s, %.3f to %.3f\n", name, v[int((NR + 1) / 2)], v[1], v[NR] }'
    done
done

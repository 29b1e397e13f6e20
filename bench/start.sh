#!/bin/sh
# start.sh: two builds of grpo on the same model in turn: seconds from the start of the process to the end of a
# completion of one token, and what they consist of; medians.
#   sh bench/start.sh OLD_GRPO NEW_GRPO MODEL [ROUNDS] [grpo generate options]
# The file cache must hold the model (cat MODEL/*.safetensors >/dev/null).
set -eu
old=$1 new=$2 model=$3 rounds=${4:-7}
[ $# -gt 4 ] && shift 4 || shift $#
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
round=0
while [ $round -lt "$rounds" ]; do
    for which in old new; do
        [ $which = old ] && program=$old || program=$new
        /usr/bin/time -a -o "$out/$which" -f '%e %U %S' \
            "$program" generate --model "$model" --prompt Oi --max-tokens 1 --quiet "$@" >/dev/null
    done
    round=$((round + 1))
done
for which in old new; do
    column=1
    for key in wall user system; do
        sort -g -k$column,$column "$out/$which" |
            awk -v name="$which $key" -v c=$column '{ v[NR] = $c }
                END { printf "%-12s median %.2f s, %.2f to %.2f\n", name, v[int((NR + 1) / 2)], v[1], v[NR] }'
        column=$((column + 1))
    done
done

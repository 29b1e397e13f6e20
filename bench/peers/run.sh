#!/bin/sh
# Ours and the peers on the same work, one after another, on a machine that does nothing else:
#
#   sh bench/peers/run.sh DIR MODEL [peer …] [-- options of the scripts, e.g. --tokens 16 --generations 4]
#
# DIR: where the peers are installed (install.sh, which is run where one is missing). MODEL: a model
# folder; make_model.py makes one. Peers, default all: trl llamacpp vllm repeats. Ours is measured before
# and after the peers; the table at the end takes the mean, so a machine that became slower shows.
# The figures stay in DIR/run-DATE.jsonl.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
grpo=$here/../../build/release/grpo
[ $# -ge 2 ] || { echo "usage: sh bench/peers/run.sh DIR MODEL [peer …] [-- options]" >&2; exit 2; }
[ -x "$grpo" ] || { echo "run: $grpo is not here: run make" >&2; exit 1; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
model=$2
shift 2
peers=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    peers="$peers $1"
    shift
done
[ $# -eq 0 ] || shift
peers=${peers:-trl llamacpp vllm repeats}
out=$dir/run-$(date +%Y%m%d-%H%M%S).jsonl

# A peer that fails is told and left out; the others are measured all the same.
measure() # python script options
{
    python=$1
    script=$here/$2
    shift 2
    "$python" "$script" --model "$model" --out "$out" "$@" || echo "run: $script ended with status $?" >&2
}


for peer in $peers; do
    case $peer in
    trl | llamacpp | vllm) sh "$here/install.sh" "$dir" "$peer" ;;
    repeats) sh "$here/install.sh" "$dir" vllm ;;
    *) echo "run: there is no peer $peer; known: trl, llamacpp, vllm, repeats" >&2; exit 2 ;;
    esac
done
measure python3 grpo_step.py --grpo "$grpo" --name "grpo, before" "$@"
for peer in $peers; do
    case $peer in
    trl) measure "$dir/trl/bin/python" trl_step.py "$@" ;;
    llamacpp) measure "$dir/llamacpp/bin/python" llamacpp_rollout.py "$@" ;;
    vllm) measure "$dir/vllm/bin/python" vllm_rollout.py "$@" ;;
    repeats)
        measure "$dir/vllm/bin/python" vllm_rollout.py --temperature 0 "$@"
        measure "$dir/vllm/bin/python" vllm_rollout.py --temperature 0 --ngram 4 "$@"
        measure python3 grpo_rollout.py --grpo "$grpo" --temperature 0 --speculation off "$@"
        measure python3 grpo_rollout.py --grpo "$grpo" --temperature 0 --speculation auto "$@"
        ;;
    esac
done
measure python3 grpo_step.py --grpo "$grpo" --name "grpo, after" "$@"
python3 "$here/table.py" "$out"

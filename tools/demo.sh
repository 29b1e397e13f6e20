#!/bin/sh
# The demo: the whole protocol (docs/PROTOCOL.md) on the built-in model and the four tasks of a synthetic shop, with
# three seeds, from checks and audit to the report. `make demo` builds and calls this. The same command again does
# nothing; interrupted or killed, it goes on.
#
#   tools/demo.sh [BINARY] [DIR]     (default: build/release/grpo runs/demo)
set -eu
grpo=${1:-build/release/grpo}
run=${2:-runs/demo}
shop=runs/demo-shop # as the recipe has it

if [ ! -e "$shop/made" ]; then # what is there stays: a file that was changed is for the evalset gate to find
    echo "the shop: its database, and prompts of four tasks"
    "$grpo" data synth --seed 20261124 --out "$shop"
    touch "$shop/made"
    echo
fi
"$grpo" run recipes/demo.yaml --out "$run" --jobs 3
cat <<END
adapter $run/seed-42/adapter         PEFT format, with tokenizer and template; try it:
        $grpo generate --model assets/demo/model --adapter $run/seed-42/adapter \\
            --prompt 'Escreva um push. Produto: cafeteira. Motivo: chega hoje. Público: famílias.' --max-tokens 80
again   make demo                      does nothing; after any change, what depends on it
END

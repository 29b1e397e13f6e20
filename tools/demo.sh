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

# Numbers are promised for one build: another one begins the demo anew. Otherwise what is there stays, and a file that
# was changed is for the gates to find.
build=$(cksum <"$grpo")
if [ "$(cat "$run/made-by" 2>/dev/null)" != "$build" ]; then
    if [ -e "$run" ] && [ ! -e "$run/made-by" ]; then
        echo "$run exists and is not this demo's; remove it or name another: tools/demo.sh $grpo DIR" >&2
        exit 2
    fi
    rm -rf "$run" "$shop"
    echo "the shop: its database, and prompts of four tasks"
    "$grpo" data synth --seed 20261124 --out "$shop"
    mkdir -p "$run"
    echo "$build" >"$run/made-by"
    echo
fi
"$grpo" run recipes/demo.yaml --out "$run" --jobs 3
cat <<END
adapter $run/seed-42/adapter         PEFT format, with tokenizer and template; try it:
        $grpo generate --model assets/demo/model --adapter $run/seed-42/adapter \\
            --prompt 'Escreva um push. Produto: cafeteira. Motivo: chega hoje. Público: famílias.' --max-tokens 80
again   make demo                      does nothing; after any change, what depends on it
END

#!/usr/bin/env python3
"""Completions of one prompt by `grpo generate`, whose speculation can be chosen: seconds and peak of memory.

    python3 bench/peers/grpo_rollout.py --model FOLDER --temperature 0 --speculation auto [--tokens 512 …]

The time is that of the command less that of the same command without input, which loads the model and ends: prompt
and completions are in it. The model must not end a completion early; if it does, this ends with an error."""
import json
import re
import subprocess
import tempfile

import common


def main():
    p = common.options(__doc__)
    p.add_argument("--grpo", default="build/release/grpo")
    p.add_argument("--temperature", type=float, default=1.0)
    p.add_argument("--speculation", choices=("auto", "off", "always"), default="auto")
    o = common.parse(p)
    command = [o.grpo, "generate", "--model", o.model, "--n", o.generations, "--max-tokens", o.tokens, "--temperature",
               o.temperature, "--speculation", o.speculation, "--threads", o.threads]
    took, said, peak = [], "", 0
    for row in range(o.repeats + 1):
        _, loading, _ = common.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with tempfile.NamedTemporaryFile("w+") as lines, tempfile.NamedTemporaryFile("w+") as log:
            json.dump({"prompt_ids": common.prompt_ids(row, o.prompt)}, lines)
            lines.flush()
            text, seconds, gib = common.run([*command, "--input", lines.name], stderr=log)
            log.seek(0)
            said = log.read().strip().splitlines()[-1:]
        counts = [len(json.loads(answer)["ids"]) for answer in text.splitlines()]
        if counts != [o.tokens] * o.generations:
            raise SystemExit(f"grpo_rollout.py: completions have {counts} tokens, expected {o.generations} of {o.tokens}")
        if row:  # the first one warms up
            took.append(seconds - loading)
            peak = max(peak, gib)
    passes = re.search(r"[0-9]+ passes.*", " ".join(said))
    common.report(o, f"grpo T={o.temperature:g} spec={o.speculation}", rollout=common.median(took), all=took, peak_gib=peak,
                  temperature=o.temperature, speculation=o.speculation, decoding=passes.group() if passes else said)


if __name__ == "__main__":
    main()

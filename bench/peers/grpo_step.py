#!/usr/bin/env python3
"""Whole steps of ours, by `grpo bench --part step`: medians of rollout, gradient and step, peak of memory.

    python3 bench/peers/grpo_step.py --model FOLDER [--grpo build/release/grpo] [--tokens 512 …]"""
import json

import common


def main():
    p = common.options(__doc__)
    p.add_argument("--grpo", default="build/release/grpo")
    p.add_argument("--name", default="grpo", help="in the table")
    o = common.parse(p)
    text, _, peak = common.run([
        o.grpo, "bench", "--json", "--quiet", "--part", "step", "--model", o.model, "--prompt-tokens", o.prompt,
        "--completion-tokens", o.tokens, "--generations", o.generations, "--repeats", o.repeats, "--threads", o.threads])
    result = json.loads(text)
    phases = {p["name"]: p for p in result["phases"]}
    common.report(o, o.name, version=result["version"], rollout=phases["rollout"]["seconds"],
                  gradient=phases["gradient"]["seconds"], step=phases["step"]["seconds"],
                  floor={name: phases[name]["floor_seconds"] for name in ("rollout", "gradient", "step")},
                  machine=result["machine"], peak_gib=peak)


if __name__ == "__main__":
    main()

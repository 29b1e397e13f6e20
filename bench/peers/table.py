#!/usr/bin/env python3
"""The figures of run.sh as one table, with what each took in ours: python3 bench/peers/table.py RUN.jsonl"""
import json
import sys

import common


def ratios(r, ours):
    out = []
    for key in ("rollout", "gradient", "step"):
        if r.get(key) and ours.get(key):
            out.append(f"{key} {r[key] / ours[key]:.2f}×")
    return ", ".join(out)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        runs = [json.loads(text) for text in file]
    if not runs:
        sys.exit("table.py: nothing was measured")
    r = runs[0]
    print(f"\n1 prompt of {r['prompt']} × {r['generations']} completions of {r['tokens']}, {r['threads']} threads, model "
          f"{r['model']}, medians of {r['repeats']}")
    print(common.HEAD + "  took, in ours")
    steps = [r for r in runs if r["name"].startswith("grpo,")]
    mean = {key: sum(r[key] for r in steps) / len(steps) for key in ("rollout", "gradient", "step") if steps}
    greedy = [r for r in runs if r["name"] == "grpo T=0 spec=auto"]
    for r in runs:
        ours = greedy[0] if r.get("temperature") == 0 and greedy else mean
        print(f"{common.line(r)}  {ratios(r, ours)}")
    if steps:
        best = {key: max(r["floor"][key] for r in steps) for key in mean}
        print("our floors here: " + ", ".join(f"{key} {best[key]:.2f} s ({best[key] / mean[key]:.0%})" for key in mean))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""TRL's soft overlong punishment, get_soft_overlong_punishment, for every length up to the limit and beyond.

    python tests/oracle/trl/make_overlong.py
"""
import json
import os

from trl.rewards import get_soft_overlong_punishment

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    cases = []
    for limit, cache in [(12, 1), (12, 5), (12, 12), (100, 20), (100, 37)]:
        lengths = list(range(1, limit + 3))
        values = get_soft_overlong_punishment(limit, cache)(completion_ids=[[7] * n for n in lengths])
        cases.append({"max": limit, "cache": cache, "length": lengths, "value": values})
    with open(os.path.join(HERE, "overlong.json"), "w") as f:
        f.write(json.dumps({"cases": cases}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The bound of top_entropy_quantile as TRL's get_high_entropy_mask takes it: torch.quantile in float32.

Many sizes and shares, so that ranks are whole numbers on paper (0.7 of 21 values) and just miss them
in float32; values with ties, and large ones where the interpolation rounds back to a neighbour.

    python tests/oracle/trl/make_entropy.py
"""
import json
import os

import torch

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    generator = torch.Generator().manual_seed(11)
    cases = []
    for n in [1, 2, 3, 5, 6, 11, 21, 41, 101]:
        for scale in (3.0, 10.0):
            values = torch.rand(n, generator=generator) * scale
            if n > 5:  # ties
                values[n // 2] = values[0]
                values[1:4] = values[2]
            tops = [0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99, 1.0]
            bounds = [torch.quantile(values, 1 - top) for top in tops]
            cases.append({"values": values.tolist(), "top": tops, "bound": [b.item() for b in bounds],
                          "kept": [int((values >= b).sum()) for b in bounds]})
    with open(os.path.join(HERE, "entropy.json"), "w") as f:
        f.write(json.dumps({"cases": cases}, separators=(",", ":")).replace('{"values"', '\n{"values"') + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Slopes of noisy lines and their 95% intervals by scipy.stats.linregress.

    python tests/oracle/train/make_slope.py
"""
import json
import os
import random

from scipy.stats import linregress, t

HERE = os.path.dirname(os.path.abspath(__file__))


def case(draw, n, noise):
    x = sorted(draw.sample(range(1, 1500), n))
    y = [0.3 + 2e-4 * step + draw.gauss(0, noise) for step in x]
    fit = linregress(x, y)
    half = t.ppf(0.975, n - 2) * fit.stderr
    return {"x": x, "y": y, "slope": fit.slope, "low": fit.slope - half, "high": fit.slope + half}


def main():
    draw = random.Random(3)
    cases = [case(draw, n, noise) for n in (3, 4, 7, 20, 60) for noise in (1e-3, 0.02, 0.3)]
    with open(os.path.join(HERE, "slope.json"), "w") as f:
        f.write(json.dumps({"cases": cases}, separators=(",", ":")).replace('{"x"', '\n{"x"') + "\n")


if __name__ == "__main__":
    main()

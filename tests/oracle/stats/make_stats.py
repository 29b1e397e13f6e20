#!/usr/bin/env python3
"""SciPy's numbers for src/stats.

The bootstrap is made comparable by handing SciPy our own resamples: the draws of rng.h (Philox4x32-10
over a mixed counter) are computed here too, their means become SciPy's bootstrap distribution, and
scipy.stats.bootstrap(method="BCa") makes the interval from it.

    python tests/oracle/stats/make_stats.py
"""
import json
import math
import os
from types import SimpleNamespace

import numpy as np
from scipy import stats

from draws import below

HERE = os.path.dirname(os.path.abspath(__file__))
RESAMPLES, SEED = 999, 11


def samples():
    generator = np.random.default_rng(5)
    return {
        "normal": generator.normal(0.6, 0.2, 65).tolist(),
        "skewed": (generator.integers(0, 65, 15) ** 2 / 4096).tolist(),  # exact sums, many ties
        "binary": [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0],
        "two": [0.25, 0.75],
        "seeds": [0.71, 0.683, 0.7025],
        "far": (1e6 + generator.normal(0, 1e-3, 20)).tolist(),
        "constant": [0.1] * 7,
    }


def sample_case(name, x):
    n, mean, sem = len(x), np.mean(x), stats.sem(x)
    constant = len(set(x)) == 1
    out = {"name": name, "x": x, "mean": float(mean), "sd": float(np.std(x, ddof=1)),
           "normal": [float(mean - 1.96 * sem), float(mean + 1.96 * sem)]}
    out["t"] = [float(v) for v in stats.t.interval(0.95, n - 1, loc=mean, scale=sem)] if not constant \
        else [x[0], x[0]]
    if constant:
        return out | {"bca": [x[0], x[0]]}
    means = [sum(x[below(SEED, b, i, n)] for i in range(n)) / n for b in range(RESAMPLES)]
    ci = stats.bootstrap((x,), np.mean, method="BCa", n_resamples=0, bootstrap_result=SimpleNamespace(
        bootstrap_distribution=np.array(means))).confidence_interval
    return out | {"bca": [float(ci.low), float(ci.high)]}


def sd_interval(n):
    """Of a standard deviation of 1."""
    chi2 = stats.chi2.ppf([0.975, 0.025], n - 1)
    return {"n": n, "ci": [math.sqrt((n - 1) / v) for v in chi2]}


def strata_case(groups):
    """Mean of stratum means; Welch-Satterthwaite by its formula, and by SciPy where there are two."""
    v = [np.var(g, ddof=1) / len(g) for g in groups]
    t = len(groups)
    mean, se = np.mean([np.mean(g) for g in groups]), math.sqrt(sum(v)) / t
    df = sum(v) ** 2 / sum(a * a / (len(g) - 1) for a, g in zip(v, groups))
    ci = stats.t.interval(0.95, df, loc=mean, scale=se)
    if t == 2:  # the difference to the negated second sample is twice the mean of means
        welch = stats.ttest_ind(groups[0], -np.array(groups[1]), equal_var=False)
        half = welch.confidence_interval(0.95)
        assert abs(welch.df - df) < 1e-12 * df
        ci = (half.low / 2, half.high / 2)
    return {"x": [float(x) for g in groups for x in g],
            "stratum": [i for i, g in enumerate(groups) for _ in g],
            "mean": float(mean), "se": float(se), "df": float(df), "ci": [float(ci[0]), float(ci[1])]}


def main():
    generator = np.random.default_rng(9)
    draw = lambda n, mean, sd: generator.normal(mean, sd, n).tolist()
    out = {
        "seed": SEED, "resamples": RESAMPLES,
        "samples": [sample_case(n, x) for n, x in samples().items()],
        "sd": [sd_interval(n) for n in [2, 3, 4, 5, 8, 10, 15, 20, 30, 50, 65, 100, 260, 1000, 10000]],
        "strata": [strata_case([draw(20, 0.5, 0.2), draw(15, 0.6, 0.1), draw(15, 0.3, 0.3), draw(15, 0.9, 0.02)]),
                   strata_case([draw(5, 0.5, 0.2), draw(12, 0.7, 0.4)]),
                   strata_case([draw(9, 0.5, 0.2)])],
    }
    with open(os.path.join(HERE, "stats.json"), "w") as f:
        f.write(json.dumps(out, separators=(",", ":")).replace("{", "\n{") + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""SciPy's numbers for the tests and comparisons of src/stats: paired permutation, Wilcoxon, Spearman,
McNemar, trend; statsmodels' for Holm. Where SciPy has no such function the definition is evaluated
here by other means than ours: exact counting in whole numbers, our draws with NumPy, brentq over
scipy.stats.nct.

    python tests/oracle/stats/make_tests.py
"""
import json
import math
import os
import warnings
from fractions import Fraction

import numpy as np
from scipy import optimize, stats
from statsmodels.stats.multitest import multipletests

from draws import RNG_PERMUTATION, below, bits

HERE = os.path.dirname(os.path.abspath(__file__))
RESAMPLES, SEED = 499, 7
generator = np.random.default_rng(23)


def number(x):
    """JSON has no infinity and no NaN."""
    return None if math.isnan(x) else "inf" if math.isinf(x) else float(x)


def draws_of_differences():
    """Lists of paired differences: continuous, with ties, with zeros, skewed, constant signs."""
    normal = [generator.normal(m, 1, n).tolist() for n, m in
              [(1, 1), (2, 1), (3, 0.5), (5, 0), (8, 0.6), (10, 0.9), (12, 0.1), (13, 0.4), (14, 0.4), (15, 0.5), (16, 1)]]
    tied = [(generator.integers(-3, 5, n) / 4).tolist() for n in [4, 7, 9, 13, 14, 15, 17]]
    skewed = [(generator.exponential(1, n) - 0.6).tolist() for n in [6, 11, 15]]
    # Decimals whose sums tie on paper but not in binary.
    decimals = [[0.1, 0.2, 0.3], [0.1, 0.2, -0.3, 0.7], [0.1] * 6 + [-0.2] * 3, [0.3, -0.1, -0.2]]
    edges = [[0.0, 0.0, 0.0], [1.0], [-2.0, 0.0], [1.0] * 9, [-1.0] * 5 + [1.0] * 5, [1e-9, 1e9, -1e9, 3e-9]]
    return normal + tied + skewed + decimals + edges


def counted(d):
    """The exact p by counting sums of scaled whole numbers, for d that are multiples of 1/64 or
    decimals of one digit."""
    scale = next(s for s in (64, 10) if all(abs(x * s - round(x * s)) < 1e-9 for x in d))
    whole = [abs(round(x * scale)) for x in d]
    sums = {0: 1}
    for w in whole:
        after = {}
        for s, c in sums.items():
            for v in (s + w, s - w):
                after[v] = after.get(v, 0) + c
        sums = after
    observed = abs(sum(round(x * scale) for x in d))
    return float(Fraction(sum(c for s, c in sums.items() if abs(s) >= observed), 2 ** len(d)))


def permutation_cases():
    cases = []
    for d in draws_of_differences():
        if len(d) == 1:
            p = 1.0  # both signs are as far from 0
        elif d == [0.1, 0.2, -0.3, 0.7] or d in ([0.1, 0.2, 0.3], [0.3, -0.1, -0.2]) or d[:6] == [0.1] * 6:
            p = counted(d)  # SciPy's own tolerance is a multiple of the observed sum, which may be 0
        else:
            # (n_resamples beyond 2^n: exact)
            p = stats.permutation_test((np.array(d),), lambda x, axis: np.mean(x, axis=axis), vectorized=True,
                                       permutation_type="samples", n_resamples=2 ** 17, batch=4096).pvalue
        cases.append({"d": d, "p": float(p), "exact": True})
    for n in [18, 20, 24, 27, 31, 32]:  # beyond what can be listed: counted
        d = (generator.integers(-100, 130, n) / 64)
        d[d == 0] = 1
        cases.append({"d": d.tolist(), "p": counted(d), "exact": True})
    zeros = ([0.0] * 10 + (generator.integers(1, 60, 28) / 64 * generator.choice([-1, 1], 28)).tolist())
    cases.append({"d": zeros, "p": counted(zeros), "exact": True})
    for n, mean in [(33, 0.2), (64, 0.3), (65, 0.1), (65, 0.25), (130, 0.15)]:
        d = (np.round(generator.normal(mean, 1, n) * 64) / 64).tolist()
        d = [x if x else 1.0 for x in d]
        reached = 0
        for s in range(RESAMPLES):
            words = [bits(SEED, RNG_PERMUTATION, s, i) for i in range((n + 63) // 64)]
            total = sum(x if words[i // 64] >> i % 64 & 1 else -x for i, x in enumerate(d))
            reached += abs(total) >= abs(sum(d))
        cases.append({"d": d, "p": (reached + 1) / (RESAMPLES + 1), "exact": False})
    return cases


def wilcoxon_cases():
    cases = []
    more = [generator.normal(0.3, 1, n).tolist() for n in [20, 33, 49, 50, 51, 65, 120]]
    more += [(generator.integers(-4, 6, n) / 8).tolist() for n in [20, 50, 65, 200]]
    more.append((generator.normal(0.2, 1, 49)).tolist() + [0.0])
    for d in draws_of_differences() + more:
        x = np.array(d)
        result = {"d": d, "plus": 0.0, "minus": 0.0}
        nonzero = x[x != 0]
        ranks = stats.rankdata(np.abs(nonzero)) if len(nonzero) else np.zeros(0)
        result["plus"], result["minus"] = float(ranks[nonzero > 0].sum()), float(ranks[nonzero < 0].sum())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            auto = stats.wilcoxon(x)
            assert len(nonzero) == 0 or auto.statistic == min(result["plus"], result["minus"])
            result["auto"] = float(auto.pvalue)
            if len(nonzero):
                result["normal"] = float(stats.wilcoxon(x, method="asymptotic").pvalue)
            clean = len(set(np.abs(d))) == len(d) and 0.0 not in d
            if clean:
                result["exact"] = float(stats.wilcoxon(x, method="exact").pvalue)
            elif 1 < len(nonzero) <= 16:
                signed = lambda s, axis: np.sum(np.where(s > 0, s, 0), axis=axis)
                result["exact"] = float(stats.permutation_test(
                    (ranks * np.sign(nonzero),), signed, vectorized=True, permutation_type="samples",
                    n_resamples=2 ** 17, batch=4096).pvalue)
        cases.append(result)
    return cases


def spearman_cases():
    pairs = []
    for n, r in [(3, 0.5), (4, 0.5), (5, -0.3), (6, 0.9), (10, 0.2), (20, 0.7), (20, 0.7), (20, 0.0), (50, -0.6), (200, 0.1)]:
        x = generator.normal(0, 1, n)
        pairs.append((x, r * x + (1 - r * r) ** 0.5 * generator.normal(0, 1, n)))
    for n in [5, 8, 12, 20, 20, 20, 20, 65, 300]:  # scores 0..10 against rewards in quarters
        x = generator.integers(0, 11, n)
        pairs.append((x.astype(float), np.round((x / 10 + generator.normal(0, 0.25, n)) * 4) / 4))
    pairs += [(np.arange(6.0), np.arange(6.0) ** 3), (np.arange(7.0), -np.exp(np.arange(7.0))),
              (np.ones(5), np.arange(5.0)), (np.arange(3.0), np.array([2.0, 2.0, 7.0])),
              (np.array([1.0, 2.0]), np.array([2.0, 1.0])), (np.array([0, 0, 0, 1.0]), np.array([1.0, 0, 0, 0])),
              (np.array([1e300, -1e300, 0, 5e-324]), np.array([1, 0, 2, 1.5]))]
    cases = []
    for x, y in pairs:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            s = stats.spearmanr(x, y)
            a, b = stats.rankdata(x), stats.rankdata(y)
            rho, p, n = float(s.statistic), float(s.pvalue), len(x)
            if abs(rho) > 1 - 1e-12:  # SciPy's ±1 may be a bit off 1, and its p then 1e-80
                rho, p = math.copysign(1.0, rho), (0.0 if n > 2 else math.nan)
            # Fisher's interval: that of a Pearson correlation of the ranks
            ci = stats.pearsonr(a, b).confidence_interval(0.95) if n > 3 and not math.isnan(rho) and abs(rho) < 1 \
                else ((rho, rho) if n > 3 else (math.nan, math.nan))
        cases.append({"x": x.tolist(), "y": y.tolist(), "ranks": a.tolist(), "rho": number(rho), "p": number(p),
                      "ci": [number(v) for v in ci]})
    # What the protocol says of it: 0.70 at n = 20 is worth 0.37 to 0.87.
    low, high = (math.tanh(math.atanh(0.7) + s * stats.norm.ppf(0.975) / 17 ** 0.5) for s in (-1, 1))
    assert (round(low, 2), round(high, 2)) == (0.37, 0.87)
    return cases


def mcnemar_cases():
    cases = []
    pairs = [(0, 0), (1, 0), (0, 1), (5, 0), (0, 12), (3, 3), (10, 2), (1, 1), (40, 41), (500, 300), (1000, 1), (2, 1000)]
    pairs += [tuple(int(v) for v in generator.integers(0, 60, 2)) for _ in range(16)]
    for gained, lost in pairs:
        total = gained + lost
        p = stats.binomtest(gained, total, 0.5).pvalue if total else 1.0
        # Clopper-Pearson by beta quantiles (binomtest's own interval is solved to 1e-10 only); the odds from
        # the limits for gained and for lost, so that neither is 1 minus something close to 1.
        lower = lambda k: stats.beta.ppf(0.025, k, total - k + 1) if k else 0.0
        upper = lambda k: stats.beta.ppf(0.975, k + 1, total - k) if k < total else 1.0
        odds = lambda mine, yours: math.inf if yours == 0 else mine / yours
        cases.append({"gained": gained, "lost": lost, "p": float(p),
                      "odds": number(odds(gained, lost) if total else math.nan),
                      "ci": [number(odds(lower(gained), upper(lost))), number(odds(upper(gained), lower(lost)))]})
        if 0 < gained < total:
            ci = stats.binomtest(gained, total, 0.5).proportion_ci(0.95, method="exact")
            assert np.allclose([ci.low, ci.high], [lower(gained), upper(gained)], rtol=1e-7)
    return cases


def holm_cases():
    lists = [[0.01, 0.04, 0.03, 0.005], [0.2], [0.5, 0.5, 0.5], [0.0, 1.0, 0.02, 0.02], [0.04, 0.01], [1.0, 1.0],
             [0.02, 0.02, 0.02, 0.02], [0.0, 0.0, 0.5], [0.6, 0.7, 0.9]]
    lists += [(generator.uniform(0, 1, n) ** 3).tolist() for n in [2, 3, 4, 4, 4, 4, 5, 8, 12, 20]]
    lists += [np.round(generator.uniform(0, 0.2, n), 2).tolist() for n in [4, 6, 9]]
    cases = [{"p": p, "adjusted": multipletests(p, method="holm")[1].tolist()} for p in lists]
    with_gap = [0.01, None, 0.04, 0.02]  # a task without a test
    rest = multipletests([0.01, 0.04, 0.02], method="holm")[1]
    cases.append({"p": with_gap, "adjusted": [rest[0], None, rest[1], rest[2]]})
    return cases


def trend_cases():
    lists = []
    for n, slope in [(3, 0), (4, 1e-4), (5, -1e-3), (8, 0), (10, 1e-4), (14, 2e-5), (14, 0), (30, -1e-5), (30, 0), (100, 1e-5)]:
        x = np.arange(n) * 50.0 + 800
        lists.append((x, 0.6 + slope * x + generator.normal(0, 0.02, n)))
    for n in [3, 4, 6, 9, 17, 40]:
        lists.append((generator.normal(0, 3, n), generator.normal(1e3, 1, n)))
    lists += [(np.array([0, 0, 1.0, 1.0]), np.array([1.0, 2, 3, 4])), (np.array([1.0, 2, 3]), np.array([1.0, 2, 2])),
              (np.array([5.0, 5, 5, 6]), np.array([1.0, 2, 3, 9])), (1e6 + np.arange(8.0), generator.normal(0, 1, 8))]
    cases = []
    for x, y in lists:
        fit, n = stats.linregress(x, y), len(x)
        half = stats.t.ppf(0.975, n - 2) * fit.stderr
        cases.append({"x": x.tolist(), "y": y.tolist(), "slope": float(fit.slope), "intercept": float(fit.intercept),
                      "se": float(fit.stderr), "p": float(fit.pvalue), "ci": [float(fit.slope - half), float(fit.slope + half)]})
    return cases


def power(effect, n, alpha):
    critical, delta = stats.t.ppf(1 - alpha / 2, n - 1), effect * math.sqrt(n)
    upper, lower = (float(v) for v in (stats.nct.sf(critical, n - 1, delta), stats.nct.cdf(-critical, n - 1, delta)))
    if delta > 7 and math.isnan(lower):  # SciPy has no digits of this tail, which is below 1e-13
        lower = 0.0
    return 1.0 if math.isnan(upper) and delta > 30 else upper + lower


def power_cases():
    cases = []
    settings = [(n, 1.0, 0.05, 0.8) for n in [2, 3, 4, 5, 8, 10, 15, 20, 30, 50, 65, 100, 200, 500, 1500]]
    settings += [(65, 0.3, 0.01, 0.8), (65, 0.3, 0.05, 0.9), (15, 0.25, 0.05, 0.5), (20, 7.0, 0.1, 0.95), (195, 0.02, 0.05, 0.8)]
    for n, sd, alpha, target in settings:
        effect = optimize.brentq(lambda e: power(e, n, alpha) - target, 1e-6, 60, xtol=1e-15, rtol=1e-14)
        cases.append({"n": n, "sd": sd, "alpha": alpha, "power": target, "detectable": effect * sd})
    needed = []
    for difference, sd in [(0.1, 0.3), (0.05, 0.3), (-0.05, 0.3), (0.02, 0.3), (0.01, 0.25), (1.0, 0.3), (5.0, 0.3),
                           (0.3, 0.3), (0.25, 0.3), (0.2, 0.3), (0.15, 0.3), (0.015, 0.4), (0.03, 0.02), (0.005, 0.2)] \
            + [(float(generator.uniform(0.02, 0.3)), float(generator.uniform(0.1, 0.4))) for _ in range(10)]:
        n = 2
        while power(abs(difference) / sd, n, 0.05) < 0.8:
            n += 1
        needed.append({"difference": difference, "sd": sd, "n": n, "power": power(abs(difference) / sd, n, 0.05)})
    return cases, needed


def hierarchical(values, stratum, strata):
    seeds, prompts = values.shape
    members = [np.flatnonzero(stratum == k) for k in range(strata)]
    members = [m for m in members if len(m)]
    starts = np.cumsum([0] + [len(m) for m in members]).tolist()  # (NumPy's integers would overflow)
    means = []
    for b in range(RESAMPLES):
        rows = [below(SEED, b, i, seeds, attempt=1) for i in range(max(1, seeds - 1))]
        columns = [[m[below(SEED, b, start + i, len(m), attempt=2)] for i in range(max(1, len(m) - 1))]
                   for m, start in zip(members, starts)]
        means.append(np.mean([values[np.ix_(rows, c)].mean() for c in columns]))
    mean = np.mean([values[:, m].mean() for m in members])
    return {"values": values.ravel().tolist(), "seeds": seeds, "stratum": stratum.tolist(), "strata": strata,
            "mean": float(mean), "se": float(np.std(means, ddof=1)), "ci": np.percentile(means, [2.5, 97.5]).tolist()}


def hierarchical_cases():
    tasks = lambda sizes: generator.permutation(np.repeat(np.arange(len(sizes)), sizes))
    shapes = [(3, [20, 15, 15, 15]), (3, [5, 4, 3]), (1, [6, 6]), (2, [3, 9]), (5, [10]), (3, [1, 4]), (3, [1, 1]),
              (4, [2, 2, 2]), (3, [7, 0, 5]), (20, [3, 3])] + [(int(generator.integers(1, 6)), generator.integers(1, 8, 3).tolist())
                                                            for _ in range(11)]
    cases = []
    for seeds, sizes in shapes:
        stratum = tasks(sizes)
        values = generator.normal(0.05, 0.05, (seeds, 1)) + generator.normal(0, 0.2, (seeds, len(stratum)))
        cases.append(hierarchical(values, stratum, len(sizes)))
    return cases


def main():
    detectable, needed = power_cases()
    out = {"seed": SEED, "resamples": RESAMPLES, "permutation": permutation_cases(), "wilcoxon": wilcoxon_cases(),
           "spearman": spearman_cases(), "mcnemar": mcnemar_cases(), "holm": holm_cases(), "trend": trend_cases(),
           "detectable": detectable, "needed": needed, "hierarchical": hierarchical_cases()}
    with open(os.path.join(HERE, "tests.json"), "w") as f:
        f.write(json.dumps(out, separators=(",", ":"), allow_nan=False).replace("{", "\n{") + "\n")


if __name__ == "__main__":
    main()

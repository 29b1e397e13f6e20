#!/usr/bin/env python3
"""Distributions and special functions for src/stats/dist.h and special.h, to 50 digits by mpmath.
SciPy is computed beside and must agree within 1e-10; where it does not (it loses digits in a few
tails), the case says so under "scipy".

    python tests/oracle/stats/make_dist.py
"""
import json
import os

import mpmath as mp
import numpy as np
from scipy import special, stats

HERE = os.path.dirname(os.path.abspath(__file__))
mp.mp.dps = 50
generator = np.random.default_rng(17)
disagreed = []


def case(inputs, value, scipy_value):
    out = inputs | {"value": float(value)}
    scipy_value = float(scipy_value)
    if not abs(scipy_value - value) <= 1e-10 * abs(value):
        out["scipy"] = scipy_value if np.isfinite(scipy_value) else None
        disagreed.append(out)
    return out


def beta_regularised(a, b, x):
    """I_x(a, b) through Gauss's series of the smaller side, all terms positive (DLMF 8.17.8)."""
    a, b, x = mp.mpf(a), mp.mpf(b), mp.mpf(x)
    swap = x > (a + 1) / (a + b + 2)
    if swap:
        a, b, x = b, a, 1 - x
    term = mp.exp(a * mp.log(x) + b * mp.log(1 - x) - mp.log(a)
                  - mp.loggamma(a) - mp.loggamma(b) + mp.loggamma(a + b))
    total, k = mp.mpf(0), 0
    while term > total * mp.mpf(10) ** -40:
        total += term
        term *= (a + b + k) / (a + 1 + k) * x
        k += 1
    return 1 - total if swap else total


def dyadic(x):
    """x such that 1 − x is a double too."""
    return float(np.round(x * 2.0 ** 52) / 2.0 ** 52)


def root(f, start):
    """From SciPy's answer by the secant method."""
    start = mp.mpf(float(start))
    return mp.findroot(f, (start, start * (1 + mp.mpf(10) ** -12)), tol=1e-35)


def beta_cases():
    cases = []
    while len(cases) < 60:
        a, b = (float(10 ** generator.uniform(-0.5, 3.5)) for _ in range(2))
        mode, sd = a / (a + b), (a * b / (a + b) ** 2 / (a + b + 1)) ** 0.5
        x = dyadic(mode + sd * generator.normal(0, 3))
        if 0 < x < 1:
            cases.append(case({"a": a, "b": b, "x": x}, beta_regularised(a, b, x), special.betainc(a, b, x)))
    for a, b, x in [(0.5, 0.5, 2.0 ** -40), (1, 1, 0.25), (0.5, 500, 0.001953125), (3, 1e-3, 0.75),
                    (1e5, 1e5, 0.5), (1e5, 0.5, 0.9999990463256836), (2, 3, 2.0 ** -52), (200, 1, 0.125)]:
        cases.append(case({"a": a, "b": b, "x": x}, beta_regularised(a, b, x), special.betainc(a, b, x)))
    return cases


def gamma_p(a, x):
    """P(a, x) by its series (DLMF 8.7.1); all terms positive."""
    a, x = mp.mpf(a), mp.mpf(x)
    term = mp.exp(a * mp.log(x) - x - mp.loggamma(a + 1))
    total, k = mp.mpf(0), 0
    while term > total * mp.mpf(10) ** (2 - mp.mp.dps):
        total += term
        k += 1
        term *= x / (a + k)
    return total


def gamma_cases():
    cases, points = [], [(0.5, 1e-10), (0.5, 40.0), (1, 1.0), (1, 100.0), (1e-3, 0.5), (1e5, 1e5), (1e5, 1.003e5),
                         (0.5, 1.5), (2.5, 3.5), (30, 5.0), (30, 90.0)]
    while len(points) < 60:
        a = float(10 ** generator.uniform(-0.3, 3.5))
        x = a + a ** 0.5 * float(generator.normal(0, 3))
        if x > 0:
            points.append((a, x))
    for a, x in points:
        with mp.workdps(120):  # 1 − P keeps 50 digits
            p = gamma_p(a, x)
            q = 1 - p
        if q > mp.mpf(10) ** -45:
            both = case({"a": a, "x": x}, p, special.gammainc(a, x))
            both["upper"] = float(q)
            cases.append(both)
    return cases


def normal_cases():
    cdf = [case({"z": z}, mp.ncdf(mp.mpf(z)), stats.norm.cdf(z))
           for z in [-38.0, -20.0, -8.25, -5.0, -1.96, -1.0, -0.5, -1e-8, 0.0, 1e-8, 0.5, 1.96, 5.0, 9.0]
           + generator.normal(0, 3, 20).tolist()]
    quantile = []
    for p in [1e-300, 1e-100, 1e-16, 1e-6, 0.025, 0.3, 0.4999999, 0.5, 0.500001, 0.8, 0.975, 1 - 1e-12] \
            + generator.uniform(0, 1, 20).tolist():
        z = root(lambda z: mp.log(mp.ncdf(z)) - mp.log(mp.mpf(p)), stats.norm.ppf(p)) if p != 0.5 else mp.mpf(0)
        quantile.append(case({"p": p}, z, stats.norm.ppf(p)))
    return cdf, quantile


def t_cdf(t, df):
    t, df = mp.mpf(t), mp.mpf(df)
    y = t * t / (df + t * t)
    # The smaller side of the incomplete beta function, by quadrature-free series.
    tail = beta_regularised(df / 2, mp.mpf(1) / 2, 1 - y) / 2 if y != 0 else mp.mpf(1) / 2
    return 1 - tail if t > 0 else tail


def t_cases():
    points = [(df, t) for df in [1, 1.5, 2, 3, 7.3, 14, 29, 64, 1e3, 1e4]
              for t in [-40.0, -4.2, -1.0, -1e-2, 0.0, 0.03, 0.5, 1.96, 3.1, 12.0]]
    cdf = [case({"df": df, "t": t}, t_cdf(t, df), stats.t.cdf(t, df)) for df, t in points]
    quantile = []
    for df in [1, 2, 2.7, 5, 14, 64, 1e3]:
        for p in [1e-6, 0.025, 0.3, 0.5, 0.9, 0.975, 0.9999]:
            t = mp.mpf(0)
            if p != 0.5:
                t = root(lambda t: mp.log(t_cdf(t, df)) - mp.log(mp.mpf(p)), stats.t.ppf(p, df))
            quantile.append(case({"df": df, "p": p}, t, stats.t.ppf(p, df)))
    return cdf, quantile


def noncentral(t, df, delta):
    """E Φ(t·√(χ²/df) − δ) by mpmath's tanh-sinh quadrature over the square root."""
    t, df, delta = mp.mpf(t), mp.mpf(df), mp.mpf(delta)
    constant = mp.log(2) + df / 2 * mp.log(df / 2) - mp.loggamma(df / 2)
    inner = lambda s: mp.exp(constant + (df - 1) * mp.log(s) - df * s * s / 2) * mp.ncdf(t * s - delta)
    sd = 1 / mp.sqrt(2 * df)
    cuts = sorted({mp.mpf(0)} | {s for k in range(-12, 25, 4) for s in [1 + k * sd] if s > 0}
                  | ({delta / t + k / abs(t) for k in range(-12, 13, 3) if delta / t + k / abs(t) > 0} if t else set()))
    return mp.quad(inner, cuts + [mp.inf])


def noncentral_cases():
    points = [(2.0, 5, 1), (-2.0, 5, 1), (12.7, 1, 3), (-12.7, 1, 3), (0.0, 4, 2), (2.0, 64, 2.84), (-2.0, 64, 2.84),
              (2.0, 64, -2.84), (4.3, 2, 0), (1.96, 1e5, 2.8), (30.0, 9, 36), (-4.3, 2, 8)]
    points += [(float(generator.normal(0, 3)), float(generator.integers(1, 120)), float(generator.normal(0, 3)))
               for _ in range(28)]
    with mp.workdps(25):
        return [case({"t": t, "df": df, "delta": d}, noncentral(t, df, d), stats.nct.cdf(t, df, d)) for t, df, d in points]


def chi2_cases():
    out = []
    for df in [1, 2, 3, 4.5, 9, 30, 64, 500, 2000]:
        for p in [1e-9, 0.025, 0.5, 0.8, 0.975]:
            x = root(lambda x: mp.log(gamma_p(mp.mpf(df) / 2, x / 2)) - mp.log(mp.mpf(p)), stats.chi2.ppf(p, df))
            out.append(case({"df": df, "p": p}, x, stats.chi2.ppf(p, df)))
    return out


def binomial_cases():
    points = [(0, 1, 0.5), (0, 30, 0.5), (3, 10, 0.5), (7, 7, 0.3), (12, 40, 0.9), (450, 1000, 0.5), (5, 6, 0.0), (5, 6, 1.0)]
    points += [(int(generator.integers(0, n + 1)), int(n), float(generator.uniform(0, 1)))
               for n in generator.integers(1, 200, 30)]
    cases = []
    for k, n, p in points:
        q = mp.mpf(p)
        exact = mp.fsum(mp.binomial(n, i) * q ** i * (1 - q) ** (n - i) for i in range(k + 1))
        cases.append(case({"k": k, "n": n, "p": p}, exact, stats.binom.cdf(k, n, p)))
    return cases


def main():
    normal_cdf, normal_quantile = normal_cases()
    t, t_quantile = t_cases()
    out = {"beta": beta_cases(), "gamma": gamma_cases(), "normal_cdf": normal_cdf, "normal_quantile": normal_quantile,
           "t_cdf": t, "t_quantile": t_quantile, "t_noncentral": noncentral_cases(), "chi2_quantile": chi2_cases(),
           "binomial": binomial_cases()}
    with open(os.path.join(HERE, "dist.json"), "w") as f:
        f.write(json.dumps(out, separators=(",", ":")).replace("{", "\n{") + "\n")
    print("SciPy is off by more than 1e-10 in", disagreed)


if __name__ == "__main__":
    main()

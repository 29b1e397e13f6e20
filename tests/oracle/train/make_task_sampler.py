#!/usr/bin/env python3
"""Courses of rewards and the task weights that follow from them.

dynamic: the class of the reference experiment's hand-off document (change 6), its update verbatim.
mtgrpo: arXiv 2602.05547's subroutine 1 with torch.optim.AdamW on the logits (gradient by autograd
through softmax), then bounds found by bisection. Also those bounds alone, and systematic counts.

    python tests/oracle/train/make_task_sampler.py
"""
import json
import math
import os
import random

import torch

HERE = os.path.dirname(os.path.abspath(__file__))


class DynamicTaskSampler:
    """Verbatim, without sample_indices."""

    def __init__(self, tasks, initial_weight=0.25, update_interval=50):
        self.tasks = tasks
        self.weights = {t: initial_weight for t in tasks}
        self.history = {t: [] for t in tasks}
        self.interval = update_interval

    def update(self, step: int, per_task_rewards: dict):
        if step % self.interval != 0 or step == 0:
            return
        for task, reward in per_task_rewards.items():
            self.history[task].append(reward)
            if len(self.history[task]) >= 2:
                improvement = self.history[task][-1] - self.history[task][-2]
                if improvement < 0.01:  # stagnating
                    self.weights[task] = min(0.60, self.weights[task] * 1.3)
                elif improvement > 0.05:  # improving fast
                    self.weights[task] = max(0.10, self.weights[task] * 0.85)
        # Normalize to sum to 1
        total = sum(self.weights.values())
        self.weights = {t: w / total for t, w in self.weights.items()}


def dynamic(name, start, courses):
    tasks = [f"t{k}" for k in range(len(start))]
    sampler = DynamicTaskSampler(tasks)
    sampler.weights = dict(zip(tasks, start))
    weights = []
    for i, signal in enumerate(courses):
        sampler.update(50 * (i + 1), {t: r for t, r in zip(tasks, signal) if r is not None})
        weights.append([sampler.weights[t] for t in tasks])
    return {"name": name, "kind": "dynamic", "start": start, "signal": courses, "weights": weights}


def bounded(z, low, high):
    """c by bisection, so that min(max(c z, low), high) sums to 1."""
    clip = lambda c: [min(max(c * x, low), high) for x in z]
    lo, hi = 0.0, 1.0
    while sum(clip(hi)) < 1 and hi < 1e300:
        hi *= 2
    for _ in range(2000):
        mid = (lo + hi) / 2
        lo, hi = (mid, hi) if sum(clip(mid)) < 1 else (lo, mid)
    return clip(hi)


def mtgrpo(name, start, courses, learning_rate=0.025, weight_decay=1e-5, tradeoff=0.25, clip=0.2, low=0.1, high=0.6):
    logits = torch.tensor([math.log(x) for x in start], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.AdamW([logits], lr=learning_rate, weight_decay=weight_decay)
    last, weights, free = [None] * len(start), [], []
    for signal in courses:
        rise = [0.0 if r is None or l is None else min(max(r - l, -clip), clip) for r, l in zip(signal, last)]
        known = torch.tensor([r is not None for r in signal])
        score = torch.tensor([i + tradeoff * (r or 0.0) for i, r in zip(rise, signal)], dtype=torch.float64)
        z = torch.softmax(logits, 0)
        # Where a task is unknown its score is the mean of the known ones: its gradient is 0.
        mean = (z * score)[known].sum() / z[known].sum() if known.any() else torch.tensor(0.0)
        score = torch.where(known, score, mean.detach())
        optimizer.zero_grad()
        z.backward(score)
        assert torch.allclose(logits.grad, (z * (score - (z * score).sum())).detach(), atol=1e-15)
        optimizer.step()
        last = [l if r is None else r for r, l in zip(signal, last)]
        z = torch.softmax(logits, 0).tolist()
        free.append(z)
        weights.append(bounded(z, low, high))
    return {"name": name, "kind": "mtgrpo", "start": start, "signal": courses, "weights": weights, "free": free,
            "settings": {"learning_rate": learning_rate, "weight_decay": weight_decay, "tradeoff": tradeoff,
                         "clip": clip, "low": low, "high": high}}


def course(seed, tasks, updates, rise, missing=0.0):
    draw = random.Random(seed)
    value, out = [draw.uniform(0.1, 0.5) for _ in range(tasks)], []
    for _ in range(updates):
        out.append([None if draw.random() < missing else round(v, 6) for v in value])
        value = [min(1.0, max(0.0, v + draw.uniform(-rise / 2, rise))) for v in value]
    return out


def systematic(weights, n, u):
    """Point i at (i + u) / n on the line of the weights."""
    ends, counts = [sum(weights[:k + 1]) for k in range(len(weights))], [0] * len(weights)
    for i in range(n):
        counts[next((k for k, end in enumerate(ends) if (i + u) / n < end), len(weights) - 1)] += 1
    return {"weights": weights, "n": n, "u": u, "counts": counts}


def main():
    draw = random.Random(7)
    quarters, record = [0.25] * 4, [0.4, 0.4, 0.1, 0.1]
    # One task stands still, one rises fast, one slowly, one falls.
    story = [[0.5, 0.2 + 0.06 * i, 0.3 + 0.03 * i, 0.9 - 0.05 * i] for i in range(12)]
    shares = lambda n: (lambda x: [v / sum(x) for v in x])([draw.random() ** 3 + 1e-3 for _ in range(n)])
    out = {
        "courses": [
            dynamic("story", quarters, story), dynamic("record", record, story),
            dynamic("random", record, course(1, 4, 30, 0.1)), dynamic("two", [0.5, 0.5], course(2, 2, 20, 0.12)),
            # the thresholds themselves: neither below 0.01 nor above 0.05
            dynamic("thresholds", quarters, [[0, 0, 0, 0], [0.01, 0.05, 0.0099999, 0.0500001]]),
            dynamic("missing", record, course(3, 4, 20, 0.1, 0.3)), dynamic("seven", [1 / 7] * 7, course(4, 7, 25, 0.1)),
            mtgrpo("story", quarters, story), mtgrpo("record", record, story, weight_decay=1e-2),
            mtgrpo("fast", quarters, course(5, 4, 60, 0.15), learning_rate=0.3, low=0.05, high=0.5),
            mtgrpo("worst", quarters, story, learning_rate=0.2, tradeoff=1.2, clip=0.1),
            mtgrpo("missing", record, course(6, 4, 40, 0.2, 0.4), learning_rate=0.1),
            mtgrpo("two", [0.5, 0.5], course(7, 2, 30, 0.2), learning_rate=0.5),
            mtgrpo("nine", [1 / 9] * 9, course(8, 9, 30, 0.2), learning_rate=0.5, low=0.02, high=0.3)],
        "bounds": [{"z": z, "low": low, "high": high, "weights": bounded(z, low, high)}
                   for n, low, high in [(2, 0.1, 0.6), (4, 0.1, 0.6), (4, 0.25, 0.6), (4, 0.0, 0.25), (6, 0.1, 0.2),
                                        (9, 0.0, 1.0), (9, 0.05, 0.15), (10, 0.1, 0.6)]
                   for z in [shares(n) for _ in range(4)] + [[1 / n] * n]],
        "systematic": [systematic(shares(k), n, draw.random()) for k in (2, 4, 7) for n in (1, 2, 5, 50) for _ in range(5)],
    }
    with open(os.path.join(HERE, "task_sampler.json"), "w") as f:
        text = json.dumps(out, separators=(",", ":"))
        f.write(text.replace('{"name"', '\n{"name"').replace('{"z"', '\n{"z"').replace('{"weights"', '\n{"weights"') + "\n")


if __name__ == "__main__":
    main()

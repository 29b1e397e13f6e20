#!/usr/bin/env python3
"""Early stopping by transformers' own EarlyStoppingCallback, and the best metric by its Trainer.

Each case is a course of evaluations; an evaluation first reaches the callback, then the trainer's
choice of the best, as in Trainer._maybe_log_save_evaluate.

    python tests/oracle/train/make_stopping.py
"""
import json
import os
import random
from types import SimpleNamespace

from transformers import EarlyStoppingCallback, Trainer, TrainerControl, TrainerState
from transformers.trainer_utils import SaveStrategy

HERE = os.path.dirname(os.path.abspath(__file__))


def course(values, patience, threshold):
    args = SimpleNamespace(metric_for_best_model="eval_reward", greater_is_better=True, save_strategy=SaveStrategy.STEPS)
    state, control = TrainerState(), TrainerControl()
    trainer = SimpleNamespace(args=args, state=state)
    callback = EarlyStoppingCallback(patience, threshold)
    out = {"values": values, "patience": patience, "threshold": threshold, "counter": [], "best": [], "best_at": []}
    for step, value in enumerate(values):
        state.global_step = step
        callback.on_evaluate(args, state, control, {"eval_reward": value})
        Trainer._determine_best_metric(trainer, {"eval_reward": value}, None)
        out["counter"].append(callback.early_stopping_patience_counter)
        out["best"].append(state.best_metric)
        out["best_at"].append(state.best_global_step)
        if control.should_training_stop:
            break
    out["stopped"] = control.should_training_stop
    return out


def main():
    draw = random.Random(5)
    cases = []
    for patience in (1, 2, 3):
        for threshold in (0.0, 0.0625, 0.25):  # some gains are exactly these
            for _ in range(6):
                # multiples of 1/16: differences are exact, and many equal the best or the threshold
                values = [draw.randint(0, 16) / 16 + 0.02 * n * draw.randint(0, 1) for n in range(12)]
                cases.append(course(values, patience, threshold))
        # creeping up by less than the threshold: each is a new best, none counts as better
        cases.append(course([n / 64 for n in range(12)], patience, 0.05))
        cases.append(course([0.5] * 12, patience, 0.0))
        cases.append(course([n / 8 for n in range(12)], patience, 0.05))
    with open(os.path.join(HERE, "stopping.json"), "w") as f:
        f.write(json.dumps({"cases": cases}, separators=(",", ":")).replace('{"values"', '\n{"values"') + "\n")
    print(len(cases), "cases,", sum(c["stopped"] for c in cases), "stopped")


if __name__ == "__main__":
    main()

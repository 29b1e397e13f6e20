#!/usr/bin/env python3
"""Learning rates of transformers.get_scheduler, one a step; warm-up rounded by TrainingArguments.

    python tests/oracle/train/make_schedule.py
"""
import json
import os
import tempfile

import torch
from transformers import TrainingArguments, get_scheduler

HERE = os.path.dirname(os.path.abspath(__file__))
BASE = 5e-6


def main():
    cases = []
    plain = [(name, {}) for name in ["constant", "constant_with_warmup", "linear", "cosine"]]
    floors = [("cosine_with_min_lr", k) for k in ({"min_lr": 1e-6}, {"min_lr": 0.0}, {"min_lr_rate": 0.1},
                                                  {"min_lr_rate": 1.0})]
    for name, kwargs in plain + floors:
        for steps, ratio in [(1, 0.0), (3, 0.0), (3, 0.25), (10, 0.1), (12, 0.5), (30, 0.07), (7, 0.99)]:
            args = TrainingArguments(output_dir=tempfile.mkdtemp(), use_cpu=True, max_steps=steps,
                                     warmup_steps=ratio, lr_scheduler_type=name, lr_scheduler_kwargs=kwargs, learning_rate=BASE)
            warmup = args.get_warmup_steps(steps)
            optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=BASE)
            scheduler = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=steps,
                                      scheduler_specific_kwargs=args.lr_scheduler_kwargs)
            rates = []
            for _ in range(steps):
                rates.append(optimizer.param_groups[0]["lr"])
                optimizer.step()
                scheduler.step()
            cases.append({"schedule": name, "max_steps": steps, "warmup_ratio": ratio,
                          "warmup_steps": warmup, "lr": rates, **kwargs})
    with open(os.path.join(HERE, "schedule.json"), "w") as f:
        text = json.dumps({"learning_rate": BASE, "cases": cases}, separators=(",", ":"))
        f.write(text.replace('{"schedule"', '\n{"schedule"') + "\n")


if __name__ == "__main__":
    main()

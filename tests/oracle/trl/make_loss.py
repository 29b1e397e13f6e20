#!/usr/bin/env python3
"""TRL's loss and its derivative with respect to every token's log-probability.

GRPOTrainer._compute_loss itself runs, on a real trainer, with a stub in the place of the model: it
answers with given log-probabilities (leaves of the graph, float64 so that the fixture carries no
rounding of its own) instead of computing them. The tokens cover ratios below, inside and above the
clip range with advantages of either sign and zero.

    python tests/oracle/trl/make_loss.py
"""
import itertools
import json
import math
import os
from types import SimpleNamespace

import torch

from tiny_trainer import Script, make_trainer

HERE = os.path.dirname(os.path.abspath(__file__))
MAX_COMPLETION_LENGTH = 9
LENGTHS = [7, 6, 1, 5, 2]
ADVANTAGES = [1.25, -0.75, 0.5, 0.0, -1.5]


def f32(x):
    return torch.tensor(x, dtype=torch.float32).double()


def tokens():
    """Log-probabilities per completion: new, old, reference."""
    generator = torch.Generator().manual_seed(3)
    # log-ratios far below, just below, inside, exactly 1, inside, above both bounds, between them
    ratios = [math.log(r) for r in (0.5, 0.79, 0.9, 1.0, 1.1, 1.4, 1.24)]
    new, old, ref = [], [], []
    for length in LENGTHS:
        logp = -3 - 2 * torch.rand(length, generator=generator)
        shift = torch.tensor(ratios[:length])
        new.append(f32(logp.tolist()))
        old.append(f32((logp - shift).tolist()))
        ref.append(f32((logp + 0.8 * torch.randn(length, generator=generator)).tolist()))
    return new, old, ref


def pad(rows):
    width = max(LENGTHS)
    return torch.stack([torch.cat([r, r.new_zeros(width - len(r))]) for r in rows])


def main():
    script = Script([{"prompt_id": "p", "prompt_ids": [3, 4], "samples": []}])
    new, old, ref = tokens()
    mask = pad([torch.ones(n, dtype=torch.long) for n in LENGTHS])
    cases = []
    for loss_type in ["grpo", "bnpo", "dr_grpo", "dapo"]:
        trainer = make_trainer(
            "tests/oracle/model/llama_tied", {"r": 2, "target_modules": ["q_proj"]}, script,
            num_generations=2, per_device_train_batch_size=2, loss_type=loss_type, beta=0.04,
            max_completion_length=MAX_COMPLETION_LENGTH)
        trainer.current_gradient_accumulation_steps = 1
        trainer.model.train()
        for beta, bias, high, on_policy in itertools.product(
                [0.0, 0.04], [True, False], [0.2, 0.28], [False, True]):
            if beta == 0.0 and not bias:
                continue
            trainer.beta = beta
            trainer.args.use_bias_correction_kl = bias
            trainer.epsilon_low, trainer.epsilon_high = 0.2, high
            leaf = pad(new).requires_grad_()
            inputs = {
                "prompt_ids": torch.full((len(LENGTHS), 2), 3),
                "prompt_mask": torch.ones(len(LENGTHS), 2, dtype=torch.long),
                "completion_ids": torch.full((len(LENGTHS), max(LENGTHS)), 4),
                "completion_mask": mask,
                "advantages": torch.tensor(ADVANTAGES, dtype=torch.float64),
                "num_items_in_batch": mask.sum(),
                "ref_per_token_logps": pad(ref),
            }
            if not on_policy:
                inputs["old_per_token_logps"] = pad(old)
            trainer._metrics["train"].clear()
            loss = trainer._compute_loss(
                lambda **_: SimpleNamespace(log_probs=leaf, entropy=torch.zeros_like(leaf)), inputs)
            loss.backward()
            metrics = trainer._metrics["train"]
            cases.append({
                "loss_type": loss_type, "beta": beta, "use_bias_correction_kl": bias, "epsilon": 0.2,
                "epsilon_high": high, "on_policy": on_policy, "loss": loss.item(),
                "kl": metrics["kl"][0] if beta else 0.0,
                "clip_low": metrics["clip_ratio/low_mean"][0],
                "clip_high": metrics["clip_ratio/high_mean"][0],
                "clip_low_min": metrics["clip_ratio/low_min"][0],
                "clip_high_max": metrics["clip_ratio/high_max"][0],
                "dlogp": [leaf.grad[i, :n].tolist() for i, n in enumerate(LENGTHS)],
            })
    out = {"max_completion_length": MAX_COMPLETION_LENGTH, "advantages": ADVANTAGES,
           "logp": [x.tolist() for x in new], "old": [x.tolist() for x in old],
           "ref": [x.tolist() for x in ref], "cases": cases}
    with open(os.path.join(HERE, "loss.json"), "w") as f:
        f.write(json.dumps(out, separators=(",", ":")).replace('{"loss_type"', '\n{"loss_type"') + "\n")
    print(len(cases), "cases", os.path.getsize(os.path.join(HERE, "loss.json")), "bytes")


if __name__ == "__main__":
    main()

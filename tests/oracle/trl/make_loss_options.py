#!/usr/bin/env python3
"""TRL's loss under the options that change one token's loss, by its own _compute_loss.

The tokens, the advantages and what stands in for the model are make_loss.py's; beta and the
off-policy log-probabilities are on in every second case.

    python tests/oracle/trl/make_loss_options.py
"""
import itertools
import json
import os
from types import SimpleNamespace

import torch

from make_loss import ADVANTAGES, LENGTHS, MAX_COMPLETION_LENGTH, pad, tokens
from tiny_trainer import Script, make_trainer

HERE = os.path.dirname(os.path.abspath(__file__))

# delta far above, between two ratios above the clip range, inside it, and below it
CASES = [{"loss_type": loss_type, "delta": delta, "epsilon_high": high}
         for loss_type, delta, high in itertools.product(["grpo", "dapo"], [4.0, 1.3, 1.15, 0.7], [0.2, 0.28])]
# cispo bounds the weight by epsilon_high itself
CASES += [{"loss_type": "cispo", "epsilon_high": high} for high in (0.85, 1.2, 5.0)]
# One ratio a completion: the means of these log-ratios lie below, in and above a narrow range. A
# masked completion has none of its own but is counted.
CASES += [{"loss_type": loss_type, "importance_sampling_level": "sequence", "epsilon": 0.02, **more}
          for loss_type in ["grpo", "bnpo", "dr_grpo", "dapo"]
          for more in ({"epsilon_high": 0.03}, {"epsilon_high": 0.03, "delta": 0.97}, {"epsilon_high": 0.5},
                       {"epsilon_high": 0.03, "masked": [1, 2]})]
CASES += [{"loss_type": "cispo", "importance_sampling_level": "sequence", "epsilon_high": high, "masked": masked}
          for high in (0.95, 1.02) for masked in ([], [0])]

# Only the most uncertain tokens: where the ratio is a token's and where it is a sequence's, a bound
# that falls between two entropies and one that is an entropy itself (0.7: 1 - 0.7 is not 0.3), and
# both ends.
CASES += [{"top_entropy_quantile": quantile, **more}
          for quantile in (0.0, 0.2, 0.5, 0.7, 0.9)
          for more in ({"loss_type": "dapo", "epsilon_high": 0.28}, {"loss_type": "grpo", "epsilon_high": 0.28},
                       {"loss_type": "cispo", "epsilon_high": 1.2},
                       {"loss_type": "grpo", "importance_sampling_level": "sequence", "epsilon_high": 0.03,
                        "epsilon": 0.02, "masked": [1]},
                       {"loss_type": "cispo", "importance_sampling_level": "sequence", "epsilon_high": 1.02})]

# On-policy the ratio is 1, which these make a bound: at one torch.clamp has no derivative, and torch.min
# halves that of two equal products.
CASES += [{"loss_type": "grpo", **more}
          for more in ({"epsilon": 0.0, "epsilon_high": 0.2}, {"epsilon_high": 0.0}, {"epsilon": 0.0, "epsilon_high": 0.0},
                       {"epsilon_high": 0.2, "delta": 1.0}, {"epsilon": 0.0, "epsilon_high": 0.2, "delta": 1.0},
                       {"importance_sampling_level": "sequence", "epsilon": 0.0, "epsilon_high": 0.03})]

METRICS = {"clip_low": "clip_ratio/low_mean", "clip_high": "clip_ratio/high_mean",
           "clip_low_min": "clip_ratio/low_min", "clip_high_max": "clip_ratio/high_max",
           "cispo_clip": "cispo_clip_ratio"}


def entropies():
    """Of each token, two of them equal."""
    generator = torch.Generator().manual_seed(3)
    out = [torch.rand(n, generator=generator, dtype=torch.float32) * 3 for n in LENGTHS]
    out[0][1] = out[1][0]
    return out


def run(trainer, case, new, old, ref):
    leaf = pad(new).requires_grad_()
    masked = case.get("masked", [])
    mask = pad([torch.full((n,), int(i not in masked)) for i, n in enumerate(LENGTHS)])
    inputs = {
        "prompt_ids": torch.full((len(LENGTHS), 2), 3),
        "prompt_mask": torch.ones(len(LENGTHS), 2, dtype=torch.long),
        "completion_ids": torch.full((len(LENGTHS), max(LENGTHS)), 4),
        "completion_mask": mask,
        "advantages": torch.tensor(ADVANTAGES, dtype=torch.float64),
        "num_items_in_batch": mask.sum(),
        "ref_per_token_logps": pad(ref),
    }
    if not case["on_policy"]:
        inputs["old_per_token_logps"] = pad(old)
    trainer._metrics["train"].clear()
    loss = trainer._compute_loss(
        lambda **_: SimpleNamespace(log_probs=leaf, entropy=pad(entropies())), inputs)
    loss.backward()
    metrics = trainer._metrics["train"]
    return {"loss": loss.item(), "kl": metrics["kl"][0] if case["beta"] else 0.0,
            "dlogp": [leaf.grad[i, :n].tolist() for i, n in enumerate(LENGTHS)],
            **{ours: metrics[theirs][0] for ours, theirs in METRICS.items() if theirs in metrics}}


def main():
    script = Script([{"prompt_id": "p", "prompt_ids": [3, 4], "samples": []}])
    new, old, ref = tokens()
    out = []
    for options in CASES:
        trainer = make_trainer(
            "tests/oracle/model/llama_tied", {"r": 2, "target_modules": ["q_proj"]}, script,
            num_generations=2, per_device_train_batch_size=2, beta=0.04,
            max_completion_length=MAX_COMPLETION_LENGTH,
            **{k: v for k, v in ({"epsilon": 0.2} | options).items() if k != "masked"})
        trainer.current_gradient_accumulation_steps = 1
        trainer.model.train()
        for beta, bias, on_policy in [(0.0, True, False), (0.04, True, False), (0.04, False, False),
                                      (0.04, True, True)]:
            trainer.beta = beta
            trainer.args.use_bias_correction_kl = bias
            case = {"beta": beta, "use_bias_correction_kl": bias, "epsilon": 0.2, "on_policy": on_policy, **options}
            out.append(case | run(trainer, case, new, old, ref))
    root = {"max_completion_length": MAX_COMPLETION_LENGTH, "advantages": ADVANTAGES,
            "logp": [x.tolist() for x in new], "old": [x.tolist() for x in old],
            "ref": [x.tolist() for x in ref], "entropy": [x.tolist() for x in entropies()],
            "cases": out}
    path = os.path.join(HERE, "loss_options.json")
    with open(path, "w") as f:
        f.write(json.dumps(root, separators=(",", ":")).replace('{"beta"', '\n{"beta"') + "\n")
    print(len(out), "cases", os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""TRL's advantages and reward metrics for given rewards, missing ones (None) included.

GRPOTrainer._generate_and_score_completions itself runs on a real trainer, fed by its rollout_func
and a reward function that returns the given values.

    python tests/oracle/trl/make_advantage.py
"""
import json
import math
import os

import torch

from tiny_trainer import EOS, Script, make_trainer

HERE = os.path.dirname(os.path.abspath(__file__))
PER_GROUP = 5
# Four groups a batch.
BATCHES = {
    "spread": [[0.1, 0.7, 0.30000001, 1.0, 0.0], [0.5, 0.55, 0.45, 0.52, 0.9],
               [-3.0, 12.5, 0.25, 0.25, 7.0], [1e-3, 2e-3, 0.0, 0.0, 5e-4]],
    # Equal rewards, exactly representable or not, beside a group with signal.
    "zero_variance": [[0.5] * 5, [0.1] * 5, [0.0] * 5, [0.0, 1.0, 1.0, 0.0, 1.0]],
    "all_zero_variance": [[0.25] * 5, [0.75] * 5, [0.0] * 5, [1.0] * 5],
    # Machinery failures: some, all but one, all; equal among the valid.
    "missing": [[0.1, None, 0.30000001, 1.0, None], [None, None, 0.75, None, None], [None] * 5,
                [0.5, 0.5, None, 0.5, 0.5]],
}


def main():
    out = []
    for scale in ["group", "batch", "none"]:
        for name, rewards in BATCHES.items():
            script = Script([
                {"prompt_id": f"p{g}", "prompt_ids": [3, 4],
                 "samples": [{"ids": [5, EOS], "reward": r} for r in group]}
                for g, group in enumerate(rewards)])
            trainer = make_trainer(
                "tests/oracle/model/llama_tied", {"r": 2, "target_modules": ["q_proj"]}, script,
                num_generations=PER_GROUP, per_device_train_batch_size=4 * PER_GROUP,
                scale_rewards=scale, max_completion_length=4)
            trainer.model.train()
            rows = [{"prompt": p} for p in script.prompts for _ in range(PER_GROUP)]
            batch = trainer._generate_and_score_completions(rows)
            metrics = trainer._metrics["train"]
            number = lambda x: None if math.isnan(x) else x
            flat = [r for group in rewards for r in group]
            out.append({
                "scale_rewards": scale, "name": name,
                # what TRL computes with: float32
                "rewards": [None if r is None else torch.tensor(r, dtype=torch.float32).item()
                            for r in flat],
                "advantages": batch["advantages"].tolist(),
                "reward": number(metrics["reward"][0]), "reward_std": number(metrics["reward_std"][0]),
                "frac_reward_zero_std": metrics["frac_reward_zero_std"][0]})
    with open(os.path.join(HERE, "advantage.json"), "w") as f:
        text = json.dumps({"per_group": PER_GROUP, "cases": out}, separators=(",", ":"))
        f.write(text.replace('{"scale_rewards"', '\n{"scale_rewards"') + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""TRL's advantages of several rewards at a time, missing ones (None) included, and of leave-one-out.

GDPO: GRPOTrainer with multi_objective_aggregation="normalize_then_sum"; its rewards are given by as
many reward functions as there are columns, with reward_weights. Leave-one-out: RLOOTrainer with beta 0.
Both run their own _generate_and_score_completions; only completions and rewards are given. Beside
them the reference experiment's function, as its hand-off document has it (change 5).

    python tests/oracle/trl/make_gdpo.py
"""
import json
import os
import random
import tempfile

from tiny_trainer import EOS, ROOT, Script, make_trainer, tokenizer_for  # first: it quietens the imports

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM
from trl import RLOOConfig, RLOOTrainer

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = "tests/oracle/model/llama_tied"


class Columns(Script):
    """A sample's "rewards" is a list with one value for each reward function."""

    def rollout(self, prompts, trainer):
        out = super().rollout([p for p in prompts], trainer)
        out["given_columns"] = out.pop("given_reward")
        return out

    def functions(self, n):
        def make(k):
            def function(completions, given_columns, **_):
                return [row[k] for row in given_columns]
            function.__name__ = f"column_{k}"
            return function
        return [make(k) for k in range(n)]


def random_groups(seed, groups, per_group, columns, missing, levels=None):
    draw = random.Random(seed)
    value = lambda: draw.choice(levels) if levels else round(draw.uniform(-1, 2), 3)
    return [[[None if draw.random() < missing else value() for _ in range(columns)]
             for _ in range(per_group)] for _ in range(groups)]


# name: weights, groups of rows of columns
CASES = {
    # The paper's figure 2: sums (0, 1), (0, 2) that GRPO cannot tell apart.
    "collapse": ([1.0, 1.0], [[[0, 0], [0, 1]], [[0, 0], [1, 1]], [[0, 1], [1, 1]]]),
    "one_group": ([1.0, 0.5, 2.0], random_groups(1, 1, 8, 3, 0)),
    "several_groups": ([1.0, 0.5, 2.0], random_groups(2, 4, 6, 3, 0)),
    "negative_weight": ([1.0, -0.25], random_groups(3, 3, 5, 2, 0)),
    "missing": ([1.0, 0.3, 0.7], random_groups(4, 4, 6, 3, 0.35)),
    "often_missing": ([0.2, 1.5, 1.0, 0.6], random_groups(5, 5, 4, 4, 0.7)),
    # Two tasks: a group has only its own task's columns.
    "two_tasks": ([1.0, 0.5, 1.0, 2.0],
                  [[[*row, None, None] for row in g] for g in random_groups(6, 2, 6, 2, 0)] +
                  [[[None, None, *row] for row in g] for g in random_groups(7, 2, 6, 2, 0.1)]),
    # Columns without variance (of numbers that float32 has exactly), some of them in every group.
    "zero_variance": ([1.0, 1.0, 0.5],
                      [[[0.5, x, 0.25] for x in (0.1, 0.9, 0.4, 0.4)], [[1.0, 0.0, x] for x in (0, 1, 1, 0)],
                       [[0.5, 0.25, 0.0]] * 4]),
    "nothing_varies": ([1.0, 1.0], [[[0.5, 1.0]] * 4, [[0.25, 0.0]] * 4]),
    "rows_without_any": ([1.0, 2.0], [[[0.1, 0.2], [None, None], [0.7, None], [0.3, 0.9]],
                                      [[None, None]] * 4, [[None, None], [0.4, None], [None, 0.2], [None, None]]]),
    "few_levels": ([1.0, 1.0, 1.0, 1.0, 1.0], random_groups(8, 4, 8, 5, 0.05, [0, 0.5, 1])),
}

LEAVE_ONE_OUT = {
    "spread": [[0.1, 0.7, 0.3, 1.0], [-3.0, 12.5, 0.25, 0.25], [0.5, 0.5, 0.5, 0.5]],
    "missing": [[0.1, None, 0.3, 1.0], [None, 0.75, None, None], [None] * 4, [0.5, None, 0.5, 0.25]],
    "pairs": [[0.0, 1.0], [0.3, 0.2], [0.25, 0.25]],
}


# The list of a step, a task for each group.
FLAT = {
    "one_task": (["a"], [[0.1, 0.7, 0.3, 1.0, 0.0]]),
    "three_tasks": (["a", "b", "a", "c"], [[0.1, 0.7, 0.3], [0.5, 0.5, 0.25], [0.9, 0.0, 0.2], [0.75, 0.25, 0.5]]),
    "equal": (["a"], [[0.5, 0.5, 0.5, 0.5]]),
    "equal_beside_others": (["a", "b"], [[0.5, 0.5, 0.5], [0.0, 0.0, 0.0]]),
    "barely": (["a"], [[0.0, 1e-8, 0.0, 4e-8]]),
    "too_little": (["a"], [[0.0, 1e-9, 0.0, 1e-9]]),
}


def gdpo_normalize(component_rewards: dict[str, list[float]]) -> list[float]:
    """Verbatim."""
    normalized = {}
    for task, rewards in component_rewards.items():
        rewards_t = torch.tensor(rewards, dtype=torch.float32)
        std = rewards_t.std()
        if std > 1e-8:
            normalized[task] = ((rewards_t - rewards_t.mean()) / std).tolist()
        else:
            normalized[task] = [0.0] * len(rewards)  # zero-variance group
    # Sum normalized components per sample
    n = len(next(iter(normalized.values())))
    return [sum(normalized[t][i] for t in normalized) for i in range(n)]


def exact(x):
    return None if x is None else torch.tensor(x, dtype=torch.float32).item()


def prompts_of(groups):
    return [{"prompt_id": f"p{g}", "prompt_ids": [3, 4], "samples": [{"ids": [5, EOS], "reward": r} for r in group]}
            for g, group in enumerate(groups)]


def gdpo(name, weights, groups):
    script, per_group = Columns(prompts_of(groups)), len(groups[0])
    functions = script.functions(len(weights))
    script.reward = functions
    trainer = make_trainer(
        MODEL, {"r": 2, "target_modules": ["q_proj"]}, script, num_generations=per_group,
        per_device_train_batch_size=len(groups) * per_group, max_completion_length=4, reward_weights=weights,
        multi_objective_aggregation="normalize_then_sum")
    trainer.model.train()
    batch = trainer._generate_and_score_completions([{"prompt": p} for p in script.prompts for _ in range(per_group)])
    return {"name": name, "per_group": per_group, "weights": weights,
            "rows": [[exact(x) for x in row] for group in groups for row in group],
            "advantages": batch["advantages"].tolist()}


def leave_one_out(name, groups):
    per_group, flat = len(groups[0]), [r for group in groups for r in group]
    model = AutoModelForCausalLM.from_pretrained(os.path.join(ROOT, MODEL), dtype=torch.float32)
    prompts = [f"t3 t{g + 4}" for g in range(len(groups))]
    config = RLOOConfig(
        output_dir=tempfile.mkdtemp(), use_cpu=True, bf16=False, gradient_checkpointing=False, report_to=[],
        save_strategy="no", shuffle_dataset=False, disable_tqdm=True, beta=0.0, num_generations=per_group,
        per_device_train_batch_size=len(flat), max_completion_length=4)
    trainer = RLOOTrainer(
        model=model, reward_funcs=lambda completions, **_: flat, args=config,
        train_dataset=Dataset.from_list([{"prompt": p} for p in prompts]),
        processing_class=tokenizer_for(model.config.vocab_size),
        peft_config=LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"]))
    trainer._generate_single_turn = lambda prompt_ids, *_: [[5, EOS] for _ in prompt_ids]
    trainer.model.train()
    batch = trainer._generate_and_score_completions([{"prompt": p} for p in prompts for _ in range(per_group)])
    return {"name": name, "per_group": per_group, "rewards": [exact(r) for r in flat],
            "advantages": batch["advantages"].tolist()}


def flat(name, tasks, groups):
    components = {t: [r if t == task else 0.0 for task, group in zip(tasks, groups) for r in group] for t in tasks}
    return {"name": name, "per_group": len(groups[0]), "tasks": [tasks.index(t) for t in tasks],
            "rewards": [exact(r) for group in groups for r in group], "advantages": gdpo_normalize(components)}


def main():
    out = {"gdpo": [gdpo(name, *case) for name, case in CASES.items()],
           "loo": [leave_one_out(name, groups) for name, groups in LEAVE_ONE_OUT.items()],
           "flat": [flat(name, *case) for name, case in FLAT.items()]}
    with open(os.path.join(HERE, "gdpo.json"), "w") as f:
        f.write(json.dumps(out, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    main()

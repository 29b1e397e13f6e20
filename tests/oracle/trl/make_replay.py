#!/usr/bin/env python3
"""Three optimizer steps of a real trl.GRPOTrainer, to be replayed by ours.

For each configuration a folder replay-NAME:
  recipe.yaml          what both trainers are told; paths relative to the repository's root
  replay.jsonl         the completions and rewards: step (1-based), prompt_id, sample, prompt_ids, ids, reward,
                       and with steps_per_generation the slice that TRL's shuffle put the completion into
  expected.safetensors stepN.exp_avg.TENSOR after every step; stepN.exp_avg_sq.TENSOR and
                       stepN.param.TENSOR after the last one (PEFT's names)
  metrics.jsonl        per step: learning_rate, grad_norm (before clipping), loss, and what TRL logs
  adapter/             only where the start is not the adapter of tests/oracle/model

Each configuration meets a gradient norm below and one above its max_grad_norm; ratios keep a distance
from the clip bounds that no rounding bridges; both are asserted.

    python tests/oracle/trl/make_replay.py [NAME...]
"""
import json
import os
import shutil
import sys

import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from tiny_trainer import ROOT, Script, make_trainer

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS, GROUP, PROMPTS_PER_STEP, MAX_LENGTH = 3, 4, 2, 12

DEFAULTS = {
    "num_generations": GROUP, "prompts_per_step": PROMPTS_PER_STEP, "max_completion_length": MAX_LENGTH,
    "temperature": 1.0, "loss_type": "dapo", "scale_rewards": "group", "beta": 0.0, "epsilon": 0.2,
    "epsilon_high": 0.2, "num_iterations": 1, "learning_rate": 1e-3, "lr_scheduler_type": "constant",
    "warmup_ratio": 0.0, "weight_decay": 0.001, "adam_beta1": 0.9, "adam_beta2": 0.999,
    "adam_epsilon": 1e-8, "max_grad_norm": 1.0, "max_steps": STEPS, "save_steps": 1, "seed": 42,
    "precision": "f32",
}
CONFIGS = {
    "dapo": ("qwen3_tied", {"max_grad_norm": 1.5}),
    "bnpo_kl": ("qwen3_tied", {"loss_type": "bnpo", "scale_rewards": "none", "beta": 0.04,
                               "lr_scheduler_type": "linear", "max_grad_norm": 0.5}),
    "grpo_iterations": ("llama_untied", {"loss_type": "grpo", "num_iterations": 2, "epsilon": 0.02,
                                         "epsilon_high": 0.12, "learning_rate": 2e-2, "max_grad_norm": 0.95}),
    "dr_grpo_batch": ("qwen3_tied", {"loss_type": "dr_grpo", "scale_rewards": "batch", "temperature": 0.7,
                                     "lr_scheduler_type": "cosine", "warmup_ratio": 0.25,
                                     "max_grad_norm": 1.8}),
    # B of one projection starts at zero: the first gradient of its A is exactly zero.
    "zero_b": ("llama_untied", {"adam_beta1": 0.8, "adam_beta2": 0.99, "weight_decay": 0.1,
                                "max_grad_norm": 0.75}),
    "delta": ("llama_untied", {"loss_type": "grpo", "num_iterations": 2, "beta": 0.04, "epsilon": 0.02,
                               "epsilon_high": 0.1, "delta": 1.15, "learning_rate": 2e-2,
                               "lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 5e-3}, "max_grad_norm": 0.95}),
    "cispo": ("llama_untied", {"loss_type": "cispo", "num_iterations": 2, "beta": 0.04, "epsilon": None,
                               "epsilon_high": 1.1, "learning_rate": 2e-2, "max_grad_norm": 0.95}),
    # Adam divides by a gradient's own size: where it is next to nothing, rounding would decide. Hence its
    # epsilon.
    "gspo": ("llama_untied", {"loss_type": "grpo", "importance_sampling_level": "sequence", "num_iterations": 2,
                              "mask_truncated_completions": True, "beta": 0.04, "epsilon": 0.02, "epsilon_high": 0.05,
                              "learning_rate": 2e-2, "adam_epsilon": 1e-3, "max_grad_norm": 0.65}),
    "masked_grpo": ("llama_untied", {"loss_type": "grpo", "mask_truncated_completions": True, "beta": 0.04,
                                     "max_grad_norm": 0.71}),
    "masked_dapo": ("llama_untied", {"mask_truncated_completions": True, "num_iterations": 2, "epsilon": 0.02,
                                     "epsilon_high": 0.1, "learning_rate": 2e-2, "max_grad_norm": 0.65}),
    # Several steps a generation, with TRL's denominator of dapo and with one that is the step's own in TRL
    # too; iterations over the slices (steps 1 and 3 train the same one), whose entropies are a step's own.
    "generation_dapo": ("llama_untied", {"steps_per_generation": 2, "dapo_denominator": "generation", "epsilon": 0.02,
                                         "epsilon_high": 0.1, "mask_truncated_completions": True, "learning_rate": 2e-2,
                                         "max_grad_norm": 0.75}),
    "generation_bnpo": ("llama_untied", {"steps_per_generation": 2, "num_iterations": 2, "loss_type": "bnpo",
                                         "scale_rewards": "batch", "beta": 0.04, "epsilon": 0.02, "epsilon_high": 0.1,
                                         "top_entropy_quantile": 0.63, "learning_rate": 2e-2, "max_grad_norm": 0.95}),
    "generation_grpo": ("llama_untied", {"steps_per_generation": 3, "loss_type": "grpo", "epsilon": 0.02,
                                         "epsilon_high": 0.12, "learning_rate": 2e-2, "max_grad_norm": 0.95}),
    # The most uncertain tokens, under the policy of each step, not of the generation.
    "entropy": ("llama_untied", {"top_entropy_quantile": 0.3, "num_iterations": 2, "beta": 0.04, "epsilon": 0.02,
                                 "epsilon_high": 0.1, "temperature": 0.7, "learning_rate": 2e-2, "max_grad_norm": 0.6}),
    "entropy_gspo": ("llama_untied", {"top_entropy_quantile": 0.5, "loss_type": "grpo", "num_iterations": 2,
                                      "importance_sampling_level": "sequence", "mask_truncated_completions": True,
                                      "epsilon": 0.02, "epsilon_high": 0.15, "learning_rate": 5e-3,
                                      "adam_epsilon": 1e-3, "max_grad_norm": 0.5}),
}
ZERO_B_PROJECTION = "v_proj"
EOS_IDS = {"qwen3_tied": [2], "llama_untied": [2, 5]}
VOCABULARY = {"qwen3_tied": 97, "llama_untied": 101}


def make_prompts(model, seed, n):
    """n prompts of different lengths with four completions each; one completion of a group runs
    into the length limit, one is an EOS alone, and one group in the middle has equal rewards."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda n: torch.randint(6, VOCABULARY[model], (n,), generator=generator).tolist()
    number = lambda low, high: int(torch.randint(low, high + 1, (1,), generator=generator))
    prompts = []
    for p in range(n):
        samples = []
        for s in range(GROUP):
            if s == 0:
                ids = draw(MAX_LENGTH)
            else:
                length = 0 if (s == 1 and p % 3 == 0) else number(1, MAX_LENGTH - 1)
                ids = draw(length) + [EOS_IDS[model][(p + s) % len(EOS_IDS[model])]]
            reward = 0.5 if p == 3 else number(0, 20) / 20
            samples.append({"ids": ids, "reward": reward})
        prompts.append({"prompt_id": f"p{p}", "prompt_ids": draw(number(3, 9)), "samples": samples})
    return prompts


def starting_adapter(name, model, folder):
    source = f"tests/oracle/model/{model}/adapter"
    if name != "zero_b":
        return source
    target = os.path.join(folder, "adapter")
    shutil.copytree(os.path.join(ROOT, source), target)
    path = os.path.join(target, "adapter_model.safetensors")
    state = {k: torch.zeros_like(v) if f"{ZERO_B_PROJECTION}.lora_B" in k else v
             for k, v in load_file(path).items()}
    save_file(state, path, metadata={"format": "pt"})
    return os.path.relpath(target, ROOT)


def trl_options(recipe):
    own = {"model", "init_adapter", "lora", "prompts_per_step", "precision", "warmup_ratio", "save_steps",
           "dapo_denominator"}
    options = {k: v for k, v in recipe.items() if k not in own}
    # One micro-batch a step. transformers 5 takes a ratio as warmup_steps < 1.
    return options | {"per_device_train_batch_size": GROUP * PROMPTS_PER_STEP,
                      "gradient_accumulation_steps": 1, "warmup_steps": recipe["warmup_ratio"]}


class Record(TrainerCallback):
    """Reads the optimizer after each step and TRL's log line of it."""

    def __init__(self, slices):
        self.tensors, self.lines, self.slices = {}, [], slices
        self.calls, self.slice_of = 0, {}

    def note_slice(self, inputs):
        """Which of a generation's slices this step's completions are in, by their ids."""
        for prompt, prompt_mask, ids, mask in zip(*(inputs[k] for k in (
                "prompt_ids", "prompt_mask", "completion_ids", "completion_mask"))):
            # a completion that is masked as truncated has no mask: it is of full length
            ids = ids[mask.bool()] if mask.any() else ids
            key = (tuple(prompt[prompt_mask.bool()].tolist()), tuple(ids.tolist()))
            self.slice_of.setdefault(key, set()).add(self.calls % self.slices)
        self.calls += 1

    def on_pre_optimizer_step(self, args, state, control, optimizer, **_):
        self.lines.append({"step": state.global_step + 1, "learning_rate": optimizer.param_groups[0]["lr"]})

    def on_step_end(self, args, state, control, model, optimizer, **_):
        step = state.global_step
        for name, p in model.named_parameters():
            if not p.requires_grad:
                continue
            name = name.replace(".default", "")
            moments = optimizer.state[p]
            self.tensors[f"step{step}.exp_avg.{name}"] = moments["exp_avg"].clone()
            if step == STEPS:
                self.tensors[f"step{step}.exp_avg_sq.{name}"] = moments["exp_avg_sq"].clone()
                self.tensors[f"step{step}.param.{name}"] = p.detach().clone()

    def on_log(self, args, state, control, logs, **_):
        if "grad_norm" in logs:
            self.lines[-1]["grad_norm"] = logs["grad_norm"]
            keep = ("kl", "entropy", "clip_ratio/low_mean", "clip_ratio/low_min", "clip_ratio/high_mean",
                    "clip_ratio/high_max", "clip_ratio/region_mean", "cispo_clip_ratio", "reward", "reward_std", "num_tokens",
                    "frac_reward_zero_std", "completions/mean_length", "completions/min_length",
                    "completions/max_length", "completions/clipped_ratio",
                    "completions/mean_terminated_length", "completions/min_terminated_length",
                    "completions/max_terminated_length")
            if args.scale_rewards == "batch":  # TRL then looks at the whole batch, we at groups
                keep = [k for k in keep if k != "frac_reward_zero_std"]
            self.lines[-1].update({k: logs[k] for k in keep if k in logs})


def bounds(recipe):
    """Ratios where the loss has a kink."""
    if recipe["loss_type"] == "cispo":
        return [recipe["epsilon_high"]]
    return [1 - recipe["epsilon"], 1 + recipe["epsilon_high"]] + [recipe[k] for k in ("delta",) if k in recipe]


def quantile_distance(trainer, model, inputs):
    """How near the entropy of any token comes to the bound that decides whether it counts."""
    mask = inputs["completion_mask"].bool()
    with torch.no_grad():
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
        attention = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
        _, entropies, _ = trainer._get_per_token_logps_and_entropies(
            model, ids, attention, inputs["completion_ids"].size(1), compute_entropy=True)
    values = entropies[mask]
    return (values - torch.quantile(values, 1 - trainer.top_entropy_quantile)).abs().min().item()


def watch_loss(trainer, record, recipe):
    """The unrounded loss of each step, and how near any ratio comes to a clip bound."""
    inner = trainer._compute_loss

    def compute(model, inputs):
        loss = inner(model, inputs)
        record.lines_loss.append(loss.item())
        record.note_slice(inputs)
        if trainer.top_entropy_quantile < 1:
            record.near_quantile = min(record.near_quantile, quantile_distance(trainer, model, inputs))
        if "old_per_token_logps" in inputs:
            with torch.no_grad():
                ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
                mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
                now, _, _ = trainer._get_per_token_logps_and_entropies(
                    model, ids, mask, inputs["completion_ids"].size(1))
            mask = inputs["completion_mask"]
            log_ratio = now - inputs["old_per_token_logps"]
            if recipe.get("importance_sampling_level") == "sequence":
                ratio = ((log_ratio * mask).sum(1) / mask.sum(1).clamp(min=1)).exp()
            else:
                ratio = log_ratio.exp()[mask.bool()]
            for bound in bounds(recipe):
                record.nearest = min(record.nearest, (ratio - bound).abs().min().item())
        return loss

    record.lines_loss, record.nearest, record.near_quantile = [], 1.0, 1.0
    trainer._compute_loss = compute


def slice_of(record, key, step):
    """What the training saw; a slice that no step within STEPS came to is the one left over."""
    seen = record.slice_of.get(key)
    if seen:
        (seen,) = seen
        return seen
    assert STEPS - step + 1 == record.slices - 1, "more than one slice was never trained on"
    return record.slices - 1


def write(folder, recipe, prompts, record):
    with open(os.path.join(folder, "recipe.yaml"), "w") as f:
        yaml.safe_dump(recipe, f, sort_keys=False, default_flow_style=None)
    with open(os.path.join(folder, "replay.jsonl"), "w") as f:
        for i, p in enumerate(prompts):
            step = i // (PROMPTS_PER_STEP * record.slices) * recipe["num_iterations"] * record.slices + 1
            for s, sample in enumerate(p["samples"] if step <= STEPS else []):
                line = {"step": step, "prompt_id": p["prompt_id"], "sample": s,
                        "prompt_ids": p["prompt_ids"], **sample}
                if record.slices > 1:
                    line["slice"] = slice_of(record, (tuple(p["prompt_ids"]), tuple(sample["ids"])), step)
                f.write(json.dumps(line) + "\n")
    save_file({k: v.contiguous() for k, v in record.tensors.items()},
              os.path.join(folder, "expected.safetensors"))
    with open(os.path.join(folder, "metrics.jsonl"), "w") as f:
        for line, loss in zip(record.lines, record.lines_loss):
            f.write(json.dumps(line | {"loss": loss}) + "\n")


def make(name, model, changes):
    folder = os.path.join(HERE, f"replay-{name}")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    adapter = starting_adapter(name, model, folder)
    with open(os.path.join(ROOT, adapter, "adapter_config.json")) as f:
        config = json.load(f)
    lora = {"r": config["r"], "lora_alpha": config["lora_alpha"],
            "target_modules": sorted(config["target_modules"])}
    recipe = {"model": f"tests/oracle/model/{model}", "init_adapter": adapter, "lora": lora} | DEFAULTS | changes
    recipe = {k: v for k, v in recipe.items() if v is not None}
    slices = recipe.get("steps_per_generation", 1)
    prompts = make_prompts(model, 7, max(PROMPTS_PER_STEP * STEPS, 2 * PROMPTS_PER_STEP * slices))
    everything = [tuple(p["prompt_ids"] + [-1] + s["ids"]) for p in prompts for s in p["samples"] if slices > 1]
    assert len(set(everything)) == len(everything), "two equal completions: no telling their slices"
    script, record = Script(prompts), Record(slices)
    trainer = make_trainer(recipe["model"], lora, script, adapter, callbacks=[record], **trl_options(recipe))
    assert (recipe["beta"] == 0) or "ref" not in trainer.model.peft_config  # the reference is the base
    watch_loss(trainer, record, recipe)
    trainer.train()
    assert trainer.state.global_step == STEPS and len(record.lines) == STEPS
    norms = [line["grad_norm"] for line in record.lines]
    zeros = [k for k, v in record.tensors.items() if not v.any()]
    print(name, "norms", norms, "nearest", record.nearest, record.near_quantile, "zero tensors", len(zeros))
    for line in record.lines:
        print("  ", line)
    write(folder, recipe, prompts, record)
    assert min(norms) < recipe["max_grad_norm"] < max(norms), norms
    assert record.nearest > 1e-4, record.nearest
    assert record.near_quantile > 1e-5, record.near_quantile
    assert bool(zeros) == (name == "zero_b"), zeros


def main():
    for name in sys.argv[1:] or CONFIGS:
        make(name, *CONFIGS[name])


if __name__ == "__main__":
    main()

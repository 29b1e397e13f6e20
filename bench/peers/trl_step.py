#!/usr/bin/env python3
"""Whole steps of TRL's GRPOTrainer on the CPU in bf16: LoRA of rank 16 on seven projections, a dummy reward, nothing ends
early. Run it with the virtual environment that install.sh makes:

    DIR/trl/bin/python bench/peers/trl_step.py --model FOLDER [--tokens 512 …]

The first step warms up. Steps are told on standard error as they end."""
import os
import sys
import tempfile
import time

import common

PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def make_tokenizer(vocabulary_size):
    """Words w3 w4 …, one token each: a prompt of n words is a prompt of n tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    special = ["<s>", "</s>", "<unk>"]
    vocabulary = {word: i for i, word in enumerate(special + [f"w{i}" for i in range(3, vocabulary_size)])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="</s>", pad_token="</s>",
                                   unk_token="<unk>")


def rewards(completions, **_):
    """Different within every group, so that there is a gradient; not what is measured."""
    return [float(i % 7) for i, _ in enumerate(completions)]


def trl_settings(o, folder):
    from trl import GRPOConfig
    return GRPOConfig(output_dir=folder, per_device_train_batch_size=o.micro_batch,
                      gradient_accumulation_steps=o.generations // o.micro_batch, num_generations=o.generations,
                      max_completion_length=o.tokens, max_steps=o.repeats + 1, temperature=1.0, beta=0.0,
                      scale_rewards="none", learning_rate=5e-6, lr_scheduler_type="constant_with_warmup",
                      report_to=[], save_strategy="no", logging_strategy="no", bf16=False, use_cpu=True,
                      gradient_checkpointing=False, disable_tqdm=True,
                      generation_kwargs={"min_new_tokens": o.tokens})


def load(o):
    import torch
    from transformers import AutoModelForCausalLM
    torch.set_num_threads(o.threads)
    return AutoModelForCausalLM.from_pretrained(o.model, dtype=torch.bfloat16)


def make_trainer(o, folder):
    from datasets import Dataset
    from peft import LoraConfig
    from trl import GRPOTrainer
    model = load(o)
    prompts = [{"prompt": " ".join(f"w{word}" for word in common.prompt_ids(row, o.prompt))}
               for row in range(o.repeats + 2)]
    return GRPOTrainer(model=model, reward_funcs=rewards, args=trl_settings(o, folder),
                       train_dataset=Dataset.from_list(prompts),
                       processing_class=make_tokenizer(model.config.vocab_size),
                       peft_config=LoraConfig(r=16, lora_alpha=32, target_modules=PROJECTIONS, task_type="CAUSAL_LM"))


def watch(o, trainer):
    """Fills lists of seconds, of rollouts and of steps, while the trainer works."""
    from transformers import PrinterCallback, TrainerCallback
    rollouts, steps = [], []
    generate = trainer._generate_and_score_completions

    def timed(*args, **kwargs):
        started = time.monotonic()
        out = generate(*args, **kwargs)
        rollouts.append(time.monotonic() - started)
        shapes = tuple(out["prompt_ids"].shape), tuple(out["completion_ids"].shape)
        if shapes != ((o.generations, o.prompt), (o.generations, o.tokens)) or not out["completion_mask"].all():
            sys.exit(f"trl_step.py: TRL worked on prompts and completions of {shapes}; the comparison is void")
        return out

    class Clock(TrainerCallback):
        def on_step_begin(self, *_, **__):
            self.started = time.monotonic()

        def on_step_end(self, *_, **__):
            steps.append(time.monotonic() - self.started)
            print(f"trl_step.py: step {len(steps) - 1} of {o.repeats}: rollout {rollouts[-1]:.1f} s, whole step "
                  f"{steps[-1]:.1f} s", file=sys.stderr, flush=True)

    trainer._generate_and_score_completions = timed
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Clock())
    return rollouts, steps


def main():
    p = common.options(__doc__)
    p.add_argument("--micro-batch", type=int, default=2, help="completions of a backward pass [2]")
    o = common.parse(p)
    if o.generations % o.micro_batch:
        p.error("--generations must be a multiple of --micro-batch")
    os.environ["HF_HUB_OFFLINE"] = "1"
    import trl
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(o, folder)
        rollouts, steps = watch(o, trainer)
        trainer.train()
    if len(steps) != o.repeats + 1 or len(rollouts) != len(steps) or any(s < r for s, r in zip(steps, rollouts)):
        sys.exit(f"trl_step.py: steps took {steps} s and their rollouts {rollouts} s: this version of TRL samples "
                 "outside the step, and the clocks above must be set otherwise")
    steps, rollouts = steps[1:], rollouts[1:]
    common.report(o, "TRL", version=trl.__version__, rollout=common.median(rollouts), step=common.median(steps),
                  gradient=common.median([s - r for s, r in zip(steps, rollouts)]), all=steps,
                  peak_gib=common.peak_gib())


if __name__ == "__main__":
    main()

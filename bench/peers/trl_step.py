#!/usr/bin/env python3
"""Whole steps of TRL's GRPOTrainer on the CPU, and ours beside them; see README.md here.

    python3 -m venv DIR && DIR/bin/pip install -r bench/peers/requirements.txt
    DIR/bin/python bench/peers/trl_step.py [--grpo build/release/grpo] [--shape tucano2-0.5b|tiny] [--json]

--install installs the pinned packages into the virtual environment it is run in (never elsewhere).
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SHAPES = {  # hidden, intermediate, layers, heads, kv heads, head_dim, vocabulary, context
    "tucano2-0.5b": (1024, 3072, 28, 16, 8, 128, 49152, 4096),
    "tiny": (160, 448, 5, 4, 2, 32, 2048, 384),
}
OURS = {"tucano2-0.5b": "tucano2-0.5b", "tiny": "builtin"}  # names of `grpo bench`
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="tucano2-0.5b")
    parser.add_argument("--prompt", type=int, help="tokens of the prompt (256; tiny: 64)")
    parser.add_argument("--completion", type=int, help="tokens of a completion (512; tiny: 32)")
    parser.add_argument("--generations", type=int, default=16)
    parser.add_argument("--micro-batch", type=int, default=2, help="completions of a backward pass of TRL")
    parser.add_argument("--steps", type=int, default=3, help="measured, after one that warms up")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--grpo", help="our program; without it only TRL is measured")
    parser.add_argument("--install", action="store_true", help="first install the pinned packages here")
    parser.add_argument("--json", action="store_true")
    o = parser.parse_args()
    small = o.shape == "tiny"
    o.prompt = o.prompt or (64 if small else 256)
    o.completion = o.completion or (32 if small else 512)
    if o.generations % o.micro_batch:
        parser.error("--generations must be a multiple of --micro-batch")
    return o


def install():
    if sys.prefix == sys.base_prefix:
        sys.exit("trl_step.py: --install wants a virtual environment: python3 -m venv DIR, then DIR/bin/python …")
    subprocess.run([sys.executable, "-m", "pip", "install", "-r", os.path.join(HERE, "requirements.txt")], check=True)


def ours(o):
    """Medians of `grpo bench --part step`, and the program's peak of resident memory."""
    command = [o.grpo, "bench", "--json", "--quiet", "--part", "step", "--shape", OURS[o.shape],
               "--prompt-tokens", o.prompt, "--completion-tokens", o.completion, "--generations", o.generations,
               "--repeats", o.steps, "--threads", o.threads]
    child = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    text = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"trl_step.py: {o.grpo} bench ended with status {os.waitstatus_to_exitcode(status)}")
    phases = {p["name"]: p for p in json.loads(text)["phases"]}
    return {"rollout": phases["rollout"]["seconds"], "gradient": phases["gradient"]["seconds"],
            "step": phases["step"]["seconds"], "floor": phases["step"]["floor_seconds"],
            "peak_gib": usage.ru_maxrss / 2**20}


def make_model(o, torch):
    from transformers import Qwen3Config, Qwen3ForCausalLM
    hidden, inner, layers, heads, kv_heads, head_dim, vocabulary, context = SHAPES[o.shape]
    torch.manual_seed(0)
    config = Qwen3Config(vocab_size=vocabulary, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers,
                         num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=head_dim,
                         max_position_embeddings=context, rope_theta=1e6, tie_word_embeddings=True,
                         rms_norm_eps=1e-6, bos_token_id=0, eos_token_id=1, pad_token_id=1)
    return Qwen3ForCausalLM(config).to(torch.bfloat16)


def make_tokenizer(o):
    """Words w3 w4 …, one token each: a prompt of n words is a prompt of n tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    special = ["<s>", "</s>", "<unk>"]
    vocabulary = {word: i for i, word in enumerate(special + [f"w{i}" for i in range(3, SHAPES[o.shape][6])])}
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
                      max_completion_length=o.completion, max_steps=o.steps + 1, temperature=1.0, beta=0.0,
                      scale_rewards="none", learning_rate=5e-6, lr_scheduler_type="constant_with_warmup",
                      report_to=[], save_strategy="no", logging_steps=1, bf16=False, use_cpu=True,
                      gradient_checkpointing=False, disable_tqdm=True,
                      generation_kwargs={"min_new_tokens": o.completion})


def trl(o, folder):
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import GRPOTrainer
    torch.set_num_threads(o.threads)
    prompts = [{"prompt": " ".join(f"w{3 + (row * 131 + i * 17) % 2000}" for i in range(o.prompt))}
               for row in range(o.steps + 2)]
    trainer = GRPOTrainer(model=make_model(o, torch), reward_funcs=rewards, args=trl_settings(o, folder),
                          train_dataset=Dataset.from_list(prompts), processing_class=make_tokenizer(o),
                          peft_config=LoraConfig(r=16, lora_alpha=32, target_modules=PROJECTIONS,
                                                 task_type="CAUSAL_LM"))
    times = {"rollout": [], "step": []}
    generate = trainer._generate_and_score_completions

    def timed(*args, **kwargs):
        started = time.monotonic()
        out = generate(*args, **kwargs)
        times["rollout"].append(time.monotonic() - started)
        shapes = tuple(out["prompt_ids"].shape), tuple(out["completion_ids"].shape)
        if shapes != ((o.generations, o.prompt), (o.generations, o.completion)):
            sys.exit(f"trl_step.py: TRL worked on prompts and completions of {shapes}; the comparison is void")
        return out

    class Clock(TrainerCallback):
        def on_step_begin(self, *_, **__):
            self.started = time.monotonic()

        def on_step_end(self, *_, **__):
            times["step"].append(time.monotonic() - self.started)

    trainer._generate_and_score_completions = timed
    trainer.add_callback(Clock())
    trainer.train()
    steps, rollouts = times["step"][1:], times["rollout"][1:]
    if len(steps) != o.steps or len(rollouts) != o.steps or any(s < r for s, r in zip(steps, rollouts)):
        sys.exit(f"trl_step.py: steps took {times['step']} s and their rollouts {times['rollout']} s: this version "
                 "of TRL samples outside the step, and the clocks above must be set otherwise")
    return {"rollout": statistics.median(rollouts), "step": statistics.median(steps),
            "gradient": statistics.median(s - r for s, r in zip(steps, rollouts)),
            "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def show(o, runs):
    print(f"{o.shape}: 1 prompt of {o.prompt} × {o.generations} completions of {o.completion}, {o.threads} threads")
    print(f"{'':8} {'rollout':>10} {'gradient':>10} {'step':>10} {'peak GiB':>10}")
    for name, run in runs.items():
        print(f"{name:8} {run['rollout']:>9.2f}s {run['gradient']:>9.2f}s {run['step']:>9.2f}s {run['peak_gib']:>10.2f}")
    if "grpo" in runs:
        mean = {k: (runs["grpo"][k] + runs["again"][k]) / 2 for k in ("rollout", "gradient", "step")}
        print(f"{'ratio':8}" + "".join(f" {runs['TRL'][k] / mean[k]:>9.2f}×" for k in mean))
        print(f"our floor on this machine: {runs['grpo']['floor']:.2f} s a step")


def main():
    import tempfile
    o = arguments()
    if o.install:
        install()
    runs = {}
    if o.grpo:
        runs["grpo"] = ours(o)
    with tempfile.TemporaryDirectory() as folder:
        runs["TRL"] = trl(o, folder)
    if o.grpo:
        runs["again"] = ours(o)
    if o.json:
        print(json.dumps({"shape": o.shape, "prompt": o.prompt, "completion": o.completion,
                          "generations": o.generations, "threads": o.threads, "runs": runs}))
    else:
        show(o, runs)


if __name__ == "__main__":
    main()

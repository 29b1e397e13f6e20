#!/usr/bin/env python3
"""Tiny models with adapters, and what PyTorch computes for them.

For each case a folder with config.json, model.safetensors (f32 or bf16 values), adapter/ (PEFT) and
expected.safetensors:
  prompt_ids, completion_ids.i, weights.i          inputs; loss = Σ_i Σ_t weights.i[t] · logp.i[t]
  logp.i, entropy.i, logits                        float32 (logits of prompt + completion 0)
  grad.NAME                                        d loss / d adapter tensor, float32
  bf16.logp.i, bf16.grad.NAME                      the same by PyTorch in bfloat16
  round.logp.i, round.grad.NAME                    float32 arithmetic on bf16-rounded base matrices: what
                                                   both bf16 results are compared with

rope.json holds rotary frequencies by themselves.

    python tests/oracle/model/make_model.py [CASE ...]     (all of them; rope.json always)
"""
import json
import os
import shutil
import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

HERE = os.path.dirname(os.path.abspath(__file__))
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TEMPERATURE = 0.9

CASES = {
    "qwen3_tied": (Qwen3ForCausalLM, Qwen3Config(
        vocab_size=97, hidden_size=40, intermediate_size=52, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=18, max_position_embeddings=128, rope_theta=10000.0,
        tie_word_embeddings=True, rms_norm_eps=1e-6, eos_token_id=2, bos_token_id=None, pad_token_id=None),
        5, ALL),
    "llama_untied": (LlamaForCausalLM, LlamaConfig(
        vocab_size=101, hidden_size=36, intermediate_size=67, num_hidden_layers=2, num_attention_heads=6,
        num_key_value_heads=2, head_dim=6, max_position_embeddings=128, rope_theta=5000.0,
        tie_word_embeddings=False, rms_norm_eps=1e-5, eos_token_id=[2, 5], bos_token_id=1),
        4, ["q_proj", "v_proj", "down_proj"]),
    "llama_tied": (LlamaForCausalLM, LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=128, rope_theta=10000.0, tie_word_embeddings=True,
        rms_norm_eps=1e-5, eos_token_id=2, bos_token_id=1), 16, ALL),
    # Wavelengths 6 to 1445 around the thresholds 8 and 32: kept, blended and divided frequencies; rsLoRA.
    "llama3_rslora": (LlamaForCausalLM, LlamaConfig(
        vocab_size=48, hidden_size=24, intermediate_size=36, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, max_position_embeddings=128, tie_word_embeddings=True,
        rms_norm_eps=1e-5, eos_token_id=2, bos_token_id=1, rope_parameters={
            "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 32}),
        4, ["q_proj", "k_proj", "up_proj"]),
    "qwen2_untied": (Qwen2ForCausalLM, Qwen2Config(
        vocab_size=53, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, rope_parameters={
            "rope_type": "default", "rope_theta": 10000.0}, tie_word_embeddings=False, rms_norm_eps=1e-6,
        eos_token_id=[2, 4], bos_token_id=None), 6, ["q_proj", "k_proj", "v_proj", "o_proj", "down_proj"]),
}

# The rotary embeddings of released models (theta, head_dim, scaling), and one whose head size is no power of two.
ROPES = [(500000.0, 128, {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                          "original_max_position_embeddings": 8192}),
         (500000.0, 64, {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": 8192}),
         (10000.0, 18, {"factor": 3.7, "low_freq_factor": 1.3, "high_freq_factor": 5.1,
                        "original_max_position_embeddings": 1000}),
         (10000.0, 32, None), (100000.0, 64, None), (1000000.0, 128, None)]


def run(model, prompt, completions, weights):
    """Log-probabilities, entropies and adapter gradients of the weighted sum."""
    model.zero_grad()
    loss, logps, entropies = 0.0, [], []
    for completion, weight in zip(completions, weights):
        logits = model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1:-1].float()
        logp = torch.log_softmax(logits / TEMPERATURE, -1)
        entropies.append(-(logp.exp() * logp).sum(-1).detach())
        picked = logp.gather(1, torch.tensor(completion)[:, None])[:, 0]
        logps.append(picked.detach())
        loss = loss + (picked * weight).sum()
    loss.backward()
    grads = {n.replace(".default", ""): p.grad.float().clone() for n, p in model.named_parameters()
             if p.requires_grad}
    return logps, entropies, grads


def make_ropes():
    """rope.json: a config for each of ROPES and the bits of the frequencies transformers computes for it."""
    out = []
    for theta, head_dim, scaling in ROPES:
        rope = {"rope_type": "llama3" if scaling else "default", "rope_theta": theta} | (scaling or {})
        config = LlamaConfig(vocab_size=8, hidden_size=2 * head_dim, intermediate_size=8, num_hidden_layers=1,
                             num_attention_heads=2, head_dim=head_dim, rope_parameters=rope)
        freq = LlamaRotaryEmbedding(config).inv_freq
        assert freq.dtype == torch.float32
        out.append({"config": {"model_type": "llama", "vocab_size": 8, "hidden_size": 2 * head_dim,
                               "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
                               "head_dim": head_dim, "rope_parameters": rope},
                    "bits": freq.view(torch.int32).tolist()})
    with open(os.path.join(HERE, "rope.json"), "w") as f:
        f.write("[" + ",\n ".join(json.dumps(case) for case in out) + "]\n")


def main():
    make_ropes()
    for case in sys.argv[1:] or CASES:
        cls, config, rank, targets = CASES[case]
        torch.manual_seed(sum(map(ord, case)))
        folder = os.path.join(HERE, case)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        base = cls(config)
        with torch.no_grad():  # larger than the usual initialisation, so that every path matters
            for name, p in base.named_parameters():
                p.normal_(1.0, 0.2) if "norm" in name else p.normal_(0.0, 0.5 if "bias" in name else 0.15)
        base.save_pretrained(folder)
        model = get_peft_model(base, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets,
                                                use_rslora=case.endswith("rslora"), task_type="CAUSAL_LM"))
        with torch.no_grad():
            for name, p in model.named_parameters():
                if "lora_" in name:
                    p.normal_(0.0, 0.12)
        model.save_pretrained(os.path.join(folder, "adapter"))
        generator = torch.Generator().manual_seed(1)
        draw = lambda n: torch.randint(3, config.vocab_size, (n,), generator=generator).tolist()
        prompt, completions = draw(9), [draw(7), draw(1), draw(12), draw(4)]
        weights = [torch.randn(len(c), generator=generator) for c in completions]
        out = {"prompt_ids": torch.tensor(prompt, dtype=torch.int32)}
        for i, (c, w) in enumerate(zip(completions, weights)):
            out[f"completion_ids.{i}"] = torch.tensor(c, dtype=torch.int32)
            out[f"weights.{i}"] = w

        def store(prefix, m):
            logps, entropies, grads = run(m, prompt, completions, weights)
            for i, (l, e) in enumerate(zip(logps, entropies)):
                out[f"{prefix}logp.{i}"] = l.float()
                if not prefix:
                    out[f"entropy.{i}"] = e.float()
            for n, g in grads.items():
                out[f"{prefix}grad.{n}"] = g

        store("", model)
        with torch.no_grad():
            out["logits"] = model(torch.tensor([prompt + completions[0]])).logits[0].float()
            for n, p in model.named_parameters():
                if "lora_" not in n and "norm" not in n and "bias" not in n:
                    p.copy_(p.to(torch.bfloat16).float())
        store("round.", model)
        store("bf16.", model.to(torch.bfloat16))
        save_file({k: v.contiguous() for k, v in out.items()}, os.path.join(folder, "expected.safetensors"))
        os.remove(os.path.join(folder, "adapter", "README.md")) if os.path.exists(
            os.path.join(folder, "adapter", "README.md")) else None
        print(case, {f: os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder)})


if __name__ == "__main__":
    main()

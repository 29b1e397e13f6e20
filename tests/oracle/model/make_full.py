#!/usr/bin/env python3
"""PyTorch's gradients of every parameter of tiny models (make_model.py's), for training without an adapter.

For each case full.safetensors beside its model.safetensors:
  ids.i, weights.i                 inputs; loss = sum over i, t of weights.i[t] * log p(ids.i[t + 1] | ids.i[..t])
  logp.i                           float32
  grad.NAME                        d loss / d parameter, float32
  bf16.grad.NAME                   the same by PyTorch in bfloat16 (two cases)
  round.grad.NAME                  float32 arithmetic on bf16-rounded matrices: what bf16 results are compared with

    python tests/oracle/model/make_full.py
"""
import os

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = {"qwen3_tied": False, "qwen2_untied": True, "llama3_rslora": True}
LENGTHS = [12, 2, 21, 7, 5]


def run(model, sequences, weights):
    model.zero_grad()
    loss, logps = 0.0, []
    for ids, weight in zip(sequences, weights):
        logits = model(torch.tensor([ids])).logits[0, :-1].float()
        logp = torch.log_softmax(logits, -1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
        logps.append(logp.detach())
        loss = loss + (logp * weight).sum()
    loss.backward()
    return logps, {n: p.grad.clone() for n, p in model.named_parameters()}


def main():
    for case, with_bf16 in CASES.items():
        folder = os.path.join(HERE, case)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        generator = torch.Generator().manual_seed(2)
        sequences = [torch.randint(0, model.config.vocab_size, (n,), generator=generator).tolist() for n in LENGTHS]
        weights = [torch.randn(n - 1, generator=generator) for n in LENGTHS]
        out = {}
        for i, (ids, weight) in enumerate(zip(sequences, weights)):
            out[f"ids.{i}"] = torch.tensor(ids, dtype=torch.int32)
            out[f"weights.{i}"] = weight
        logps, grads = run(model, sequences, weights)
        out.update({f"logp.{i}": logp for i, logp in enumerate(logps)})
        out.update({f"grad.{n}": g for n, g in grads.items()})
        if with_bf16:
            with torch.no_grad():
                for p in model.parameters():
                    if p.dim() == 2:
                        p.copy_(p.to(torch.bfloat16).float())
            out.update({f"round.grad.{n}": g for n, g in run(model, sequences, weights)[1].items()})
            model.to(torch.bfloat16)
            out.update({f"bf16.grad.{n}": g for n, g in run(model, sequences, weights)[1].items()})
        path = os.path.join(folder, "full.safetensors")
        save_file({k: v.contiguous() for k, v in out.items()}, path)
        print(case, os.path.getsize(path))


if __name__ == "__main__":
    main()

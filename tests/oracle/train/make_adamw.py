#!/usr/bin/env python3
"""Ten steps of torch.optim.AdamW with given gradients, clipped by torch.nn.utils.clip_grad_norm_.

For each case i: grad (10, n), as before clipping; param (11, n), exp_avg and exp_avg_sq (10, n) after
each step; norm (10), before clipping; hyper: lr, beta1, beta2, eps, weight_decay, max_norm (float64).

    python tests/oracle/train/make_adamw.py
"""
import os

import torch
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS, N = 10, 37  # 37: no multiple of a vector
CASES = [  # lr, beta1, beta2, eps, weight_decay, max_norm
    (5e-6, 0.9, 0.999, 1e-8, 0.001, 1.0),
    (1e-2, 0.9, 0.999, 1e-8, 0.1, 0.5),
    (1e-3, 0.8, 0.95, 1e-5, 0.0, 1e9),
    (0.0, 0.9, 0.999, 1e-8, 0.01, 1.0),
]


def main():
    out = {}
    for i, (lr, beta1, beta2, eps, decay, max_norm) in enumerate(CASES):
        generator = torch.Generator().manual_seed(i)
        param = torch.nn.Parameter(torch.randn(N, generator=generator))
        optimizer = torch.optim.AdamW([param], lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=decay)
        rows = {"grad": [], "param": [param.detach().clone()], "exp_avg": [], "exp_avg_sq": [], "norm": []}
        for step in range(STEPS):
            # Norms on both sides of max_norm; magnitudes over several orders; one element never moves.
            scale = 10.0 ** torch.empty(N).uniform_(-4, 0, generator=generator)
            grad = torch.randn(N, generator=generator) * scale * (0.2 if step % 2 else 2.0)
            grad[5] = 0
            rows["grad"].append(grad.clone())
            param.grad = grad
            rows["norm"].append(torch.nn.utils.clip_grad_norm_([param], max_norm))
            optimizer.step()
            rows["param"].append(param.detach().clone())
            for name in ("exp_avg", "exp_avg_sq"):
                rows[name].append(optimizer.state[param][name].clone())
        for name, values in rows.items():
            out[f"{i}.{name}"] = torch.stack(values).contiguous()
        out[f"{i}.hyper"] = torch.tensor([lr, beta1, beta2, eps, decay, max_norm], dtype=torch.float64)
    path = os.path.join(HERE, "adamw.safetensors")
    save_file(out, path)
    print(os.path.getsize(path), "bytes;", "norms", out["0.norm"].tolist())


if __name__ == "__main__":
    main()

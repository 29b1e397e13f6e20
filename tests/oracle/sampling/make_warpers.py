#!/usr/bin/env python3
"""What transformers' `generate` leaves of a distribution: the processors that a generation config asks
for, in the order in which `generate` builds them, on random logits (many of them equal), and the
log-probabilities of the ids that stay.

Logits are numbers that bf16 holds, so that both precisions see the same. Where equal logits lie
across top-p's limit, torch.sort's order decides which of them stay, and without stable=True that
order depends on the machine; here it is stable (equal logits: lower id first), and what stays is
checked to be the same but for the ids of that tie.

    python tests/oracle/sampling/make_warpers.py
"""
import json
import os

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, LogitsProcessorList

HERE = os.path.dirname(os.path.abspath(__file__))
NEUTRAL = dict(temperature=1.0, top_k=0, top_p=1.0, min_p=None, repetition_penalty=1.0)
MARGIN = 2e-6  # a decision nearer to its limit than this must be exact (sums of powers of two)
torch.set_num_threads(2)

model = LlamaForCausalLM(LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=8,
                                     num_hidden_layers=1, num_attention_heads=1))
unstable_sort = torch.sort


def stable_sort(x, dim=-1, descending=False, stable=True):
    return unstable_sort(x, dim=dim, descending=descending, stable=True)


def processed(logits, seen, settings, sort):
    config = GenerationConfig(do_sample=True, **settings)
    torch.sort = sort
    try:
        processors = model._get_logits_processor(
            generation_config=config, input_ids_seq_length=len(seen), encoder_input_ids=None,
            prefix_allowed_tokens_fn=None, logits_processor=LogitsProcessorList(), device="cpu")
        names = [type(p).__name__ for p in processors]
        out = processors(torch.tensor([seen or [0]]), logits[None].clone())[0]
    finally:
        torch.sort = unstable_sort
    return out, names


def check_margins(logits, seen, settings):
    """No cut of this case may hinge on the rounding of a softmax."""
    before, _ = processed(logits, seen, {**settings, "top_p": 1.0, "min_p": None}, stable_sort)
    p = before.double().softmax(-1)
    if settings["top_p"] < 1 and len(p) > 1:
        sums = p.sort().values.cumsum(-1)[:-1]  # the last id stays whatever it is
        gap = (sums - (1 - settings["top_p"])).abs().min().item()
        assert gap > MARGIN or gap == 0, (settings, gap)
    if settings["min_p"]:
        gap = (p / p.max() / settings["min_p"] - 1).abs().min().item()
        assert gap > MARGIN or gap == 0, (settings, gap)


def case(name, logits, seen=(), **changes):
    settings = {**NEUTRAL, **changes}
    logits = logits.to(torch.bfloat16).float()
    check_margins(logits, list(seen), settings)
    out, names = processed(logits, list(seen), settings, stable_sort)
    other, _ = processed(logits, list(seen), settings, unstable_sort)
    assert torch.equal(out.sort().values, other.sort().values), name
    kept = torch.isfinite(out).nonzero().flatten().tolist()
    logp = out.double().log_softmax(-1)
    return {"name": name, "order": names, "logits": [float(x) for x in logits],
            "seen": sorted(set(seen)), **settings, "min_p": settings["min_p"] or 0.0,
            "kept": kept, "logp": [round(float(logp[i]), 8) for i in kept]}


def main():
    g = torch.Generator().manual_seed(20)
    fine = lambda n, scale: torch.randn(n, generator=g) * scale
    coarse = lambda n, step, top: torch.randint(-top, top + 1, (n,), generator=g) * step
    flat = torch.zeros(64)
    steps = torch.arange(64) // 8 * 0.5
    cases = []
    for k in (1, 2, 7, 40, 96, 97, 5000):
        cases.append(case("top_k", fine(97, 3), top_k=k))
        cases.append(case("top_k, ties", coarse(97, 0.5, 6), top_k=k))
    for p in (0.0, 1e-9, 0.05, 0.3, 0.5, 0.9, 0.95, 0.999):
        cases.append(case("top_p", fine(97, 3), top_p=p))
        cases.append(case("top_p, ties", coarse(97, 0.5, 6), top_p=p, temperature=0.7))
    for p in (0.25, 0.5, 0.75, 1 - 1 / 64, 1 / 64):
        cases.append(case("top_p, all equal", flat, top_p=p))
        cases.append(case("top_p, stairs", steps, top_p=p + 0.003))
    for m in (1e-4, 0.05, 0.3, 1.0):
        cases.append(case("min_p", fine(97, 3), min_p=m))
        cases.append(case("min_p, ties", coarse(97, 0.5, 6), min_p=m))
    for temperature in (0.3, 1.7):
        cases.append(case("all", fine(97, 3), temperature=temperature, top_k=30, top_p=0.9,
                          min_p=0.02))
        cases.append(case("all, ties", coarse(97, 0.25, 12), temperature=temperature, top_k=30,
                          top_p=0.9, min_p=0.02))
    for penalty in (1.3, 0.8):
        seen = torch.randint(0, 97, (60,), generator=g).tolist()
        cases.append(case("penalty", fine(97, 3), seen, repetition_penalty=penalty))
        cases.append(case("penalty and all", fine(97, 3), seen, repetition_penalty=penalty,
                          temperature=0.8, top_k=30, top_p=0.9, min_p=0.02))
    cases.append(case("one id", fine(1, 1), top_k=3, top_p=0.5, min_p=0.5))
    with open(os.path.join(HERE, "warpers.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
    print(len(cases), "cases;", cases[-2]["order"])


main()

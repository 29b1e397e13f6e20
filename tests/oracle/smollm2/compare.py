#!/usr/bin/env python3
"""grpo against transformers on a real model, both in float32.

    pip install torch==2.15.0 transformers==5.23.0
    python tests/oracle/smollm2/compare.py MODEL_FOLDER [GRPO_BINARY]

MODEL_FOLDER comes from tools/make_smollm2.py (any Llama or Qwen3 folder with a known template will do).
20 chats: template text, ids, log-probability of every answer token. 20 prompts: greedy tokens. Ends with
the largest differences and exits with 1 when ids or greedy tokens differ or log-probabilities are further
apart than 1e-4 (two float32 programs; transformers' own sdpa and eager attention differ by as much).
"""
import json
import subprocess
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TOPICS = [
    "uma cafeteira que chegou quebrada", "o prazo de entrega de um livro", "a troca de um tênis",
    "um celular com a tela riscada", "o reembolso de um pedido", "a cor errada de uma camiseta",
    "the capital of Brazil", "how rain forms", "a short poem about the sea", "2 + 2 * 10",
    "SELECT COUNT(*) FROM orders", "o melhor presente para a mãe", "café, pão e manteiga às 7h30",
    "um fone de ouvido sem som 🎧", "R$ 1.234,56 em três vezes", "a good name for a cat",
    "por que o céu é azul", "tabs\tand\nnew lines", "ÀÉÎÕÜ ç ñ ß", "日本語 and العربية",
]
NEW_TOKENS = 48


def chats():
    for i, topic in enumerate(TOPICS):
        messages = []
        if i % 3 == 0:
            messages.append({"role": "system", "content": "Responda em português, em uma frase."})
        messages.append({"role": "user", "content": f"Fale sobre {topic}."})
        if i % 4 == 1:
            messages.append({"role": "assistant", "content": "Claro! O que mais?"})
            messages.append({"role": "user", "content": "Mais um detalhe, por favor."})
        yield messages, f"Claro, sobre {topic} posso dizer: depende do caso {i}, mas em geral dá certo."


def grpo(binary, arguments, lines):
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    result = subprocess.run([binary, *arguments], input=text.encode(), stdout=subprocess.PIPE)
    if result.returncode:
        sys.exit(f"{' '.join(arguments)} ended with {result.returncode}")
    return [json.loads(line) for line in result.stdout.decode().splitlines()]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    folder, binary = sys.argv[1], (sys.argv[2:] or ["build/release/grpo"])[0]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    cases = list(chats())
    failures = 0

    prompts = [tokenizer.apply_chat_template(m, add_generation_prompt=True, return_dict=False)
               for m, _ in cases]
    ours = grpo(binary, ["tokenize", "--model", folder], [{"messages": m} for m, _ in cases])
    failures += sum(o["ids"] != p for o, p in zip(ours, prompts))
    print("prompt ids that differ:", failures, "of", len(cases))

    worst = 0.0
    ours = grpo(binary, ["logprob", "--model", folder, "--precision", "f32"],
                [{"prompt": m, "completion": c} for m, c in cases])
    for (_, completion), prompt, o in zip(cases, prompts, ours):
        ids = tokenizer(completion, add_special_tokens=False)["input_ids"]
        failures += o["completion_ids"] != ids
        with torch.no_grad():
            logits = model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1:-1]
        logp = torch.log_softmax(logits, -1)
        entropy = -(logp.exp() * logp).sum(-1)
        picked = logp.gather(1, torch.tensor(ids)[:, None])[:, 0]
        worst = max(worst, (picked - torch.tensor(o["logprobs"])).abs().max().item(),
                    (entropy - torch.tensor(o["entropies"])).abs().max().item())
    print(f"largest difference of a log-probability or entropy: {worst:.2e}")
    failures += worst > 1e-4

    different = 0
    ours = grpo(binary, ["generate", "--model", folder, "--precision", "f32", "--n", "1", "--max-tokens",
                         str(NEW_TOKENS), "--temperature", "0"], [{"prompt": m} for m, _ in cases])
    for prompt, o in zip(prompts, ours):
        with torch.no_grad():
            out = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=NEW_TOKENS,
                                 attention_mask=torch.ones(1, len(prompt), dtype=torch.long))
        different += out[0, len(prompt):].tolist() != o["ids"]
    print("greedy completions that differ:", different, "of", len(cases))
    sys.exit(1 if failures or different else 0)


if __name__ == "__main__":
    main()

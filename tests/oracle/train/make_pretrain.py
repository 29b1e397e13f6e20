#!/usr/bin/env python3
"""Twenty steps of full training by transformers and PyTorch: a tiny tied Qwen3 in f32, torch.optim.AdamW with
weight decay on matrices only, clip_grad_norm_, transformers' schedules.

Writes pretrain/: config.json, tokenizer.json, tokenizer_config.json, chat_template.jinja, model.safetensors (the
initial weights, bf16, so that both read the same numbers), train.jsonl, pairs.jsonl, eval.jsonl and expected.json:
for each case the options, and of each step loss, grad_norm (before clipping) and learning_rate, and the held-out
loss after the last. Step s (0-based) trains on documents 4s … 4s + 3; in the case "packing" on rows [s·B·L, (s+1)·B·L)
of all documents end to end, where a document's rows are its predictions and a part of one has no context before it.

    python tests/oracle/train/make_pretrain.py
"""
import json
import os
import random

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM, get_scheduler

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "pretrain")
CHATML = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
          "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCAB, STEPS, SEQUENCES = 320, 20, 4
NAMES = ["Ana", "Bruno", "Carla", "Davi", "Elisa", "Fábio"]
THINGS = ["café", "livro", "bola", "mesa", "relógio", "caneca"]
ACTS = ["comprou", "devolveu", "pediu", "elogiou"]


def sentence(r):
    return f"{r.choice(NAMES)} {r.choice(ACTS)} {r.randint(1, 9)} {r.choice(THINGS)}."


def pair(r):
    name, thing = r.choice(NAMES), r.choice(THINGS)
    prompt = [{"role": "user", "content": f"O que {name} quer?"}]
    if r.random() < 0.3:
        prompt.insert(0, {"role": "system", "content": "Responda."})
    return {"prompt": prompt, "completion": f"{name} quer {r.randint(2, 9)} {thing}s."}


def chat(r):
    p = pair(r)
    return {"messages": p["prompt"] + [{"role": "assistant", "content": p["completion"]}]}


def document(r):
    kind = r.randrange(3)
    return {"text": " ".join(sentence(r) for _ in range(r.randint(1, 3)))} if kind == 0 else [pair, chat][kind - 1](r)


def make_tokenizer(texts):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=SPECIAL, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(os.path.join(OUT, "tokenizer.json"))
    with open(os.path.join(OUT, "tokenizer_config.json"), "w") as file:
        json.dump({"eos_token": "<|im_end|>", "tokenizer_class": "PreTrainedTokenizerFast"}, file)
    with open(os.path.join(OUT, "chat_template.jinja"), "w") as file:
        file.write(CHATML)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")
    fast.chat_template = CHATML
    return fast


def encode(tokenizer, row, completion_only):
    """Ids, and the index of the first token whose prediction counts."""
    plain = lambda text: tokenizer.encode(text, add_special_tokens=False)
    render = lambda messages, more: plain(tokenizer.apply_chat_template(messages, tokenize=False,
                                                                        add_generation_prompt=more))
    if "text" in row:
        return plain(row["text"]) + [tokenizer.eos_token_id], 1
    if "messages" in row and not completion_only:
        return render(row["messages"], False), 1
    prompt, completion = ((row["prompt"], row["completion"]) if "prompt" in row
                          else (row["messages"][:-1], row["messages"][-1]["content"]))
    prompt = render(prompt, True)
    return prompt + plain(completion) + plain("<|im_end|>\n"), len(prompt) if completion_only else 1


def pieces_of(documents, length):
    """Rows of all documents end to end, cut every `length`: lists of (ids, first counted token)."""
    sequences, room = [[]], length
    for ids, first in documents:
        at = 0
        while at < len(ids) - 1:
            rows = min(room, len(ids) - 1 - at)
            sequences[-1].append((ids[at:at + rows + 1], max(first - at, 1)))
            at, room = at + rows, room - rows
            if not room:
                sequences.append([])
                room = length
    return sequences[:-1]


def nll(model, sequences):
    """Sum of −log p over what counts, and how much that is."""
    total, count = 0, 0
    for sequence in sequences:
        for ids, first in sequence:
            if first >= len(ids):
                continue
            logits = model(torch.tensor([ids[:-1]])).logits[0].log_softmax(-1)
            logp = logits[range(len(ids) - 1), ids[1:]][first - 1:]
            total, count = total - logp.double().sum(), count + len(logp)
    return total, count


def train(case, sequences, held_out, weights, config):
    model = Qwen3ForCausalLM(config)
    model.load_state_dict({k: v.float() for k, v in weights.items()}, strict=False)
    model.train()
    groups = [{"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": case["weight_decay"]},
              {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=case["learning_rate"], betas=(0.9, case["adam_beta2"]), eps=1e-8)
    schedule = get_scheduler(case["lr_scheduler_type"], optimizer, case["warmup_steps"], STEPS)
    steps = []
    for s in range(STEPS):
        total, count = nll(model, sequences[SEQUENCES * s:SEQUENCES * (s + 1)])
        loss = total / count
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), case["max_grad_norm"])
        steps.append({"loss": loss.item(), "grad_norm": norm.item(), "learning_rate": schedule.get_last_lr()[0]})
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        total, count = nll(model, held_out)
    return {"options": case, "steps": steps, "eval_loss": (total / count).item(), "eval_count": count}


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    os.makedirs(OUT, exist_ok=True)
    r = random.Random(7)
    rows = {"train": [document(r) for _ in range(STEPS * SEQUENCES)],
            "pairs": [[pair, chat][i % 2](r) for i in range(STEPS * SEQUENCES)],
            "eval": [[pair, chat][i % 2](r) for i in range(8)]}
    seen = {json.dumps(row) for name in ("train", "pairs") for row in rows[name]}
    rows["eval"] = [row for row in rows["eval"] if json.dumps(row) not in seen]
    for name, list_of in rows.items():
        with open(os.path.join(OUT, f"{name}.jsonl"), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in list_of)
    texts = [row.get("text", row.get("completion", "")) for row in rows["train"]] + ["user system assistant\nO que quer?"]
    tokenizer = make_tokenizer(texts)
    config = Qwen3Config(vocab_size=VOCAB, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=128,
                         tie_word_embeddings=True, rope_theta=10000.0, eos_token_id=2, bos_token_id=None,
                         pad_token_id=0, initializer_range=0.06)
    config.architectures = ["Qwen3ForCausalLM"]
    config.save_pretrained(OUT)
    weights = {k: v.to(torch.bfloat16).contiguous() for k, v in Qwen3ForCausalLM(config).state_dict().items()
               if k != "lm_head.weight"}
    save_file(weights, os.path.join(OUT, "model.safetensors"))
    base = {"learning_rate": 5e-3, "lr_scheduler_type": "constant", "warmup_steps": 0, "weight_decay": 0.1,
            "adam_beta2": 0.95, "max_grad_norm": 1.0}
    cases = {"documents": ("train", dict(base)),
             "completions": ("pairs", dict(base, lr_scheduler_type="cosine", warmup_steps=3, max_grad_norm=0.5,
                                           completion_only_loss=True)),
             "packing": ("train", dict(base, packing=True, max_length=16, adam_beta2=0.999))}
    expected = {}
    for name, (data, case) in cases.items():
        only = case.get("completion_only_loss", False)
        documents = [encode(tokenizer, row, only) for row in rows[data]]
        held_out = [[encode(tokenizer, row, only)] for row in rows["eval"]]
        if case.get("packing"):
            sequences = pieces_of(documents, case["max_length"])
            held_out = [[(ids[i:i + case["max_length"] + 1], 1)] for [(ids, _)] in held_out
                        for i in range(0, len(ids) - 1, case["max_length"])]
        else:
            sequences = [[d] for d in documents]
        expected[name] = dict(train(case, sequences, held_out, weights, config), data=data,
                              tokens=sum(len(ids) for ids, _ in documents))
        losses = [s["loss"] for s in expected[name]["steps"]]
        print(name, "loss", losses[0], "→", losses[-1], "eval", expected[name]["eval_loss"])
    with open(os.path.join(OUT, "expected.json"), "w") as file:
        json.dump(expected, file, indent=1)
    print(sum(os.path.getsize(os.path.join(OUT, f)) for f in os.listdir(OUT)), "bytes")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The trained model of the tests: a tiny Qwen3 with its own byte-level BPE, taught by imitation.

It learns the rough answers that tests/demo/make_demo_data.py writes with --corpus: texts of very mixed
quality about an invented shop. It therefore speaks the tasks' language but is far from their best
answers, which is what GRPO then improves. Everything is seeded; the result lies in tests/demo/model.

    pip install torch==2.15.0 transformers==5.23.0 tokenizers==0.23.3
    python tests/demo/make_demo_data.py --corpus corpus.jsonl
    python tests/demo/make_demo_model.py corpus.jsonl tests/demo/model [MINUTES]
"""
import json
import random
import sys
import time

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

VOCABULARY = 1024
CONTEXT = 384
SEED = 20261123
CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def render(messages):
    return "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)


def read_corpus(path):
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [(render(r["prompt"]) + "<|im_start|>assistant\n", r["completion"] + "<|im_end|>")
            for r in rows]


def train_tokenizer(pairs):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=SPECIAL,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                                  show_progress=False)
    tokenizer.train_from_iterator((p + c for p, c in pairs), trainer)
    return tokenizer


def batches(examples, generator, tokens_per_batch):
    """Examples of similar length together, batches in random order, for ever."""
    order = sorted(range(len(examples)), key=lambda i: len(examples[i][0]))
    groups, current, longest = [], [], 0
    for i in order:
        longest = max(longest, len(examples[i][0]))
        if current and longest * (len(current) + 1) > tokens_per_batch:
            groups.append(current)
            current, longest = [], len(examples[i][0])
        current.append(i)
    groups.append(current)
    while True:
        generator.shuffle(groups)
        for group in groups:
            width = max(len(examples[i][0]) for i in group)
            ids = torch.zeros(len(group), width, dtype=torch.long)
            labels = torch.full((len(group), width), -100)
            for row, i in enumerate(group):
                sequence, prompt_length = examples[i]
                ids[row, :len(sequence)] = torch.tensor(sequence)
                # The prompt is learnt too, at its own small cost: it is Portuguese like the rest.
                labels[row, :len(sequence)] = torch.tensor(sequence)
            yield ids, labels


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    corpus, out = sys.argv[1:3]
    minutes = float(sys.argv[3]) if len(sys.argv) > 3 else 15
    torch.manual_seed(SEED)
    torch.set_num_threads(2)
    generator = random.Random(SEED)
    pairs = read_corpus(corpus)
    tokenizer = train_tokenizer(pairs)
    examples = []
    for prompt, completion in pairs:
        p, c = tokenizer.encode(prompt).ids, tokenizer.encode(completion).ids
        if len(p) + len(c) <= CONTEXT:
            examples.append((p + c, len(p)))
    print(f"{len(examples)} examples, {sum(len(e[0]) for e in examples)} tokens, longest "
          f"{max(len(e[0]) for e in examples)}, vocabulary {tokenizer.get_vocab_size()}", flush=True)

    model = Qwen3ForCausalLM(Qwen3Config(
        vocab_size=VOCABULARY, hidden_size=128, intermediate_size=384, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, head_dim=32, max_position_embeddings=512,
        rope_theta=10000.0, tie_word_embeddings=True, rms_norm_eps=1e-6, bos_token_id=None,
        eos_token_id=2, pad_token_id=0))
    print("parameters", sum(p.numel() for p in model.parameters()), flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05, betas=(0.9, 0.95))
    started, step, mean = time.time(), 0, None
    for ids, labels in batches(examples, generator, 2048):
        progress = (time.time() - started) / (60 * minutes)
        if progress >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1, (step + 1) / 50) * (1 - 0.95 * progress)
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        if step % 50 == 0:
            print(f"step {step} loss {mean:.4f} {time.time() - started:.0f} s", flush=True)

    model.to(torch.bfloat16).save_pretrained(out)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>",
                                   pad_token="<|endoftext|>", chat_template=CHATML)
    fast.save_pretrained(out)
    model.eval()
    for prompt, _ in generator.sample(pairs, 6):
        ids = torch.tensor([tokenizer.encode(prompt).ids])
        answer = model.generate(ids, do_sample=True, max_new_tokens=96, eos_token_id=2, top_k=0,
                                pad_token_id=0, attention_mask=torch.ones_like(ids))
        print("---\n" + tokenizer.decode(answer[0].tolist(), skip_special_tokens=False))


if __name__ == "__main__":
    main()

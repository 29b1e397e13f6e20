#!/usr/bin/env python3
"""The tokenizer of the built-in model: byte-level BPE trained on a corpus of `grpo data synth --corpus N`.

Writes tokenizer.json, tokenizer_config.json (with the ChatML template) and generation_config.json into a
folder. Digits stand alone, so that numbers can be copied one figure at a time; words split as in Qwen2's
pattern. Deterministic: the same corpus and size give the same bytes. With --report it prints the tokens of
prompts (as rendered) and completions for each task, in that order of lines: extraction, sql_qa, insights, push.

    pip install tokenizers==0.23.3
    grpo data synth --out shop --corpus 40000
    python tools/make_tokenizer.py shop/corpus.jsonl assets/builtin --size 2048 [--report]
"""
import argparse
import json
import os

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TASKS = ["extraction", "sql_qa", "insights", "push"]
CONTEXT = 384
CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% endif %}"
)
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)


def render(messages):
    text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
    return text + "<|im_start|>assistant\n"


def read_corpus(path):
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [(render(row["prompt"]), row["completion"] + "<|im_end|>") for row in rows]


def train(pairs, size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator((p + c for p, c in pairs), trainer)
    return tokenizer


def write_json(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=2)
        file.write("\n")


def write(tokenizer, folder):
    os.makedirs(folder, exist_ok=True)
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    write_json(folder, "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False, "eos_token": SPECIAL[2], "pad_token": SPECIAL[0],
        "chat_template": CHATML})
    write_json(folder, "generation_config.json", {
        "eos_token_id": [tokenizer.token_to_id(SPECIAL[2]), tokenizer.token_to_id(SPECIAL[0])],
        "pad_token_id": tokenizer.token_to_id(SPECIAL[0])})


def report(tokenizer, pairs):
    print(f"vocabulary {tokenizer.get_vocab_size()}; tokens, mean and max")
    lengths = [(len(p.ids), len(c.ids)) for p, c in zip(tokenizer.encode_batch([p for p, _ in pairs]),
                                                         tokenizer.encode_batch([c for _, c in pairs]))]
    for i, task in enumerate(TASKS):
        some = lengths[i::len(TASKS)]
        columns = [[p for p, _ in some], [c for _, c in some], [p + c for p, c in some]]
        print(f"{task:10}  " + "  ".join(
            f"{name} {sum(column) / len(column):6.1f} {max(column):4d}"
            for name, column in zip(("prompt", "completion", "both"), columns)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("folder")
    parser.add_argument("--size", type=int, default=2048, help="tokens, at least 259")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    pairs = read_corpus(options.corpus)
    tokenizer = train(pairs, options.size)
    write(tokenizer, options.folder)
    if options.report:
        report(tokenizer, pairs)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A llama2.c checkpoint (stories260K and its kin) as a Hugging Face folder. Standard library only.

    python3 tools/convert_llama2c.py stories260K.bin tok512.bin OUT
    grpo generate --model OUT --precision f32 --temperature 0 --max-tokens 200   < {"prompt_ids": [1]}

The checkpoint is seven int32 (dim, hidden, layers, heads, kv_heads, vocab: positive when the head is
tied, context) and float32 tensors, each for all layers. Its rotary embedding turns neighbouring pairs
(2i, 2i+1); Hugging Face's turns (i, i + head_dim/2): the rows of q and k are put in that order here.

The tokenizer file is int32 longest token, then (float32 score, int32 length, bytes) per token. Merging
the pair whose product has the best score is byte-pair encoding whose ranks are those scores, best first.
"""
import array
import json
import os
import struct
import sys


def read_checkpoint(path):
    data = open(path, "rb").read()
    dim, hidden, layers, heads, kv_heads, vocab, context = struct.unpack_from("<7i", data)
    tied, vocab = vocab > 0, abs(vocab)
    values = array.array("f")
    values.frombytes(data[28:28 + (len(data) - 28) // 4 * 4])
    if sys.byteorder == "big":
        values.byteswap()
    head_dim, at = dim // heads, 0
    tensors = {}

    def take(count, *shape):
        nonlocal at
        size = 1
        for n in shape:
            size *= n
        parts = [values[at + i * size:at + (i + 1) * size] for i in range(count)]
        at += count * size
        if at > len(values):
            sys.exit(f"{path}: ends within a tensor: not a llama2.c checkpoint of these sizes")
        return [(shape, part) for part in parts]

    def half_split(tensor, n_heads):
        (rows, cols), part = tensor
        out = array.array("f")
        for head in range(n_heads):
            for parity in (0, 1):
                for pair in range(head_dim // 2):
                    row = head * head_dim + 2 * pair + parity
                    out.extend(part[row * cols:(row + 1) * cols])
        return (rows, cols), out

    tensors["model.embed_tokens.weight"] = take(1, vocab, dim)[0]
    names = [("input_layernorm", take(layers, dim)),
             ("self_attn.q_proj", [half_split(t, heads) for t in take(layers, dim, dim)]),
             ("self_attn.k_proj",
              [half_split(t, kv_heads) for t in take(layers, kv_heads * head_dim, dim)]),
             ("self_attn.v_proj", take(layers, kv_heads * head_dim, dim)),
             ("self_attn.o_proj", take(layers, dim, dim)),
             ("post_attention_layernorm", take(layers, dim)),
             ("mlp.gate_proj", take(layers, hidden, dim)),
             ("mlp.down_proj", take(layers, dim, hidden)),
             ("mlp.up_proj", take(layers, hidden, dim))]
    tensors["model.norm.weight"] = take(1, dim)[0]
    at += 2 * context * (head_dim // 2)  # rotary tables that nobody reads
    if not tied:
        tensors["lm_head.weight"] = take(1, vocab, dim)[0]
    for name, parts in names:
        for layer, tensor in enumerate(parts):
            tensors[f"model.layers.{layer}.{name}.weight"] = tensor
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": dim,
              "intermediate_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
              "num_key_value_heads": kv_heads, "head_dim": head_dim, "vocab_size": vocab,
              "max_position_embeddings": context, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
              "hidden_act": "silu", "tie_word_embeddings": tied, "attention_bias": False,
              "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32"}
    return config, tensors


def write_safetensors(path, tensors):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name in sorted(tensors):
        shape, part = tensors[name]
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + 4 * len(part)]}
        at += 4 * len(part)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(tensors):
            part = tensors[name][1]
            if sys.byteorder == "big":
                part.byteswap()
            file.write(part.tobytes())


def read_tokenizer(path, vocab):
    data, at, tokens = open(path, "rb").read(), 4, []
    for i in range(vocab):
        score, length = struct.unpack_from("<fi", data, at)
        text = data[at + 8:at + 8 + length].decode("utf-8")
        at += 8 + length
        if i < 3:  # the file spells them with newlines around
            text = ["<unk>", "<s>", "</s>"][i]
        tokens.append((text.replace(" ", "\u2581"), score))
    return tokens


def tokenizer_json(tokens):
    ids = {}
    for i, (text, _) in enumerate(tokens):
        ids.setdefault(text, i)
    merges = []
    for text, score in tokens[3:]:
        if text.startswith("<0x") and len(text) == 6:
            continue
        for cut in range(1, len(text)):
            if text[:cut] in ids and text[cut:] in ids:
                merges.append((-score, ids[text], cut, text[:cut], text[cut:]))
    special = [{"id": i, "content": tokens[i][0], "single_word": False, "lstrip": False,
                "rstrip": False, "normalized": False, "special": True} for i in range(3)]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
        "pre_tokenizer": None,
        "post_processor": {"type": "TemplateProcessing",
                           "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                                      {"Sequence": {"id": "A", "type_id": 0}}],
                           "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                                    {"Sequence": {"id": "B", "type_id": 1}}],
                           "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>",
                  "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": True,
                  "byte_fallback": True, "ignore_merges": False, "vocab": ids,
                  "merges": [[a, b] for _, _, _, a, b in sorted(merges)]}}


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    checkpoint, tokenizer, out = sys.argv[1:]
    config, tensors = read_checkpoint(checkpoint)
    os.makedirs(out, exist_ok=True)
    write_safetensors(os.path.join(out, "model.safetensors"), tensors)
    files = {"config.json": config,
             "tokenizer.json": tokenizer_json(read_tokenizer(tokenizer, config["vocab_size"])),
             "tokenizer_config.json": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
                                       "add_bos_token": True, "tokenizer_class": "LlamaTokenizer"}}
    for name, content in files.items():
        with open(os.path.join(out, name), "w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False, indent=1)
            file.write("\n")
    print(f"{out}: {sum(len(p) for _, p in tensors.values())} parameters, "
          f"{config['vocab_size']} tokens")


if __name__ == "__main__":
    main()

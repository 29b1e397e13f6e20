#!/usr/bin/env python3
"""A model folder with random bf16 weights in the shape of Tucano2-0.5B, for timing only.

    DIR/llamacpp/bin/python bench/peers/make_model.py FOLDER TOKENIZER.JSON

Any Python with numpy will do. TOKENIZER.JSON: any byte-level BPE tokenizer of at most 49,152 tokens; the peers get token ids and do
without it, `grpo bench --model` makes its prompts with it."""
import json
import os
import shutil
import sys

import numpy

CONFIG = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072,
          "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
          "vocab_size": 49152, "max_position_embeddings": 4096, "rope_theta": 1000000.0, "rms_norm_eps": 1e-6,
          "tie_word_embeddings": True, "hidden_act": "silu", "attention_bias": False, "torch_dtype": "bfloat16",
          "bos_token_id": 1, "eos_token_id": 2}


def shapes(c):
    hidden, inner, width = c["hidden_size"], c["intermediate_size"], c["head_dim"]
    q, kv = c["num_attention_heads"] * width, c["num_key_value_heads"] * width
    yield "model.embed_tokens.weight", (c["vocab_size"], hidden)
    for i in range(c["num_hidden_layers"]):
        at = f"model.layers.{i}."
        for name, shape in (("q_proj", (q, hidden)), ("k_proj", (kv, hidden)), ("v_proj", (kv, hidden)),
                            ("o_proj", (hidden, q)), ("q_norm", (width,)), ("k_norm", (width,))):
            yield f"{at}self_attn.{name}.weight", shape
        for name, shape in (("gate_proj", (inner, hidden)), ("up_proj", (inner, hidden)),
                            ("down_proj", (hidden, inner))):
            yield f"{at}mlp.{name}.weight", shape
        yield f"{at}input_layernorm.weight", (hidden,)
        yield f"{at}post_attention_layernorm.weight", (hidden,)
    yield "model.norm.weight", (hidden,)


def values(rng, shape):
    """Norms are 1, matrices normal with deviation 0.02, cut to bf16."""
    if len(shape) == 1:
        return numpy.full(shape, 0x3f80, numpy.uint16)
    x = rng.standard_normal(shape, numpy.float32) * numpy.float32(0.02)
    return (x.view(numpy.uint32) >> 16).astype(numpy.uint16)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    folder, tokenizer = sys.argv[1:]
    with open(tokenizer, encoding="utf-8") as file:
        vocabulary = json.load(file)["model"]["vocab"]
    if len(vocabulary) > CONFIG["vocab_size"]:
        sys.exit(f"make_model.py: {tokenizer} has {len(vocabulary)} tokens, expected at most {CONFIG['vocab_size']}")
    os.makedirs(folder)
    header, offset = {}, 0
    for name, shape in shapes(CONFIG):
        size = 2 * int(numpy.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = numpy.random.default_rng(0)
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, shape in shapes(CONFIG):
            file.write(values(rng, shape).tobytes())
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(CONFIG, file, indent=2)
    shutil.copy(tokenizer, os.path.join(folder, "tokenizer.json"))
    words = {i: word for word, i in vocabulary.items()}
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as file:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": words[1], "eos_token": words[2]}, file)


if __name__ == "__main__":
    main()

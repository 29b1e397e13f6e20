#!/usr/bin/env python3
"""A random-weight Qwen3 model of a given shape, for timing and memory only.

    pip install numpy==2.4.6
    python tools/make_random_model.py OUT_FOLDER [--shape tucano2-0.5b|tiny] [--tokenizer FOLDER]

--tokenizer copies tokenizer.json, tokenizer_config.json and chat_template.jinja from another model's folder
(SmolLM2's has exactly the 49,152 tokens of the 0.5B shape).
"""
import argparse
import json
import os
import shutil
import struct

import numpy

SHAPES = {  # hidden, intermediate, layers, heads, kv heads, head_dim, vocabulary
    "tucano2-0.5b": (1024, 3072, 28, 16, 8, 128, 49152),
    "tiny": (64, 160, 2, 4, 2, 16, 512),
}


def bf16(values):
    bits = numpy.ascontiguousarray(values, dtype=numpy.float32).view(numpy.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)


def tensors(shape):
    hidden, inner, layers, heads, kv_heads, head_dim, vocabulary = SHAPES[shape]
    yield "model.embed_tokens.weight", (vocabulary, hidden)
    for i in range(layers):
        p = f"model.layers.{i}."
        yield p + "input_layernorm.weight", (hidden,)
        yield p + "self_attn.q_proj.weight", (heads * head_dim, hidden)
        yield p + "self_attn.k_proj.weight", (kv_heads * head_dim, hidden)
        yield p + "self_attn.v_proj.weight", (kv_heads * head_dim, hidden)
        yield p + "self_attn.o_proj.weight", (hidden, heads * head_dim)
        yield p + "self_attn.q_norm.weight", (head_dim,)
        yield p + "self_attn.k_norm.weight", (head_dim,)
        yield p + "post_attention_layernorm.weight", (hidden,)
        yield p + "mlp.gate_proj.weight", (inner, hidden)
        yield p + "mlp.up_proj.weight", (inner, hidden)
        yield p + "mlp.down_proj.weight", (hidden, inner)
    yield "model.norm.weight", (hidden,)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--shape", choices=SHAPES, default="tucano2-0.5b")
    parser.add_argument("--tokenizer")
    options = parser.parse_args()
    hidden, inner, layers, heads, kv_heads, head_dim, vocabulary = SHAPES[options.shape]
    os.makedirs(options.out, exist_ok=True)
    with open(os.path.join(options.out, "config.json"), "w") as file:
        json.dump({
            "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": hidden,
            "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads,
            "num_key_value_heads": kv_heads, "head_dim": head_dim, "vocab_size": vocabulary,
            "max_position_embeddings": 4096, "rope_theta": 1000000.0, "rms_norm_eps": 1e-6,
            "tie_word_embeddings": True, "hidden_act": "silu", "attention_bias": False,
            "torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2,
        }, file, indent=2)
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors(options.shape):
        size = 2 * int(numpy.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    generator = numpy.random.default_rng(0)
    with open(os.path.join(options.out, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape in tensors(options.shape):
            if len(shape) == 1:
                values = numpy.ones(shape, dtype=numpy.float32)
            else:
                values = generator.standard_normal(shape, dtype=numpy.float32) * numpy.float32(0.02)
            file.write(bf16(values).tobytes())
    if options.tokenizer:
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            path = os.path.join(options.tokenizer, name)
            if os.path.exists(path):
                shutil.copy(path, options.out)
    print("parameters", offset // 2)


if __name__ == "__main__":
    main()

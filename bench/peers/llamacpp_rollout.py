#!/usr/bin/env python3
"""llama.cpp's llama-batched-bench: one prompt shared by all sequences, bf16, flash attention. Run it with the virtual
environment that install.sh makes, which holds the program and the package gguf:

    DIR/llamacpp/bin/python bench/peers/llamacpp_rollout.py --model FOLDER [--tokens 512 …]

The model is converted once, to FOLDER's name with .gguf in DIR/llamacpp/models; shape qwen3 without biases only.
llama-batched-bench samples nothing: it feeds random tokens, so its time is that of the passes alone."""
import json
import os
import sys

import numpy

import common

MATRICES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
            "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
            "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
            "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
OTHERS = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}


def gguf_name(name):
    if name in OTHERS:
        return OTHERS[name]
    parts = name.split(".")
    return f"blk.{parts[2]}.{MATRICES['.'.join(parts[3:-1])]}.weight"


def tensors(path):
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    data = numpy.memmap(path, numpy.uint8, "r", 8 + size)
    for name, t in header.items():
        if name in ("__metadata__", "lm_head.weight"):
            continue
        if t["dtype"] != "BF16":
            sys.exit(f"llamacpp_rollout.py: {path}: {name} is {t['dtype']}, expected BF16")
        start, end = t["data_offsets"]
        yield name, data[start:end].view(numpy.uint16).reshape(t["shape"])


def convert(model, to):
    import gguf
    with open(os.path.join(model, "config.json"), encoding="utf-8") as file:
        c = json.load(file)
    if c["model_type"] != "qwen3" or not c["tie_word_embeddings"]:
        sys.exit(f"llamacpp_rollout.py: {model}: expected a qwen3 model with tied embeddings")
    w = gguf.GGUFWriter(to, "qwen3")
    w.add_block_count(c["num_hidden_layers"])
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(c["num_key_value_heads"])
    w.add_key_length(c["head_dim"])
    w.add_value_length(c["head_dim"])
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_rope_freq_base(c["rope_theta"])
    w.add_vocab_size(c["vocab_size"])
    w.add_tokenizer_model("no_vocab")
    w.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    for name, t in tensors(os.path.join(model, "model.safetensors")):
        if t.ndim == 1:  # norms are f32 there
            w.add_tensor(gguf_name(name), (t.astype(numpy.uint32) << 16).view(numpy.float32))
        else:
            w.add_tensor(gguf_name(name), numpy.ascontiguousarray(t).view(numpy.uint8),
                         raw_dtype=gguf.GGMLQuantizationType.BF16)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    p = common.options(__doc__)
    o = common.parse(p)
    model = os.path.abspath(o.model)
    file = os.path.join(sys.prefix, "models", os.path.basename(model) + ".gguf")
    if not os.path.exists(file) or os.path.getmtime(file) < os.path.getmtime(os.path.join(model, "model.safetensors")):
        os.makedirs(os.path.dirname(file), exist_ok=True)
        convert(model, file + ".new")
        os.rename(file + ".new", file)
    program = os.path.join(sys.prefix, "build", "bin", "llama-batched-bench")
    rows = o.prompt + o.generations * o.tokens
    command = [program, "-m", file, "-c", -(-rows // 256) * 256, "-npp", o.prompt, "-ntg", o.tokens, "-npl",
               o.generations, "-pps", "-fa", "on", "-t", o.threads, "--output-format", "jsonl"]
    took, peak = [], 0
    with open(os.devnull, "w", encoding="utf-8") as nothing:
        for _ in range(o.repeats):  # each run warms up by itself
            text, _, gib = common.run(command, stderr=nothing)
            results = [json.loads(found) for found in text.splitlines() if found.startswith("{")]
            if len(results) != 1 or (results[0]["pp"], results[0]["tg"], results[0]["pl"]) != (
                    o.prompt, o.tokens, o.generations):
                sys.exit(f"llamacpp_rollout.py: llama-batched-bench said: {text}")
            took.append(results[0]["t"])
            peak = max(peak, gib)
    common.report(o, "llama.cpp", version="llama-cpp-python 0.3.36", rollout=common.median(took), all=took, peak_gib=peak)


if __name__ == "__main__":
    main()

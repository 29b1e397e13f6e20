#!/usr/bin/env python3
"""Twenty conversations of each family of chat templates, rendered by transformers (families.jsonl): by the
templates in templates/ (written for these tests in the families' styles), by Qwen3's real one, which is read from
its folder and not committed, and by real ones that the trl package brings, for our own templates of those families.

    python tests/oracle/chat/make_families.py QWEN3_FOLDER LLAMA3_FOLDER       (transformers 5.23.0, trl 1.16.0)
"""

import json
import sys
from pathlib import Path

import trl
from make_chat import CONVERSATIONS, a, s, u
from transformers.utils.chat_template_utils import render_jinja_template

HERE = Path(__file__).parent
TRL = Path(trl.__file__).parent / "chat_templates"
LONG = "Relatório de março.\n\nVendas: R$ 1.234,56\n\tItens: 3 × 12\n"
CHOSEN = [CONVERSATIONS[i] for i in (0, 1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 15, 21, 23, 25)] + [
    [u(LONG), a(LONG), u("E <b>abril</b> & 'maio'?")],
    [s("  Seja breve.\n"), u("um dois três"), a(" ok "), u("\n\nfim"), a("tchau"), u("mais")],
    [s("Você responde em JSON: {\"x\": 1}"), u("{\"y\": [1, 2]}"), a("{\"z\": null}")],
    [u("{{ messages }} {% if x %} {# não é molde #}")],
    [u("ß ﬁm — “aspas” … 😀"), a("\\n não é quebra \\ barra"), u("   ")],
]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
LLAMA = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}


def rows(out, family, template, variables, source):
    out.write(json.dumps({"family": family, "variables": variables, **source}, ensure_ascii=False) + "\n")
    for i, messages in enumerate(CHOSEN):
        prompt = i % 3 != 2
        row = {"messages": messages, "add_generation_prompt": prompt}
        try:
            texts, _ = render_jinja_template([messages], chat_template=template, add_generation_prompt=prompt, **variables)
            row["text"] = texts[0]
        except Exception as e:  # the template refuses, or is given what it cannot take
            row["error"] = str(e)
        out.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    real = {name: json.loads((Path(folder) / "tokenizer_config.json").read_text())["chat_template"]
            for name, folder in zip(("qwen3", "llama3"), sys.argv[1:])}
    with open(HERE / "families.jsonl", "w") as out:
        for name, variables in (("llama31_style", {**LLAMA, "date_string": "26 Jul 2024"}), ("llama3_style", LLAMA), ("mistral_style", TOKENS), ("zephyr_style", TOKENS),
                                ("qwen25_style", {}), ("gemma_style", {"bos_token": "<bos>"}), ("deepseek_style", {"bos_token": "<｜begin▁of▁sentence｜>"}),
                                ("phi_style", {"eos_token": "<|endoftext|>"}), ("everything", {})):
            rows(out, name, (HERE / "templates" / f"{name}.jinja").read_text(), variables, {"file": f"{name}.jinja"})
        rows(out, "qwen3, real", real["qwen3"], {}, {"asset": "tokenizers/qwen3"})
        rows(out, "qwen3, real, no thinking", real["qwen3"], {"enable_thinking": False}, {"asset": "tokenizers/qwen3"})
        rows(out, "llama3, real", real["llama3"], LLAMA, {"asset": "tokenizers/llama3"})
        # Our own templates must write what the families' real ones write.
        rows(out, "qwen2.5, ours", (TRL / "qwen2_5.jinja").read_text(), {}, {"builtin": "qwen2.5"})
        rows(out, "llama3, ours", (TRL / "llama3.jinja").read_text(), LLAMA, {"builtin": "llama3"})
        rows(out, "qwen3, ours", real["qwen3"], {"enable_thinking": False}, {"builtin": "qwen3"})
        rows(out, "mistral, ours", (HERE / "templates/mistral_style.jinja").read_text(), TOKENS, {"builtin": "mistral"})
        rows(out, "zephyr, ours", (HERE / "templates/zephyr_style.jinja").read_text(), TOKENS, {"builtin": "zephyr"})


if __name__ == "__main__":
    main()

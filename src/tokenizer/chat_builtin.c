/* chat_builtin.c: see chat_builtin.h. Every template takes a system message first, then turns of
 * user and assistant. */
#include "tokenizer/chat_builtin.h"
#include <stddef.h>

#define KNOWN_ROLES                                                                                \
    "{%- if message.role not in ['system', 'user', 'assistant'] -%}"                               \
    "{{- raise_exception('role \"' ~ message.role ~ '\" is not system, user or assistant') -}}"    \
    "{%- endif -%}"

#define CHATML_TURNS                                                                               \
    "{%- for message in messages -%}" KNOWN_ROLES                                                  \
    "{{- '<|im_start|>' ~ message.role ~ '\\n' ~ message.content ~ '<|im_end|>\\n' -}}"            \
    "{%- endfor -%}"                                                                               \
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"

#define CHATML_DEFAULT_SYSTEM(text)                                                                \
    "{%- if messages[0].role != 'system' -%}"                                                      \
    "{{- '<|im_start|>system\\n" text "<|im_end|>\\n' -}}"                                         \
    "{%- endif -%}"

/* Thoughts of answers before the last question are left out; the last answer always shows a block
 * for them. enable_thinking: false puts an empty one before the new answer. */
static const char qwen3[] =
    "{%- set state = namespace(last=messages|length - 1, looking=true) -%}"
    "{%- for message in messages[::-1] -%}"
    "{%- if state.looking and message.role == 'user' and not "
    "(message.content.startswith('<tool_response>') and "
    "message.content.endswith('</tool_response>')) -%}"
    "{%- set state.last = messages|length - loop.index -%}"
    "{%- set state.looking = false -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- for message in messages -%}" KNOWN_ROLES "{%- set answer = message.content -%}"
    "{%- set thought = '' -%}"
    "{%- if message.role == 'assistant' and '</think>' in answer -%}"
    "{%- set parts = answer.split('</think>') -%}"
    "{%- set thought = parts[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') -%}"
    "{%- set answer = parts[-1].lstrip('\\n') -%}"
    "{%- endif -%}"
    "{{- '<|im_start|>' ~ message.role ~ '\\n' -}}"
    "{%- if message.role == 'assistant' and loop.index0 > state.last and (loop.last or thought) -%}"
    "{{- '<think>\\n' ~ thought.strip('\\n') ~ '\\n</think>\\n\\n' ~ answer.lstrip('\\n') -}}"
    "{%- else -%}"
    "{{- answer -}}"
    "{%- endif -%}"
    "{{- '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{- '<|im_start|>assistant\\n' -}}"
    "{%- if enable_thinking is defined and enable_thinking is false -%}"
    "{{- '<think>\\n\\n</think>\\n\\n' -}}"
    "{%- endif -%}"
    "{%- endif -%}";

static const char llama3[] =
    "{{- bos_token|default('<|begin_of_text|>') -}}"
    "{%- for message in messages -%}" KNOWN_ROLES
    "{{- '<|start_header_id|>' ~ message.role ~ '<|end_header_id|>\\n\\n' ~ message.content|trim "
    "~ '<|eot_id|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}"
    "{%- endif -%}";

/* The system message stands before the first question; turns must alternate. */
static const char mistral[] =
    "{%- set system = '' -%}"
    "{%- set turns = messages -%}"
    "{%- if messages[0].role == 'system' -%}"
    "{%- set system = messages[0].content ~ '\\n\\n' -%}"
    "{%- set turns = messages[1:] -%}"
    "{%- endif -%}"
    "{{- bos_token|default('<s>') -}}"
    "{%- for message in turns -%}"
    "{%- if message.role != ('user' if loop.index0 is even else 'assistant') -%}"
    "{{- raise_exception('after a first system message, user and assistant must alternate') -}}"
    "{%- endif -%}"
    "{%- if message.role == 'user' -%}"
    "{{- '[INST] ' ~ (system if loop.first else '') ~ message.content ~ ' [/INST]' -}}"
    "{%- else -%}"
    "{{- ' ' ~ message.content|trim ~ eos_token|default('</s>') -}}"
    "{%- endif -%}"
    "{%- endfor -%}";

static const char zephyr[] =
    "{%- for message in messages -%}" KNOWN_ROLES
    "{{- '<|' ~ message.role ~ '|>\\n' ~ message.content ~ eos_token|default('</s>') ~ '\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>\\n' -}}{%- endif -%}";

const struct chat_builtin chat_builtins[] = {
    {"chatml", CHATML_TURNS},
    {"smollm2",
     CHATML_DEFAULT_SYSTEM("You are a helpful AI assistant named SmolLM, trained by Hugging Face")
         CHATML_TURNS},
    {"qwen2.5",
     CHATML_DEFAULT_SYSTEM("You are Qwen, created by Alibaba Cloud. You are a helpful assistant.")
         CHATML_TURNS},
    {"qwen3", qwen3},
    {"llama3", llama3},
    {"mistral", mistral},
    {"zephyr", zephyr},
    {NULL, NULL},
};

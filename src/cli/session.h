/* session.h: what several commands open from the same options: the device, the model, its adapter
 * and, when text is involved, the tokenizer with the chat template; and the parts of an input line
 * that are prompts or ids. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H
#include <jansson.h>
#include <stdbool.h>
#include "base/json.h"
#include "cli/args.h"
#include "episode/episode.h"
#include "model/model.h"
#include "rollout/rollout.h"

struct session_options {                                              /* borrowed */
    const char *model;                                                /* folder */
    const char *adapter;                                              /* PEFT folder, or NULL */
    const char *chat_template, *chat_template_kwargs, *system_prompt; /* as given */
    const struct chat_options *chat; /* of a recipe, for what is not given; may be NULL */
};

/* Rows about chat messages, for three `const char *`. */
#define CHAT_ARGS(template, kwargs, system)                                                        \
    {"chat-template",                                                                              \
     ARG_TEXT,                                                                                     \
     template,                                                                                     \
     0,                                                                                            \
     0,                                                                                            \
     NULL,                                                                                         \
     NULL,                                                                                         \
     "NAME",                                                                                       \
     "A chat template instead of the model's own: chatml, smollm2, qwen2.5, qwen3, llama3, "       \
     "mistral, zephyr, or the path of a .jinja file."},                                            \
        {"chat-template-kwargs",                                                                   \
         ARG_TEXT,                                                                                 \
         kwargs,                                                                                   \
         0,                                                                                        \
         0,                                                                                        \
         NULL,                                                                                     \
         NULL,                                                                                     \
         "JSON",                                                                                   \
         "Variables of the chat template, e.g. '{\"enable_thinking\": false}'."},                  \
    {                                                                                              \
        "system-prompt", ARG_TEXT, system, 0, 0, NULL, NULL, "TEXT",                               \
            "System message for messages that have none; or JSON from task to text. Messages "     \
            "with a system message of their own keep it."                                          \
    }

/* An option of the commands that generate: an int, enum speculation. */
extern const char *const speculation_names[];
#define SPECULATION_ARG(offset)                                                                    \
    {                                                                                              \
        "speculation", ARG_CHOICE, offset, 0, 0, speculation_names, "auto", "WHEN",                \
            "Check guessed tokens, several in one pass: where that is faster (auto), never "       \
            "(off), as many "                                                                      \
            "as there is room for (always). Changes no result."                                    \
    }

/* Rows of every command's table that opens a model, at the offset of its session_options. */
#define SESSION_ARGS(type, field)                                                                  \
    {"model", ARG_TEXT, offsetof(type, field) + offsetof(struct session_options, model),           \
     0,       0,        NULL,                                                                      \
     NULL,    "DIR",    "Hugging Face model folder: config.json, *.safetensors, tokenizer.json."}, \
        {"adapter", ARG_TEXT, offsetof(type, field) + offsetof(struct session_options, adapter),   \
         0,         0,        NULL,                                                                \
         NULL,      "DIR",    "PEFT adapter folder; without it the bare base model."},             \
        CHAT_ARGS(offsetof(type, field) + offsetof(struct session_options, chat_template),         \
                  offsetof(type, field) + offsetof(struct session_options, chat_template_kwargs),  \
                  offsetof(type, field) + offsetof(struct session_options, system_prompt))

struct session {
    struct session_options options;
    struct device *device;
    model *model;
    adapter *adapter; /* NULL: bare */
    struct text_codec codec;
    bool codec_tried;
    struct err codec_err; /* why there is no codec */
};

/* Parses --chat-template-kwargs and --system-prompt; release with chat_given_free. ERR_USAGE. */
struct chat_given {
    struct chat_options options;
    json_t *kwargs, *system_prompt;
};
int chat_given_read(struct chat_given *out, const char *template, const char *kwargs,
                    const char *system_prompt, struct err *err);
void chat_given_free(struct chat_given *g);

int session_open(struct session *s, const struct session_options *options,
                 const struct common *common, struct err *err);
void session_close(struct session *s);
/* EOS set, and tokenizer and template where the folder has them: s->codec, opened on the first
 * call.
 */
int session_codec(struct session *s, struct err *err);
/* The same where text has to be read: without a tokenizer ERR_INPUT. A command that is given ids
 * never asks. */
int session_text(struct session *s, const struct text_codec **codec, struct err *err);
/* How many sequences of max_tokens new tokens decode side by side when nobody says: as many as
 * 1 GiB of keys and values holds, 1 to 32. Changes no result. */
int session_sequences(const struct session *s, int max_tokens);
/* A PEFT configuration of the adapter, or NULL: what rollout_create wants. */
const struct peft_config *session_lora(const struct session *s);

/* Appends a list of token ids, each in [0, vocab) (0: any that is not negative). ERR_INPUT names
 * the key and position. */
int ids_from_json(struct ids *out, const json_t *list, const char *key, int vocab, struct err *err);
/* Chat messages, borrowed from the list; *messages is freed with mem_free. */
int messages_from_json(struct chat_message **messages, size_t *n, const json_t *list,
                       const char *key, struct err *err);
/* The prompt of a line: "prompt_ids" as they are, "prompt" as plain text encoded as it is, or
 * "prompt" as messages through the template with the generation prompt. */
int prompt_from_json(struct session *s, struct ids *out, const json_t *line, struct err *err);
/* ERR_INPUT when there is no token, or prompt and `more` tokens exceed the model's context. */
int prompt_fits(const struct session *s, const struct ids *prompt, int more, struct err *err);
void put_ids(struct json_writer *w, const char *key, const int *ids, size_t n);
void put_floats(struct json_writer *w, const char *key, const float *x, size_t n);

/* For people: how many passes decoding took, and what came of guessed tokens. */
void session_tell_decoding(const struct rollout_counts *counts);

#endif

/* chat.h: chat messages to text, by the model's own template (jinja.h) or by one of ours. What the
 * template sees is what transformers' apply_chat_template passes: messages, tools and documents
 * (none), add_generation_prompt, the tokenizer's special tokens by name (bos_token, …), and the
 * caller's chat_template_kwargs on top. Whatever it prints, a beginning-of-text token included, is
 * the whole prompt: nothing is added when it is encoded. */
#ifndef TOKENIZER_CHAT_H
#define TOKENIZER_CHAT_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/str.h"

struct chat_message {
    const char *role; /* "system", "user", "assistant" */
    const char *content;
    size_t content_length;
    /* The object that role and content stand in, borrowed: the template sees its other keys too
     * (tool_calls, reasoning_content, name …). NULL: there are none. */
    const json_t *json;
};

/* How prompts are made, as a recipe or a command line says; all may be NULL. */
struct chat_options {
    const char *template;        /* name of a template of ours, or path of a .jinja file */
    const json_t *kwargs;        /* object: variables of the template */
    const json_t *system_prompt; /* text, or an object from task to text: see chat_system_prompt */
};

typedef struct chat_template chat_template; /* parsed; immutable, shared by threads */

/* For a model folder: options->template, else the folder's chat_template.jinja, else
 * "chat_template" in its tokenizer_config.json (text, or the one named "default" of a list). A
 * template that does not parse is ERR_INPUT with line and column; bad options are ERR_USAGE. When
 * the folder simply has none, the error's message says "has no chat template". */
int chat_template_open(chat_template **out, const char *folder, const struct chat_options *options,
                       struct err *err);
/* From a template's text alone; no special tokens. */
int chat_template_parse(chat_template **out, const char *text, size_t length, const char *where,
                        const json_t *variables, struct err *err);
void chat_template_free(chat_template *t);
/* Where its text is from: a path, "chat template NAME" for one of ours, "chat_template of FOLDER".
 */
const char *chat_template_where(const chat_template *t);
/* A special token's text as the template sees it ("bos_token"); NULL: the tokenizer names none. */
const char *chat_template_token(const chat_template *t, const char *name);
/* Whether options->template is a path (it has a "/" or ends in ".jinja") and not a name. */
bool chat_template_is_path(const char *template);
/* Appends the names of our own templates: "chatml, llama3, …". */
void chat_template_names(struct str *out);

/* What a folder's tokenizer_config.json and special_tokens_map.json call the special tokens: an
 * object from name ("eos_token", a model's own "image_token") to text. As in transformers, a config
 * that lists the added tokens is complete, else the map wins. config (may be NULL): receives the
 * first file's object, NULL when there is none. */
int chat_special_tokens(json_t **tokens, json_t **config, const char *folder, struct err *err);

/* ERR_INPUT when a row or line brings "tools" or "chat_template_kwargs" of its own (neither null
 * nor empty): TRL renders both into that row's prompt, here every prompt has the same variables. */
int chat_row_check(const json_t *row, const char *where, struct err *err);

/* Appends the rendering. A template's raise_exception is ERR_INPUT with its message. */
int chat_render(struct str *out, const chat_template *t, const struct chat_message *messages,
                size_t n, bool add_generation_prompt, struct err *err);

/* Appends what the template writes after an assistant's answer: where a turn ends. Nothing when it
 * refuses such a conversation. */
void chat_turn_end(struct str *out, const chat_template *t);

/* ERR_USAGE unless it is NULL, null, text, or an object whose values are texts. */
int chat_system_prompt_check(const json_t *system_prompt, const char *where, struct err *err);
/* The system message to put before the messages of a row of this task (may be NULL): NULL when
 * there is none, or when the messages have a system message of their own. */
const json_t *chat_system_prompt(const json_t *system_prompt, const char *task,
                                 const struct chat_message *messages, size_t n);

#endif

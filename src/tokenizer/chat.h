/* chat.h: chat messages to text, by the model's own template. A template is a Jinja program inside
 * a model file: it is never executed, it is recognised by the hash of its whole text, and an
 * unknown one is an error that says how to name a known template in the recipe (`chat_template:
 * chatml`). */
#ifndef TOKENIZER_CHAT_H
#define TOKENIZER_CHAT_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/str.h"

struct chat_message {
    const char *role; /* "system", "user", "assistant" */
    const char *content;
    size_t content_length;
};

struct chat_template; /* one row of the table of known templates */

/* From a model folder: chat_template.jinja, or chat_template in tokenizer_config.json. name (may be
 * NULL) overrides by a row's name. */
int chat_template_open(const struct chat_template **out, const char *folder, const char *name,
                       struct err *err);
const char *chat_template_name(const struct chat_template *t);
const struct chat_template *chat_template_find(const char *name);
/* By the text of a template; NULL when not known. */
const struct chat_template *chat_template_recognise(const char *text, size_t length);

int chat_render(struct str *out, const struct chat_template *t, const struct chat_message *messages,
                size_t n, bool add_generation_prompt, struct err *err);

#endif

/* jinja.h: chat templates are programs in Jinja; this runs the part of the language that Hugging
 * Face templates use, as transformers' sandboxed environment runs it (trim_blocks, lstrip_blocks,
 * loop controls, {% generation %}): text and values in, text out.
 *
 * It is total: no file, clock or object of ours can be reached, and steps, memory, output and
 * nesting are bounded, so that any template ends, well or with an error. A construct that is not
 * there is refused by name when the template is read; nothing is ever rendered approximately. The
 * parts: jinja_lex (text to tokens), jinja_parse (tokens to a tree), jinja_eval (expressions),
 * jinja_run (statements), jinja_value, jinja_print, jinja_text, jinja_method, jinja_filter,
 * jinja_test (what values can do). */
#ifndef TOKENIZER_JINJA_H
#define TOKENIZER_JINJA_H
#include <jansson.h>
#include <stddef.h>
#include "base/err.h"
#include "base/str.h"

typedef struct jinja jinja; /* a parsed template; immutable, shared by threads */

struct jinja_limits { /* of one rendering; 0: the default */
    size_t steps;     /* evaluated nodes, and work on texts by its length [2^26] */
    size_t bytes;     /* of values made [256 MiB] */
    size_t output;    /* [64 MiB] */
};

/* where: the template's file or name, for messages. Syntax errors, and constructs, filters, tests
 * and methods that are not there: ERR_INPUT with line and column. */
int jinja_parse(jinja **out, const char *text, size_t length, const char *where, struct err *err);
void jinja_free(jinja *t);

/* Appends the rendering; on an error *out is as it was. variables: a JSON object. What the template
 * itself refuses (raise_exception) is ERR_INPUT with its message. */
int jinja_render(struct str *out, const jinja *t, const json_t *variables,
                 const struct jinja_limits *limits, struct err *err);

#endif

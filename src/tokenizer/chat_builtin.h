/* chat_builtin.h: templates of our own, for models that bring none: each of the style its name
 * says, written for this program. */
#ifndef TOKENIZER_CHAT_BUILTIN_H
#define TOKENIZER_CHAT_BUILTIN_H

struct chat_builtin {
    const char *name, *text;
};
extern const struct chat_builtin chat_builtins[]; /* ends with a NULL name */

#endif

/* tokenizer.h: text to ids and back, from a Hugging Face tokenizer.json. Ids equal those of the
 * reference `tokenizers` library on any text, or loading fails naming the component we do not have:
 * never a wrong id. Immutable after loading; encoding is thread-safe with one scratch per thread.
 */
#ifndef TOKENIZER_TOKENIZER_H
#define TOKENIZER_TOKENIZER_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/str.h"

typedef struct tokenizer tokenizer;

struct ids {
    int *data;
    size_t count, capacity;
};
int ids_push(struct ids *ids, int id); /* non-zero when memory is out */
void ids_free(struct ids *ids);

int tokenizer_parse(tokenizer **out, const void *json, size_t size, const char *where,
                    struct err *err);
int tokenizer_open(tokenizer **out, const char *path /* tokenizer.json or its folder */,
                   struct err *err);
void tokenizer_free(tokenizer *t);

int tokenizer_vocab_size(const tokenizer *t); /* added tokens included */
int tokenizer_token_id(const tokenizer *t, const char *token, size_t length); /* -1: none */
bool tokenizer_is_special(const tokenizer *t, int id);

/* Appends the ids of valid UTF-8 text. Added-token strings inside the text are recognised; nothing
 * is put around it (with_special: what the post-processor would). Invalid UTF-8: ERR_INPUT. */
int tokenizer_encode(const tokenizer *t, struct ids *out, const char *text, size_t length,
                     bool with_special, struct err *err);

/* Appends the text of ids. skip_special leaves out special added tokens. An id out of range is
 * ERR_INPUT. Bytes that are no UTF-8 become U+FFFD exactly as the reference does. */
int tokenizer_decode(const tokenizer *t, struct str *out, const int *ids, size_t count,
                     bool skip_special, struct err *err);

/* Streaming: feed ids one at a time, get text as soon as it is final; the bytes of an unfinished
 * character are held back. All the pieces and the end's, joined, are what tokenizer_decode gives
 * for all the ids. Zero-initialise; nothing to free. */
struct decode_stream {
    char held[4];
    size_t n_held;
};
int tokenizer_decode_next(const tokenizer *t, struct decode_stream *stream, struct str *out, int id,
                          bool skip_special, struct err *err);
/* What is still held back becomes U+FFFD. */
void tokenizer_decode_end(struct decode_stream *stream, struct str *out);

#endif

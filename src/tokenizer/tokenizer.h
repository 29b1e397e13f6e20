/* tokenizer.h: text to ids and back, from a Hugging Face tokenizer.json. Ids equal those of the
 * reference `tokenizers` library on any text, or loading fails naming the component we do not have:
 * never a wrong id. Immutable after loading; encoding is thread-safe: its scratch lives in the
 * call.
 */
#ifndef TOKENIZER_TOKENIZER_H
#define TOKENIZER_TOKENIZER_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/str.h"
#include "tokenizer/ids.h"

typedef struct tokenizer tokenizer;

int tokenizer_parse(tokenizer **out, const void *json, size_t size, const char *where,
                    struct err *err);
int tokenizer_open(tokenizer **out, const char *path /* tokenizer.json or its folder */,
                   struct err *err);
void tokenizer_free(tokenizer *t);

/* "byte-level BPE", "BPE with byte fallback" (SentencePiece's way) or "BPE". */
const char *tokenizer_kind(const tokenizer *t);
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
 * character, and what the tokenizer's decoder may still change, are held back. All the pieces and
 * the end's, joined, are what tokenizer_decode gives for all the ids. The tokenizer must outlive
 * it. An id out of range is an error that leaves the stream as it was. */
struct decode_stream;
int decode_stream_create(struct decode_stream **out, const tokenizer *t, bool skip_special,
                         struct err *err);
int decode_stream_put(struct decode_stream *s, struct str *out, int id, struct err *err);
int decode_stream_end(struct decode_stream *s, struct str *out, struct err *err);
void decode_stream_free(struct decode_stream *s);

#endif

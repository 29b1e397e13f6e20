/* stops.h: stop strings: texts that end a completion as soon as it holds one of them.
 *
 * A completion is read as it grows, token by token, through the tokenizer's streaming decoder with
 * special tokens written out (a stop string may name one); the bytes of an unfinished character
 * wait for the rest of it. So a stop string may begin or end inside a token and reach over any
 * number of them. As in transformers the token that completes a stop string stays in the
 * completion, and its text is kept whole: the stop string, and what follows it inside that token,
 * included. Unlike there only the completion is looked at: a stop string cannot begin in the
 * prompt. */
#ifndef EPISODE_STOPS_H
#define EPISODE_STOPS_H
#include <stdbool.h>
#include "episode/episode.h"

struct stop_string {
    const char *text;
    int length;
    int *border; /* (length + 1): of the first i bytes, the longest proper prefix that ends them */
};
struct stop_strings {
    struct stop_string *items;
    int count;
    void *storage;
};
/* texts are copied. Each must be UTF-8 with at least one byte, and texts need the codec's
 * tokenizer: ERR_USAGE at `where`. No texts: an empty set. */
int stop_strings_create(struct stop_strings *s, const struct text_codec *codec,
                        const char *const *texts, size_t n, const char *where, struct err *err);
void stop_strings_free(struct stop_strings *s);

/* One growing completion, zero-initialised. matched (count, the caller's): bytes of each stop
 * string that the text ends in. */
struct stop_watch {
    struct decode_stream *stream;
    int *matched;
};
/* Begins a completion anew. */
int stop_watch_reset(struct stop_watch *w, const struct stop_strings *s,
                     const struct text_codec *codec, struct err *err);
void stop_watch_free(struct stop_watch *w);
/* Reads the next id; *hit: a stop string is complete. piece: scratch that the caller keeps. */
int stop_watch_next(struct stop_watch *w, const struct stop_strings *s,
                    const struct text_codec *codec, int id, struct str *piece, bool *hit,
                    struct err *err);

#endif

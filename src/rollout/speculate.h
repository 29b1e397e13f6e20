/* speculate.h: lossless speculation. Before a pass, each sequence's next tokens are guessed
 * (draft.h) and as many guesses as pay (pace.h) are fed behind its last token; each row draws its
 * token, and a draw counts as long as those before it were what had been fed. What a row draws
 * depends on the tokens before it and on its key alone (the row rule), so a guess that came true
 * has given the very row that a pass of its own would have given, and any other has cost a row and
 * nothing else: keys and values of wrong guesses lie in rows that the next pass writes again before
 * any query sees them. */
#ifndef ROLLOUT_SPECULATE_H
#define ROLLOUT_SPECULATE_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "rollout/draft.h"
#include "rollout/pace.h"

enum { DRAFT_MOST = 16 }; /* guesses of a sequence in one pass */

/* A sequence that decodes: its place in the text, and its guesses for the coming pass. */
struct speculated {
    struct draft_place place;
    int ids[DRAFT_MOST], n;
    unsigned char level[DRAFT_MOST]; /* of probability that all up to this one are right */
};

/* What a pass is planned for. */
struct speculation_call {
    struct speculated *const *sequences;
    const int *most; /* guesses that each may have */
    int n, room;     /* sequences; rows of a pass */
    const int *eos;  /* never guessed: nothing would follow */
    int n_eos;
};

/* Guesses for each sequence; all: as many as there is room for, whatever they cost. Their number.
 */
int speculate(const drafter *d, struct pace *p, const struct speculation_call *call, bool all);

#endif

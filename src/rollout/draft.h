/* draft.h: guesses what token comes next from what has come before: by suffix match in the prompt,
 * in the completions of the same prompt (siblings; those of an earlier epoch), and in everything
 * that was generated. A guess decides how fast a rollout is, never what it gives (speculate.h), so
 * the table forgets when it is full and need not be kept. Ids are below 2^28. */
#ifndef ROLLOUT_DRAFT_H
#define ROLLOUT_DRAFT_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum { DRAFT_SUFFIX = 7 }; /* tokens of the longest suffix that is matched */

typedef struct drafter drafter;
/* Room for what about `tokens` tokens teach. */
int drafter_create(drafter **out, size_t tokens, struct err *err);
void drafter_free(drafter *d);
size_t drafter_bytes(size_t tokens);

/* Where a sequence stands: a plain value that may be copied to look ahead. */
struct draft_place {
    uint64_t prompt; /* tells prompts apart */
    int recent[DRAFT_SUFFIX], n;
};
/* Learns a prompt; place: behind its last token. */
void draft_prompt(drafter *d, struct draft_place *place, const int *ids, int n);
/* The token that came at a place, for how good guesses are: with what was known when they were
 * made, so before draft_learn is told of it, or of what was drawn beside it. */
void draft_judge(drafter *d, const struct draft_place *place, int id);
/* The same token, for what comes next; the place moves behind it. */
void draft_learn(drafter *d, struct draft_place *place, int id);
void draft_move(struct draft_place *place, int id); /* the same, without learning */
/* The likeliest next token, or -1; chance: how often such guesses were right of late. */
int draft_guess(const drafter *d, const struct draft_place *place, float *chance);

#endif

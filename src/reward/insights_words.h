/* insights_words.h: the word lists of `insights`. */
#ifndef REWARD_INSIGHTS_WORDS_H
#define REWARD_INSIGHTS_WORDS_H
#include <stdbool.h>
#include <stddef.h>
#include "base/str.h"

/* A folded word (fold.h) is a verb that tells somebody to do something, in the infinitive or the
 * imperative. *verb tells the verbs apart: "criar" and "crie" are one. */
bool insights_action(struct slice word, int *verb);

/* The words of the trade that count where the row names none, folded; NULL at the end. */
const char *insights_domain_word(size_t i);

#endif

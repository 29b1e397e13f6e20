/* push_text.h: a short text taken apart for `push`: words with what is known of each, and counts of
 * signs. Prompts and completions go through the same function. */
#ifndef REWARD_PUSH_TEXT_H
#define REWARD_PUSH_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

struct push_token {
    size_t start, length; /* in push_text.lowered */
    size_t source;        /* where it begins in the text that was read */
    uint64_t hash;        /* of the word in lower case */
    uint64_t stem;    /* of its first five letters without accents and final s; 0: under three */
    unsigned lists;   /* push_word_lists */
    bool number;      /* digits first ("10x", "4,5") */
    bool ends_clause; /* punctuation, a sign or the end of the text follows */
    bool colon;       /* a colon follows */
};

struct push_text {
    struct push_token *tokens;
    size_t n, capacity;
    struct str lowered; /* the tokens in lower case with a space before, between and after */
    size_t letters, capitals, exclamations;
    size_t signs;   /* emoji and other symbols, as a phone shows them: a flag is one */
    size_t lines;   /* that are not blank */
    size_t longest; /* run of one such character other than white space and digits */
    bool broken;    /* control or invisible characters, invalid UTF-8, a heap of marks */
};

/* false when memory is out; release in any case. */
bool push_text_read(struct push_text *t, const char *text, size_t length);
void push_text_free(struct push_text *t);

struct slice push_token_text(const struct push_text *t, size_t i);

/* How Portuguese a word looks: 1 in a list of Portuguese words, 0 in the foreign one, else 0.9 with
 * a Portuguese ending, 0.6 when it is spelt as Portuguese words are, 0 when it is not. */
double push_word_credit(const struct push_text *t, size_t i);

#endif

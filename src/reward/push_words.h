/* push_words.h: the word lists that `push` judges by. */
#ifndef REWARD_PUSH_WORDS_H
#define REWARD_PUSH_WORDS_H
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

enum push_list {
    PUSH_PREPOSITIONS, /* de, com, para: something follows */
    PUSH_CONTRACTIONS, /* do, na, pelo: likewise */
    PUSH_ARTICLES,     /* o, a, os, as: likewise */
    PUSH_CONJUNCTIONS, /* e, ou, que: likewise */
    PUSH_POSSESSIVES,
    PUSH_GRAMMAR,      /* pronouns, adverbs, auxiliaries */
    PUSH_READER_WORDS, /* você, seu, aproveite: said to somebody */
    PUSH_IMPERATIVES,  /* of them, those that are nothing else */
    PUSH_VERBS,        /* in a finite form */
    PUSH_COMMON,
    PUSH_FOREIGN, /* English and Spanish */
    PUSH_FORMAL,
    PUSH_INSTRUCTIONS, /* of a prompt: no part of its subject */
    PUSH_META,         /* about the push */
    PUSH_LISTS
};

/* The lists that hold the word (in lower case), as bits 1 << PUSH_…; 0: none. */
unsigned push_word_lists(struct slice word);

/* The same for who has the word's hash at hand. */
uint64_t push_word_hash(struct slice word);
unsigned push_hashed_word_lists(struct slice word, uint64_t hash);

/* The i-th word of a list, NULL at its end. */
const char *push_list_word(enum push_list list, size_t i);

#endif

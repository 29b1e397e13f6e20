/* bpe.h: byte-pair merging of one word. Symbols are ids; merges are a table of pairs. */
#ifndef TOKENIZER_BPE_H
#define TOKENIZER_BPE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct merge {
    uint64_t pair;    /* left << 32 | right */
    int32_t rank, id; /* rank −1: empty slot */
};

struct merge_table {
    struct merge *slots;
    size_t capacity, count;
};

bool merge_table_put(struct merge_table *t, int left, int right, int rank, int id);
void merge_table_free(struct merge_table *t);

struct bpe_node {
    int id, previous, next; /* −1: none; id −1: merged away */
};
struct bpe_candidate {
    int rank, at, id;
};

/* Scratch that grows with the longest word seen. Zero-initialise. */
struct bpe_scratch {
    struct bpe_node *nodes;
    struct bpe_candidate *heap;
    size_t capacity;
};
/* Merges symbols[0 … n) in place; returns the number left, or −1 when memory is out. Always the
 * pair of lowest rank, the leftmost among equals: O(n log n). */
long bpe_merge(const struct merge_table *t, struct bpe_scratch *s, int *symbols, size_t n);
void bpe_scratch_free(struct bpe_scratch *s);

#endif

/* grad_tree.h: the sum of a known number of equal-sized vectors, pushed in order, combined in one
 * fixed binary tree over their index: (((0+1)+(2+3))+…). Partial sums of finished subtrees are the
 * only thing kept (a binary counter), so how many vectors are made at once changes no bit. */
#ifndef MODEL_GRAD_TREE_H
#define MODEL_GRAD_TREE_H
#include <stdbool.h>
#include <stddef.h>
#include "backend/backend.h"

enum { GRAD_TREE_LEVELS = 24 };

struct grad_tree {
    struct device *d;
    size_t size, capacity;          /* floats per vector: now, and at most */
    float *level[GRAD_TREE_LEVELS]; /* partial sum of 2^i leaves, or NULL/unused */
    bool used[GRAD_TREE_LEVELS];
    int levels;
    long pushed;
};

/* Room for up to max_leaves vectors: ceil(log2(max_leaves)) + 1 blocks, allocated here. */
int grad_tree_create(struct grad_tree *t, struct device *d, size_t size, long max_leaves,
                     struct err *err);
void grad_tree_free(struct grad_tree *t);
size_t grad_tree_bytes(size_t size, long max_leaves);
void grad_tree_reset(struct grad_tree *t);
/* Changes the size of the vectors of an empty tree, up to what it was made for. */
void grad_tree_resize(struct grad_tree *t, size_t size);
/* Adds the next leaf; NULL: a leaf of zeros. */
void grad_tree_push(struct grad_tree *t, const float *leaf);
/* Combines the unfinished subtrees, lowest level first, and returns the total (owned by the tree,
 * valid until reset). NULL when nothing was pushed. */
float *grad_tree_total(struct grad_tree *t);

#endif

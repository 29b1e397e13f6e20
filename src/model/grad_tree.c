/* grad_tree.c: a binary counter of partial sums; see grad_tree.h.
 *
 * Pushing leaf i merges as many finished subtrees as i has trailing one bits, so level l always
 * holds the sum of 2^l consecutive leaves. Older on the left: level + leaf, in this order. */
#include "model/grad_tree.h"
#include <string.h>
#include "base/check.h"

static int levels_for(long max_leaves)
{
    int levels = 1;
    while (levels < GRAD_TREE_LEVELS && (1L << (levels - 1)) < max_leaves)
        levels++;
    return levels;
}

size_t grad_tree_bytes(size_t size, long max_leaves)
{
    return (size_t)levels_for(max_leaves) * size * sizeof(float);
}

int grad_tree_create(struct grad_tree *t, struct device *d, size_t size, long max_leaves,
                     struct err *err)
{
    *t = (struct grad_tree){
        .d = d, .size = size, .capacity = size, .levels = levels_for(max_leaves)};
    CHECK((1L << (t->levels - 1)) >= max_leaves);
    for (int i = 0; i < t->levels; i++) {
        t->level[i] = d->ops->alloc(d, size * sizeof(float), err);
        if (!t->level[i]) {
            grad_tree_free(t);
            return ERR_MACHINE;
        }
    }
    return ERR_NONE;
}

void grad_tree_free(struct grad_tree *t)
{
    for (int i = 0; i < GRAD_TREE_LEVELS; i++)
        if (t->level[i])
            t->d->ops->free(t->d, t->level[i]);
    *t = (struct grad_tree){0};
}

void grad_tree_reset(struct grad_tree *t)
{
    memset(t->used, 0, sizeof t->used);
    t->pushed = 0;
}

void grad_tree_resize(struct grad_tree *t, size_t size)
{
    CHECK(size <= t->capacity && t->pushed == 0);
    t->size = size;
}

void grad_tree_push(struct grad_tree *t, const float *leaf)
{
    const struct backend *ops = t->d->ops;
    int level = 0;
    if (t->used[0]) {
        /* Carry: the sum stays in the lower level's block until it finds an empty level. */
        if (leaf)
            ops->add(t->d, t->level[0], leaf, t->size);
        for (level = 1; t->used[level]; level++) {
            CHECK(level + 1 < t->levels);
            ops->add(t->d, t->level[level], t->level[level - 1], t->size);
            t->used[level - 1] = false;
        }
        CHECK(level < t->levels);
        float *sum = t->level[level - 1];
        t->level[level - 1] = t->level[level];
        t->level[level] = sum;
        t->used[level - 1] = false;
    } else if (leaf) {
        ops->copy(t->d, t->level[0], leaf, t->size * sizeof(float));
    } else {
        ops->zero(t->d, t->level[0], t->size * sizeof(float));
    }
    t->used[level] = true;
    t->pushed++;
}

float *grad_tree_total(struct grad_tree *t)
{
    float *total = NULL;
    for (int i = 0; i < t->levels; i++) {
        if (!t->used[i])
            continue;
        if (total)
            t->d->ops->add(t->d, t->level[i], total, t->size);
        total = t->level[i];
    }
    return total;
}

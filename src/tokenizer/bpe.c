/* bpe.c: merging with a linked list of symbols and a heap of candidate pairs; see bpe.h. A
 * candidate is stale when its left symbol has been merged away or its pair now merges to something
 * else. */
#include "tokenizer/bpe.h"
#include <limits.h>
#include "base/mem.h"

static size_t slot_of(const struct merge_table *t, uint64_t pair)
{
    uint64_t h = pair * 0x9E3779B97F4A7C15ull;
    return (size_t)((h ^ h >> 29) & (t->capacity - 1));
}

static bool grow(struct merge_table *t)
{
    struct merge_table wide = {.capacity = t->capacity ? 2 * t->capacity : 64, .count = t->count};
    wide.slots = mem_alloc(wide.capacity * sizeof *wide.slots);
    if (!wide.slots)
        return false;
    for (size_t i = 0; i < wide.capacity; i++)
        wide.slots[i].rank = -1;
    for (size_t i = 0; i < t->capacity; i++) {
        if (t->slots[i].rank < 0)
            continue;
        size_t j = slot_of(&wide, t->slots[i].pair);
        while (wide.slots[j].rank >= 0)
            j = (j + 1) & (wide.capacity - 1);
        wide.slots[j] = t->slots[i];
    }
    mem_free(t->slots);
    *t = wide;
    return true;
}

bool merge_table_put(struct merge_table *t, int left, int right, int rank, int id)
{
    if (2 * t->count >= t->capacity && !grow(t))
        return false;
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t i = slot_of(t, pair);
    while (t->slots[i].rank >= 0 && t->slots[i].pair != pair)
        i = (i + 1) & (t->capacity - 1);
    t->count += t->slots[i].rank < 0;
    t->slots[i] = (struct merge){pair, rank, id}; /* a repeated pair: the last one counts */
    return true;
}

static const struct merge *merge_table_get(const struct merge_table *t, int left, int right)
{
    if (!t->count)
        return NULL;
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    for (size_t i = slot_of(t, pair); t->slots[i].rank >= 0; i = (i + 1) & (t->capacity - 1))
        if (t->slots[i].pair == pair)
            return &t->slots[i];
    return NULL;
}

void merge_table_free(struct merge_table *t)
{
    mem_free(t->slots);
    *t = (struct merge_table){0};
}

/* --- heap, smallest (rank, position) first --- */

static bool before(struct bpe_candidate a, struct bpe_candidate b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

static void heap_push(struct bpe_candidate *heap, size_t *n, struct bpe_candidate c)
{
    size_t i = (*n)++;
    while (i && before(c, heap[(i - 1) / 2])) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = c;
}

static struct bpe_candidate heap_pop(struct bpe_candidate *heap, size_t *n)
{
    struct bpe_candidate top = heap[0], last = heap[--*n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= *n)
            break;
        if (child + 1 < *n && before(heap[child + 1], heap[child]))
            child++;
        if (!before(heap[child], last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return top;
}

static bool scratch_reserve(struct bpe_scratch *s, size_t n)
{
    if (n <= s->capacity)
        return true;
    size_t capacity = s->capacity ? s->capacity : 64;
    while (capacity < n)
        capacity *= 2;
    bpe_scratch_free(s);
    s->nodes = mem_alloc(capacity * sizeof *s->nodes);
    /* n − 1 pairs at first; every merge removes a symbol and adds at most two pairs. */
    s->heap = mem_alloc(3 * capacity * sizeof *s->heap);
    if (!s->nodes || !s->heap) {
        bpe_scratch_free(s);
        return false;
    }
    s->capacity = capacity;
    return true;
}

void bpe_scratch_free(struct bpe_scratch *s)
{
    mem_free(s->nodes);
    mem_free(s->heap);
    *s = (struct bpe_scratch){0};
}

static void consider(const struct merge_table *t, struct bpe_scratch *s, size_t *n_heap, int at)
{
    if (at < 0 || s->nodes[at].next < 0)
        return;
    const struct merge *m = merge_table_get(t, s->nodes[at].id, s->nodes[s->nodes[at].next].id);
    if (m)
        heap_push(s->heap, n_heap, (struct bpe_candidate){m->rank, at, m->id});
}

long bpe_merge(const struct merge_table *t, struct bpe_scratch *s, int *symbols, size_t n)
{
    if (n < 2)
        return (long)n;
    if (n > INT_MAX / 4 || !scratch_reserve(s, n))
        return -1;
    size_t n_heap = 0;
    for (size_t i = 0; i < n; i++)
        s->nodes[i] = (struct bpe_node){symbols[i], (int)i - 1, i + 1 < n ? (int)i + 1 : -1};
    for (size_t i = 0; i + 1 < n; i++)
        consider(t, s, &n_heap, (int)i);
    while (n_heap) {
        struct bpe_candidate c = heap_pop(s->heap, &n_heap);
        struct bpe_node *left = &s->nodes[c.at];
        if (left->id < 0 || left->next < 0)
            continue;
        struct bpe_node *right = &s->nodes[left->next];
        const struct merge *m = merge_table_get(t, left->id, right->id);
        if (!m || m->id != c.id) /* as in the reference: another pair may give the same */
            continue;
        left->id = m->id;
        right->id = -1;
        left->next = right->next;
        if (left->next >= 0)
            s->nodes[left->next].previous = c.at;
        consider(t, s, &n_heap, left->previous);
        consider(t, s, &n_heap, c.at);
    }
    long out = 0;
    for (int i = 0; i >= 0; i = s->nodes[i].next)
        symbols[out++] = s->nodes[i].id;
    return out;
}

/* mem.c: counting allocator and arena; see mem.h.
 *
 * Every block carries a 32-byte header with its size, so that the count of live bytes is exact. In
 * the hostile build the header and the 16 bytes behind the block hold a pattern that free verifies,
 * and fresh memory is filled with 0xA5 so that nobody lives on accidental zeros. */
#include "base/mem.h"
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/check.h"

struct header {
    size_t size;
    size_t offset; /* from the start of the libc block to the user's pointer */
    uint64_t guard[2];
};

#define GUARD_WORD 0x9E3779B97F4A7C15ull

#ifdef GRPO_HOSTILE
enum { TAIL = 16, HOSTILE = 1 };
#else
enum { TAIL = 0, HOSTILE = 0 };
#endif

static struct {
    atomic_size_t blocks, bytes, peak, calls, failed;
    atomic_long fail_after;
} state = {.fail_after = -1};

static void *no_memory(void)
{
    atomic_fetch_add(&state.failed, 1);
    return NULL;
}

static bool injected_failure(void)
{
    atomic_fetch_add(&state.calls, 1);
    if (atomic_load(&state.fail_after) < 0)
        return false;
    return atomic_fetch_sub(&state.fail_after, 1) == 0;
}

void mem_fail_after(long calls)
{
    atomic_store(&state.fail_after, calls);
}

static void count(size_t size)
{
    atomic_fetch_add(&state.blocks, 1);
    size_t now = atomic_fetch_add(&state.bytes, size) + size;
    size_t peak = atomic_load(&state.peak);
    while (now > peak && !atomic_compare_exchange_weak(&state.peak, &peak, now)) {
    }
}

/* Writes the header just below p and the tail guard; returns p. */
static void *dress(char *p, size_t size, size_t offset)
{
    struct header *h = (struct header *)(void *)(p - sizeof *h);
    h->size = size;
    h->offset = offset;
    h->guard[0] = h->guard[1] = GUARD_WORD ^ size;
    if (HOSTILE)
        for (int i = 0; i < TAIL; i++)
            p[size + (size_t)i] = (char)0x5C;
    count(size);
    return p;
}

/* Verifies the guards, uncounts, and returns the libc block. */
static void *undress(void *pointer)
{
    char *p = pointer;
    struct header *h = (struct header *)(void *)(p - sizeof *h);
    CHECK(h->guard[0] == (GUARD_WORD ^ h->size) && h->guard[1] == h->guard[0]);
    if (HOSTILE)
        for (int i = 0; i < TAIL; i++)
            CHECK(p[h->size + (size_t)i] == (char)0x5C);
    h->guard[0] = 0;
    atomic_fetch_sub(&state.blocks, 1);
    atomic_fetch_sub(&state.bytes, h->size);
    return p - h->offset;
}

static void *allocate(size_t size)
{
    size_t total;
    if (!mem_add(&total, size, sizeof(struct header) + TAIL))
        return no_memory();
    char *block = malloc(total);
    if (!block)
        return no_memory();
    if (HOSTILE)
        memset(block, 0xA5, total);
    return dress(block + sizeof(struct header), size, sizeof(struct header));
}

void *mem_alloc(size_t size)
{
    return injected_failure() ? no_memory() : allocate(size);
}

void *mem_alloc_or_stop(size_t size)
{
    if (injected_failure())
        no_memory();
    void *p = allocate(size);
    CHECK(p && "memory is out");
    return p;
}

void *mem_calloc(size_t n, size_t size)
{
    size_t bytes;
    if (!mem_mul(&bytes, n, size))
        return no_memory();
    void *p = mem_alloc(bytes);
    if (p)
        memset(p, 0, bytes);
    return p;
}

void *mem_realloc(void *p, size_t size)
{
    if (!p)
        return mem_alloc(size);
    const struct header *h = (const struct header *)(const void *)((char *)p - sizeof *h);
    size_t old = h->size;
    /* Always move: simple, exact accounting, and stale pointers show early. Growth is geometric in
     * all callers, so the copy is amortised. */
    void *fresh = mem_alloc(size);
    if (!fresh)
        return NULL;
    memcpy(fresh, p, old < size ? old : size);
    mem_free(p);
    return fresh;
}

void mem_free(void *p)
{
    if (p)
        free(undress(p));
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t length)
{
    char *copy = mem_alloc(length + 1);
    if (copy) {
        memcpy(copy, s, length);
        copy[length] = 0;
    }
    return copy;
}

void *mem_alloc_aligned(size_t size)
{
    const size_t huge = (size_t)2 << 20, alignment = size >= huge ? huge : 64;
    size_t total;
    if (injected_failure() || !mem_add(&total, size, alignment + TAIL + sizeof(struct header)))
        return no_memory();
    char *block = malloc(total);
    if (!block)
        return no_memory();
    uintptr_t start = (uintptr_t)block + sizeof(struct header);
    uintptr_t aligned = (start + alignment - 1) & ~(uintptr_t)(alignment - 1);
    if (size >= huge) /* advice only: without huge pages it is merely slower */
        (void)madvise((void *)aligned, size & ~(huge - 1), MADV_HUGEPAGE);
    if (HOSTILE)
        memset((void *)aligned, 0xA5, size);
    return dress((char *)aligned, size, aligned - (uintptr_t)block);
}

void mem_free_aligned(void *p)
{
    mem_free(p);
}

bool mem_mul(size_t *out, size_t a, size_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}

bool mem_add(size_t *out, size_t a, size_t b)
{
    return !__builtin_add_overflow(a, b, out);
}

void mem_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

struct mem_stats mem_stats(void)
{
    return (struct mem_stats){.live_blocks = atomic_load(&state.blocks),
                              .live_bytes = atomic_load(&state.bytes),
                              .peak_bytes = atomic_load(&state.peak),
                              .total_calls = atomic_load(&state.calls),
                              .failed_calls = atomic_load(&state.failed)};
}

/* --- arena --- */

struct arena_block {
    struct arena_block *next;
    size_t capacity;
    char pad[16]; /* keeps data 16-byte aligned */
};

static char *block_data(struct arena_block *block)
{
    return (char *)(block + 1);
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t rounded;
    if (!mem_add(&rounded, size, 15))
        return NULL;
    rounded &= ~(size_t)15;
    if (!arena->head || arena->head->capacity - arena->used < rounded) {
        size_t capacity = HOSTILE ? 32 : 4096;
        if (!HOSTILE && arena->head && arena->head->capacity * 2 > capacity)
            capacity = arena->head->capacity * 2;
        if (capacity < rounded)
            capacity = rounded;
        size_t total;
        if (!mem_add(&total, capacity, sizeof(struct arena_block)))
            return NULL;
        struct arena_block *block = mem_alloc(total);
        if (!block)
            return NULL;
        block->next = arena->head;
        block->capacity = capacity;
        arena->head = block;
        arena->used = 0;
    }
    void *p = block_data(arena->head) + arena->used;
    arena->used += rounded;
    return p;
}

char *arena_strndup(struct arena *arena, const char *s, size_t length)
{
    char *copy = arena_alloc(arena, length + 1);
    if (copy) {
        memcpy(copy, s, length);
        copy[length] = 0;
    }
    return copy;
}

void arena_reset(struct arena *arena)
{
    while (arena->head && arena->head->next) {
        struct arena_block *next = arena->head->next;
        arena->head->next = next->next;
        mem_free(next);
    }
    arena->used = 0;
}

void arena_free(struct arena *arena)
{
    while (arena->head) {
        struct arena_block *next = arena->head->next;
        mem_free(arena->head);
        arena->head = next;
    }
    arena->used = 0;
}

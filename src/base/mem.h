/* mem.h: the one allocator. It counts live blocks and bytes, can be told to fail on the n-th call
 * (tests), and in the hostile build (GRPO_HOSTILE) writes guard bytes that are checked on free.
 * Sizes computed from files go through mem_mul/mem_add. Thread-safe. */
#ifndef BASE_MEM_H
#define BASE_MEM_H
#include <stdbool.h>
#include <stddef.h>

/* NULL when memory is out (or the injected failure is due): callers turn that into ERR_MACHINE.
 * Size 0 gives a unique pointer that may be freed. */
void *mem_alloc(size_t size);
void *mem_calloc(size_t count, size_t size); /* checked product, zeroed */
void *mem_realloc(void *p, size_t size);     /* p may be NULL */
void mem_free(void *p);                      /* NULL is fine */
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t length);

/* Large numeric blocks: 64-byte aligned, huge pages advised from 2 MiB on, contents undefined.
 * Freed with mem_free_aligned. Counted like the rest. */
void *mem_alloc_aligned(size_t size);
/* For a library that cannot bear a failed allocation: an injected failure is counted in
 * failed_calls and memory given all the same; when it is really out the program stops. */
void *mem_alloc_or_stop(size_t size);
void mem_free_aligned(void *p);

bool mem_mul(size_t *out, size_t a, size_t b); /* false on overflow */
bool mem_add(size_t *out, size_t a, size_t b);

/* What was freed goes back to the system, as far as the C library can: what is resident then is in
 * use. For who is about to look at how much that is. */
void mem_trim(void);

struct mem_stats {
    size_t live_blocks, live_bytes, peak_bytes, total_calls;
    size_t failed_calls; /* that returned NULL: tells what made a library give up */
};
struct mem_stats mem_stats(void);
void mem_fail_after(
    long calls); /* the call numbered `calls` from now (0 = next) fails; -1: never */

/* Arena: bump allocation, freed as a whole. Zero-initialise; block size grows on demand. */
struct arena_block;
struct arena {
    struct arena_block *head;
    size_t used;
};
void *arena_alloc(struct arena *arena, size_t size); /* 16-byte aligned, NULL when memory is out */
char *arena_strndup(struct arena *arena, const char *s, size_t length);
void arena_reset(struct arena *arena); /* keeps one block for reuse */
void arena_free(struct arena *arena);

#endif

/* test_mem.c: the counting allocator, its injected failures, and the arena. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "../support/support.h"
#include "base/mem.h"
#include "base/sanitizer.h"

static void test_counts(void **state)
{
    (void)state;
    struct mem_stats before = mem_stats();
    char *a = mem_alloc(100);
    char *b = mem_calloc(10, 20);
    assert_int_equal(mem_stats().live_blocks, before.live_blocks + 2);
    assert_int_equal(mem_stats().live_bytes, before.live_bytes + 300);
    for (int i = 0; i < 200; i++)
        assert_int_equal(b[i], 0);
    memset(a, 7, 100);
    a = mem_realloc(a, 1000);
    assert_int_equal(mem_stats().live_bytes, before.live_bytes + 1200);
    for (int i = 0; i < 100; i++)
        assert_int_equal(a[i], 7);
    a = mem_realloc(a, 10);
    assert_int_equal(mem_stats().live_bytes, before.live_bytes + 210);
    assert_true(mem_stats().peak_bytes >= before.live_bytes + 1200);
    mem_free(a);
    mem_free(b);
    mem_free(NULL);
    assert_int_equal(mem_stats().live_blocks, before.live_blocks);
    assert_int_equal(mem_stats().live_bytes, before.live_bytes);
}

static void test_zero_and_overflow(void **state)
{
    (void)state;
    void *a = mem_alloc(0), *b = mem_alloc(0);
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    mem_free(a);
    mem_free(b);
    assert_null(mem_calloc(SIZE_MAX / 2, 3));
    assert_null(mem_alloc(SIZE_MAX));
    assert_null(mem_alloc(SIZE_MAX - 31));
    for (size_t i = 0; i < 200; i++)
        assert_null(mem_alloc_aligned(SIZE_MAX - i));
    size_t out;
    assert_false(mem_mul(&out, SIZE_MAX, 2));
    assert_true(mem_mul(&out, SIZE_MAX, 1));
    assert_false(mem_add(&out, SIZE_MAX, 1));
    assert_true(mem_add(&out, SIZE_MAX - 1, 1));
}

static void test_aligned(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 63, 64, 4097, ((size_t)4 << 20) + 5};
    struct mem_stats before = mem_stats();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *p = mem_alloc_aligned(sizes[i]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        memset(p, 1, sizes[i]);
        assert_int_equal(mem_stats().live_bytes, before.live_bytes + sizes[i]);
        mem_free_aligned(p);
    }
    assert_int_equal(mem_stats().live_blocks, before.live_blocks);
}

static void test_injected_failure(void **state)
{
    (void)state;
    mem_fail_after(1);
    void *first = mem_alloc(1);
    assert_non_null(first);
    assert_null(mem_alloc(1));
    void *third = mem_alloc(1); /* only the one call fails */
    assert_non_null(third);
    mem_fail_after(0);
    assert_null(mem_realloc(third, 10)); /* third is still ours */
    mem_fail_after(0);
    assert_null(mem_alloc_aligned(10));
    mem_fail_after(-1);
    mem_free(first);
    mem_free(third);
}

static void test_strings(void **state)
{
    (void)state;
    char *a = mem_strdup("hello"), *b = mem_strndup("hello", 2), *c = mem_strndup("", 0);
    assert_string_equal(a, "hello");
    assert_string_equal(b, "he");
    assert_string_equal(c, "");
    mem_free(a);
    mem_free(b);
    mem_free(c);
}

static void *churn(void *argument)
{
    (void)argument;
    for (int i = 0; i < 2000; i++) {
        char *p = mem_alloc((size_t)i % 97);
        p = mem_realloc(p, (size_t)i % 31);
        mem_free(p);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    struct mem_stats before = mem_stats();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(mem_stats().live_blocks, before.live_blocks);
    assert_int_equal(mem_stats().live_bytes, before.live_bytes);
}

static double resident(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %lu", &pages), 1);
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* Large blocks between small ones that stay: the C library keeps them when they are freed. (A
 * sanitizer's allocator has ways of its own.) */
static void test_trim(void **state)
{
    (void)state;
    enum { BLOCKS = 64, BYTES = 100000 };
    char *large[BLOCKS], *small[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        large[i] = mem_alloc(BYTES);
        small[i] = mem_alloc(64);
        assert_true(large[i] && small[i]);
        memset(large[i], 1, BYTES);
    }
    for (int i = 0; i < BLOCKS; i++)
        mem_free(large[i]);
    double before = resident();
    mem_trim();
    print_message("given back: %.1f MiB of %.1f\n", (before - resident()) / 0x1p20,
                  (double)BLOCKS * BYTES / 0x1p20);
#if defined __GLIBC__ && !SANITIZED
    assert_true(before - resident() > 0.7 * BLOCKS * BYTES);
#endif
    for (int i = 0; i < BLOCKS; i++) {
        small[i][63] = 1;
        mem_free(small[i]);
    }
}

static void test_arena(void **state)
{
    (void)state;
    size_t live = mem_stats().live_blocks;
    struct arena arena = {0};
    char *kept[300];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 300; i++) {
            kept[i] = arena_alloc(&arena, (size_t)i);
            assert_non_null(kept[i]);
            assert_int_equal((uintptr_t)kept[i] % 16, 0);
            memset(kept[i], i & 127, (size_t)i);
        }
        for (int i = 0; i < 300; i++) /* no block lies on another */
            for (int j = 0; j < i; j++)
                assert_int_equal(kept[i][j], i & 127);
        assert_string_equal(arena_strndup(&arena, "abcdef", 3), "abc");
        arena_reset(&arena);
        assert_int_equal(mem_stats().live_blocks, live + 1);
    }
    assert_null(arena_alloc(&arena, SIZE_MAX - 3));
    mem_fail_after(0);
    assert_null(arena_alloc(&arena, 1 << 20));
    mem_fail_after(-1);
    arena_free(&arena);
    assert_int_equal(mem_stats().live_blocks, live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),  cmocka_unit_test(test_zero_and_overflow),
        cmocka_unit_test(test_aligned), cmocka_unit_test(test_injected_failure),
        cmocka_unit_test(test_strings), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_trim),    cmocka_unit_test(test_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

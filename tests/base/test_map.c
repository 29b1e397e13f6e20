/* test_map.c: the hash map against what it was told. */
#include <stdio.h>
#include <string.h>
#include "../support/support.h"
#include "base/map.h"
#include "base/mem.h"

static void test_many(void **state)
{
    (void)state;
    struct map map = {0};
    char key[32];
    for (int i = 0; i < 20000; i++) {
        int n = snprintf(key, sizeof key, "key-%d", i);
        assert_true(map_put(&map, key, (size_t)n, i));
    }
    assert_int_equal(map.count, 20000);
    for (int i = 0; i < 20000; i += 3) {
        int n = snprintf(key, sizeof key, "key-%d", i);
        assert_true(map_put(&map, key, (size_t)n, -i));
    }
    assert_int_equal(map.count, 20000);
    for (int i = 0; i < 20000; i++) {
        int n = snprintf(key, sizeof key, "key-%d", i);
        int32_t value;
        assert_true(map_get(&map, key, (size_t)n, &value));
        assert_int_equal(value, i % 3 ? i : -i);
    }
    assert_false(map_get(&map, "key-20000", 9, NULL));
    assert_false(map_get(&map, "key", 3, NULL));
    map_free(&map);
}

static void test_bytes(void **state)
{
    (void)state;
    struct map map = {0};
    assert_false(map_get(&map, "", 0, NULL));
    assert_true(map_put(&map, "", 0, 1));
    assert_true(map_put(&map, "\0", 1, 2));
    assert_true(map_put(&map, "\0\0", 2, 3));
    assert_true(map_put(&map, "a\0b", 3, 4));
    assert_true(map_put(&map, "a\0c", 3, 5));
    int32_t value;
    assert_true(map_get(&map, NULL, 0, &value));
    assert_int_equal(value, 1);
    assert_true(map_get(&map, "\0\0", 2, &value));
    assert_int_equal(value, 3);
    assert_true(map_get(&map, "a\0b", 3, &value));
    assert_int_equal(value, 4);
    assert_int_equal(map.count, 5);
    map_free(&map);
}

static void test_no_memory(void **state)
{
    (void)state;
    size_t live = mem_stats().live_blocks;
    for (int n = 0; n < 20; n++) {
        struct map map = {0};
        bool ok = true;
        char key[32];
        mem_fail_after(n);
        for (int i = 0; i < 200; i++) {
            int length = snprintf(key, sizeof key, "%d", i);
            bool put = map_put(&map, key, (size_t)length, i);
            ok = ok && put;
            /* Whatever failed, what was put is still there. */
            assert_int_equal(put, map_get(&map, key, (size_t)length, NULL));
        }
        mem_fail_after(-1);
        if (n < 5)
            assert_false(ok);
        map_free(&map);
        assert_int_equal(mem_stats().live_blocks, live);
    }
}

/* One flipped bit anywhere changes about half of the hash. */
static void test_hash_spreads(void **state)
{
    (void)state;
    unsigned char bytes[19] = {0};
    double total = 0;
    uint64_t base = hash_bytes(bytes, sizeof bytes, 0);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        int changed = __builtin_popcountll(base ^ hash_bytes(bytes, sizeof bytes, 0));
        assert_in_range(changed, 10, 54);
        total += changed;
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    assert_in_range((int)(total / (8 * sizeof bytes)), 29, 35);
    assert_true(hash_bytes("a", 1, 0) != hash_bytes("a", 1, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_hash_spreads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

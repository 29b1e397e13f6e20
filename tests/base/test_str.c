/* test_str.c: growable strings, UTF-8, and the nearest name. */
#include <stdio.h>
#include <string.h>
#include "../support/support.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

static void test_append(void **state)
{
    (void)state;
    struct str s = {0};
    assert_string_equal(str_text(&s), "");
    str_puts(&s, "ab");
    str_putc(&s, 'c');
    str_append(&s, "\0d", 2);
    str_printf(&s, "%d-%s", 42, "x");
    assert_int_equal(s.length, 9);
    assert_memory_equal(s.data, "abc\0d42-x", 10);
    for (int i = 0; i < 10000; i++)
        str_putc(&s, 'z');
    assert_int_equal(s.length, 10009);
    assert_int_equal(s.data[s.length], 0);
    str_clear(&s);
    assert_string_equal(str_text(&s), "");
    assert_false(s.failed);
    str_free(&s);
}

static void test_failure_is_sticky(void **state)
{
    (void)state;
    struct str s = {0};
    str_puts(&s, "kept");
    mem_fail_after(0);
    str_printf(&s, "%0100d", 1);
    mem_fail_after(-1);
    assert_true(s.failed);
    str_puts(&s, "!"); /* would fit, but the string is known to be incomplete */
    assert_string_equal(str_text(&s), "kept");
    str_free(&s);
}

/* Every code point goes out and comes back; surrogates do not. */
static void test_utf8_round_trip(void **state)
{
    (void)state;
    struct str s = {0};
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        str_clear(&s);
        str_put_utf8(&s, c);
        int32_t back;
        int n = utf8_decode(s.data, s.length, &back);
        bool surrogate = c >= 0xD800 && c < 0xE000;
        if (back != (surrogate ? -1 : (int32_t)c) || (!surrogate && n != (int)s.length))
            fail_msg("code point %x: %d bytes, %x back", c, n, (unsigned)back);
    }
    str_free(&s);
}

static void test_utf8_invalid(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80",         "\xC0\x80",         "\xC1\xBF",         "\xE0\x80\x80",
        "\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
        "\xC3",         "\xE2\x82",         "\xF0\x9F\x98",     "\xFF"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        int32_t c;
        assert_int_equal(utf8_decode(bad[i], strlen(bad[i]), &c), 1);
        assert_int_equal(c, -1);
        assert_false(utf8_valid(bad[i], strlen(bad[i])));
    }
    assert_true(utf8_valid("ação 😀", strlen("ação 😀")));
    assert_true(utf8_valid("", 0));
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const keys[] = {"learning_rate", "num_generations", "beta", "epsilon_high"};
    assert_int_equal(str_nearest("learning_rat", keys, 4), 0);
    assert_int_equal(str_nearest("num_generation", keys, 4), 1);
    assert_int_equal(str_nearest("betta", keys, 4), 2);
    assert_int_equal(str_nearest("something_else", keys, 4), -1);
    assert_int_equal(str_nearest("x", keys, 4), -1);
    assert_int_equal(str_nearest("", keys, 4), -1);
    assert_int_equal(str_nearest("beta", keys, 0), -1);
    char long_name[200];
    memset(long_name, 'a', sizeof long_name);
    long_name[199] = 0;
    assert_int_equal(str_nearest(long_name, keys, 4), -1);
    const char *const long_keys[] = {long_name};
    assert_int_equal(str_nearest("aaaa", long_keys, 1), -1);
}

static void printable(const char *text, size_t length, size_t columns, const char *expected)
{
    struct str s = {0};
    log_printable(&s, text, length, columns);
    assert_string_equal(str_text(&s), expected);
    str_free(&s);
}

static void test_printable(void **state)
{
    (void)state;
    printable("olá\tx", 6, 0, "olá\\u0009x");
    printable("\033[2J", 4, 0, "\\u001b[2J");
    printable("a\0b", 3, 0, "a\\u0000b");
    printable("a\xFF", 2, 0, "a\\xff");
    printable("\xC2\x9B", 2, 0, "\\u009b"); /* C1: CSI */
    printable("\xE2\x80\xAE"
              "abc",
              6, 0, "\\u202eabc"); /* right-to-left override */
    printable("abcdef", 6, 4, "abc…");
    printable("abcd", 4, 4, "abcd");
    printable("ãããã", 8, 3, "ãã…");
    printable("", 0, 3, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),          cmocka_unit_test(test_failure_is_sticky),
        cmocka_unit_test(test_utf8_round_trip), cmocka_unit_test(test_utf8_invalid),
        cmocka_unit_test(test_nearest),         cmocka_unit_test(test_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

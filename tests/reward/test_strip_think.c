/* test_strip_think.c: what reward.h promises of strip_think, and that it is one linear pass. */
#include <stdlib.h>
#include <time.h>
#include "cases.h"

static void check(const char *text, const char *expected)
{
    struct str out = {0};
    strip_think(&out, text, strlen(text));
    assert_false(out.failed);
    if (strcmp(str_text(&out), expected) != 0)
        fail_msg("\"%s\" gave \"%s\", expected \"%s\"", text, str_text(&out), expected);
    str_free(&out);
}

static void test_blocks(void **state)
{
    (void)state;
    check("", "");
    check("plain", "plain");
    check("a<think>b</think>c", "ac");
    check("<think>b</think>", "");
    check("a<think>b</think>c<think>d</think>e", "ace");
    check("a<THINK>b</Think>c", "ac");
    check("a<think></think>b", "ab");
    check("<think>\nlong\n\nthought\n</think>\n\nanswer\n", "\n\nanswer\n");
}

static void test_nested(void **state)
{
    (void)state;
    check("a<think>b<think>c</think>d</think>e", "ae");
    check("<think><think><think>x</think></think></think>y", "y");
    check("a<think>b<think>c</think>d", "a"); /* the outer one is not closed */
}

static void test_unclosed(void **state)
{
    (void)state;
    check("a<think>b", "a");
    check("a<think>", "a");
    check("a</think>b<think>c", "ab");
}

static void test_stray_closing(void **state)
{
    (void)state;
    check("a</think>b", "ab");
    check("</think></THINK>a", "a");
    check("a<think>b</think></think>c", "ac");
}

static void test_not_a_tag(void **state)
{
    (void)state;
    check("<think", "<think");
    check("a<think >b</think >c", "a<think >b</think >c");
    check("< think>x", "< think>x");
    check("<thinking>x</thinking>", "<thinking>x</thinking>");
    check("<th\u0131nk>x", "<th\u0131nk>x"); /* ASCII case only: dotless i is another letter */
    check("<thin\u212A>x", "<thin\u212A>x"); /* and so is the Kelvin sign */
    check("a<<think>b</think>>c", "a<>c");
}

static void test_one_pass(void **state)
{
    (void)state;
    check("<thi<think>x</think>nk>y", "<think>y");
    check("<thi</think>nk>y</think>z", "<think>yz");
}

static void test_appends_and_nul(void **state)
{
    (void)state;
    struct str out = {0};
    str_puts(&out, "kept ");
    strip_think(&out, "a\0b<think>\0</think>\0", 20);
    assert_int_equal(out.length, 5 + 4);
    assert_memory_equal(out.data, "kept a\0b\0", 9);
    str_free(&out);
}

static void test_linear(void **state)
{
    (void)state;
    static const char *const units[] = {"<",        "<think",           "<think>",
                                        "</think>", "<think></think>x", "</thin"};
    enum { SIZE = 1 << 21 };
    char *text = malloc(SIZE);
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        size_t n = strlen(units[u]);
        for (size_t i = 0; i < SIZE; i++)
            text[i] = units[u][i % n];
        struct str out = {0};
        clock_t start = clock();
        strip_think(&out, text, SIZE);
        assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 5);
        assert_false(out.failed);
        assert_true(out.length <= SIZE);
        str_free(&out);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),          cmocka_unit_test(test_nested),
        cmocka_unit_test(test_unclosed),        cmocka_unit_test(test_stray_closing),
        cmocka_unit_test(test_not_a_tag),       cmocka_unit_test(test_one_pass),
        cmocka_unit_test(test_appends_and_nul), cmocka_unit_test(test_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

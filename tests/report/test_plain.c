/* test_plain.c: Markdown as doc.h writes it, for a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "report/doc.h"
#include "report/plain.h"

static void expect(const char *markdown, const char *plain)
{
    struct str out = {0};
    plain_text(&out, markdown, strlen(markdown));
    assert_string_equal(str_text(&out), plain);
    str_free(&out);
}

static void test_words(void **state)
{
    (void)state;
    expect("", "");
    expect("**Improved\\. p &lt; 0.1 \\[+0.2\\] a &amp; b**\n", "Improved. p < 0.1 [+0.2] a & b\n");
    expect("\\* \\\\ \\| &amp;lt; &gt; &l", "* \\ | &lt; &gt; &l"); /* once, and only ours */
    expect("ends in \\", "ends in \\");
    expect("- a\n- b", "- a\n- b");
}

static void test_tables(void **state)
{
    (void)state;
    expect("| Task | n | Verdict |\n|---|---|---|\n| extração | 60 | improved |\n| a\\|b | 7 | "
           "cannot tell |\n\nafter\n",
           "Task      n   Verdict\nextração  60  improved\na|b       7   cannot tell\n\nafter\n");
    expect("| a |  | c |\n", "a    c\n");
    expect("|", "\n");
    expect("| no end", "\n");
}

/* What doc.h was given comes back as it was, whatever Markdown thinks of it. */
static void test_of_doc(void **state)
{
    (void)state;
    static const char odd[] = "a_b *c* [d](e) `f` <g> & h | i \\ ~j~ $k$ _l_ &lt;";
    static const char *const heads[] = {"one", "two"};
    struct doc d = {0};
    struct str out = {0};
    doc_text(&d, "%s", odd);
    doc_table_begin(&d, heads, 2);
    doc_cell(&d, "%s", odd);
    doc_cell(&d, "%s", odd);
    doc_table_end(&d);
    plain_text(&out, str_text(&d.md), d.md.length);
    const char *first = strstr(str_text(&out), odd);
    assert_non_null(first);
    const char *second = strstr(first + 1, odd);
    assert_non_null(second);
    assert_non_null(strstr(second + 1, odd));
    assert_null(strstr(str_text(&out), "---"));
    str_free(&out);
    doc_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_tables),
                                       cmocka_unit_test(test_of_doc)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

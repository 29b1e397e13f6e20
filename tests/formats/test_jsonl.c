/* test_jsonl.c: lines of objects, and what may stand around them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/mem.h"
#include "formats/jsonl.h"

static char *folder;

static int setup(void **state)
{
    (void)state;
    folder = temp_folder();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_folder_remove(folder);
    return 0;
}

static void open_text(struct jsonl_reader *r, const char *text, size_t length)
{
    struct str path = {0};
    struct err err = {0};
    path_join(&path, folder, "x.jsonl");
    assert_int_equal(file_write_atomic(str_text(&path), text, length, &err), 0);
    assert_int_equal(jsonl_open(r, str_text(&path), &err), 0);
    str_free(&path);
}

/* Reads all lines: for each its number and either the value of "a" or "!" and the message. */
static char *read_all(const char *text, size_t length)
{
    struct jsonl_reader r;
    struct str out = {0};
    struct err err = {0};
    json_t *v;
    int got;
    open_text(&r, text, length);
    while ((got = jsonl_next(&r, &v, &err)) == 1) {
        str_printf(&out, "%ld:", r.line);
        if (v)
            str_printf(&out, "%lld ", json_integer_value(json_object_get(v, "a")));
        else
            str_puts(&out, "! ");
        json_decref(v);
    }
    assert_int_equal(got, 0);
    assert_int_equal(jsonl_next(&r, &v, &err), 0); /* the end stays the end */
    jsonl_close(&r);
    char *result = strdup(str_text(&out));
    str_free(&out);
    return result;
}

static void check(const char *text, size_t length, const char *expected)
{
    char *got = read_all(text, length);
    assert_string_equal(got, expected);
    free(got);
}
#define CHECK_LINES(text, expected) check(text, sizeof(text) - 1, expected)

static void test_lines(void **state)
{
    (void)state;
    CHECK_LINES("", "");
    CHECK_LINES("\n\n", "");
    CHECK_LINES("{\"a\":1}\n{\"a\":2}\n", "1:1 2:2 ");
    CHECK_LINES("{\"a\":1}\n{\"a\":2}", "1:1 2:2 ");
    CHECK_LINES("{\"a\":1}\r\n\r\n{\"a\":2}\r\n", "1:1 3:2 ");
    CHECK_LINES("\xEF\xBB\xBF{\"a\":1}\n", "1:1 ");
    CHECK_LINES("\xEF\xBB\xBF\n{\"a\":1}\n", "2:1 ");
    CHECK_LINES("{\"a\":1}\n\xEF\xBB\xBF{\"a\":2}\n", "1:1 2:! ");
    CHECK_LINES("\n \t\n  {\"a\":1}  \n\n", "3:1 ");
    CHECK_LINES("{\"a\":1}\r{\"a\":2}\n", "1:! ");
}

/* A bad line says which and what, and the next one is read all the same. */
static void test_bad_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"[1]", "is a list, expected an object"},
        {"3", "is an integer, expected an object"},
        {"\"x\"", "is a string, expected an object"},
        {"null", "is null, expected an object"},
        {"{\"a\":1", "not valid JSON"},
        {"{\"a\":1} x", "not valid JSON"},
        {"{\"a\":1}{\"a\":1}", "not valid JSON"},
        {"{'a':1}", "not valid JSON"},
        {"{\"a\":NaN}", "not valid JSON"},
        {"{\"a\":\"\xFF\"}", "not valid JSON"},
        {"{\"a\":\"\xC3\"}", "not valid JSON"},
        {"{\"a\":\"\xED\xA0\x80\"}", "not valid JSON"},
        {"{\"a\":\"\\ud800\"}", "not valid JSON"},
        {"{\"a\":\"\\udc00\"}", "not valid JSON"},
        {"{\"a\":\"\\ud800x\"}", "not valid JSON"},
        {"{\"a\":\"\t\"}", "not valid JSON"},
        {"{\"a\":1e999}", "not valid JSON"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct jsonl_reader r;
        struct err err = {0};
        struct str text = {0};
        json_t *v = (json_t *)&r;
        str_printf(&text, "{\"a\":1}\n%s\n{\"a\":3}\n", bad[i].text);
        open_text(&r, str_text(&text), text.length);
        assert_int_equal(jsonl_next(&r, &v, &err), 1);
        assert_non_null(v);
        json_decref(v);
        assert_int_equal(jsonl_next(&r, &v, &err), 1);
        if (v || err.code != ERR_INPUT || !strstr(err.message, bad[i].message))
            fail_msg("%s: \"%s\"", bad[i].text, err.message);
        assert_non_null(strstr(err.where, "x.jsonl, line 2"));
        assert_int_equal(jsonl_next(&r, &v, NULL), 1);
        assert_int_equal(json_integer_value(json_object_get(v, "a")), 3);
        json_decref(v);
        assert_int_equal(jsonl_next(&r, &v, &err), 0);
        jsonl_close(&r);
        str_free(&text);
    }
}

static void test_strings(void **state)
{
    (void)state;
    struct jsonl_reader r;
    struct err err = {0};
    json_t *v;
    static const char text[] = "{\"a\":\"x\\u0000y\",\"b\":\"\\ud83d\\ude00\",\"c\":\"\xC3\xA9\"}";
    open_text(&r, text, sizeof text - 1);
    assert_int_equal(jsonl_next(&r, &v, &err), 1);
    assert_non_null(v);
    assert_int_equal(json_string_length(json_object_get(v, "a")), 3);
    assert_memory_equal(json_string_value(json_object_get(v, "a")), "x\0y", 3);
    assert_string_equal(json_string_value(json_object_get(v, "b")), "\xF0\x9F\x98\x80");
    json_decref(v);
    jsonl_close(&r);
    /* A NUL byte itself is no JSON. */
    check("{\"a\":1}\0\n{\"a\":2}\n", 17, "1:! 2:2 ");
    check("\0\n{\"a\":2}\n", 10, "1:! 2:2 ");
}

/* Lines longer than any buffer, deep nesting, and many keys. */
static void test_large_lines(void **state)
{
    (void)state;
    struct str text = {0};
    str_puts(&text, "{\"s\":\"");
    for (int i = 0; i < 100000; i++)
        str_puts(&text, "0123456789");
    str_puts(&text, "\",\"a\":5}\n{\"a\":");
    for (int i = 0; i < 10000; i++)
        str_putc(&text, '[');
    str_puts(&text, "\n{\"a\":7}\n");
    check(str_text(&text), text.length, "1:5 2:! 3:7 ");
    str_free(&text);
}

static void test_files(void **state)
{
    (void)state;
    struct jsonl_reader r;
    struct err err = {0};
    json_t *v;
    assert_int_equal(jsonl_open(&r, "no/such.jsonl", &err), ERR_INPUT);
    assert_string_equal(err.where, "no/such.jsonl");
    assert_non_null(strstr(err.message, "cannot open"));
    assert_int_equal(jsonl_open(&r, folder, &err), 0); /* a folder opens, but cannot be read */
    assert_int_equal(jsonl_next(&r, &v, &err), -1);
    assert_non_null(strstr(err.message, "cannot read"));
    jsonl_close(&r);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    struct mem_stats before = mem_stats();
    int failures = 0;
    for (long n = 0;; n++) {
        struct jsonl_reader r;
        struct err err = {0};
        json_t *v = NULL;
        open_text(&r, "{\"a\":[\"x\",{\"b\":1.5}]}\n", 23);
        mem_fail_after(n);
        int got = jsonl_next(&r, &v, n % 2 ? &err : NULL);
        mem_fail_after(-1);
        jsonl_close(&r);
        json_decref(v);
        assert_int_equal(mem_stats().live_blocks, before.live_blocks);
        if (got == 1) {
            assert_non_null(v);
            break;
        }
        assert_int_equal(got, -1);
        failures++;
    }
    assert_true(failures > 5);
}

/* The halves of jsonl_next, and what can be had without waiting: whole lines, not blank ones, not
 * the half of one; the end of the pipe too. */
static void test_ready(void **state)
{
    (void)state;
    struct jsonl_reader r = {.name = strdup("pipe")};
    struct slice text;
    struct err err = {0};
    json_t *v;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    r.fd = ends[0];
    assert_false(jsonl_ready(&r));
    assert_int_equal(write(ends[1], "\n {\"a\": 1} \r\n\n[2]\n \n\n{\"a\"", 25), 25);
    assert_true(jsonl_ready(&r));
    assert_int_equal(jsonl_take(&r, &text, &err), 1);
    assert_true(slice_equals(text, "{\"a\": 1}"));
    assert_int_equal(r.line, 2);
    assert_int_equal(jsonl_parse(&v, text, "pipe", 2, &err), 0);
    json_decref(v);
    assert_true(jsonl_ready(&r));
    assert_int_equal(jsonl_take(&r, &text, &err), 1);
    assert_int_equal(r.line, 4);
    assert_int_equal(jsonl_parse(&v, text, "pipe", r.line, &err), ERR_INPUT);
    assert_string_equal(err.where, "pipe, line 4");
    assert_null(v);
    assert_false(jsonl_ready(&r)); /* two blank lines and the half of one */
    assert_int_equal(write(ends[1], ": 3}", 4), 4);
    assert_false(jsonl_ready(&r)); /* something can be read, but no line yet */
    close(ends[1]);
    assert_int_equal(jsonl_take(&r, &text, &err), 1);
    assert_true(slice_equals(text, "{\"a\": 3}"));
    assert_int_equal(r.line, 7);
    assert_true(jsonl_ready(&r));
    assert_int_equal(jsonl_take(&r, &text, &err), 0);
    free(r.name);
    r.name = NULL;
    jsonl_close(&r);
}

static void test_skip(void **state)
{
    (void)state;
    struct jsonl_reader r;
    struct err err = {0};
    json_t *v;
    open_text(&r, "{\"a\": 1}\n{\"a\": 2}\n", 18);
    assert_int_equal(jsonl_skip(&r, 9, &err), 0);
    assert_int_equal(jsonl_next(&r, &v, &err), 1);
    assert_int_equal(json_integer_value(json_object_get(v, "a")), 2);
    assert_int_equal(r.line, 1);
    json_decref(v);
    jsonl_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),   cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_strings), cmocka_unit_test(test_large_lines),
        cmocka_unit_test(test_files),   cmocka_unit_test(test_ready),
        cmocka_unit_test(test_skip),    cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

/* test_json.c: reading with positions, typed getters, and a writer whose numbers read back. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "base/json.h"
#include "base/mem.h"

static json_t *read_text(const char *text, int flags, struct err *err)
{
    return json_read(text, strlen(text), flags, "x.json", err);
}

static void test_bad(void **state)
{
    (void)state;
    char deep[10001];
    memset(deep, '[', 10000);
    deep[10000] = 0;
    const char *const bad[] = {"",
                               "{",
                               "[1,]",
                               "{\"a\":1,}",
                               "{a:1}",
                               "['a']",
                               "[1] x",
                               "[1][2]",
                               "3",
                               "\"a\"",
                               "null",
                               "[01]",
                               "[+1]",
                               "[.5]",
                               "[1.]",
                               "[NaN]",
                               "[Infinity]",
                               "[1e999]",
                               "[\"\\x\"]",
                               "[\"\t\"]",
                               "[\"\xFF\"]",
                               "[\"\xC0\x80\"]",
                               "[\"\\ud800\"]",
                               "[\"\\udc00\"]",
                               "[\"\\u12\"]",
                               "[\"a]",
                               "[/*c*/1]",
                               "[99999999999999999999]",
                               "[\"\\u0000\"]",
                               deep,
                               "[\"\xED\xA0\x80\"]",
                               "\xEF\xBB\xBF[]",
                               "[\"\xF4\x90\x80\x80\"]",
                               "[tru]",
                               "[1 2]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        if (read_text(bad[i], JSON_PLAIN, &err))
            fail_msg("accepted: %.80s", bad[i]);
        assert_int_equal(err.code, ERR_INPUT);
        assert_string_equal(err.where, "x.json");
        assert_non_null(strstr(err.message, "line"));
        assert_null(read_text(bad[i], JSON_PLAIN, NULL));
    }
}

static void test_position(void **state)
{
    (void)state;
    struct err err = {0};
    assert_null(read_text("{\n \"a\": 1,\n \"b\": x}", JSON_PLAIN, &err));
    assert_non_null(strstr(err.message, "line 3, column"));
}

static void test_flags(void **state)
{
    (void)state;
    struct err err = {0};
    json_t *v = read_text("{\"a\":1,\"a\":2}", JSON_PLAIN, &err);
    assert_int_equal(json_integer_value(json_object_get(v, "a")), 2);
    json_decref(v);
    assert_null(read_text("{\"a\":1,\"a\":2}", JSON_UNIQUE_KEYS, &err));
    assert_non_null(strstr(err.message, "duplicate"));
    v = read_text(" 3.5 ", JSON_ANY_VALUE, &err);
    assert_true(json_real_value(v) == 3.5);
    json_decref(v);
    v = read_text("[\"a\\u0000b\"]", JSON_NUL_ALLOWED, &err);
    assert_int_equal(json_string_length(json_array_get(v, 0)), 3);
    json_decref(v);
    v = read_text("[\"\\ud83d\\ude00\"]", JSON_PLAIN, &err);
    assert_string_equal(json_string_value(json_array_get(v, 0)), "\xF0\x9F\x98\x80");
    json_decref(v);
}

static void test_getters(void **state)
{
    (void)state;
    struct err err = {0};
    json_t *o =
        read_text("{\"i\":-7,\"d\":2.5,\"b\":true,\"s\":\"x\",\"n\":null,\"l\":[]}", 0, &err);
    long long i = 1;
    double d = 1;
    bool b = false;
    const char *s = "old";
    assert_int_equal(json_get_int(&i, o, "i", true, "w", &err), 0);
    assert_int_equal(i, -7);
    assert_int_equal(json_get_double(&d, o, "d", true, "w", &err), 0);
    assert_true(d == 2.5);
    assert_int_equal(json_get_double(&d, o, "i", true, "w", &err), 0);
    assert_true(d == -7);
    assert_int_equal(json_get_bool(&b, o, "b", true, "w", &err), 0);
    assert_true(b);
    assert_int_equal(json_get_string(&s, o, "s", true, "w", &err), 0);
    assert_string_equal(s, "x");
    /* Not required: absent and null leave the value alone. */
    assert_int_equal(json_get_int(&i, o, "none", false, "w", &err), 0);
    assert_int_equal(json_get_int(&i, o, "n", false, "w", &err), 0);
    assert_int_equal(i, -7);
    assert_int_equal(json_get_string(&s, o, "n", false, "w", &err), 0);
    assert_string_equal(s, "x");
    assert_int_equal(json_get_int(&i, o, "none", true, "w", &err), ERR_INPUT);
    assert_string_equal(err.message, "\"none\" is missing");
    assert_string_equal(err.where, "w");
    assert_int_equal(json_get_int(&i, o, "n", true, "w", &err), ERR_INPUT);
    assert_string_equal(err.message, "\"n\" is null, expected an integer");
    assert_int_equal(json_get_int(&i, o, "d", false, "w", &err), ERR_INPUT);
    assert_string_equal(err.message, "\"d\" is a number, expected an integer");
    assert_int_equal(json_get_double(&d, o, "s", false, "w", &err), ERR_INPUT);
    assert_string_equal(err.message, "\"s\" is a string, expected a number");
    assert_int_equal(json_get_bool(&b, o, "i", false, "w", &err), ERR_INPUT);
    assert_string_equal(err.message, "\"i\" is an integer, expected true or false");
    assert_int_equal(json_get_string(&s, o, "l", false, "w", &err), ERR_INPUT);
    assert_string_equal(err.message, "\"l\" is a list, expected a string");
    assert_int_equal(json_get_string(&s, o, "b", false, "w", NULL), ERR_INPUT);
    /* On something that is no object everything is missing. */
    assert_int_equal(json_get_int(&i, json_object_get(o, "l"), "i", true, "w", &err), ERR_INPUT);
    json_decref(o);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\": [1, 2.5, \"x\\n\", {\"b\": null}], \"c\": \"long enough to grow\"}";
    struct mem_stats before = mem_stats();
    int failures = 0;
    for (long n = 0;; n++) {
        struct err err = {0};
        mem_fail_after(n);
        json_t *v = read_text(text, JSON_UNIQUE_KEYS, &err);
        mem_fail_after(-1);
        json_decref(v);
        assert_int_equal(mem_stats().live_blocks, before.live_blocks);
        if (v)
            break;
        assert_int_equal(err.code, ERR_MACHINE);
        failures++;
    }
    assert_true(failures > 10);
}

/* --- writer --- */

static void test_writer(void **state)
{
    (void)state;
    struct str out = {0};
    struct json_writer w;
    jw_begin(&w, &out);
    jw_object_begin(&w);
    jw_key(&w, "k\"\\\n");
    jw_array_begin(&w);
    jw_int(&w, -3);
    jw_bool(&w, true);
    jw_null(&w);
    jw_array_begin(&w);
    jw_array_end(&w);
    jw_object_begin(&w);
    jw_object_end(&w);
    jw_array_end(&w);
    jw_key(&w, "s");
    jw_string(&w, "a\0\x1f\x7f\t\r/", 7);
    jw_key(&w, "u");
    jw_text(&w, "\xC3\xA9\xF0\x9F\x98\x80\xE2\x80\xA8\xFF\xE2\x82");
    jw_object_end(&w);
    assert_string_equal(str_text(&out),
                        "{\"k\\\"\\\\\\n\": [-3, true, null, [], {}], \"s\": "
                        "\"a\\u0000\\u001f\\u007f\\t\\r/\", \"u\": "
                        "\"\xC3\xA9\xF0\x9F\x98\x80\\u2028\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"}");
    struct err err = {0};
    json_t *v = json_read(out.data, out.length, JSON_NUL_ALLOWED, "x", &err);
    assert_int_equal(json_string_length(json_object_get(v, "s")), 7);
    json_decref(v);
    str_free(&out);
}

static void check_number(double value, bool single, const char *expected)
{
    struct str out = {0};
    struct json_writer w;
    jw_begin(&w, &out);
    if (single)
        jw_float(&w, (float)value);
    else
        jw_double(&w, value);
    assert_string_equal(str_text(&out), expected);
    str_free(&out);
}

static void test_numbers(void **state)
{
    (void)state;
    check_number(1, true, "1.0");
    check_number(-0.0, true, "-0.0");
    check_number(0.1, true, "0.1");
    check_number(0.1, false, "0.1");
    check_number(0.1f, false, "0.10000000149011612");
    check_number(1e20, true, "1e+20");
    check_number(1e300, false, "1e+300");
    check_number(16777216, true, "16777216.0");
    check_number(NAN, true, "null");
    check_number(INFINITY, false, "null");
    check_number(-INFINITY, true, "null");
    check_number(5e-324, false, "4.94065645841247e-324");
}

/* Every float and double written reads back as itself, by way of jansson and of strtof. */
static void test_numbers_read_back(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        uint64_t bits = seed ^ seed >> 29;
        uint32_t half = (uint32_t)(bits >> 16);
        double d;
        float f;
        memcpy(&d, &bits, 8);
        memcpy(&f, &half, 4);
        struct str out = {0};
        struct json_writer w;
        jw_begin(&w, &out);
        jw_array_begin(&w);
        jw_double(&w, d);
        jw_float(&w, f);
        jw_array_end(&w);
        struct err err = {0};
        json_t *v = json_read(out.data, out.length, 0, "x", &err);
        if (!v)
            fail_msg("%s: %s", out.data, err.message);
        const json_t *a = json_array_get(v, 0), *b = json_array_get(v, 1);
        if (isfinite(d)) {
            assert_true(json_is_real(a));
            assert_true(json_real_value(a) == d);
        }
        if (isfinite(f)) {
            assert_true(json_is_real(b));
            assert_true((float)json_real_value(b) == f);
        }
        json_decref(v);
        str_free(&out);
    }
}

/* Values parsed and written keep order, types and digits. */
static void test_value(void **state)
{
    (void)state;
    static const char text[] = "{\"z\": 1, \"a\": [1.5, -2, \"x\\u0000\", true, false, null, {}], "
                               "\"m\": {\"k\": 0.1}}";
    struct err err = {0};
    json_t *v = read_text(text, JSON_NUL_ALLOWED, &err);
    struct str out = {0};
    struct json_writer w;
    jw_begin(&w, &out);
    jw_value(&w, v);
    assert_string_equal(str_text(&out), text);
    str_free(&out);
    json_decref(v);
}

static void test_writer_out_of_memory(void **state)
{
    (void)state;
    struct str out = {0};
    struct json_writer w;
    mem_fail_after(0);
    jw_begin(&w, &out);
    jw_text(&w, "x");
    mem_fail_after(-1);
    assert_true(out.failed);
    str_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),           cmocka_unit_test(test_position),
        cmocka_unit_test(test_flags),         cmocka_unit_test(test_getters),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_writer),
        cmocka_unit_test(test_numbers),       cmocka_unit_test(test_numbers_read_back),
        cmocka_unit_test(test_value),         cmocka_unit_test(test_writer_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

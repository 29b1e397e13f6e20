/* test_golden.c: every row of the golden files of real tokenizers (assets), made with the reference
 * library: equal ids, equal decoded text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "base/json.h"
#include "formats/jsonl.h"
#include "tokenizer/tokenizer.h"

static void check_row(const tokenizer *t, const json_t *row, long line, int *bad)
{
    struct err err = {0};
    const json_t *text = json_object_get(row, "text"), *ids = json_object_get(row, "ids");
    const json_t *decoded = json_object_get(row, "decoded");
    struct ids got = {0};
    struct str back = {0};
    assert_int_equal(
        tokenizer_encode(t, &got, json_string_value(text), json_string_length(text), false, &err),
        0);
    bool same = got.count == json_array_size(ids);
    for (size_t i = 0; same && i < got.count; i++)
        same = got.data[i] == json_integer_value(json_array_get(ids, i));
    assert_int_equal(tokenizer_decode(t, &back, got.data, got.count, false, &err), 0);
    bool round = back.length == json_string_length(decoded) &&
                 memcmp(str_text(&back), json_string_value(decoded), back.length) == 0;
    if (!same || (same && !round)) {
        print_message("row %ld: %s\n", line, same ? "decoded text differs" : "ids differ");
        ++*bad;
    }
    ids_free(&got);
    str_free(&back);
}

static void check_golden(const char *name)
{
    struct err err = {0};
    char path[128];
    snprintf(path, sizeof path, "tokenizers/%s", name);
    const char *folder = asset(path);
    if (!folder)
        skip();
    tokenizer *t;
    if (tokenizer_open(&t, folder, &err))
        fail_msg("%s: %s", err.where, err.message);
    snprintf(path, sizeof path, "tokenizers/golden_%s.jsonl", name);
    struct jsonl_reader r;
    assert_int_equal(jsonl_open(&r, asset(path), &err), 0);
    json_t *row;
    int bad = 0, rows = 0;
    while (jsonl_next(&r, &row, &err) == 1) {
        assert_non_null(row);
        check_row(t, row, r.line, &bad);
        rows++;
        json_decref(row);
    }
    jsonl_close(&r);
    tokenizer_free(t);
    print_message("%s: %d rows\n", name, rows);
    assert_int_equal(rows, 1918);
    assert_int_equal(bad, 0);
}

static void test_qwen3(void **state)
{
    (void)state;
    check_golden("qwen3");
}

static void test_llama3(void **state)
{
    (void)state;
    check_golden("llama3");
}

static void test_gpt2(void **state)
{
    (void)state;
    check_golden("gpt2");
}

static void test_mistral_7b(void **state)
{
    (void)state;
    check_golden("mistral_7b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qwen3),
        cmocka_unit_test(test_llama3),
        cmocka_unit_test(test_gpt2),
        cmocka_unit_test(test_mistral_7b),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

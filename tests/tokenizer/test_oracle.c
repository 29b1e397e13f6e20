/* test_oracle.c: small vocabularies against the reference library (tests/oracle/tokenizer): ids
 * with and without the post-processor, decodes, streaming, cuts into words, and Unicode. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "formats/jsonl.h"
#include "tokenizer/normalize.h"
#include "tokenizer/pattern.h"
#include "tokenizer/pretokenize.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/unicode.h"

static void ok(int status, const struct err *err)
{
    if (status)
        fail_msg("%s: %s", err->where, err->message);
}

static json_t *next_row(struct jsonl_reader *r)
{
    struct err err = {0};
    json_t *row;
    int got = jsonl_next(r, &row, &err);
    if (got && !row)
        fail_msg("%s: %s", err.where, err.message);
    return got ? row : NULL;
}

static bool same_ids(const struct ids *got, const json_t *expected)
{
    bool same = got->count == json_array_size(expected);
    for (size_t i = 0; same && i < got->count; i++)
        same = got->data[i] == json_integer_value(json_array_get(expected, i));
    return same;
}

static bool same_text(const struct str *got, const json_t *expected)
{
    return got->length == json_string_length(expected) &&
           memcmp(str_text(got), json_string_value(expected), got->length) == 0;
}

/* The row's own value, else what it would be without one. */
static const json_t *either(const json_t *row, const char *key, const json_t *otherwise)
{
    const json_t *value = json_object_get(row, key);
    return value ? value : otherwise;
}

static bool stream_equals(const tokenizer *t, const struct ids *ids, bool skip,
                          const struct str *whole)
{
    struct decode_stream *stream;
    struct str out = {0};
    struct err err = {0};
    bool same = true;
    ok(decode_stream_create(&stream, t, skip, &err), &err);
    for (size_t i = 0; i < ids->count; i++) {
        ok(decode_stream_put(stream, &out, ids->data[i], &err), &err);
        /* What has been given out is final. */
        same = same && out.length <= whole->length &&
               memcmp(str_text(&out), str_text(whole), out.length) == 0;
    }
    ok(decode_stream_end(stream, &out, &err), &err);
    same = same && out.length == whole->length &&
           memcmp(str_text(&out), str_text(whole), out.length) == 0;
    decode_stream_free(stream);
    str_free(&out);
    return same;
}

static const char *check_row(const tokenizer *t, const json_t *text, const json_t *row)
{
    struct err err = {0};
    const json_t *ids = json_object_get(row, "ids");
    const json_t *decoded = either(row, "decoded", text);
    const char *problem = NULL;
    for (int special = 0; special < 2; special++) {
        struct ids got = {0};
        ok(tokenizer_encode(t, &got, json_string_value(text), json_string_length(text), special,
                            &err),
           &err);
        if (!same_ids(&got, special ? either(row, "special", ids) : ids))
            problem = special ? "ids with the post-processor" : "ids";
        for (int skip = 0; !special && skip < 2; skip++) {
            struct str back = {0};
            ok(tokenizer_decode(t, &back, got.data, got.count, skip, &err), &err);
            if (!same_text(&back, skip ? either(row, "skipped", decoded) : decoded))
                problem = "decoded text";
            if (!stream_equals(t, &got, skip, &back))
                problem = "streamed text";
            str_free(&back);
        }
        ids_free(&got);
    }
    return problem;
}

static void check_tokenizer(const char *name)
{
    struct err err = {0};
    char path[128];
    tokenizer *t;
    snprintf(path, sizeof path, "tokenizer/%s.json", name);
    ok(tokenizer_open(&t, fixture(path), &err), &err);
    struct jsonl_reader texts, rows;
    ok(jsonl_open(&texts, fixture("tokenizer/texts.jsonl"), &err), &err);
    snprintf(path, sizeof path, "tokenizer/%s.ids.jsonl", name);
    ok(jsonl_open(&rows, fixture(path), &err), &err);
    json_t *text, *row;
    int n = 0, bad = 0;
    while ((text = next_row(&texts)) && (row = next_row(&rows))) {
        const char *problem = check_row(t, json_object_get(text, "text"), row);
        if (problem)
            print_message("%s, line %ld: other %s\n", name, texts.line, problem);
        bad += problem != NULL;
        n++;
        json_decref(text);
        json_decref(row);
    }
    jsonl_close(&texts);
    jsonl_close(&rows);
    tokenizer_free(t);
    assert_int_equal(n, 420);
    assert_int_equal(bad, 0);
}

#define TOKENIZER_TEST(name)                                                                       \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        check_tokenizer(#name);                                                                    \
    }
TOKENIZER_TEST(gpt2)
TOKENIZER_TEST(stripping)
TOKENIZER_TEST(qwen)
TOKENIZER_TEST(llama3)
TOKENIZER_TEST(smollm)
TOKENIZER_TEST(unknown)

/* Random chains of components over small vocabularies of every kind (make_random.py). */
static void test_random(void **state)
{
    (void)state;
    struct err err = {0};
    struct jsonl_reader r;
    ok(jsonl_open(&r, fixture("tokenizer/random.jsonl"), &err), &err);
    json_t *line;
    int n = 0, rows = 0, bad = 0;
    while ((line = next_row(&r))) {
        char *text = json_dumps(json_object_get(line, "tokenizer"), 0);
        const json_t *list = json_object_get(line, "rows"), *row;
        size_t i;
        tokenizer *t;
        ok(tokenizer_parse(&t, text, strlen(text), "random.jsonl", &err), &err);
        json_array_foreach(list, i, row)
        {
            const char *problem = check_row(t, json_object_get(row, "text"), row);
            if (problem)
                print_message("random.jsonl, line %ld, text %zu: other %s\n", r.line, i, problem);
            bad += problem != NULL;
            rows++;
        }
        tokenizer_free(t);
        mem_free(
            text); /* jansson allocates by mem_alloc once json.c has been used, as it has here */
        json_decref(line);
        n++;
    }
    jsonl_close(&r);
    assert_true(n >= 50 && rows >= 450);
    assert_int_equal(bad, 0);
}

/* Ids that are no text's encoding: the pieces of a stream are still the whole. */
static void test_stream_of_any_ids(void **state)
{
    (void)state;
    struct err err = {0};
    tokenizer *t;
    ok(tokenizer_open(&t, fixture("tokenizer/qwen.json"), &err), &err);
    unsigned seed = 7;
    int replaced = 0;
    for (int round = 0; round < 3000; round++) {
        struct ids ids = {0};
        struct str whole = {0};
        int n = 1 + round % 12;
        for (int i = 0; i < n; i++) {
            seed = seed * 1664525u + 1013904223u;
            /* Mostly single bytes, so that sequences break in every way. */
            int id = (int)(seed >> 8) % (i % 5 == 4 ? tokenizer_vocab_size(t) : 256);
            assert_int_equal(ids_push(&ids, id), 0);
        }
        ok(tokenizer_decode(t, &whole, ids.data, ids.count, false, &err), &err);
        replaced += strstr(str_text(&whole), "\xEF\xBF\xBD") != NULL;
        assert_true(utf8_valid(str_text(&whole), whole.length));
        assert_true(stream_equals(t, &ids, false, &whole));
        str_free(&whole);
        ids_free(&ids);
    }
    assert_true(replaced > 1000);
    tokenizer_free(t);
}

/* A character split over tokens is held back until it is whole. */
static void test_stream_holds_back(void **state)
{
    (void)state;
    struct err err = {0};
    tokenizer *t;
    ok(tokenizer_open(&t, fixture("tokenizer/gpt2.json"), &err), &err);
    struct ids ids = {0};
    struct decode_stream *stream;
    struct str out = {0};
    ok(decode_stream_create(&stream, t, false, &err), &err);
    ok(tokenizer_encode(t, &ids, "\xE5\xAD\x97", 3, false, &err), &err); /* 字 */
    assert_int_equal(ids.count, 3);
    ok(decode_stream_put(stream, &out, ids.data[0], &err), &err);
    ok(decode_stream_put(stream, &out, ids.data[1], &err), &err);
    assert_int_equal(out.length, 0);
    ok(decode_stream_put(stream, &out, ids.data[2], &err), &err);
    assert_string_equal(str_text(&out), "\xE5\xAD\x97");
    ok(decode_stream_put(stream, &out, ids.data[0], &err), &err);
    assert_int_equal(out.length, 3);
    /* An id out of range is an error and leaves the stream as it was. */
    assert_int_equal(decode_stream_put(stream, &out, 1 << 20, &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "is no token"));
    ok(decode_stream_end(stream, &out, &err), &err);
    assert_string_equal(str_text(&out), "\xE5\xAD\x97\xEF\xBF\xBD");
    decode_stream_free(stream);
    ids_free(&ids);
    str_free(&out);
    tokenizer_free(t);
}

/* --- cuts --- */

struct cut {
    const json_t *lengths;
    size_t n;
    bool same;
};

static int count_word(void *context, const char *text, size_t length)
{
    struct cut *c = context;
    size_t bytes = 0; /* every cut here ends in a ByteLevel: a character a byte */
    for (size_t i = 0; i < length; i++)
        bytes += ((unsigned char)text[i] & 0xC0) != 0x80;
    const json_t *expected = json_array_get(c->lengths, c->n++);
    c->same = c->same && expected && (size_t)json_integer_value(expected) == bytes;
    return 0;
}

static void test_cuts(void **state)
{
    (void)state;
    struct err err = {0};
    struct jsonl_reader r;
    matcher *m = matcher_create();
    ok(jsonl_open(&r, fixture("tokenizer/cuts.jsonl"), &err), &err);
    json_t *first = next_row(&r), *row;
    const json_t *texts = json_object_get(first, "texts");
    int n = 0, bad = 0;
    while ((row = next_row(&r))) {
        struct pretokenizer *p;
        ok(pretokenizer_create(&p, json_object_get(row, "pre_tokenizer"), "cuts", &err), &err);
        for (size_t i = 0; i < json_array_size(texts); i++) {
            const json_t *text = json_array_get(texts, i);
            struct cut c = {json_array_get(json_object_get(row, "words"), i), 0, true};
            ok(pretokenize(p, m, json_string_value(text), json_string_length(text), 0, count_word,
                           &c, &err),
               &err);
            if (!c.same || c.n != json_array_size(c.lengths)) {
                print_message("cuts, line %ld, text %zu\n", r.line, i);
                bad++;
            }
        }
        pretokenizer_free(p);
        json_decref(row);
        n++;
    }
    json_decref(first);
    jsonl_close(&r);
    matcher_free(m);
    assert_true(n >= 45);
    assert_int_equal(bad, 0);
}

/* --- Unicode --- */

enum { POINTS = 0x110000 };

static bool is_text(int32_t c)
{
    return c > 0 && (c < 0xD800 || c >= 0xE000);
}

static void mark_class(char *bitmap, const char *name)
{
    struct err err = {0};
    pattern *p;
    matcher *m = matcher_create();
    ok(pattern_create(&p, name, strlen(name), false, name, &err), &err);
    for (int32_t c = 1; c < POINTS; c++) {
        if (!is_text(c))
            continue;
        char bytes[8];
        struct str one = {.data = bytes, .capacity = sizeof bytes};
        size_t begin, end;
        str_put_utf8(&one, (uint32_t)c);
        bitmap[c] = (char)pattern_match(p, m, bytes, one.length, 0, &begin, &end, &err);
    }
    matcher_free(m);
    pattern_free(p);
}

static const struct {
    const char *name;
    bool (*holds)(int32_t c);
} predicates[] = {{"numeric", unicode_is_numeric},
                  {"word", unicode_is_word},
                  {"space", unicode_is_space},
                  {"punctuation", unicode_is_punctuation},
                  {"mark", unicode_is_mark},
                  {"nonspacing", unicode_is_nonspacing},
                  {"cleaned", unicode_is_removed_by_cleaning}};

static void check_class(const json_t *row)
{
    const char *name = json_string_value(json_object_get(row, "class"));
    char *bitmap = calloc(POINTS, 1), hash[65];
    long count = 0;
    bool (*predicate)(int32_t) = NULL;
    for (size_t i = 0; i < sizeof predicates / sizeof *predicates; i++)
        if (strcmp(name, predicates[i].name) == 0)
            predicate = predicates[i].holds;
    if (predicate)
        for (int32_t c = 1; c < POINTS; c++)
            bitmap[c] = is_text(c) && predicate(c);
    else
        mark_class(bitmap, name);
    for (int32_t c = 1; c < POINTS; c++)
        count += bitmap[c];
    sha256_hex(hash, bitmap, POINTS);
    if (strcmp(hash, json_string_value(json_object_get(row, "sha256"))) != 0)
        fail_msg("%s: other code points than the reference's (%ld, there %lld)", name, count,
                 json_integer_value(json_object_get(row, "count")));
    free(bitmap);
}

/* What a normalizer makes of every code point inside a context ("a*": after an a). */
static void check_normalizer(const json_t *row)
{
    const char *context = json_string_value(json_object_get(row, "context"));
    const char *star = strchr(context, '*');
    struct str text = {0};
    struct origin_text normal = {0};
    struct normalizer *n;
    struct err err = {0};
    char hash[65];
    matcher *m = matcher_create();
    const json_t *spec = json_object_get(row, "normalizer");
    ok(normalizer_create(&n, spec, "unicode.jsonl", &err), &err);
    for (int32_t c = 1; c < POINTS; c++) {
        if (!is_text(c))
            continue;
        if (c > 1)
            str_putc(&text, '\n');
        str_append(&text, context, (size_t)(star - context));
        str_put_utf8(&text, (uint32_t)c);
        str_puts(&text, star + 1);
    }
    ok(normalize(n, m, &normal, str_text(&text), text.length, 0, &err), &err);
    sha256_hex(hash, str_text(&normal.text), normal.text.length);
    if (strcmp(hash, json_string_value(json_object_get(row, "sha256"))) != 0)
        fail_msg("%s differs from the reference's in the context %s",
                 json_string_value(json_object_get(spec, "type")), context);
    matcher_free(m);
    normalizer_free(n);
    str_free(&text);
    str_free(&normal.text);
}

/* Hundreds of thousands of marks out of order, which must not take time by their square. */
static void test_nfc_long_run(void **state)
{
    (void)state;
    enum { PAIRS = 200000 };
    struct str text = {0}, want = {0}, normal = {0};
    struct err err = {0};
    str_putc(&text, 'e');
    for (int i = 0; i < PAIRS; i++) {
        str_put_utf8(&text, 0x301);
        str_put_utf8(&text, 0x327);
    }
    str_put_utf8(&want, 0x229); /* e with the first cedilla */
    for (int i = 0; i < 2 * PAIRS - 1; i++)
        str_put_utf8(&want, i < PAIRS - 1 ? 0x327 : 0x301);
    ok(unicode_normalize(&normal, UNICODE_NFC, str_text(&text), text.length, &err), &err);
    assert_int_equal(normal.length, want.length);
    assert_memory_equal(str_text(&normal), str_text(&want), want.length);
    str_free(&text);
    str_free(&want);
    str_free(&normal);
}

static void test_unicode(void **state)
{
    (void)state;
    struct err err = {0};
    struct jsonl_reader r;
    ok(jsonl_open(&r, fixture("tokenizer/unicode.jsonl"), &err), &err);
    json_t *row;
    int classes = 0, contexts = 0;
    while ((row = next_row(&r))) {
        if (json_object_get(row, "class")) {
            check_class(row);
            classes++;
        } else {
            check_normalizer(row);
            contexts++;
        }
        json_decref(row);
    }
    jsonl_close(&r);
    assert_int_equal(classes, 29);
    assert_int_equal(contexts, 19);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpt2),
        cmocka_unit_test(test_stripping),
        cmocka_unit_test(test_qwen),
        cmocka_unit_test(test_llama3),
        cmocka_unit_test(test_smollm),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_stream_of_any_ids),
        cmocka_unit_test(test_stream_holds_back),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_unicode),
        cmocka_unit_test(test_nfc_long_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_load.c: what a tokenizer.json may hold. A part that is not supported, or is malformed, is an
 * error that names it; a part that changes no id is accepted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "tokenizer/pattern.h"
#include "tokenizer/tokenizer.h"

/* The small GPT-2-like tokenizer with one value replaced: path is "key" or "key.key", patch JSON,
 * or NULL to remove the key. */
static int load_patched(tokenizer **t, const char *path, const char *patch, struct err *err)
{
    json_t *root = json_load_file(fixture("tokenizer/gpt2.json"), 0, NULL);
    assert_non_null(root);
    char key[64];
    snprintf(key, sizeof key, "%s", path);
    json_t *at = root;
    for (char *dot; (dot = strchr(key, '.')); memmove(key, dot + 1, strlen(dot + 1) + 1)) {
        *dot = 0;
        at = json_object_get(at, key);
        assert_non_null(at);
    }
    if (patch) {
        json_t *value = json_loads(patch, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        if (!value)
            fail_msg("the patch is no JSON: %s", patch);
        json_object_set_new(at, key, value);
    } else {
        json_object_del(at, key);
    }
    char *text = json_dumps(root, 0);
    json_decref(root);
    int status = tokenizer_parse(t, text, strlen(text), "tokenizer.json", err);
    mem_free(text); /* jansson allocates by mem_alloc once json.c has been used, as it has here */
    return status;
}

struct refusal {
    const char *path, *patch, *message;
};

#define SPLIT(regex)                                                                               \
    "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":"        \
    "\"" regex "\"},\"behavior\":\"Isolated\",\"invert\":false},"                                  \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]}"
#define ADDED(id, content, more) "[{\"id\":" id ",\"content\":\"" content "\"" more "}]"

static const struct refusal refusals[] = {
    {"model", "[]", "\"model\" is a list"},
    {"model.type", "\"Unigram\"", "\"Unigram\" is not supported"},
    {"model.vocab", "[]", "\"model.vocab\" is a list"},
    {"model.vocab.a", "\"x\"", "the id of token \"a\" is a string"},
    {"model.vocab.a", "-1", "token \"a\" has id -1"},
    {"model.vocab.a", "99999999999", "token \"a\" has id 99999999999"},
    {"model.vocab.a", "1", "belongs to both"},
    {"model.merges", "{}", "\"model.merges\" is an object"},
    {"model.merges", "[\"ab\"]", "merge 0 is neither"},
    {"model.merges", "[\"a b c\"]", "merge 0 is neither"},
    {"model.merges", "[[\"a\",\"b\",\"c\"]]", "merge 0 is neither"},
    {"model.merges", "[[\"a\",1]]", "merge 0 is neither"},
    {"model.merges", "[\"z q\"]", "merge 0 (\"z\" and \"q\")"},
    {"model.dropout", "0.1", "\"model.dropout\" is not supported"},
    {"model.ignore_merges", "1", "\"ignore_merges\" is an integer"},
    {"model.unk_token", "3", "\"unk_token\" is an integer"},
    {"model.byte_fallback", "1", "\"byte_fallback\" is an integer"},
    {"model.fuse_unk", "1", "\"fuse_unk\" is an integer"},
    {"model.continuing_subword_prefix", "\"##\"", "merge 0"},
    {"normalizer", "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"\"}",
     "normalizer \"Precompiled\" is not supported"},
    {"normalizer", "{\"type\":\"Sequence\"}", "normalizer Sequence has no list"},
    {"normalizer", "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\"}]}",
     "\"prepend\" is missing"},
    {"normalizer", "{\"type\":\"Prepend\",\"prepend\":\"\"}", "Prepend of an empty text"},
    {"normalizer", "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a*\"},\"content\":\"b\"}",
     "matches an empty text"},
    {"normalizer", "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\b\"},\"content\":\"b\"}",
     "an unknown escape"},
    {"normalizer", "{\"type\":\"Strip\",\"strip_left\":true}", "\"strip_right\" is missing"},
    {"normalizer", "{\"type\":\"BertNormalizer\"}", "\"clean_text\" is missing"},
    {"normalizer", "\"NFC\"", "a normalizer is a string"},
    {"pre_tokenizer", "{\"type\":\"UnicodeScripts\"}", "\"UnicodeScripts\" is not supported"},
    {"pre_tokenizer", "{\"type\":\"Metaspace\"}", "\"replacement\" is missing"},
    {"pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"ab\"}", "expected one character"},
    {"pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"last\"}",
     "\"prepend_scheme\" is \"last\""},
    {"pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"add_prefix_space\":false}",
     "expected never"},
    {"pre_tokenizer", "{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"\"}",
     "expected one character"},
    {"pre_tokenizer", "{\"type\":\"FixedLength\",\"length\":0}", "expected at least 1"},
    {"pre_tokenizer", "{\"type\":\"Punctuation\",\"behavior\":\"Both\"}", "behavior \"Both\""},
    {"pre_tokenizer", "{\"type\":\"Sequence\"}", "no list \"pretokenizers\""},
    {"pre_tokenizer", "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Other\"}",
     "behavior \"Other\""},
    {"pre_tokenizer", "{\"type\":\"Split\",\"pattern\":{},\"behavior\":\"Isolated\"}",
     "no Regex or String"},
    {"pre_tokenizer", SPLIT("a(b"), "an unclosed group"},
    {"pre_tokenizer", SPLIT("\\\\bword"), "an unknown escape"},
    {"decoder", "{\"type\":\"Other\"}", "decoder \"Other\" is not supported"},
    {"decoder", "{\"type\":\"WordPiece\"}", "\"prefix\" is missing"},
    {"decoder", "{\"type\":\"Sequence\"}", "no list \"decoders\""},
    {"decoder", "{\"type\":\"Strip\",\"content\":\" \",\"start\":-1,\"stop\":0}", "below 0"},
    {"decoder", "{\"type\":\"BPEDecoder\",\"suffix\":\"\"}", "empty \"suffix\""},
    {"decoder", "{\"type\":\"Replace\",\"pattern\":{},\"content\":\"\"}", "no Regex or String"},
    {"post_processor", "{\"type\":\"Other\"}", "post_processor \"Other\""},
    {"post_processor", "{\"type\":\"RobertaProcessing\"}", "no \"cls\" and \"sep\""},
    {"post_processor", "{\"type\":\"BertProcessing\",\"cls\":[\"a\",1],\"sep\":[\"b\",99999]}",
     "puts id 99999"},
    {"post_processor",
     "{\"type\":\"Sequence\",\"processors\":[{\"type\":\"BertProcessing\",\"cls\":[\"a\",1],"
     "\"sep\":[\"b\",2]},{\"type\":\"BertProcessing\",\"cls\":[\"a\",1],\"sep\":[\"b\",2]}]}",
     "more than one"},
    {"post_processor", "{\"type\":\"TemplateProcessing\",\"single\":[]}", "without the sequence A"},
    {"post_processor",
     "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}]}",
     "TemplateProcessing is not supported"},
    {"post_processor",
     "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},"
     "{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{}}",
     "TemplateProcessing is not supported"},
    {"post_processor",
     "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},"
     "{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"<s>\":{\"ids\":[99999]}}}",
     "puts id 99999 around a text, which is no token"},
    {"added_tokens", "{}", "\"added_tokens\" is an object"},
    {"added_tokens", ADDED("900", "<x>", ""), "has id 900, but it would be given 560"},
    {"added_tokens", ADDED("5", "<x>", ""), "has id 5, but it would be given 560"},
    {"added_tokens", ADDED("560", "a", ""), "but it would be given"},
    {"added_tokens", ADDED("560", "<x>", ",\"special\":1"), "\"special\" is an integer"},
    {"added_tokens",
     "[{\"id\":560,\"content\":\"<x>\"},{\"id\":560,\"content\":\"<x>\",\"lstrip\":true}]",
     "twice"},
    {"added_tokens", "[{\"id\":560}]", "\"content\" is missing"},
    {"added_tokens", "[{\"content\":\"<x>\"}]", "\"id\" is missing"},
    {"padding", "{\"strategy\":{\"Fixed\":8}}", "\"padding\""},
    {"padding", "{\"strategy\":\"BatchLongest\",\"pad_to_multiple_of\":8}", "\"padding\""},
    {"truncation", "{}", "\"max_length\" is missing"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *r = &refusals[i];
        struct err err = {0};
        tokenizer *t = (tokenizer *)&err; /* must be reset */
        int status = load_patched(&t, r->path, r->patch, &err);
        if (status != ERR_INPUT || !strstr(err.message, r->message))
            fail_msg("%s = %s: status %d, \"%s\"", r->path, r->patch, status, err.message);
        assert_string_equal(err.where, "tokenizer.json");
        assert_null(t);
    }
}

/* Malformed bytes, and added tokens that the normalizer makes the same. */
static void test_malformed(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "{", "[]", "null", "{\"model\":{}}", "{\"a\":1,\"a\":2}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct err err = {0};
        tokenizer *t;
        assert_int_equal(tokenizer_parse(&t, texts[i], strlen(texts[i]), "x", &err), ERR_INPUT);
        assert_true(err.message[0]);
        assert_int_equal(tokenizer_parse(&t, texts[i], strlen(texts[i]), "x", NULL), ERR_INPUT);
    }
    struct err err = {0};
    tokenizer *t;
    /* Two tokens that the normalizer makes one: the reference cannot tell them apart, either. */
    json_t *root = json_load_file(fixture("tokenizer/gpt2.json"), 0, NULL);
    json_object_set_new(root, "normalizer", json_pack("{s:s}", "type", "NFC"));
    json_object_set_new(root, "added_tokens",
                        json_pack("[{s:i,s:s,s:b},{s:i,s:s,s:b}]", "id", 560, "content",
                                  "g\xCC\x81", "normalized", 1, "id", 561, "content", "\xC7\xB5",
                                  "normalized", 1));
    char *text = json_dumps(root, 0);
    assert_int_equal(tokenizer_parse(&t, text, strlen(text), "x", &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "same text after normalization"));
    mem_free(text);
    json_decref(root);
    assert_int_equal(tokenizer_open(&t, "no/such/tokenizer.json", &err), ERR_INPUT);
    assert_non_null(strstr(err.where, "no/such/tokenizer.json"));
}

static void encode_to(struct ids *ids, tokenizer *t, const char *text, size_t length)
{
    struct err err = {0};
    ids->count = 0;
    if (tokenizer_encode(t, ids, text, length, true, &err))
        fail_msg("%s", err.message);
}

/* Words of a SentencePiece model are merged one by one, cut before each mark; not where a character
 * between two marks vanishes, for then they are neighbours. */
static void test_marks_become_neighbours(void **state)
{
    (void)state;
    struct err err = {0};
    struct ids ids = {0};
    tokenizer *t;
    static const char json[] = "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"\xE2\x96\x81\":0,"
                               "\"\xE2\x96\x81\xE2\x96\x81\":1,\"a\":2},"
                               "\"merges\":[[\"\xE2\x96\x81\",\"\xE2\x96\x81\"]]}}";
    assert_int_equal(tokenizer_parse(&t, json, sizeof json - 1, "x", &err), 0);
    encode_to(&ids, t, "\xE2\x96\x81.\xE2\x96\x81", 7);
    assert_int_equal(ids.count, 1);
    assert_int_equal(ids.data[0], 1);
    encode_to(&ids, t,
              "\xE2\x96\x81"
              "a\xE2\x96\x81",
              7);
    assert_int_equal(ids.count, 3);
    ids_free(&ids);
    tokenizer_free(t);
}

/* Settings that say nothing about ids leave them as they are. */
static void test_accepted(void **state)
{
    (void)state;
    static const struct refusal same[] = {
        {"model.dropout", "null", ""},
        {"model.dropout", "0.0", ""},
        {"model.byte_fallback", "false", ""},
        {"model.continuing_subword_prefix", "\"\"", ""},
        {"model.end_of_word_suffix", "\"\"", ""},
        {"model.fuse_unk", "true", ""},
        {"model.type", NULL, ""},
        {"normalizer", "{\"type\":\"Sequence\",\"normalizers\":[]}", ""},
        {"decoder", "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteLevel\"}]}", ""},
        {"post_processor", "null", ""},
        {"padding", "{\"strategy\":\"BatchLongest\",\"pad_id\":0}", ""},
        {"truncation", "{\"max_length\":10,\"strategy\":\"LongestFirst\",\"stride\":0}", ""},
        {"added_tokens", NULL, ""},
    };
    struct err err = {0};
    static const char text[] = "Não compro mais 12";
    struct ids expected = {0}, got = {0};
    tokenizer *t;
    assert_int_equal(tokenizer_open(&t, fixture("tokenizer/gpt2.json"), &err), 0);
    encode_to(&expected, t, text, sizeof text - 1);
    tokenizer_free(t);
    assert_true(expected.count > 0 && expected.count <= 10);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        if (load_patched(&t, same[i].path, same[i].patch, &err))
            fail_msg("%s = %s: %s", same[i].path, same[i].patch, err.message);
        encode_to(&got, t, text, sizeof text - 1);
        assert_int_equal(got.count, expected.count);
        assert_memory_equal(got.data, expected.data, got.count * sizeof(int));
        tokenizer_free(t);
    }
    ids_free(&expected);
    ids_free(&got);
}

/* A file that says to truncate: an error as soon as it would matter, never fewer ids. */
static void test_truncation(void **state)
{
    (void)state;
    struct err err = {0};
    struct ids ids = {0};
    tokenizer *t;
    assert_int_equal(load_patched(&t, "truncation", "{\"max_length\":3}", &err), 0);
    assert_int_equal(tokenizer_encode(t, &ids, "0 1", 3, false, &err), 0);
    assert_int_equal(tokenizer_encode(t, &ids, "0 1 2 3 4 5", 11, false, &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "truncation"));
    ids_free(&ids);
    tokenizer_free(t);
}

static void test_bad_text_and_ids(void **state)
{
    (void)state;
    struct err err = {0};
    struct ids ids = {0};
    struct str out = {0};
    tokenizer *t;
    assert_int_equal(tokenizer_open(&t, fixture("tokenizer/gpt2.json"), &err), 0);
    static const char *const bad[] = {"\xFF", "a\xC3", "\xED\xA0\x80", "\xC0\x80",
                                      "\xF4\x90\x80\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(tokenizer_encode(t, &ids, bad[i], strlen(bad[i]), false, &err), ERR_INPUT);
        assert_non_null(strstr(err.message, "not valid UTF-8"));
    }
    assert_int_equal(ids.count, 0);
    static const int wrong[] = {-1, 560, 1 << 30};
    for (int i = 0; i < 3; i++) {
        int two[2] = {0, wrong[i]};
        assert_int_equal(tokenizer_decode(t, &out, two, 2, false, &err), ERR_INPUT);
        assert_non_null(strstr(err.message, "position 1"));
    }
    assert_int_equal(tokenizer_vocab_size(t), 560);
    assert_int_equal(tokenizer_token_id(t, "<|endoftext|>", 13), 0);
    assert_int_equal(tokenizer_token_id(t, "<none>", 6), -1);
    assert_true(tokenizer_is_special(t, 0));
    assert_false(tokenizer_is_special(t, 1));
    assert_false(tokenizer_is_special(t, -1));
    assert_false(tokenizer_is_special(t, 560));
    str_free(&out);
    ids_free(&ids);
    tokenizer_free(t);
}

/* Long words and long runs are linear enough, and deep patterns do not overflow. */
static void test_long_text(void **state)
{
    (void)state;
    struct err err = {0};
    enum { N = 1 << 20 };
    char *text = malloc(N);
    static const char *const names[] = {"gpt2", "qwen", "llama3", "smollm"};
    for (size_t i = 0; i < 4; i++) {
        char path[64];
        tokenizer *t;
        snprintf(path, sizeof path, "tokenizer/%s.json", names[i]);
        assert_int_equal(tokenizer_open(&t, fixture(path), &err), 0);
        for (const char *c = "a 1!\n"; *c; c++) {
            struct ids ids = {0};
            struct str back = {0};
            memset(text, *c, N);
            encode_to(&ids, t, text, N);
            assert_int_equal(tokenizer_decode(t, &back, ids.data, ids.count, true, &err), 0);
            assert_int_equal(back.length, N);
            assert_memory_equal(str_text(&back), text, N);
            ids_free(&ids);
            str_free(&back);
        }
        tokenizer_free(t);
    }
    free(text);
}

/* Memory running out at any point is an error: nothing leaks and no id is wrong. */
static void test_out_of_memory(void **state)
{
    (void)state;
    struct str json = {0};
    struct err err = {0};
    static const char text[] = "a <r>  na\xCC\x83o SQL\n12";
    assert_int_equal(file_read(&json, fixture("tokenizer/stripping.json"), &err), 0);
    struct mem_stats before = mem_stats();
    struct ids expected = {0};
    int failures[2] = {0, 0};
    for (long n = 0;; n += 1 + n / 100) { /* each of the first ones, then some */
        tokenizer *t;
        mem_fail_after(n);
        int status = tokenizer_parse(&t, json.data, json.length, "x", &err);
        mem_fail_after(-1);
        if (!status) {
            encode_to(&expected, t, text, sizeof text - 1);
            for (long k = 0;; k++) {
                struct ids got = {0};
                mem_fail_after(k);
                status = tokenizer_encode(t, &got, text, sizeof text - 1, true, &err);
                mem_fail_after(-1);
                if (!status) {
                    assert_int_equal(got.count, expected.count);
                    assert_memory_equal(got.data, expected.data, got.count * sizeof(int));
                }
                ids_free(&got);
                if (!status)
                    break;
                assert_int_equal(status, ERR_MACHINE);
                failures[1]++;
            }
            tokenizer_free(t);
            break;
        }
        assert_int_equal(status, ERR_MACHINE);
        assert_null(t);
        assert_int_equal(mem_stats().live_blocks, before.live_blocks);
        failures[0]++;
    }
    assert_true(failures[0] > 100 && failures[1] > 4);
    ids_free(&expected);
    assert_int_equal(mem_stats().live_blocks, before.live_blocks);
    str_free(&json);
}

/* --- patterns --- */

static void test_patterns_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {"\\bword\\b", "(a)\\1",      "\\k<x>",
                                          "(?<x>a)",    "(?x) a",      "(?m).",
                                          "a(?i)b",     "\\pL",        "\\p{C}",
                                          "\\p{Cn}",    "\\p{Mn}",     "\\p{Greek}",
                                          "\\p{",       "\\p{}",       "[[:alpha:]]",
                                          "[a&&b]",     "[a[^b]]",     "[\\W]",
                                          "[\\P{L}]",   "[\\p{^L}]",   "[]a]",
                                          "[]",         "[a",          "[z-a]",
                                          "[\\s-a]",    "[a-\\d]",     "(a",
                                          "a)",         "*a",          "a**",
                                          "a{2}?",      "a{3,2}",      "a{2}{3}",
                                          "a{99999}",   "\\",          "\\x{110000}",
                                          "\\x{d800}",  "\\xC3",       "\\u12",
                                          "\\1",        "\\0",         "\\R",
                                          "\\X",        "\\K",         "\\G",
                                          "\\h",        "\\Qa\\E",     "(?i:ss)",
                                          "(?i:st)",    "(?i:fI)",     "(?i:\xC3\xA9)",
                                          "(?i:[^a])",  "(?i:\\p{L})", "(?i:[\xC3\xA9])",
                                          "(?~a)",      "(?#c)",       "(?(1)a|b)",
                                          "(?1)",       "(?<=a+)b"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct err err = {0};
        pattern *p;
        int status = pattern_create(&p, refused[i], strlen(refused[i]), false, "where", &err);
        if (status != ERR_INPUT || !strstr(err.message, refused[i]) || p)
            fail_msg("%s: status %d, \"%s\"", refused[i], status, err.message);
    }
    struct err err = {0};
    pattern *p;
    assert_int_equal(pattern_create(&p, "a\0b", 3, false, "where", &err), ERR_INPUT);
    char deep[4001];
    memset(deep, '(', 4000);
    deep[4000] = 0;
    assert_int_equal(pattern_create(&p, deep, 4000, false, "where", &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "nesting"));
    memset(deep, '[', 4000);
    assert_int_equal(pattern_create(&p, deep, 4000, false, "where", &err), ERR_INPUT);
}

static void test_pattern_translation(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"a|b", "a|b"},
        {"(a)(?:b)", "(?:a)(?:b)"},
        {"a{1,3}+", "(?:a{1,3})+"},
        {"a{,3}", "a{0,3}"},
        {"a++b*?c{2,}?", "a++b*?c{2,}?"},
        {"\\v", "\\x{b}"},
        {"\\.", "\\x{2e}"},
        {"a{x", "a\\x{7b}x"},
        {"[a-c[xy]\\-]", "[a-cxy\\x{2d}]"},
        {"(?i:'S)", "(?i:\\x{27}S)"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct str out = {0};
        assert_int_equal(pattern_translate(&out, pairs[i][0], strlen(pairs[i][0]), "x", NULL), 0);
        assert_string_equal(str_text(&out), pairs[i][1]);
        str_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),          cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_accepted),         cmocka_unit_test(test_marks_become_neighbours),
        cmocka_unit_test(test_truncation),       cmocka_unit_test(test_bad_text_and_ids),
        cmocka_unit_test(test_long_text),        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_patterns_refused), cmocka_unit_test(test_pattern_translation),
    };
    /* Makes jansson allocate as json.c does, whatever test runs first. */
    struct err err = {0};
    json_decref(json_read("{}", 2, 0, "", &err));
    return cmocka_run_group_tests(tests, NULL, NULL);
}

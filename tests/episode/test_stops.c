/* test_stops.c: stop strings. Token by token over real texts, against the plain definition: the
 * first prefix of the ids whose decoded text holds the string. Vocabularies with many merges and
 * with none for most of the text, so that a stop string begins and ends inside tokens, reaches over
 * several, and cuts through the bytes of a character. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "base/mem.h"
#include "episode/stops.h"

static const char *const texts[] = {
    "Aproveite: frete grátis! Só hoje.\n\nQuestion: quanto custa? ``` SELECT 1; ```",
    "ação, coração — emoção 😀😀 fim 😀",
    "aaaaaab aabaab abababac aabaabaac",
    "Answer:\n{\"nota\": 5}\n\n\nEnd",
};
static const char *const folders[] = {"tests/oracle/tokenizer/gpt2.json",
                                      "tests/oracle/tokenizer/qwen.json",
                                      "tests/oracle/tokenizer/llama3.json"};

/* Tokens after which the text first holds `stop`; 0: never. */
static int first_hit(const tokenizer *t, const struct ids *ids, const char *stop)
{
    struct str text = {0};
    struct err err;
    int hit = 0;
    for (size_t n = 1; n <= ids->count && !hit; n++) {
        str_clear(&text);
        assert_int_equal(tokenizer_decode(t, &text, ids->data, n, false, &err), 0);
        hit = strstr(str_text(&text), stop) ? (int)n : 0;
    }
    str_free(&text);
    return hit;
}

static int watched_hit(const struct text_codec *codec, const struct stop_strings *stops,
                       const struct ids *ids)
{
    int matched[8] = {9, 9, 9, 9, 9, 9, 9, 9}; /* of an earlier completion */
    struct stop_watch w = {.matched = matched};
    struct str piece = {0};
    struct err err;
    bool hit;
    size_t n = 0;
    /* An earlier completion leaves the stream in the middle of a character. */
    assert_int_equal(stop_watch_reset(&w, stops, codec, &err), 0);
    assert_int_equal(stop_watch_next(&w, stops, codec, ids->data[0], &piece, &hit, &err), 0);
    assert_int_equal(stop_watch_reset(&w, stops, codec, &err), 0);
    hit = false;
    while (n < ids->count && !hit)
        assert_int_equal(stop_watch_next(&w, stops, codec, ids->data[n++], &piece, &hit, &err), 0);
    str_free(&piece);
    stop_watch_free(&w);
    return hit ? (int)n : 0;
}

static void one_string(const struct text_codec *codec, const struct ids *ids, const char *stop)
{
    struct stop_strings stops;
    struct err err;
    assert_int_equal(stop_strings_create(&stops, codec, &stop, 1, "--stop", &err), 0);
    int got = watched_hit(codec, &stops, ids), want = first_hit(codec->tokenizer, ids, stop);
    if (got != want)
        fail_msg("stop string \"%s\": after %d tokens, expected %d", stop, got, want);
    stop_strings_free(&stops);
}

static bool starts_character(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80;
}

/* Every stretch of 1 to 7 characters of the text, as it is and with another last byte. */
static int every_stretch(const struct text_codec *codec, const struct ids *ids, const char *text)
{
    int checked = 0;
    for (const char *from = text; *from; from++) {
        if (!starts_character(*from))
            continue;
        const char *to = from;
        for (int n = 1; n <= 7 && *to; n++) {
            do
                to++;
            while (*to && !starts_character(*to));
            char stop[64];
            snprintf(stop, sizeof stop, "%.*s", (int)(to - from), from);
            one_string(codec, ids, stop);
            snprintf(stop, sizeof stop, "%.*sq", (int)(to - from), from);
            one_string(codec, ids, stop);
            checked += 2;
        }
    }
    return checked;
}

static void test_definition(void **state)
{
    (void)state;
    int checked = 0;
    for (size_t f = 0; f < sizeof folders / sizeof *folders; f++) {
        struct text_codec codec = {0};
        struct err err;
        assert_int_equal(tokenizer_open(&codec.tokenizer, folders[f], &err), 0);
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            struct ids ids = {0};
            assert_int_equal(
                tokenizer_encode(codec.tokenizer, &ids, texts[i], strlen(texts[i]), false, &err),
                0);
            checked += every_stretch(&codec, &ids, texts[i]);
            ids_free(&ids);
        }
        tokenizer_free(codec.tokenizer);
    }
    assert_true(checked > 3000);
}

/* Several: the first that is complete ends it. Special tokens are written out; ids beyond the
 * tokenizer's vocabulary, which a padded model may draw, are nothing. */
static void test_several(void **state)
{
    (void)state;
    struct text_codec codec = {0};
    struct stop_strings stops;
    struct err err;
    struct ids ids = {0};
    assert_int_equal(tokenizer_open(&codec.tokenizer, "tests/demo/model", &err), 0);
    const char *text = "Oferta: tapete novo<|im_end|>\nmais";
    assert_int_equal(tokenizer_encode(codec.tokenizer, &ids, text, strlen(text), false, &err), 0);
    static const char *const wanted[] = {"nada", "mais", "novo", "novoa"};
    assert_int_equal(stop_strings_create(&stops, &codec, wanted, 4, "--stop", &err), 0);
    assert_int_equal(watched_hit(&codec, &stops, &ids), first_hit(codec.tokenizer, &ids, "novo"));
    stop_strings_free(&stops);
    int special = tokenizer_token_id(codec.tokenizer, "<|im_end|>", 10), at = 0;
    while (ids.data[at] != special)
        at++;
    static const char *const named[] = {"novo<|im_end|>"};
    assert_int_equal(stop_strings_create(&stops, &codec, named, 1, "--stop", &err), 0);
    assert_int_equal(watched_hit(&codec, &stops, &ids), at + 1);
    for (int i = (int)ids.count - 1; i > 0; i--)
        if (ids.data[i] == special) /* in the middle of the string, and yet nothing */
            ids.data[i] = tokenizer_vocab_size(codec.tokenizer) + 3;
    assert_int_equal(watched_hit(&codec, &stops, &ids), 0);
    stop_strings_free(&stops);
    static const char *const stale[] = {"xOferta"}; /* x: held back by an earlier completion */
    assert_int_equal(stop_strings_create(&stops, &codec, stale, 1, "--stop", &err), 0);
    assert_int_equal(watched_hit(&codec, &stops, &ids), 0);
    stop_strings_free(&stops);
    static const char *const across[] = {"novo\nmais"};
    assert_int_equal(stop_strings_create(&stops, &codec, across, 1, "--stop", &err), 0);
    assert_int_equal(watched_hit(&codec, &stops, &ids), (int)ids.count);
    stop_strings_free(&stops);
    ids_free(&ids);
    tokenizer_free(codec.tokenizer);
}

static void refused(const struct text_codec *codec, const char *text, const char *what)
{
    struct stop_strings stops;
    struct err err = {0};
    const char *list[] = {"good", text};
    assert_int_equal(stop_strings_create(&stops, codec, list, 2, "stop_strings", &err), ERR_USAGE);
    assert_string_equal(err.where, "stop_strings");
    assert_non_null(strstr(err.message, what));
    assert_null(stops.items);
}

static void test_refusals(void **state)
{
    (void)state;
    struct text_codec codec = {0}, none = {0};
    struct stop_strings stops;
    struct err err;
    assert_int_equal(tokenizer_open(&codec.tokenizer, "tests/demo/model", &err), 0);
    refused(&codec, "", "empty");
    refused(&codec, "a\xFF", "UTF-8");
    refused(&none, "b", "no tokenizer");
    assert_int_equal(stop_strings_create(&stops, &none, NULL, 0, "stop_strings", &err), 0);
    assert_int_equal(stops.count, 0);
    stop_strings_free(&stops);
    tokenizer_free(codec.tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

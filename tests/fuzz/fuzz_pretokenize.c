/* fuzz_pretokenize.c: a pattern of a Split step (first line) on a text (the rest), with and without
 * other cuts after it, and the same pattern replacing in a normalizer. What is accepted cuts the
 * text into non-empty words of whole characters which, joined, are the text; what is replaced is
 * valid. */
#include <stdint.h>
#include <string.h>
#include "base/check.h"
#include "base/json.h"
#include "base/mem.h"
#include "tokenizer/normalize.h"
#include "tokenizer/pretokenize.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct cutting {
    const char *text; /* what is still to come */
    size_t length;
};

static int take_word(void *context, const char *word, size_t length)
{
    struct cutting *c = context;
    CHECK(length && length <= c->length && memcmp(word, c->text, length) == 0);
    CHECK(utf8_valid(word, length));
    c->text += length;
    c->length -= length;
    return 0;
}

static void check_cut(const json_t *spec, const char *text, size_t length)
{
    struct pretokenizer *p = NULL;
    struct err err = {0};
    int status = pretokenizer_create(&p, spec, "bytes", &err);
    CHECK(status == ERR_NONE || (status == ERR_INPUT && err.message[0] && err.where[0]));
    if (status)
        return;
    matcher *m = matcher_create();
    struct cutting c = {text, length};
    CHECK(m);
    status = pretokenize(p, m, text, length, 0, take_word, &c, &err);
    CHECK(status == ERR_NONE || (status == ERR_INPUT && err.message[0]));
    CHECK(status || c.length == 0);
    matcher_free(m);
    pretokenizer_free(p);
}

static void check_replace(const json_t *spec, const char *text, size_t length)
{
    struct normalizer *n = NULL;
    struct err err = {0};
    int status = normalizer_create(&n, spec, "bytes", &err);
    CHECK(status == ERR_NONE || (status == ERR_INPUT && err.message[0] && err.where[0]));
    if (status)
        return;
    matcher *m = matcher_create();
    struct origin_text out = {0};
    int32_t c;
    size_t zero = length ? (size_t)utf8_decode(text, length, &c) : 0;
    CHECK(m);
    status = normalize(n, m, &out, text, length, zero, &err);
    CHECK(status == ERR_NONE || (status == ERR_INPUT && err.message[0]));
    CHECK(status || (utf8_valid(str_text(&out.text), out.text.length) &&
                     utf8_valid(str_text(&out.text), out.zero)));
    CHECK(out.zero <= out.text.length);
    str_free(&out.text);
    matcher_free(m);
    normalizer_free(n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = memchr(data, '\n', size);
    if (!line)
        return 0;
    const char *pattern = (const char *)data, *text = (const char *)line + 1;
    size_t pattern_length = (size_t)(line - data), length = size - pattern_length - 1;
    /* Both come through gates that let nothing else in: JSON, and tokenizer_encode. */
    if (!utf8_valid(pattern, pattern_length) || !utf8_valid(text, length))
        return 0;
    struct err err = {0};
    json_t *spec = json_read("{}", 2, JSON_PLAIN, "spec", &err); /* sets jansson's allocator */
    json_decref(spec);
    size_t blocks = mem_stats().live_blocks;
    for (int other = 0; other < 2; other++) {
        spec = json_pack("{s:s, s:[{s:s, s:{s:s%}, s:s, s:b}, {s:s, s:i}]}", "type", "Sequence",
                         "pretokenizers", "type", "Split", "pattern", "Regex", pattern,
                         pattern_length, "behavior", other ? "MergedWithNext" : "Isolated",
                         "invert", other, "type", other ? "Digits" : "FixedLength", "length", 3);
        if (!spec) /* json_pack takes no NUL inside a text */
            return 0;
        check_cut(spec, text, length);
        json_decref(spec);
    }
    spec = json_pack("{s:s, s:{s:s%}, s:s}", "type", "Replace", "pattern", "Regex", pattern,
                     pattern_length, "content", "\xC3\xA9");
    if (spec)
        check_replace(spec, text, length);
    json_decref(spec);
    CHECK(mem_stats().live_blocks == blocks);
    return 0;
}

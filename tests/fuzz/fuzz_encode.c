/* fuzz_encode.c: any text through the tokenizer of the demo model, and any bytes as ids. Text comes
 * back whole (the vocabulary has every byte and no normalizer); invalid text and unknown ids are
 * errors; a stream of ids gives what they give at once. Run from the repository's root. */
#include <stdint.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "tokenizer/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const tokenizer *demo_tokenizer(void)
{
    static tokenizer *t; /* loaded once, for the life of the process */
    struct err err = {0};
    if (!t)
        CHECK(tokenizer_open(&t, "tests/demo/model/tokenizer.json", &err) == 0);
    return t;
}

static void check_text(const tokenizer *t, const char *text, size_t length)
{
    struct ids ids = {0};
    struct str back = {0};
    struct err err = {0};
    int status = tokenizer_encode(t, &ids, text, length, false, &err);
    CHECK(status == (utf8_valid(text, length) ? ERR_NONE : ERR_INPUT));
    if (!status) {
        CHECK(ids.count <= length);
        CHECK(tokenizer_decode(t, &back, ids.data, ids.count, false, &err) == 0);
        CHECK(back.length == length && memcmp(str_text(&back), text, length) == 0);
    }
    ids_free(&ids);
    str_free(&back);
}

static void check_ids(const tokenizer *t, const uint8_t *data, size_t size)
{
    struct ids ids = {0};
    struct str whole = {0}, streamed = {0};
    struct decode_stream *stream;
    struct err err = {0};
    bool valid = true;
    for (size_t i = 0; i + 1 < size; i += 2) {
        int id = (data[i] << 8 | data[i + 1]) % (tokenizer_vocab_size(t) + 1);
        CHECK(ids_push(&ids, id) == 0);
        valid = valid && id < tokenizer_vocab_size(t);
    }
    int status = tokenizer_decode(t, &whole, ids.data, ids.count, true, &err);
    CHECK(status == (valid ? ERR_NONE : ERR_INPUT));
    if (valid) {
        CHECK(decode_stream_create(&stream, t, true, &err) == 0);
        for (size_t i = 0; i < ids.count; i++)
            CHECK(decode_stream_put(stream, &streamed, ids.data[i], &err) == 0);
        CHECK(decode_stream_end(stream, &streamed, &err) == 0);
        decode_stream_free(stream);
        CHECK(whole.length == streamed.length);
        CHECK(memcmp(str_text(&whole), str_text(&streamed), whole.length) == 0);
        CHECK(utf8_valid(str_text(&whole), whole.length));
    }
    ids_free(&ids);
    str_free(&whole);
    str_free(&streamed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const tokenizer *t = demo_tokenizer();
    size_t blocks = mem_stats().live_blocks;
    check_text(t, (const char *)data, size);
    check_ids(t, data, size);
    CHECK(mem_stats().live_blocks == blocks);
    return 0;
}

/* fuzz_tokenizer.c: any bytes as tokenizer.json. Whatever loads encodes a fixed text and its own
 * tokens without a fault, gives ids of its vocabulary, and decodes them, at once and as a stream,
 * to the same valid text. */
#include <stdint.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "tokenizer/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "Ol\xC3\xA1, mundo! It's 12345  apples\r\n\t <|im_end|>"
                           " \xE2\x96\x81"
                           "a<0x41> SQL \xEF\xAC\x81."
                           "e\xCC\x81 \xE4\xBD\xA0\xE5\xA5\xBD \xF0\x9F\x98\x80\xC2\xA0  x";

static void check_decode(const tokenizer *t, const struct ids *ids)
{
    struct str whole = {0}, streamed = {0};
    struct decode_stream *stream;
    struct err err = {0};
    CHECK(tokenizer_decode(t, &whole, ids->data, ids->count, false, &err) == 0);
    CHECK(decode_stream_create(&stream, t, false, &err) == 0);
    for (size_t i = 0; i < ids->count; i++) {
        CHECK(decode_stream_put(stream, &streamed, ids->data[i], &err) == 0);
        CHECK(utf8_valid(str_text(&streamed), streamed.length));
    }
    CHECK(decode_stream_end(stream, &streamed, &err) == 0);
    decode_stream_free(stream);
    CHECK(utf8_valid(str_text(&whole), whole.length) && whole.length == streamed.length);
    CHECK(memcmp(str_text(&whole), str_text(&streamed), whole.length) == 0);
    str_free(&whole);
    str_free(&streamed);
}

static void check_tokenizer(const tokenizer *t)
{
    for (int special = 0; special < 2; special++) {
        struct ids ids = {0};
        struct err err = {0};
        int status = tokenizer_encode(t, &ids, text, sizeof text - 1, special, &err);
        CHECK(status == ERR_NONE || (status == ERR_INPUT && err.message[0]));
        for (size_t i = 0; i < ids.count; i++)
            CHECK(ids.data[i] >= 0 && ids.data[i] < tokenizer_vocab_size(t));
        if (!status)
            check_decode(t, &ids);
        ids_free(&ids);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t blocks = mem_stats().live_blocks;
    tokenizer *t = NULL;
    struct err err = {0};
    int status = tokenizer_parse(&t, data, size, "bytes", &err);
    CHECK(status == ERR_NONE || (status == ERR_INPUT && err.message[0] && err.where[0]));
    CHECK((status == ERR_NONE) == (t != NULL));
    if (t)
        check_tokenizer(t);
    tokenizer_free(t);
    CHECK(mem_stats().live_blocks == blocks);
    return 0;
}

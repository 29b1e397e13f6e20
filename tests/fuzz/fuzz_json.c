/* fuzz_json.c: any bytes as JSON; the first byte chooses the flags. What is accepted is written by
 * our writer and read back: the same value, and written once more the same bytes. */
#include <stdint.h>
#include <string.h>
#include "base/check.h"
#include "base/json.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_value(struct str *out, const json_t *value)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_value(&w, value);
    CHECK(!out->failed);
}

static void check_value(const json_t *value)
{
    struct str once = {0}, twice = {0};
    struct err err = {0};
    write_value(&once, value);
    json_t *again =
        json_read(once.data, once.length, JSON_ANY_VALUE | JSON_NUL_ALLOWED, "again", &err);
    CHECK(again);
    write_value(&twice, again);
    CHECK(once.length == twice.length && memcmp(once.data, twice.data, once.length) == 0);
    CHECK(json_equal(value, again));
    json_decref(again);
    str_free(&once);
    str_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    int flags =
        data[0] & (JSON_UNIQUE_KEYS | JSON_ANY_VALUE | JSON_NUL_ALLOWED | JSON_BIG_INTEGERS);
    struct err err = {0};
    json_t *value = json_read(data + 1, size - 1, flags, "bytes", &err);
    CHECK(value || (err.code == ERR_INPUT && err.message[0] && err.where[0]));
    if (value)
        check_value(value);
    json_decref(value);
    return 0;
}

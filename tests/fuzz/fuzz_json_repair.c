/* fuzz_json_repair.c: JSON found and repaired in any bytes. What must hold: valid JSON (that fits
 * the limits) is taken as it stands and called strict, and nothing else is called so; what was
 * repaired is JSON: written down and read again, it is the same and strict; it is no larger than a
 * few times the text, and takes time in proportion to it. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/check.h"
#include "base/json.h"
#include "base/mem.h"
#include "reward/json_repair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check_again(const json_t *value)
{
    struct str text = {0};
    struct json_writer w;
    struct json_repaired again;
    jw_begin(&w, &text);
    jw_value(&w, value);
    CHECK(!text.failed && json_repair(&again, str_text(&text), text.length));
    if (!json_is_string(value)) { /* a string may hold JSON */
        CHECK(again.strict && again.value && json_equal(again.value, value));
    }
    json_repaired_free(&again);
    str_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t live = mem_stats().live_blocks, live_bytes = mem_stats().live_bytes;
    struct json_repaired r;
    struct err err = {0};
    double from = seconds();
    CHECK(json_repair(&r, (const char *)data, size));
    CHECK(seconds() - from < 0.5 + 2e-5 * (double)size); /* with sanitizers, on a busy machine */
    CHECK(mem_stats().live_bytes - live_bytes <= 4096 + 400 * size);
    json_t *strict =
        json_read(data, size, JSON_UNIQUE_KEYS | JSON_ANY_VALUE | JSON_NUL_ALLOWED, "", &err);
    bool large = r.repairs >> JSON_TOO_LARGE & 1;
    CHECK((r.place == JSON_NOWHERE) <= (r.value == NULL));
    CHECK(r.value || r.place == JSON_NOWHERE || large);
    CHECK(!r.strict || (r.value && r.repairs == 0));
    if (strict && !large && (json_is_object(strict) || json_is_array(strict)))
        CHECK(r.strict && json_equal(r.value, strict));
    if (r.value)
        check_again(r.value);
    json_decref(strict);
    json_repaired_free(&r);
    CHECK(mem_stats().live_blocks == live);
    return 0;
}

/* fuzz_strip_think.c: strip_think on any bytes. What must hold: what a second reading of its
 * definition gives, byte by byte, with the kept bytes marked in place (so the output is the input
 * with pieces taken out); it appends; a text without a tag stays as it is, so an output without one
 * is stripped already; and much of the input over and over takes no time to speak of. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "base/check.h"
#include "base/mem.h"
#include "reward/reward.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ASCII case only: the C locale's. */
static size_t tag_at(const char *text, size_t left, const char *tag)
{
    size_t n = strlen(tag);
    return left >= n && strncasecmp(text, tag, n) == 0 ? n : 0;
}

static bool has_tag(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (tag_at(text + i, size - i, "<think>") || tag_at(text + i, size - i, "</think>"))
            return true;
    return false;
}

static void check_definition(const char *text, size_t size, const struct str *out)
{
    char *kept = mem_alloc(size + 1);
    CHECK(kept);
    memset(kept, 1, size + 1);
    size_t open = 0;
    for (size_t i = 0; i < size; i++) {
        size_t begins = tag_at(text + i, size - i, "<think>"),
               ends = tag_at(text + i, size - i, "</think>");
        for (size_t k = i; k < i + begins + ends; k++)
            kept[k] = 0;
        open += begins > 0;
        open -= ends > 0 && open > 0;
        kept[i] = kept[i] && open == 0;
        for (size_t k = i; k < i + begins + ends; k++)
            kept[k] = 0;
        i += begins + ends ? begins + ends - 1 : 0;
    }
    size_t n = 0;
    for (size_t i = 0; i < size; i++)
        if (kept[i]) {
            CHECK(n < out->length && out->data[n] == text[i]);
            n++;
        }
    CHECK(n == out->length);
    mem_free(kept);
}

static void check_again(const struct str *once)
{
    struct str twice = {0};
    if (has_tag(str_text(once), once->length))
        return; /* made by what was taken out; it stays, and a second pass would not leave it */
    strip_think(&twice, str_text(once), once->length);
    CHECK(!twice.failed && twice.length == once->length);
    CHECK(memcmp(str_text(&twice), str_text(once), once->length) == 0);
    str_free(&twice);
}

static void check_time(const char *text, size_t size)
{
    enum { LARGE = 1 << 16 };
    char *large = mem_alloc(LARGE);
    struct str out = {0};
    CHECK(large);
    for (size_t i = 0; i < LARGE; i++)
        large[i] = text[i % size];
    clock_t start = clock();
    strip_think(&out, large, LARGE);
    CHECK(clock() - start < CLOCKS_PER_SEC / 2); /* sanitized; quadratic would be many seconds */
    CHECK(!out.failed);
    str_free(&out);
    mem_free(large);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct str out = {0}, behind = {0};
    size_t live = mem_stats().live_blocks;
    strip_think(&out, text, size);
    CHECK(!out.failed && out.length <= size);
    check_definition(text, size, &out);
    check_again(&out);
    str_puts(&behind, "<think>before");
    strip_think(&behind, text, size);
    CHECK(behind.length == out.length + 13 && memcmp(behind.data, "<think>before", 13) == 0);
    CHECK(memcmp(behind.data + 13, str_text(&out), out.length) == 0);
    if (size && data[0] % 64 == 0)
        check_time(text, size);
    str_free(&out);
    str_free(&behind);
    CHECK(mem_stats().live_blocks == live);
    return 0;
}

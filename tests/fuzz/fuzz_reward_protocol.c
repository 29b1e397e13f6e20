/* fuzz_reward_protocol.c: any bytes as the answer of a reward of the user's own, and as the texts
 * of a request. What must hold: an answer that is taken has this id and is a verdict, its numbers
 * finite or absent; one that is not taken says why and leaves no trace; reasons are text that can
 * be shown; a request is one line of JSON whatever the texts hold; an allocation that fails leaves
 * nothing behind. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/json.h"
#include "base/mem.h"
#include "reward/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct reward_component list[] = {{"form", 0.75}, {"content", 0.25}, {"score", 0}};

static bool shown(const char *text)
{
    if (!utf8_valid(text, strlen(text)))
        return false;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            return false;
    return true;
}

/* fail: the number of the allocation that fails; -1: none. */
static bool answer(struct reward_result *out, char why[PROTOCOL_WHY], const uint8_t *data,
                   size_t size, int n, long fail)
{
    struct str explain = {0};
    *out = (struct reward_result){.status = REWARD_OK, .score = NAN, .n_components = n};
    for (int i = 0; i < REWARD_MAX_COMPONENTS; i++)
        out->components[i] = NAN;
    why[0] = 0;
    mem_fail_after(fail);
    bool taken = protocol_answer(out, why, (const char *)data, size, 5, n == 1 ? list + 2 : list, n,
                                 &explain);
    mem_fail_after(-1);
    if (explain.length && !explain.failed) {
        json_t *json = json_read(str_text(&explain), explain.length,
                                 JSON_UNIQUE_KEYS | JSON_NUL_ALLOWED, "explain", NULL);
        CHECK(taken && json_is_object(json));
        json_decref(json);
    }
    str_free(&explain);
    return taken;
}

static void check_answer(const uint8_t *data, size_t size, int n)
{
    struct reward_result out;
    char why[PROTOCOL_WHY];
    json_t *json =
        json_read(data, size, JSON_UNIQUE_KEYS | JSON_ANY_VALUE | JSON_NUL_ALLOWED, "", NULL);
    const json_t *id = json_object_get(json, "id");
    bool taken = answer(&out, why, data, size, n, -1);
    CHECK(taken == (json_is_integer(id) && json_integer_value(id) == 5));
    CHECK(taken == (why[0] == 0) && shown(why));
    CHECK((out.status == REWARD_OK) == (out.reason[0] == 0) && shown(out.reason));
    bool some = !isnan(out.score);
    for (int i = 0; i < REWARD_MAX_COMPONENTS; i++) {
        CHECK(!isinf(out.components[i]) && (i < n || isnan(out.components[i])));
        some = some || !isnan(out.components[i]);
    }
    CHECK(!isinf(out.score) && (taken && out.status == REWARD_OK ? true : !some));
    json_decref(json);
}

static void check_request(const uint8_t *data, size_t size)
{
    struct str text = {0};
    size_t half = size / 2;
    struct slice group[2] = {{(const char *)data, size}, {(const char *)data, half}};
    struct reward_input in = {.prompt = (const char *)data,
                              .prompt_length = half,
                              .completion = (const char *)data + half,
                              .completion_length = size - half,
                              .group = group,
                              .n_group = 2};
    protocol_request(&text, 5, &in, size % 2);
    CHECK(!text.failed && memchr(text.data, '\n', text.length) == text.data + text.length - 1);
    json_t *json = json_read(text.data, text.length, JSON_UNIQUE_KEYS | JSON_NUL_ALLOWED, "", NULL);
    const json_t *completion = json_object_get(json, "completion");
    CHECK(json_integer_value(json_object_get(json, "id")) == 5 && json_is_string(completion));
    if (utf8_valid(in.completion, in.completion_length))
        CHECK(json_string_length(completion) == in.completion_length &&
              memcmp(json_string_value(completion), in.completion, in.completion_length) == 0);
    json_decref(json);
    str_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t none[1] = {0};
    struct reward_result out;
    char why[PROTOCOL_WHY];
    size_t live = mem_stats().live_blocks;
    if (size == 0)
        data = none;
    check_answer(data, size, 2);
    check_answer(data, size, 1);
    check_request(data, size);
    if (size)
        answer(&out, why, data, size, 2, data[size - 1] % 32);
    CHECK(mem_stats().live_blocks == live);
    return 0;
}

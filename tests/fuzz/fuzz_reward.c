/* fuzz_reward.c: rewards on any bytes: strip_think, sql_qa_v2, push, length, a few patterns of
 * regex, extraction with and without a reference, insights, exact_answer, repetition, sql_valid;
 * with and without an explanation; prompt and completion are a group as well. The first byte
 * chooses; a 0xFF parts prompt and completion. What must hold: no crash, a finite score in [0,1],
 * components in [0,1], an explanation that is one JSON object, and the same result twice. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/json.h"
#include "base/mem.h"
#include "reward/reward.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char review[] =
    "{\"reference\": {\"sentimento\": \"neutro\", \"nota\": 3, \"produto\": \"mesa\", \"valor\": "
    "4.5, \"recomenda\": null, \"resumo\": \"a mesa é boa\"}}";
static const char figures[] =
    "{\"reference\": {\"numbers\": {\"a\": 12, \"b\": 3.5, \"c\": 0}, \"domain\": [\"loja\"]}}";

static const struct {
    const char *name, *params, *row;
} choices[] = {
    {"sql_qa_v2", NULL, NULL},
    {"push", NULL, NULL},
    {"length", "{\"min\": 3, \"max\": 20}", NULL},
    {"length", "{\"target\": 5, \"unit\": \"words\", \"strip_think\": false}", NULL},
    {"regex", "{\"pattern\": \"(\\\\w+)\\\\s*=\\\\s*(\\\\d+)?\", \"flags\": \"ignore_case\"}",
     NULL},
    {"regex", "{\"pattern\": \"^(a+|b)+$\", \"mode\": \"fullmatch\"}", NULL},
    {"regex", "{\"pattern\": \"(?<=\\\\p{L})\\\\X(?=.)\", \"flags\": [\"dot_all\"]}", NULL},
    {"regex", "{\"pattern\": \"^<think>(.*?)</think>\\\\K.\", \"strip_think\": false}", NULL},
    {"extraction", NULL, review},
    {"extraction", NULL, NULL},
    {"insights", NULL, figures},
    {"insights", NULL, NULL},
    {"sql_valid", "{\"schema\": \"tests/reward/fixtures/shop.sql\"}", NULL},
    {"exact_answer", NULL, "{\"answer\": \"1.234,5\"}"},
    {"exact_answer", NULL, "{\"answer\": [\"B\", \"x+1\"]}"},
    {"exact_answer", "{\"tolerance\": 0.1}", "{\"answer\": \"3/4\"}"},
    {"repetition", NULL, NULL},
    {"repetition", "{\"n\": 1, \"threshold\": 0.5, \"strip_think\": false}", NULL},
};

static void check_strip(const uint8_t *data, size_t size)
{
    struct str once = {0};
    strip_think(&once, (const char *)data, size);
    CHECK(!once.failed && once.length <= size);
    str_free(&once);
}

static void check_result(const struct reward_result *out)
{
    CHECK(out->status == REWARD_OK);
    CHECK(out->score >= 0 && out->score <= 1);
    for (int i = 0; i < out->n_components; i++)
        CHECK(isnan(out->components[i]) || (out->components[i] >= 0 && out->components[i] <= 1));
}

static void check_reward(const reward *r, const struct reward_input *in)
{
    struct reward_result plain, explained;
    struct str explain = {0};
    reward_evaluate(r, in, &plain, NULL);
    reward_evaluate(r, in, &explained, &explain);
    check_result(&plain);
    check_result(&explained);
    CHECK(plain.score == explained.score);
    json_t *json = json_read(str_text(&explain), explain.length,
                             JSON_UNIQUE_KEYS | JSON_NUL_ALLOWED, "explain", NULL);
    CHECK(json_is_object(json));
    json_decref(json);
    str_free(&explain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t live = mem_stats().live_blocks, n = sizeof choices / sizeof *choices;
    size_t choice = data[0] % n;
    data++;
    size--;
    const uint8_t *cut = memchr(data, 0xFF, size);
    size_t prompt = cut ? (size_t)(cut - data) : 0;
    struct reward_input in = {.prompt = (const char *)data,
                              .prompt_length = prompt,
                              .completion = (const char *)data + (cut ? prompt + 1 : 0),
                              .completion_length = size - (cut ? prompt + 1 : 0)};
    const char *text = choices[choice].row;
    json_t *row = text ? json_read(text, strlen(text), 0, "", NULL) : NULL;
    in.row = row;
    struct slice group[2] = {{in.completion, in.completion_length}, {in.prompt, in.prompt_length}};
    in.group = group;
    in.n_group = size % 3 ? 2 : 0;
    check_strip(data, size);
    json_t *params = choices[choice].params ? json_read(choices[choice].params,
                                                        strlen(choices[choice].params), 0, "", NULL)
                                            : NULL;
    reward *r;
    CHECK(reward_create(&r, choices[choice].name, params, NULL) == 0);
    check_reward(r, &in);
    reward_free(r);
    json_decref(params);
    json_decref(row);
    CHECK(mem_stats().live_blocks == live);
    return 0;
}

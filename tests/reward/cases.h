/* cases.h: scoring one text in a test. */
#ifndef TESTS_REWARD_CASES_H
#define TESTS_REWARD_CASES_H
#include <stdio.h>
#include <string.h>
#include "../support/support.h"
#include "base/json.h"
#include "base/mem.h"
#include "reward/reward.h"

/* A reward from its parameters as JSON text (NULL: none). */
static inline reward *make_reward(const char *name, const char *params)
{
    struct err err = {0};
    json_t *json = params ? json_read(params, strlen(params), 0, "test", &err) : NULL;
    reward *r = NULL;
    if (reward_create(&r, name, json, &err))
        fail_msg("%s: %s", err.where, err.message);
    json_decref(json);
    return r;
}

static inline struct reward_result evaluate(const reward *r, const char *prompt, const char *text,
                                            size_t length)
{
    struct reward_input in = {.prompt = prompt,
                              .prompt_length = strlen(prompt),
                              .completion = text,
                              .completion_length = length};
    struct reward_result out;
    reward_evaluate(r, &in, &out, NULL);
    return out;
}

static inline double score_of(const reward *r, const char *prompt, const char *text)
{
    struct reward_result out = evaluate(r, prompt, text, strlen(text));
    if (out.status != REWARD_OK)
        fail_msg("status %s: %s", reward_status_name(out.status), out.reason);
    return out.score;
}

/* The explanation as JSON; release with json_decref. */
static inline json_t *explanation(const reward *r, const char *prompt, const char *text)
{
    struct reward_input in = {.prompt = prompt,
                              .prompt_length = strlen(prompt),
                              .completion = text,
                              .completion_length = strlen(text)};
    struct reward_result out;
    struct str explain = {0};
    struct err err = {0};
    reward_evaluate(r, &in, &out, &explain);
    json_t *json = json_read(str_text(&explain), explain.length,
                             JSON_UNIQUE_KEYS | JSON_NUL_ALLOWED, "explain", &err);
    if (!json_is_object(json))
        fail_msg("explain is no JSON object: %s: %s", str_text(&explain), err.message);
    str_free(&explain);
    return json;
}

/* Every allocation of an evaluation fails once: the answer is `failed`, never a number, and nothing
 * leaks. */
static inline void check_no_memory(const reward *r, const char *prompt, const char *text)
{
    bool finished = false;
    size_t live = mem_stats().live_blocks;
    for (int n = 0; !finished; n++) {
        assert_true(n < 1000);
        mem_fail_after(n);
        struct reward_result out = evaluate(r, prompt, text, strlen(text));
        mem_fail_after(-1);
        finished = out.status == REWARD_OK;
        if (!finished) {
            assert_int_equal(out.status, REWARD_FAILED);
            assert_true(out.score != out.score);
            assert_non_null(strstr(out.reason, "memory"));
        } else {
            assert_true(n > 0);
        }
        assert_int_equal(mem_stats().live_blocks, live);
    }
}

#endif

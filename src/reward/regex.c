/* regex.c: `regex`, 1 when a pattern matches the completion, else 0. Parameters:
 *
 *   pattern      PCRE2, over Unicode characters (\d, \w and (?i) are Unicode's)
 *   mode         search (anywhere; the default) or fullmatch (the whole text)
 *   flags        of ignore_case, multi_line, dot_all: one name or a list
 *   strip_think  true: thinking is removed before matching, and white space at the ends; false: the
 *                completion as it is, for patterns about the thinking itself
 *
 * What a match may cost is counted in PCRE2's own steps (match limit, and the memory its frames
 * take), by the interpreter: the JIT counts differently and is not everywhere, and a score must not
 * depend on the machine. A completion that drives the pattern over the limit has not matched: it
 * scores 0 with the reason. Any other error of PCRE2 is the machinery's. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "reward/rewards.h"

enum { MATCH_STEPS = 2000000, MATCH_HEAP_KIB = 256 * 1024, MAX_GROUPS = 32 };

struct regex_params {
    pcre2_general_context *general;
    pcre2_code *code;
    pcre2_match_context *limits;
    bool fullmatch, strip;
};

/* --- parameters --- */

static void *allocate(size_t size, void *unused)
{
    (void)unused;
    return mem_alloc(size);
}

static void release(void *p, void *unused)
{
    (void)unused;
    mem_free(p);
}

static int read_flag(uint32_t *options, const json_t *flag, const char *where, struct err *err)
{
    const char *name = json_string_value(flag);
    if (name && strcmp(name, "ignore_case") == 0)
        *options |= PCRE2_CASELESS;
    else if (name && strcmp(name, "multi_line") == 0)
        *options |= PCRE2_MULTILINE;
    else if (name && strcmp(name, "dot_all") == 0)
        *options |= PCRE2_DOTALL;
    else
        return err_set(
            err, ERR_USAGE, where, "flags has %s%s%.40s%s; known: ignore_case, multi_line, dot_all",
            name ? "" : json_type_name(flag), name ? "\"" : "", name ? name : "", name ? "\"" : "");
    return ERR_NONE;
}

static int read_flags(uint32_t *options, const json_t *params, const char *where, struct err *err)
{
    const json_t *flags = json_object_get(params, "flags");
    int status = ERR_NONE;
    if (!flags || json_is_null(flags))
        return ERR_NONE;
    if (!json_is_array(flags))
        return read_flag(options, flags, where, err);
    for (size_t i = 0; i < json_array_size(flags) && !status; i++)
        status = read_flag(options, json_array_get(flags, i), where, err);
    return status;
}

static int compile(struct regex_params *p, const json_t *pattern, uint32_t options,
                   const char *where, struct err *err)
{
    p->general = pcre2_general_context_create(allocate, release, NULL);
    pcre2_compile_context *context = p->general ? pcre2_compile_context_create(p->general) : NULL;
    p->limits = context ? pcre2_match_context_create(p->general) : NULL;
    if (!p->limits) {
        pcre2_compile_context_free(context);
        return err_no_memory(err, where, 0);
    }
    pcre2_set_match_limit(p->limits, MATCH_STEPS);
    pcre2_set_depth_limit(p->limits, MATCH_STEPS);
    pcre2_set_heap_limit(p->limits, MATCH_HEAP_KIB);
    int code;
    PCRE2_SIZE offset;
    const char *text = json_string_value(pattern);
    p->code = pcre2_compile((PCRE2_SPTR)text, json_string_length(pattern),
                            options | PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF |
                                PCRE2_NEVER_BACKSLASH_C,
                            &code, &offset, context);
    pcre2_compile_context_free(context);
    if (p->code)
        return ERR_NONE;
    if (code == PCRE2_ERROR_HEAP_FAILED)
        return err_no_memory(err, where, json_string_length(pattern));
    PCRE2_UCHAR message[200];
    pcre2_get_error_message(code, message, sizeof message);
    return err_set(err, ERR_USAGE, where, "pattern \"%.200s\" does not compile: %s, at byte %zu",
                   text, (const char *)message, (size_t)offset);
}

static int read_params(struct regex_params *p, const json_t *params, struct err *err)
{
    static const char *const known[] = {"pattern", "mode", "flags", "strip_think"};
    static const char where[] = "params of reward regex";
    const char *mode = "search", *pattern = NULL;
    uint32_t options = 0;
    int status = reward_params_check(params, known, sizeof known / sizeof *known, "regex", err);
    if (status)
        return status;
    if (!json_is_object(params))
        return err_set(err, ERR_USAGE, where, "needs a pattern");
    if ((status = json_get_string(&pattern, params, "pattern", true, where, err)) ||
        (status = json_get_string(&mode, params, "mode", false, where, err)) ||
        (status = json_get_bool(&p->strip, params, "strip_think", false, where, err)) ||
        (status = read_flags(&options, params, where, err)))
        return status;
    p->fullmatch = strcmp(mode, "fullmatch") == 0;
    if (!p->fullmatch && strcmp(mode, "search") != 0)
        return err_set(err, ERR_USAGE, where, "mode is \"%.40s\"; expected search or fullmatch",
                       mode);
    /* Such a pattern could never match, and the reward would be 0 for ever. */
    if (strcasestr(pattern, "think>") && !json_is_boolean(json_object_get(params, "strip_think")))
        return err_set(err, ERR_USAGE, where,
                       "pattern \"%.200s\" speaks of a think tag, but thinking is removed before "
                       "matching; say strip_think: false to match the completion as it is",
                       pattern);
    return compile(p, json_object_get(params, "pattern"), options, where, err);
}

void regex_release(void *state)
{
    struct regex_params *p = state;
    pcre2_match_context_free(p->limits);
    pcre2_code_free(p->code);
    pcre2_general_context_free(p->general);
    mem_free(p);
}

int regex_configure(void **state, const json_t *params, struct err *err)
{
    struct regex_params *p = mem_calloc(1, sizeof *p);
    if (!p)
        return err_no_memory(err, "reward regex", sizeof *p);
    p->strip = true;
    int status = read_params(p, params, err);
    if (status)
        regex_release(p);
    else
        *state = p;
    return status;
}

/* --- matching --- */

static void explain(struct str *out, struct slice text, const pcre2_match_data *match, int groups,
                    const char *reason)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "matched");
    jw_bool(&w, groups > 0);
    if (groups > 0) {
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer((pcre2_match_data *)(uintptr_t)match);
        jw_key(&w, "start_byte");
        jw_int(&w, (long long)at[0]);
        jw_key(&w, "groups"); /* the whole match first; null: a group that took no part */
        jw_array_begin(&w);
        for (int i = 0; i < groups && i < MAX_GROUPS; i++) {
            if (at[2 * i] == PCRE2_UNSET || at[2 * i] > at[2 * i + 1])
                jw_null(&w);
            else
                jw_string(&w, text.data + at[2 * i], at[2 * i + 1] - at[2 * i]);
        }
        jw_array_end(&w);
    }
    if (reason[0]) {
        jw_key(&w, "reason");
        jw_text(&w, reason);
    }
    jw_object_end(&w);
}

static void judge(const struct regex_params *p, struct slice text, struct reward_result *out,
                  struct str *explain_json)
{
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(p->code, p->general);
    if (!match) {
        reward_set_failed(out, "out of memory for a match");
        return;
    }
    uint32_t options = p->fullmatch ? PCRE2_ANCHORED | PCRE2_ENDANCHORED : 0;
    int rc = pcre2_match(p->code, (PCRE2_SPTR)text.data, text.length, 0, options | PCRE2_NO_JIT,
                         match, p->limits);
    out->components[0] = rc > 0 ? 1 : 0;
    if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT ||
        rc == PCRE2_ERROR_HEAPLIMIT) {
        snprintf(out->reason, sizeof out->reason,
                 "the pattern was over its budget of %d steps on this completion",
                 (int)MATCH_STEPS);
    } else if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) {
        PCRE2_UCHAR message[160];
        pcre2_get_error_message(rc, message, sizeof message);
        reward_set_failed(out, "PCRE2: %s", (const char *)message);
    }
    if (explain_json)
        explain(explain_json, text, match, rc, out->reason);
    pcre2_match_data_free(match);
}

void regex_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                    struct str *explain_json)
{
    const struct regex_params *p = state;
    struct str answer = {0};
    struct slice text = {in->completion, in->completion_length};
    if (p->strip) {
        strip_think(&answer, in->completion, in->completion_length);
        text = reward_trim(str_text(&answer), answer.length);
    }
    if (answer.failed)
        reward_set_failed(out, "out of memory for a completion of %zu bytes",
                          in->completion_length);
    else
        judge(p, text, out, explain_json);
    str_free(&answer);
}

/* protocol.c: one line each way; see protocol.h.
 *
 * What is a fault of whom: a line that cannot be matched to the request (no JSON, another id) says
 * that the two ends are out of step, and only a fresh worker helps. An answer with the right id
 * comes from a worker that works, whatever is wrong with it: then the reward failed, and asking
 * again would bring the same. A misspelt key is an error, not a missing value. */
#include "reward/protocol.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/log.h"
#include "reward/rewards.h"

void protocol_request(struct str *out, long long id, const struct reward_input *in, bool with_group)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "id");
    jw_int(&w, id);
    jw_key(&w, "completion");
    jw_string(&w, in->completion, in->completion_length);
    jw_key(&w, "prompt");
    jw_string(&w, in->prompt, in->prompt_length);
    if (with_group) {
        jw_key(&w, "group");
        if (in->n_group)
            jw_array_begin(&w);
        else
            jw_null(&w);
        for (int i = 0; i < in->n_group; i++)
            jw_string(&w, in->group[i].data, in->group[i].length);
        if (in->n_group)
            jw_array_end(&w);
        jw_key(&w, "sample");
        jw_int(&w, in->sample);
    }
    jw_key(&w, "row");
    if (in->row)
        jw_value(&w, in->row);
    else
        jw_null(&w);
    jw_object_end(&w);
    str_putc(out, '\n');
}

/* --- the answer --- */

struct answer {
    const json_t *json;
    const struct reward_component *list;
    int n;
    struct reward_result *out;
};

/* A text of the worker's as a reason: printable, cut between characters. */
static void put_reason(struct reward_result *out, const json_t *text)
{
    struct str shown = {0};
    log_printable(&shown, json_string_value(text), json_string_length(text), 200);
    snprintf(out->reason, sizeof out->reason, "%s",
             shown.failed    ? "its reason found no memory"
             : !shown.length ? "it gave no reason"
                             : str_text(&shown));
    reward_end_text(out->reason);
    str_free(&shown);
}

/* A key of theirs in a message of ours. */
static void wrong_key(struct reward_result *out, const char *what, const char *key,
                      const char *known)
{
    struct str shown = {0};
    log_printable(&shown, key, strlen(key), 40);
    reward_set_failed(out, "the answer has the unknown %s \"%s\"; known: %s", what,
                      str_text(&shown), known);
    str_free(&shown);
}

static bool check_keys(const struct answer *a)
{
    static const char *const known[] = {"id",    "score",   "components", "not_applicable",
                                        "error", "explain", NULL};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)a->json, key, value)
    {
        (void)value;
        int i = 0;
        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (!known[i]) {
            wrong_key(a->out, "key", key, "id, score, components, not_applicable, error, explain");
            return false;
        }
    }
    return true;
}

static void name_components(const struct answer *a, char *out, size_t size)
{
    size_t used = 0;
    out[0] = 0;
    for (int i = 0; i < a->n && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", a->list[i].name);
}

static bool take_component(const struct answer *a, const char *key, const json_t *value)
{
    int i = 0;
    while (i < a->n && strcmp(a->list[i].name, key) != 0)
        i++;
    if (i == a->n) {
        char known[120];
        name_components(a, known, sizeof known);
        wrong_key(a->out, "component", key, known);
        return false;
    }
    if (!json_is_number(value) && !json_is_null(value)) {
        reward_set_failed(a->out,
                          "the answer's component %s is %s; expected a number, or null where "
                          "there is none",
                          a->list[i].name, json_type_name(value));
        return false;
    }
    a->out->components[i] = json_is_null(value) ? NAN : json_number_value(value);
    return true;
}

static void take_score(const struct answer *a)
{
    const json_t *score = json_object_get(a->json, "score"),
                 *components = json_object_get(a->json, "components");
    if (score && !json_is_number(score)) {
        reward_set_failed(a->out, "the answer's score is %s; expected a number",
                          json_type_name(score));
        return;
    }
    if (components && !json_is_object(components)) {
        reward_set_failed(a->out, "the answer's components are %s; expected {name: number}",
                          json_type_name(components));
        return;
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)components, key, value)
    {
        if (!take_component(a, key, value))
            return;
    }
    if (score)
        a->out->score = json_number_value(score);
    if (score && a->n == 1 && strcmp(a->list[0].name, "score") == 0 && isnan(a->out->components[0]))
        a->out->components[0] = a->out->score;
}

static void take_answer(const struct answer *a)
{
    const json_t *error = json_object_get(a->json, "error"),
                 *absent = json_object_get(a->json, "not_applicable");
    bool scored = json_object_get(a->json, "score") || json_object_get(a->json, "components");
    if (!check_keys(a))
        return;
    if (scored + (error != NULL) + (absent != NULL) != 1) {
        reward_set_failed(a->out,
                          "the answer has %s; expected a score (or components), or "
                          "not_applicable, or error",
                          scored || error ? "more than one verdict" : "no verdict");
        return;
    }
    if (scored) {
        take_score(a);
        return;
    }
    const json_t *why = error ? error : absent;
    if (!json_is_string(why)) {
        reward_set_failed(a->out, "the answer's %s is %s; expected a text that says why",
                          error ? "error" : "not_applicable", json_type_name(why));
        return;
    }
    a->out->status = error ? REWARD_FAILED : REWARD_NOT_APPLICABLE;
    put_reason(a->out, why);
}

static bool out_of_step(char why[PROTOCOL_WHY], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool out_of_step(char why[PROTOCOL_WHY], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, PROTOCOL_WHY, format, args);
    va_end(args);
    reward_end_text(why);
    return false;
}

/* What it wrote, for a message. */
static bool no_object(char why[PROTOCOL_WHY], const char *line, size_t length, const char *problem)
{
    struct str shown = {0};
    log_printable(&shown, line, length, 40);
    out_of_step(why, "answered \"%s\", which is %s (notes belong on standard error)",
                str_text(&shown), problem);
    str_free(&shown);
    return false;
}

static bool has_id(const json_t *json, long long id, char why[PROTOCOL_WHY])
{
    const json_t *theirs = json_object_get(json, "id");
    if (!theirs)
        return out_of_step(why, "answered without the request's \"id\"");
    if (!json_is_integer(theirs))
        return out_of_step(why, "answered with an \"id\" that is %s; expected the request's, %lld",
                           json_type_name(theirs), id);
    if (json_integer_value(theirs) != id)
        return out_of_step(why, "answered with the id %lld to the request %lld",
                           (long long)json_integer_value(theirs), id);
    return true;
}

static void take_explanation(const json_t *json, struct reward_result *out, struct str *to)
{
    const json_t *value = json_object_get(json, "explain");
    if (json_is_object(value) && to) {
        struct json_writer w;
        jw_begin(&w, to);
        jw_value(&w, value);
    } else if (value && !json_is_object(value) && out->status == REWARD_OK) {
        reward_set_failed(out, "the answer's explain is %s; expected an object",
                          json_type_name(value));
    }
}

bool protocol_answer(struct reward_result *out, char why[PROTOCOL_WHY], const char *line,
                     size_t length, long long id, const struct reward_component *list, int n,
                     struct str *explain)
{
    struct err err = {0};
    json_t *json = json_read(line, length, JSON_UNIQUE_KEYS | JSON_ANY_VALUE | JSON_NUL_ALLOWED,
                             "answer", &err);
    bool in_step;
    if (err.code == ERR_MACHINE)
        in_step = out_of_step(why, "its answer found no memory");
    else if (!json)
        in_step = no_object(why, line, length, "not JSON");
    else if (!json_is_object(json))
        in_step = no_object(why, line, length, "no object");
    else
        in_step = has_id(json, id, why);
    if (in_step) {
        take_answer(&(struct answer){json, list, n, out});
        take_explanation(json, out, explain);
    }
    json_decref(json);
    return in_step;
}

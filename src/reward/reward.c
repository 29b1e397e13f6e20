/* reward.c: the table of rewards, and what holds for all of them; see reward.h.
 *
 * A reward's `evaluate` fills components (NaN: absent) and, if it has a rule of its own, the score.
 * Everything that must never happen silently is caught here once: an unknown parameter, a total
 * that is not finite, a total of nothing. Those are faults of the machinery: the completion had no
 * say in them, and 0 would teach it something false. */
#include "reward/reward.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "reward/pytext.h"
#include "reward/rewards.h"

static const struct reward_definition table[] = {
    {
        .name = "sql_qa_v2",
        .version = 2,
        .summary = "a question over tables answered with SQL and an explanation, by vocabulary "
                   "(gameable: the reference experiment's function, to the digit)",
        .n_components = SQL_COMPONENTS,
        .components = {[SQL_STRUCTURE] = {"sql_structure", 0.30},
                       [SQL_QUERY_ANSWER] = {"query_and_answer", 0.25},
                       [SQL_NUMBERS] = {"numbers", 0.25},
                       [SQL_DOMAIN] = {"domain", 0.20}},
        .evaluate = sql_qa_v2_evaluate,
    },
    {
        .name = "push",
        .version = 2,
        .summary = "a push notification: at most 120 characters, one line, Portuguese, about the "
                   "prompt and not copied from it, not formal, no placeholders, unlike the others "
                   "of its group",
        .needs = REWARD_NEEDS_GROUP,
        .n_components = PUSH_COMPONENTS,
        .components = {[PUSH_LENGTH] = {"length", 0.15},
                       [PUSH_ONE_LINE] = {"one_line", 0.07},
                       [PUSH_PORTUGUESE] = {"portuguese", 0.13},
                       [PUSH_SENTENCE] = {"sentence", 0.09},
                       [PUSH_ORIGINAL] = {"original", 0.09},
                       [PUSH_ON_TOPIC] = {"on_topic", 0.09},
                       [PUSH_VARIED] = {"varied", 0.06},
                       [PUSH_INFORMAL] = {"informal", 0.06},
                       [PUSH_READER] = {"reader", 0.04},
                       [PUSH_NO_PLACEHOLDER] = {"no_placeholder", 0.06},
                       [PUSH_CLEAN] = {"clean", 0.06},
                       [PUSH_GROUP_VARIETY] = {"group_variety", 0.10},
                       [PUSH_FITS] = {"fits", 0}},
        .evaluate = push_evaluate,
    },
    {
        .name = "length",
        .version = 1,
        .summary = "1 within params min..max characters (or words), falling linearly outside",
        .n_components = 1,
        .components = {{"length", 1.0}},
        .configure = length_configure,
        .release = length_release,
        .evaluate = length_evaluate,
        .params =
            "min, max (or target), slack: units beyond which the score is 0, unit: characters "
            "or words, strip_think",
    },
    {
        .name = "regex",
        .version = 1,
        .summary = "1 when params pattern matches the completion (search or fullmatch), else 0",
        .n_components = 1,
        .components = {{"match", 1.0}},
        .configure = regex_configure,
        .release = regex_release,
        .evaluate = regex_evaluate,
        .params = "pattern (PCRE2), mode: search or fullmatch, flags: of ignore_case, multi_line, "
                  "dot_all, strip_think",
    },
    {
        .name = "exact_answer",
        .version = 1,
        .summary = "1 when the final answer (last box, \"Resposta:\" line or number) is the row's; "
                   "params kind, field, tolerance",
        .n_components = EXACT_ANSWER_COMPONENTS,
        .components =
            {[EXACT_ANSWER_CORRECT] = {"correct", 1.0}, [EXACT_ANSWER_MARKED] = {"marked", 0}},
        .configure = exact_answer_configure,
        .release = exact_answer_release,
        .evaluate = exact_answer_evaluate,
    },
    {
        .name = "repetition",
        .version = 1,
        .summary = "1 without repeated runs of params n words, less their share over threshold",
        .n_components = 1,
        .components = {{"repetition", 1.0}},
        .configure = repetition_configure,
        .release = repetition_release,
        .evaluate = repetition_evaluate,
    },
    {
        .name = "extraction",
        .version = 2,
        .summary = "a JSON object of known fields (a review's ten, or params schema: FILE): valid, "
                   "complete, and right by the row's reference, else consistent",
        .n_components = EXTRACTION_COMPONENTS,
        .components = {[EXTRACTION_STRICT] = {"json_strict", 0.05},
                       [EXTRACTION_VALID] = {"json_valid", 0.05},
                       [EXTRACTION_SCHEMA] = {"schema", 0.20},
                       [EXTRACTION_FIELDS] = {"fields", 0.45},
                       [EXTRACTION_CONSISTENCY] = {"consistency", 0.20},
                       [EXTRACTION_NO_EXTRA] = {"no_extra", 0.05}},
        .configure = extraction_configure,
        .release = extraction_release,
        .files = extraction_files,
        .evaluate = extraction_evaluate,
        .params = "schema: FILE",
    },
    {
        .name = "insights",
        .version = 2,
        .summary = "conclusions from the prompt's figures: a few points, what to do, and every "
                   "number grounded in the data",
        .n_components = INSIGHTS_COMPONENTS,
        .components = {[INSIGHTS_STRUCTURE] = {"structure", 0.20},
                       [INSIGHTS_ACTIONS] = {"actions", 0.18},
                       [INSIGHTS_LENGTH] = {"length", 0.10},
                       [INSIGHTS_DOMAIN] = {"domain", 0.12},
                       [INSIGHTS_GROUNDING] = {"grounding", 0.28},
                       [INSIGHTS_REPETITION] = {"repetition", 0.12}},
        .evaluate = insights_evaluate,
    },
    {
        .name = "sql_exec",
        .version = 1,
        .summary = "the SQL of the completion is run on the row's database, and its result "
                   "compared with the reference query's",
        .needs = REWARD_NEEDS_REFERENCE | REWARD_NEEDS_PROCESS,
        .manner = sql_exec_manner,
        .n_components = SQL_EXEC_COMPONENTS,
        .components = {[SQL_EXEC_PARSES] = {"parses", 0.10},
                       [SQL_EXEC_RUNS] = {"runs", 0.10},
                       [SQL_EXEC_SHAPE] = {"shape", 0.10},
                       [SQL_EXEC_VALUES] = {"values", 0.55},
                       [SQL_EXEC_PROSE] = {"prose", 0.15}},
        .configure = sql_exec_configure,
        .release = sql_exec_release,
        .files = sql_exec_files,
        .evaluate = sql_exec_evaluate,
    },
    {
        .name = "sql_valid",
        .version = 1,
        .summary = "the SQL of the completion compiles against params database (or schema: a file "
                   "of SQL); nothing is run",
        .n_components = SQL_VALID_COMPONENTS,
        .components = {[SQL_VALID_FOUND] = {"found", 0.2},
                       [SQL_VALID_VALID] = {"valid", 0.6},
                       [SQL_VALID_READS] = {"reads", 0.2}},
        .configure = sql_valid_configure,
        .release = sql_valid_release,
        .files = sql_valid_files,
        .evaluate = sql_valid_evaluate,
        .params = "database: FILE, or schema: FILE",
    },
    {
        .name = "command",
        .version = 1,
        .summary = "your own program, params command: [program, argument...]: it answers a line of "
                   "JSON for each line of JSON (docs/REWARDS_PROTOCOL.md)",
        .manner = command_manner,
        .list = command_list,
        .configure = command_configure,
        .release = command_release,
        .files = command_files,
        .evaluate = command_evaluate,
    },
    {
        .name = "library",
        .version = 1,
        .summary = "your own shared object, params library: ./file.so, with the C interface of "
                   "grpo_reward.h",
        .manner = library_manner,
        .list = library_list,
        .configure = library_configure,
        .release = library_release,
        .files = library_files,
        .evaluate = library_evaluate,
    },
};
enum { N_REWARDS = sizeof table / sizeof *table };

struct reward {
    const struct reward_definition *definition;
    void *state;
};

const char *reward_status_name(enum reward_status status)
{
    switch (status) {
    case REWARD_OK:
        return "ok";
    case REWARD_FAILED:
        return "failed";
    case REWARD_NOT_APPLICABLE:
        return "not_applicable";
    }
    return "unknown";
}

const struct reward_definition *reward_find(const char *name)
{
    for (int i = 0; name && i < N_REWARDS; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

const struct reward_definition *reward_at(int index)
{
    return index >= 0 && index < N_REWARDS ? &table[index] : NULL;
}

/* --- creating --- */

static void list_names(char *out, size_t size, const char *const *names, int n)
{
    size_t used = 0;
    out[0] = 0;
    for (int i = 0; i < n && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", names[i]);
}

/* "no reward is called "puhs" (did you mean "push"?); known: …" */
static int unknown_name(const char *what, const char *name, const char *const *known, int n,
                        const char *where, struct err *err)
{
    char list[512], hint[128] = "";
    list_names(list, sizeof list, known, n);
    int nearest = str_nearest(name, known, n);
    if (nearest >= 0)
        snprintf(hint, sizeof hint, " (did you mean \"%s\"?)", known[nearest]);
    return err_set(err, ERR_USAGE, where, "%s \"%.60s\"%s; known: %s", what, name, hint, list);
}

int reward_params_check(const json_t *params, const char *const *known, int n_known,
                        const char *reward_name, struct err *err)
{
    char where[80];
    snprintf(where, sizeof where, "params of reward %s", reward_name);
    if (!params || json_is_null(params))
        return ERR_NONE;
    if (!json_is_object(params))
        return err_set(err, ERR_USAGE, where, "is %s; expected an object of parameters",
                       json_type_name(params));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)params, key, value)
    {
        (void)value;
        bool found = false;
        for (int i = 0; i < n_known && !found; i++)
            found = strcmp(key, known[i]) == 0;
        if (!found && n_known == 0)
            return err_set(err, ERR_USAGE, where,
                           "has the key \"%.60s\", but this reward takes no parameters", key);
        if (!found)
            return unknown_name("has the unknown key", key, known, n_known, where, err);
    }
    return ERR_NONE;
}

int reward_create(reward **out, const char *name, const json_t *params, struct err *err)
{
    *out = NULL;
    const struct reward_definition *definition = reward_find(name);
    if (!definition) {
        const char *names[N_REWARDS];
        for (int i = 0; i < N_REWARDS; i++)
            names[i] = table[i].name;
        return unknown_name("no reward is called", name ? name : "", names, N_REWARDS, "rewards",
                            err);
    }
    if (!definition->configure) {
        int status = reward_params_check(params, NULL, 0, name, err);
        if (status)
            return status;
    }
    reward *r = mem_calloc(1, sizeof *r);
    if (!r)
        return err_no_memory(err, "a reward", sizeof *r);
    r->definition = definition;
    static const char params_are[] = "params of reward ";
    struct err why = {0}; /* the caller may have passed none, and it is needed */
    int status = definition->configure ? definition->configure(&r->state, params, &why) : ERR_NONE;
    /* A wrong value in a recipe or on the command line is no bad file. */
    if (status == ERR_INPUT && strncmp(why.where, params_are, sizeof params_are - 1) == 0)
        why.code = status = ERR_USAGE;
    if (status) {
        if (err)
            *err = why;
        mem_free(r);
        return status;
    }
    *out = r;
    return ERR_NONE;
}

void reward_free(reward *r)
{
    if (!r)
        return;
    if (r->definition->release)
        r->definition->release(r->state);
    mem_free(r);
}

const struct reward_definition *reward_definition(const reward *r)
{
    return r->definition;
}

const struct reward_component *reward_components(const reward *r, int *n)
{
    if (r->definition->list)
        return r->definition->list(r->state, n);
    *n = r->definition->n_components;
    return r->definition->components;
}

struct reward_manner reward_manner(const reward *r)
{
    struct reward_manner manner = {.side_by_side = 1, .repeatable = true};
    if (r->definition->manner)
        manner = r->definition->manner(r->state);
    manner.needs |= r->definition->needs;
    return manner;
}

int reward_files(const reward *r, const json_t *row, reward_file_visit *visit, void *user,
                 struct err *err)
{
    return r->definition->files ? r->definition->files(r->state, row, visit, user, err) : ERR_NONE;
}

/* --- evaluating --- */

void reward_end_text(char *text)
{
    size_t n = strlen(text);
    for (size_t k = 1; k <= 3 && k <= n; k++) {
        unsigned char c = (unsigned char)text[n - k];
        size_t wanted = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
        if ((c & 0xC0) == 0x80)
            continue;
        if (wanted > k)
            text[n - k] = 0;
        return;
    }
}

void reward_set_failed(struct reward_result *out, const char *format, ...)
{
    out->status = REWARD_FAILED;
    out->score = NAN;
    for (int i = 0; i < REWARD_MAX_COMPONENTS; i++)
        out->components[i] = NAN;
    va_list args;
    va_start(args, format);
    vsnprintf(out->reason, sizeof out->reason, format, args);
    va_end(args);
    reward_end_text(out->reason);
}

bool reward_reference(const json_t **reference, const struct reward_input *in,
                      struct reward_result *out)
{
    const json_t *value = json_object_get(in->row, "reference");
    *reference = json_is_object(value) ? value : NULL;
    if (*reference || !value || json_is_null(value))
        return true;
    reward_set_failed(out, "the row's \"reference\" is %s, expected an object",
                      json_type_name(value));
    return false;
}

void reward_total(const char *name, const struct reward_component *list, int n,
                  struct reward_result *out)
{
    if (out->status != REWARD_OK) {
        out->score = NAN;
        return;
    }
    int present = 0;
    double total = 0;
    for (int i = 0; i < n; i++) {
        double value = out->components[i];
        if (isinf(value)) {
            reward_set_failed(out, "%s: component %s is not finite", name, list[i].name);
            return;
        }
        if (!isnan(value)) {
            total += list[i].weight * value;
            present++;
        }
    }
    if (isnan(out->score) && present == 0)
        reward_set_failed(out, "%s: neither a component nor a score was given", name);
    else if (isnan(out->score))
        out->score = total;
    if (out->status == REWARD_OK && !isfinite(out->score))
        reward_set_failed(out, "%s: the score is not finite", name);
}

/* What the reward needs and is not there. */
static const char *missing(unsigned needs, const struct reward_input *in)
{
    if (needs & REWARD_NEEDS_PROMPT && in->prompt_length == 0)
        return "it needs the prompt, and there is none";
    if (needs & REWARD_NEEDS_REFERENCE && !json_is_object(json_object_get(in->row, "reference")))
        return "it needs the row's object \"reference\", and there is none";
    return NULL;
}

void reward_evaluate(const reward *r, const struct reward_input *in, struct reward_result *out,
                     struct str *explain_json)
{
    int n;
    const struct reward_component *list = reward_components(r, &n);
    *out = (struct reward_result){.status = REWARD_OK, .score = NAN, .n_components = n};
    for (int i = 0; i < REWARD_MAX_COMPONENTS; i++)
        out->components[i] = NAN;
    size_t before = explain_json ? explain_json->length : 0;
    const char *why = missing(reward_manner(r).needs, in);
    if (why) {
        out->status = REWARD_NOT_APPLICABLE;
        snprintf(out->reason, sizeof out->reason, "%s", why);
    } else {
        r->definition->evaluate(r->state, in, out, explain_json);
    }
    reward_total(r->definition->name, list, n, out);
    if (explain_json && explain_json->length == before) { /* always an object, even of a failure */
        struct json_writer w;
        jw_begin(&w, explain_json);
        jw_object_begin(&w);
        jw_key(&w, "reason");
        jw_text(&w, out->reason);
        jw_object_end(&w);
    }
}

struct slice reward_trim(const char *text, size_t length)
{
    size_t start = length, end = 0; /* of what is no white space */
    for (size_t i = 0; i < length;) {
        int32_t c;
        size_t n = (size_t)utf8_decode(text + i, length - i, &c);
        if (!py_is_space(c)) {
            start = i < start ? i : start;
            end = i + n;
        }
        i += n;
    }
    return end ? (struct slice){text + start, end - start} : (struct slice){text, 0};
}

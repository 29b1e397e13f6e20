/* cmd_score.c: rewards of given completions, every component, without any model. */
#include <math.h>
#include <string.h>
#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "data/rows.h"
#include "reward/reward.h"

struct score_options {
    const char *reward, *params, *data;
    bool explain;
};

enum { GROUP_MOST = 1024 };

struct scoring {
    const struct score_options *o;
    reward *reward;
    struct dataset data; /* with --data */
    struct map rows;     /* id → row of `data` */
    struct str user_text, explain;
    struct slice group[GROUP_MOST];
};

/* User messages joined by newlines: the prompt as rewards see it. A line without one is fine: some
 * rewards read the completion alone. */
static int read_user_text(struct str *out, const json_t *line, struct err *err)
{
    const json_t *prompt = json_object_get(line, "prompt");
    str_clear(out);
    if (json_is_string(prompt))
        str_append(out, json_string_value(prompt), json_string_length(prompt));
    else if (prompt && !json_is_null(prompt) && !json_is_array(prompt))
        return err_set(err, ERR_INPUT, "", "\"prompt\" is %s, expected messages or text",
                       json_type_name(prompt));
    for (size_t i = 0; i < json_array_size(prompt); i++) {
        const json_t *message = json_array_get(prompt, i), *role = json_object_get(message, "role"),
                     *content = json_object_get(message, "content");
        if (!json_is_string(role) || !json_is_string(content))
            return err_set(err, ERR_INPUT, "",
                           "message %zu of \"prompt\" is not {\"role\": text, \"content\": text}",
                           i);
        if (strcmp(json_string_value(role), "user") != 0)
            continue;
        if (out->length)
            str_putc(out, '\n');
        str_append(out, json_string_value(content), json_string_length(content));
    }
    return out->failed ? err_no_memory(err, "prompt", out->length) : ERR_NONE;
}

/* The dataset row a line of samples.jsonl is about. */
static int join(const struct scoring *s, const json_t *line, const json_t **row, struct err *err)
{
    const json_t *id = json_object_get(line, "prompt_id");
    char made[40];
    const char *text = json_string_value(id);
    if (json_is_integer(id)) {
        snprintf(made, sizeof made, "%lld", (long long)json_integer_value(id));
        text = made;
    }
    if (!text)
        return err_set(err, ERR_INPUT, "",
                       "\"prompt_id\" is %s, expected the id of a row of --data",
                       json_type_name(id));
    int32_t at;
    if (!map_get(&s->rows, text, strlen(text), &at))
        return err_set(err, ERR_INPUT, "", "no row of %.200s has the id \"%.100s\"", s->data.path,
                       text);
    *row = s->data.rows[at].json;
    return ERR_NONE;
}

static void put_result(struct scoring *s, struct lines *l, const struct reward_result *r)
{
    int n;
    const struct reward_component *list = reward_components(s->reward, &n);
    struct json_writer *w = &l->w;
    jw_key(w, "status");
    jw_text(w, reward_status_name(r->status));
    jw_key(w, "score");
    jw_double(w, r->status == REWARD_OK ? r->score : NAN);
    jw_key(w, "components");
    jw_object_begin(w);
    for (int i = 0; i < n; i++) {
        jw_key(w, list[i].name);
        jw_double(w, r->status == REWARD_OK ? r->components[i] : NAN);
    }
    jw_object_end(w);
    if (r->status != REWARD_OK) {
        jw_key(w, "reason");
        jw_text(w, r->reason);
    }
    if (s->o->explain) { /* an object already, in the reward's own words */
        jw_key(w, "explain");
        str_puts(w->out, s->explain.length ? str_text(&s->explain) : "{}");
        w->comma = true;
    }
}

/* "group": a list of the prompt's other completions, for rewards that compare. What is no list is a
 * column of the row's own. */
static int read_group(struct scoring *s, struct reward_input *in, const json_t *others,
                      struct err *err)
{
    size_t n = json_array_size(others);
    if (n >= GROUP_MOST)
        return err_set(err, ERR_INPUT, "", "\"group\" has %zu texts, expected up to %d", n,
                       GROUP_MOST - 1);
    s->group[0] = (struct slice){in->completion, in->completion_length};
    for (size_t i = 0; i < n; i++) {
        const json_t *other = json_array_get(others, i);
        if (!json_is_string(other))
            return err_set(err, ERR_INPUT, "", "\"group\" has %s at %zu, expected text",
                           json_type_name(other), i);
        s->group[i + 1] = (struct slice){json_string_value(other), json_string_length(other)};
    }
    in->group = s->group;
    in->n_group = n ? (int)n + 1 : 0;
    return ERR_NONE;
}

static int answer(void *context, struct lines *l, const json_t *line, struct err *err)
{
    struct scoring *s = context;
    const json_t *row = line, *completion = json_object_get(line, "completion");
    int status = s->o->data ? join(s, line, &row, err) : ERR_NONE;
    if (status)
        return status;
    if (!completion && s->o->data)
        completion = json_object_get(line, "text");
    if (!json_is_string(completion))
        return err_set(err, ERR_INPUT, "", "\"completion\" is %s, expected text%s",
                       json_type_name(completion),
                       s->o->data ? " (or \"text\", as in samples.jsonl)" : "");
    status = read_user_text(&s->user_text, row, err);
    if (status)
        return status;
    struct reward_input in = {.prompt = str_text(&s->user_text),
                              .prompt_length = s->user_text.length,
                              .completion = json_string_value(completion),
                              .completion_length = json_string_length(completion),
                              .row = row};
    if ((status = read_group(s, &in, json_object_get(line, "group"), err)))
        return status;
    struct reward_result result = {0};
    str_clear(&s->explain);
    reward_evaluate(s->reward, &in, &result, s->o->explain ? &s->explain : NULL);
    if (s->explain.failed)
        return err_no_memory(err, "the explanation", s->explain.length);
    put_result(s, l, &result);
    return ERR_NONE;
}

static int open_reward(struct scoring *s, struct err *err)
{
    if (!s->o->reward)
        return err_set(err, ERR_USAGE, "--reward",
                       "is required; `grpo score --help` lists the rewards");
    json_t *params = NULL;
    if (s->o->params) {
        params = json_read(s->o->params, strlen(s->o->params), JSON_UNIQUE_KEYS, "--params", err);
        if (params && !json_is_object(params))
            err_set(err, ERR_USAGE, "--params", "is %s, expected an object",
                    json_type_name(params));
        if (!json_is_object(params)) {
            json_decref(params);
            err->code = err->code == ERR_INPUT ? ERR_USAGE : err->code;
            return (int)err->code;
        }
    }
    int status = reward_create(&s->reward, s->o->reward, params, err);
    json_decref(params);
    return status;
}

static int open_data(struct scoring *s, struct err *err)
{
    int status = s->o->data ? dataset_open(&s->data, s->o->data, err) : ERR_NONE;
    for (size_t i = 0; i < s->data.count && !status; i++)
        if (!map_put(&s->rows, s->data.rows[i].id, strlen(s->data.rows[i].id), (int32_t)i))
            status = err_no_memory(err, s->o->data, s->data.count);
    return status;
}

static int run(const struct common *common, const void *options, struct err *err)
{
    struct scoring s = {.o = options};
    int status = open_reward(&s, err);
    if (!status)
        status = open_data(&s, err);
    if (!status)
        status = lines_each(common, "score", answer, &s, err);
    reward_free(s.reward);
    dataset_close(&s.data);
    map_free(&s.rows);
    str_free(&s.user_text);
    str_free(&s.explain);
    return status;
}

static void list_rewards(struct str *out)
{
    const struct reward_definition *d;
    str_puts(out, "\nRewards\n");
    for (int i = 0; (d = reward_at(i)); i++)
        str_printf(out, "  %-24s  %s\n", d->name, d->summary);
}

#define AT(field) offsetof(struct score_options, field)
static const struct arg args[] = {
    {"reward", ARG_TEXT, AT(reward), 0, 0, NULL, NULL, "NAME", "Which reward; see below."},
    {"params", ARG_TEXT, AT(params), 0, 0, NULL, NULL, "JSON",
     "The reward's parameters, an object."},
    {"data", ARG_TEXT, AT(data), 0, 0, NULL, NULL, "FILE",
     "Dataset whose rows the lines belong to, by their \"prompt_id\"."},
    {"explain", ARG_FLAG, AT(explain), 0, 0, NULL, NULL, NULL,
     "Add \"explain\": what was parsed and why."},
};

const struct command command_score = {
    .name = "score",
    .summary = "rewards of given completions (JSONL), every component, without any model",
    .usage = "",
    .details =
        "In, one a line:  a dataset row and \"completion\" (\"group\": the other completions of "
        "its prompt); with\n                 --data a line of samples.jsonl\nOut, one a line: "
        "{\"status\": ok, failed or not_applicable, "
        "\"score\", \"components\"}; an absent\n                 component is null; "
        "\"reason\" where the status is not ok",
    .args = args,
    .n_args = ARRAY_LENGTH(args),
    .options_size = sizeof(struct score_options),
    .run = run,
    .more_help = list_rewards};

/* cmd_score.c: rewards of given completions, every component, without any model. */
#include <math.h>
#include <string.h>
#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/team.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/score_fixtures.h"
#include "data/rows.h"
#include "reward/line.h"
#include "reward/reward.h"

struct score_options {
    const char *reward, *params, *data, *fixtures_file;
    bool explain, fixtures;
};

struct scoring {
    const struct score_options *o;
    reward *reward;
    struct dataset data; /* with --data */
    struct map rows;     /* id → row of `data` */
};

/* What one thread scores with. */
struct scorer {
    const struct scoring *s;
    struct reward_line line;
    struct str explain;
};

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

static void put_result(const struct scorer *c, struct lines *l, const struct reward_result *r)
{
    const struct scoring *s = c->s;
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
        str_puts(w->out, c->explain.length ? str_text(&c->explain) : "{}");
        w->comma = true;
    }
}

static int answer(void *context, struct lines *l, const json_t *line, struct err *err)
{
    struct scorer *c = context;
    const struct score_options *o = c->s->o;
    const json_t *row = line;
    int status = o->data ? join(c->s, line, &row, err) : ERR_NONE;
    if (!status)
        status = reward_line_read(&c->line, line, row, err);
    if (status)
        return status;
    struct reward_result result = {0};
    str_clear(&c->explain);
    reward_evaluate(c->s->reward, &c->line.in, &result, o->explain ? &c->explain : NULL);
    if (c->explain.failed)
        return err_no_memory(err, "the explanation", c->explain.length);
    put_result(c, l, &result);
    return ERR_NONE;
}

static int score_lines(const struct common *common, const struct scoring *s, struct err *err)
{
    enum { MOST = 256 };
    int threads = common->threads ? common->threads : team_cores();
    threads = threads < MOST ? threads : MOST;
    struct scorer *scorers = mem_calloc((size_t)threads, sizeof *scorers);
    void *contexts[MOST];
    if (!scorers)
        return err_no_memory(err, "threads", (size_t)threads * sizeof *scorers);
    for (int t = 0; t < threads; t++) {
        scorers[t].s = s;
        contexts[t] = &scorers[t];
    }
    int status = lines_each_parallel(common, "score", answer, contexts, threads, err);
    for (int t = 0; t < threads; t++) {
        reward_line_free(&scorers[t].line);
        str_free(&scorers[t].explain);
    }
    mem_free(scorers);
    return status;
}

static int open_reward(struct scoring *s, struct err *err)
{
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

/* What was given and has no use, or is missing. */
static int check_options(const struct common *common, const struct score_options *o,
                         struct err *err)
{
    bool fixtures = o->fixtures || o->fixtures_file;
    if (!o->reward && (!fixtures || o->fixtures_file || o->params))
        return err_set(err, ERR_USAGE, "--reward",
                       "is required; `grpo score --help` lists the rewards");
    if (o->fixtures && o->fixtures_file)
        return err_set(err, ERR_USAGE, "--fixtures-file",
                       "does not go with --fixtures, which takes those of the program");
    const char *useless = !fixtures       ? NULL
                          : o->data       ? "--data"
                          : o->explain    ? "--explain"
                          : common->input ? "--input"
                                          : NULL;
    if (useless)
        return err_set(err, ERR_USAGE, useless, "has no use with fixtures");
    return ERR_NONE;
}

static int run(const struct common *common, const void *options, struct err *err)
{
    const struct score_options *o = options;
    struct scoring s = {.o = o};
    int status = check_options(common, o, err);
    bool fixtures = o->fixtures || o->fixtures_file;
    if (!status && (!fixtures || o->params)) /* fixtures may bring their own parameters */
        status = open_reward(&s, err);
    if (!status && fixtures)
        status = score_fixtures(common, o->reward, s.reward, o->fixtures_file, err);
    else if (!status && !(status = open_data(&s, err)))
        status = score_lines(common, &s, err);
    reward_free(s.reward);
    dataset_close(&s.data);
    map_free(&s.rows);
    return status;
}

static void list_needs(struct str *out, unsigned needs)
{
    static const struct {
        unsigned bit;
        const char *text;
    } names[] = {
        {REWARD_NEEDS_PROMPT, "the prompt"},
        {REWARD_NEEDS_REFERENCE, "the row's reference"},
        {REWARD_NEEDS_GROUP, "the group's other completions (looked at where they are there)"},
        {REWARD_NEEDS_PROCESS, "a process of its own"},
    };
    const char *gap = "needs: ";
    bool any = false;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (needs & names[i].bit) {
            str_printf(out, any ? "%s%s" : "%26s%s%s", any ? gap : "", any ? names[i].text : gap,
                       any ? "" : names[i].text);
            gap = ", ";
            any = true;
        }
    if (any)
        str_putc(out, '\n');
}

static void list_rewards(struct str *out)
{
    const struct reward_definition *d;
    str_puts(out, "\nRewards\n");
    for (int i = 0; (d = reward_at(i)); i++) {
        str_printf(out, "  %-24s  %s\n", d->name, d->summary);
        list_needs(out, d->needs);
        if (d->params)
            str_printf(out, "  %-24s  params: %s\n", "", d->params);
    }
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
    {"fixtures", ARG_FLAG, AT(fixtures), 0, 0, NULL, NULL, NULL,
     "Score completions of known worth instead (of every reward that has some, without --reward): "
     "status 1 when a bad one beats a good one."},
    {"fixtures-file", ARG_TEXT, AT(fixtures_file), 0, 0, NULL, NULL, "FILE",
     "The same with your own completions of known worth; docs/FIXTURES.md has their form."},
};

const struct command command_score = {
    .name = "score",
    .summary = "rewards of given completions (JSONL), every component, without any model",
    .usage = "",
    .details = "In, one a line:  a dataset row and \"completion\"; with --data a line of "
               "samples.jsonl\nOut, one a line: {\"status\": ok, failed or not_applicable, "
               "\"score\", \"components\"}; an absent\n                 component is null; "
               "\"reason\" where the status is not ok\nA line may have \"group\": the texts "
               "of the other completions of its prompt.",
    .args = args,
    .n_args = ARRAY_LENGTH(args),
    .options_size = sizeof(struct score_options),
    .run = run,
    .more_help = list_rewards};

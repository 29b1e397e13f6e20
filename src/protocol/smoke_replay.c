/* smoke_replay.c: see smoke_replay.h. Lines are made into what the trainer's replay reads
 * (train/samples.h), one JSON object after the other: ids, a reward and its components are put in
 * where they are missing, the rest taken out. Then its reader checks them as it checks any. */
#include "protocol/smoke_replay.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "formats/jsonl.h"

struct taking {
    struct smoke_replay *out;
    const struct setup *s;
    const char *path;
    struct jsonl_reader reader;
    char where[300]; /* file and line */
    /* the group at hand */
    json_t **lines;    /* (size), n of them owned */
    struct str *texts; /* (size): of its completions */
    const struct row *row;
    long long step;
    int size, n, without_reward, encoded, cut;
    /* over the file */
    int wanted, taken, complete, largest; /* groups; completions of the largest incomplete one */
    long read, strangers;                 /* lines; those of no row of the data */
    char first_stranger[300];
    double last_reward; /* that all completions of the last flat group have */
    size_t room;        /* of replay.lines */
};

/* --- one line --- */

enum { NAME = 300 };

/* As replays spell it: a whole number is as good as its text. */
static void prompt_name(char out[NAME], const json_t *o)
{
    const json_t *id = json_object_get(o, "prompt_id");
    const char *text = json_string_value(id);
    if (json_is_integer(id))
        snprintf(out, NAME, "%lld", (long long)json_integer_value(id));
    else
        snprintf(out, NAME, "%s", text ? text : "");
}

static const struct row *row_of(const struct taking *t, const json_t *o)
{
    char name[NAME];
    prompt_name(name, o);
    for (size_t i = 0; i < t->s->data.count; i++)
        if (strcmp(t->s->data.rows[i].id, name) == 0)
            return &t->s->data.rows[i];
    return NULL;
}

/* Whether the line's ids are all the model's; *id: the first that is not. */
static bool ids_fit(const struct taking *t, const json_t *ids, long long *id)
{
    const json_t *value;
    size_t i;
    json_array_foreach(ids, i, value)
    {
        *id = json_integer_value(value);
        if (*id >= t->s->config.vocab_size)
            return false;
    }
    return true;
}

static int decode(const struct taking *t, const json_t *ids, struct str *text, struct err *err)
{
    const json_t *value;
    size_t i;
    struct ids list = {0};
    int status = ERR_NONE;
    json_array_foreach(ids, i, value)
    {
        long long id = json_integer_value(value);
        if (!status && (!json_is_integer(value) || id < 0 || id > INT32_MAX))
            status =
                err_set(err, ERR_INPUT, t->where, "\"ids\" has no token id at position %zu", i);
        if (!status && ids_push(&list, (int)id))
            status = err_no_memory(err, t->where, i);
    }
    str_clear(text);
    if (!status)
        status = text_codec_completion(&t->s->codec, text, list.data, (int)list.count, err);
    ids_free(&list);
    return status;
}

/* "ids" from "text", ended as the line says. */
static int encode(struct taking *t, json_t *o, const json_t *text, struct err *err)
{
    const struct text_codec *c = &t->s->codec;
    const char *stop = json_string_value(json_object_get(o, "stop_reason"));
    struct ids list = {0};
    json_t *ids = json_array();
    int status = tokenizer_encode(c->tokenizer, &list, json_string_value(text),
                                  json_string_length(text), false, err);
    bool ends = !stop || strcmp(stop, "eos") == 0;
    if (!status && ends && c->n_eos && ids_push(&list, c->eos[0]))
        status = err_no_memory(err, t->where, list.count);
    for (size_t i = 0; i < list.count && !status; i++)
        if (json_array_append_new(ids, json_integer(list.data[i])))
            status = err_no_memory(err, t->where, list.count);
    if (status || json_object_set(o, "ids", ids))
        status = status ? status : err_no_memory(err, t->where, list.count);
    json_decref(ids);
    ids_free(&list);
    t->encoded++;
    return status;
}

/* Where both are there, the ids must spell the text; else what is missing is made. */
static int agree(struct taking *t, json_t *o, struct str *spelt, struct err *err)
{
    const json_t *ids = json_object_get(o, "ids"), *text = json_object_get(o, "text");
    bool fits = true, can_encode = json_is_string(text) && t->s->codec.tokenizer;
    long long id = 0;
    int status = ERR_NONE;
    if (text && !json_is_string(text) && !json_is_null(text))
        return err_set(err, ERR_INPUT, t->where, "\"text\" is %s; expected text",
                       json_type_name(text));
    if (!json_is_array(ids) && !can_encode)
        return err_set(err, ERR_INPUT, t->where,
                       "has neither \"ids\" nor a \"text\" that the model's tokenizer could "
                       "encode");
    if (ids && !json_is_null(ids) && !json_is_array(ids))
        return err_set(err, ERR_INPUT, t->where, "\"ids\" is %s; expected a list of token ids",
                       json_type_name(ids));
    if (json_is_array(ids)) {
        fits = ids_fit(t, ids, &id);
        if (!fits && !can_encode)
            return err_set(err, ERR_INPUT, t->where,
                           "has id %lld, but the model's vocabulary ends at %d: the file is of a "
                           "model with another tokenizer; give lines with \"text\", which is "
                           "encoded anew",
                           id, t->s->config.vocab_size - 1);
        if (t->s->codec.tokenizer)
            status = decode(t, ids, spelt, err);
    }
    bool same =
        json_is_array(ids) && fits &&
        (!can_encode || (spelt->length == json_string_length(text) &&
                         memcmp(str_text(spelt), json_string_value(text), spelt->length) == 0));
    if (status || same)
        return status;
    str_clear(spelt);
    str_append(spelt, json_string_value(text), json_string_length(text));
    return encode(t, o, text, err);
}

/* What the length limit would have made of it. */
static int cut_long(struct taking *t, json_t *o, struct str *text, struct err *err)
{
    json_t *ids = json_object_get(o, "ids");
    size_t most = (size_t)t->s->o->max_completion_length;
    if (json_array_size(ids) <= most)
        return ERR_NONE;
    while (json_array_size(ids) > most)
        json_array_remove(ids, json_array_size(ids) - 1);
    json_object_del(o, "stop_reason");
    t->cut++;
    return t->s->codec.tokenizer ? decode(t, ids, text, err) : ERR_NONE;
}

static int prepare_line(struct taking *t, json_t *o, struct str *text, struct err *err)
{
    static const char *const of_others[] = {"logprobs", "sampling_logprobs", "prompt_ids", "slice",
                                            "task"};
    for (size_t i = 0; i < sizeof of_others / sizeof *of_others; i++)
        json_object_del(o, of_others[i]);
    str_clear(text);
    int status = agree(t, o, text, err);
    if (!status)
        status = cut_long(t, o, text, err);
    if (!status && json_object_set_new(o, "step", json_integer(1)))
        status = err_no_memory(err, t->where, 0);
    if (!status && text->failed)
        status = err_no_memory(err, t->where, text->capacity);
    return status;
}

/* --- scores, where the file has none --- */

struct scores {
    double *values;
    struct reward_result *results;
    struct reward_column *columns;
    int n_columns;
};

static int put_components(const struct taking *t, json_t *o, const struct scores *sc,
                          const struct scored *scored)
{
    json_t *map = json_object();
    bool lost = !map;
    for (int k = 0; k < sc->n_columns; k++) {
        struct str name = {0};
        double value = reward_column_value(&sc->columns[k], scored);
        reward_column_name(&name, &t->s->rewards, &sc->columns[k]);
        lost = lost || name.failed ||
               (isfinite(value) && json_object_set_new(map, str_text(&name), json_real(value)));
        str_free(&name);
    }
    return json_object_set_new(o, "components", map) || lost;
}

static int score_group(struct taking *t, struct err *err)
{
    const struct reward_set *set = &t->s->rewards;
    struct scores sc = {.n_columns = reward_set_columns(set, NULL, 0)};
    struct slice *group = mem_calloc((size_t)t->n, sizeof *group);
    sc.values = mem_calloc((size_t)set->count + 1, sizeof *sc.values);
    sc.results = mem_calloc((size_t)set->count + 1, sizeof *sc.results);
    sc.columns = mem_calloc((size_t)sc.n_columns + 1, sizeof *sc.columns);
    bool lost = !group || !sc.values || !sc.results || !sc.columns;
    if (!lost)
        reward_set_columns(set, sc.columns, sc.n_columns);
    for (int i = 0; i < t->n && !lost; i++)
        group[i] = (struct slice){str_text(&t->texts[i]), t->texts[i].length};
    for (int i = 0; i < t->n && !lost; i++) {
        struct scored scored = {.values = sc.values, .results = sc.results};
        episode_score(set, t->row, group, t->n, i, &scored);
        lost = json_object_set_new(t->lines[i], "reward",
                                   scored.valid ? json_real(scored.total) : json_null()) ||
               put_components(t, t->lines[i], &sc, &scored);
    }
    mem_free(group);
    mem_free(sc.values);
    mem_free(sc.results);
    mem_free(sc.columns);
    t->out->scored += t->n;
    return lost ? err_no_memory(err, t->path, (unsigned long long)t->n) : ERR_NONE;
}

/* --- groups --- */

static void forget_group(struct taking *t)
{
    t->largest = t->n > t->largest ? t->n : t->largest;
    for (int i = 0; i < t->n; i++)
        json_decref(t->lines[i]);
    t->n = t->without_reward = t->encoded = t->cut = 0;
}

/* Values that differ anywhere in the group: of its rewards, or under gdpo of a component. */
static bool varies(struct taking *t)
{
    double first = NAN;
    bool differ = false;
    for (int i = 0; i < t->n; i++) {
        const json_t *earned = json_object_get(t->lines[i], "reward");
        double x = json_is_number(earned) ? json_number_value(earned) : NAN;
        differ = differ || (!isnan(x) && !isnan(first) && x != first);
        first = isnan(first) ? x : first;
    }
    t->last_reward = first;
    const char *key;
    json_t *value, *components = json_object_get(t->lines[0], "components");
    if (differ || t->s->o->advantage != ADVANTAGE_GDPO)
        return differ;
    json_object_foreach(components, key, value)
    {
        for (int i = 1; i < t->n && json_is_number(value) && !differ; i++) {
            const json_t *other = json_object_get(json_object_get(t->lines[i], "components"), key);
            differ = json_is_number(other) && json_number_value(other) != json_number_value(value);
        }
    }
    return differ;
}

static int keep_group(struct taking *t, struct err *err)
{
    struct replay *r = &t->out->replay;
    int status = ERR_NONE;
    for (int i = 0; i < t->n && !status; i++) {
        status = replay_line_read(r, &r->lines[r->count], t->lines[i], t->where, err);
        r->lines[r->count].line = t->reader.line - t->n + 1 + i;
        r->count += !status;
    }
    t->taken += !status;
    t->out->encoded += t->encoded;
    t->out->cut += t->cut;
    return status;
}

static int end_group(struct taking *t, struct err *err)
{
    int status = ERR_NONE;
    if (t->without_reward && t->without_reward < t->n)
        status = err_set(err, ERR_INPUT, t->where,
                         "ends a group in which %d of %d completions have no \"reward\": give it "
                         "on all, or on none (the recipe's rewards then score them)",
                         t->without_reward, t->n);
    if (!status && t->without_reward)
        status = score_group(t, err);
    t->complete++;
    if (!status && varies(t))
        status = keep_group(t, err);
    forget_group(t);
    return status;
}

static int take_line(struct taking *t, json_t *o, struct err *err)
{
    const struct row *row = row_of(t, o);
    long long step = 0;
    t->read++;
    if (!json_object_get(o, "prompt_id"))
        return err_set(err, ERR_INPUT, t->where,
                       "has no \"prompt_id\"; expected a line of samples.jsonl, or {\"prompt_id\", "
                       "\"text\"[, \"reward\"]}");
    int status = json_get_int(&step, o, "step", false, t->where, err);
    if (!row && !t->strangers++)
        prompt_name(t->first_stranger, o);
    if (t->n && (row != t->row || step != t->step))
        forget_group(t);
    if (status || !row)
        return status;
    t->row = row;
    t->step = step;
    status = prepare_line(t, o, &t->texts[t->n], err);
    if (status)
        return status;
    t->without_reward += !json_object_get(o, "reward");
    t->lines[t->n++] = json_incref(o);
    return t->n == t->size ? end_group(t, err) : ERR_NONE;
}

static int take_lines(struct taking *t, struct err *err)
{
    int status = ERR_NONE, got = 1;
    json_t *o;
    while (!status && t->taken < t->wanted && (got = jsonl_next(&t->reader, &o, err)) > 0) {
        snprintf(t->where, sizeof t->where, "%.220s, line %ld", t->path, t->reader.line);
        status = o ? take_line(t, o, err) : ERR_INPUT;
        json_decref(o);
    }
    return got < 0 ? ERR_INPUT : status;
}

/* --- the whole file --- */

static int judge(const struct taking *t, struct err *err)
{
    if (t->taken)
        return ERR_NONE;
    if (!t->read)
        return err_set(err, ERR_INPUT, t->path, "holds no completion");
    if (t->strangers == t->read)
        return err_set(
            err, ERR_INPUT, t->path,
            "has %ld completions, none of them of a row of %.200s (the first is of "
            "prompt \"%.80s\"): give the samples.jsonl of a training on these rows, or lines "
            "{\"prompt_id\", \"text\"} with ids of these rows",
            t->read, t->s->data.path, t->first_stranger);
    if (!t->complete)
        return err_set(err, ERR_INPUT, t->path,
                       "has no group of num_generations %d completions of one prompt, one behind "
                       "the other: the largest has %d, and %ld lines are of no row of the data; "
                       "give a file that was made with as many",
                       t->size, t->largest > t->n ? t->largest : t->n, t->strangers);
    return err_set(err, ERR_INPUT, t->path,
                   "has %d whole groups, and in each of them all rewards are equal (%.4g in the "
                   "last): no gradient would follow from them; give one whose metrics.jsonl has "
                   "informative_groups above 0",
                   t->complete, t->last_reward);
}

/* Groups that are too few come again, in turn. */
static void repeat(struct taking *t)
{
    struct replay *r = &t->out->replay;
    size_t size = (size_t)t->size, whole = (size_t)t->taken * size;
    for (size_t i = whole; i < (size_t)t->wanted * size; i++)
        r->lines[r->count++] = r->lines[i - whole];
}

static int make_room(struct taking *t, struct err *err)
{
    struct replay *r = &t->out->replay;
    size_t size = (size_t)t->size, all = size * (size_t)t->wanted;
    int status = replay_begin(r, t->path, all, err);
    t->lines = mem_calloc(size, sizeof *t->lines);
    t->texts = mem_calloc(size, sizeof *t->texts);
    if (!status && (!t->lines || !t->texts))
        status = err_no_memory(err, t->path, all);
    return status;
}

int smoke_replay_open(struct smoke_replay *out, const char *path, const struct setup *s,
                      struct err *err)
{
    struct taking t = {.out = out,
                       .s = s,
                       .path = path,
                       .size = s->o->num_generations,
                       .wanted = s->o->prompts_per_step * s->o->steps_per_generation};
    *out = (struct smoke_replay){0};
    int status = make_room(&t, err);
    if (!status)
        status = jsonl_open(&t.reader, path, err);
    if (!status) {
        status = take_lines(&t, err);
        if (!status)
            status = judge(&t, err);
        jsonl_close(&t.reader);
    }
    out->groups = t.taken;
    if (!status)
        repeat(&t);
    forget_group(&t);
    for (int i = 0; t.texts && i < t.size; i++)
        str_free(&t.texts[i]);
    mem_free(t.lines);
    mem_free(t.texts);
    if (status)
        smoke_replay_close(out);
    return status;
}

void smoke_replay_close(struct smoke_replay *r)
{
    replay_close(&r->replay);
    *r = (struct smoke_replay){0};
}

/* samples.c: completions to lines and back; see samples.h. */
#include "train/samples.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "formats/jsonl.h"

/* --- writing --- */

static void write_ids(struct json_writer *w, const char *key, const int *ids, size_t n)
{
    jw_key(w, key);
    jw_array_begin(w);
    for (size_t i = 0; i < n; i++)
        jw_int(w, ids[i]);
    jw_array_end(w);
}

/* Flat names: "push" is a reward's value, "push/length" one of its components. */
static void write_components(struct json_writer *w, const struct generation *gen, int i,
                             const struct reward_set *rewards)
{
    const struct scored *scored = &generation_sample(gen, i)->scored;
    jw_object_begin(w);
    for (int r = 0; rewards && r < rewards->count; r++) {
        const struct reward_result *result = &scored->results[r];
        int n;
        const struct reward_component *list = reward_components(rewards->items[r].reward, &n);
        if (result->status == REWARD_NOT_APPLICABLE)
            continue;
        jw_key(w, rewards->items[r].label);
        jw_double(w, scored->values[r]); /* NaN, a failure, becomes null */
        for (int c = 0; result->status == REWARD_OK && c < n; c++) {
            char name[192];
            snprintf(name, sizeof name, "%s/%s", rewards->items[r].label, list[c].name);
            jw_key(w, name);
            jw_double(w, result->components[c]);
        }
    }
    if (rewards && gen->overlong_cache) {
        jw_key(w, SOFT_OVERLONG);
        jw_double(w, generation_overlong(gen, i));
    }
    for (int k = 0; !rewards && k < gen->columns.n; k++) { /* a replay hands on what it was given */
        double value = gen->columns.value[(size_t)k * gen->columns.stride + (size_t)i];
        if (!isfinite(value))
            continue;
        jw_key(w, gen->columns.names[k]);
        jw_double(w, value);
    }
    jw_object_end(w);
}

void samples_write(struct str *out, const struct generation *gen, int i,
                   const struct reward_set *rewards)
{
    const struct episode_group *group = &gen->batch.groups[i / gen->per_group];
    const struct episode_sample *s = generation_sample(gen, i);
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "step");
    jw_int(&w, gen->first_step);
    jw_key(&w, "task");
    jw_text(&w, group->row->task);
    jw_key(&w, "prompt_id");
    jw_text(&w, group->row->id);
    jw_key(&w, "sample");
    jw_int(&w, i % gen->per_group);
    write_ids(&w, "prompt_ids", group->prompt.data, group->prompt.count);
    write_ids(&w, "ids", s->completion.ids, (size_t)s->completion.length);
    jw_key(&w, "text");
    jw_string(&w, str_text(&s->text), s->text.length);
    jw_key(&w, "logprobs");
    jw_array_begin(&w);
    for (int t = 0; t < s->completion.length; t++)
        jw_float(&w, gen->old[generation_token(gen, i) + (size_t)t]);
    jw_array_end(&w);
    if (gen->batch.warped) {
        jw_key(&w, "sampling_logprobs");
        jw_array_begin(&w);
        for (int t = 0; t < s->completion.length; t++)
            jw_float(&w, s->completion.sampling_logprobs[t]);
        jw_array_end(&w);
    }
    jw_key(&w, "stop_reason");
    jw_text(&w, stop_reason_name(s->completion.stop));
    jw_key(&w, "components");
    write_components(&w, gen, i, rewards);
    jw_key(&w, "reward");
    jw_double(&w, gen->valid[i] ? gen->reward[i] : NAN);
    jw_key(&w, "advantage");
    jw_float(&w, gen->advantage[i]);
    jw_key(&w, "policy_version");
    jw_int(&w, gen->first_step - 1);
    if (gen->slices > 1) {
        jw_key(&w, "slice");
        jw_int(&w, gen->slice_of[i]);
    }
    jw_object_end(&w);
}

/* --- showing --- */

static void show_value(struct str *out, const char *separator, const char *name, double value)
{
    str_puts(out, separator);
    log_printable(out, name, strlen(name), 40);
    str_printf(out, isnan(value) ? " failed" : " %.3f", value);
}

/* What a reward is made of, in brackets, where that is more than one thing. */
static void show_components(struct str *out, const reward *r, const struct reward_result *result)
{
    int n;
    const struct reward_component *list = reward_components(r, &n);
    if (result->status != REWARD_OK || n < 2)
        return;
    const char *separator = " (";
    for (int c = 0; c < n; c++) {
        if (isnan(result->components[c])) /* absent */
            continue;
        str_printf(out, "%s%s %.2f", separator, list[c].name, result->components[c]);
        separator = ", ";
    }
    str_puts(out, *separator == ',' ? ")" : "");
}

void samples_show(struct str *out, const struct generation *gen, int i,
                  const struct reward_set *rewards)
{
    const struct episode_group *group = &gen->batch.groups[i / gen->per_group];
    const struct episode_sample *s = generation_sample(gen, i);
    const char *separator = " = ";
    str_printf(out, "sample (step %d, ", gen->first_step);
    if (*group->row->task) {
        log_printable(out, group->row->task, strlen(group->row->task), 40);
        str_puts(out, ", ");
    }
    log_printable(out, group->row->id, strlen(group->row->id), 60);
    if (gen->valid[i] || gen->failed[i])
        show_value(out, "): ", "reward", gen->valid[i] ? gen->reward[i] : NAN);
    else
        str_puts(out, "): no reward applies");
    for (int r = 0; rewards && r < rewards->count; r++) {
        if (s->scored.results[r].status == REWARD_NOT_APPLICABLE)
            continue;
        if (rewards->items[r].weight != 1)
            str_printf(out, "%s%g ×", separator, rewards->items[r].weight);
        show_value(out, rewards->items[r].weight != 1 ? " " : separator, rewards->items[r].label,
                   s->scored.values[r]);
        show_components(out, rewards->items[r].reward, &s->scored.results[r]);
        separator = " + ";
    }
    if (rewards && gen->overlong_cache)
        show_value(out, separator, SOFT_OVERLONG, generation_overlong(gen, i));
    str_puts(out, ": ");
    log_printable(out, str_text(&s->text), s->text.length, 300);
}

/* --- reading --- */

struct reading {
    struct replay *r;
    struct arena *arena;
    struct err *err;
    size_t capacity;
    char where[300];
};

static int read_ids(const struct reading *in, const json_t *o, const char *key, bool required,
                    int **out, int *n)
{
    const json_t *list = json_object_get(o, key);
    *n = 0;
    if (!list && !required)
        return ERR_NONE;
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > INT32_MAX)
        return err_set(in->err, ERR_INPUT, in->where,
                       "\"%s\" is %s; expected a list of token ids with at least one", key,
                       json_type_name(list));
    *n = (int)json_array_size(list);
    *out = arena_alloc(in->arena, (size_t)*n * sizeof **out);
    if (!*out)
        return err_no_memory(in->err, in->where, (unsigned long long)*n);
    for (int i = 0; i < *n; i++) {
        const json_t *id = json_array_get(list, (size_t)i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > INT32_MAX)
            return err_set(in->err, ERR_INPUT, in->where, "\"%s\" has no token id at position %d",
                           key, i);
        (*out)[i] = (int)json_integer_value(id);
    }
    return ERR_NONE;
}

static int read_logprobs(const struct reading *in, const json_t *o, struct replay_line *line)
{
    const json_t *list = json_object_get(o, "logprobs");
    if (!list || json_is_null(list))
        return ERR_NONE;
    if (!json_is_array(list) || json_array_size(list) != (size_t)line->n_ids)
        return err_set(in->err, ERR_INPUT, in->where,
                       "\"logprobs\" must be a list with one number for each of the %d ids",
                       line->n_ids);
    line->logprobs = arena_alloc(in->arena, (size_t)line->n_ids * sizeof *line->logprobs);
    if (!line->logprobs)
        return err_no_memory(in->err, in->where, (unsigned long long)line->n_ids);
    for (int i = 0; i < line->n_ids; i++) {
        const json_t *value = json_array_get(list, (size_t)i);
        if (!json_is_number(value) || json_number_value(value) > 1e-3)
            return err_set(in->err, ERR_INPUT, in->where,
                           "\"logprobs\" has no log-probability at position %d", i);
        line->logprobs[i] = (float)json_number_value(value);
    }
    return ERR_NONE;
}

static int read_reward(const struct reading *in, const json_t *o, struct replay_line *line)
{
    const json_t *value = json_object_get(o, "reward");
    if (!value || (!json_is_number(value) && !json_is_null(value)))
        return err_set(in->err, ERR_INPUT, in->where,
                       "\"reward\" is %s; expected a number, or null for a failed reward",
                       json_type_name(value));
    line->reward = json_is_null(value) ? NAN : json_number_value(value);
    return ERR_NONE;
}

/* What a reward was made of. Only gdpo asks for it, and then says what it misses. */
static int read_components(const struct reading *in, const json_t *o, struct replay_line *line)
{
    json_t *components = json_object_get(o, "components"), *value;
    const char *key;
    size_t room = json_object_size(components);
    line->failed = !isfinite(line->reward) && !json_is_object(components);
    if (!room)
        return ERR_NONE;
    line->values = arena_alloc(in->arena, room * sizeof *line->values);
    if (!line->values)
        return err_no_memory(in->err, in->where, room * sizeof *line->values);
    json_object_foreach(components, key, value)
    {
        line->failed =
            line->failed || (!isfinite(line->reward) && json_is_null(value) &&
                             !strchr(key, '/')); /* a reward, not one of its components */
        if (!json_is_number(value))
            continue;
        struct replay_value *out = &line->values[line->n_values++];
        out->value = json_number_value(value);
        out->name = arena_strndup(in->arena, key, strlen(key));
        if (!out->name)
            return err_no_memory(in->err, in->where, strlen(key));
    }
    return ERR_NONE;
}

static int read_slice(const struct reading *in, const json_t *o, struct replay_line *line)
{
    long long slice = -1;
    int status = json_get_int(&slice, o, "slice", false, in->where, in->err);
    if (!status && json_is_integer(json_object_get(o, "slice")) && (slice < 0 || slice > INT32_MAX))
        status = err_set(in->err, ERR_INPUT, in->where,
                         "\"slice\" is %lld; slices of a generation count from 0", slice);
    line->slice = (int)slice;
    return status;
}

/* prompt_id may be text or a number: tools write both. */
static int read_name(const struct reading *in, const json_t *o, const char *key, bool required,
                     const char **out)
{
    const json_t *value = json_object_get(o, key);
    char number[32];
    const char *text = json_string_value(value);
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        text = number;
    } else if (!text && (required || value)) {
        return err_set(in->err, ERR_INPUT, in->where,
                       "\"%s\" is %s; expected text or a whole number", key, json_type_name(value));
    }
    *out = arena_strndup(in->arena, text ? text : "", text ? strlen(text) : 0);
    return *out ? ERR_NONE : err_no_memory(in->err, in->where, 0);
}

/* EOS is seen from the ids and the length limit is what remains; only a stop string must be told.
 */
static int read_stop_reason(const struct reading *in, const json_t *o, struct replay_line *line)
{
    const json_t *value = json_object_get(o, "stop_reason");
    if (value && !json_is_string(value) && !json_is_null(value))
        return err_set(in->err, ERR_INPUT, in->where, "\"stop_reason\" is %s; expected text",
                       json_type_name(value));
    const char *text = json_string_value(value);
    line->stop_string = text && strcmp(text, stop_reason_name(STOP_STRING)) == 0;
    return ERR_NONE;
}

static int read_line(const struct reading *in, const json_t *o, struct replay_line *line)
{
    long long step = 0;
    int status = json_get_int(&step, o, "step", true, in->where, in->err);
    if (!status && (step < 1 || step > INT32_MAX))
        status =
            err_set(in->err, ERR_INPUT, in->where, "\"step\" is %lld; steps count from 1", step);
    line->step = (long)step;
    if (!status)
        status = read_name(in, o, "prompt_id", true, &line->prompt_id);
    if (!status)
        status = read_name(in, o, "task", false, &line->task);
    if (!status)
        status = read_ids(in, o, "prompt_ids", false, &line->prompt_ids, &line->n_prompt_ids);
    if (!status)
        status = read_ids(in, o, "ids", true, &line->ids, &line->n_ids);
    if (!status)
        status = read_logprobs(in, o, line);
    if (!status)
        status = read_stop_reason(in, o, line);
    if (!status)
        status = read_slice(in, o, line);
    if (!status)
        status = read_reward(in, o, line);
    return status ? status : read_components(in, o, line);
}

int replay_begin(struct replay *r, const char *path, size_t lines, struct err *err)
{
    *r = (struct replay){.path = mem_strdup(path),
                         .lines = mem_calloc(lines, sizeof *r->lines),
                         .rows = mem_calloc(lines, sizeof *r->rows),
                         .storage = mem_calloc(1, sizeof(struct arena))};
    if (r->path && r->lines && r->rows && r->storage)
        return ERR_NONE;
    replay_close(r);
    return err_no_memory(err, path, lines * sizeof *r->lines);
}

int replay_line_read(struct replay *r, struct replay_line *line, const json_t *object,
                     const char *where, struct err *err)
{
    struct reading in = {.r = r, .arena = r->storage, .err = err};
    snprintf(in.where, sizeof in.where, "%s", where);
    *line = (struct replay_line){0};
    return read_line(&in, object, line);
}

static struct replay_line *next_line(struct reading *in)
{
    struct replay *r = in->r;
    if (r->count == in->capacity) {
        size_t capacity = in->capacity ? 2 * in->capacity : 256;
        struct replay_line *lines = mem_realloc(r->lines, capacity * sizeof *lines);
        if (!lines)
            return NULL;
        r->lines = lines;
        in->capacity = capacity;
    }
    r->lines[r->count] = (struct replay_line){0};
    return &r->lines[r->count];
}

int replay_open(struct replay *r, const char *path, uint64_t offset, struct err *err)
{
    *r = (struct replay){.path = mem_strdup(path), .storage = mem_calloc(1, sizeof(struct arena))};
    struct reading in = {.r = r, .arena = r->storage, .err = err};
    struct jsonl_reader reader = {0};
    int status =
        r->path && r->storage ? jsonl_open(&reader, path, err) : err_no_memory(err, path, 0);
    if (!status && offset)
        status = jsonl_skip(&reader, offset, err);
    int got = 0;
    json_t *value;
    while (!status && (got = jsonl_next(&reader, &value, err)) > 0) {
        snprintf(in.where, sizeof in.where, "%.220s, line %ld", path, reader.line);
        struct replay_line *line = value ? next_line(&in) : NULL;
        if (!value)
            status = err ? (int)err->code : ERR_INPUT;
        else if (!line)
            status = err_no_memory(err, path, r->count * sizeof *line);
        else
            status = read_line(&in, value, line);
        if (!status && line) {
            line->line = reader.line;
            r->count++;
        }
        json_decref(value);
    }
    if (got < 0) /* a failed read, or no memory */
        status = err ? (int)err->code : ERR_INPUT;
    jsonl_close(&reader);
    if (!status && r->count == 0)
        status = err_set(err, ERR_INPUT, path, "holds no completion");
    if (!status && !(r->rows = mem_calloc(r->count, sizeof *r->rows)))
        status = err_no_memory(err, path, r->count * sizeof *r->rows);
    if (status)
        replay_close(r);
    return status;
}

void replay_close(struct replay *r)
{
    if (r->storage)
        arena_free(r->storage);
    mem_free(r->storage);
    mem_free(r->lines);
    mem_free(r->rows);
    mem_free(r->path);
    *r = (struct replay){0};
}

/* --- lines to a generation --- */

/* Whether line i opens a new group of its step: another prompt than the last line of the step, or
 * that one's group is full. */
struct grouping {
    long step;
    const char *prompt_id;
    int in_group, groups;
};

static bool opens_group(struct grouping *g, const struct replay_line *line, int per_group)
{
    bool opens = line->step != g->step || !g->prompt_id ||
                 strcmp(line->prompt_id, g->prompt_id) != 0 || g->in_group == per_group;
    g->groups = line->step != g->step ? 1 : g->groups + opens;
    g->in_group = opens ? 1 : g->in_group + 1;
    g->step = line->step;
    g->prompt_id = line->prompt_id;
    return opens;
}

void replay_measure(const struct replay *r, struct replay_size *size)
{
    *size = (struct replay_size){0};
    const struct replay_line *first = &r->lines[0];
    while ((size_t)size->per_group < r->count && r->lines[size->per_group].step == first->step &&
           strcmp(r->lines[size->per_group].prompt_id, first->prompt_id) == 0)
        size->per_group++;
    struct grouping g = {0};
    for (size_t i = 0; i < r->count; i++) {
        const struct replay_line *line = &r->lines[i];
        opens_group(&g, line, size->per_group);
        size->groups = g.groups > size->groups ? g.groups : size->groups;
        size->prompt = line->n_prompt_ids > size->prompt ? line->n_prompt_ids : size->prompt;
        size->last_step = line->step > size->last_step ? line->step : size->last_step;
    }
}

static const struct row *find_row(const struct dataset *data, const char *id)
{
    for (size_t i = 0; data && i < data->count; i++)
        if (strcmp(data->rows[i].id, id) == 0)
            return &data->rows[i];
    return NULL;
}

static int line_error(const struct replay *r, const struct replay_line *line, struct err *err,
                      const char *format, int a, int b)
{
    char where[300];
    snprintf(where, sizeof where, "%.220s, line %ld", r->path, line->line);
    return err_set(err, ERR_INPUT, where, format, a, b);
}

static int check_ids(const struct replay *r, const struct replay_line *line, const char *format,
                     const int *ids, int n, int vocab_size, struct err *err)
{
    for (int i = 0; i < n; i++)
        if (ids[i] >= vocab_size)
            return line_error(r, line, err, format, ids[i], vocab_size - 1);
    return ERR_NONE;
}

/* The prompt's ids, as the line gives them or as its row is encoded. */
static int take_prompt(const struct replay *r, const struct replay_line *line,
                       const struct episode *e, const struct row *row, struct ids *prompt,
                       struct err *err)
{
    prompt->count = 0;
    for (int i = 0; i < line->n_prompt_ids; i++)
        if (ids_push(prompt, line->prompt_ids[i]))
            return err_no_memory(err, r->path, (unsigned long long)line->n_prompt_ids);
    if (line->n_prompt_ids)
        return ERR_NONE;
    if (!row->messages || !e->codec->tokenizer)
        return line_error(r, line, err,
                          "has no \"prompt_ids\", and its prompt_id names no row of the data that "
                          "could be encoded",
                          0, 0);
    return text_codec_row(e->codec, prompt, row, err);
}

static int begin_group(const struct replay *r, const struct replay_line *line,
                       const struct episode *e, const struct dataset *data,
                       const struct replay_limits *limits, struct episode_group *group,
                       struct err *err)
{
    group->row = find_row(data, line->prompt_id);
    if (!group->row) {
        struct row *row = &r->rows[line - r->lines];
        *row = (struct row){
            .id = line->prompt_id, .task = line->task, .user_text = "", .line = line->line};
        group->row = row;
    }
    group->n = 0;
    int status = take_prompt(r, line, e, group->row, &group->prompt, err);
    if (!status && group->prompt.count > (size_t)limits->max_prompt_tokens)
        status = line_error(r, line, err, "has a prompt of %d tokens, room was made for %d",
                            (int)group->prompt.count, limits->max_prompt_tokens);
    return status
               ? status
               : check_ids(r, line, "\"prompt_ids\" has id %d, the model's vocabulary ends at %d",
                           group->prompt.data, (int)group->prompt.count, limits->vocab_size, err);
}

static bool is_eos(const struct episode *e, int id)
{
    for (int i = 0; i < e->codec->n_eos; i++)
        if (e->codec->eos[i] == id)
            return true;
    return false;
}

static double value_of(const struct replay_line *line, const char *name)
{
    for (int v = 0; v < line->n_values; v++)
        if (strcmp(line->values[v].name, name) == 0)
            return line->values[v].value;
    return NAN;
}

static int take_columns(const struct replay *r, const struct replay_line *line,
                        struct generation *gen, int i, struct err *err)
{
    struct generation_columns *c = &gen->columns;
    bool any = false;
    for (int k = 0; k < c->n; k++) {
        double x = value_of(line, c->names[k]);
        c->value[(size_t)k * c->stride + (size_t)i] = x;
        any = any || isfinite(x);
    }
    if (gen->kind != ADVANTAGE_GDPO || any || !gen->valid[i])
        return ERR_NONE;
    char where[300];
    snprintf(where, sizeof where, "%.220s, line %ld", r->path, line->line);
    return err_set(err, ERR_INPUT, where,
                   "has a reward but none of its components, which advantage gdpo normalises one "
                   "by one: give \"components\" with at least one number under a name such as "
                   "\"%.120s\"",
                   c->names[0]);
}

static int take_line(const struct replay *r, const struct replay_line *line,
                     const struct episode *e, int vocab_size, struct generation *gen,
                     struct err *err)
{
    struct episode_group *group = &gen->batch.groups[gen->batch.count - 1];
    if (line->n_ids > gen->batch.max_new_tokens)
        return line_error(r, line, err, "has %d ids, max_completion_length is %d", line->n_ids,
                          gen->batch.max_new_tokens);
    int status = check_ids(r, line, "\"ids\" has id %d, the model's vocabulary ends at %d",
                           line->ids, line->n_ids, vocab_size, err);
    if (status)
        return status;
    int i = (gen->batch.count - 1) * gen->per_group + group->n++;
    struct completion *c = &generation_sample(gen, i)->completion;
    size_t bytes = (size_t)line->n_ids * sizeof(float);
    memcpy(c->ids, line->ids, (size_t)line->n_ids * sizeof *c->ids);
    c->length = line->n_ids;
    c->stop = is_eos(e, line->ids[line->n_ids - 1]) ? STOP_EOS
              : line->stop_string                   ? STOP_STRING
                                                    : STOP_LENGTH;
    if (line->logprobs)
        memcpy(gen->old + generation_token(gen, i), line->logprobs, bytes);
    gen->has_old = gen->has_old && line->logprobs;
    gen->reward[i] = line->reward;
    gen->valid[i] = isfinite(line->reward);
    gen->failed[i] = line->failed;
    gen->slice_of[i] = line->slice;
    return take_columns(r, line, gen, i, err);
}

/* Which step of the generation trains which completion: as the lines say, or as the seed draws. */
static int take_slices(const struct replay *r, const struct replay_line *last, uint64_t seed,
                       struct generation *gen, struct err *err)
{
    int n = generation_count(gen), size = n / gen->slices, given = 0;
    if (size * gen->slices != n)
        return line_error(r, last, err,
                          "ends a step of %d completions, which are no multiple of "
                          "steps_per_generation %d",
                          n, gen->slices);
    for (int i = 0; i < n; i++)
        given += gen->slice_of[i] >= 0;
    if (!given) {
        generation_deal(gen, seed);
        return ERR_NONE;
    }
    if (given < n)
        return line_error(r, last, err,
                          "ends a step of which %d of %d lines have a \"slice\": give it on all "
                          "or none",
                          given, n);
    for (int slice = 0; slice < gen->slices; slice++) {
        int members = 0;
        for (int i = 0; i < n; i++)
            members += gen->slice_of[i] == slice;
        if (members != size)
            return line_error(r, last, err,
                              "ends a step with %d completions of one \"slice\", expected %d in "
                              "each of those from 0 on (steps_per_generation)",
                              members, size);
    }
    return ERR_NONE;
}

int replay_load(const struct replay *r, long step, const struct episode *e,
                const struct dataset *data, const struct replay_limits *limits,
                struct generation *gen, struct err *err)
{
    struct grouping grouping = {0};
    gen->batch.count = 0;
    gen->batch.warped = false;
    gen->first_step = (int)step;
    gen->has_old = true;
    const struct replay_line *last = NULL;
    for (size_t l = 0; l < r->count; l++) {
        const struct replay_line *line = &r->lines[l];
        if (line->step != step)
            continue;
        int status = ERR_NONE;
        if (opens_group(&grouping, line, gen->per_group)) {
            if (last && gen->batch.groups[gen->batch.count - 1].n != gen->per_group)
                break;
            if (gen->batch.count == gen->batch.capacity)
                return line_error(r, line, err,
                                  "opens group %d of its step, prompts_per_step is %d",
                                  gen->batch.count + 1, gen->batch.capacity);
            status =
                begin_group(r, line, e, data, limits, &gen->batch.groups[gen->batch.count++], err);
        }
        if (!status)
            status = take_line(r, line, e, limits->vocab_size, gen, err);
        if (status)
            return status;
        last = line;
    }
    if (!last)
        return err_set(err, ERR_INPUT, r->path, "has no completions of step %ld", step);
    int n = gen->batch.groups[gen->batch.count - 1].n;
    if (n != gen->per_group)
        return line_error(r, last, err,
                          "ends a group with %d completions of its prompt, num_generations is %d",
                          n, gen->per_group);
    return take_slices(r, last, limits->seed, gen, err);
}

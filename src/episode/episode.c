/* episode.c: rows to prompts, completions to scores; see episode.h. */
#include "episode/episode.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

/* --- reward sets --- */

struct building {
    struct reward_set *set;
    struct arena *arena;
    const char *where;
    struct err *err;
};

static bool label_taken(const struct building *b, const char *label)
{
    for (int i = 0; i < b->set->count; i++)
        if (strcmp(b->set->items[i].label, label) == 0)
            return true;
    return false;
}

/* A label of its own for each item: the reward's name, or name:task where a name serves two tasks,
 * or name:2 where that is taken, too. */
static const char *make_label(const struct building *b, const char *name, const char *task)
{
    char label[160];
    snprintf(label, sizeof label, "%s", name);
    if (label_taken(b, label))
        snprintf(label, sizeof label, "%s:%.60s", name, task ? task : "all");
    for (int n = 2; label_taken(b, label); n++)
        snprintf(label, sizeof label, "%s:%d", name, n);
    return arena_strndup(b->arena, label, strlen(label));
}

/* What an entry of the list says; `own` is to be released. */
struct entry {
    const char *name, *label;
    double weight;
    const json_t *params;
    json_t *own; /* params of a reward of the user's own, put together from the entry's keys */
};

/* "command" or "library" where the entry is a reward of the user's own, else NULL. */
static const char *own_kind(const json_t *entry)
{
    return json_object_get(entry, "command")   ? "command"
           : json_object_get(entry, "library") ? "library"
                                               : NULL;
}

/* A key that every entry may have. */
static bool of_list(const char *key)
{
    static const char *const keys[] = {"name", "label", "weight", "fixtures", "known_gameable"};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* {command: […], name: LABEL, weight, …}: what is not the list's is the reward's. */
static int read_own(struct entry *e, const json_t *entry, const struct building *b)
{
    const char *key, *label = NULL;
    json_t *value;
    if (json_object_get(entry, "command") && json_object_get(entry, "library"))
        return err_set(b->err, ERR_USAGE, b->where,
                       "a reward has both command and library; it is one of them");
    int status = json_get_string(&e->label, entry, "name", false, b->where, b->err);
    if (!status)
        status = json_get_string(&label, entry, "label", false, b->where, b->err);
    if (!status && label && e->label)
        status = err_set(b->err, ERR_USAGE, b->where,
                         "reward \"%.60s\" also has the label \"%.60s\"; of a %s the name is the "
                         "label",
                         e->label, label, own_kind(entry));
    if (status)
        return status;
    e->label = e->label ? e->label : label;
    e->name = own_kind(entry);
    e->params = e->own = json_object();
    json_object_foreach((json_t *)(uintptr_t)entry, key, value)
    {
        if (!of_list(key) && json_object_set(e->own, key, value))
            return err_no_memory(b->err, b->where, strlen(key));
    }
    return ERR_NONE;
}

static int read_named(struct entry *e, const json_t *entry, const struct building *b)
{
    int status = json_get_string(&e->name, entry, "name", true, b->where, b->err);
    if (!status)
        status = json_get_string(&e->label, entry, "label", false, b->where, b->err);
    if (status)
        return status;
    e->params = json_object_get(entry, "params");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)entry, key, value)
    {
        (void)value;
        if (!of_list(key) && strcmp(key, "params") != 0)
            return err_set(b->err, ERR_USAGE, b->where,
                           "reward \"%.60s\" has the unknown key \"%.60s\"; known: name, label, "
                           "weight, params, fixtures, known_gameable",
                           e->name, key);
    }
    return ERR_NONE;
}

static int read_entry(struct entry *e, const json_t *entry, const struct building *b)
{
    *e = (struct entry){.name = json_string_value(entry), .weight = 1.0};
    if (!json_is_object(entry) && !e->name)
        return err_set(b->err, ERR_USAGE, b->where,
                       "a reward is %s; expected a name or {name, weight, params}",
                       json_type_name(entry));
    int status = ERR_NONE;
    if (json_is_object(entry))
        status = own_kind(entry) ? read_own(e, entry, b) : read_named(e, entry, b);
    if (!status && json_is_object(entry))
        status = json_get_double(&e->weight, entry, "weight", false, b->where, b->err);
    if (!status && !isfinite(e->weight))
        status = err_set(b->err, ERR_USAGE, b->where,
                         "the weight of reward \"%.60s\" is not finite", e->name);
    if (!status && e->label && label_taken(b, e->label))
        status = err_set(b->err, ERR_USAGE, b->where,
                         "two rewards are called \"%.60s\"; give each its own label", e->label);
    return status;
}

/* What the gate is to know of an entry. */
static int read_gate_keys(struct task_reward *item, const json_t *entry, const struct building *b)
{
    int status =
        json_get_bool(&item->known_gameable, entry, "known_gameable", false, b->where, b->err);
    if (!status)
        status = json_get_string(&item->fixtures, entry, "fixtures", false, b->where, b->err);
    if (!status && item->fixtures &&
        !(item->fixtures = arena_strndup(b->arena, item->fixtures, strlen(item->fixtures))))
        status = err_no_memory(b->err, b->where, 0);
    return status;
}

static int add_item(const struct building *b, const json_t *json, const char *task)
{
    struct entry e;
    struct task_reward *item = &b->set->items[b->set->count];
    int status = read_entry(&e, json, b);
    if (!status) {
        *item = (struct task_reward){.weight = e.weight};
        item->task = task ? arena_strndup(b->arena, task, strlen(task)) : NULL;
        item->label = e.label ? arena_strndup(b->arena, e.label, strlen(e.label))
                              : make_label(b, e.name, task);
        if (!item->label || (task && !item->task))
            status = err_no_memory(b->err, b->where, 0);
    }
    if (!status && json_is_object(json))
        status = read_gate_keys(item, json, b);
    if (!status)
        status = reward_create(&item->reward, e.name, e.params, b->err);
    if (!status)
        b->set->count++;
    json_decref(e.own);
    if (status && b->err && b->err->code == ERR_INPUT)
        b->err->code = ERR_USAGE; /* a recipe's mistake, not a data file's */
    return status ? (b->err ? (int)b->err->code : ERR_USAGE) : ERR_NONE;
}

static int add_list(const struct building *b, const json_t *list, const char *task)
{
    if (!json_is_array(list)) /* one reward may stand without a list around it */
        return add_item(b, list, task);
    for (size_t i = 0; i < json_array_size(list); i++) {
        int status = add_item(b, json_array_get(list, i), task);
        if (status)
            return status;
    }
    return ERR_NONE;
}

/* An object is one reward without a list around it, or a map from tasks. */
static bool is_map(const json_t *rewards)
{
    return json_is_object(rewards) && !json_object_get(rewards, "name") && !own_kind(rewards);
}

static size_t count_items(const json_t *rewards)
{
    if (!is_map(rewards))
        return json_is_array(rewards) ? json_array_size(rewards) : 1;
    size_t n = 0;
    const char *task;
    json_t *list;
    json_object_foreach((json_t *)(uintptr_t)rewards, task, list)
    {
        (void)task;
        n += json_is_array(list) ? json_array_size(list) : 1;
    }
    return n;
}

int reward_set_create(struct reward_set *set, const json_t *rewards, const char *where,
                      struct err *err)
{
    *set = (struct reward_set){0};
    struct arena *arena = mem_calloc(1, sizeof *arena);
    set->storage = arena;
    set->items = mem_calloc(count_items(rewards) + 1, sizeof *set->items);
    struct building b = {set, arena, where, err};
    int status = ERR_NONE;
    if (!arena || !set->items) {
        status = err_no_memory(err, where, 0);
    } else if (is_map(rewards)) {
        const char *task;
        json_t *list;
        json_object_foreach((json_t *)(uintptr_t)rewards, task, list)
        {
            status = add_list(&b, list, task);
            if (status)
                break;
        }
    } else {
        status = add_list(&b, rewards, NULL);
    }
    if (!status && set->count == 0)
        status = err_set(err, ERR_USAGE, where, "names no reward; nothing could be learnt");
    if (status)
        reward_set_free(set);
    return status;
}

void reward_set_free(struct reward_set *set)
{
    for (int i = 0; set->items && i < set->count; i++)
        reward_free(set->items[i].reward);
    if (set->storage)
        arena_free(set->storage);
    mem_free(set->storage);
    mem_free(set->items);
    *set = (struct reward_set){0};
}

static bool applies(const struct task_reward *item, const struct row *row)
{
    return !item->task || strcmp(item->task, row->task) == 0;
}

bool reward_set_applies(const struct reward_set *set, int i, const struct row *row)
{
    return applies(&set->items[i], row);
}

int reward_set_covers(const struct reward_set *set, const struct dataset *d, struct err *err)
{
    for (size_t r = 0; r < d->count; r++) {
        bool weighted = false;
        for (int i = 0; i < set->count && !weighted; i++)
            weighted = applies(&set->items[i], &d->rows[r]) && set->items[i].weight != 0;
        if (!weighted)
            return err_set(
                err, ERR_USAGE, "rewards",
                "no reward with a weight applies to row \"%.80s\" (%.200s, line %ld), task "
                "\"%.60s\"",
                d->rows[r].id, d->path, d->rows[r].line, d->rows[r].task);
    }
    return ERR_NONE;
}

struct reward_input episode_input(const struct row *row, const struct slice *group, int n_group,
                                  int sample)
{
    return (struct reward_input){.prompt = row->user_text,
                                 .prompt_length = strlen(row->user_text),
                                 .completion = group[sample].data,
                                 .completion_length = group[sample].length,
                                 .row = row->json,
                                 .group = group,
                                 .n_group = n_group,
                                 .sample = sample};
}

static int add_column(struct reward_column *out, int n, int capacity, struct reward_column column)
{
    if (column.weight != 0 && n < capacity)
        out[n] = column;
    return column.weight != 0;
}

int reward_set_columns(const struct reward_set *set, struct reward_column *out, int capacity)
{
    int n = 0;
    for (int i = 0; i < set->count; i++) {
        const struct task_reward *item = &set->items[i];
        int before = n, components;
        const struct reward_component *list = reward_components(item->reward, &components);
        for (int c = 0; c < components; c++)
            n += add_column(out, n, capacity,
                            (struct reward_column){i, c, item->weight * list[c].weight});
        if (n == before)
            n += add_column(out, n, capacity, (struct reward_column){i, -1, item->weight});
    }
    return n;
}

double reward_column_value(const struct reward_column *c, const struct scored *scored)
{
    const struct reward_result *result = &scored->results[c->item];
    if (result->status != REWARD_OK)
        return NAN;
    return c->component < 0 ? result->score : result->components[c->component];
}

void reward_column_name(struct str *out, const struct reward_set *set,
                        const struct reward_column *c)
{
    const struct task_reward *item = &set->items[c->item];
    int n;
    const struct reward_component *list = reward_components(item->reward, &n);
    str_puts(out, item->label);
    if (c->component >= 0)
        str_printf(out, "/%s", list[c->component].name);
}

void episode_score(const struct reward_set *set, const struct row *row, const struct slice *group,
                   int n_group, int sample, struct scored *out)
{
    out->total = 0;
    out->failed = 0;
    out->broken = false;
    bool any = false;
    for (int i = 0; i < set->count; i++) {
        const struct task_reward *item = &set->items[i];
        struct reward_result local, *result = out->results ? &out->results[i] : &local;
        bool asked = out->ready && out->ready[i] && out->results;
        out->values[i] = NAN;
        if (!asked)
            *result = (struct reward_result){.status = REWARD_NOT_APPLICABLE};
        if (!applies(item, row))
            continue;
        struct reward_input in = episode_input(row, group, n_group, sample);
        if (!asked)
            reward_evaluate(item->reward, &in, result, NULL);
        if (result->status == REWARD_FAILED) {
            out->failed++;
            out->broken = out->broken || item->weight != 0;
        } else if (result->status == REWARD_OK) {
            out->values[i] = result->score;
            if (item->weight != 0) {
                out->total += item->weight * result->score;
                any = true;
            }
        }
    }
    out->valid = any && !out->broken;
    if (!out->valid)
        out->total = NAN;
}

/* --- text --- */

static void add_eos(struct text_codec *c, int id, enum eos_source from)
{
    int i = 0;
    while (i < c->n_eos && c->eos[i] != id)
        i++;
    if (id < 0 || i == (int)(sizeof c->eos / sizeof *c->eos))
        return;
    if (i == c->n_eos) {
        c->eos[c->n_eos++] = id;
        c->eos_from[i] = 0;
    }
    c->eos_from[i] |= from;
}

static int add_tokenizer_eos(struct text_codec *c, const char *folder, struct err *err)
{
    json_t *tokens = NULL;
    int status = chat_special_tokens(&tokens, NULL, folder, err);
    const json_t *eos = status ? NULL : json_object_get(tokens, "eos_token");
    if (eos)
        add_eos(c,
                tokenizer_token_id(c->tokenizer, json_string_value(eos), json_string_length(eos)),
                EOS_OF_TOKENIZER);
    json_decref(tokens);
    return status;
}

/* What ends an assistant's turn under the template, when it is a special token, ends a completion.
 */
static int add_turn_end(struct text_codec *c, struct err *err)
{
    struct str text = {0};
    struct ids ids = {0};
    chat_turn_end(&text, c->chat);
    int status = text.failed ? err_no_memory(err, "chat template", text.length)
                             : tokenizer_encode(c->tokenizer, &ids, str_text(&text), text.length,
                                                false, err);
    if (!status && ids.count && tokenizer_is_special(c->tokenizer, ids.data[0]))
        add_eos(c, ids.data[0], EOS_OF_TEMPLATE);
    str_free(&text);
    ids_free(&ids);
    return status;
}

int text_codec_open_chat(struct text_codec *c, const char *folder, const struct chat_options *chat,
                         struct err *err)
{
    int status =
        chat ? chat_system_prompt_check(chat->system_prompt, "system_prompt", err) : ERR_NONE;
    if (!status)
        status = chat_template_open(&c->chat, folder, chat, err);
    if (!status && chat && chat->system_prompt &&
        !(c->system_prompt = json_deep_copy(chat->system_prompt)))
        status = err_no_memory(err, "system_prompt", 0);
    return status;
}

int text_codec_open(struct text_codec *c, const char *model_folder, const struct chat_options *chat,
                    const struct hf_config *config, struct err *err)
{
    *c = (struct text_codec){0};
    struct err local = {0}; /* the caller may have passed none, and the message is needed */
    int status = tokenizer_open(&c->tokenizer, model_folder, err);
    if (!status) {
        status = text_codec_open_chat(c, model_folder, chat, &local);
        /* A model without any template can still take plain text; one whose template cannot be
         * read is not passed over. */
        if (status && strncmp(local.message, "has no chat template", 20) == 0)
            status = ERR_NONE;
        else if (status && err)
            *err = local;
    }
    for (int i = 0; !status && config && i < config->n_eos; i++)
        add_eos(c, config->eos[i], EOS_OF_CONFIG);
    if (!status)
        status = add_tokenizer_eos(c, model_folder, err);
    if (!status && c->chat)
        status = add_turn_end(c, err);
    if (!status && config && tokenizer_vocab_size(c->tokenizer) > config->vocab_size)
        for (int id = config->vocab_size; id < tokenizer_vocab_size(c->tokenizer) && !status; id++)
            if (tokenizer_is_special(c->tokenizer, id))
                status = err_set(err, ERR_INPUT, model_folder,
                                 "the tokenizer has special token %d but the model's vocabulary "
                                 "ends at %d: they do not belong together",
                                 id, config->vocab_size - 1);
    if (status)
        text_codec_close(c);
    return status;
}

int text_codec_open_ids(struct text_codec *c, const char *model_folder,
                        const struct chat_options *chat, const struct hf_config *config,
                        struct err *err)
{
    struct str path = {0};
    path_join(&path, model_folder, "tokenizer.json");
    bool failed = path.failed, there = file_exists(str_text(&path));
    str_free(&path);
    if (failed)
        return err_no_memory(err, model_folder, strlen(model_folder));
    if (there)
        return text_codec_open(c, model_folder, chat, config, err);
    *c = (struct text_codec){0};
    for (int i = 0; i < config->n_eos; i++)
        add_eos(c, config->eos[i], EOS_OF_CONFIG);
    return ERR_NONE;
}

void text_codec_close(struct text_codec *c)
{
    tokenizer_free(c->tokenizer);
    chat_template_free(c->chat);
    json_decref(c->system_prompt);
    *c = (struct text_codec){0};
}

/* The messages with the system prompt before them; *freed is the caller's when not NULL. */
static int with_system(const struct text_codec *c, const char *task,
                       const struct chat_message **messages, size_t *n, struct chat_message **freed,
                       struct err *err)
{
    const json_t *system = chat_system_prompt(c->system_prompt, task, *messages, *n);
    *freed = NULL;
    if (!system)
        return ERR_NONE;
    struct chat_message *all = mem_calloc(*n + 1, sizeof *all);
    if (!all)
        return err_no_memory(err, "messages", *n * sizeof *all);
    all[0] = (struct chat_message){"system", json_string_value(system), json_string_length(system),
                                   NULL};
    if (*n)
        memcpy(all + 1, *messages, *n * sizeof *all);
    *messages = *freed = all;
    ++*n;
    return ERR_NONE;
}

int text_codec_prompt(const struct text_codec *c, struct ids *out, struct str *text,
                      const char *task, const struct chat_message *messages, size_t n,
                      struct err *err)
{
    if (!c->chat)
        return err_set(err, ERR_INPUT, "prompt",
                       "the model's folder has no chat template, so chat messages cannot be "
                       "rendered; name one (chat_template: chatml)");
    struct str rendered = {0}, *target = text ? text : &rendered;
    struct chat_message *freed;
    size_t start = target->length;
    int status = with_system(c, task, &messages, &n, &freed, err);
    if (!status)
        status = chat_render(target, c->chat, messages, n, true, err);
    if (!status)
        status = tokenizer_encode(c->tokenizer, out, str_text(target) + start,
                                  target->length - start, false, err);
    str_free(&rendered);
    mem_free(freed);
    return status;
}

int text_codec_row(const struct text_codec *c, struct ids *out, const struct row *row,
                   struct err *err)
{
    if (row->messages)
        return text_codec_prompt(c, out, NULL, row->task, row->messages, row->n_messages, err);
    const json_t *ids = json_object_get(row->json, "prompt_ids");
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > INT32_MAX)
            return err_set(err, ERR_INPUT, row->id,
                           "\"prompt_ids\" holds something that is no id at position %zu", i);
        if (ids_push(out, (int)json_integer_value(id)))
            return err_no_memory(err, row->id, i);
    }
    return ERR_NONE;
}

int text_codec_completion(const struct text_codec *c, struct str *out, const int *ids, int n,
                          struct err *err)
{
    /* A model's vocabulary may be padded beyond the tokenizer's: such ids stand for nothing. */
    struct ids known = {0};
    int status = ERR_NONE, size = tokenizer_vocab_size(c->tokenizer);
    for (int i = 0; i < n && !status; i++)
        if (ids[i] < size && ids_push(&known, ids[i]))
            status = err_no_memory(err, "completion", (unsigned long long)n);
    if (!status)
        status = tokenizer_decode(c->tokenizer, out, known.data, known.count, true, err);
    ids_free(&known);
    return status;
}

/* rows.c: dataset files to rows; see rows.h. */
#include "data/rows.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include "base/file.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"
#include "formats/jsonl.h"

struct storage {
    struct arena arena;
};

struct opening {
    struct dataset *d;
    struct arena *arena;
    struct map ids;
    size_t capacity;
    struct err *err;
};

static int line_error(const struct opening *o, long line, const char *format, const char *detail)
{
    char where[256];
    snprintf(where, sizeof where, "%.200s, line %ld", o->d->path, line);
    return err_set(o->err, ERR_INPUT, where, format, detail);
}

static int read_message(const struct opening *o, struct chat_message *m, const json_t *value,
                        long line)
{
    const json_t *role = json_object_get(value, "role"),
                 *content = json_object_get(value, "content");
    if (!json_is_string(role) || !json_is_string(content))
        return line_error(
            o, line, "a message of \"prompt\" is not {\"role\": text, \"content\": text}%s", "");
    m->role = json_string_value(role);
    m->content = json_string_value(content);
    m->content_length = json_string_length(content);
    m->json = value;
    return ERR_NONE;
}

static int read_prompt(const struct opening *o, struct row *row)
{
    const json_t *prompt = json_object_get(row->json, "prompt");
    size_t n = json_is_string(prompt) ? 1 : json_array_size(prompt);
    if (!n) {
        if (json_is_array(json_object_get(row->json, "prompt_ids")))
            return ERR_NONE;
        return line_error(
            o, row->line,
            "\"prompt\" is %s; expected a list of messages with at least one, or text",
            json_type_name(prompt));
    }
    struct err local = {0};
    if (chat_row_check(row->json, "", &local))
        return line_error(o, row->line, "%s", local.message);
    struct chat_message *messages = arena_alloc(o->arena, n * sizeof *messages);
    if (!messages)
        return err_no_memory(o->err, o->d->path, n * sizeof *messages);
    if (json_is_string(prompt))
        messages[0] = (struct chat_message){"user", json_string_value(prompt),
                                            json_string_length(prompt), NULL};
    for (size_t i = 0; i < n && !json_is_string(prompt); i++) {
        int status = read_message(o, &messages[i], json_array_get(prompt, i), row->line);
        if (status)
            return status;
    }
    row->messages = messages;
    row->n_messages = n;
    return ERR_NONE;
}

void row_user_text(struct str *text, const struct row *row)
{
    for (size_t i = 0; i < row->n_messages; i++) {
        if (strcmp(row->messages[i].role, "user") != 0)
            continue;
        if (text->length)
            str_putc(text, '\n');
        str_append(text, row->messages[i].content, row->messages[i].content_length);
    }
}

static int join_user_text(const struct opening *o, struct row *row)
{
    struct str text = {0};
    row_user_text(&text, row);
    row->user_text = arena_strndup(o->arena, str_text(&text), text.length);
    bool failed = text.failed || !row->user_text;
    str_free(&text);
    return failed ? err_no_memory(o->err, o->d->path, 0) : ERR_NONE;
}

static int read_identity(struct opening *o, struct row *row)
{
    const json_t *id = json_object_get(row->json, "id"), *task = json_object_get(row->json, "task");
    char made[40];
    if (json_is_integer(id))
        snprintf(made, sizeof made, "%lld", (long long)json_integer_value(id));
    else
        snprintf(made, sizeof made, "line-%ld", row->line);
    if (id && !json_is_null(id) && !json_is_string(id) && !json_is_integer(id))
        return line_error(o, row->line, "\"id\" is %s, expected text or an integer",
                          json_type_name(id));
    if (task && !json_is_null(task) && !json_is_string(task))
        return line_error(o, row->line, "\"task\" is %s, expected text", json_type_name(task));
    const char *text = json_is_string(id) ? json_string_value(id) : made;
    row->id = arena_strndup(o->arena, text, strlen(text));
    row->task = json_is_string(task) ? json_string_value(task) : "";
    if (!row->id)
        return err_no_memory(o->err, o->d->path, strlen(text));
    row->key = rng_id(row->id, strlen(row->id));
    if (map_get(&o->ids, row->id, strlen(row->id), NULL))
        return line_error(o, row->line, "the id \"%.100s\" appears twice", row->id);
    return map_put(&o->ids, row->id, strlen(row->id), (int32_t)o->d->count)
               ? ERR_NONE
               : err_no_memory(o->err, o->d->path, 0);
}

/* Takes over the reference to json. */
static int add_row(struct opening *o, json_t *json, long line)
{
    struct dataset *d = o->d;
    if (d->count == o->capacity) {
        size_t capacity = o->capacity ? 2 * o->capacity : 256;
        struct row *rows = mem_realloc(d->rows, capacity * sizeof *rows);
        if (!rows) {
            json_decref(json);
            return err_no_memory(o->err, d->path, capacity * sizeof *rows);
        }
        d->rows = rows;
        o->capacity = capacity;
    }
    struct row *row = &d->rows[d->count];
    *row = (struct row){.json = json, .line = line};
    int status = read_identity(o, row);
    d->count++;
    if (!status)
        status = read_prompt(o, row);
    if (!status)
        status = join_user_text(o, row);
    return status;
}

int dataset_open(struct dataset *d, const char *path, struct err *err)
{
    *d = (struct dataset){0};
    struct storage *storage = mem_calloc(1, sizeof *storage);
    d->storage = storage;
    d->path = mem_strdup(path);
    if (!storage || !d->path) {
        dataset_close(d);
        return err_no_memory(err, path, 0);
    }
    struct opening o = {.d = d, .arena = &storage->arena, .err = err};
    struct jsonl_reader reader;
    int status = sha256_file(d->sha256, path, err);
    if (!status)
        status = jsonl_open(&reader, path, err);
    if (!status) {
        json_t *json;
        int got = 0;
        while (!status && (got = jsonl_next(&reader, &json, err)) == 1)
            status = json ? add_row(&o, json, reader.line) : ERR_INPUT;
        if (!status && got < 0)
            status = err ? (int)err->code : ERR_INPUT;
        jsonl_close(&reader);
    }
    if (!status && d->count == 0)
        status = err_set(err, ERR_INPUT, path,
                         "has no rows; expected one JSON object a line with \"prompt\"");
    map_free(&o.ids);
    if (status)
        dataset_close(d);
    return status;
}

void dataset_close(struct dataset *d)
{
    for (size_t i = 0; i < d->count; i++)
        json_decref(d->rows[i].json);
    struct storage *storage = d->storage;
    if (storage)
        arena_free(&storage->arena);
    mem_free(storage);
    mem_free(d->rows);
    mem_free(d->path);
    *d = (struct dataset){0};
}

int dataset_set_task(struct dataset *d, size_t row, const char *task, struct err *err)
{
    struct storage *storage = d->storage;
    char *copy = arena_strndup(&storage->arena, task, strlen(task));
    if (!copy)
        return err_no_memory(err, d->path, strlen(task));
    d->rows[row].task = copy;
    return ERR_NONE;
}

int dataset_tasks(const struct dataset *d, const char **names, int capacity)
{
    int n = 0;
    for (size_t i = 0; i < d->count; i++) {
        int k = 0;
        while (k < n && k < capacity && strcmp(names[k], d->rows[i].task) != 0)
            k++;
        if (k < n)
            continue;
        if (n < capacity)
            names[n] = d->rows[i].task;
        n++;
    }
    return n < capacity ? n : capacity;
}

/* NFKC, case folded, invisible characters left out, white space runs as one space, trimmed. */
static int normal_text(struct str *out, const struct str *text, struct err *err)
{
    utf8proc_uint8_t *mapped = NULL;
    utf8proc_ssize_t n = utf8proc_map(
        (const utf8proc_uint8_t *)str_text(text), (utf8proc_ssize_t)text->length, &mapped,
        UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);
    if (n == UTF8PROC_ERROR_NOMEM)
        return err_no_memory(err, "prompt", text->length);
    if (n < 0)
        return err_set(err, ERR_INPUT, "prompt", "cannot normalize: %s", utf8proc_errmsg(n));
    size_t start = out->length;
    bool space = false;
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        bool blank = mapped[i] == ' ' || (mapped[i] >= 9 && mapped[i] <= 13);
        if (!blank) {
            if (space && out->length > start)
                str_putc(out, ' ');
            str_putc(out, (char)mapped[i]);
        }
        space = blank;
    }
    free(mapped);
    return out->failed ? err_no_memory(err, "prompt", out->length) : ERR_NONE;
}

int row_fingerprint(struct str *out, const struct row *row, struct err *err)
{
    struct str text = {0};
    size_t start = out->length;
    row_user_text(&text, row);
    int status = text.failed ? err_no_memory(err, "prompt", 0) : normal_text(out, &text, err);
    str_free(&text);
    if (status || out->length > start)
        return status;
    /* No user text: rows of token ids, or of other roles only. A byte no JSON value starts with
     * keeps these apart from texts. */
    const json_t *prompt = json_object_get(row->json, "prompt");
    if (!prompt || json_is_null(prompt))
        prompt = json_object_get(row->json, "prompt_ids");
    struct json_writer w;
    str_putc(out, 1);
    jw_begin(&w, out);
    jw_value(&w, prompt);
    return out->failed ? err_no_memory(err, "prompt", out->length) : ERR_NONE;
}

int dataset_disjoint(const struct dataset *train, const struct dataset *eval, struct err *err)
{
    struct map seen = {0};
    struct str text = {0};
    int status = ERR_NONE;
    for (size_t i = 0; i < train->count && !status; i++) {
        str_clear(&text);
        status = row_fingerprint(&text, &train->rows[i], err);
        if (!status && !map_put(&seen, str_text(&text), text.length, (int32_t)i))
            status = err_no_memory(err, train->path, text.length);
    }
    for (size_t i = 0; i < eval->count && !status; i++) {
        int32_t twin;
        str_clear(&text);
        status = row_fingerprint(&text, &eval->rows[i], err);
        if (!status && map_get(&seen, str_text(&text), text.length, &twin))
            status = err_set(err, ERR_GATE, eval->path,
                             "row \"%.80s\" (line %ld) is also a training row: \"%.80s\" (%.200s, "
                             "line %ld) has the same prompt. Remove it from one of the files",
                             eval->rows[i].id, eval->rows[i].line, train->rows[twin].id,
                             train->path, train->rows[twin].line);
    }
    map_free(&seen);
    str_free(&text);
    return status;
}

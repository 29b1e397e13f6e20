/* gate_record.c: see gate_record.h.
 *
 * The file is one object with its keys in a fixed order, a line a key, so that two of them can be
 * compared with diff. */
#include "protocol/gate_record.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

static const char *const names[] = {"pass", "warn", "fail", "skipped"};

const char *outcome_name(enum gate_outcome verdict)
{
    return names[verdict];
}

char *gate_hashes_add(struct gate_hashes *h, const char *name)
{
    CHECK(h->n < GATE_MAX_HASHES);
    h->of[h->n] = (struct gate_hash){.name = name};
    return h->of[h->n++].sha256;
}

int gate_record_begin(struct gate_record *g, const char *stage, struct err *err)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *g = (struct gate_record){.stage = stage,
                              .figures = json_object(),
                              .measured = json_object(),
                              .started = (double)now.tv_sec,
                              .seconds = -clock_seconds()};
    return g->figures && g->measured ? ERR_NONE : err_no_memory(err, stage, sizeof *g);
}

void gate_record_free(struct gate_record *g)
{
    json_decref(g->figures);
    json_decref(g->measured);
    *g = (struct gate_record){0};
}

void gate_record_say(struct gate_record *g, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(g->text, sizeof g->text, format, args);
    va_end(args);
}

void gate_put(struct gate_record *g, json_t *object, const char *key, json_t *value)
{
    if ((!value || json_object_set_new(object, key, value)) && !g->error.code)
        err_no_memory(&g->error, g->stage, 0);
}

/* "absent" is a state like any other. */
static int hash_file(char out[72], const char *folder, const char *name, struct err *err)
{
    struct str path = {0};
    path_join(&path, folder, name);
    int status = path.failed ? err_no_memory(err, folder, path.capacity) : ERR_NONE;
    if (!status && !file_exists(str_text(&path)))
        snprintf(out, 72, "absent");
    else if (!status)
        status = sha256_file(out, str_text(&path), err);
    str_free(&path);
    return status;
}

int gate_record_output(struct gate_record *g, const char *folder, const char *name, struct err *err)
{
    return hash_file(gate_hashes_add(&g->outputs, name), folder, name, err);
}

/* --- the file --- */

static void write_hashes(struct json_writer *w, const char *key, const struct gate_hashes *h)
{
    jw_key(w, key);
    jw_object_begin(w);
    for (int i = 0; i < h->n; i++) {
        jw_key(w, h->of[i].name);
        jw_text(w, h->of[i].sha256);
    }
    jw_object_end(w);
}

static void write_error(struct json_writer *w, const struct err *e)
{
    jw_key(w, "error");
    if (!e->code) {
        jw_null(w);
        return;
    }
    jw_object_begin(w);
    jw_key(w, "status");
    jw_int(w, e->code);
    jw_key(w, "where");
    jw_text(w, e->where);
    jw_key(w, "message");
    jw_text(w, e->message);
    jw_object_end(w);
}

static void write_record(struct str *out, const struct gate_record *g)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "stage");
    jw_text(&w, g->stage);
    jw_key(&w, "verdict");
    jw_text(&w, outcome_name(g->verdict));
    jw_key(&w, "text");
    jw_text(&w, g->text);
    write_error(&w, &g->error);
    jw_key(&w, "figures");
    jw_value(&w, g->figures);
    write_hashes(&w, "inputs", &g->inputs);
    write_hashes(&w, "outputs", &g->outputs);
    jw_key(&w, "started");
    jw_int(&w, (long long)g->started);
    jw_key(&w, "seconds");
    jw_double(&w, g->seconds);
    jw_key(&w, "measured");
    jw_value(&w, g->measured);
    jw_object_end(&w);
    str_putc(out, '\n');
}

/* FOLDER/gates/STAGE.json into *path. */
static int gate_path(struct str *path, const char *folder, const char *stage, struct err *err)
{
    str_clear(path);
    str_printf(path, "%s/gates/%s.json", folder, stage);
    return path->failed ? err_no_memory(err, folder, path->capacity) : ERR_NONE;
}

int gate_write(const char *folder, const struct gate_record *g, struct err *err)
{
    struct str text = {0}, path = {0};
    write_record(&text, g);
    path_join(&path, folder, "gates");
    int status = text.failed || path.failed ? err_no_memory(err, g->stage, text.capacity)
                                            : dir_make(str_text(&path), err);
    if (!status)
        status = gate_path(&path, folder, g->stage, err);
    if (!status)
        status = file_write_atomic(str_text(&path), str_text(&text), text.length, err);
    str_free(&text);
    str_free(&path);
    return status;
}

int gate_read(json_t **out, const char *folder, const char *stage, struct err *err)
{
    struct str path = {0}, text = {0};
    *out = NULL;
    int status = gate_path(&path, folder, stage, err);
    if (!status && file_exists(str_text(&path))) {
        status = file_read(&text, str_text(&path), err);
        if (!status)
            *out = json_read(str_text(&text), text.length, JSON_UNIQUE_KEYS, str_text(&path), err);
        if (!status && !*out)
            status = err ? (int)err->code : ERR_INPUT;
        if (!status && (!json_is_string(json_object_get(*out, "verdict")) ||
                        !json_is_object(json_object_get(*out, "figures")) ||
                        !json_is_object(json_object_get(*out, "inputs")))) {
            json_decref(*out);
            *out = NULL;
            status = err_set(err, ERR_INPUT, str_text(&path),
                             "is no record of a stage (verdict, figures, inputs): remove it, and "
                             "the stage runs again");
        }
    }
    str_free(&path);
    str_free(&text);
    return status;
}

int gate_remove(const char *folder, const char *stage, struct err *err)
{
    struct str path = {0};
    int status = gate_path(&path, folder, stage, err);
    if (!status && unlink(str_text(&path)) && file_exists(str_text(&path)))
        status = err_set(err, ERR_MACHINE, str_text(&path), "cannot be removed");
    str_free(&path);
    return status;
}

/* --- is it still true? --- */

static bool inputs_are(const json_t *saved, const struct gate_hashes *now)
{
    if (!json_is_object(saved) || (int)json_object_size(saved) != now->n)
        return false;
    for (int i = 0; i < now->n; i++) {
        const char *was = json_string_value(json_object_get(saved, now->of[i].name));
        if (!was || strcmp(was, now->of[i].sha256) != 0)
            return false;
    }
    return true;
}

static bool outputs_are_there(const json_t *saved, const char *folder)
{
    const char *name;
    json_t *was;
    json_object_foreach((json_t *)saved, name, was)
    {
        char now[72];
        if (hash_file(now, folder, name, NULL) || !json_is_string(was) ||
            strcmp(now, json_string_value(was)) != 0)
            return false;
    }
    return true;
}

bool gate_is_current(const json_t *saved, const struct gate_hashes *inputs, const char *folder)
{
    const char *verdict = json_string_value(json_object_get(saved, "verdict"));
    return verdict && strcmp(verdict, outcome_name(OUTCOME_FAIL)) != 0 &&
           inputs_are(json_object_get(saved, "inputs"), inputs) &&
           outputs_are_there(json_object_get(saved, "outputs"), folder);
}

int gate_digest(char out[72], const json_t *saved, struct err *err)
{
    static const char *const parts[] = {"stage", "verdict", "figures", "inputs", "outputs"};
    struct str text = {0};
    struct json_writer w;
    jw_begin(&w, &text);
    jw_array_begin(&w);
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        const json_t *part = json_object_get(saved, parts[i]);
        part ? jw_value(&w, part) : jw_null(&w);
    }
    jw_array_end(&w);
    int status = text.failed ? err_no_memory(err, "a gate", text.capacity) : ERR_NONE;
    if (!status)
        sha256_hex(out, str_text(&text), text.length);
    str_free(&text);
    return status;
}

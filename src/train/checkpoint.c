/* checkpoint.c: writing, finding and loading the state of a run; see checkpoint.h. */
#include "train/checkpoint.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

static const char *folder_of(struct str *out, const char *run, const char *format, int step)
{
    char name[64];
    snprintf(name, sizeof name, format, step);
    struct str parent = {0};
    path_join(&parent, run, "checkpoints");
    path_join(out, str_text(&parent), name);
    str_free(&parent);
    return str_text(out);
}

/* --- state.json --- */

static void write_count(struct json_writer *w, const char *key, long long value)
{
    jw_key(w, key);
    jw_int(w, value);
}

static void write_state(struct str *out, const struct train_state *s, const struct identity *id)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    write_count(&w, "version", CHECKPOINT_VERSION);
    write_count(&w, "step", s->step);
    write_count(&w, "num_tokens", s->num_tokens);
    write_count(&w, "rewards", s->rewards);
    write_count(&w, "reward_failures", s->reward_failures);
    write_count(&w, "metrics_bytes", (long long)s->logs.metrics);
    write_count(&w, "timing_bytes", (long long)s->logs.timing);
    write_count(&w, "samples_bytes", (long long)s->logs.samples);
    write_count(&w, "generation_start", (long long)s->generation_start);
    write_count(&w, "generation_step", s->generation_step);
    jw_key(&w, "best");
    if (s->has_best)
        jw_double(&w, s->best);
    else
        jw_null(&w);
    write_count(&w, "best_step", s->best_step);
    jw_key(&w, "allowed");
    jw_string(&w, str_text(&s->allowed), s->allowed.length);
    identity_write(&w, id);
    jw_object_end(&w);
    str_putc(out, '\n');
}

struct field {
    const char *key;
    long long *out;
};

static int read_state(struct train_state *s, const json_t *root, const char *where, struct err *err)
{
    long long version = 0, step = 0, metrics = 0, timing = 0, samples = 0, start = 0, first = 0,
              best = 0;
    struct field fields[] = {{"version", &version},
                             {"step", &step},
                             {"num_tokens", &s->num_tokens},
                             {"rewards", &s->rewards},
                             {"reward_failures", &s->reward_failures},
                             {"metrics_bytes", &metrics},
                             {"timing_bytes", &timing},
                             {"samples_bytes", &samples},
                             {"generation_start", &start},
                             {"generation_step", &first},
                             {"best_step", &best}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        int status = json_get_int(fields[i].out, root, fields[i].key, true, where, err);
        if (status)
            return status;
        if (*fields[i].out < 0)
            return err_set(err, ERR_INPUT, where, "\"%s\" is negative", fields[i].key);
    }
    if (version != CHECKPOINT_VERSION)
        return err_set(err, ERR_INPUT, where, "has version %lld, this program reads %d", version,
                       CHECKPOINT_VERSION);
    s->step = (int)step;
    s->logs = (struct track_offsets){
        .metrics = (uint64_t)metrics, .timing = (uint64_t)timing, .samples = (uint64_t)samples};
    s->generation_start = (uint64_t)start;
    s->generation_step = (int)first;
    s->best_step = (int)best;
    const json_t *value = json_object_get(root, "best"),
                 *allowed = json_object_get(root, "allowed");
    s->has_best = json_is_number(value);
    s->best = json_number_value(value);
    str_clear(&s->allowed);
    if (json_is_string(allowed))
        str_append(&s->allowed, json_string_value(allowed), json_string_length(allowed));
    return ERR_NONE;
}

/* --- saving --- */

static int write_files(const char *folder, const struct train_state *state,
                       const struct identity *id, adapter *a, const struct optimizer *o,
                       struct err *err)
{
    struct str path = {0}, text = {0};
    int status = adapter_save(a, folder, err);
    if (!status)
        status = optimizer_write(o, a, &text, err);
    if (!status)
        status = file_write_atomic(path_join(&path, folder, "optimizer.safetensors"),
                                   str_text(&text), text.length, err);
    str_clear(&text);
    if (!status) {
        write_state(&text, state, id);
        status = text.failed ? err_no_memory(err, "state.json", text.capacity)
                             : file_write_atomic(path_join(&path, folder, "state.json"),
                                                 str_text(&text), text.length, err);
    }
    str_free(&path);
    str_free(&text);
    return status;
}

static int step_of(const char *name)
{
    int step, end = 0;
    return sscanf(name, "step-%9d%n", &step, &end) == 1 && !name[end] && step >= 0 ? step : -1;
}

struct found {
    int *steps;
    size_t n;
};

static int ascending(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Steps that have a checkpoint, ascending; and removal of what interrupted saves left (names with a
 * leading dot). */
static int list_checkpoints(const char *run, struct found *out, struct err *err)
{
    struct str folder = {0}, path = {0};
    int status = ERR_NONE;
    *out = (struct found){0};
    DIR *dir = opendir(path_join(&folder, run, "checkpoints"));
    for (struct dirent *entry; dir && !status && (entry = readdir(dir));) {
        if (strncmp(entry->d_name, ".step-", 6) == 0) {
            status = dir_remove(path_join(&path, str_text(&folder), entry->d_name), err);
            continue;
        }
        int step = step_of(entry->d_name);
        if (step < 0)
            continue;
        int *steps = mem_realloc(out->steps, (out->n + 1) * sizeof *steps);
        if (!steps) {
            status = err_no_memory(err, "the list of checkpoints", out->n);
            break;
        }
        out->steps = steps;
        out->steps[out->n++] = step;
    }
    if (dir)
        closedir(dir);
    if (out->n)
        qsort(out->steps, out->n, sizeof *out->steps, ascending);
    str_free(&folder);
    str_free(&path);
    return status;
}

/* A folder leaves by a rename first: what is called step-N is always whole. */
static int remove_checkpoint(const char *run, int step, struct err *err)
{
    struct str from = {0}, to = {0};
    folder_of(&from, run, "step-%d", step);
    folder_of(&to, run, ".step-%d.old", step);
    int status = rename(str_text(&from), str_text(&to))
                     ? err_set(err, ERR_MACHINE, str_text(&from), "cannot be renamed for removal")
                     : dir_remove(str_text(&to), err);
    str_free(&from);
    str_free(&to);
    return status;
}

int checkpoint_save(const char *run, const struct train_state *state, const struct identity *id,
                    adapter *a, const struct optimizer *o, int keep, struct err *err)
{
    struct str fresh = {0}, target = {0};
    folder_of(&fresh, run, ".step-%d.new", state->step);
    folder_of(&target, run, "step-%d", state->step);
    int status = dir_remove(str_text(&fresh), err);
    if (!status)
        status = dir_make(str_text(&fresh), err);
    if (!status)
        status = write_files(str_text(&fresh), state, id, a, o, err);
    if (!status)
        status = dir_replace_atomic(str_text(&fresh), str_text(&target), err);
    str_free(&fresh);
    str_free(&target);
    struct found found = {0};
    if (!status && keep > 0)
        status = list_checkpoints(run, &found, err);
    for (size_t i = 0; !status && found.steps && i + (size_t)keep < found.n; i++)
        status = remove_checkpoint(run, found.steps[i], err);
    mem_free(found.steps);
    return status;
}

int checkpoint_latest(const char *run, struct err *err)
{
    struct found found;
    int status = list_checkpoints(run, &found, err);
    int latest = !status && found.n ? found.steps[found.n - 1] : -1;
    mem_free(found.steps);
    return latest;
}

/* --- loading --- */

static int load_adapter(adapter *a, const char *folder, struct err *err)
{
    struct str path = {0};
    struct tensor_set set = {0};
    int status = safetensors_open(&set, path_join(&path, folder, "adapter_model.safetensors"), err);
    if (!status)
        status = adapter_load(a, &set, err);
    tensor_set_close(&set);
    str_free(&path);
    return status;
}

int checkpoint_load(const char *run, int step, struct train_state *state, const struct identity *id,
                    const char *const *allow, size_t n_allow, adapter *a, struct optimizer *o,
                    struct err *err)
{
    struct str folder = {0}, path = {0}, text = {0}, noted = {0};
    folder_of(&folder, run, "step-%d", step);
    path_join(&path, str_text(&folder), "state.json");
    int status = file_read(&text, str_text(&path), err);
    json_t *root =
        status ? NULL
               : json_read(str_text(&text), text.length, JSON_UNIQUE_KEYS, str_text(&path), err);
    if (!status && !root)
        status = ERR_INPUT;
    if (!status)
        status = read_state(state, root, str_text(&path), err);
    if (!status && state->step != step)
        status = err_set(err, ERR_INPUT, str_text(&path), "says step %d", state->step);
    if (!status)
        status = identity_check(id, root, allow, n_allow, str_text(&folder), &noted, err);
    if (!status)
        status = load_adapter(a, str_text(&folder), err);
    if (!status)
        status =
            optimizer_load(o, a, path_join(&path, str_text(&folder), "optimizer.safetensors"), err);
    if (!status && noted.length) {
        log_warn("continuing from step %d with allowed differences:\n%s", step, str_text(&noted));
        str_printf(&state->allowed, "from step %d: %s", step, str_text(&noted));
    }
    json_decref(root);
    str_free(&folder);
    str_free(&path);
    str_free(&text);
    str_free(&noted);
    return status;
}

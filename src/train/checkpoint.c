/* checkpoint.c: writing, finding and loading the state of a run; see checkpoint.h. */
#include "train/checkpoint.h"
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

static const char optimizer_file[] = "optimizer.safetensors";

/* RUN/checkpoints/NAME. When memory is out the text is empty and names nothing. */
static const char *folder_of(struct str *out, const char *run, const char *format, int step)
{
    char name[64], below[80];
    snprintf(name, sizeof name, format, step);
    snprintf(below, sizeof below, "checkpoints/%s", name);
    return path_join(out, run, below);
}

/* --- state.json --- */

static void write_count(struct json_writer *w, const char *key, long long value)
{
    jw_key(w, key);
    jw_int(w, value);
}

/* The step's metrics when its evaluation is still to be done. */
static void write_pending(struct json_writer *w, const struct metrics *pending)
{
    jw_key(w, "pending_metrics");
    if (!pending) {
        jw_null(w);
        return;
    }
    jw_object_begin(w);
    for (int i = 0; i < pending->n; i++) {
        jw_key(w, pending->list[i].name);
        jw_double(w, pending->list[i].value);
    }
    jw_object_end(w);
}

static void write_dealing(struct json_writer *w, const struct dealing *d)
{
    const char *task[DEALER_MAX_TASKS];
    if (!d)
        return;
    dealer_tasks(d->dealer, task);
    jw_key(w, "dealer");
    dealer_cursor_write(w, d->dealer, d->cursor);
    jw_key(w, "sampler");
    if (d->sampler->n)
        task_sampler_write(w, d->sampler, task);
    else
        jw_null(w);
}

/* SHA-256 of the files of tensors: a bit that turned over on the disk is a number like any other.
 */
struct digests {
    char params[65], optimizer[65]; /* "": not known */
};

static void write_digests(struct json_writer *w, const char *params_file, const struct digests *d)
{
    jw_key(w, "sha256");
    jw_object_begin(w);
    jw_key(w, params_file);
    jw_text(w, d->params);
    jw_key(w, optimizer_file);
    jw_text(w, d->optimizer);
    jw_object_end(w);
}

static void write_state(struct str *out, const struct train_state *s, const struct identity *id,
                        const char *params_file, const struct digests *digests)
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
    if (s->best.known)
        jw_double(&w, s->best.value);
    else
        jw_null(&w);
    write_count(&w, "best_step", s->best.step);
    write_count(&w, "evaluations_without_improvement", s->best.not_better);
    write_pending(&w, s->pending);
    write_dealing(&w, s->dealing);
    write_digests(&w, params_file, digests);
    jw_key(&w, "allowed");
    jw_string(&w, str_text(&s->allowed), s->allowed.length);
    identity_write(&w, id);
    jw_object_end(&w);
    str_putc(out, '\n');
}

static int read_pending(struct train_state *s, const json_t *root, struct metrics *into,
                        const char *where, struct err *err)
{
    const json_t *pending = json_object_get(root, "pending_metrics");
    s->pending = NULL;
    if (!pending || json_is_null(pending))
        return ERR_NONE;
    if (!json_is_object(pending) || json_object_size(pending) > METRICS_MAX)
        return err_set(err, ERR_INPUT, where,
                       "\"pending_metrics\" is %s; expected an object of at most %d numbers",
                       json_type_name(pending), (int)METRICS_MAX);
    metrics_clear(into);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)pending, key, value)
    {
        metrics_add(into, json_is_number(value) ? json_number_value(value) : NAN, "%s", key);
    }
    s->pending = into;
    return ERR_NONE;
}

/* Checkpoints from before task samplers say nothing of it: then the position is a matter of the
 * step, and the weights are the recipe's. */
static int read_dealing(const struct train_state *s, const json_t *root, const char *where,
                        struct err *err)
{
    const struct dealing *d = s->dealing;
    const char *task[DEALER_MAX_TASKS];
    if (!d)
        return ERR_NONE;
    const json_t *saved = json_object_get(root, "dealer");
    dealer_tasks(d->dealer, task);
    int generations = (s->step + d->serves - 1) / d->serves;
    if (!saved)
        dealer_foresee(d->dealer, d->cursor, (uint64_t)generations * (uint64_t)d->groups);
    int status = saved ? dealer_cursor_read(d->cursor, d->dealer, saved, where, err) : ERR_NONE;
    if (!status)
        status = task_sampler_read(d->sampler, json_object_get(root, "sampler"), task, where, err);
    if (!status && d->sampler->n)
        dealer_weights(d->dealer, d->sampler->weight);
    return status;
}

/* Checkpoints from before digests have none. */
static int read_digests(struct digests *out, const json_t *root, const char *params_file,
                        const char *where, struct err *err)
{
    const json_t *object = json_object_get(root, "sha256");
    const struct {
        const char *file;
        char *to;
    } fields[] = {{params_file, out->params}, {optimizer_file, out->optimizer}};
    *out = (struct digests){0};
    for (size_t i = 0; object && i < sizeof fields / sizeof *fields; i++) {
        const json_t *value = json_object_get(object, fields[i].file);
        if (!json_is_string(value) || json_string_length(value) != 64)
            return err_set(err, ERR_INPUT, where, "\"sha256\" holds no digest of %s",
                           fields[i].file);
        memcpy(fields[i].to, json_string_value(value), 65);
    }
    return ERR_NONE;
}

static int check_digest(const char *folder, const char *file, const char *want, struct err *err)
{
    struct str path = {0};
    char found[65];
    if (!*want)
        return ERR_NONE;
    path_join(&path, folder, file);
    int status = path.failed ? err_no_memory(err, folder, path.capacity)
                             : sha256_file(found, str_text(&path), err);
    if (!status && strcmp(found, want) != 0)
        status =
            err_set(err, ERR_INPUT, str_text(&path),
                    "is not as it was saved: its SHA-256 is %s, state.json says %s", found, want);
    str_free(&path);
    return status;
}

struct field {
    const char *key;
    long long *out;
};

static int read_state(struct train_state *s, const json_t *root, const char *where, struct err *err)
{
    long long version = 0, step = 0, metrics = 0, timing = 0, samples = 0, start = 0, first = 0,
              best = 0, not_better = 0;
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
                             {"best_step", &best},
                             /* optional: checkpoints from before early stopping have none */
                             {"evaluations_without_improvement", &not_better}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        bool required = fields[i].out != &not_better;
        int status = json_get_int(fields[i].out, root, fields[i].key, required, where, err);
        if (status)
            return status;
        if (*fields[i].out < 0)
            return err_set(err, ERR_INPUT, where, "\"%s\" is negative", fields[i].key);
    }
    if (step > INT32_MAX || first > INT32_MAX || best > INT32_MAX || not_better > INT32_MAX)
        return err_set(err, ERR_INPUT, where, "has a step beyond %d", INT32_MAX);
    if (version != CHECKPOINT_VERSION)
        return err_set(err, ERR_INPUT, where, "has version %lld, this program reads %d", version,
                       CHECKPOINT_VERSION);
    s->step = (int)step;
    s->logs = (struct track_offsets){
        .metrics = (uint64_t)metrics, .timing = (uint64_t)timing, .samples = (uint64_t)samples};
    s->generation_start = (uint64_t)start;
    s->generation_step = (int)first;
    const json_t *value = json_object_get(root, "best"),
                 *allowed = json_object_get(root, "allowed");
    s->best = (struct best_so_far){.known = json_is_number(value),
                                   .value = json_number_value(value),
                                   .step = (int)best,
                                   .not_better = (int)not_better};
    str_clear(&s->allowed);
    if (json_is_string(allowed))
        str_append(&s->allowed, json_string_value(allowed), json_string_length(allowed));
    return ERR_NONE;
}

/* --- saving --- */

static int write_file(const char *folder, const char *name, const struct str *text, struct err *err)
{
    struct str path = {0};
    path_join(&path, folder, name);
    int status = path.failed || text->failed
                     ? err_no_memory(err, name, text->capacity)
                     : file_write_atomic(str_text(&path), str_text(text), text->length, err);
    str_free(&path);
    return status;
}

static int write_files(const char *folder, const struct train_state *state,
                       const struct identity *id, const struct trainable *params,
                       const struct optimizer *o, struct err *err)
{
    struct str text = {0}, path = {0};
    struct digests digests = {0};
    int status = params->save(params->self, folder, err);
    if (!status && !(status = optimizer_write(o, params, &text, err)))
        status = write_file(folder, optimizer_file, &text, err);
    if (!status) {
        sha256_hex(digests.optimizer, str_text(&text), text.length);
        path_join(&path, folder, params->file);
        status = path.failed ? err_no_memory(err, folder, path.capacity)
                             : sha256_file(digests.params, str_text(&path), err);
    }
    str_clear(&text);
    if (!status) {
        write_state(&text, state, id, params->file, &digests);
        status = write_file(folder, "state.json", &text, err);
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

static int take_entry(struct found *out, const char *folder, const char *name, struct err *err)
{
    int step = step_of(name);
    if (strncmp(name, ".step-", 6) == 0) { /* of an interrupted save or removal */
        struct str path = {0};
        int status = dir_remove(path_join(&path, folder, name), err);
        if (!status && path.failed)
            status = err_no_memory(err, folder, path.capacity);
        str_free(&path);
        return status;
    }
    if (step < 0)
        return ERR_NONE;
    int *steps = mem_realloc(out->steps, (out->n + 1) * sizeof *steps);
    if (!steps)
        return err_no_memory(err, "the list of checkpoints", out->n);
    out->steps = steps;
    out->steps[out->n++] = step;
    return ERR_NONE;
}

/* Steps that have a checkpoint, ascending (the caller frees); and removal of what interrupted saves
 * left (names with a leading dot). Only a folder that does not exist has no checkpoints: any other
 * failure is one, for a run without checkpoints starts anew. */
static int list_checkpoints(const char *run, struct found *out, struct err *err)
{
    struct str folder = {0};
    int status = ERR_NONE;
    *out = (struct found){0};
    DIR *dir = opendir(path_join(&folder, run, "checkpoints"));
    if (folder.failed)
        status = err_no_memory(err, run, folder.capacity);
    else if (!dir && errno != ENOENT)
        status =
            err_set(err, ERR_MACHINE, str_text(&folder), "cannot be listed: %s", strerror(errno));
    for (struct dirent *entry; dir && !status && (entry = readdir(dir));)
        status = take_entry(out, str_text(&folder), entry->d_name, err);
    if (dir)
        closedir(dir);
    if (out->n)
        qsort(out->steps, out->n, sizeof *out->steps, ascending);
    str_free(&folder);
    return status;
}

/* A folder leaves by a rename first: what is called step-N is always whole. */
static int remove_checkpoint(const char *run, int step, struct err *err)
{
    struct str from = {0}, to = {0};
    folder_of(&from, run, "step-%d", step);
    folder_of(&to, run, ".step-%d.old", step);
    int status = from.failed || to.failed ? err_no_memory(err, run, from.capacity) : ERR_NONE;
    if (!status && rename(str_text(&from), str_text(&to)))
        status = err_set(err, ERR_MACHINE, str_text(&from), "cannot be renamed for removal");
    if (!status)
        status = dir_remove(str_text(&to), err);
    str_free(&from);
    str_free(&to);
    return status;
}

int checkpoint_save(const char *run, const struct train_state *state, const struct identity *id,
                    const struct trainable *params, const struct optimizer *o, int keep,
                    const struct stop_rules *rules, struct err *err)
{
    struct str fresh = {0}, target = {0};
    folder_of(&fresh, run, ".step-%d.new", state->step);
    folder_of(&target, run, "step-%d", state->step);
    int status = fresh.failed || target.failed ? err_no_memory(err, run, fresh.capacity)
                                               : dir_remove(str_text(&fresh), err);
    if (!status)
        status = dir_make(str_text(&fresh), err);
    if (!status)
        status = write_files(str_text(&fresh), state, id, params, o, err);
    if (!status)
        status = dir_replace_atomic(str_text(&fresh), str_text(&target), err);
    if (status) /* on a full disk half a checkpoint only takes room */
        (void)dir_remove(str_text(&fresh), NULL);
    str_free(&fresh);
    str_free(&target);
    struct found found = {0};
    if (!status && keep > 0)
        status = list_checkpoints(run, &found, err);
    for (size_t i = 0; !status && found.steps && i + (size_t)keep < found.n; i++)
        if (!rules || !stop_rules_need(rules, found.steps[i], found.steps[i + 1], state->step))
            status = remove_checkpoint(run, found.steps[i], err);
    mem_free(found.steps);
    return status;
}

int checkpoint_latest(const char *run, int *step, struct err *err)
{
    struct found found;
    int status = list_checkpoints(run, &found, err);
    *step = !status && found.n ? found.steps[found.n - 1] : -1;
    mem_free(found.steps);
    return status;
}

/* --- loading --- */

static int load_params(const struct trainable *params, const char *folder, struct err *err)
{
    struct str path = {0};
    struct tensor_set set = {0};
    path_join(&path, folder, params->file);
    int status = path.failed ? err_no_memory(err, folder, path.capacity)
                             : safetensors_open(&set, str_text(&path), err);
    if (!status && (status = params->load(params->self, &set, err)))
        err_prefix(err, str_text(&path));
    tensor_set_close(&set);
    str_free(&path);
    return status;
}

/* What to do about a checkpoint that cannot be read. */
static void add_advice(struct err *err, const char *folder)
{
    if (!err)
        return;
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used,
             "; remove %.300s to resume from the checkpoint before it, or start a new run folder",
             folder);
}

static int load_state(struct train_state *state, const char *folder, int step,
                      const struct checkpoint_check *check, const char *params_file,
                      struct digests *digests, struct str *noted, struct err *err)
{
    struct str path = {0}, text = {0};
    path_join(&path, folder, "state.json");
    int status = path.failed ? err_no_memory(err, folder, path.capacity)
                             : file_read(&text, str_text(&path), err);
    json_t *root = NULL;
    if (!status &&
        !(root = json_read(str_text(&text), text.length, JSON_UNIQUE_KEYS, str_text(&path), err)))
        status = err ? (int)err->code : ERR_INPUT;
    if (!status)
        status = read_state(state, root, str_text(&path), err);
    if (!status)
        status = read_pending(state, root, check->pending, str_text(&path), err);
    if (!status)
        status = read_dealing(state, root, str_text(&path), err);
    if (!status && state->step != step)
        status = err_set(err, ERR_INPUT, str_text(&path), "says step %d", state->step);
    if (!status)
        status = read_digests(digests, root, params_file, str_text(&path), err);
    if (!status)
        status = identity_check(check->id, root, check->allow, check->n_allow, folder, noted, err);
    json_decref(root);
    str_free(&path);
    str_free(&text);
    return status;
}

int checkpoint_load(const char *run, int step, struct train_state *state,
                    const struct checkpoint_check *check, const struct trainable *params,
                    struct optimizer *o, struct err *err)
{
    struct str folder = {0}, path = {0}, noted = {0};
    struct digests digests;
    folder_of(&folder, run, "step-%d", step);
    int status = folder.failed ? err_no_memory(err, run, folder.capacity)
                               : load_state(state, str_text(&folder), step, check, params->file,
                                            &digests, &noted, err);
    if (!status)
        status = load_params(params, str_text(&folder), err);
    if (!status) {
        path_join(&path, str_text(&folder), optimizer_file);
        status = path.failed ? err_no_memory(err, run, path.capacity)
                             : optimizer_load(o, params, str_text(&path), err);
    }
    if (!status) /* last: what is wrong with a file says more than that something is */
        status = check_digest(str_text(&folder), params->file, digests.params, err);
    if (!status)
        status = check_digest(str_text(&folder), optimizer_file, digests.optimizer, err);
    if (!status && noted.length) {
        log_warn("continuing from step %d with allowed differences:\n%s", step, str_text(&noted));
        str_printf(&state->allowed, "from step %d: %s", step, str_text(&noted));
        if (state->allowed.failed)
            status = err_no_memory(err, run, noted.length);
    }
    if (status == ERR_INPUT)
        add_advice(err, str_text(&folder));
    str_free(&folder);
    str_free(&path);
    str_free(&noted);
    return status;
}

/* run_folder.c: lock, leftovers, run.json and copies; see run_folder.h. */
#include "train/run_folder.h"
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <string.h>
#include <sys/file.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/version.h"

int run_folder_lock(int *lock, const char *run, struct err *err)
{
    struct str path = {0};
    path_join(&path, run, ".lock");
    *lock = open(str_text(&path), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    int status = ERR_NONE;
    if (path.failed)
        status = err_no_memory(err, run, path.capacity);
    else if (*lock < 0)
        status =
            err_set(err, ERR_MACHINE, str_text(&path), "cannot be made: is the folder writable?");
    else if (flock(*lock, LOCK_EX | LOCK_NB))
        status = err_set(err, ERR_USAGE, run, "is in use by another grpo process");
    str_free(&path);
    return status;
}

int run_folder_unused(const char *run, bool resume, struct err *err)
{
    struct str path = {0};
    path_join(&path, run, "metrics.jsonl");
    int status = path.failed ? err_no_memory(err, run, path.capacity) : ERR_NONE;
    if (!status && !resume && file_exists(str_text(&path)))
        status = err_set(err, ERR_USAGE, run,
                         "holds a run by now: continue it with --resume, or name a new --out");
    str_free(&path);
    return status;
}

int run_folder_check(const char *run, bool resume, struct err *err)
{
    struct stat st;
    if (!*run)
        return err_set(err, ERR_USAGE, "--out", "is empty: name the run folder");
    if (stat(run, &st) == 0 && !S_ISDIR(st.st_mode))
        return err_set(err, ERR_USAGE, run, "is a file, no folder: name another --out");
    if (resume || dir_is_empty(run))
        return ERR_NONE;
    return err_set(err, ERR_USAGE, run,
                   "is not empty: continue it with --resume, or name a new --out");
}

int run_folder_make(const char *run, bool with_eval, struct err *err)
{
    static const char *const names[] = {"checkpoints", "eval"};
    struct str path = {0};
    int status = ERR_NONE;
    for (size_t i = 0; i < 1 + (size_t)with_eval && !status; i++) {
        path_join(&path, run, names[i]);
        status =
            path.failed ? err_no_memory(err, run, path.capacity) : dir_make(str_text(&path), err);
    }
    str_free(&path);
    return status;
}

static bool is_temporary(const char *name)
{
    const char *tail = strstr(name, ".tmp.");
    return tail && tail[5] && tail[5 + strspn(tail + 5, "0123456789")] == 0;
}

/* A folder that was to become NAME: ".NAME.new". */
static bool is_fresh(const char *name)
{
    size_t n = strlen(name);
    return n > 5 && name[0] == '.' && strcmp(name + n - 4, ".new") == 0;
}

int run_folder_clean(const char *folder, struct err *err)
{
    struct str path = {0};
    int status = ERR_NONE;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && !status && (entry = readdir(dir));) {
        if (!is_temporary(entry->d_name) && !is_fresh(entry->d_name))
            continue;
        path_join(&path, folder, entry->d_name);
        status = path.failed ? err_no_memory(err, folder, path.capacity)
                             : dir_remove(str_text(&path), err);
    }
    if (dir)
        closedir(dir);
    str_free(&path);
    return status;
}

static void write_rule(struct json_writer *w, const struct stop_rule *r)
{
    jw_key(w, "rule");
    jw_text(w, stop_rule_name(r));
    jw_key(w, "metric");
    jw_text(w, r->metric);
    jw_key(w, "step");
    jw_int(w, r->fired);
    jw_key(w, "action");
    jw_text(w, r->action == STOP_STOP ? "stop" : "warn");
    jw_key(w, "why");
    jw_text(w, r->why);
}

/* The rules that have fired, in the recipe's order. */
static void write_fired(struct json_writer *w, const struct stop_rules *rules)
{
    jw_array_begin(w);
    for (int i = 0; rules && i < rules->n; i++) {
        if (rules->rules[i].fired < 0)
            continue;
        jw_object_begin(w);
        write_rule(w, &rules->rules[i]);
        jw_object_end(w);
    }
    jw_array_end(w);
}

/* Why the run ended before its last step; null: it did not. */
static void write_stopped(struct json_writer *w, const struct run_about *about)
{
    const struct stop_rule *rule = about->rules ? stop_rules_stopped(about->rules) : NULL;
    if (!about->stopped_early && !rule) {
        jw_null(w);
        return;
    }
    jw_object_begin(w);
    if (rule) {
        jw_key(w, "reason");
        jw_text(w, "stop_rule");
        write_rule(w, rule);
        jw_object_end(w);
        return;
    }
    jw_key(w, "reason");
    jw_text(w, "early_stopping");
    jw_key(w, "step");
    jw_int(w, about->step);
    jw_key(w, "evaluations_without_improvement");
    jw_int(w, about->not_better);
    jw_object_end(w);
}

/* What the gates said; here they stop nothing. */
static void write_gates(struct json_writer *w, const struct run_about *about)
{
    jw_object_begin(w);
    if (about->rewards) {
        jw_key(w, "rewards");
        reward_gate_write(w, about->rewards);
    }
    jw_object_end(w);
}

static void write_about(struct str *out, const struct run_about *about)
{
    struct json_writer w;
    const struct device *d = about->device;
    char hash[65];
    recipe_hash(about->recipe, hash);
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "version");
    jw_text(&w, GRPO_VERSION);
    jw_key(&w, "compiler");
    jw_text(&w, GRPO_COMPILER);
    jw_key(&w, "device");
    jw_text(&w, d->ops->name);
    jw_key(&w, "threads");
    jw_int(&w, d->threads);
    jw_key(&w, "seed");
    jw_int(&w, about->seed);
    jw_key(&w, "max_steps");
    jw_int(&w, about->max_steps);
    jw_key(&w, "recipe_hash");
    jw_text(&w, hash);
    jw_key(&w, "plan");
    jw_object_begin(&w);
    size_t total = 0;
    for (int i = 1; i < about->n_parts; i++) {
        jw_key(&w, about->parts[i].name);
        jw_int(&w, (long long)about->parts[i].bytes);
        total += about->parts[i].bytes;
    }
    jw_key(&w, "total");
    jw_int(&w, (long long)total);
    jw_key(&w, "micro_batch");
    jw_int(&w, about->micro_batch);
    jw_object_end(&w);
    jw_key(&w, "allowed");
    jw_string(&w, str_text(about->allowed), about->allowed->length);
    jw_key(&w, "gates");
    write_gates(&w, about);
    jw_key(&w, "stopped");
    write_stopped(&w, about);
    jw_key(&w, "stop_rules_fired");
    write_fired(&w, about->rules);
    identity_write(&w, about->identity);
    if (about->identity->rewards.length)
        str_printf(out, ", %s", str_text(&about->identity->rewards));
    jw_object_end(&w);
    str_putc(out, '\n');
}

int run_folder_about(const char *run, const struct run_about *about, struct err *err)
{
    struct str text = {0}, path = {0};
    write_about(&text, about);
    path_join(&path, run, "run.json");
    int status = text.failed || path.failed
                     ? err_no_memory(err, "run.json", text.capacity)
                     : file_write_atomic(str_text(&path), str_text(&text), text.length, err);
    str_free(&text);
    str_free(&path);
    return status;
}

int run_folder_copy(const char *from_folder, const char *to_folder, const char *name,
                    struct err *err)
{
    struct str from = {0}, to = {0}, text = {0};
    path_join(&from, from_folder, name);
    path_join(&to, to_folder, name);
    int status = from.failed || to.failed ? err_no_memory(err, name, from.capacity) : ERR_NONE;
    if (!status && file_exists(str_text(&from))) {
        status = file_read(&text, str_text(&from), err);
        if (!status)
            status = file_write_atomic(str_text(&to), str_text(&text), text.length, err);
    }
    str_free(&from);
    str_free(&to);
    str_free(&text);
    return status;
}

int run_folder_save_adapter(const char *run, const char *name, adapter *a, const char *from,
                            struct err *err)
{
    static const char *const files[] = {"tokenizer.json", "tokenizer_config.json",
                                        "chat_template.jinja", "special_tokens_map.json"};
    struct str fresh = {0}, target = {0};
    str_printf(&fresh, "%s/.%s.new", run, name);
    path_join(&target, run, name);
    int status = fresh.failed || target.failed ? err_no_memory(err, run, fresh.capacity)
                                               : dir_remove(str_text(&fresh), err);
    if (!status)
        status = dir_make(str_text(&fresh), err);
    if (!status)
        status = adapter_save(a, str_text(&fresh), err);
    for (size_t i = 0; i < ARRAY_LENGTH(files) && !status; i++)
        status = run_folder_copy(from, str_text(&fresh), files[i], err);
    if (!status)
        status = dir_replace_atomic(str_text(&fresh), str_text(&target), err);
    str_free(&fresh);
    str_free(&target);
    return status;
}

int run_folder_save_best(const char *run, adapter *a, const char *from, struct err *err)
{
    return run_folder_save_adapter(run, "best_checkpoint", a, from, err);
}

/* Without memory of ours: a path that could not be made is not a file that is not there. */
bool run_folder_has_best(const char *run)
{
    struct stat st;
    int fd = open(run, O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool there = fd >= 0 && fstatat(fd, "best_checkpoint/adapter_model.safetensors", &st, 0) == 0 &&
                 S_ISREG(st.st_mode);
    if (fd >= 0)
        close(fd);
    return there;
}

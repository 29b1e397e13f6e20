/* run_folder.c: what a run folder is made of besides its logs and checkpoints; see run_folder.h.
 * Everything is written beside its place and renamed, so that a process that is killed leaves the
 * old or the new whole, and at worst a temporary that the next resume removes. */
#include "train/run_folder.h"
#include <dirent.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"

int run_folder_make(const char *run, struct err *err)
{
    static const char *const names[] = {"checkpoints", "eval"};
    struct str path = {0};
    int status = ERR_NONE;
    for (size_t i = 0; i < ARRAY_LENGTH(names) && !status; i++)
        status = dir_make(path_join(&path, run, names[i]), err);
    str_free(&path);
    return status;
}

static bool is_temporary(const char *name)
{
    const char *tail = strstr(name, ".tmp.");
    return tail && tail[5] && tail[5 + strspn(tail + 5, "0123456789")] == 0;
}

/* What a process that was killed left half-written in RUN/NAME (file_write_atomic's temporaries);
 * of checkpoints that is checkpoint_latest's business. */
static int remove_temporaries(const char *folder, struct err *err)
{
    struct str path = {0};
    int status = ERR_NONE;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && !status && (entry = readdir(dir));) {
        if (!is_temporary(entry->d_name) && strcmp(entry->d_name, ".best_checkpoint.new") != 0)
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

int run_folder_clean(const char *run, struct err *err)
{
    struct str eval = {0};
    path_join(&eval, run, "eval");
    int status =
        eval.failed ? err_no_memory(err, run, eval.capacity) : remove_temporaries(run, err);
    if (!status)
        status = remove_temporaries(str_text(&eval), err);
    str_free(&eval);
    return status;
}

static int copy_if_there(const char *from_folder, const char *to_folder, const char *name,
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

int run_folder_save_best(const char *run, adapter *a, const char *from, struct err *err)
{
    static const char *const files[] = {"tokenizer.json", "tokenizer_config.json",
                                        "chat_template.jinja", "special_tokens_map.json"};
    struct str fresh = {0}, target = {0};
    path_join(&fresh, run, ".best_checkpoint.new");
    path_join(&target, run, "best_checkpoint");
    int status = fresh.failed || target.failed ? err_no_memory(err, run, fresh.capacity)
                                               : dir_remove(str_text(&fresh), err);
    if (!status)
        status = dir_make(str_text(&fresh), err);
    if (!status)
        status = adapter_save(a, str_text(&fresh), err);
    for (size_t i = 0; i < ARRAY_LENGTH(files) && !status; i++)
        status = copy_if_there(from, str_text(&fresh), files[i], err);
    if (!status)
        status = dir_replace_atomic(str_text(&fresh), str_text(&target), err);
    str_free(&fresh);
    str_free(&target);
    return status;
}

bool run_folder_has_best(const char *run)
{
    struct str path = {0};
    bool there = file_exists(path_join(&path, run, "best_checkpoint/adapter_model.safetensors"));
    str_free(&path);
    return there;
}

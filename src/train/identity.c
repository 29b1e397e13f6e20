/* identity.c: hashes of what a run depends on, and their comparison; see identity.h. */
#include "train/identity.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "episode/episode.h"

const char *const identity_names[N_IDENTITY_PARTS] = {"model",        "data",        "eval_data",
                                                      "init_adapter", "ref_adapter", "replay",
                                                      "reward_files", "build",       "isa"};

void identity_free(struct identity *id)
{
    str_free(&id->recipe);
    str_free(&id->rewards);
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), e = strlen(end);
    return n >= e && strcmp(name + n - e, end) == 0;
}

static bool belongs(const char *name)
{
    static const char *const exact[] = {"config.json",         "generation_config.json",
                                        "tokenizer.json",      "tokenizer_config.json",
                                        "chat_template.jinja", "special_tokens_map.json",
                                        "adapter_config.json", "model.safetensors.index.json"};
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        if (strcmp(name, exact[i]) == 0)
            return true;
    return ends_with(name, ".safetensors");
}

struct names {
    char **items;
    size_t n;
};

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        mem_free(names->items[i]);
    mem_free(names->items);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_name(struct names *names, const char *name, const char *folder, struct err *err)
{
    char **items = mem_realloc(names->items, (names->n + 1) * sizeof *items);
    if (items)
        names->items = items;
    if (!items || !(items[names->n] = mem_strdup(name)))
        return err_no_memory(err, folder, names->n);
    names->n++;
    return ERR_NONE;
}

static int hash_files(char out[72], const char *folder, const struct names *names, struct err *err)
{
    struct str path = {0}, all = {0};
    int status = ERR_NONE;
    for (size_t i = 0; i < names->n && !status; i++) {
        char hash[65];
        path_join(&path, folder, names->items[i]);
        status = path.failed ? err_no_memory(err, folder, path.capacity)
                             : sha256_file(hash, str_text(&path), err);
        if (!status)
            str_printf(&all, "%s %s\n", names->items[i], hash);
    }
    if (!status && all.failed)
        status = err_no_memory(err, folder, all.capacity);
    if (!status)
        sha256_hex(out, str_text(&all), all.length);
    str_free(&path);
    str_free(&all);
    return status;
}

int identity_folder(char out[72], const char *folder, struct err *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return err_set(err, ERR_INPUT, folder, "cannot be read as a folder");
    struct names names = {0};
    int status = ERR_NONE;
    for (struct dirent *entry; !status && (entry = readdir(dir));)
        if (belongs(entry->d_name))
            status = add_name(&names, entry->d_name, folder, err);
    closedir(dir);
    if (names.n)
        qsort(names.items, names.n, sizeof *names.items, by_name);
    if (!status)
        status = hash_files(out, folder, &names, err);
    names_free(&names);
    return status;
}

static void *hash_folder(void *work)
{
    struct identity_work *w = work;
    w->status = identity_folder(w->hash, w->folder, &w->err);
    return NULL;
}

/* Without a thread to be had it is done at once. */
void identity_folder_begin(struct identity_work *w, const char *folder)
{
    *w = (struct identity_work){.folder = folder};
    w->has_thread = pthread_create(&w->thread, NULL, hash_folder, w) == 0;
    if (!w->has_thread)
        hash_folder(w);
}

int identity_folder_end(char out[72], struct identity_work *w, struct err *err)
{
    if (w->has_thread)
        pthread_join(w->thread, NULL);
    w->has_thread = false;
    if (w->status && err)
        *err = w->err;
    memcpy(out, w->hash, sizeof w->hash);
    return w->status;
}

int identity_architecture(char out[72], const char *config, const char *tokenizer_folder,
                          const char *weights, struct err *err)
{
    static const char *const files[] = {"tokenizer.json", "tokenizer_config.json",
                                        "chat_template.jinja"};
    struct names names = {0};
    struct str path = {0}, all = {0};
    char hash[72];
    int status = sha256_file(hash, config, err);
    str_printf(&all, "config %s\n", hash);
    for (size_t i = 0; i < sizeof files / sizeof *files && !status; i++)
        if (file_exists(path_join(&path, tokenizer_folder, files[i])))
            status = add_name(&names, files[i], tokenizer_folder, err);
    if (!status)
        status = hash_files(hash, tokenizer_folder, &names, err);
    str_printf(&all, "tokenizer %s\n", hash);
    if (!status && weights) {
        status = identity_folder(hash, weights, err);
        str_printf(&all, "weights %s\n", hash);
    }
    if (!status && (path.failed || all.failed))
        status = err_no_memory(err, config, all.capacity);
    if (!status)
        sha256_hex(out, str_text(&all), all.length);
    names_free(&names);
    str_free(&path);
    str_free(&all);
    return status;
}

int identity_add_file(char hash[72], const char *path, struct err *err)
{
    char both[140], file[65];
    int status = sha256_file(file, path, err);
    snprintf(both, sizeof both, "%.64s %s", hash, status ? "" : file);
    if (!status)
        sha256_hex(hash, both, strlen(both));
    return status;
}

/* --- rewards --- */

/* Paths in order of their first visit, each once. */
struct paths {
    struct names names;
    struct map seen;
};

static int visit_path(void *user, const char *path, struct err *err)
{
    struct paths *p = user;
    if (map_get(&p->seen, path, strlen(path), NULL))
        return ERR_NONE;
    if (!map_put(&p->seen, path, strlen(path), 1))
        return err_no_memory(err, path, strlen(path));
    return add_name(&p->names, path, path, err);
}

static int visit_rows(struct paths *p, const struct reward_set *set, int item,
                      const struct dataset *data, struct err *err)
{
    int status = ERR_NONE;
    for (size_t r = 0; data && r < data->count && !status; r++) {
        if (!reward_set_applies(set, item, &data->rows[r]))
            continue;
        status = reward_files(set->items[item].reward, data->rows[r].json, visit_path, p, err);
        if (status)
            err_prefix(err, data->rows[r].id);
    }
    return status;
}

/* The hash over all, and each with its own, under "reward_file_hashes". */
static int hash_paths(struct identity *id, struct json_writer *w, const struct names *paths,
                      struct err *err)
{
    struct str all = {0};
    int status = ERR_NONE;
    jw_key(w, "reward_file_hashes");
    jw_object_begin(w);
    for (size_t i = 0; i < paths->n && !status; i++) {
        char hash[65];
        status = sha256_file(hash, paths->items[i], err);
        if (status)
            break;
        str_printf(&all, "%s %s\n", paths->items[i], hash);
        jw_key(w, paths->items[i]);
        jw_text(w, hash);
    }
    jw_object_end(w);
    if (!status && all.failed)
        status = err_no_memory(err, "the rewards' files", all.capacity);
    id->part[IDENTITY_REWARD_FILES][0] = 0;
    if (!status && paths->n)
        sha256_hex(id->part[IDENTITY_REWARD_FILES], str_text(&all), all.length);
    str_free(&all);
    return status;
}

static void write_rewards(struct json_writer *w, const struct reward_set *set)
{
    jw_key(w, "rewards");
    jw_array_begin(w);
    for (int i = 0; i < set->count; i++) {
        const struct reward_definition *d = reward_definition(set->items[i].reward);
        jw_object_begin(w);
        jw_key(w, "label");
        jw_text(w, set->items[i].label);
        jw_key(w, "reward");
        jw_text(w, d->name);
        jw_key(w, "version");
        jw_int(w, d->version);
        jw_key(w, "deterministic");
        jw_bool(w, reward_manner(set->items[i].reward).repeatable);
        jw_object_end(w);
    }
    jw_array_end(w);
}

int identity_rewards(struct identity *id, const struct reward_set *set,
                     const struct dataset *const *data, int n_data, struct err *err)
{
    struct paths p = {0};
    struct json_writer w;
    int status = ERR_NONE;
    for (int i = 0; i < set->count && !status; i++) {
        const reward *r = set->items[i].reward;
        status = reward_files(r, NULL, visit_path, &p, err);
        for (int d = 0; d < n_data && reward_definition(r)->files && !status; d++)
            status = visit_rows(&p, set, i, data[d], err);
    }
    if (p.names.n)
        qsort(p.names.items, p.names.n, sizeof *p.names.items, by_name);
    str_clear(&id->rewards);
    jw_begin(&w, &id->rewards);
    write_rewards(&w, set);
    if (!status)
        status = hash_paths(id, &w, &p.names, err);
    if (!status && id->rewards.failed)
        status = err_no_memory(err, "the rewards", id->rewards.capacity);
    names_free(&p.names);
    map_free(&p.seen);
    return status;
}

int identity_build(char out[72], struct err *err)
{
    return sha256_file(out, "/proc/self/exe", err);
}

void identity_write(struct json_writer *w, const struct identity *id)
{
    for (int i = 0; i < N_IDENTITY_PARTS; i++) {
        jw_key(w, identity_names[i]);
        jw_text(w, id->part[i]);
    }
    json_t *value = json_read(str_text(&id->recipe), id->recipe.length, JSON_PLAIN, "recipe", NULL);
    jw_key(w, "recipe");
    if (value)
        jw_value(w, value);
    else
        w->out->failed = true; /* our own JSON: only memory can be out */
    json_decref(value);
}

struct comparison {
    const char *const *allow;
    size_t n_allow;
    struct str *noted, refused;
};

static void differs(struct comparison *c, const char *name, const char *was, const char *is)
{
    bool allowed = false;
    for (size_t i = 0; i < c->n_allow; i++)
        allowed = allowed || strcmp(c->allow[i], name) == 0;
    if (allowed)
        str_printf(c->noted, "%s: was %.64s, is %.64s\n", name, was, is);
    else
        str_printf(&c->refused, "%s%s (was %.64s, is %.64s)", c->refused.length ? ", " : "", name,
                   was, is);
}

static char *value_text(const json_t *value)
{
    return value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
}

static void compare_value(struct comparison *c, const char *name, const json_t *was,
                          const json_t *is)
{
    if (was && is && json_equal(was, is))
        return;
    char *a = value_text(was), *b = value_text(is);
    differs(c, name, a ? a : "absent", b ? b : "absent");
    mem_free(a); /* jansson allocates through base/mem */
    mem_free(b);
}

/* `rewards` may be an object too, but is compared as a whole. */
static bool is_section(const char *key)
{
    return strcmp(key, "lora") == 0 || strcmp(key, "lr_scheduler_kwargs") == 0 ||
           strcmp(key, "task_sampler_kwargs") == 0;
}

/* Keys of both objects; sections (objects such as lora) one level down as "section.key". */
static void compare_recipes(struct comparison *c, const char *section, const json_t *was,
                            const json_t *is)
{
    for (int pass = 0; pass < 2; pass++) {
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)(pass ? is : was), key, value)
        {
            const json_t *other = json_object_get(pass ? was : is, key);
            if (pass && other)
                continue; /* seen in the first pass */
            char name[160];
            snprintf(name, sizeof name, "%s%s%s", section, *section ? "." : "", key);
            if (!*section && is_section(key) && json_is_object(value) && json_is_object(other))
                compare_recipes(c, key, value, other);
            else
                compare_value(c, name, pass ? other : value, pass ? value : other);
        }
    }
}

int identity_check(const struct identity *now, const json_t *saved, const char *const *allow,
                   size_t n_allow, const char *where, struct str *noted, struct err *err)
{
    struct comparison c = {.allow = allow, .n_allow = n_allow, .noted = noted};
    for (int i = 0; i < N_IDENTITY_PARTS; i++) {
        const char *was = json_string_value(json_object_get(saved, identity_names[i]));
        if (!was && i == IDENTITY_REWARD_FILES)
            was = ""; /* a run from before there was this part */
        if (!was || strcmp(was, now->part[i]) != 0)
            differs(&c, identity_names[i], was ? was : "absent", now->part[i]);
    }
    json_t *recipe =
        json_read(str_text(&now->recipe), now->recipe.length, JSON_PLAIN, "recipe", err);
    if (recipe)
        compare_recipes(&c, "", json_object_get(saved, "recipe"), recipe);
    json_decref(recipe);
    int status = ERR_NONE;
    if (!recipe || c.refused.failed || noted->failed)
        status = err_no_memory(err, where, now->recipe.length);
    else if (c.refused.length)
        status =
            err_set(err, ERR_USAGE, where,
                    "the run was made with something else: %.700s; go on with --allow NAME for "
                    "each that is meant, or start a new run folder",
                    str_text(&c.refused));
    str_free(&c.refused);
    return status;
}

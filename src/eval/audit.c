/* audit.c: which rows are asked, and what an audit is of; see audit.h. */
#include "eval/audit.h"
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/map.h"
#include "base/rng.h"

/* --- which rows --- */

static int add_prints(struct map *seen, const struct dataset *d, struct err *err)
{
    struct str print = {0};
    int status = ERR_NONE;
    for (size_t i = 0; d && i < d->count && !status; i++) {
        str_clear(&print);
        status = row_fingerprint(&print, &d->rows[i], err);
        if (!status && !map_put(seen, str_text(&print), print.length, 0))
            status = err_no_memory(err, d->path, print.length);
    }
    str_free(&print);
    return status;
}

/* Takes the row unless its prompt has been seen, here or in a held-out set. */
static int take_row(struct audit_selection *out, struct map *seen, const struct row *row,
                    struct err *err)
{
    struct str print = {0};
    int status = row_fingerprint(&print, row, err);
    if (!status && !map_get(seen, str_text(&print), print.length, NULL)) {
        if (!map_put(seen, str_text(&print), print.length, 0))
            status = err_no_memory(err, "the audit's rows", print.length);
        out->rows[out->n++] = row;
    }
    str_free(&print);
    return status;
}

static int select_task(struct audit_selection *out, struct map *seen, const struct dataset *train,
                       const char *task, const struct audit_settings *s, struct err *err)
{
    size_t n = 0, first = out->n;
    uint32_t *of_task = mem_calloc(train->count, sizeof *of_task);
    uint32_t *order = mem_calloc(train->count, sizeof *order);
    int status = of_task && order ? ERR_NONE : err_no_memory(err, train->path, train->count);
    for (size_t i = 0; i < train->count && !status; i++)
        if (strcmp(train->rows[i].task, task) == 0)
            of_task[n++] = (uint32_t)i;
    struct rng_key key = {
        .seed = s->seed, .purpose = RNG_AUDIT, .row = rng_id(task, strlen(task)), .attempt = 1};
    if (!status)
        rng_permutation(&key, order, n);
    for (size_t i = 0; i < n && out->n - first < (size_t)s->per_task && !status; i++)
        status = take_row(out, seen, &train->rows[of_task[order[i]]], err);
    out->short_tasks += out->n - first < (size_t)s->per_task;
    mem_free(of_task);
    mem_free(order);
    return status;
}

int audit_select(struct audit_selection *out, const struct dataset *train,
                 const struct dataset *const *held_out, int n_held_out, int per_task, uint64_t seed,
                 struct err *err)
{
    enum { MOST_TASKS = 64 };
    const struct audit_settings settings = {.per_task = per_task, .seed = seed};
    const char *tasks[MOST_TASKS];
    int n_tasks = dataset_tasks(train, tasks, MOST_TASKS), status = ERR_NONE;
    struct map seen = {0};
    *out = (struct audit_selection){0};
    out->storage = mem_calloc((size_t)n_tasks * (size_t)per_task, sizeof *out->rows);
    out->rows = out->storage;
    if (!out->rows)
        status = err_no_memory(err, "the audit's rows", (size_t)n_tasks * (size_t)per_task);
    for (int i = 0; i < n_held_out && !status; i++)
        status = add_prints(&seen, held_out[i], err);
    for (int t = 0; t < n_tasks && !status; t++)
        status = select_task(out, &seen, train, tasks[t], &settings, err);
    if (!status && !out->n)
        status = err_set(err, ERR_INPUT, train->path,
                         "has no row that may be audited: every prompt is also in the evaluation "
                         "or test rows");
    map_free(&seen);
    if (status)
        audit_selection_free(out);
    return status;
}

void audit_selection_free(struct audit_selection *s)
{
    mem_free(s->storage);
    *s = (struct audit_selection){0};
}

/* --- identity --- */

static int hash_prompts(struct audit_identity *out, const struct audit_subject *subject,
                        const struct audit_selection *selection, struct err *err)
{
    const struct audit_settings *s = &subject->settings;
    struct str all = {0};
    struct json_writer w;
    int status = ERR_NONE;
    str_printf(&all, "audit 1 %d %d %llu %g\n", s->per_task, s->max_completion_length,
               (unsigned long long)s->seed, AUDIT_TEMPERATURE);
    for (size_t i = 0; i < s->n_stop_strings; i++) {
        jw_begin(&w, &all);
        jw_text(&w, s->stop_strings[i]);
    }
    for (size_t i = 0; i < selection->n && !status; i++) {
        const struct row *row = selection->rows[i];
        struct ids ids = {0};
        str_printf(&all, "\n%s\n", row->task);
        jw_begin(&w, &all);
        jw_value(&w, row->json);
        status = text_codec_row(subject->codec, &ids, row, err);
        for (size_t k = 0; k < ids.count; k++)
            str_printf(&all, " %d", ids.data[k]);
        ids_free(&ids);
    }
    if (!status && all.failed)
        status = err_no_memory(err, "the audit's prompts", all.capacity);
    if (!status)
        sha256_hex(out->prompts_sha256, str_text(&all), all.length);
    str_free(&all);
    return status;
}

static void write_versions(struct str *out, const struct audit_subject *subject)
{
    const struct reward_set *set = subject->rewards;
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "versions");
    jw_object_begin(&w);
    for (int i = 0; i < set->count; i++) {
        const struct reward_definition *d = reward_definition(set->items[i].reward);
        bool named = false;
        for (int k = 0; k < i; k++)
            named = named || reward_definition(set->items[k].reward) == d;
        if (named)
            continue;
        jw_key(&w, d->name);
        jw_int(&w, d->version);
    }
    jw_object_end(&w);
    jw_key(&w, "rewards");
    jw_value(&w, subject->recipe_rewards);
    jw_key(&w, "files_sha256");
    jw_text(&w, subject->reward_files ? subject->reward_files : "");
    jw_object_end(&w);
}

int audit_identify(struct audit_identity *out, const struct audit_subject *subject,
                   const struct audit_selection *selection, struct err *err)
{
    *out = (struct audit_identity){.per_task = subject->settings.per_task};
    char both[160];
    if (subject->init_adapter && subject->init_adapter[0]) {
        int n =
            snprintf(both, sizeof both, "%.71s\n%.71s\n", subject->model, subject->init_adapter);
        sha256_hex(out->model_sha256, both, (size_t)n);
    } else {
        snprintf(out->model_sha256, sizeof out->model_sha256, "%.71s", subject->model);
    }
    write_versions(&out->reward_versions, subject);
    int status = hash_prompts(out, subject, selection, err);
    if (!status && out->reward_versions.failed)
        status = err_no_memory(err, "the rewards", out->reward_versions.capacity);
    if (status)
        audit_identity_free(out);
    return status;
}

void audit_identity_free(struct audit_identity *id)
{
    str_free(&id->reward_versions);
}

/* --- scores --- */

void audit_free(struct audit *a)
{
    mem_free(a->items);
    arena_free(&a->arena);
    *a = (struct audit){0};
}

size_t audit_count(const struct audit *a, enum audit_mark mark)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++)
        n += a->items[i].mark == mark;
    return n;
}

bool audit_parse_score(double *out, const char *text, size_t length)
{
    double whole = 0, part = 0, unit = 1;
    size_t i = 0, digits = 0;
    for (; i < length && text[i] >= '0' && text[i] <= '9'; i++, digits++)
        whole = 10 * whole + (text[i] - '0');
    if (!digits || digits > 2)
        return false;
    if (i < length && (text[i] == '.' || text[i] == ',')) {
        size_t from = ++i;
        for (; i < length && text[i] >= '0' && text[i] <= '9'; i++) {
            part = 10 * part + (text[i] - '0');
            unit *= 10;
        }
        if (i == from || i - from > 6)
            return false;
    }
    *out = whole + part / unit;
    return i == length && *out <= 10;
}

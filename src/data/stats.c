/* stats.c: one pass for tasks and lengths, one for fingerprints; see stats.h. */
#include "data/stats.h"
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

enum { SHOWN = 20, ID_COLUMNS = 60 };

static int no_memory(const struct dataset *d, struct err *err)
{
    return err_no_memory(err, d->path, d->count);
}

/* --- lengths --- */

static size_t characters_of(const struct row *row)
{
    size_t n = 0;
    for (size_t m = 0; m < row->n_messages; m++)
        for (size_t i = 0; i < row->messages[m].content_length; i++)
            n += ((unsigned char)row->messages[m].content[i] & 0xC0) != 0x80;
    return n;
}

static int compare_sizes(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* Sorts the values. */
static struct data_lengths lengths(size_t *values, size_t n)
{
    struct data_lengths l = {.n = n};
    if (!n)
        return l;
    qsort(values, n, sizeof *values, compare_sizes);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)values[i];
    l.mean = sum / (double)n;
    l.least = values[0];
    l.median = values[(n - 1) / 2];
    l.p95 = values[(95 * n + 99) / 100 - 1];
    l.most = values[n - 1];
    return l;
}

/* Of the rows of one task; NULL: of all. */
static void measure(struct data_task *t, const struct data_stats *s, const size_t *tokens,
                    const char *task, size_t *scratch)
{
    for (int kind = 0; kind < (tokens ? 2 : 1); kind++) {
        size_t n = 0;
        for (size_t i = 0; i < s->data->count; i++)
            if (!task || strcmp(s->data->rows[i].task, task) == 0)
                scratch[n++] = kind ? tokens[i] : characters_of(&s->data->rows[i]);
        *(kind ? &t->tokens : &t->characters) = lengths(scratch, n);
    }
}

static int find_tasks(struct data_stats *s, const size_t *tokens, struct err *err)
{
    const struct dataset *d = s->data;
    struct map seen = {0};
    size_t *scratch = mem_calloc(d->count, sizeof *scratch);
    int status = scratch ? ERR_NONE : no_memory(d, err);
    for (size_t i = 0; i < d->count && !status; i++) {
        const char *task = d->rows[i].task;
        if (!*task)
            s->untold[s->n_untold++] = i;
        if (map_get(&seen, task, strlen(task), NULL))
            continue;
        struct data_task *tasks = mem_realloc(s->tasks, (s->n_tasks + 1) * sizeof *tasks);
        if (tasks)
            s->tasks = tasks;
        if (!tasks || !map_put(&seen, task, strlen(task), (int32_t)s->n_tasks))
            status = no_memory(d, err);
        else
            s->tasks[s->n_tasks++] = (struct data_task){.name = task};
    }
    for (size_t t = 0; t < s->n_tasks && !status; t++)
        measure(&s->tasks[t], s, tokens, s->tasks[t].name, scratch);
    if (!status)
        measure(&s->all, s, tokens, NULL, scratch);
    mem_free(scratch);
    map_free(&seen);
    return status;
}

/* --- copies --- */

/* Rows of `d` whose fingerprint is in `seen` already; with `learn` it takes each one in. */
static int find_pairs(struct data_pair *pairs, size_t *n, struct map *seen, const struct dataset *d,
                      bool learn, struct err *err)
{
    struct str print = {0};
    int status = ERR_NONE;
    for (size_t i = 0; i < d->count && !status; i++) {
        int32_t twin;
        str_clear(&print);
        status = row_fingerprint(&print, &d->rows[i], err);
        if (status)
            break;
        if (map_get(seen, str_text(&print), print.length, &twin))
            pairs[(*n)++] = (struct data_pair){i, (size_t)twin};
        else if (learn && !map_put(seen, str_text(&print), print.length, (int32_t)i))
            status = no_memory(d, err);
    }
    str_free(&print);
    return status;
}

static int find_shared(struct data_stats *s, struct err *err)
{
    struct map seen = {0};
    struct data_pair *ignored = mem_calloc(s->other->count, sizeof *ignored);
    size_t n = 0;
    int status =
        ignored ? find_pairs(ignored, &n, &seen, s->other, true, err) : no_memory(s->other, err);
    if (!status)
        status = find_pairs(s->shared, &s->n_shared, &seen, s->data, false, err);
    mem_free(ignored);
    map_free(&seen);
    return status;
}

int data_stats_make(struct data_stats *s, const struct dataset *d, const size_t *tokens,
                    const struct dataset *other, struct err *err)
{
    *s = (struct data_stats){.data = d, .other = other, .has_tokens = tokens != NULL};
    struct map seen = {0};
    s->untold = mem_calloc(d->count, sizeof *s->untold);
    s->copies = mem_calloc(d->count, sizeof *s->copies);
    s->shared = mem_calloc(d->count, sizeof *s->shared);
    int status = s->untold && s->copies && s->shared ? ERR_NONE : no_memory(d, err);
    if (!status)
        status = find_tasks(s, tokens, err);
    if (!status)
        status = find_pairs(s->copies, &s->n_copies, &seen, d, true, err);
    if (!status && other)
        status = find_shared(s, err);
    map_free(&seen);
    return status;
}

void data_stats_free(struct data_stats *s)
{
    mem_free(s->tasks);
    mem_free(s->untold);
    mem_free(s->copies);
    mem_free(s->shared);
    *s = (struct data_stats){0};
}

/* --- output --- */

static void put_text(struct str *out, const char *text)
{
    log_printable(out, text, strlen(text), ID_COLUMNS);
}

static void table_row(struct str *out, const struct data_stats *s, const struct data_task *t,
                      const char *name)
{
    struct str shown = {0};
    const struct data_lengths *l = &t->characters;
    log_printable(&shown, name, strlen(name), 16);
    str_printf(out, "%-16s %7zu %6.1f%%  %6zu %7.0f %7zu %6zu %6zu", str_text(&shown), l->n,
               100 * (double)l->n / (double)s->data->count, l->least, l->mean, l->median, l->p95,
               l->most);
    if (s->has_tokens) {
        l = &t->tokens;
        str_printf(out, "  %6zu %7.0f %7zu %6zu %6zu", l->least, l->mean, l->median, l->p95,
                   l->most);
    }
    str_putc(out, '\n');
    out->failed = out->failed || shown.failed;
    str_free(&shown);
}

static void list_pairs(struct str *out, const struct data_pair *pairs, size_t n,
                       const struct dataset *d, const struct dataset *of)
{
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        str_printf(out, "  line %ld, \"", d->rows[pairs[i].row].line);
        put_text(out, d->rows[pairs[i].row].id);
        str_printf(out, "\": as line %ld, \"", of->rows[pairs[i].twin].line);
        put_text(out, of->rows[pairs[i].twin].id);
        str_puts(out, "\"\n");
    }
    if (n > SHOWN)
        str_printf(out, "  and %zu more (--json has all)\n", n - SHOWN);
}

void data_stats_table(struct str *out, const struct data_stats *s)
{
    const struct dataset *d = s->data;
    static const char columns[] = "   least    mean  median    p95   most";
    str_printf(out, "%zu rows, sha256 %s\n\n", d->count, d->sha256);
    str_printf(out, "%-16s %7s %7s%s%s\n", "task", "rows", "share", columns,
               s->has_tokens ? columns : "");
    for (size_t t = 0; t < s->n_tasks; t++)
        table_row(out, s, &s->tasks[t], *s->tasks[t].name ? s->tasks[t].name : "(none)");
    table_row(out, s, &s->all, "all");
    str_printf(out, "lengths of prompts in characters%s\n\n",
               s->has_tokens ? ", then in tokens with the template" : "");
    str_printf(out, "%zu rows without a task%s\n", s->n_untold, s->n_untold ? ":" : "");
    for (size_t i = 0; i < s->n_untold && i < SHOWN; i++) {
        const struct row *row = &d->rows[s->untold[i]];
        str_printf(out, "  line %ld, \"", row->line);
        put_text(out, row->id);
        str_puts(out, "\": ");
        put_text(out, row->user_text);
        str_putc(out, '\n');
    }
    if (s->n_untold > SHOWN)
        str_printf(out, "  and %zu more (--json has all)\n", s->n_untold - SHOWN);
    str_printf(out, "%zu rows whose prompt is in an earlier row%s\n", s->n_copies,
               s->n_copies ? ":" : "");
    list_pairs(out, s->copies, s->n_copies, d, d);
    if (!s->other)
        return;
    str_printf(out, "%zu rows whose prompt is in %s%s\n", s->n_shared, s->other->path,
               s->n_shared ? ":" : "");
    list_pairs(out, s->shared, s->n_shared, d, s->other);
}

static void put_lengths(struct json_writer *w, const char *key, const struct data_lengths *l)
{
    jw_key(w, key);
    jw_object_begin(w);
    const struct {
        const char *name;
        size_t value;
    } counts[] = {{"min", l->least}, {"median", l->median}, {"p95", l->p95}, {"max", l->most}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        jw_key(w, counts[i].name);
        jw_int(w, (long long)counts[i].value);
    }
    jw_key(w, "mean");
    jw_double(w, l->mean);
    jw_object_end(w);
}

static void put_task(struct json_writer *w, const struct data_stats *s, const struct data_task *t)
{
    jw_object_begin(w);
    jw_key(w, "rows");
    jw_int(w, (long long)t->characters.n);
    jw_key(w, "share");
    jw_double(w, (double)t->characters.n / (double)s->data->count);
    put_lengths(w, "characters", &t->characters);
    if (s->has_tokens)
        put_lengths(w, "tokens", &t->tokens);
    jw_object_end(w);
}

static void put_row(struct json_writer *w, const struct row *row)
{
    jw_key(w, "id");
    jw_text(w, row->id);
    jw_key(w, "line");
    jw_int(w, row->line);
}

static void put_pairs(struct json_writer *w, const char *key, const struct data_pair *pairs,
                      size_t n, const struct dataset *d, const struct dataset *of)
{
    jw_key(w, key);
    jw_array_begin(w);
    for (size_t i = 0; i < n; i++) {
        jw_object_begin(w);
        put_row(w, &d->rows[pairs[i].row]);
        jw_key(w, "as");
        jw_object_begin(w);
        put_row(w, &of->rows[pairs[i].twin]);
        jw_object_end(w);
        jw_object_end(w);
    }
    jw_array_end(w);
}

void data_stats_json(struct str *out, const struct data_stats *s)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "rows");
    jw_int(&w, (long long)s->data->count);
    jw_key(&w, "sha256");
    jw_text(&w, s->data->sha256);
    jw_key(&w, "tasks");
    jw_object_begin(&w);
    for (size_t t = 0; t < s->n_tasks; t++) {
        if (!*s->tasks[t].name)
            continue;
        jw_key(&w, s->tasks[t].name);
        put_task(&w, s, &s->tasks[t]);
    }
    jw_object_end(&w);
    jw_key(&w, "all");
    put_task(&w, s, &s->all);
    jw_key(&w, "without_task");
    jw_array_begin(&w);
    for (size_t i = 0; i < s->n_untold; i++) {
        jw_object_begin(&w);
        put_row(&w, &s->data->rows[s->untold[i]]);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    put_pairs(&w, "copies", s->copies, s->n_copies, s->data, s->data);
    if (s->other) {
        jw_key(&w, "against");
        jw_text(&w, s->other->path);
        put_pairs(&w, "shared", s->shared, s->n_shared, s->data, s->other);
    }
    jw_object_end(&w);
    str_putc(out, '\n');
}

/* split.c: the fixed stratified split; see split.h.
 *
 * Rows are gathered into units of equal prompts. Each unit has one draw, made from the id of the
 * row that stands for it, so that neither its number of copies nor anybody's place in the file
 * changes its chance. Per task the units with the smallest draws are the evaluation set, the next
 * ones the test set. All three files are composed in memory, compared with what is there, and only
 * then written: a refusal leaves the disk as it was. */
#include "data/split.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/rows.h"

enum set { SET_TRAIN, SET_EVAL, SET_TEST, N_SETS };

struct unit {
    const struct row *row; /* stands for it */
    uint64_t draw;
    size_t n_rows;
    enum set set;
};

struct split {
    const struct split_options *options;
    struct dataset data;
    struct str text;     /* the source's bytes */
    struct slice *lines; /* each row's, without its end */
    struct unit *units;
    struct unit **sorted; /* by draw */
    size_t n_units;
    uint32_t *unit_of; /* each row's */
    struct str out[N_SETS];
    struct err *err;
};

static const char *path_of(const struct split_options *o, enum set set)
{
    return set == SET_EVAL ? o->eval_out : set == SET_TEST ? o->test_out : o->train_out;
}

static size_t wanted_of(const struct split_count *count, enum set set)
{
    return set == SET_EVAL ? count->eval : set == SET_TEST ? count->test : 0;
}

static struct split_set *result_of(struct split_result *r, enum set set)
{
    return set == SET_EVAL ? &r->eval : set == SET_TEST ? &r->test : &r->train;
}

/* --- options --- */

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return strcmp(a, b) == 0 ||
           (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

static int check_paths(const struct split_options *o, struct err *err)
{
    const char *paths[] = {o->source, o->eval_out, o->test_out, o->train_out};
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
        for (size_t j = 0; j < i; j++)
            if (paths[i] && paths[j] && same_file(paths[i], paths[j]))
                return err_set(err, ERR_USAGE, paths[i],
                               "is named twice; source, evaluation, test and training rows need a "
                               "file each");
    return ERR_NONE;
}

static int check_options(const struct split_options *o, struct err *err)
{
    if (!o->source || !o->eval_out)
        return err_set(err, ERR_USAGE, "split", "needs a source and a file for evaluation rows");
    size_t eval = 0, test = 0;
    for (size_t i = 0; i < o->n_counts; i++) {
        eval += o->counts[i].eval;
        test += o->counts[i].test;
        for (size_t j = 0; j < i; j++)
            if (strcmp(o->counts[i].task, o->counts[j].task) == 0)
                return err_set(err, ERR_USAGE, "split", "the task \"%.80s\" is counted twice",
                               o->counts[i].task);
    }
    if (!eval)
        return err_set(err, ERR_USAGE, "split",
                       "no evaluation rows are asked for; expected counts like push=15");
    if (test && !o->test_out)
        return err_set(err, ERR_USAGE, "split", "test rows are asked for, but no file for them");
    if (!test && o->test_out)
        return err_set(err, ERR_USAGE, o->test_out, "is for test rows, but none are asked for");
    return check_paths(o, err);
}

/* --- lines --- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The line as jsonl.c reads it: without byte-order mark, white space around it, and its end. */
static struct slice trimmed(const char *start, const char *end, bool first)
{
    if (first && end - start >= 3 && memcmp(start, "\xEF\xBB\xBF", 3) == 0)
        start += 3;
    while (end > start && is_blank(end[-1]))
        end--;
    while (end > start && is_blank(*start))
        start++;
    return (struct slice){start, (size_t)(end - start)};
}

/* Finds the bytes of each row. The rows know their line numbers, which rise. */
static int find_lines(struct split *s)
{
    char sha256[65];
    int status = file_read(&s->text, s->options->source, s->err);
    if (status)
        return status;
    sha256_hex(sha256, str_text(&s->text), s->text.length);
    if (strcmp(sha256, s->data.sha256) != 0)
        return err_set(s->err, ERR_INPUT, s->options->source, "changed while it was read");
    s->lines = mem_calloc(s->data.count, sizeof *s->lines);
    if (!s->lines)
        return err_no_memory(s->err, s->options->source, s->data.count * sizeof *s->lines);
    const char *start = str_text(&s->text), *end = start + s->text.length;
    long line = 1;
    for (size_t i = 0; i < s->data.count; line++) {
        CHECK(start < end);
        const char *newline = memchr(start, '\n', (size_t)(end - start));
        const char *stop = newline ? newline : end;
        if (s->data.rows[i].line == line)
            s->lines[i++] = trimmed(start, stop, line == 1);
        start = stop + 1;
    }
    return ERR_NONE;
}

/* --- units --- */

static bool has_id(const struct row *row)
{
    const json_t *id = json_object_get(row->json, "id");
    return id && !json_is_null(id);
}

/* The order in which rows may stand for their unit: by id, then those without one by line. */
static bool comes_before(const struct row *a, const struct row *b)
{
    if (has_id(a) != has_id(b))
        return has_id(a);
    return has_id(a) ? strcmp(a->id, b->id) < 0 : a->line < b->line;
}

static int compare_units(const void *x, const void *y)
{
    const struct unit *a = *(const struct unit *const *)x, *b = *(const struct unit *const *)y;
    if (a->draw != b->draw)
        return a->draw < b->draw ? -1 : 1;
    return comes_before(a->row, b->row) ? -1 : comes_before(b->row, a->row);
}

static int add_row(struct split *s, struct map *seen, struct str *fingerprint, size_t i)
{
    const struct row *row = &s->data.rows[i];
    int32_t at;
    str_clear(fingerprint);
    int status = row_fingerprint(fingerprint, row, s->err);
    if (status)
        return status;
    if (!map_get(seen, str_text(fingerprint), fingerprint->length, &at)) {
        at = (int32_t)s->n_units++;
        s->units[at].row = row;
        if (!map_put(seen, str_text(fingerprint), fingerprint->length, at))
            return err_no_memory(s->err, s->options->source, fingerprint->length);
    }
    struct unit *unit = &s->units[at];
    if (comes_before(row, unit->row))
        unit->row = row;
    unit->n_rows++;
    s->unit_of[i] = (uint32_t)at;
    uint64_t key =
        has_id(unit->row) ? unit->row->key : rng_id(str_text(fingerprint), fingerprint->length);
    struct rng_key draw = {.seed = s->options->seed, .purpose = RNG_SPLIT, .row = key};
    unit->draw = rng_bits(&draw, 0);
    return ERR_NONE;
}

static int make_units(struct split *s)
{
    size_t n = s->data.count;
    s->units = mem_calloc(n, sizeof *s->units);
    s->sorted = mem_calloc(n, sizeof *s->sorted);
    s->unit_of = mem_calloc(n, sizeof *s->unit_of);
    if (!s->units || !s->sorted || !s->unit_of)
        return err_no_memory(s->err, s->options->source, n * sizeof *s->units);
    struct map seen = {0};
    struct str fingerprint = {0};
    int status = ERR_NONE;
    for (size_t i = 0; i < n && !status; i++)
        status = add_row(s, &seen, &fingerprint, i);
    map_free(&seen);
    str_free(&fingerprint);
    for (size_t i = 0; i < s->n_units; i++)
        s->sorted[i] = &s->units[i];
    qsort(s->sorted, s->n_units, sizeof *s->sorted, compare_units);
    return status;
}

/* --- the choice --- */

static void put_tasks(struct str *out, const struct dataset *d)
{
    const char *names[20];
    int n = dataset_tasks(d, names, (int)ARRAY_LENGTH(names));
    for (int i = 0; i < n; i++) {
        str_puts(out, i ? ", " : "; the tasks here: ");
        if (names[i][0])
            log_printable(out, names[i], strlen(names[i]), 40);
        else
            str_puts(out, "(none given)");
    }
}

static int too_few(struct split *s, const struct split_count *count, size_t found)
{
    size_t rows = 0;
    for (size_t i = 0; i < s->data.count; i++)
        rows += strcmp(s->data.rows[i].task, count->task) == 0;
    struct str tasks = {0};
    if (!rows)
        put_tasks(&tasks, &s->data);
    int status = err_set(s->err, ERR_INPUT, s->options->source,
                         "the task \"%.80s\" has %zu distinct prompts (in %zu rows), %zu wanted: "
                         "%zu for evaluation and %zu for the test set%s",
                         count->task, found, rows, count->eval + count->test, count->eval,
                         count->test, str_text(&tasks));
    str_free(&tasks);
    return status;
}

static int choose(struct split *s, const struct split_count *count)
{
    size_t found = 0;
    for (size_t i = 0; i < s->n_units; i++) {
        struct unit *unit = s->sorted[i];
        if (strcmp(unit->row->task, count->task) != 0)
            continue;
        unit->set = found < count->eval                 ? SET_EVAL
                    : found < count->eval + count->test ? SET_TEST
                                                        : SET_TRAIN;
        found++;
    }
    return found < count->eval + count->test ? too_few(s, count, found) : ERR_NONE;
}

static void put_row(struct split *s, enum set set, const struct row *row, struct split_result *r)
{
    struct slice line = s->lines[row - s->data.rows];
    str_append(&s->out[set], line.data, line.length);
    str_putc(&s->out[set], '\n');
    result_of(r, set)->rows++;
}

static int compose(struct split *s, struct split_result *r)
{
    const struct row *copy = NULL;
    for (size_t i = 0; i < s->n_units; i++)
        if (s->sorted[i]->set != SET_TRAIN)
            put_row(s, s->sorted[i]->set, s->sorted[i]->row, r);
    for (size_t i = 0; i < s->data.count; i++) {
        const struct row *row = &s->data.rows[i];
        const struct unit *unit = &s->units[s->unit_of[i]];
        if (unit->set == SET_TRAIN) {
            put_row(s, SET_TRAIN, row, r);
        } else if (unit->row != row) {
            copy = copy ? copy : row;
            r->copies++;
        }
    }
    if (copy)
        log_info("split: %zu rows are left out of every file, since their prompt was chosen in "
                 "another row (the first: \"%.60s\" on line %ld, same as \"%.60s\")",
                 r->copies, copy->id, copy->line,
                 s->units[s->unit_of[copy - s->data.rows]].row->id);
    for (int set = 0; set < N_SETS; set++)
        if (s->out[set].failed)
            return err_no_memory(s->err, s->options->source, s->out[set].length);
    if (s->options->train_out && !r->train.rows)
        return err_set(s->err, ERR_INPUT, s->options->source,
                       "nothing is left to train on: all of its prompts are chosen for evaluation "
                       "or test");
    return ERR_NONE;
}

/* --- files --- */

/* Whether the file has to be written; ERR_GATE when another one is there. */
static int compare_file(struct split *s, enum set set, struct split_set *r)
{
    const char *path = path_of(s->options, set);
    struct stat st;
    sha256_hex(r->sha256, str_text(&s->out[set]), s->out[set].length);
    r->written = stat(path, &st) != 0;
    if (r->written)
        return ERR_NONE;
    char there[65];
    int status = sha256_file(there, path, s->err);
    if (status || strcmp(there, r->sha256) == 0)
        return status;
    return err_set(s->err, ERR_GATE, path,
                   "exists with other rows (SHA-256 %.12s..., these would be %.12s...). %s "
                   "Keep it, or give another path",
                   there, r->sha256,
                   set == SET_TRAIN ? "A split does not overwrite files."
                                    : "A fixed set is never resampled.");
}

static int write_files(struct split *s, struct split_result *r)
{
    /* Evaluation first: whatever happens next, it is fixed from here on. */
    static const enum set order[N_SETS] = {SET_EVAL, SET_TEST, SET_TRAIN};
    int status = ERR_NONE;
    for (int i = 0; i < N_SETS && !status; i++)
        if (path_of(s->options, order[i]))
            status = compare_file(s, order[i], result_of(r, order[i]));
    for (int i = 0; i < N_SETS && !status; i++)
        if (result_of(r, order[i])->written)
            status = file_write_atomic(path_of(s->options, order[i]), str_text(&s->out[order[i]]),
                                       s->out[order[i]].length, s->err);
    return status;
}

/* --- reading back --- */

static int check_counts(struct split *s, const struct dataset *d, enum set set)
{
    size_t total = 0;
    for (size_t i = 0; i < s->options->n_counts; i++) {
        size_t wanted = wanted_of(&s->options->counts[i], set), found = 0;
        for (size_t j = 0; j < d->count; j++)
            found += strcmp(d->rows[j].task, s->options->counts[i].task) == 0;
        if (found != wanted)
            return err_set(s->err, ERR_GATE, d->path, "has %zu rows of \"%.80s\", expected %zu",
                           found, s->options->counts[i].task, wanted);
        total += wanted;
    }
    if (d->count != total)
        return err_set(s->err, ERR_GATE, d->path, "has %zu rows, expected %zu", d->count, total);
    return ERR_NONE;
}

static int verify(struct split *s)
{
    struct dataset sets[N_SETS] = {0};
    int status = ERR_NONE;
    for (int set = 0; set < N_SETS && !status; set++) {
        if (path_of(s->options, set))
            status = dataset_open(&sets[set], path_of(s->options, set), s->err);
        if (!status && set != SET_TRAIN && path_of(s->options, set))
            status = check_counts(s, &sets[set], set);
    }
    for (int set = SET_EVAL; set < N_SETS && !status; set++)
        for (int other = 0; other < set && !status; other++)
            status = dataset_disjoint(&sets[other], &sets[set], s->err);
    for (int set = 0; set < N_SETS; set++)
        dataset_close(&sets[set]);
    return status;
}

static void remove_written(const struct split *s, struct split_result *r)
{
    for (int set = 0; set < N_SETS; set++)
        if (result_of(r, set)->written)
            unlink(path_of(s->options, set));
}

int split_run(const struct split_options *options, struct split_result *result, struct err *err)
{
    struct split s = {.options = options, .err = err};
    *result = (struct split_result){0};
    int status = check_options(options, err);
    if (!status)
        status = dataset_open(&s.data, options->source, err);
    if (!status)
        status = find_lines(&s);
    if (!status)
        status = make_units(&s);
    for (size_t i = 0; i < options->n_counts && !status; i++)
        status = choose(&s, &options->counts[i]);
    if (!status)
        status = compose(&s, result);
    if (!status)
        status = write_files(&s, result);
    if (!status) {
        status = verify(&s);
        if (status) /* or it would count as fixed from now on */
            remove_written(&s, result);
    }
    dataset_close(&s.data);
    str_free(&s.text);
    mem_free(s.lines);
    mem_free(s.units);
    mem_free(s.sorted);
    mem_free(s.unit_of);
    for (int set = 0; set < N_SETS; set++)
        str_free(&s.out[set]);
    return status;
}

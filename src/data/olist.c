/* olist.c: `grpo data prepare --olist` from its options to its files.
 *
 * A task's maker draws candidates; this file decides which become rows. Every row claims two things
 * for good, whatever its set: its prompt's fingerprint (rows.h) and its key, the content without
 * the accidents of wording (a review's words, a query, a slice of the orders, a category with a
 * reason). So no two rows, of one set or two, are about the same thing. Evaluation chooses first,
 * then test, then training; candidate number n of a task and set draws from a stream of its own, so
 * that asking for more training rows changes none of the other two files. */
#include "data/olist.h"
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "data/olist_parts.h"
#include "data/rows.h"

enum { TRIES = 1000 }; /* candidates for one place, before the data has no more */

const char *const olist_task_names[OLIST_TASKS] = {"extraction", "sql_qa", "insights", "push"};
const char *const olist_set_names[OLIST_SETS] = {"eval", "test", "train"};
const char *const olist_reason_names[OLIST_REASONS] = {
    "content or prompt is in a row already",
    "answer is empty, NULL or zero",
    "three questions have the same answer already",
    "rows tie in the order asked for",
    "answer of more than 40 rows",
    "query beyond its budget of work",
    "too few orders or items",
    "review too short, too long or without facts",
};
static olist_maker *const makers[OLIST_TASKS] = {olist_make_extraction, olist_make_sql,
                                                 olist_make_insights, olist_make_push};

void olist_mix(size_t rows[OLIST_TASKS], size_t total)
{
    static const size_t tenths[OLIST_TASKS] = {4, 4, 1, 1};
    size_t left = total;
    for (int t = 0; t < OLIST_TASKS; t++) {
        rows[t] = total / 10 * tenths[t] + total % 10 * tenths[t] / 10;
        left -= rows[t];
    }
    for (int t = OLIST_TASKS - 1; left > 0; t = t ? t - 1 : OLIST_TASKS - 1, left--)
        rows[t]++;
}

/* --- claims --- */

struct claims {
    struct map keys, prints;
    struct str print;
};

/* *taken is false when the row's content or prompt is claimed already. */
static int claim(bool *taken, struct claims *c, const struct olist_row *row, struct err *err)
{
    struct chat_message message = {"user", str_text(&row->prompt), row->prompt.length, NULL};
    struct row as_row = {.messages = &message, .n_messages = 1, .user_text = message.content};
    *taken = false;
    if (map_get(&c->keys, str_text(&row->key), row->key.length, NULL))
        return ERR_NONE;
    str_clear(&c->print);
    int status = row_fingerprint(&c->print, &as_row, err);
    if (status || map_get(&c->prints, str_text(&c->print), c->print.length, NULL))
        return status;
    if (!map_put(&c->keys, str_text(&row->key), row->key.length, 1) ||
        !map_put(&c->prints, str_text(&c->print), c->print.length, 1))
        return err_no_memory(err, "the claimed rows", row->key.length);
    *taken = true;
    return ERR_NONE;
}

static void clear(struct olist_row *row)
{
    str_clear(&row->prompt);
    str_clear(&row->reference);
    str_clear(&row->key);
    row->rejected = -1;
}

static void note_length(size_t *longest, const struct str *text)
{
    size_t n = 0;
    for (size_t i = 0; i < text->length; i++)
        n += ((unsigned char)text->data[i] & 0xC0) != 0x80;
    *longest = n > *longest ? n : *longest;
}

struct writing {
    struct olist_making *m;
    struct claims claims;
    struct olist_row row;
};

/* The next row of a set that nothing speaks against. */
static int next(struct writing *w, int task, enum olist_set set, size_t number, struct err *err)
{
    struct olist_row *row = &w->row;
    struct olist_making *m = w->m;
    for (unsigned attempt = 0; attempt < TRIES; attempt++) {
        struct draws d = {.key = {.seed = m->options->seed,
                                  .purpose = RNG_OLIST,
                                  .step = (uint64_t)task + 1,
                                  .row = set,
                                  .epoch = number,
                                  .attempt = attempt}};
        bool taken = false;
        clear(row);
        int status = makers[task](row, m, set, number, &d, err);
        if (!status && (row->prompt.failed || row->key.failed || row->reference.failed))
            status = err_no_memory(err, "a row", row->prompt.length);
        if (!status && row->rejected < 0) {
            status = claim(&taken, &w->claims, row, err);
            if (!status && !taken)
                row->rejected = OLIST_TAKEN;
        }
        if (!status && taken && task == OLIST_SQL)
            status = olist_sql_taken(m, set, err);
        if (status)
            return status;
        if (taken) {
            note_length(&m->result->longest_prompt[task], &row->prompt);
            return ERR_NONE;
        }
        m->result->rejected[task][row->rejected]++;
    }
    return err_set(err, ERR_INPUT, m->options->olist,
                   "gives no more than %zu different rows of %s for %s.jsonl beside those of the "
                   "other files: ask for fewer with --train-rows or --count",
                   number, olist_task_names[task], olist_set_names[set]);
}

/* --- files --- */

static int put_line(struct str *out, const struct olist_row *row, int task, enum olist_set set,
                    size_t number, struct err *err)
{
    struct json_writer w;
    struct str id = {0};
    str_printf(&id, "olist-%s-%s-%zu", olist_task_names[task], olist_set_names[set], number + 1);
    json_t *reference =
        json_read(str_text(&row->reference), row->reference.length, 0, "reference", err);
    if (!reference) {
        str_free(&id);
        return (int)err->code;
    }
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "id");
    jw_text(&w, str_text(&id));
    jw_key(&w, "task");
    jw_text(&w, olist_task_names[task]);
    jw_key(&w, "prompt");
    jw_array_begin(&w);
    jw_object_begin(&w);
    jw_key(&w, "role");
    jw_text(&w, "user");
    jw_key(&w, "content");
    jw_string(&w, str_text(&row->prompt), row->prompt.length);
    jw_object_end(&w);
    jw_array_end(&w);
    jw_key(&w, "reference");
    jw_value(&w, reference);
    jw_object_end(&w);
    str_putc(out, '\n');
    int status = id.failed || out->failed ? err_no_memory(err, "the rows", out->length) : ERR_NONE;
    json_decref(reference);
    str_free(&id);
    return status;
}

static int write_file(const struct writing *w, const char *name, const void *data, size_t size,
                      struct err *err)
{
    struct str path = {0};
    path_join(&path, w->m->options->out, name);
    int status = path.failed ? err_no_memory(err, "a path", strlen(name))
                             : file_write_atomic(str_text(&path), data, size, err);
    str_free(&path);
    return status;
}

static int write_set(struct writing *w, enum olist_set set, struct err *err)
{
    struct str out = {0};
    char name[32];
    const size_t *wanted = w->m->options->rows[set];
    int status = ERR_NONE;
    for (int task = 0; task < OLIST_TASKS; task++)
        for (size_t i = 0; i < wanted[task] && !status; i++) {
            status = next(w, task, set, i, err);
            if (!status)
                status = put_line(&out, &w->row, task, set, i, err);
            w->m->result->rows[set][task] += !status;
        }
    snprintf(name, sizeof name, "%s.jsonl", olist_set_names[set]);
    if (!status)
        status = write_file(w, name, str_text(&out), out.length, err);
    str_free(&out);
    return status;
}

static int write_database(const struct writing *w, sqlite3 *db, struct err *err)
{
    sqlite3_int64 size = 0;
    unsigned char *bytes = sqlite3_serialize(db, "main", &size, 0);
    if (!bytes)
        return err_no_memory(err, "olist.db", 0);
    sha256_hex(w->m->result->database_sha256, bytes, (size_t)size);
    int status = write_file(w, "olist.db", bytes, (size_t)size, err);
    sqlite3_free(bytes);
    return status;
}

static int make_all(struct writing *w, struct err *err)
{
    struct olist_making *m = w->m;
    int status = dir_make(m->options->out, err);
    if (!status)
        status = write_database(w, m->data.db, err);
    m->tried = mem_calloc(olist_n_questions, sizeof *m->tried);
    m->used = mem_calloc(olist_n_questions, sizeof *m->used);
    if (!status && (!m->tried || !m->used))
        status = err_no_memory(err, "the questions", olist_n_questions);
    if (!status)
        status = olist_reviews_open(m, err);
    for (int set = 0; set < OLIST_SETS && !status; set++)
        status = write_set(w, (enum olist_set)set, err);
    return status;
}

int olist_prepare(const struct olist_options *options, struct olist_result *result, struct err *err)
{
    struct olist_making m = {.options = options, .result = result, .question = -1};
    struct writing w = {.m = &m};
    struct str database = {0};
    sqlite3 *db = NULL;
    *result = (struct olist_result){0};
    m.database = path_join(&database, options->out, "olist.db");
    int status = database.failed ? err_no_memory(err, "a path", 0)
                                 : olist_db_open(&db, result->table_rows, options->olist, err);
    if (!status)
        status = olist_data_open(&m.data, db, err);
    if (!status)
        status = make_all(&w, err);
    olist_reviews_close(&m);
    olist_data_close(&m.data);
    sqlite3_close(db);
    mem_free(m.tried);
    mem_free(m.used);
    map_free(&m.results);
    map_free(&w.claims.keys);
    map_free(&w.claims.prints);
    str_free(&w.claims.print);
    str_free(&m.result_text);
    str_free(&w.row.prompt);
    str_free(&w.row.reference);
    str_free(&w.row.key);
    str_free(&database);
    return status;
}

/* audit_files.c: completions.jsonl and scores.csv; see audit_files.h. */
#include "eval/audit_files.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "data/csv.h"
#include "formats/jsonl.h"

/* --- completions.jsonl --- */

void audit_completions_write(struct str *out, const struct audit *a)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct audit_item *item = &a->items[i];
        const char *texts[][2] = {{"id", item->id}, {"task", item->task}, {"prompt", item->prompt}};
        struct json_writer w;
        jw_begin(&w, out);
        jw_object_begin(&w);
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
            jw_key(&w, texts[k][0]);
            jw_text(&w, texts[k][1]);
        }
        jw_key(&w, "completion");
        jw_string(&w, item->completion, item->completion_length);
        jw_key(&w, "stop_reason");
        jw_text(&w, item->stop_reason);
        jw_key(&w, "reference");
        json_t *reference = json_read(item->reference, strlen(item->reference),
                                      JSON_ANY_VALUE | JSON_NUL_ALLOWED, "", NULL);
        if (reference)
            jw_value(&w, reference);
        else
            jw_null(&w);
        out->failed = out->failed || (!reference && item->reference[0]); /* our own JSON: memory */
        json_decref(reference);
        jw_object_end(&w);
        str_putc(out, '\n');
    }
}

static int keep_text(struct audit *a, const char **out, const json_t *o, const char *key,
                     const char *where, struct err *err)
{
    const char *text;
    int status = json_get_string(&text, o, key, true, where, err);
    if (status)
        return status;
    size_t n = json_string_length(json_object_get(o, key));
    *out = arena_strndup(&a->arena, text, n);
    return *out ? ERR_NONE : err_no_memory(err, where, n);
}

static int read_item(struct audit *a, const json_t *o, const char *where, struct err *err)
{
    struct audit_item *items = mem_realloc(a->items, (a->n + 1) * sizeof *items);
    if (!items)
        return err_no_memory(err, where, a->n);
    a->items = items;
    struct audit_item *item = &items[a->n];
    *item = (struct audit_item){.mark = AUDIT_OPEN, .automatic = NAN, .reference = ""};
    int status = keep_text(a, &item->id, o, "id", where, err);
    if (!status)
        status = keep_text(a, &item->task, o, "task", where, err);
    if (!status)
        status = keep_text(a, &item->prompt, o, "prompt", where, err);
    if (!status)
        status = keep_text(a, &item->completion, o, "completion", where, err);
    if (!status)
        status = keep_text(a, &item->stop_reason, o, "stop_reason", where, err);
    const json_t *reference = json_object_get(o, "reference");
    if (!status && reference && !json_is_null(reference)) {
        struct str text = {0};
        struct json_writer w;
        jw_begin(&w, &text);
        jw_value(&w, reference);
        item->reference = arena_strndup(&a->arena, str_text(&text), text.length);
        if (!item->reference || text.failed)
            status = err_no_memory(err, where, text.length);
        str_free(&text);
    }
    item->completion_length = json_string_length(json_object_get(o, "completion"));
    a->n += !status;
    return status;
}

int audit_completions_read(struct audit *a, const char *path, struct err *err)
{
    struct jsonl_reader in;
    struct err local = {0};
    int status = jsonl_open(&in, path, err), got = 0;
    if (status)
        return status;
    json_t *value = NULL;
    while (!status && (got = jsonl_next(&in, &value, &local)) == 1) {
        char where[256];
        snprintf(where, sizeof where, "%.200s:%ld", path, in.line);
        status = value ? read_item(a, value, where, &local) : (int)local.code;
        json_decref(value);
    }
    if (!status && got < 0)
        status = (int)local.code;
    if (status && err)
        *err = local;
    jsonl_close(&in);
    return status;
}

/* --- scores.csv: writing --- */

static const char *const sheet_columns[] = {"id",        "task",        "prompt", "completion",
                                            "reference", "human_score", "check"};

/* The start of a field, of a line in it, or of a piece that another separator would cut off: where
 * a spreadsheet that is told the wrong separator would begin a field. */
static bool begins_formula(const char *text, size_t n, size_t i)
{
    static const char *const wide[] = {"＝", "＋", "－", "＠"};
    for (size_t k = 0; k < sizeof wide / sizeof *wide; k++)
        if (n - i >= 3 && memcmp(text + i, wide[k], 3) == 0)
            return true;
    return strchr("=+-@", text[i]) && text[i];
}

static void put_field(struct str *out, const char *text, size_t length)
{
    enum { MOST_BYTES = 30000 };
    struct str clean = {0};
    for (size_t i = 0; i <= length;) { /* line by line, as line breaks may stay */
        const char *end = memchr(text + i, '\n', length - i);
        size_t n = end ? (size_t)(end - text) - i : length - i;
        log_printable(&clean, text + i, n && text[i + n - 1] == '\r' ? n - 1 : n, 0);
        if (end)
            str_putc(&clean, '\n');
        i += n + 1;
    }
    const char *bytes = str_text(&clean);
    size_t n = clean.length < MOST_BYTES ? clean.length : MOST_BYTES;
    while (n < clean.length && ((unsigned char)bytes[n] & 0xC0) == 0x80)
        n--;
    bool fresh = true;
    str_putc(out, '"');
    for (size_t i = 0; i < n; i++) {
        if (fresh && begins_formula(bytes, n, i))
            str_putc(out, '\'');
        fresh = bytes[i] == '\n' || bytes[i] == ';' || (fresh && bytes[i] == ' ');
        str_puts(out, bytes[i] == '"' ? "\"" : "");
        str_putc(out, bytes[i]);
    }
    str_puts(out, n < clean.length ? " …(cut)\"" : "\"");
    out->failed = out->failed || clean.failed;
    str_free(&clean);
}

/* Begins with a letter: no spreadsheet takes it for a number. */
static void completion_check(char out[12], const struct audit_item *item)
{
    char hash[65];
    sha256_hex(hash, item->completion, item->completion_length);
    snprintf(out, 12, "c%.8s", hash);
}

static void put_score(struct str *out, const struct audit_item *item)
{
    struct json_writer w;
    if (item->mark == AUDIT_SCORED) {
        jw_begin(&w, out);
        jw_double(&w, item->human);
    } else if (item->mark == AUDIT_SKIPPED) {
        str_puts(out, "skip");
    }
}

void audit_sheet_write(struct str *out, const struct audit *a)
{
    str_puts(out, "\xEF\xBB\xBF");
    for (size_t c = 0; c < sizeof sheet_columns / sizeof *sheet_columns; c++)
        str_printf(out, "%s%s", c ? "," : "", sheet_columns[c]);
    str_puts(out, "\r\n");
    for (size_t i = 0; i < a->n; i++) {
        const struct audit_item *item = &a->items[i];
        const char *texts[] = {item->id, item->task, item->prompt};
        char check[12];
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
            put_field(out, texts[k], strlen(texts[k]));
            str_putc(out, ',');
        }
        put_field(out, item->completion, item->completion_length);
        str_putc(out, ',');
        put_field(out, item->reference, strlen(item->reference));
        str_putc(out, ',');
        put_score(out, item);
        completion_check(check, item);
        str_printf(out, ",%s\r\n", check);
    }
}

/* --- scores.csv: reading --- */

struct sheet {
    struct csv csv;
    struct str text; /* as UTF-8 */
    size_t id, score, check;
    bool has_check;
    struct map ids;        /* as fields have them → item */
    enum audit_mark *mark; /* (n) of the items; put into the audit when all is well */
    double *human;
    long *row; /* in which an item was found; 0: none yet */
};

static void sheet_close(struct sheet *s)
{
    csv_close(&s->csv);
    str_free(&s->text);
    map_free(&s->ids);
    mem_free(s->mark);
    mem_free(s->human);
    mem_free(s->row);
}

/* Spreadsheets on Windows save "CSV" in the country's old encoding; only ids are read of it. */
static void to_utf8(struct str *out, const char *data, size_t size)
{
    if (utf8_valid(data, size)) {
        str_append(out, data, size);
        return;
    }
    size_t mark = size >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    for (size_t i = mark; i < size; i++)
        str_put_utf8(out, (unsigned char)data[i]);
}

/* What stands most often in the header, or as a first line "sep=;" says (which is then passed). */
static char separator_of(const char **data, size_t *size)
{
    static const char candidates[] = ",;\t";
    const char *p = *data;
    size_t n = *size, most = 0;
    char best = ',';
    if (n >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0) {
        p += 3;
        n -= 3;
    }
    if (n > 5 && memcmp(p, "sep=", 4) == 0 && strchr(candidates, p[4]) && p[4]) {
        *data = p + 5;
        *size = n - 5;
        return p[4];
    }
    for (const char *c = candidates; *c; c++) {
        size_t count = 0;
        for (size_t i = 0; i < n && p[i] != '\n' && p[i] != '\r'; i++)
            count += p[i] == *c;
        if (count > most) {
            most = count;
            best = *c;
        }
    }
    return best;
}

/* An id as it stands in a sheet of ours, without the quotes around it. */
static int map_ids(struct sheet *s, const struct audit *a, struct err *err)
{
    struct str field = {0};
    bool good = true;
    for (size_t i = 0; i < a->n && good; i++) {
        str_clear(&field);
        put_field(&field, a->items[i].id, strlen(a->items[i].id));
        size_t n = 0; /* doubled quotes are single again when read */
        for (size_t k = 1; k + 1 < field.length; k++) {
            k += field.data[k] == '"';
            field.data[n++] = field.data[k];
        }
        good = !field.failed && map_put(&s->ids, field.data, n, (int32_t)i);
    }
    str_free(&field);
    return good ? ERR_NONE : err_no_memory(err, "the sheet", a->n);
}

static int sheet_open(struct sheet *s, const struct audit *a, const void *data, size_t size,
                      const char *name, struct err *err)
{
    to_utf8(&s->text, data, size);
    const char *text = str_text(&s->text);
    size_t n = s->text.length;
    char separator = separator_of(&text, &n);
    s->mark = mem_calloc(a->n + 1, sizeof *s->mark);
    s->human = mem_calloc(a->n + 1, sizeof *s->human);
    s->row = mem_calloc(a->n + 1, sizeof *s->row);
    if (s->text.failed || !s->mark || !s->human || !s->row)
        return err_no_memory(err, name, size);
    int status = csv_open_separated(&s->csv, text, n, separator, name, err);
    if (!status)
        status = csv_column(&s->id, &s->csv, "id", err);
    if (!status)
        status = csv_column(&s->score, &s->csv, "human_score", err);
    for (size_t c = 0; c < s->csv.n_columns && !status; c++)
        if (strcmp(s->csv.columns[c].data, "check") == 0) {
            s->check = c;
            s->has_check = true;
        }
    return status ? status : map_ids(s, a, err);
}

static struct slice trimmed(struct slice s)
{
    while (s.length && strchr(" \t\r\n", s.data[0])) {
        s.data++;
        s.length--;
    }
    while (s.length && strchr(" \t\r\n", s.data[s.length - 1]))
        s.length--;
    return s;
}

static int read_score(struct sheet *s, size_t item, struct err *err)
{
    struct slice text = trimmed(s->csv.fields[s->score]);
    bool skip = text.length == 4 && strncasecmp(text.data, "skip", 4) == 0;
    s->mark[item] = skip ? AUDIT_SKIPPED : text.length ? AUDIT_SCORED : AUDIT_OPEN;
    if (s->mark[item] == AUDIT_SCORED &&
        !audit_parse_score(&s->human[item], text.data, text.length))
        return csv_complain(&s->csv, s->score, err,
                            "is \"%.*s\", expected a number from 0 to 10 (7, 7.5 or 7,5), or "
                            "skip",
                            (int)(text.length < 60 ? text.length : 60), text.data);
    return ERR_NONE;
}

static bool is_empty(const struct csv *c)
{
    for (size_t i = 0; i < c->n_columns; i++)
        if (trimmed(c->fields[i]).length)
            return false;
    return true;
}

static int read_row(struct sheet *s, const struct audit *a, struct err *err)
{
    struct slice id = trimmed(s->csv.fields[s->id]);
    int32_t item;
    char check[12];
    if (is_empty(&s->csv))
        return ERR_NONE;
    if (!map_get(&s->ids, id.data, id.length, &item))
        return csv_complain(&s->csv, s->id, err,
                            "is \"%.*s\", which is no completion of this audit: is the sheet of "
                            "another one, or has a spreadsheet rewritten the id?",
                            (int)(id.length < 80 ? id.length : 80), id.data);
    if (s->row[item])
        return csv_complain(&s->csv, s->id, err,
                            "\"%.80s\" has been scored in row %ld already: keep one of them",
                            a->items[item].id, s->row[item]);
    s->row[item] = s->csv.row;
    completion_check(check, &a->items[item]);
    struct slice given = s->has_check ? trimmed(s->csv.fields[s->check]) : (struct slice){0};
    if (given.length && !slice_equals(given, check))
        return csv_complain(&s->csv, s->check, err,
                            "is \"%.*s\", but the completion of \"%.80s\" has %s: this row was "
                            "scored for another completion",
                            (int)(given.length < 20 ? given.length : 20), given.data,
                            a->items[item].id, check);
    return read_score(s, (size_t)item, err);
}

static int check_complete(const struct sheet *s, const struct audit *a, const char *name,
                          bool complete, struct err *err)
{
    for (size_t i = 0; i < a->n; i++) {
        char where[256];
        if (!s->row[i])
            return err_set(err, ERR_INPUT, name,
                           "has no row for \"%.80s\": every completion of the audit needs one "
                           "(\"skip\" leaves it out)",
                           a->items[i].id);
        if (!complete || s->mark[i] != AUDIT_OPEN)
            continue;
        snprintf(where, sizeof where, "%.180s, row %ld, column human_score", name, s->row[i]);
        return err_set(err, ERR_INPUT, where,
                       "has no score for \"%.80s\": give 0 to 10, or \"skip\" to leave it out",
                       a->items[i].id);
    }
    return ERR_NONE;
}

int audit_sheet_read(struct audit *a, const void *data, size_t size, const char *name,
                     bool complete, struct err *err)
{
    struct sheet s = {0};
    struct err local = {0};
    int status = sheet_open(&s, a, data, size, name, &local), got = 0;
    while (!status && (got = csv_next(&s.csv, &local)) == 1)
        status = read_row(&s, a, &local);
    if (!status && got < 0)
        status = (int)local.code;
    if (!status)
        status = check_complete(&s, a, name, complete, &local);
    for (size_t i = 0; i < a->n && !status; i++) {
        a->items[i].mark = s.mark[i];
        a->items[i].human = s.human[i];
    }
    if (status && err)
        *err = local;
    sheet_close(&s);
    return status;
}

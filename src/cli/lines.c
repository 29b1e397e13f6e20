/* lines.c: JSON lines in, JSON lines out; see lines.h. */
#include "cli/lines.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"

enum { FLUSH_BYTES = 1 << 18 };

int print_out(const void *text, size_t length, struct err *err)
{
    if (fwrite(text, 1, length, stdout) == length && fflush(stdout) == 0)
        return ERR_NONE;
    return err_set(err, ERR_MACHINE, "standard output", "cannot write: %s", strerror(errno));
}

int print_text(const struct str *text, struct err *err)
{
    return text->failed ? err_no_memory(err, "the output", text->length)
                        : print_out(str_text(text), text->length, err);
}

/* Lines of a regular file, for the progress; 0 for anything else. */
static long count_lines(const char *path)
{
    struct stat s;
    struct file_map map;
    if (!path || stat(path, &s) || !S_ISREG(s.st_mode) || file_map_open(&map, path, NULL))
        return 0;
    long n = 0;
    for (size_t i = 0; i < map.size; i++)
        n += map.data[i] == '\n';
    n += map.size && map.data[map.size - 1] != '\n';
    file_map_close(&map);
    return n;
}

int lines_open(struct lines *l, const struct common *common, const char *what, struct err *err)
{
    *l = (struct lines){0};
    const char *path = common->input ? common->input : "-";
    int status = jsonl_open(&l->in, path, err);
    if (status)
        return status;
    if (strcmp(path, "-") == 0 && isatty(STDIN_FILENO))
        log_info("reading JSON lines from the terminal; end with Ctrl-D");
    long total = count_lines(common->input);
    l->shows_progress = total > 0;
    if (l->shows_progress)
        progress_begin(&l->progress, what, total);
    return ERR_NONE;
}

int lines_next(struct lines *l, json_t **value, struct err *err)
{
    int got = jsonl_next(&l->in, value, err);
    l->line = l->in.line;
    return got;
}

bool lines_ready(const struct lines *l)
{
    /* Lines that stdio has already taken in look like "not there": that costs a smaller batch,
     * never a wrong answer. A closed pipe and a regular file are always ready. */
    struct pollfd p = {.fd = fileno(l->in.file), .events = POLLIN};
    return poll(&p, 1, 0) != 0;
}

void lines_bad(struct lines *l, long line, const struct err *why)
{
    if (!l->bad++)
        l->first_bad = line;
    size_t n = strlen(l->in.name);
    bool plain = !why->where[0] || strncmp(why->where, l->in.name, n) == 0;
    struct str text = {0};
    str_printf(&text, "%s%s%s", plain ? "" : why->where, plain ? "" : ": ", why->message);
    lines_begin(l);
    jw_key(&l->w, "line");
    jw_int(&l->w, line);
    jw_key(&l->w, "error");
    jw_text(&l->w, str_text(&text));
    lines_end(l);
    l->out.failed = l->out.failed || text.failed;
    str_free(&text);
}

void lines_begin(struct lines *l)
{
    jw_begin(&l->w, &l->out);
    jw_object_begin(&l->w);
}

void lines_end(struct lines *l)
{
    jw_object_end(&l->w);
    str_putc(&l->out, '\n');
}

int lines_flush(struct lines *l, struct err *err)
{
    if (l->out.failed)
        return err_no_memory(err, "the output", l->out.length);
    int status = l->out.length ? print_out(l->out.data, l->out.length, err) : ERR_NONE;
    str_clear(&l->out);
    if (!status && l->shows_progress)
        progress_step(&l->progress, l->line, NULL);
    return status;
}

int lines_close(struct lines *l, int status, struct err *err)
{
    struct err flush_err = {0};
    int flushed = lines_flush(l, &flush_err);
    if (!status && flushed) {
        status = flushed;
        *err = flush_err;
    }
    if (l->shows_progress)
        progress_end(&l->progress);
    if (!status && l->bad)
        status = err_set(err, ERR_INPUT, l->in.name,
                         "%ld of %ld lines could not be answered, the first is line %ld; each has "
                         "an \"error\" in the output",
                         l->bad, l->line, l->first_bad);
    jsonl_close(&l->in);
    str_free(&l->out);
    return status;
}

static int answer_line(lines_answer *answer, void *context, struct lines *l, const json_t *value,
                       struct err *err)
{
    size_t before = l->out.length;
    lines_begin(l);
    int status = answer(context, l, value, err);
    if (status == ERR_INPUT) {
        l->out.length = before;
        lines_bad(l, l->line, err);
        return ERR_NONE;
    }
    lines_end(l);
    return status;
}

int lines_each(const struct common *common, const char *what, lines_answer *answer, void *context,
               struct err *err)
{
    struct lines l;
    int status = lines_open(&l, common, what, err);
    if (status)
        return status;
    json_t *value = NULL;
    int got = 0;
    while (!status && (got = lines_next(&l, &value, err)) == 1) {
        if (value)
            status = answer_line(answer, context, &l, value, err);
        else
            lines_bad(&l, l.line, err);
        json_decref(value);
        if (!status && (l.out.length > FLUSH_BYTES || !lines_ready(&l)))
            status = lines_flush(&l, err);
    }
    if (!status && got < 0)
        status = (int)err->code;
    return lines_close(&l, status, err);
}

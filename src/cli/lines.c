/* lines.c: JSON lines in, JSON lines out; see lines.h. */
#include "cli/lines.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/team.h"

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

bool lines_ready(struct lines *l)
{
    return jsonl_ready(&l->in);
}

void lines_bad(struct lines *l, long line, const struct err *why)
{
    if (!l->bad || line < l->first_bad) /* a thread that helps others may go back */
        l->first_bad = line;
    l->bad++;
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

/* --- on several threads --- */

/* A line and its answer. */
struct piece {
    size_t at, length; /* in the chunk's text */
    long line;
    struct str out;
};

struct chunk {
    struct str text;
    struct piece *pieces;
    int count, room;
    struct lines *parts; /* (threads): what each of them writes with */
    lines_answer *answer;
    void *const *contexts; /* (threads) */
    pthread_mutex_t lock;  /* of what follows */
    int first_failed;      /* the first piece with an error that ends the loop; count: none */
    struct err why;
};

enum { CHUNK_LINES = 256 /* a thread */, CHUNK_BYTES = 1 << 22 };

/* Takes lines as long as they come without waiting. 1; 0 at the end, -1 on an error, both maybe
 * with lines taken before. */
static int fill_chunk(struct chunk *c, struct lines *l, struct err *err)
{
    struct slice text;
    int got = 1;
    c->count = 0;
    str_clear(&c->text);
    while (c->count < c->room && c->text.length < CHUNK_BYTES && (!c->count || lines_ready(l)) &&
           (got = jsonl_take(&l->in, &text, err)) == 1) {
        struct piece *p = &c->pieces[c->count++];
        p->at = c->text.length;
        p->length = text.length;
        p->line = l->line = l->in.line;
        str_append(&c->text, text.data, text.length);
    }
    if (!c->text.failed)
        return got;
    c->count = 0;
    err_no_memory(err, l->in.name, c->text.length);
    return -1;
}

static int answer_piece(struct chunk *c, int thread, struct piece *p, struct err *why)
{
    struct lines *part = &c->parts[thread];
    json_t *value;
    str_clear(&p->out);
    part->out = p->out;
    part->line = p->line;
    int status = jsonl_parse(&value, (struct slice){c->text.data + p->at, p->length}, part->in.name,
                             p->line, why);
    if (status == ERR_INPUT) {
        lines_bad(part, p->line, why);
        status = ERR_NONE;
    } else if (!status) {
        status = answer_line(c->answer, c->contexts[thread], part, value, why);
    }
    json_decref(value);
    p->out = part->out;
    if (!status && p->out.failed)
        status = err_no_memory(why, "the output", p->out.length);
    return status;
}

static void answer_pieces(void *context, int thread, int first, int end)
{
    struct chunk *c = context;
    for (int i = first; i < end; i++) {
        struct err why = {0};
        if (answer_piece(c, thread, &c->pieces[i], &why) == ERR_NONE)
            continue;
        pthread_mutex_lock(&c->lock);
        if (i < c->first_failed) {
            c->first_failed = i;
            c->why = why;
        }
        pthread_mutex_unlock(&c->lock);
    }
}

/* Answers in the order of the lines, up to the first one that ends the loop. */
static int put_chunk(struct lines *l, const struct chunk *c, struct err *err)
{
    for (int i = 0; i < c->first_failed; i++)
        str_append(&l->out, c->pieces[i].out.data, c->pieces[i].out.length);
    int status = lines_flush(l, err);
    if (!status && c->first_failed < c->count) {
        *err = c->why;
        status = (int)c->why.code;
    }
    return status;
}

static int make_chunk(struct chunk *c, const struct lines *l, int threads, struct err *err)
{
    c->room = CHUNK_LINES * threads;
    c->pieces = mem_calloc((size_t)c->room, sizeof *c->pieces);
    c->parts = mem_calloc((size_t)threads, sizeof *c->parts);
    if (!c->pieces || !c->parts)
        return err_no_memory(err, "lines", (size_t)c->room * sizeof *c->pieces);
    for (int t = 0; t < threads; t++)
        c->parts[t].in.name = l->in.name;
    return ERR_NONE;
}

/* What the threads counted. */
static void close_chunk(struct chunk *c, struct lines *l, int threads)
{
    for (int t = 0; c->parts && t < threads; t++) {
        const struct lines *part = &c->parts[t];
        if (part->bad && (!l->bad || part->first_bad < l->first_bad))
            l->first_bad = part->first_bad;
        l->bad += part->bad;
    }
    for (int i = 0; c->pieces && i < c->room; i++)
        str_free(&c->pieces[i].out);
    str_free(&c->text);
    mem_free(c->pieces);
    mem_free(c->parts);
}

int lines_each_parallel(const struct common *common, const char *what, lines_answer *answer,
                        void *const *contexts, int threads, struct err *err)
{
    struct lines l;
    struct chunk c = {.answer = answer, .contexts = contexts, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct team *team = NULL;
    int status = lines_open(&l, common, what, err);
    if (status)
        return status;
    status = make_chunk(&c, &l, threads, err);
    if (!status)
        status = team_open(&team, threads, err);
    int got = 1;
    while (!status && got == 1) {
        struct err why = {0};
        got = fill_chunk(&c, &l, &why);
        c.first_failed = c.count;
        team_run(team, answer_pieces, &c, c.count, 1);
        status = put_chunk(&l, &c, err);
        if (!status && got < 0) {
            *err = why;
            status = (int)why.code;
        }
    }
    team_close(team);
    close_chunk(&c, &l, threads);
    return lines_close(&l, status, err);
}

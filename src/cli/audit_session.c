/* audit_session.c: see audit_session.h. What has been marked is a stack, the marks found in the
 * sheet lowest, so that undo goes back over the beginning of this session too. */
#include "cli/audit_session.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/interrupt.h"
#include "base/log.h"

struct scoring {
    struct audit_job *job;
    size_t *marked; /* stack of items */
    size_t n_marked;
    size_t current;
    char *line; /* of getline */
    size_t room;
};

static void say(const char *text)
{
    fputs(text, stderr);
    fflush(stderr);
}

/* Line by line: line breaks stay, nothing else that moves a cursor. */
static void put_text(struct str *out, const char *title, const char *text, size_t length)
{
    str_printf(out, "--- %s ---\n", title);
    for (size_t i = 0; i < length;) {
        const char *end = memchr(text + i, '\n', length - i);
        size_t n = end ? (size_t)(end - text) - i : length - i;
        log_printable(out, text + i, n, 0);
        str_putc(out, '\n');
        i += n + 1;
    }
}

static void show(const struct scoring *s)
{
    const struct audit *a = &s->job->audit;
    const struct audit_item *item = &a->items[s->current];
    struct str out = {0};
    str_printf(&out, "\n[%zu of %zu] ", s->current + 1, a->n);
    log_printable(&out, item->task, strlen(item->task), 60);
    str_puts(&out, "  ");
    log_printable(&out, item->id, strlen(item->id), 80);
    str_putc(&out, '\n');
    put_text(&out, "prompt", item->prompt, strlen(item->prompt));
    put_text(&out, "completion", item->completion, item->completion_length);
    if (!item->completion_length)
        str_puts(&out, "(empty)\n");
    if (strcmp(item->stop_reason, "length") == 0)
        str_puts(&out, "(cut at max_completion_length)\n");
    if (item->reference[0])
        put_text(&out, "reference", item->reference, strlen(item->reference));
    say(str_text(&out));
    str_free(&out);
}

static void help(void)
{
    say("0 to 10 (also 7.5 or 7,5): how good the completion is, 10 the best you can imagine\n"
        "s  skip: leave this one out\n"
        "u  undo: back to the one before\n"
        "q  quit: what is scored is saved; the same command goes on\n");
}

static bool find_open(struct scoring *s)
{
    const struct audit *a = &s->job->audit;
    size_t i = 0;
    while (i < a->n && a->items[i].mark != AUDIT_OPEN)
        i++;
    s->current = i;
    return i < a->n;
}

static int set_mark(struct scoring *s, enum audit_mark mark, double human, struct err *err)
{
    struct audit_item *item = &s->job->audit.items[s->current];
    item->mark = mark;
    item->human = human;
    s->marked[s->n_marked++] = s->current;
    return audit_job_save_scores(s->job, err);
}

static int undo(struct scoring *s, struct err *err)
{
    if (!s->n_marked) {
        say("there is nothing before this one\n");
        return ERR_NONE;
    }
    s->current = s->marked[--s->n_marked];
    s->job->audit.items[s->current].mark = AUDIT_OPEN;
    int status = audit_job_save_scores(s->job, err);
    show(s);
    return status;
}

/* A line's white space and case away. */
static struct slice command_of(char *line)
{
    while (isspace((unsigned char)*line))
        line++;
    size_t n = strlen(line);
    while (n && isspace((unsigned char)line[n - 1]))
        n--;
    for (size_t i = 0; i < n; i++)
        line[i] = (char)tolower((unsigned char)line[i]);
    return (struct slice){line, n};
}

/* *next: this one is done. *over: the person leaves. */
static int obey(struct scoring *s, struct slice c, bool *next, bool *over, struct err *err)
{
    double score;
    *next = false;
    if (slice_equals(c, "q") || slice_equals(c, "quit")) {
        *over = true;
        return ERR_NONE;
    }
    if (slice_equals(c, "u") || slice_equals(c, "undo"))
        return undo(s, err);
    if (slice_equals(c, "s") || slice_equals(c, "skip")) {
        *next = true;
        return set_mark(s, AUDIT_SKIPPED, 0, err);
    }
    if (audit_parse_score(&score, c.data, c.length)) {
        *next = true;
        return set_mark(s, AUDIT_SCORED, score, err);
    }
    if (slice_equals(c, "?") || slice_equals(c, "help"))
        help();
    else
        say("that is no number from 0 to 10, nor s, u, q or ?\n");
    return ERR_NONE;
}

static int ask(struct scoring *s, bool *over, struct err *err)
{
    bool next = false;
    int status = ERR_NONE;
    show(s);
    while (!next && !*over && !status) {
        say("score 0-10 (s skip, u undo, q quit, ? help): ");
        if (getline(&s->line, &s->room, stdin) < 0) {
            say("\n");
            *over = true;
            return interrupt_requested()
                       ? err_set(err, ERR_INTERRUPTED, "audit",
                                 "interrupted; what is scored is saved, the same command goes on")
                       : ERR_NONE;
        }
        status = obey(s, command_of(s->line), &next, over, err);
    }
    return status;
}

int audit_session(struct audit_job *j, struct err *err)
{
    struct scoring s = {.job = j};
    int status = ERR_NONE;
    bool over = false;
    s.marked = mem_calloc(j->audit.n + 1, sizeof *s.marked);
    if (!s.marked)
        return err_no_memory(err, "the audit", j->audit.n);
    for (size_t i = 0; i < j->audit.n; i++)
        if (j->audit.items[i].mark != AUDIT_OPEN)
            s.marked[s.n_marked++] = i;
    if (find_open(&s))
        help();
    while (!over && !status && find_open(&s))
        status = ask(&s, &over, err);
    mem_free(s.marked);
    free(s.line);
    return status;
}

/* compare.c: this run's lines against a stored run's; see line.h. Only the same work on the same
 * kind of machine is compared: what was counted must be equal, so that a changed shape or formula
 * is never taken for a changed speed. */
#include <math.h>
#include <string.h>
#include "bench/line.h"

static const json_t *stored_line(const json_t *stored, const struct bench_line *line)
{
    size_t i;
    json_t *value;
    json_array_foreach((json_t *)(uintptr_t)json_object_get(stored, "phases"), i, value)
    {
        const char *shape = json_string_value(json_object_get(value, "shape"));
        const char *name = json_string_value(json_object_get(value, "name"));
        if (shape && name && strcmp(shape, line->shape) == 0 && strcmp(name, line->name) == 0)
            return value;
    }
    return NULL;
}

static int same_count(const struct bench_comparison *c, const struct bench_line *line,
                      const json_t *old, const char *key, double now, struct err *err)
{
    double then = NAN;
    int status = json_get_double(&then, old, key, true, c->path, err);
    if (status || fabs(then - now) <= 1e-9 * fabs(now))
        return status;
    return err_set(err, ERR_INPUT, c->path,
                   "\"%s\" of %s did other work: its %s are %g, this run's %g; compare runs with "
                   "the same options, or store a new reference",
                   line->name, line->shape, key, then, now);
}

static int compare_line(struct bench_comparison *c, const struct bench_lines *l, int i,
                        struct err *err)
{
    const struct bench_line *line = &l->line[i];
    const json_t *old = stored_line(c->stored, line);
    double seconds = NAN, spread = NAN;
    c->ratio[i] = NAN;
    c->limit[i] = 1 + c->tolerance;
    if (!old)
        return ERR_NONE;
    int status = same_count(c, line, old, "operations", line->operations, err);
    if (!status)
        status = same_count(c, line, old, "bytes", line->bytes, err);
    if (!status)
        status = json_get_double(&seconds, old, "seconds", true, c->path, err);
    if (!status && !(seconds > 0 && isfinite(seconds)))
        status = err_set(err, ERR_INPUT, c->path,
                         "\"seconds\" of \"%s\" is %g, expected more than 0", line->name, seconds);
    if (!status)
        status = json_get_double(&spread, old, "spread", true, c->path, err);
    if (!status && !(spread >= 0 && isfinite(spread)))
        status = err_set(err, ERR_INPUT, c->path, "\"spread\" of \"%s\" is %g, expected 0 or more",
                         line->name, spread);
    if (status)
        return status;
    c->ratio[i] = line->seconds / seconds;
    c->limit[i] = 1 + fmax(c->tolerance, fmax(spread, line->spread));
    return ERR_NONE;
}

int bench_compare(struct bench_comparison *c, const struct bench_lines *l, const char *kind,
                  struct err *err)
{
    const json_t *machine = json_object_get(c->stored, "machine");
    const char *stored = json_string_value(json_object_get(machine, "kind"));
    if (!stored || !json_is_array(json_object_get(c->stored, "phases")))
        return err_set(err, ERR_INPUT, c->path,
                       "is no stored run: expected what `grpo bench --json` prints, with "
                       "\"machine\" and \"phases\"");
    if (strcmp(stored, kind) != 0)
        return err_set(err, ERR_INPUT, c->path,
                       "was made on a machine of kind %.120s, this one is %.120s: times of "
                       "different kinds say nothing about the program",
                       stored, kind);
    int status = ERR_NONE, common = 0;
    c->slower = 0;
    for (int i = 0; i < l->n && !status; i++) {
        status = compare_line(c, l, i, err);
        common += !isnan(c->ratio[i]);
        c->slower += c->ratio[i] > c->limit[i];
    }
    if (!status && !common)
        status = err_set(err, ERR_INPUT, c->path, "has no line in common with this run");
    return status;
}

void bench_comparison_write(struct json_writer *w, const struct bench_comparison *c,
                            const struct bench_lines *l)
{
    jw_object_begin(w);
    jw_key(w, "file");
    jw_text(w, c->path);
    jw_key(w, "tolerance");
    jw_double(w, c->tolerance);
    jw_key(w, "slower");
    jw_int(w, c->slower);
    jw_key(w, "ratios");
    jw_array_begin(w);
    for (int i = 0; i < l->n; i++) {
        jw_object_begin(w);
        jw_key(w, "shape");
        jw_text(w, l->line[i].shape);
        jw_key(w, "name");
        jw_text(w, l->line[i].name);
        jw_key(w, "ratio");
        jw_double(w, c->ratio[i]);
        jw_key(w, "limit");
        jw_double(w, c->limit[i]);
        jw_object_end(w);
    }
    jw_array_end(w);
    jw_object_end(w);
}

void bench_comparison_print(struct str *out, const struct bench_comparison *c,
                            const struct bench_lines *l)
{
    str_printf(out,
               "\nagainst %s (time now ÷ time then; marked where it is more than %.2f and than the "
               "runs' own spread allows)\n",
               c->path, 1 + c->tolerance);
    for (int i = 0; i < l->n; i++) {
        str_printf(out, "%-14s %-18s ", l->line[i].shape, l->line[i].name);
        if (isnan(c->ratio[i]))
            str_puts(out, "not in the stored run\n");
        else if (c->ratio[i] > c->limit[i])
            str_printf(out, "%.3f  SLOWER\n", c->ratio[i]);
        else if (c->limit[i] > 1 + c->tolerance)
            str_printf(out, "%.3f  (spread: up to %.2f says nothing)\n", c->ratio[i], c->limit[i]);
        else
            str_printf(out, "%.3f\n", c->ratio[i]);
    }
}

int bench_comparison_verdict(const struct bench_comparison *c, const struct bench_lines *l,
                             struct err *err)
{
    int worst = -1;
    for (int i = 0; i < l->n; i++)
        if (c->ratio[i] > c->limit[i] && (worst < 0 || c->ratio[i] > c->ratio[worst]))
            worst = i;
    if (worst < 0)
        return ERR_NONE;
    return err_set(
        err, ERR_GATE, c->path,
        "%d lines are slower than the stored run by more than %g%% and their spread; the "
        "worst is \"%s\" of %s with a ratio of %.3f",
        c->slower, 100 * c->tolerance, l->line[worst].name, l->line[worst].shape, c->ratio[worst]);
}

/* line.c: medians, floors, and the two forms of a line; see line.h. */
#include "bench/line.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void bench_add(struct bench_lines *l, const char *shape, const char *name, double *seconds,
               int repeats, const struct bench_work *w)
{
    CHECK(l->n < BENCH_MAX_LINES && repeats > 0);
    struct bench_line *line = &l->line[l->n++];
    *line = (struct bench_line){.repeats = repeats, .work = *w};
    snprintf(line->shape, sizeof line->shape, "%s", shape);
    snprintf(line->name, sizeof line->name, "%s", name);
    qsort(seconds, (size_t)repeats, sizeof *seconds, ascending);
    line->seconds = (seconds[(repeats - 1) / 2] + seconds[repeats / 2]) / 2;
    line->spread = (seconds[repeats - 1] - seconds[0]) / line->seconds;
    for (int i = 0; i < w->n; i++) {
        line->operations += w->part[i].operations;
        line->bytes += w->part[i].bytes;
    }
}

static void set_floor(struct bench_line *line, const struct count_rates *r)
{
    double memory = 0;
    line->floor = 0;
    for (int i = 0; i < line->work.n; i++) {
        const struct work *w = &line->work.part[i];
        double floor = count_floor(w, r);
        line->floor += floor;
        memory += count_memory_bound(w, r) ? floor : 0;
    }
    line->memory_share = memory / line->floor;
}

void bench_floors(struct bench_lines *l, const struct count_rates *r)
{
    for (int i = 0; i < l->n; i++)
        set_floor(&l->line[i], r);
}

double bench_share(const struct bench_line *line)
{
    return line->floor / line->seconds;
}

static void write_number(struct json_writer *w, const char *key, double value)
{
    jw_key(w, key);
    jw_double(w, value);
}

void bench_line_write(struct json_writer *w, const struct bench_line *line)
{
    jw_object_begin(w);
    jw_key(w, "shape");
    jw_text(w, line->shape);
    jw_key(w, "name");
    jw_text(w, line->name);
    jw_key(w, "repeats");
    jw_int(w, line->repeats);
    write_number(w, "seconds", line->seconds);
    write_number(w, "spread", line->spread);
    write_number(w, "operations", line->operations);
    write_number(w, "bytes", line->bytes);
    write_number(w, "floor_seconds", line->floor);
    write_number(w, "floor_memory_share", line->memory_share);
    write_number(w, "share", bench_share(line));
    jw_key(w, "unit");
    jw_text(w, line->work.unit);
    write_number(w, "items", line->work.items);
    write_number(w, "items_per_second", line->work.items / line->seconds);
    jw_object_end(w);
}

void bench_lines_header(struct str *out)
{
    str_printf(out, "%-18s %11s %6s %11s %6s %11s %11s %12s\n", "", "median", "spread", "floor",
               "share", "GFLOP", "MB", "rate");
}

void bench_line_print(struct str *out, const struct bench_line *line)
{
    const char *bound = line->memory_share > 0.99   ? "memory"
                        : line->memory_share < 0.01 ? "products"
                                                    : "both";
    str_printf(out,
               "%-18s %9.3f ms %5.0f%% %9.3f ms %5.1f%% %11.3f %11.3f %12.0f %s/s; floor: %s\n",
               line->name, line->seconds * 1e3, 100 * line->spread, line->floor * 1e3,
               100 * bench_share(line), line->operations * 1e-9, line->bytes * 1e-6,
               line->work.items / line->seconds, line->work.unit, bound);
}

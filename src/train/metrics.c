/* metrics.c: see metrics.h. */
#include "train/metrics.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"

void metrics_clear(struct metrics *m)
{
    m->n = 0;
}

void metrics_add(struct metrics *m, double value, const char *name, ...)
{
    CHECK(m->n < METRICS_MAX);
    char *slot = m->names[m->n];
    va_list args;
    va_start(args, name);
    vsnprintf(slot, METRIC_NAME, name, args);
    va_end(args);
    m->list[m->n++] = (struct metric){slot, value};
}

double metrics_get(const struct metrics *m, const char *name)
{
    for (int i = 0; i < m->n; i++)
        if (strcmp(m->list[i].name, name) == 0)
            return m->list[i].value;
    return NAN;
}

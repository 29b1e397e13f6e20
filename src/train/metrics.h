/* metrics.h: the named numbers of one step, in the order they were added; TRL's names where it has
 * them. Only deterministic values: clocks go to timing.jsonl. */
#ifndef TRAIN_METRICS_H
#define TRAIN_METRICS_H
#include "track/track.h"

enum { METRICS_MAX = 2048, METRIC_NAME = 96 };

struct metrics {
    struct metric list[METRICS_MAX]; /* names point into `names` */
    char names[METRICS_MAX][METRIC_NAME];
    int n;
};

void metrics_clear(struct metrics *m);
/* printf-style name. Beyond METRICS_MAX further ones are our bug (CHECK). */
void metrics_add(struct metrics *m, double value, const char *name, ...)
    __attribute__((format(printf, 3, 4)));
/* NaN when there is none of that name. */
double metrics_get(const struct metrics *m, const char *name);

#endif

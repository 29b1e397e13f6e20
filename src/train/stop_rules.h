/* stop_rules.h: what a person watching the curves would stop a run for, as a table of rules over
 * streams of metrics. Pure: a rule sees the values that a metric had, step by step, and nothing
 * else; after a resume the streams are read back from metrics.jsonl, so rules keep no state.
 *
 *   flat         at the first value from after_step on: it is less than `rise` above the first
 * value below        the last `count` values, all after after_step, are below `value` plateau the
 * last `count` values, all after after_step, are within `tolerance` of `value`, or, where `value`
 * is not given, of each other still        from after_step on: no two values so far are more than
 * `tolerance` apart overfitting  after after_step, over the last `window` steps: the slope of
 * `against` has a 95% interval above 0 and that of `metric` has not
 *
 * A slope's interval is that of least squares over the steps (Student's t). A rule fires once.
 * Values that a step does not log, and NaN, are no part of a stream. */
#ifndef TRAIN_STOP_RULES_H
#define TRAIN_STOP_RULES_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/yaml.h"

struct stream {
    double *step;
    double *value;
    size_t n, capacity;
};

enum stop_action { STOP_WARN, STOP_STOP };

struct stop_rule {
    const struct stop_rule_kind *kind;
    const char *metric, *against; /* borrowed from the recipe or the table */
    int action;                   /* enum stop_action */
    int after_step, count, window;
    double value, tolerance, rise; /* value: NaN where it is not given */
    int line;                      /* of the recipe */
    struct stream stream, other;   /* of metric; of against */
    int fired;                     /* the step after which it did; −1: not yet */
    char why[240];                 /* then: a sentence with the numbers */
};
struct stop_rules {
    struct stop_rule *rules;
    int n;
};

/* From the recipe's list of maps such as {rule: below, metric: eval/insights, value: 0.65, count:
 * 3, after_step: 800, action: stop} (NULL: none). The node must outlive the rules. ERR_USAGE names
 * the line. */
int stop_rules_read(struct stop_rules *out, const struct yaml_node *node, const char *where,
                    struct err *err);
void stop_rules_free(struct stop_rules *s);
const char *stop_rule_name(const struct stop_rule *r); /* "below" */

/* What the metrics of one step are; NaN when there is none of that name. */
typedef double stop_rules_get(const void *metrics, const char *name);
/* Takes the metrics of a step (ascending) and judges the rules whose metric has a new value.
 * ERR_MACHINE when memory is out. */
int stop_rules_feed(struct stop_rules *s, int step, stop_rules_get *get, const void *metrics,
                    struct err *err);
/* The first rule with action stop that has fired, or NULL. */
const struct stop_rule *stop_rules_stopped(const struct stop_rules *s);
/* Whether a checkpoint must stay although newer ones fill the limit: `next` is the one after it,
 * `now` the newest. An overfitting rule that may still fire needs the last one from before its
 * window whenever it does; one that has fired needs that one. */
bool stop_rules_need(const struct stop_rules *s, int checkpoint, int next, int now);

#endif

/* doctor.h: what is found out about machine, model and recipe: the parts of `grpo doctor`, which
 * stages of `grpo run` take too. Each part adds a section to one report, a JSON object; it
 * is printed as it is (--json) or rendered for people from the same object, so the two cannot
 * differ. A part that finds something wrong adds a check that says no; oddities are warnings. */
#ifndef PROTOCOL_DOCTOR_H
#define PROTOCOL_DOCTOR_H
#include <jansson.h>
#include "episode/gate.h"
#include "train/measure.h"
#include "train/options.h"
#include "train/setup.h"

struct doctor {
    const char *out; /* where the run would go */
    recipe *recipe;
    struct train_options o;
    struct device *device;
    struct setup setup;
    json_t *report;
    bool failed;        /* memory ran out while the report was put together */
    struct err said_no; /* of the first check that failed; code 0: none */
    /* what the sections found and the warnings are about */
    size_t duplicates;                           /* rows whose prompt an earlier row has too */
    size_t no_bos, one_bos, two_bos, inside_bos; /* rows by what their prompt begins with */
    int bos;                                     /* id; -1: none */
    bool puts_bos;                               /* the tokenizer, before plain text */
    int median_prompt;
    int n_tasks, smallest_eval_task;
    double memory_total, disk_free; /* bytes; 0: unknown */
    struct reward_gate gate;
    bool has_measured;
    struct measured measured;
};

/* --- sections, in the order of the report --- */
void doctor_machine(struct doctor *d);
int doctor_model(struct doctor *d, struct err *err);
int doctor_tokens(struct doctor *d, struct err *err); /* tokenizer, template */
int doctor_data(struct doctor *d, struct err *err);   /* rows, and the first one rendered */
int doctor_rewards(struct doctor *d, struct err *err);
void doctor_plan(struct doctor *d); /* plan, disk */
void doctor_time(struct doctor *d); /* from d->measured */
void doctor_warnings(struct doctor *d);

/* --- the report --- */
/* An object under a key of the report, or of another. Borrowed. */
json_t *doctor_section(struct doctor *d, json_t *parent, const char *name);
/* Takes the value; NULL: memory is out. */
void doctor_put(struct doctor *d, json_t *object, const char *key, json_t *value);
void doctor_push(struct doctor *d, json_t *array, json_t *value);
/* A text, of any bytes, as a JSON string; NULL: null. */
json_t *doctor_string(const char *text);
/* A check: {"id", "ok", "text"}; the first that says no decides the exit status. */
void doctor_check(struct doctor *d, const char *id, bool ok, enum err_code code, const char *format,
                  ...) __attribute__((format(printf, 5, 6)));
/* The report for people. */
void doctor_render(struct str *out, const json_t *report);

#endif

/* gate_record.h: what one stage of the protocol found, as gates/STAGE.json:
 *   {"stage", "verdict", "text", "error", "figures", "inputs", "outputs", "started", "seconds",
 *    "measured"}
 * Everything but the last three is a function of the inputs: two runs write the same bytes there.
 * "measured" holds what clocks and the system say (times, memory, free disk). */
#ifndef PROTOCOL_GATE_RECORD_H
#define PROTOCOL_GATE_RECORD_H
#include <jansson.h>
#include <stdbool.h>
#include "base/err.h"

enum gate_outcome { OUTCOME_PASS, OUTCOME_WARN, OUTCOME_FAIL, OUTCOME_SKIPPED };
const char *outcome_name(enum gate_outcome verdict); /* "pass", "warn", "fail", "skipped" */

enum { GATE_MAX_HASHES = 24 };
struct gate_hash {
    const char *name; /* static, or of the caller's life */
    char sha256[72];  /* or another text that stands for a state, such as "none" */
};
struct gate_hashes {
    struct gate_hash of[GATE_MAX_HASHES];
    int n;
};
/* Room for the hash of this name. More than GATE_MAX_HASHES are our bug (CHECK). */
char *gate_hashes_add(struct gate_hashes *h, const char *name);

struct gate_record {
    const char *stage;
    enum gate_outcome verdict;
    char text[1024];            /* a sentence for people */
    struct err error;           /* why it failed; code 0: it did not */
    json_t *figures;            /* object, owned */
    json_t *measured;           /* object, owned */
    struct gate_hashes inputs;  /* what the verdict depends on */
    struct gate_hashes outputs; /* files that must stay as they are; names are below the folder */
    double started, seconds;    /* Unix time; length */
};
/* ERR_MACHINE when memory is out. gate_record_free also then. */
int gate_record_begin(struct gate_record *g, const char *stage, struct err *err);
void gate_record_free(struct gate_record *g);
void gate_record_say(struct gate_record *g, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Puts a value (taken; NULL: memory is out) under a key of figures or measured. */
void gate_put(struct gate_record *g, json_t *object, const char *key, json_t *value);
/* Takes SHA-256 of FOLDER/name as an output ("absent" where there is none). */
int gate_record_output(struct gate_record *g, const char *folder, const char *name,
                       struct err *err);

/* FOLDER/gates/STAGE.json, atomically; the folder is made. */
int gate_write(const char *folder, const struct gate_record *g, struct err *err);
/* *out: the object, NULL where there is no file; json_decref. A file that is no such object is
 * ERR_INPUT. */
int gate_read(json_t **out, const char *folder, const char *stage, struct err *err);
int gate_remove(const char *folder, const char *stage, struct err *err);
/* Whether `saved` (may be NULL) let pass with these inputs, and its outputs under `folder` are
 * still there unchanged. */
bool gate_is_current(const json_t *saved, const struct gate_hashes *inputs, const char *folder);
/* SHA-256 of what is a function of the inputs: what stages that depend on this one see. */
int gate_digest(char out[72], const json_t *saved, struct err *err);

#endif

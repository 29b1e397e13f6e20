/* synth_rater_parts.h: what the files of the simulated rater share. Points are from 0 to 10. */
#ifndef DATA_SYNTH_RATER_PARTS_H
#define DATA_SYNTH_RATER_PARTS_H
#include <jansson.h>
#include "base/err.h"
#include "base/str.h"

/* What a person reads numbers as in Portuguese: "1.234,5", "12,5", "12.5", "1.234". From *at on;
 * false where there is no more. */
bool rater_number(double *value, const char *text, size_t length, size_t *at);
/* A text of the reference; ERR_INPUT where it is none. */
int rater_text(const char **out, const json_t *reference, const char *key, const char *id,
               struct err *err);
int rater_sql(double *points, const json_t *reference, const char *id, struct slice text,
              const char *folder, struct err *err);

#endif

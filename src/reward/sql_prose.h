/* sql_prose.h: the sentence beside a query: whether there is one, and whether what it claims agrees
 * with the result. */
#ifndef REWARD_SQL_PROSE_H
#define REWARD_SQL_PROSE_H
#include <stdbool.h>
#include "base/str.h"
#include "reward/sql_find.h"
#include "reward/sql_result.h"

struct sql_prose {
    struct str text; /* the answer without SQL and fenced blocks */
    double quality;  /* 0..1: a text of words of its own */
    int claims;      /* numbers that neither the question nor the query has */
    int grounded;    /* of them, those of the result */
    double score;    /* quality · (grounded / claims)²; without claims the quality */
};

/* Appends what of the answer is neither the found SQL nor a fenced block. */
void sql_prose_text(struct str *out, struct slice answer, const struct sql_found *found);

/* result: the reference's, of which `rows` rows count. false: memory is out. Free in any case. */
bool sql_prose_read(struct sql_prose *out, struct slice answer, const struct sql_found *found,
                    struct slice prompt, const struct sql_result *result, int rows);
void sql_prose_free(struct sql_prose *p);

#endif

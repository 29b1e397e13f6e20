/* score_fixtures.h: `grpo score --fixtures`: rewards against completions of known worth. */
#ifndef CLI_SCORE_FIXTURES_H
#define CLI_SCORE_FIXTURES_H
#include "cli/args.h"
#include "reward/reward.h"

/* Judges the reward `name` (NULL: each that comes with fixtures) by the fixtures in the program or,
 * where `file` is not NULL, in that file, and prints a table with the pairs that are the wrong way
 * round, or with --json one object. own: scores lines without params; may be NULL. ERR_GATE when a
 * reward does not hold. */
int score_fixtures(const struct common *common, const char *name, const reward *own,
                   const char *file, struct err *err);

#endif

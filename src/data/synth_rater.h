/* synth_rater.h: a stand-in for the person of the reward audit, for rows of the synthetic shop
 * alone. It grades a completion 0–10 from what the shop knows to be true (the row's reference, the
 * database), as someone would who reads quickly and does not know the rewards. None of the rewards'
 * code is in it, on purpose: two programs that share their parser share its bugs, and the audit is
 * there to find those. What it cannot be is a person: results say that they are simulated. */
#ifndef DATA_SYNTH_RATER_H
#define DATA_SYNTH_RATER_H
#include "base/err.h"
#include "data/rows.h"

/* Whether the row says that it was invented (SYNTH_SOURCE). */
bool synth_made(const struct row *row);

/* *grade: a whole number from 0 to 10. folder: where the row's database lies. The text is hostile:
 * a query runs read-only under bounds of work and size. ERR_USAGE for a row that is not of the
 * synthetic shop; ERR_INPUT for a reference or a database that is not as the shop makes them. */
int synth_rate(int *grade, const struct row *row, const char *text, size_t length,
               const char *folder, struct err *err);

#endif

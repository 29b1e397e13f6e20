/* audit_files.h: the files that an audit passes through people and programs by.
 *
 * completions.jsonl: {"id","task","prompt","completion","stop_reason","reference"}, one a line.
 * scores.csv: a sheet that opens in any spreadsheet: id, task, prompt, completion, reference,
 * human_score, check. Only id, human_score and check are read back; human_score is empty, 0 to 10
 * (decimals with a point or a comma), or "skip"; check ties a row to its completion, so that scores
 * of another model's completions are not taken for these. */
#ifndef EVAL_AUDIT_FILES_H
#define EVAL_AUDIT_FILES_H
#include "eval/audit.h"

void audit_completions_write(struct str *out, const struct audit *a);
/* Appends the items of a file. ERR_INPUT names line and key. */
int audit_completions_read(struct audit *a, const char *path, struct err *err);

/* UTF-8 with a byte-order mark, commas, CRLF, every field in quotes. What a spreadsheet would run
 * as a formula (= + - @ at the start of a field, line or piece of one) has a ' before it; control
 * characters are made visible; long texts are cut at 30,000 bytes, which a cell holds. */
void audit_sheet_write(struct str *out, const struct audit *a);
/* Marks and human scores from a sheet, in any order of rows, as spreadsheets save it: commas,
 * semicolons or tabs, a line "sep=;", UTF-8 or Latin-1, CRLF, empty rows. ERR_INPUT names file and
 * row: an id that is not of this audit or comes twice, a score out of range or no number, another
 * completion's row, an id that is missing, and (complete) one without score. On an error nothing is
 * changed. */
int audit_sheet_read(struct audit *a, const void *data, size_t size, const char *name,
                     bool complete, struct err *err);

/* Human against automatic scores, a letter or shape a task. */
void audit_plot_text(struct str *out, const struct audit *a);
void audit_plot_svg(struct str *out, const struct audit *a, const struct audit_result *r);

#endif

/* line.h: a completion to be scored, as one JSON object: the form that `grpo score` reads and that
 * fixtures are written in.
 *
 *   "prompt"      messages, or the user's text; may be absent
 *   "completion"  text ("text" where the row is another object, as in samples.jsonl)
 *   "group"       a list of the other completions of the same prompt; may be absent, and what is no
 *                 list is a column of the row's own
 *   and whatever else the reward reads of the row ("reference") */
#ifndef REWARD_LINE_H
#define REWARD_LINE_H
#include "reward/reward.h"

/* Zero-initialise; used again for each line, so that its memory is. */
struct reward_line {
    struct reward_input in; /* borrows from the two objects and from what follows */
    struct str prompt;
    struct slice *group;
    size_t group_capacity;
};

/* Reads the completion and its group from `line`, the prompt from `row` (the same object, or the
 * dataset row that the line is about). ERR_INPUT names the key. */
int reward_line_read(struct reward_line *l, const json_t *line, const json_t *row, struct err *err);
void reward_line_free(struct reward_line *l);

#endif

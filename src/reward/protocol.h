/* protocol.h: the lines between grpo and a reward of the user's own (docs/REWARDS_PROTOCOL.md).
 * Text in, text or numbers out: nothing here knows of processes. */
#ifndef REWARD_PROTOCOL_H
#define REWARD_PROTOCOL_H
#include "reward/reward.h"

/* Appends one request with its newline:
 *   {"id": 7, "completion": "…", "prompt": "…", "row": {…} or null}
 * and with_group, behind the prompt, "group": [texts], "sample": index in it (null, 0 where nothing
 * is known of others). No text can break it: there is no newline and no NUL in it, invalid UTF-8
 * is U+FFFD. Shell scripts lean on the order and the spaces. */
void protocol_request(struct str *out, long long id, const struct reward_input *in,
                      bool with_group);

enum { PROTOCOL_WHY = 200 };
/* Reads the answer to request `id` into *out, which reward_evaluate has prepared:
 *   {"id": 7, "score": x}, "components": {name: number or null} beside it or instead of it,
 *   {"id": 7, "not_applicable": "why"}, {"id": 7, "error": "why"}
 * "explain": {…} may stand beside each and goes to *explain (not NULL) as JSON.
 * False, with *out as it was: the line is no JSON object or has not this id, so whoever wrote it no
 * longer keeps to the protocol. True: *out is the answer; of a wrong one REWARD_FAILED, saying what
 * is wrong. `list`: the n components; where there is one, and it is called "score", the score is
 * its value. */
bool protocol_answer(struct reward_result *out, char why[PROTOCOL_WHY], const char *line,
                     size_t length, long long id, const struct reward_component *list, int n,
                     struct str *explain);

#endif

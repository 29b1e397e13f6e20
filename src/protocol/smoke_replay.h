/* smoke_replay.h: completions and rewards for the smoke stage from a file, for a model whose own
 * earn no signal yet (a random one, or one that gets every answer wrong). The step keeps the
 * recipe's shape: prompts_per_step · steps_per_generation groups of num_generations completions.
 *
 * A line of the file is one completion: a line of samples.jsonl, of a training of any model on the
 * same rows, or one that a person wrote:
 *   {"prompt_id", "ids" or "text"[, "reward"][, "components"][, "stop_reason"][, "step"]}
 * prompt_id names a row of the recipe's data; its prompt is that row's, whatever the line has.
 * Lines of one prompt (and step) that follow each other are a group. Where a line has both "ids"
 * and "text", and the ids do not spell the text under this model's tokenizer, they are of another
 * tokenizer: the text is encoded anew, with an EOS behind it unless "stop_reason" says otherwise.
 * "reward" is taken; where no line of a group has it, the recipe's rewards score the texts.
 * Log-probabilities are of another model and not read. Completions longer than
 * max_completion_length are cut to it.
 *
 * The file is read as far as groups in which rewards vary are needed; where it has too few of them,
 * those that it has come again. */
#ifndef PROTOCOL_SMOKE_REPLAY_H
#define PROTOCOL_SMOKE_REPLAY_H
#include "train/samples.h"
#include "train/setup.h"

struct smoke_replay {
    struct replay replay;     /* all its lines are of step 1 */
    int groups;               /* different ones; the step has more where they come again */
    int encoded, scored, cut; /* completions: from their text; by the recipe's rewards; too long */
};
/* `s` is open (rows, codec, rewards) and must outlive it. ERR_INPUT naming the line and what to do:
 * lines that are none of the above, no line of a row of `data`, an id beyond the vocabulary without
 * a text, no group of num_generations completions, no group in which rewards vary. */
int smoke_replay_open(struct smoke_replay *out, const char *path, const struct setup *s,
                      struct err *err);
void smoke_replay_close(struct smoke_replay *r);

#endif

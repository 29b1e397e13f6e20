/* run_folder.h: making, cleaning and filling a run folder (trainer.h says what is in it). */
#ifndef TRAIN_RUN_FOLDER_H
#define TRAIN_RUN_FOLDER_H
#include "model/model.h"

/* RUN/checkpoints and RUN/eval. */
int run_folder_make(const char *run, struct err *err);
/* Removes what an interrupted process left half-written in RUN and RUN/eval (of checkpoints that is
 * checkpoint_latest's business). */
int run_folder_clean(const char *run, struct err *err);
/* best_checkpoint/: the adapter with tokenizer and template of the model folder `from`, so that it
 * can be used as it is. The old one stays whole until the new one is. */
int run_folder_save_best(const char *run, adapter *a, const char *from, struct err *err);
/* Whether there is one: people delete it to save room. */
bool run_folder_has_best(const char *run);

#endif

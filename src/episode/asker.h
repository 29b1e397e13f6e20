/* asker.h: rewards that wait for a process of their own (REWARD_NEEDS_PROCESS) are asked by
 * threads, as many for each as it can serve at once: while other completions are still being
 * sampled, and several completions at a time. Each result has its place before it is asked for, so
 * nothing depends on who answers when. */
#ifndef EPISODE_ASKER_H
#define EPISODE_ASKER_H
#include "episode/episode.h"

typedef struct asker asker;

/* For up to `samples` questions to each reward of the set between two asker_wait. *out is NULL
 * where no reward of the set waits for a process. The set is borrowed. */
int asker_create(asker **out, const struct reward_set *set, int samples, struct err *err);
void asker_free(asker *a); /* as asker_drop, then the threads end; NULL is fine */
const struct reward_set *asker_set(const asker *a);
/* (set->count): which rewards are its; see scored.ready. */
const bool *asker_items(const asker *a);
/* The rewards that look at a completion's group, which must be asked when all of it is there. */
bool asker_needs_group(const asker *a, int item);

/* Puts a question; what `in` points to, and *result, belong to the threads until asker_wait. */
void asker_ask(asker *a, int item, const struct reward_input *in, struct reward_result *result);
void asker_wait(asker *a); /* until every question is answered */
void asker_drop(asker *a); /* forgets those that nobody has begun, waits for the others */

#endif

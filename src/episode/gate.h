/* gate.h: may a policy be trained on these rewards? Every reward of a set that has a weight is
 * held against its fixtures (reward/fixtures.h): the recipe's own file where it names one
 * (`fixtures`), scored by the reward as the recipe configures it, else those of the program. A
 * reward that does not hold stops the gate, unless the recipe says `known_gameable: true`: then it
 * is a warning. A reward without fixtures is passed, and said to be. */
#ifndef EPISODE_GATE_H
#define EPISODE_GATE_H
#include "base/json.h"
#include "episode/episode.h"

enum gate_verdict { GATE_HOLDS, GATE_NO_FIXTURES, GATE_KNOWN_GAMEABLE, GATE_FAILS };
const char *gate_verdict_name(enum gate_verdict verdict); /* "holds", "no_fixtures", … */

struct gate_item {
    const struct task_reward *item;
    enum gate_verdict verdict;
    int fixtures, wrong;                   /* lines; pairs the wrong way round */
    double lowest_gold, highest_adversary; /* NaN: of none */
    char why[400];                         /* what is wrong; "" where nothing is */
};
struct reward_gate {
    struct gate_item *items;
    int count;
    enum gate_verdict worst;
};

/* ERR_USAGE, ERR_INPUT for fixtures that cannot be read, ERR_MACHINE; a reward that does not hold
 * is no error. The set is borrowed. */
int reward_gate_open(struct reward_gate *g, const struct reward_set *set, struct err *err);
void reward_gate_close(struct reward_gate *g);
/* A sentence for people about one item. */
void reward_gate_say(struct str *out, const struct gate_item *item);
/* A list of objects for run.json and gates. */
void reward_gate_write(struct json_writer *w, const struct reward_gate *g);

#endif

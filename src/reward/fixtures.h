/* fixtures.h: does a reward put good answers above bad ones? Fixtures are completions of which a
 * person has said what they are; the verdict says whether the reward agrees. `grpo score
 * --fixtures` prints it, `grpo doctor` checks it, training warns of it (episode/gate.h).
 *
 * A fixture is a line of JSON as line.h has it, with
 *
 *   "kind"          gold, near_miss, empty or adversarial
 *   "case"          lines of one case answer one prompt and are compared with each other
 *   "note"          what is wrong or tried; may be absent
 *   "params"        the reward's parameters for this line; may be absent
 *   "database_sql"  may be absent: SQL text; an SQLite database is made of it in a temporary file
 *                   whose path takes the place of every text "$DATABASE" in params and reference
 *
 * A line {"defaults": {...}} gives later lines the keys that they do not have.
 *
 * The reward holds when in every case each gold scores above each near miss, each near miss above
 * each empty answer, and each adversary below each gold. Ties do not hold, but for near misses and
 * empty answers under a reward whose scores are all 0 or 1. Every case needs a gold,
 * every kind a line somewhere, and every line a score: one that fails or does not apply proves
 * nothing. */
#ifndef REWARD_FIXTURES_H
#define REWARD_FIXTURES_H
#include "reward/reward.h"

enum fixture_kind {
    FIXTURE_GOLD,
    FIXTURE_NEAR_MISS,
    FIXTURE_EMPTY,
    FIXTURE_ADVERSARIAL,
    FIXTURE_KINDS
};
const char *fixture_kind_name(enum fixture_kind kind); /* as it is written in the line */

struct fixture {
    long line;               /* 1-based, in its file */
    const char *group;       /* its case */
    const char *note;        /* "" when there is none */
    enum fixture_kind kind;  /* */
    struct reward_result is; /* what the reward says of it */
    json_t *json;            /* the line, whose texts the above are */
};

/* Two of one case that are the wrong way round. */
struct fixture_pair {
    int better, worse; /* indices of fixtures: what they should be */
};

struct fixture_verdict {
    struct fixture *fixtures;
    int count;
    int counts[FIXTURE_KINDS];
    double lowest[FIXTURE_KINDS], highest[FIXTURE_KINDS]; /* scores; NaN: of none */
    struct fixture_pair *pairs;
    int n_pairs;
    int not_scored;   /* fixtures without a score */
    char lacking[96]; /* what the file does not have: "no adversarial", …; "" when it is whole */
    bool holds;
};

/* The fixtures that come with the program; data is NULL when the reward has none. */
struct slice fixtures_shipped(const char *reward_name);

/* Scores every line of `text`. `name` is the reward; lines without params are scored by `own`, or
 * by the reward with no parameters where own is NULL. `where` names the file in messages. ERR_INPUT
 * for a line that is no fixture, reward_create's errors, ERR_MACHINE; a reward that does not hold
 * is no error. Release with fixture_verdict_free, also after an error. */
int fixtures_judge(struct fixture_verdict *v, const char *name, const reward *own,
                   struct slice text, const char *where, struct err *err);
void fixture_verdict_free(struct fixture_verdict *v);

/* One sentence on what is wrong, the worst pair first; nothing is appended when the reward holds.
 */
void fixture_verdict_explain(struct str *out, const struct fixture_verdict *v);
/* "case estados: an adversarial (keyword salad) has 0.720, a gold 0.640" */
void fixture_pair_text(struct str *out, const struct fixture_verdict *v, int pair);

/* What tools/embed_fixtures.sh writes: fixtures/NAME.jsonl, byte for byte, sorted by name. */
struct fixture_file {
    const char *name;
    const unsigned char *data;
    size_t length;
};
extern const struct fixture_file fixture_files[];
extern const int n_fixture_files;

#endif

/* insights_ground.h: which numbers of a text are claims, and whether the data bear them out. */
#ifndef REWARD_INSIGHTS_GROUND_H
#define REWARD_INSIGHTS_GROUND_H
#include "reward/ptbr_number.h"
#include "reward/reward.h"

enum { GROUND_MAX_DATA = 64, GROUND_MAX_CLAIMS = 64 };

enum ground {
    GROUND_NONE,    /* a claim that nothing bears out */
    GROUND_GIVEN,   /* a number of the data */
    GROUND_DERIVED, /* of two numbers of the data, or of a share and its whole */
    GROUND_EXCUSED, /* no claim: a list's mark, an ordinal, a date, a count of points */
    GROUND_TARGET   /* no claim: what somebody is told to reach */
};

/* What a number is a number of. A share is no price and a price no count. */
enum ground_kind { GROUND_PLAIN, GROUND_PERCENT, GROUND_CURRENCY, GROUND_TIMES, GROUND_KINDS };

struct ground_datum {
    double value, unit;
    enum ground_kind kind;
    bool untold; /* of the reference, or with cents: may be any kind */
};

struct ground_claim {
    struct ptbr_number number;
    enum ground_kind kind;
    enum ground ground;
};

/* What can be computed of the data, by kind, in order of size, each once. */
struct ground_values {
    double *values;
    size_t n, capacity;
};

struct grounding {
    struct ground_datum data[GROUND_MAX_DATA];
    int n_data;
    struct ground_values derived[GROUND_KINDS];
    struct ground_claim claims[GROUND_MAX_CLAIMS]; /* each number once */
    int n_claims, n_targets;
    int beyond;        /* numbers after the last claim there is room for */
    struct str folded; /* one word */
    bool no_memory;
};

/* The data: numbers of the prompt's first `length` bytes and of reference.numbers. false: that is
 * not what it should be, and out says so. */
bool grounding_read_data(struct grounding *g, const struct reward_input *in, size_t length,
                         struct reward_result *out);
void grounding_read_claims(struct grounding *g, const char *text, size_t length);
void grounding_free(struct grounding *g);

#endif

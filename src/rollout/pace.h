/* pace.h: what a decoding pass of so many rows takes, by the clock, and hence how many drafts it
 * pays to check in one. Plain data; zero-initialise. A clock may decide this because it decides
 * nothing else: tokens and log-probabilities are the same however many drafts were checked. */
#ifndef ROLLOUT_PACE_H
#define ROLLOUT_PACE_H

enum { PACE_SIZES = 96, PACE_LEVELS = 64 };

struct pace_point { /* passes of about so many rows, the past fading */
    double rows, seconds, deviation;
    long seen; /* the pass that was last; 0: none */
    int times; /* so many passes, up to what is remembered */
};

struct pace {
    struct pace_point points[PACE_SIZES];
    long passes;
    double saved, spent; /* seconds: against passes without drafts, and in all */
    int wait, patience;  /* passes until drafts are made again after none was worth a row */
};

/* (Seconds of processors, all threads together: that is what a pass costs, whoever else computes on
 * the machine.) A pass of `rows` rows, `plain` of them not drafts, gave `tokens` tokens. */
void pace_saw(struct pace *p, int rows, int plain, int tokens, double seconds);
/* How probable a draft must be at least to be worth a row beside `plain` others, of which there
 * may be `room` in all; above 1: none is (this counts as a pass that was waited). */
float pace_price(struct pace *p, int plain, int room);
/* How many drafts to check: of counts[l] drafts with probability about (l + ½) / PACE_LEVELS the
 * likeliest first, so that a token takes least time. */
int pace_choose(struct pace *p, int plain, int room, const int counts[PACE_LEVELS]);

#endif

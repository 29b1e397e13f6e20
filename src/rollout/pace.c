/* pace.c: measured times of passes; see pace.h.
 *
 * What a further row costs is nothing as long as the weights' way from memory is what a pass waits
 * for, and as much as any row once the matrix units are busy; where that changes, and in which
 * steps (16 rows of an AMX tile), is the machine's and the model's. So passes are timed, by number
 * of rows: each number up to 16, then four a power of two; in between, straight lines.
 *
 * Chosen is the number of drafts m with the least t(n + m) / (n + what they are expected to add).
 * Numbers of rows that were never seen are taken to be free, one at a time beyond the most that
 * were: so they are tried. A time is forgotten after STALE passes: contexts grow, machines get
 * busy, a time that was too long would else never be measured again.
 *
 * Losses are bounded: drafts must promise MARGIN, times that stand out are cut, and as soon as
 * drafts have cost more than ALLOWED of the time that was spent (and GRACE passes, for the first
 * trials), no draft is made until it is less. */
#include "rollout/pace.h"
#include <stdbool.h>

enum { EACH = 16, STALE = 1024, MOST_PATIENCE = 15 };

static const double MARGIN = 0.97, ALLOWED = 0.005, OUTLIER = 1.5, FADING = 1.0 / 8, GRACE = 2;

/* Sizes end at edges: 1 … 16, 20, 24, 28, 32, 40, … */
static int edge_of(int size)
{
    if (size < EACH)
        return size + 1;
    int octave = (size - EACH) / 4, quarter = (size - EACH) % 4;
    return octave > 20 ? 1 << 25 : (EACH << octave) / 4 * (5 + quarter);
}

static int size_of(int rows)
{
    int size = 0;
    while (size < PACE_SIZES - 1 && edge_of(size) < rows)
        size++;
    return size;
}

static bool known(const struct pace *p, int size)
{
    return p->points[size].seen && p->passes - p->points[size].seen < STALE;
}

/* Known sizes around `rows`, or -1: by the rows that were measured, not the size's edge. */
static void around(const struct pace *p, int rows, int *below, int *above)
{
    *below = *above = -1;
    for (int s = 0; s < PACE_SIZES && *above < 0; s++)
        if (known(p, s) && p->points[s].rows <= rows)
            *below = s;
        else if (known(p, s))
            *above = s;
}

/* Seconds of a pass of `rows` rows; beyond what is known, those of the largest. */
static double seconds_of(const struct pace *p, int rows)
{
    int below, above;
    around(p, rows, &below, &above);
    if (below < 0)
        return above < 0 ? 0 : p->points[above].seconds;
    const struct pace_point *a = &p->points[below], *b = above < 0 ? a : &p->points[above];
    double part = b->rows > a->rows ? (rows - a->rows) / (b->rows - a->rows) : 0;
    return a->seconds + part * (b->seconds - a->seconds);
}

void pace_saw(struct pace *p, int rows, int plain, int tokens, double seconds)
{
    double expected = seconds_of(p, rows), alone = seconds_of(p, plain);
    int size = size_of(rows);
    struct pace_point *point = &p->points[size];
    p->passes++;
    p->spent += seconds;
    if (rows > plain) { /* what was gained long ago pays for no loss of today */
        p->saved += alone / plain * tokens - seconds;
        p->saved = p->saved < ALLOWED * p->spent ? p->saved : ALLOWED * p->spent;
    }
    if (!point->seen || p->passes - point->seen >= STALE)
        *point = (struct pace_point){rows, seconds, p->passes};
    if (seconds > OUTLIER * expected && expected > 0)
        seconds = OUTLIER * expected;
    point->rows += (rows - point->rows) * FADING;
    point->seconds += (seconds - point->seconds) * FADING;
    point->seen = p->passes;
}

static int largest_known(const struct pace *p)
{
    int last = 0;
    for (int s = 0; s < PACE_SIZES; s++)
        last = known(p, s) ? s : last;
    return last;
}

/* The most rows that may be tried: one size beyond what is known. */
static int reach(const struct pace *p, int room)
{
    int last = largest_known(p);
    int most = last + 1 < PACE_SIZES ? edge_of(last + 1) : room;
    return most < room ? most : room;
}

float pace_price(struct pace *p, int plain, int room)
{
    double alone = seconds_of(p, plain), price = 2;
    if (p->wait > 0)
        p->wait--;
    else if (known(p, size_of(plain)) && alone > 0 &&
             p->saved > -ALLOWED * p->spent - GRACE * alone) {
        room = reach(p, room);
        for (int s = size_of(plain + 1); s < PACE_SIZES && plain < room; s++) {
            int rows = edge_of(s) < room ? edge_of(s) : room;
            double each = (seconds_of(p, rows) - alone) / (rows - plain) / (alone / plain);
            price = each < price ? each : price;
            if (rows == room)
                break;
        }
    }
    return price < 0 ? 0 : (float)price;
}

/* Tokens that the likeliest `m` drafts are expected to add. */
static double expected_of(const int counts[PACE_LEVELS], int m)
{
    double sum = 0;
    for (int level = PACE_LEVELS - 1; level >= 0 && m > 0; level--) {
        int some = counts[level] < m ? counts[level] : m;
        sum += some * (level + 0.5) / PACE_LEVELS;
        m -= some;
    }
    return sum;
}

int pace_choose(struct pace *p, int plain, int room, const int counts[PACE_LEVELS])
{
    int drafts = 0, best = 0;
    for (int level = 0; level < PACE_LEVELS; level++)
        drafts += counts[level];
    room = reach(p, room);
    room = room < plain + drafts ? room : plain + drafts;
    double alone = seconds_of(p, plain) / plain, least = alone;
    int last = largest_known(p);
    for (int s = size_of(plain + 1); s < PACE_SIZES && plain < room; s++) {
        int rows = edge_of(s) < room ? edge_of(s) : room;
        double each = seconds_of(p, rows) / (plain + expected_of(counts, rows - plain));
        if (each < least && (s > last || each < MARGIN * alone)) { /* a trial needs no margin */
            least = each;
            best = rows - plain;
        }
        if (rows == room)
            break;
    }
    p->patience = best                                  ? 0
                  : p->patience * 2 + 1 < MOST_PATIENCE ? p->patience * 2 + 1
                                                        : MOST_PATIENCE;
    p->wait = p->patience;
    return best;
}

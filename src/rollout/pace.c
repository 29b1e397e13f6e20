/* pace.c: measured times of passes; see pace.h.
 *
 * What a further row costs is nothing as long as the weights' way from memory is what a pass waits
 * for, and as much as any row once the matrix units are busy; where that changes, and in which
 * steps (16 rows of an AMX tile), is the machine's and the model's. So passes are timed, by number
 * of rows: each number up to 16, then four a power of two; in between, straight lines.
 *
 * A size's time is a fading mean of its last 16 passes or so, outliers cut, and has a deviation. It
 * is forgotten after STALE passes: contexts grow, and one that was too long would else never be
 * measured again. Each PLAINLY-th pass is one without drafts, for what they are compared with.
 *
 * Chosen is the number of drafts m with the least t(n + m) / (n + what they are expected to add),
 * where t is taken SURE standard errors longer than its mean, and shorter where there are no
 * drafts: of several sizes that cost the same, one will have looked cheap by chance. Sizes that
 * were seen less than TRIALS times are taken to be free, one at a time beyond the most rows that
 * were: so they are tried.
 *
 * Losses are bounded: drafts must promise MARGIN (trials excepted), and as soon as they have cost
 * more than ALLOWED of the time that was spent (and GRACE passes, for the first trials), none is
 * made until it is less. Both sides of this account are times as estimated: so it watches whether
 * promises are kept, and no noise. */
#include "rollout/pace.h"
#include <math.h>
#include <stdbool.h>

enum { EACH = 16, STALE = 1024, TRIALS = 3, PLAINLY = 16, MEMORY = 16, MOST_PATIENCE = 15 };

static const double MARGIN = 0.98, ALLOWED = 0.005, GRACE = 2, SURE = 1.5, OUTLIER = 0.5;

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

static bool fresh(const struct pace *p, int size)
{
    return p->points[size].seen && p->passes - p->points[size].seen < STALE;
}

static bool known(const struct pace *p, int size)
{
    return fresh(p, size) && p->points[size].times >= TRIALS;
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

/* Whether something is known of passes of `rows` rows. */
static bool is_between(const struct pace *p, int rows)
{
    int below, above;
    around(p, rows, &below, &above);
    return known(p, size_of(rows)) || (below >= 0 && above >= 0);
}

/* Seconds of a pass of `rows` rows, SURE or not at all; beyond what is known, those of the largest.
 */
static double value_of(const struct pace_point *a, double sure)
{
    return a->seconds + sure * a->deviation / sqrt(a->times);
}

static double seconds_of(const struct pace *p, int rows, double sure)
{
    int below, above;
    around(p, rows, &below, &above);
    if (below < 0)
        return above < 0 ? 0 : value_of(&p->points[above], sure);
    const struct pace_point *a = &p->points[below], *b = above < 0 ? a : &p->points[above];
    double part = b->rows > a->rows ? (rows - a->rows) / (b->rows - a->rows) : 0;
    return value_of(a, sure) + part * (value_of(b, sure) - value_of(a, sure));
}

/* Rows and seconds move together, so that a point stays on the curve it is of. The deviation is
 * 1.25 times the mean absolute one, which outliers swell less than the squares. */
static void move_point(struct pace_point *point, int rows, double seconds)
{
    point->times += point->times < MEMORY;
    double longer = seconds - point->seconds, step = 1.0 / point->times;
    longer = longer < OUTLIER * point->seconds ? longer : OUTLIER * point->seconds;
    point->rows += (rows - point->rows) * step;
    point->seconds += longer * step;
    point->deviation += (1.25 * fabs(longer) - point->deviation) * step;
}

void pace_saw(struct pace *p, int rows, int plain, int tokens, double seconds)
{
    struct pace_point *point = &p->points[size_of(rows)];
    if (!fresh(p, size_of(rows)))
        *point = (struct pace_point){.rows = rows, .seconds = seconds};
    move_point(point, rows, seconds);
    p->passes++;
    point->seen = p->passes;
    p->spent += seconds_of(p, rows, 0);
    if (rows > plain) { /* what was gained long ago pays for no loss of today */
        p->saved += seconds_of(p, plain, -SURE) / plain * tokens - seconds_of(p, rows, SURE);
        p->saved = p->saved < ALLOWED * p->spent ? p->saved : ALLOWED * p->spent;
    }
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
    double alone = seconds_of(p, plain, 0), price = 2;
    if (p->wait > 0)
        p->wait--;
    else if (p->passes % PLAINLY && is_between(p, plain) && alone > 0 &&
             p->saved > -ALLOWED * p->spent - GRACE * alone) {
        room = reach(p, room);
        for (int s = size_of(plain + 1); s < PACE_SIZES && plain < room; s++) {
            int rows = edge_of(s) < room ? edge_of(s) : room;
            double each = (seconds_of(p, rows, 0) - alone) / (rows - plain) / (alone / plain);
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
    double alone = seconds_of(p, plain, -SURE) / plain, least = alone;
    for (int s = size_of(plain + 1); s < PACE_SIZES && plain < room; s++) {
        int rows = edge_of(s) < room ? edge_of(s) : room;
        double each = seconds_of(p, rows, SURE) / (plain + expected_of(counts, rows - plain));
        if (each < least && (!known(p, s) || each < MARGIN * alone)) { /* or a trial */
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

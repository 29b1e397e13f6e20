/* schedule.c: see schedule.h. The factors are transformers' lambda functions, evaluated in double
 * as Python does, so equal inputs give equal learning rates but for the last bit of cos(). */
#include "train/schedule.h"
#include <math.h>
#include <stddef.h>
#include "base/check.h"

const char *const schedule_names[] = {"constant", "constant_with_warmup", "linear",
                                      "cosine",   "cosine_with_min_lr",   NULL};

int schedule_warmup_steps(int max_steps, double ratio)
{
    return (int)ceil(max_steps * ratio);
}

static double cosine(double progress)
{
    return 0.5 * (1 + cos(acos(-1.0) * progress));
}

/* Factor of the base rate once `done` optimizer steps are behind us. */
static double factor(enum schedule schedule, int done, int warmup, int total, double min_rate)
{
    if (schedule == SCHEDULE_CONSTANT)
        return 1; /* no warm-up, whatever warmup says: so get_scheduler("constant") */
    if (done < warmup)
        return (double)done / warmup;
    int after = total - warmup > 1 ? total - warmup : 1;
    switch (schedule) {
    case SCHEDULE_CONSTANT_WITH_WARMUP:
        return 1;
    case SCHEDULE_LINEAR:
        return fmax(0, (double)(total - done) / after);
    case SCHEDULE_COSINE:
        return fmax(0, cosine((double)(done - warmup) / after));
    case SCHEDULE_COSINE_WITH_MIN_LR:
        return fmax(0, cosine((double)(done - warmup) / after) * (1 - min_rate) + min_rate);
    default:
        check_failed(__FILE__, __LINE__, "a schedule of the enum");
    }
}

double schedule_lr(enum schedule schedule, double base, int step, int warmup_steps, int max_steps,
                   double min_rate)
{
    CHECK(step >= 1);
    return base * factor(schedule, step - 1, warmup_steps, max_steps, min_rate);
}

/* faults.h: mistakes planted on purpose, to see what catches them (docs/TESTING.md has the table).
 *
 * Production code knows nothing of this. The test program is linked with -Wl,--wrap for each
 * function of tests/faults/wrapped; faults.c holds the wrappers, each of which calls the real
 * function unless its fault is planted. Faults of the device are put into a copy of its table of
 * operations as it is opened. */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

enum fault {
    NO_FAULT,
    ADAPTER_IGNORED,            /* A1: the rollout computes with the bare base */
    ADAPTER_STALE,              /* A1: weights are not prepared again after an update */
    TEMPERATURE_NOT_SAMPLED,    /* A2: the rollout samples at temperature 1 */
    TEMPERATURE_NOT_IN_LOGP,    /* A2: sampler and trainer both score at temperature 1 */
    CUT_IN_SECRET,              /* A3: the rollout draws from the 3 most probable tokens */
    MASK_OFF_BY_ONE,            /* A4: a completion's last token is not in the loss */
    TARGETS_SHIFTED,            /* A4: the trainer scores each row with the next row's token */
    EOS_UNKNOWN,                /* A4: nothing ends a completion */
    PROMPT_CUT,                 /* A4: a prompt of more than 25 tokens loses its beginning */
    DENOMINATOR_OF_COMPLETION,  /* A5: each completion is divided by its own length */
    DENOMINATOR_OF_MICRO_BATCH, /* A5: what a token weighs depends on micro_batch */
    TRAINER_DRIFTS,             /* A6: the trainer's log-probabilities are off by 1e-6 */
    LOSS_SIGN,                  /* A6: the derivative of the loss has the wrong sign */
    BACKWARD_SCALED,            /* A6: a backward kernel is off by one part in a hundred */
    CACHE_STALE,                /* A6: decoding sees the cache as it was a token ago */
    GRADIENT_LOST,              /* A7: the adapter's gradient is zero */
    UPDATE_LOST,                /* A7: the optimizer changes nothing */
    REWARD_NOISE,               /* A9: equal rewards of a group are told apart by noise */
    FAILURE_IS_ZERO,            /* A10: a reward that failed counts as 0 */
    REFERENCE_FOLLOWS,          /* A12: the KL's reference is the policy itself */
    MOMENTS_LOST,               /* B1: a resume starts with empty moments */
    CURSOR_LOST,                /* B1: a resume deals the data from the start */
    UNSEEDED,                   /* B2: draws depend on more than the seed */
    BEST_PRUNED,                /* B4: the best checkpoint goes with the old ones */
    BEST_NOT_BEST,              /* B4: later adapters overwrite the best */
    MEMORY_UNPLANNED,           /* a step takes 64 MiB that no plan has */
    N_FAULTS
};
extern enum fault planted;

/* Of GRPO_PLANT, which names the fault of a child process. */
extern const char *const fault_names[N_FAULTS];

#endif

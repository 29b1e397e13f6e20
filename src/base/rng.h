/* rng.h: counter-based randomness. A draw is a pure function of what it is for, never of when it is
 * made: no batch neighbour, thread, resume or line order can change it.
 * Generator: Philox4x32-10 (Salmon et al., SC 2011), keyed by (seed, purpose), counting over the
 * mixed remaining fields. */
#ifndef BASE_RNG_H
#define BASE_RNG_H
#include <stddef.h>
#include <stdint.h>

enum rng_purpose {
    RNG_SAMPLE = 1,      /* choosing a token */
    RNG_SHUFFLE = 2,     /* order of prompts in an epoch */
    RNG_INIT = 3,        /* initial adapter weights */
    RNG_SPLIT = 4,       /* data split */
    RNG_BOOTSTRAP = 5,   /* resampling in stats */
    RNG_TASK_PLAN = 6,   /* order of tasks within a stretch */
    RNG_SYNTH = 8,       /* the synthetic shop */
    RNG_PERMUTATION = 9, /* signs of a permutation test */
    RNG_OLIST = 10,      /* rows from Olist's data */
    RNG_AUDIT = 11       /* rows and tokens of the reward audit */
};

struct rng_key {
    uint64_t seed;
    enum rng_purpose purpose;
    uint64_t step, row, epoch, attempt, sample; /* row: rng_id of the row's id */
};

/* The bare generator, for known-answer tests: counter is replaced by its image under key. */
void rng_philox(uint32_t counter[4], const uint32_t key[2]);

/* 64 random bits, number `index` of the stream `key`. */
uint64_t rng_bits(const struct rng_key *key, uint64_t index);
/* Uniform in [0, 1) with 53 bits. */
double rng_uniform(const struct rng_key *key, uint64_t index);
/* The same for the indices first, first + 1, …: some times faster, for millions of them. */
void rng_uniforms(double *out, const struct rng_key *key, uint64_t first, size_t n);
/* Uniform integer in [0, n), n > 0, without modulo bias worth speaking of (128-bit multiply). */
uint64_t rng_below(const struct rng_key *key, uint64_t index, uint64_t n);
/* Standard normal (Box–Muller on draws 2·index and 2·index+1). */
double rng_normal(const struct rng_key *key, uint64_t index);
/* Fisher–Yates over items 0..n-1, written to order. */
void rng_permutation(const struct rng_key *key, uint32_t *order, size_t n);
/* A row id (any text) as a 64-bit number. */
uint64_t rng_id(const char *text, size_t length);

#endif

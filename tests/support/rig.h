/* rig.h: one opened device and the buffers of one check, for the tests of operations. Everything
 * made through a rig lives until rig_clear or rig_close. Device buffers carry guard values behind
 * their end, tested by rig_get, and start as NaN, so that what an operation leaves out or writes
 * too much is seen. Failures are cmocka assertions that name instruction set and precision. */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H
#include "support.h"
#include "backend/backend.h"
#include "backend/cpu/gemm_kernel.h"
#include "backend/ref/ref.h"
#include "../tolerance.h"

enum { RIG_MAX_BUFFERS = 512 };

struct rig {
    struct device *d;
    const struct backend *ops;
    bool bf16;
    bool emulated;     /* some 100 times slower: checks take fewer cases */
    const char *label; /* of the check that runs, for messages */
    int n_device, n_host, n_weights;
    struct rig_buffer {
        float *p;
        size_t n;
    } device[RIG_MAX_BUFFERS];
    void *host[RIG_MAX_BUFFERS];
    weight *weights[RIG_MAX_BUFFERS];
    double worst[TOL_COUNT]; /* largest error seen by rig_expect */
};

void rig_open(struct rig *g, const char *isa, enum precision precision, int threads);
/* With an emulated matrix kernel. */
void rig_open_kernel(struct rig *g, const struct gemm_kernel *kernel, int threads);
void rig_clear(struct rig *g);
void rig_close(struct rig *g);
/* rig_release frees what was made since the mark. */
struct rig_mark {
    int n_device, n_host, n_weights;
};
struct rig_mark rig_mark(const struct rig *g);
void rig_release(struct rig *g, struct rig_mark mark);
/* Runs check on every instruction set of this machine in both precisions, on `threads` threads, and
 * prints the sets that are not here and the largest errors seen beside those allowed. */
void rig_each(void (*check)(struct rig *g), int threads);

/* The same on two threads and then on one; rig_same_on_threads compares what the second run of a
 * check gives with what the first gave, call by call. */
void rig_each_threads(void (*check)(struct rig *g));
void rig_same_on_threads(struct rig *g, const char *what, const void *data, size_t bytes);

/* rig_each and rig_each_threads with emulated kernels, NULL behind the last. */
void rig_each_kernel(const struct gemm_kernel *const *kernels, void (*check)(struct rig *g),
                     int threads);
void rig_each_kernel_threads(const struct gemm_kernel *const *kernels,
                             void (*check)(struct rig *g));

/* --- host arrays --- */
void *rig_host(struct rig *g, size_t bytes);                            /* uninitialised */
float *rig_random(struct rig *g, size_t n, uint32_t seed, float scale); /* about normal */
double *rig_wide(struct rig *g, const float *x, size_t n);
/* As the matrix products see it: in bf16 mode rounded. (The reference's own flag does the same for
 * each product anew, which takes a while.) */
double *rig_wide_input(struct rig *g, const float *x, size_t n);
double *rig_zeros(struct rig *g, size_t n);
/* In bf16 mode in place to the nearest bf16; otherwise nothing. */
float *rig_round(struct rig *g, float *x, size_t n);
int *rig_ids(struct rig *g, size_t n, int below, uint32_t seed);

/* --- device --- */
float *rig_room(struct rig *g, size_t n);
float *rig_put(struct rig *g, const float *host, size_t n);
float *rig_get(struct rig *g, const float *device, size_t n); /* n: as it was made */
weight *rig_weight(struct rig *g, const float *host, int n, int k);
/* Caches of dims.cache_rows rows of keys and of values, made from rows (cache_rows,
 * kv_heads·head_dim); and back, rounded. */
void *rig_keys(struct rig *g, const float *host, struct attn_dims dims);
void *rig_values(struct rig *g, const float *host, struct attn_dims dims);
float *rig_get_keys(struct rig *g, void *cache, struct attn_dims dims);
float *rig_get_values(struct rig *g, void *cache, struct attn_dims dims);

/* Error as in tolerance.h, against its table. Prints nothing when it holds. */
void rig_expect(struct rig *g, enum tolerance_of tolerance, const char *what, const float *got,
                const double *want, size_t n);
/* The same, each element being allowed to lie `slack` (n, or NULL) further off. */
void rig_expect_near(struct rig *g, enum tolerance_of tolerance, const char *what, const float *got,
                     const double *want, const double *slack, size_t n);
/* Bit for bit. */
void rig_same(struct rig *g, const char *what, const void *got, const void *want, size_t bytes);

#endif

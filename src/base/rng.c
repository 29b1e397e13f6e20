/* rng.c: Philox4x32-10 behind a structured key; see rng.h.
 *
 * Philox (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011) maps
 * a 128-bit counter under a 64-bit key to 128 random bits. The key here is the mix of (seed,
 * purpose); the counter is the stream's 64-bit mix of the remaining fields, and the index. Two
 * different structured keys could only meet by a 64-bit collision. */
#include "base/rng.h"
#include <math.h>
#include "base/map.h"

/* SplitMix64's finisher: a bijection that diffuses every input bit. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

static uint64_t absorb(uint64_t state, uint64_t value)
{
    return mix(state * 0x9E3779B97F4A7C15ull + mix(value + 0x9E3779B97F4A7C15ull));
}

static void philox(uint32_t c[4], uint32_t k0, uint32_t k1)
{
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
        uint32_t next0 = (uint32_t)(p1 >> 32) ^ c[1] ^ k0;
        uint32_t next2 = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
        c[1] = (uint32_t)p1;
        c[3] = (uint32_t)p0;
        c[0] = next0;
        c[2] = next2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

void rng_philox(uint32_t counter[4], const uint32_t key[2])
{
    philox(counter, key[0], key[1]);
}

/* What a key comes down to: Philox's key, and the upper half of its counter. */
struct stream {
    uint32_t key[2], counter[2];
};

static struct stream stream_of(const struct rng_key *key)
{
    uint64_t k = absorb(absorb(1, key->seed), (uint64_t)key->purpose);
    uint64_t stream = absorb(2, key->step);
    stream = absorb(stream, key->row);
    stream = absorb(stream, key->epoch);
    stream = absorb(stream, key->attempt);
    stream = absorb(stream, key->sample);
    return (struct stream){{(uint32_t)k, (uint32_t)(k >> 32)},
                           {(uint32_t)stream, (uint32_t)(stream >> 32)}};
}

static uint64_t stream_bits(const struct stream *s, uint64_t index)
{
    uint32_t c[4] = {(uint32_t)index, (uint32_t)(index >> 32), s->counter[0], s->counter[1]};
    philox(c, s->key[0], s->key[1]);
    return (uint64_t)c[1] << 32 | c[0];
}

static double to_uniform(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1p-53;
}

uint64_t rng_bits(const struct rng_key *key, uint64_t index)
{
    struct stream s = stream_of(key);
    return stream_bits(&s, index);
}

double rng_uniform(const struct rng_key *key, uint64_t index)
{
    return to_uniform(rng_bits(key, index));
}

void rng_uniforms(double *out, const struct rng_key *key, uint64_t first, size_t n)
{
    struct stream s = stream_of(key);
    for (size_t i = 0; i < n; i++)
        out[i] = to_uniform(stream_bits(&s, first + i));
}

uint64_t rng_below(const struct rng_key *key, uint64_t index, uint64_t n)
{
    return (uint64_t)((unsigned __int128)rng_bits(key, index) * n >> 64);
}

double rng_normal(const struct rng_key *key, uint64_t index)
{
    double u = 1.0 - rng_uniform(key, 2 * index); /* (0, 1]: the logarithm is finite */
    double v = rng_uniform(key, 2 * index + 1);
    return sqrt(-2.0 * log(u)) * cos(2.0 * 3.14159265358979323846 * v);
}

void rng_permutation(const struct rng_key *key, uint32_t *order, size_t n)
{
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(key, i, i);
        uint32_t t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
}

uint64_t rng_id(const char *text, size_t length)
{
    return hash_bytes(text, length, 0x67727066ull);
}

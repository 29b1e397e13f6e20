"""The draws of src/base/rng.h (Philox4x32-10 over a mixed counter), for the other scripts here."""
MASK32, MASK64 = (1 << 32) - 1, (1 << 64) - 1
RNG_BOOTSTRAP, RNG_PERMUTATION = 5, 9


def mix(z):
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK64
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK64
    return z ^ z >> 31


def absorb(state, value):
    golden = 0x9E3779B97F4A7C15
    return mix((state * golden + mix((value + golden) & MASK64)) & MASK64)


def bits(seed, purpose, sample, index, attempt=0):
    """rng_bits of the key {seed, purpose, attempt, sample}."""
    key = absorb(absorb(1, seed), purpose)
    stream = 2
    for field in (0, 0, 0, attempt, sample):
        stream = absorb(stream, field)
    c = [index & MASK32, index >> 32, stream & MASK32, stream >> 32]
    k = [key & MASK32, key >> 32]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & MASK32, (p0 >> 32) ^ c[3] ^ k[1], p0 & MASK32]
        k = [(k[0] + 0x9E3779B9) & MASK32, (k[1] + 0xBB67AE85) & MASK32]
    return c[1] << 32 | c[0]


def below(seed, sample, index, n, attempt=0):
    """rng_below of the key {seed, RNG_BOOTSTRAP, attempt, sample}."""
    return bits(seed, RNG_BOOTSTRAP, sample, index, attempt) * n >> 64

/* counts.c: the formulas; see counts.h.
 *
 * A row through a matrix (N, K) is 2·N·K operations, through its branch 2·r·(K + N). The gradient
 * of the row's input costs the same again; the branch's own gradients, dA = duᵀ·x and db = dyᵀ·u,
 * cost another 2·r·(K + N). Frozen matrices have no gradient. Nothing lies below the first layer,
 * so the gradient of the input of its q, k and v is not needed.
 *
 * A query and a key it sees cost 2·D a head for the score and 2·D for the weighted sum of values;
 * in the backward pass five products of that size: the scores again, dp = do·vᵀ, dv, dq, dk.
 *
 * A prefix ends with the keys and values of the last layer: nothing reads the rest of that layer,
 * forward or backward.
 *
 * For the shape of Tucano2-0.5B and a step of 16 × 512 tokens behind 255 this gives 2.5 GFLOP of
 * gradient a token: frozen matrices and head 1.96, adapter 0.06, attention 0.41, logits again 0.10.
 */
#include "bench/counts.h"

struct projection_size {
    double k, n;
};

static struct projection_size projection_size(const struct hf_config *c, enum projection p)
{
    double hidden = c->hidden_size, inner = c->intermediate_size;
    double q = (double)c->heads * c->head_dim, kv = (double)c->kv_heads * c->head_dim;
    switch (p) {
    case PROJ_Q:
        return (struct projection_size){hidden, q};
    case PROJ_K:
    case PROJ_V:
        return (struct projection_size){hidden, kv};
    case PROJ_O:
        return (struct projection_size){q, hidden};
    case PROJ_DOWN:
        return (struct projection_size){inner, hidden};
    default:
        return (struct projection_size){hidden, inner};
    }
}

/* Sets of projections, as bits. */
enum {
    KEYS_VALUES = 1 << PROJ_K | 1 << PROJ_V,
    FROM_INPUT = 1 << PROJ_Q | KEYS_VALUES, /* those that read the layer's input */
    WHOLE_LAYER = (1 << N_PROJECTIONS) - 1
};

/* Elements of one layer's frozen matrices; of its branches' A (inner) and B (outer). */
struct elements {
    double frozen, inner, outer;
};

static struct elements elements(const struct count_model *m, unsigned set)
{
    struct elements e = {0};
    for (int p = 0; p < N_PROJECTIONS; p++) {
        struct projection_size s = projection_size(m->c, (enum projection)p);
        if (!(set & 1u << p))
            continue;
        e.frozen += s.k * s.n;
        if (m->lora && m->lora->targets[p]) {
            e.inner += m->lora->r * s.k;
            e.outer += m->lora->r * s.n;
        }
    }
    return e;
}

static double all(struct elements e)
{
    return e.frozen + e.inner + e.outer;
}

static double head_elements(const struct count_model *m)
{
    return (double)m->c->vocab_size * m->c->hidden_size;
}

struct count_model count_model(const struct hf_config *c, const struct peft_config *lora,
                               enum precision precision)
{
    return (struct count_model){c, lora, precision == PRECISION_BF16 ? 2 : 4};
}

double count_adapter_floats(const struct count_model *m)
{
    struct elements e = elements(m, WHOLE_LAYER);
    return m->c->layers * (e.inner + e.outer);
}

double count_pass_bytes(const struct count_model *m)
{
    return (m->c->layers * all(elements(m, WHOLE_LAYER)) + head_elements(m)) * m->element_bytes;
}

double count_kv_bytes(const struct count_model *m)
{
    return 2.0 * m->c->layers * m->c->kv_heads * m->c->head_dim * m->element_bytes;
}

/* Operations of `products` products between queries and keys for so many pairs, in one layer. */
static double attention(const struct count_model *m, double pairs, int products)
{
    return 2.0 * products * m->c->heads * m->c->head_dim * pairs;
}

enum { ATTENTION_FORWARD = 2, ATTENTION_BACKWARD = 5 };

/* Pairs of a query and a key it sees: of n tokens behind nothing; of a completion behind a prefix.
 */
static double pairs_of_prefix(double n)
{
    return n * (n + 1) / 2;
}

static double pairs_of_completion(double prefix, double length)
{
    return length * prefix + length * (length + 1) / 2;
}

/* --- forward --- */

/* Elements that a prefix's rows go through, all layers. */
static double prefix_elements(const struct count_model *m)
{
    return (m->c->layers - 1) * all(elements(m, WHOLE_LAYER)) + all(elements(m, KEYS_VALUES));
}

/* Operations of the prefixes' forward pass. */
static double prefix_forward(const struct count_model *m, const struct count_batch *b)
{
    double rows = b->prompt - 1;
    return b->groups *
           (2 * rows * prefix_elements(m) +
            (m->c->layers - 1) * attention(m, pairs_of_prefix(rows), ATTENTION_FORWARD));
}

struct work count_prefill(const struct count_model *m, const struct count_batch *b)
{
    return (struct work){prefix_forward(m, b), prefix_elements(m) * m->element_bytes};
}

/* Operations of so many rows through layers and head that see so many keys in all. */
static double rows_forward(const struct count_model *m, double rows, double pairs)
{
    double layers = m->c->layers;
    return 2 * rows * (layers * all(elements(m, WHOLE_LAYER)) + head_elements(m)) +
           layers * attention(m, pairs, ATTENTION_FORWARD);
}

struct work count_decode(const struct count_model *m, const struct count_batch *b, int first,
                         int end)
{
    struct work w = {0};
    double rows = (double)b->groups * b->per_group, prefix = b->prompt - 1;
    for (int t = first; t < end; t++) {
        w.operations += rows_forward(m, rows, rows * (prefix + t + 1));
        w.bytes += count_pass_bytes(m) + count_kv_bytes(m) * (b->groups * prefix + rows * t);
    }
    return w;
}

static double completions_forward(const struct count_model *m, const struct count_batch *b)
{
    double sequences = (double)b->groups * b->per_group;
    return rows_forward(m, sequences * b->length,
                        sequences * pairs_of_completion(b->prompt - 1, b->length));
}

struct work count_score(const struct count_model *m, const struct count_batch *b)
{
    return (struct work){prefix_forward(m, b) + completions_forward(m, b), count_pass_bytes(m)};
}

/* --- backward --- */

/* Operations a row of one layer's projections in `set`; without_input: those of them whose input
 * needs no gradient. */
static double layer_backward(const struct count_model *m, unsigned set, unsigned without_input)
{
    struct elements e = elements(m, set), below = elements(m, set & ~without_input);
    double du = e.outer, dx = below.frozen + below.inner, own = e.inner + e.outer;
    return 2 * (du + dx + own);
}

/* Operations a row of all layers; the top layer's projections may be fewer. */
static double layers_backward(const struct count_model *m, unsigned top)
{
    int layers = m->c->layers;
    if (layers == 1)
        return layer_backward(m, top, FROM_INPUT);
    return layer_backward(m, WHOLE_LAYER, FROM_INPUT) +
           (layers - 2) * layer_backward(m, WHOLE_LAYER, 0) + layer_backward(m, top, 0);
}

static double prefix_backward(const struct count_model *m, const struct count_batch *b)
{
    double rows = b->prompt - 1;
    return b->groups *
           (rows * layers_backward(m, KEYS_VALUES) +
            (m->c->layers - 1) * attention(m, pairs_of_prefix(rows), ATTENTION_BACKWARD));
}

/* The head: the logits again, and the hidden states' gradient from them. */
static double completions_backward(const struct count_model *m, const struct count_batch *b)
{
    double sequences = (double)b->groups * b->per_group;
    return sequences * b->length * (layers_backward(m, WHOLE_LAYER) + 2 * 2 * head_elements(m)) +
           m->c->layers * attention(m, sequences * pairs_of_completion(b->prompt - 1, b->length),
                                    ATTENTION_BACKWARD);
}

struct work count_gradient(const struct count_model *m, const struct count_batch *b)
{
    return (struct work){prefix_forward(m, b) + completions_forward(m, b) + prefix_backward(m, b) +
                             completions_backward(m, b),
                         2 * count_pass_bytes(m)};
}

/* --- the rest of a step --- */

struct work count_optimizer(const struct count_model *m)
{
    double norm = 4, read = 4 * 4, written = 3 * 4; /* gradient; with parameter and moments */
    return (struct work){0, count_adapter_floats(m) * (norm + read + written + m->element_bytes)};
}

struct work count_checkpoint(const struct count_model *m)
{
    return (struct work){0, count_adapter_floats(m) * (3 * 4 + 3 * 4)};
}

/* --- floors --- */

double count_floor(const struct work *w, const struct count_rates *r)
{
    double operations = w->operations / r->matrix, bytes = w->bytes / r->read;
    return operations > bytes ? operations : bytes;
}

bool count_memory_bound(const struct work *w, const struct count_rates *r)
{
    return w->bytes / r->read > w->operations / r->matrix;
}

/* pretrain_step.c: one step of pretraining on a page (pretrain_step), and its parts; see
 * pretrain_step.h.
 *
 * Passes are filled with pieces until the next one has no room. A piece is a span of the ragged
 * batch with positions from 0, its keys and values in its own rows: nothing is padded, and no
 * document sees another. */
#include "train/pretrain_step.h"
#include <math.h>
#include <string.h>
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

/* --- the tables of a pass --- */

static size_t row_bytes(void)
{
    return 4 * sizeof(int) + sizeof(struct attn_span) + 2 * sizeof(float) + sizeof(bool);
}

/* Each piece of a document starts at a multiple of KV_ALIGN rows; a pass of many short ones ends
 * before its last row. */
int pretrain_kv_rows(int max_rows)
{
    return max_rows + max_rows / 2;
}

size_t pretrain_pass_bytes(int max_rows)
{
    return (size_t)max_rows * row_bytes();
}

int pretrain_pass_create(struct pretrain_pass *p, int max_rows, struct err *err)
{
    size_t n = (size_t)max_rows;
    *p = (struct pretrain_pass){.max_rows = max_rows};
    char *at = p->storage = mem_calloc(n, row_bytes());
    if (!at)
        return err_no_memory(err, "the tables of a pass", n * row_bytes());
    p->spans = (struct attn_span *)at; /* all but `counts` are of the same alignment */
    p->ids = (int *)(p->spans + n);
    p->positions = p->ids + n;
    p->kv_rows = p->positions + n;
    p->targets = p->kv_rows + n;
    p->logp = (void *)(p->targets + n);
    p->dlogp = p->logp + n;
    p->counts = (void *)(p->dlogp + n);
    return ERR_NONE;
}

void pretrain_pass_free(struct pretrain_pass *p)
{
    mem_free(p->storage);
    *p = (struct pretrain_pass){0};
}

static void pass_clear(struct pretrain_pass *p)
{
    p->rows = p->n_spans = p->next_kv_row = 0;
}

/* false: no room. */
static bool pass_add(struct pretrain_pass *p, const struct corpus *c,
                     const struct corpus_piece *piece)
{
    int own_row = kv_own_row(p->next_kv_row, 0);
    if (piece->rows > p->max_rows - p->rows ||
        piece->rows > pretrain_kv_rows(p->max_rows) - own_row)
        return false;
    const int *ids = c->ids.data + piece->document->start + piece->from;
    p->spans[p->n_spans++] =
        (struct attn_span){.q_row = p->rows, .n_q = piece->rows, .own_row = own_row};
    for (int i = 0; i < piece->rows; i++) {
        int row = p->rows + i;
        p->ids[row] = ids[i];
        p->targets[row] = ids[i + 1];
        p->positions[row] = i;
        p->kv_rows[row] = own_row + i;
        p->counts[row] = piece->from + i + 1 >= piece->document->first_count;
    }
    p->rows += piece->rows;
    p->next_kv_row = own_row + piece->rows;
    return true;
}

static struct batch pass_batch(const struct pretrain_pass *p)
{
    return (struct batch){.rows = p->rows,
                          .ids = p->ids,
                          .positions = p->positions,
                          .kv_rows = p->kv_rows,
                          .spans = p->spans,
                          .n_spans = p->n_spans};
}

/* Adds −log p of the rows that count, one after the other: the sum knows nothing of passes. */
static void pass_loss(const struct pretrain_pass *p, double *sum)
{
    for (int i = 0; i < p->rows; i++)
        if (p->counts[i])
            *sum -= (double)p->logp[i];
}

static int check_stop(const struct pretrain *p, struct err *err)
{
    return p->stop && p->stop() ? err_set(err, ERR_INTERRUPTED, "pretrain", "interrupted")
                                : ERR_NONE;
}

/* --- opening --- */

static int load_weights(full_model *f, const char *folder, struct err *err)
{
    struct tensor_set set = {0};
    int status = safetensors_open_folder(&set, folder, err);
    if (!status && (status = full_load(f, &set, err)))
        err_prefix(err, folder);
    tensor_set_close(&set);
    return status;
}

static int open_pieces(struct pretrain *p, struct err *err)
{
    size_t n = (size_t)p->o->sequences_per_step * (size_t)corpus_dealer_pieces(&p->dealer);
    p->pieces = mem_alloc(n * sizeof *p->pieces);
    return p->pieces ? ERR_NONE : err_no_memory(err, "a step's pieces", n * sizeof *p->pieces);
}

int pretrain_open(struct pretrain *p, struct device *d, const struct hf_config *config,
                  const struct pretrain_size *size, struct err *err)
{
    size_t params = full_floats(config),
           hidden = (size_t)size->max_rows * (size_t)config->hidden_size;
    p->d = d;
    int status = full_create(&p->f, d, config, size->max_context, p->o->initializer_range,
                             (uint64_t)p->o->seed, err);
    if (!status && p->o->init_model)
        status = load_weights(p->f, p->o->init_model, err);
    if (!status)
        status = kv_cache_create(&p->kv, full_weights(p->f), pretrain_kv_rows(size->max_rows), err);
    if (!status)
        status = activations_create(&p->acts, full_weights(p->f), NULL, size->max_rows, err);
    if (!status)
        status = optimizer_create(&p->optimizer, d, params, err);
    if (!status)
        status = open_pieces(p, err);
    if (!status)
        status = pretrain_pass_create(&p->pass, size->max_rows, err);
    if (status)
        return status;
    p->hidden = d->ops->alloc(d, hidden * sizeof(float), err);
    p->grad = p->hidden ? d->ops->alloc(d, params * sizeof(float), err) : NULL;
    return p->grad ? ERR_NONE : ERR_MACHINE;
}

void pretrain_close(struct pretrain *p)
{
    if (p->d) {
        p->d->ops->free(p->d, p->grad);
        p->d->ops->free(p->d, p->hidden);
    }
    pretrain_pass_free(&p->pass);
    mem_free(p->pieces);
    optimizer_free(&p->optimizer);
    activations_free(p->acts);
    kv_cache_free(&p->kv);
    full_close(p->f);
    corpus_dealer_free(&p->dealer);
}

/* --- a step --- */

static int deal(struct pretrain *p, int step, long *counted)
{
    int n = 0;
    *counted = 0;
    p->rows = 0;
    for (int i = 0; i < p->o->sequences_per_step; i++) {
        uint64_t s = (uint64_t)(step - 1) * (uint64_t)p->o->sequences_per_step + (uint64_t)i;
        n += corpus_deal(&p->dealer, s, p->pieces + n);
    }
    for (int i = 0; i < n; i++) {
        p->rows += p->pieces[i].rows;
        *counted += corpus_piece_counted(&p->pieces[i]);
    }
    return n;
}

static int one_pass(struct pretrain *p, long counted, double *sum, struct err *err)
{
    struct pretrain_pass *pass = &p->pass;
    struct batch batch = pass_batch(pass);
    int status = check_stop(p, err);
    if (status)
        return status;
    for (int i = 0; i < pass->rows; i++)
        pass->dlogp[i] = pass->counts[i] ? (float)(-1.0 / (double)counted) : 0;
    full_gradient(p->f, &p->kv, p->acts, p->hidden, &batch, pass->targets, pass->dlogp, pass->logp,
                  p->grad);
    pass_loss(pass, sum);
    return ERR_NONE;
}

/* Fills p->grad with the gradient of the step's mean loss. */
static int gradient_of(struct pretrain *p, int n_pieces, long counted, double *loss,
                       struct err *err)
{
    const struct corpus *c = p->dealer.corpus;
    double started = clock_seconds(), sum = 0;
    p->d->ops->zero(p->d, p->grad, p->optimizer.n * sizeof(float));
    pass_clear(&p->pass);
    int status = ERR_NONE;
    for (int i = 0; i < n_pieces && !status;) {
        bool taken = pass_add(&p->pass, c, &p->pieces[i]);
        CHECK(taken || p->pass.rows);
        i += taken;
        if (taken && i < n_pieces)
            continue;
        status = one_pass(p, counted, &sum, err);
        pass_clear(&p->pass);
    }
    *loss = sum / (double)counted;
    p->times.gradient = clock_seconds() - started;
    return status;
}

static int update(struct pretrain *p, int step, struct err *err)
{
    double started = clock_seconds(), norm;
    struct trainable params = trainable_full(p->f);
    struct optimizer_call call = optim_call(&p->o->optim, step, p->warmup_steps, p->max_steps);
    int status = optimizer_step(&p->optimizer, &params, p->grad, &call, &norm, err);
    if (status)
        return status;
    metrics_add(&p->metrics, norm, "grad_norm");
    metrics_add(&p->metrics, call.learning_rate, "learning_rate");
    p->times.update = clock_seconds() - started;
    return ERR_NONE;
}

int pretrain_step(struct pretrain *p, int step, struct err *err)
{
    long counted;
    double loss;
    metrics_clear(&p->metrics);
    p->times = (struct pretrain_times){0};
    int n_pieces = deal(p, step, &counted);
    if (!counted) /* packing: a step may lie within a long prompt */
        return err_set(err, ERR_INPUT, p->dealer.corpus->path,
                       "step %d has no token that counts (completion_only_loss): raise "
                       "sequences_per_step or max_length",
                       step);
    int status = gradient_of(p, n_pieces, counted, &loss, err);
    if (!status && !isfinite(loss))
        status = err_set(err, ERR_MACHINE, "pretrain",
                         "the loss of step %d is not finite; nothing was changed: lower "
                         "learning_rate and resume from the last checkpoint",
                         step);
    metrics_add(&p->metrics, loss, "loss");
    if (!status)
        status = update(p, step, err);
    if (status)
        return status;
    p->num_tokens += p->rows;
    uint64_t sequences = (uint64_t)step * (uint64_t)p->o->sequences_per_step;
    metrics_add(&p->metrics, corpus_dealer_epochs(&p->dealer, sequences), "epoch");
    metrics_add(&p->metrics, (double)p->num_tokens, "num_tokens");
    return ERR_NONE;
}

/* --- the held-out loss --- */

static int eval_pass(struct pretrain *p, double *sum, struct err *err)
{
    struct pretrain_pass *pass = &p->pass;
    model *m = full_weights(p->f);
    struct batch batch = pass_batch(pass);
    int status = check_stop(p, err);
    if (status)
        return status;
    model_forward_train(m, NULL, &p->kv, p->acts, p->hidden, &batch);
    p->d->ops->logprob(p->d, pass->logp, NULL, NULL, p->hidden, model_head(m), pass->targets, 1.0f,
                       pass->rows);
    pass_loss(pass, sum);
    return ERR_NONE;
}

int pretrain_eval_loss(struct pretrain *p, const struct corpus *c, double *loss, struct err *err)
{
    double sum = 0;
    long counted = 0;
    int status = ERR_NONE, most = p->o->max_length;
    pass_clear(&p->pass);
    for (size_t i = 0; i < c->count && !status; i++) {
        const struct corpus_document *document = &c->documents[i];
        for (int from = 0; from < document->tokens - 1 && !status; from += most) {
            int rows = document->tokens - 1 - from;
            struct corpus_piece piece = {document, from, rows < most ? rows : most};
            counted += corpus_piece_counted(&piece);
            if (pass_add(&p->pass, c, &piece))
                continue;
            status = eval_pass(p, &sum, err);
            pass_clear(&p->pass);
            bool taken = pass_add(&p->pass, c, &piece);
            CHECK(taken);
        }
    }
    if (!status && p->pass.rows)
        status = eval_pass(p, &sum, err);
    if (!status && !counted)
        status = err_set(err, ERR_INPUT, c->path, "has no token that counts");
    *loss = sum / (double)counted;
    if (!status && !isfinite(*loss))
        status = err_set(err, ERR_MACHINE, "pretrain", "the loss of %.200s is not finite", c->path);
    return status;
}

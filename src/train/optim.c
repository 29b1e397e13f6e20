/* optim.c: clipping, AdamW, and the optimizer's file; see optim.h. */
#include "train/optim.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"

int optimizer_create(struct optimizer *o, struct device *d, size_t n, struct err *err)
{
    *o = (struct optimizer){.d = d, .n = n};
    o->exp_avg = d->ops->alloc(d, n * sizeof(float), err);
    o->exp_avg_sq = o->exp_avg ? d->ops->alloc(d, n * sizeof(float), err) : NULL;
    if (!o->exp_avg_sq) {
        optimizer_free(o);
        return ERR_MACHINE;
    }
    d->ops->zero(d, o->exp_avg, n * sizeof(float));
    d->ops->zero(d, o->exp_avg_sq, n * sizeof(float));
    return ERR_NONE;
}

void optimizer_free(struct optimizer *o)
{
    if (o->d) {
        o->d->ops->free(o->d, o->exp_avg);
        o->d->ops->free(o->d, o->exp_avg_sq);
    }
    *o = (struct optimizer){0};
}

/* Neighbours that decay alike are one call: the arithmetic is element by element. */
static void update_all(struct optimizer *o, const struct trainable *t, const float *grad,
                       struct adamw_params *p)
{
    double weight_decay = p->weight_decay;
    for (int i = 0; i < t->n_tensors;) {
        struct param_tensor first = t->tensor(t->self, i), next = first;
        size_t begin = first.offset, end = begin;
        while (next.decays == first.decays && next.offset == end) {
            end += param_tensor_size(&next);
            if (++i == t->n_tensors)
                break;
            next = t->tensor(t->self, i);
        }
        p->weight_decay = first.decays ? weight_decay : 0;
        o->d->ops->adamw(o->d, t->params + begin, o->exp_avg + begin, o->exp_avg_sq + begin,
                         grad + begin, p, end - begin);
    }
}

int optimizer_step(struct optimizer *o, const struct trainable *t, float *grad,
                   const struct optimizer_call *call, double *norm, struct err *err)
{
    const struct backend *ops = o->d->ops;
    CHECK(t->n == o->n);
    *norm = sqrt(ops->sum_squares(o->d, grad, o->n));
    if (!isfinite(*norm))
        return err_set(err, ERR_MACHINE, "optimizer",
                       "the gradient of step %d is not finite; nothing was changed: lower "
                       "learning_rate and resume from the last checkpoint",
                       call->step);
    double factor = call->max_grad_norm > 0 ? call->max_grad_norm / (*norm + 1e-6) : 1.0;
    if (factor < 1.0)
        ops->scale(o->d, grad, (float)factor, o->n);
    struct adamw_params p = {.lr = call->learning_rate,
                             .beta1 = call->beta1,
                             .beta2 = call->beta2,
                             .eps = call->epsilon,
                             .weight_decay = call->weight_decay,
                             .step = call->step};
    update_all(o, t, grad, &p);
    t->refresh(t->self);
    return ERR_NONE;
}

/* --- the file --- */

enum { NAME_SIZE = 192 };
static const char *const moment_names[2] = {"exp_avg", "exp_avg_sq"};

int optimizer_write(const struct optimizer *o, const struct trainable *params, struct str *out,
                    struct err *err)
{
    int n = params->n_tensors;
    float *host = mem_alloc(2 * o->n * sizeof *host);
    struct tensor_out *list = mem_calloc(2 * (size_t)n, sizeof *list);
    char(*names)[NAME_SIZE] = mem_calloc(2 * (size_t)n, sizeof *names);
    int status = ERR_NONE;
    if (!host || !list || !names) {
        status = err_no_memory(err, "the optimizer's file", 2 * o->n * sizeof *host);
        goto done;
    }
    o->d->ops->download(o->d, host, o->exp_avg, o->n * sizeof *host);
    o->d->ops->download(o->d, host + o->n, o->exp_avg_sq, o->n * sizeof *host);
    for (int i = 0; i < 2 * n; i++) {
        struct param_tensor t = params->tensor(params->self, i % n);
        snprintf(names[i], NAME_SIZE, "%s.%s", moment_names[i / n], t.name);
        list[i] = (struct tensor_out){.name = names[i],
                                      .dtype = DTYPE_F32,
                                      .n_dims = t.cols ? 2 : 1,
                                      .shape = {(uint64_t)t.rows, (uint64_t)t.cols},
                                      .data = host + (size_t)(i / n) * o->n + t.offset};
    }
    status = safetensors_write(out, list, 2 * (size_t)n, err);
done:
    mem_free(host);
    mem_free(list);
    mem_free(names);
    return status;
}

static int load_moment(float *host, const struct param_tensor *t, const char *moment,
                       const struct tensor_set *set, const char *path, struct err *err)
{
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s.%s", moment, t->name);
    const struct tensor *found = tensor_find(set, name);
    if (!found)
        return err_set(err, ERR_INPUT, path, "tensor %s is missing", name);
    bool same = found->dtype == DTYPE_F32 && found->n_dims == (t->cols ? 2 : 1) &&
                found->shape[0] == (uint64_t)t->rows &&
                (!t->cols || found->shape[1] == (uint64_t)t->cols);
    if (!same && t->cols)
        return err_set(err, ERR_INPUT, path, "tensor %s is not F32 (%d, %d)", name, t->rows,
                       t->cols);
    if (!same)
        return err_set(err, ERR_INPUT, path, "tensor %s is not F32 (%d)", name, t->rows);
    size_t n = param_tensor_size(t);
    bool squares = strcmp(moment, moment_names[1]) == 0;
    for (size_t i = 0; i < n; i++) {
        float value = tensor_element(found, i);
        if (isnan(value) || (squares && value < 0))
            return err_set(err, ERR_INPUT, path, "tensor %s holds %g at element %zu, expected %s",
                           name, (double)value, i, squares ? "0 or more" : "a number");
        host[t->offset + i] = value;
    }
    return ERR_NONE;
}

int optimizer_load(struct optimizer *o, const struct trainable *t, const char *path,
                   struct err *err)
{
    int n = t->n_tensors, status;
    struct tensor_set set = {0};
    float *host = mem_alloc(o->n * sizeof *host);
    status =
        host ? safetensors_open(&set, path, err) : err_no_memory(err, path, o->n * sizeof *host);
    if (!status && set.count != 2 * (size_t)n)
        status = err_set(err, ERR_INPUT, path, "has %zu tensors, the parameters need %d", set.count,
                         2 * n);
    for (int moment = 0; moment < 2 && !status; moment++) {
        for (int i = 0; i < n && !status; i++) {
            struct param_tensor tensor = t->tensor(t->self, i);
            status = load_moment(host, &tensor, moment_names[moment], &set, path, err);
        }
        if (!status)
            o->d->ops->upload(o->d, moment ? o->exp_avg_sq : o->exp_avg, host, o->n * sizeof *host);
    }
    tensor_set_close(&set);
    mem_free(host);
    return status;
}

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

int optimizer_step(struct optimizer *o, adapter *a, float *grad, const struct optimizer_call *call,
                   double *norm, struct err *err)
{
    const struct backend *ops = o->d->ops;
    CHECK(adapter_size(a) == o->n);
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
    ops->adamw(o->d, adapter_params(a), o->exp_avg, o->exp_avg_sq, grad, &p, o->n);
    adapter_refresh(a);
    return ERR_NONE;
}

/* --- the file --- */

enum { NAME_SIZE = 192 };
static const char *const moment_names[2] = {"exp_avg", "exp_avg_sq"};

int optimizer_write(const struct optimizer *o, const adapter *a, struct str *out, struct err *err)
{
    int n;
    const struct adapter_tensor *tensors = adapter_tensors(a, &n);
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
        const struct adapter_tensor *t = &tensors[i % n];
        snprintf(names[i], NAME_SIZE, "%s.%s", moment_names[i / n], t->name);
        list[i] = (struct tensor_out){.name = names[i],
                                      .dtype = DTYPE_F32,
                                      .n_dims = 2,
                                      .shape = {(uint64_t)t->rows, (uint64_t)t->cols},
                                      .data = host + (size_t)(i / n) * o->n + t->offset};
    }
    status = safetensors_write(out, list, 2 * (size_t)n, err);
done:
    mem_free(host);
    mem_free(list);
    mem_free(names);
    return status;
}

static int load_moment(float *host, const struct adapter_tensor *t, const char *moment,
                       const struct tensor_set *set, const char *path, struct err *err)
{
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s.%s", moment, t->name);
    const struct tensor *found = tensor_find(set, name);
    if (!found)
        return err_set(err, ERR_INPUT, path, "tensor %s is missing", name);
    if (found->dtype != DTYPE_F32 || found->n_dims != 2 || found->shape[0] != (uint64_t)t->rows ||
        found->shape[1] != (uint64_t)t->cols)
        return err_set(err, ERR_INPUT, path, "tensor %s is not F32 (%d, %d)", name, t->rows,
                       t->cols);
    size_t n = (size_t)t->rows * (size_t)t->cols;
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

int optimizer_load(struct optimizer *o, const adapter *a, const char *path, struct err *err)
{
    int n, status;
    const struct adapter_tensor *tensors = adapter_tensors(a, &n);
    struct tensor_set set = {0};
    float *host = mem_alloc(o->n * sizeof *host);
    status =
        host ? safetensors_open(&set, path, err) : err_no_memory(err, path, o->n * sizeof *host);
    if (!status && set.count != 2 * (size_t)n)
        status = err_set(err, ERR_INPUT, path, "has %zu tensors, the adapter needs %d", set.count,
                         2 * n);
    for (int moment = 0; moment < 2 && !status; moment++) {
        for (int i = 0; i < n && !status; i++)
            status = load_moment(host, &tensors[i], moment_names[moment], &set, path, err);
        if (!status)
            o->d->ops->upload(o->d, moment ? o->exp_avg_sq : o->exp_avg, host, o->n * sizeof *host);
    }
    tensor_set_close(&set);
    mem_free(host);
    return status;
}

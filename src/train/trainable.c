/* trainable.c: the two kinds of parameters behind one face; see trainable.h. The functions only
 * give the model room's own ones the same shape. */
#include "train/trainable.h"
#include <stdint.h>

/* --- an adapter --- */

static struct param_tensor adapter_param(const void *self, int i)
{
    int n;
    const struct adapter_tensor *t = &adapter_tensors(self, &n)[i];
    return (struct param_tensor){t->name, t->offset, t->rows, t->cols, true};
}

static void refresh_adapter(void *self)
{
    adapter_refresh(self);
}

static int save_adapter(void *self, const char *folder, struct err *err)
{
    return adapter_save(self, folder, err);
}

static int load_adapter(void *self, const struct tensor_set *set, struct err *err)
{
    return adapter_load(self, set, err);
}

struct trainable trainable_adapter(adapter *a)
{
    struct trainable t = {.self = a,
                          .file = "adapter_model.safetensors",
                          .params = adapter_params(a),
                          .n = adapter_size(a),
                          .tensor = adapter_param,
                          .refresh = refresh_adapter,
                          .save = save_adapter,
                          .load = load_adapter};
    (void)adapter_tensors(a, &t.n_tensors);
    return t;
}

/* --- a whole model --- */

static struct param_tensor full_param(const void *self, int i)
{
    int n;
    const struct full_tensor *t = &full_tensors(self, &n)[i];
    return (struct param_tensor){t->name, t->offset, t->rows, t->cols, t->decays};
}

static void refresh_full(void *self)
{
    full_refresh(self);
}

static int save_full(void *self, const char *folder, struct err *err)
{
    return full_save(self, folder, DTYPE_F32, err);
}

static int load_full(void *self, const struct tensor_set *set, struct err *err)
{
    return full_load(self, set, err);
}

struct trainable trainable_full(full_model *f)
{
    struct trainable t = {.self = f,
                          .file = "model.safetensors",
                          .params = full_params(f),
                          .n = full_floats(model_config(full_weights(f))),
                          .tensor = full_param,
                          .refresh = refresh_full,
                          .save = save_full,
                          .load = load_full};
    (void)full_tensors(f, &t.n_tensors);
    return t;
}

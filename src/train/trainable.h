/* trainable.h: what an optimizer moves and a checkpoint keeps, seen alike whether it is an adapter
 * (GRPO) or a whole model (pretraining): one flat block of f32 parameters on the device, cut into
 * named tensors, that can be saved, loaded and prepared again. */
#ifndef TRAIN_TRAINABLE_H
#define TRAIN_TRAINABLE_H
#include "model/full.h"
#include "model/model.h"

struct param_tensor {
    const char *name; /* in the file; owned by whoever is trained */
    size_t offset;    /* into params, in floats */
    int rows, cols;   /* a matrix (rows, cols), or a vector (rows) with cols 0 */
    bool decays;      /* weight decay applies */
};

struct trainable { /* borrows `self`; may be copied */
    void *self;
    const char *file; /* the parameters' file in a checkpoint, which `save` writes */
    float *params;    /* device, (n) */
    size_t n;
    int n_tensors; /* ascending by offset */
    struct param_tensor (*tensor)(const void *self, int i);
    void (*refresh)(void *self); /* prepare the weights again after params changed */
    int (*save)(void *self, const char *folder, struct err *err); /* f32, fsynced */
    int (*load)(void *self, const struct tensor_set *set, struct err *err);
};

struct trainable trainable_adapter(adapter *a);
struct trainable trainable_full(full_model *f);

static inline size_t param_tensor_size(const struct param_tensor *t)
{
    return (size_t)t->rows * (size_t)(t->cols ? t->cols : 1);
}

#endif

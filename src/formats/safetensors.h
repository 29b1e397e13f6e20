/* safetensors.h: reading and writing tensors. Reading takes bytes and is strict: header length
 * cap 100,000,000, header starts with '{', dtype known, shape × dtype = byte range, ranges without
 * overlap or gap and ending at the end of the file, no duplicate name. A folder's index
 * (model.safetensors.index.json) names shards, which must lie in that folder. */
#ifndef FORMATS_SAFETENSORS_H
#define FORMATS_SAFETENSORS_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/file.h"
#include "base/map.h"
#include "formats/dtype.h"

enum { TENSOR_MAX_DIMS = 8 };

struct tensor {
    const char *name; /* owned by the set */
    enum dtype dtype;
    int n_dims;
    uint64_t shape[TENSOR_MAX_DIMS];
    const void *data; /* into the caller's bytes (parse) or the mapping (open) */
    size_t size;      /* bytes */
};

struct tensor_set {
    struct tensor *tensors;
    size_t count, capacity;
    struct map index; /* name to position */
    struct file_map *maps;
    size_t n_maps;
    char **names;
};

/* Adds the tensors of one file's bytes to a (zero-initialised or partly filled) set. */
int safetensors_parse(struct tensor_set *set, const uint8_t *data, size_t size, const char *name,
                      struct err *err);
int safetensors_open(struct tensor_set *set, const char *path, struct err *err); /* one file */
/* model.safetensors, or the shards named by model.safetensors.index.json, in a folder. */
int safetensors_open_folder(struct tensor_set *set, const char *folder, struct err *err);
void tensor_set_close(struct tensor_set *set);
const struct tensor *tensor_find(const struct tensor_set *set, const char *name);
uint64_t tensor_count(const struct tensor *t);          /* elements */
float tensor_element(const struct tensor *t, size_t i); /* f32, f16 or bf16 element as float */
/* How many of the elements [begin, end) of an f32, f16 or bf16 tensor are NaN or infinite; *first
 * is the first of these, untouched where there is none. At the rate of reading. */
size_t tensor_not_finite(const struct tensor *t, size_t begin, size_t end, size_t *first);

/* Writing: the header (sorted by name, metadata {"format":"pt"}, padded with spaces to 8 bytes) and
 * the data go to one string; equal tensors give equal bytes. */
struct tensor_out {
    const char *name;
    enum dtype dtype;
    int n_dims;
    uint64_t shape[TENSOR_MAX_DIMS];
    const void *data;
};
int safetensors_write(struct str *out, const struct tensor_out *tensors, size_t count,
                      struct err *err);

#endif

/* fuzz_safetensors.c: any bytes as a safetensors file. What is accepted tiles the bytes exactly,
 * every element can be read, and written out again and read back it is the same set. */
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "formats/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tensor(const struct tensor *t, const uint8_t *data, size_t size)
{
    const uint8_t *begin = t->data;
    CHECK(begin >= data && t->size <= size && begin <= data + size - t->size);
    CHECK(tensor_count(t) * dtype_size(t->dtype) == t->size);
    if (t->dtype <= DTYPE_BF16)
        for (size_t i = 0; i < tensor_count(t); i++)
            (void)tensor_element(t, i);
}

static void check_written(const struct tensor_set *set)
{
    struct tensor_out *out = mem_calloc(set->count + 1, sizeof *out);
    for (size_t i = 0; i < set->count; i++) {
        const struct tensor *t = &set->tensors[i];
        out[i] = (struct tensor_out){t->name, t->dtype, t->n_dims, {0}, t->data};
        memcpy(out[i].shape, t->shape, sizeof t->shape);
    }
    struct str text = {0};
    struct err err = {0};
    struct tensor_set again = {0};
    CHECK(safetensors_write(&text, out, set->count, &err) == 0);
    CHECK(safetensors_parse(&again, (const uint8_t *)text.data, text.length, "again", &err) == 0);
    CHECK(again.count == set->count);
    for (size_t i = 0; i < set->count; i++) {
        const struct tensor *t = &set->tensors[i], *u = tensor_find(&again, t->name);
        CHECK(u && u->dtype == t->dtype && u->n_dims == t->n_dims && u->size == t->size);
        CHECK(memcmp(u->shape, t->shape, sizeof t->shape) == 0);
        CHECK(memcmp(u->data, t->data, t->size) == 0);
    }
    tensor_set_close(&again);
    str_free(&text);
    mem_free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t blocks = mem_stats().live_blocks;
    struct tensor_set set = {0};
    struct err err = {0};
    int status = safetensors_parse(&set, data, size, "bytes", &err);
    CHECK(status == ERR_NONE || (status == ERR_INPUT && err.message[0] && err.where[0]));
    if (!status) {
        size_t total = 0;
        for (size_t i = 0; i < set.count; i++) {
            check_tensor(&set.tensors[i], data, size);
            total += set.tensors[i].size;
        }
        CHECK(total <= size);
        check_written(&set);
    }
    tensor_set_close(&set);
    CHECK(mem_stats().live_blocks == blocks);
    return 0;
}

/* safetensors.c: strict reading and deterministic writing; see safetensors.h.
 *
 * A file is 8 bytes of header length (little-endian), the header (JSON: name → dtype, shape,
 * data_offsets), and the data. Nothing in the header is believed before it is checked against the
 * bytes that are there: every offset, product and sum is compared with the file's size first. */
#include "formats/safetensors.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/json.h"
#include "base/mem.h"

enum { HEADER_CAP = 100000000, MAX_TENSORS = 1000000, MAX_SHARDS = 4096 };

/* --- one tensor's entry --- */

static int read_shape(struct tensor *t, const json_t *entry, const char *where, struct err *err)
{
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape))
        return err_set(err, ERR_INPUT, where, "tensor \"%s\": \"shape\" is %s, expected a list",
                       t->name, json_type_name(shape));
    if (json_array_size(shape) > TENSOR_MAX_DIMS)
        return err_set(err, ERR_INPUT, where,
                       "tensor \"%s\" has %zu dimensions, at most %d are supported", t->name,
                       json_array_size(shape), TENSOR_MAX_DIMS);
    t->n_dims = (int)json_array_size(shape);
    size_t elements = 1;
    for (int i = 0; i < t->n_dims; i++) {
        const json_t *dim = json_array_get(shape, (size_t)i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return err_set(err, ERR_INPUT, where,
                           "tensor \"%s\": dimension %d is no non-negative integer", t->name, i);
        t->shape[i] = (uint64_t)json_integer_value(dim);
        if (!mem_mul(&elements, elements, (size_t)t->shape[i]))
            return err_set(err, ERR_INPUT, where, "tensor \"%s\": its shape's product overflows",
                           t->name);
    }
    if (!mem_mul(&t->size, elements, dtype_size(t->dtype)))
        return err_set(err, ERR_INPUT, where, "tensor \"%s\": its size overflows", t->name);
    return ERR_NONE;
}

static int read_entry(struct tensor *t, const json_t *entry, const uint8_t *data, size_t data_size,
                      const char *where, struct err *err)
{
    if (!json_is_object(entry))
        return err_set(err, ERR_INPUT, where, "tensor \"%s\" is %s, expected an object", t->name,
                       json_type_name(entry));
    const json_t *dtype_value = json_object_get(entry, "dtype");
    const char *dtype = json_string_value(dtype_value);
    if (!dtype)
        return err_set(err, ERR_INPUT, where, "tensor \"%s\": \"dtype\" is %s, expected a string",
                       t->name, json_type_name(dtype_value));
    if (dtype_parse(&t->dtype, dtype) != 0)
        return err_set(err, ERR_INPUT, where, "tensor \"%s\" has the unknown dtype \"%.40s\"",
                       t->name, dtype);
    int status = read_shape(t, entry, where, err);
    if (status)
        return status;
    const json_t *offsets = json_object_get(entry, "data_offsets");
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !json_is_integer(json_array_get(offsets, 0)) ||
        !json_is_integer(json_array_get(offsets, 1)))
        return err_set(err, ERR_INPUT, where,
                       "tensor \"%s\": \"data_offsets\" is no pair of integers", t->name);
    long long begin = json_integer_value(json_array_get(offsets, 0));
    long long end = json_integer_value(json_array_get(offsets, 1));
    if (begin < 0 || end < begin || (unsigned long long)end > data_size)
        return err_set(err, ERR_INPUT, where,
                       "tensor \"%s\" lies at bytes %lld to %lld of %zu: the file is "
                       "truncated or its header lies",
                       t->name, begin, end, data_size);
    if ((size_t)(end - begin) != t->size)
        return err_set(err, ERR_INPUT, where,
                       "tensor \"%s\" has %lld bytes but its shape and dtype need %zu", t->name,
                       end - begin, t->size);
    t->data = data + begin;
    return ERR_NONE;
}

/* --- sets --- */

static struct tensor *new_tensor(struct tensor_set *set, const char *name)
{
    if (set->count == set->capacity) {
        size_t capacity = set->capacity ? 2 * set->capacity : 64;
        struct tensor *tensors = mem_realloc(set->tensors, capacity * sizeof *tensors);
        if (!tensors)
            return NULL;
        set->tensors = tensors;
        char **names = mem_realloc(set->names, capacity * sizeof *names);
        if (!names)
            return NULL;
        set->names = names;
        set->capacity = capacity;
    }
    char *copy = mem_strdup(name);
    if (!copy)
        return NULL;
    if (!map_put(&set->index, name, strlen(name), (int32_t)set->count)) {
        mem_free(copy);
        return NULL;
    }
    struct tensor *t = &set->tensors[set->count];
    *t = (struct tensor){.name = copy};
    set->names[set->count++] = copy;
    return t;
}

static int by_address(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    const uint8_t *p = x->data, *q = y->data;
    if (p != q)
        return p < q ? -1 : 1;
    return (x->size > y->size) - (x->size < y->size); /* empty tensors first */
}

/* The tensors from `first` on must tile the data exactly: no overlap, no gap. */
static int check_tiling(const struct tensor_set *set, size_t first, const uint8_t *data,
                        size_t size, const char *where, struct err *err)
{
    size_t n = set->count - first;
    if (n == 0)
        return size == 0
                   ? ERR_NONE
                   : err_set(err, ERR_INPUT, where, "%zu bytes of data belong to no tensor", size);
    struct tensor *sorted = mem_alloc(n * sizeof *sorted);
    if (!sorted)
        return err_no_memory(err, where, n * sizeof *sorted);
    memcpy(sorted, set->tensors + first, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_address);
    const uint8_t *expected = data;
    int status = ERR_NONE;
    for (size_t i = 0; i < n && !status; i++) {
        const uint8_t *begin = sorted[i].data;
        if (begin != expected)
            status = err_set(err, ERR_INPUT, where, "tensor \"%s\" %s the tensor before it",
                             sorted[i].name, begin < expected ? "overlaps" : "leaves a gap after");
        expected = begin + sorted[i].size;
    }
    if (!status && expected != data + size)
        status = err_set(err, ERR_INPUT, where, "%zu bytes after the last tensor belong to nothing",
                         (size_t)(data + size - expected));
    mem_free(sorted);
    return status;
}

/* Text for tools; nothing here depends on it, but the format says strings. */
static int check_metadata(const json_t *metadata, const char *where, struct err *err)
{
    if (!json_is_object(metadata))
        return err_set(err, ERR_INPUT, where, "__metadata__ is %s, expected an object",
                       json_type_name(metadata));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value)
    {
        if (!json_is_string(value))
            return err_set(err, ERR_INPUT, where, "__metadata__ \"%s\" is %s, expected a string",
                           key, json_type_name(value));
    }
    return ERR_NONE;
}

static int read_header(struct tensor_set *set, const json_t *header, const uint8_t *data,
                       size_t size, const char *where, struct err *err)
{
    const char *name;
    json_t *entry;
    json_object_foreach((json_t *)(uintptr_t)header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            int status = check_metadata(entry, where, err);
            if (status)
                return status;
            continue;
        }
        if (map_get(&set->index, name, strlen(name), NULL))
            return err_set(err, ERR_INPUT, where, "tensor \"%s\" appears twice", name);
        if (set->count >= MAX_TENSORS)
            return err_set(err, ERR_INPUT, where, "has more than %d tensors", (int)MAX_TENSORS);
        struct tensor *t = new_tensor(set, name);
        if (!t)
            return err_no_memory(err, where, sizeof *t);
        int status = read_entry(t, entry, data, size, where, err);
        if (status)
            return status;
    }
    return ERR_NONE;
}

int safetensors_parse(struct tensor_set *set, const uint8_t *data, size_t size, const char *name,
                      struct err *err)
{
    if (size < 8)
        return err_set(err, ERR_INPUT, name, "has %zu bytes: too short for a safetensors file",
                       size);
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | data[i];
    if (length > HEADER_CAP || length > size - 8)
        return err_set(err, ERR_INPUT, name,
                       "claims a header of %llu bytes but has %zu (cap %d): truncated, or no "
                       "safetensors file",
                       (unsigned long long)length, size - 8, (int)HEADER_CAP);
    if (length == 0 || data[8] != '{')
        return err_set(err, ERR_INPUT, name, "header does not start with '{': no safetensors file");
    struct err local = {0}; /* the caller may have passed none, and the code is needed */
    json_t *header = json_read(data + 8, (size_t)length, JSON_UNIQUE_KEYS, name, &local);
    if (!header)
        return err_set(err, local.code, name, "header %s", local.message);
    size_t first = set->count;
    const uint8_t *body = data + 8 + length;
    size_t body_size = size - 8 - (size_t)length;
    int status = json_is_object(header) ? read_header(set, header, body, body_size, name, err)
                                        : err_set(err, ERR_INPUT, name, "header is no JSON object");
    if (!status)
        status = check_tiling(set, first, body, body_size, name, err);
    json_decref(header);
    return status;
}

int safetensors_open(struct tensor_set *set, const char *path, struct err *err)
{
    struct file_map *maps = mem_realloc(set->maps, (set->n_maps + 1) * sizeof *maps);
    if (!maps)
        return err_no_memory(err, path, sizeof *maps);
    set->maps = maps;
    int status = file_map_open(&maps[set->n_maps], path, err);
    if (status)
        return status;
    set->n_maps++;
    const struct file_map *map = &maps[set->n_maps - 1];
    return safetensors_parse(set, map->data, map->size, path, err);
}

/* --- shards --- */

/* A shard must be a plain file name in the folder: no separators, no "..", nothing hidden. */
static bool plain_name(const char *name)
{
    return name[0] && name[0] != '.' && !strchr(name, '/') && !strchr(name, '\\');
}

/* Every tensor of the index lies in the file it names (`opened`: file name to mapping). */
static int check_index(const struct tensor_set *set, const json_t *weight_map,
                       const struct map *opened, const char *index_path, struct err *err)
{
    const char *name;
    json_t *shard;
    json_object_foreach((json_t *)(uintptr_t)weight_map, name, shard)
    {
        const char *file = json_string_value(shard);
        const struct tensor *t = tensor_find(set, name);
        int32_t i = -1;
        map_get(opened, file, strlen(file), &i);
        const uint8_t *data = t ? t->data : NULL, *begin = set->maps[i].data;
        if (!t || data < begin || data > begin + set->maps[i].size)
            return err_set(err, ERR_INPUT, index_path,
                           "names the tensor \"%.200s\" but %.100s does not hold it", name, file);
    }
    return ERR_NONE;
}

static int open_shards(struct tensor_set *set, const char *folder, const json_t *weight_map,
                       const char *index_path, struct err *err)
{
    struct map seen = {0};
    struct str path = {0};
    int status = ERR_NONE;
    const char *tensor;
    json_t *shard;
    json_object_foreach((json_t *)(uintptr_t)weight_map, tensor, shard)
    {
        const char *name = json_string_value(shard);
        if (!name || !plain_name(name)) {
            status = err_set(err, ERR_INPUT, index_path,
                             "the shard of \"%.100s\" is \"%.100s\": expected a file name "
                             "inside the folder",
                             tensor, name ? name : json_type_name(shard));
            break;
        }
        if (map_get(&seen, name, strlen(name), NULL))
            continue;
        if (seen.count >= MAX_SHARDS) {
            status =
                err_set(err, ERR_INPUT, index_path, "names more than %d shards", (int)MAX_SHARDS);
            break;
        }
        path_join(&path, folder, name);
        if (path.failed || !map_put(&seen, name, strlen(name), (int32_t)set->n_maps))
            status = err_no_memory(err, index_path, strlen(name));
        else
            status = safetensors_open(set, str_text(&path), err);
        if (status)
            break;
    }
    if (!status)
        status = check_index(set, weight_map, &seen, index_path, err);
    map_free(&seen);
    str_free(&path);
    return status;
}

static int open_index(struct tensor_set *set, const char *folder, const char *path, struct err *err)
{
    struct str text = {0};
    struct err local = {0};
    int status = file_read(&text, path, err);
    if (!status) {
        json_t *index = json_read(str_text(&text), text.length, JSON_UNIQUE_KEYS, path, &local);
        const json_t *weight_map = json_object_get(index, "weight_map");
        if (!index)
            status = err_set(err, local.code, path, "%s", local.message);
        else if (!json_is_object(weight_map))
            status = err_set(err, ERR_INPUT, path, "\"weight_map\" is %s, expected an object",
                             json_type_name(weight_map));
        else
            status = open_shards(set, folder, weight_map, path, err);
        json_decref(index);
    }
    str_free(&text);
    return status;
}

int safetensors_open_folder(struct tensor_set *set, const char *folder, struct err *err)
{
    struct str one = {0}, index = {0};
    path_join(&one, folder, "model.safetensors");
    path_join(&index, folder, "model.safetensors.index.json");
    int status = ERR_NONE;
    if (one.failed || index.failed) {
        status = err_no_memory(err, folder, strlen(folder));
    } else if (file_exists(str_text(&one))) {
        status = safetensors_open(set, str_text(&one), err);
    } else if (file_exists(str_text(&index))) {
        status = open_index(set, folder, str_text(&index), err);
    } else {
        status =
            err_set(err, ERR_INPUT, folder, "%s",
                    dir_exists(folder)
                        ? "holds neither model.safetensors nor model.safetensors.index.json (other "
                          "formats such as "
                          ".bin are never read; convert them with transformers' save_pretrained)"
                        : "is no folder");
    }
    str_free(&one);
    str_free(&index);
    return status;
}

void tensor_set_close(struct tensor_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        mem_free(set->names[i]);
    for (size_t i = 0; i < set->n_maps; i++)
        file_map_close(&set->maps[i]);
    mem_free(set->names);
    mem_free(set->tensors);
    mem_free(set->maps);
    map_free(&set->index);
    *set = (struct tensor_set){0};
}

const struct tensor *tensor_find(const struct tensor_set *set, const char *name)
{
    int32_t i;
    return map_get(&set->index, name, strlen(name), &i) ? &set->tensors[i] : NULL;
}

uint64_t tensor_count(const struct tensor *t)
{
    uint64_t n = 1;
    for (int i = 0; i < t->n_dims; i++)
        n *= t->shape[i];
    return n;
}

float tensor_element(const struct tensor *t, size_t i)
{
    const uint8_t *p = (const uint8_t *)t->data + i * dtype_size(t->dtype); /* may be unaligned */
    uint16_t half;
    float value;
    CHECK(t->dtype == DTYPE_F32 || t->dtype == DTYPE_F16 || t->dtype == DTYPE_BF16);
    if (t->dtype == DTYPE_F32) {
        memcpy(&value, p, 4);
        return value;
    }
    memcpy(&half, p, 2);
    return t->dtype == DTYPE_F16 ? f16_to_float(half) : bf16_to_float(half);
}

/* --- values that are no numbers --- */

/* Of the float types: what clears the signs of all values in a word, the lowest bit of each
 * exponent, and the signs. A magnitude plus the former reaches the sign's place where the exponent
 * is all ones (NaN or infinite), and nowhere else; it never goes beyond, so one addition serves all
 * values of a word. */
struct exponent_test {
    uint64_t magnitude, lowest, sign;
};

static struct exponent_test exponent_test(enum dtype dtype)
{
    static const struct exponent_test tests[] = {
        [DTYPE_F32] = {0x7FFFFFFF7FFFFFFFu, 0x0080000000800000u, 0x8000000080000000u},
        [DTYPE_F16] = {0x7FFF7FFF7FFF7FFFu, 0x0400040004000400u, 0x8000800080008000u},
        [DTYPE_BF16] = {0x7FFF7FFF7FFF7FFFu, 0x0080008000800080u, 0x8000800080008000u},
    };
    CHECK((size_t)dtype < ARRAY_LENGTH(tests));
    return tests[dtype];
}

/* A plain loop without an exit: the compilers vectorise it. */
static bool all_finite(const struct exponent_test *test, const uint8_t *p, size_t size)
{
    uint64_t seen = 0, word, magnitude = test->magnitude, lowest = test->lowest;
    size_t whole = size & ~(sizeof word - 1);
    for (size_t i = 0; i < whole; i += sizeof word) {
        memcpy(&word, p + i, sizeof word); /* may be unaligned */
        seen |= (word & magnitude) + lowest;
    }
    word = 0;
    memcpy(&word, p + whole, size - whole);
    seen |= (word & magnitude) + lowest;
    return (seen & test->sign) == 0;
}

size_t tensor_not_finite(const struct tensor *t, size_t begin, size_t end, size_t *first)
{
    enum { RUN = 4096 }; /* elements: where one is found they are gone through singly */
    const struct exponent_test test = exponent_test(t->dtype);
    size_t size = dtype_size(t->dtype), found = 0;
    for (size_t next; begin < end; begin = next) {
        next = end - begin < RUN ? end : begin + RUN;
        const uint8_t *p = (const uint8_t *)t->data + begin * size;
        if (all_finite(&test, p, (next - begin) * size))
            continue;
        for (size_t i = begin; i < next; i++)
            if (!isfinite(tensor_element(t, i)) && found++ == 0)
                *first = i;
    }
    return found;
}

/* --- writing --- */

static int by_name(const void *a, const void *b)
{
    const struct tensor_out *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static size_t out_bytes(const struct tensor_out *t)
{
    size_t n = dtype_size(t->dtype);
    for (int i = 0; i < t->n_dims; i++)
        n *= (size_t)t->shape[i];
    return n;
}

int safetensors_write(struct str *out, const struct tensor_out *tensors, size_t count,
                      struct err *err)
{
    const struct tensor_out **sorted = mem_alloc((count + 1) * sizeof *sorted);
    if (!sorted)
        return err_no_memory(err, "safetensors", count * sizeof *sorted);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &tensors[i];
    qsort(sorted, count, sizeof *sorted, by_name);

    struct str header = {0};
    struct json_writer w;
    jw_begin(&w, &header);
    jw_object_begin(&w);
    jw_key(&w, "__metadata__");
    jw_object_begin(&w);
    jw_key(&w, "format");
    jw_text(&w, "pt");
    jw_object_end(&w);
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        jw_key(&w, sorted[i]->name);
        jw_object_begin(&w);
        jw_key(&w, "dtype");
        jw_text(&w, dtype_name(sorted[i]->dtype));
        jw_key(&w, "shape");
        jw_array_begin(&w);
        for (int d = 0; d < sorted[i]->n_dims; d++)
            jw_int(&w, (long long)sorted[i]->shape[d]);
        jw_array_end(&w);
        jw_key(&w, "data_offsets");
        jw_array_begin(&w);
        jw_int(&w, (long long)offset);
        offset += out_bytes(sorted[i]);
        jw_int(&w, (long long)offset);
        jw_array_end(&w);
        jw_object_end(&w);
    }
    jw_object_end(&w);
    while (header.length % 8 && !header.failed)
        str_putc(&header, ' ');
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(header.length >> 8 * i);
    str_reserve(out, 8 + header.length + offset);
    str_append(out, length, 8);
    str_append(out, str_text(&header), header.length);
    for (size_t i = 0; i < count; i++)
        str_append(out, sorted[i]->data, out_bytes(sorted[i]));
    bool failed = out->failed || header.failed;
    str_free(&header);
    mem_free(sorted);
    return failed ? err_no_memory(err, "safetensors", offset) : ERR_NONE;
}

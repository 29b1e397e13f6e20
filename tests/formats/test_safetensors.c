/* test_safetensors.c: every rule of the format, each broken once; writing and reading back; shards.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../support/support.h"
#include "base/mem.h"
#include "formats/safetensors.h"

/* A file of this header and n bytes of data 0, 1, 2, … */
static struct str make(const char *header, size_t length, size_t n)
{
    struct str out = {0};
    for (int i = 0; i < 8; i++)
        str_putc(&out, (char)(length >> 8 * i));
    str_append(&out, header, length);
    for (size_t i = 0; i < n; i++)
        str_putc(&out, (char)i);
    assert_false(out.failed);
    return out;
}

static int parse(struct tensor_set *set, const char *header, size_t n, struct err *err)
{
    struct str file = make(header, strlen(header), n);
    int status = safetensors_parse(set, (const uint8_t *)str_text(&file), file.length, "f", err);
    str_free(&file); /* the tensors point into it, but no test looks at them after this */
    return status;
}

#define F32(name, shape, begin, end)                                                               \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

struct bad {
    const char *header;
    size_t n;
    const char *message;
};

static const struct bad bads[] = {
    {"{" F32("a", "[2]", "0", "8") "}", 9, "1 bytes after the last tensor"},
    {"{" F32("a", "[2]", "0", "8") "}", 7, "truncated or its header lies"},
    {"{" F32("a", "[2]", "0", "8") "}", 0, "truncated or its header lies"},
    {"{" F32("a", "[2]", "0", "4") "}", 4, "has 4 bytes but its shape and dtype need 8"},
    {"{" F32("a", "[1]", "0", "8") "}", 8, "has 8 bytes but its shape and dtype need 4"},
    {"{" F32("a", "[]", "0", "8") "}", 8, "need 4"},
    {"{" F32("a", "[2,0]", "0", "8") "}", 8, "need 0"},
    {"{" F32("a", "[1]", "4", "8") "}", 8, "leaves a gap"},
    {"{" F32("a", "[1]", "0", "4") "," F32("b", "[1]", "8", "12") "}", 12, "\"b\" leaves a gap"},
    {"{" F32("a", "[2]", "0", "8") "," F32("b", "[1]", "4", "8") "}", 8, "\"b\" overlaps"},
    {"{" F32("a", "[1]", "0", "4") "," F32("b", "[1]", "0", "4") "}", 4, "overlaps"},
    {"{" F32("a", "[2]", "0", "8") "," F32("b", "[0]", "4", "4") "}", 8, "\"b\" overlaps"},
    {"{" F32("a", "[1]", "8", "4") "}", 8, "lies at bytes 8 to 4"},
    {"{" F32("a", "[1]", "-4", "0") "}", 8, "lies at bytes -4 to 0"},
    {"{" F32("a", "[1]", "0", "9223372036854775807") "}", 8, "truncated or its header lies"},
    {"{" F32("a", "[1]", "0", "99999999999999999999") "}", 8, "too big"},
    {"{" F32("a", "[-1]", "0", "4") "}", 4, "dimension 0 is no non-negative integer"},
    {"{" F32("a", "[1.0]", "0", "4") "}", 4, "dimension 0 is no non-negative integer"},
    {"{" F32("a", "[4294967296,4294967296,16]", "0", "0") "}", 0, "product overflows"},
    {"{" F32("a", "[9223372036854775807]", "0", "4") "}", 4, "size overflows"},
    {"{" F32("a", "[9223372036854775807,2]", "0", "8") "}", 8, "overflows"},
    {"{" F32("a", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, "has 9 dimensions"},
    {"{" F32("a", "3", "0", "4") "}", 4, "\"shape\" is an integer"},
    {"{" F32("a", "[1]", "0", "4") "," F32("a", "[1]", "4", "8") "}", 8, "duplicate"},
    {"{\"a\":3}", 0, "\"a\" is an integer"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "\"shape\" is nothing"},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "\"dtype\" is nothing"},
    {"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "\"dtype\" is an integer"},
    {"{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "unknown dtype \"F33\""},
    {"{\"a\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "unknown dtype \"f32\""},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "no pair of integers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "no pair of integers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4,
     "no pair of integers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,\"4\"]}}", 4, "no pair"},
    {"{}", 4, "4 bytes of data belong to no tensor"},
    {"{\"__metadata__\":[]}", 0, "__metadata__ is a list"},
    {"{\"__metadata__\":{\"format\":1}}", 0, "__metadata__ \"format\" is an integer"},
    {"[]", 0, "does not start with '{'"},
    {" {}", 0, "does not start with '{'"},
    {"", 0, "does not start with '{'"},
    {"{", 0, "header is not valid JSON"},
    {"{}x", 0, "header is not valid JSON"},
    {"{\"\xFF\":{}}", 0, "header is not valid JSON"},
};

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        struct tensor_set set = {0};
        struct err err = {0};
        int status = parse(&set, bads[i].header, bads[i].n, &err);
        if (status != ERR_INPUT || !strstr(err.message, bads[i].message))
            fail_msg("%s: status %d, \"%s\"", bads[i].header, status, err.message);
        assert_string_equal(err.where, "f");
        tensor_set_close(&set);
        /* Without a place for the error it is an error all the same. */
        assert_int_equal(parse(&set, bads[i].header, bads[i].n, NULL), ERR_INPUT);
        tensor_set_close(&set);
    }
}

static void test_good(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        "{}      ",
        "{\"__metadata__\":{\"format\":\"pt\",\"x\":\"\"}}",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct tensor_set set = {0};
        struct err err = {0};
        if (parse(&set, good[i], 0, &err))
            fail_msg("%s: %s", good[i], err.message);
        assert_int_equal(set.count, 0);
        tensor_set_close(&set);
    }
    /* Order in the header is free; empty tensors and scalars are tensors. */
    struct tensor_set set = {0};
    struct err err = {0};
    if (parse(&set,
              "{" F32("b", "[1,2]", "4", "12") "," F32("s", "[]", "0", "4") "," F32(
                  "e", "[3,0]", "12", "12") "," F32("z", "[0]", "0", "0") "}",
              12, &err))
        fail_msg("%s", err.message);
    assert_int_equal(set.count, 4);
    assert_int_equal(tensor_find(&set, "b")->size, 8);
    assert_int_equal(tensor_find(&set, "b")->n_dims, 2);
    assert_int_equal(tensor_find(&set, "b")->shape[1], 2);
    assert_int_equal(tensor_count(tensor_find(&set, "s")), 1);
    assert_int_equal(tensor_count(tensor_find(&set, "e")), 0);
    assert_null(tensor_find(&set, "c"));
    tensor_set_close(&set);
}

/* The eight bytes before the header, and files too short to have them. */
static void test_header_length(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {0,          3,          1000,          100000001,
                                       1ull << 40, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct tensor_set set = {0};
        struct err err = {0};
        uint8_t bytes[10] = {0, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
        for (int b = 0; b < 8; b++)
            bytes[b] = (uint8_t)(lengths[i] >> 8 * b);
        assert_int_equal(safetensors_parse(&set, bytes, 10, "f", &err), ERR_INPUT);
        assert_non_null(strstr(err.message, lengths[i] ? "claims a header" : "does not start"));
        tensor_set_close(&set);
    }
    for (size_t n = 0; n < 8; n++) {
        struct tensor_set set = {0};
        struct err err = {0};
        assert_int_equal(safetensors_parse(&set, (const uint8_t *)"\2\0\0\0\0\0\0\0", n, "f", &err),
                         ERR_INPUT);
        assert_non_null(strstr(err.message, "too short"));
        tensor_set_close(&set);
    }
}

static void test_deep_nesting(void **state)
{
    (void)state;
    struct str header = {0};
    struct tensor_set set = {0};
    struct err err = {0};
    str_puts(&header, "{\"a\":");
    for (int i = 0; i < 10000; i++)
        str_putc(&header, '[');
    assert_int_equal(parse(&set, str_text(&header), 0, &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "depth"));
    tensor_set_close(&set);
    str_free(&header);
}

/* --- writing --- */

static const float values[6] = {1, -2.5f, 3e-20f, 0, 5, 6};

static struct str write_some(bool reversed)
{
    struct tensor_out out[3] = {
        {"b.weight", DTYPE_F32, 2, {2, 3}, values},
        {"a \"q\" \xC3\xA9\\", DTYPE_BF16, 1, {2}, "\x80\x3f\x00\xc0"},
        {"h", DTYPE_F16, 0, {0}, "\x00\x3c"},
    };
    if (reversed) {
        struct tensor_out first = out[0];
        out[0] = out[2];
        out[2] = first;
    }
    struct str text = {0};
    struct err err = {0};
    assert_int_equal(safetensors_write(&text, out, 3, &err), 0);
    return text;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct str a = write_some(false), b = write_some(true);
    assert_int_equal(a.length, b.length);
    assert_memory_equal(str_text(&a), str_text(&b), a.length);
    uint64_t length = (uint8_t)str_text(&a)[0] | (uint64_t)(uint8_t)str_text(&a)[1] << 8;
    assert_int_equal(length % 8, 0);
    assert_int_equal(a.length, 8 + length + 24 + 4 + 2);

    struct tensor_set set = {0};
    struct err err = {0};
    if (safetensors_parse(&set, (const uint8_t *)str_text(&a), a.length, "f", &err))
        fail_msg("%s", err.message);
    assert_int_equal(set.count, 3);
    const struct tensor *w = tensor_find(&set, "b.weight");
    assert_int_equal(w->dtype, DTYPE_F32);
    assert_int_equal(tensor_count(w), 6);
    for (size_t i = 0; i < 6; i++)
        assert_true(tensor_element(w, i) == values[i]);
    const struct tensor *q = tensor_find(&set, "a \"q\" \xC3\xA9\\");
    assert_non_null(q);
    assert_true(tensor_element(q, 0) == 1.0f && tensor_element(q, 1) == -2.0f);
    assert_true(tensor_element(tensor_find(&set, "h"), 0) == 1.0f);
    tensor_set_close(&set);

    /* Cut anywhere it is an error, never a crash and never a success. */
    for (size_t n = 0; n < a.length; n++) {
        uint8_t *cut = malloc(n ? n : 1); /* so that a read beyond it is seen */
        memcpy(cut, str_text(&a), n);
        assert_int_equal(safetensors_parse(&set, cut, n, "f", &err), ERR_INPUT);
        tensor_set_close(&set);
        free(cut);
    }
    str_free(&a);
    str_free(&b);
}

/* Memory running out at every point is an error and leaks nothing. */
static void test_out_of_memory(void **state)
{
    (void)state;
    struct str file = write_some(false);
    struct mem_stats before = mem_stats();
    int failures = 0;
    for (long n = 0;; n++) {
        struct tensor_set set = {0};
        struct err err = {0};
        mem_fail_after(n);
        int status =
            safetensors_parse(&set, (const uint8_t *)str_text(&file), file.length, "f", &err);
        mem_fail_after(-1);
        tensor_set_close(&set);
        assert_int_equal(mem_stats().live_blocks, before.live_blocks);
        if (!status)
            break;
        assert_int_equal(status, ERR_MACHINE);
        failures++;
    }
    assert_true(failures > 10);
    str_free(&file);
}

static void test_elements(void **state)
{
    (void)state;
    static const struct {
        uint16_t bits;
        float value;
    } halves[] = {{0x3C00, 1.0f},     {0xC000, -2.0f}, {0x0001, 0x1p-24f},   {0x03FF, 0x1.ff8p-15f},
                  {0x7BFF, 65504.0f}, {0x8000, -0.0f}, {0x7C00, 1.0f / 0.0f}};
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++)
        assert_true(f16_to_float(halves[i].bits) == halves[i].value);
    assert_true(f16_to_float(0x7C01) != f16_to_float(0x7C01));
    assert_int_equal(bf16_from_float(1.00390625f), 0x3F80); /* half way: to even */
    assert_int_equal(bf16_from_float(1.01171875f), 0x3F82);
    assert_int_equal(bf16_from_float(3.4e38f), 0x7F80);
    assert_int_equal(bf16_from_float(-0.0f), 0x8000);
    uint32_t nan_bits = 0x7F800001;
    float nan;
    memcpy(&nan, &nan_bits, 4);
    float back = bf16_to_float(bf16_from_float(nan));
    assert_true(back != back);
    enum dtype d;
    for (int i = DTYPE_F32; i <= DTYPE_F8_E5M2; i++) {
        assert_int_equal(dtype_parse(&d, dtype_name((enum dtype)i)), 0);
        assert_int_equal(d, i);
    }
    assert_int_not_equal(dtype_parse(&d, "F128"), 0);
}

/* --- folders and shards --- */

static void put_file(const char *folder, const char *name, const char *text, size_t length)
{
    struct str path = {0};
    struct err err = {0};
    assert_int_equal(file_write_atomic(path_join(&path, folder, name), text, length, &err), 0);
    str_free(&path);
}

static void put_shard(const char *folder, const char *name, const char *header, size_t n)
{
    struct str file = make(header, strlen(header), n);
    put_file(folder, name, str_text(&file), file.length);
    str_free(&file);
}

static char *shard_folder(const char *weight_map)
{
    char *folder = temp_folder();
    put_shard(folder, "one.safetensors", "{" F32("a", "[1]", "0", "4") "}", 4);
    put_shard(folder, "two.safetensors", "{" F32("b", "[1]", "0", "4") "}", 4);
    if (weight_map)
        put_file(folder, "model.safetensors.index.json", weight_map, strlen(weight_map));
    return folder;
}

static void test_shards(void **state)
{
    (void)state;
    struct err err = {0};
    struct tensor_set set = {0};
    char *folder = shard_folder("{\"metadata\":{},\"weight_map\":{\"a\":\"one.safetensors\",\"b\":"
                                "\"two.safetensors\"}}");
    if (safetensors_open_folder(&set, folder, &err))
        fail_msg("%s: %s", err.where, err.message);
    assert_int_equal(set.count, 2);
    assert_int_equal(set.n_maps, 2);
    assert_memory_equal(tensor_find(&set, "b")->data, "\0\1\2\3", 4);
    tensor_set_close(&set);
    /* model.safetensors is preferred; it may be a link, as all files of the hub's cache are. */
    struct str target = {0}, link = {0};
    assert_int_equal(symlink(path_join(&target, folder, "one.safetensors"),
                             path_join(&link, folder, "model.safetensors")),
                     0);
    assert_int_equal(safetensors_open_folder(&set, folder, &err), 0);
    assert_int_equal(set.count, 1);
    tensor_set_close(&set);
    str_free(&target);
    str_free(&link);
    temp_folder_remove(folder);
}

static void test_bad_shards(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"weight_map\":{\"a\":\"../one.safetensors\"}}",
         "\"../one.safetensors\": expected a file"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "\"/etc/passwd\": expected a file name"},
        {"{\"weight_map\":{\"a\":\"x/one.safetensors\"}}", "expected a file name inside"},
        {"{\"weight_map\":{\"a\":\"..\"}}", "expected a file name inside"},
        {"{\"weight_map\":{\"a\":\".\"}}", "expected a file name inside"},
        {"{\"weight_map\":{\"a\":\"\"}}", "expected a file name inside"},
        {"{\"weight_map\":{\"a\":\"x\\\\one\"}}", "expected a file name inside"},
        {"{\"weight_map\":{\"a\":3}}", "an integer"},
        {"{\"weight_map\":{\"a\":\"three.safetensors\"}}", "No such file"},
        {"{\"weight_map\":{\"c\":\"one.safetensors\"}}", "\"c\" but one.safetensors does not"},
        {"{\"weight_map\":{\"a\":\"two.safetensors\",\"b\":\"one.safetensors\"}}",
         "\"a\" but two.safetensors does not"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"a\":\"two.safetensors\"}}", "duplicate"},
        {"{\"weight_map\":[]}", "\"weight_map\" is a list"},
        {"{}", "\"weight_map\" is nothing"},
        {"[]", "\"weight_map\" is nothing"},
        {"{", "not valid JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        struct tensor_set set = {0};
        char *folder = shard_folder(cases[i][0]);
        int status = safetensors_open_folder(&set, folder, &err);
        if (status != ERR_INPUT || !strstr(err.message, cases[i][1]))
            fail_msg("%s: status %d, \"%s\"", cases[i][0], status, err.message);
        assert_non_null(strstr(err.where, folder));
        tensor_set_close(&set);
        temp_folder_remove(folder);
    }
}

static void test_bad_folders(void **state)
{
    (void)state;
    struct err err = {0};
    struct tensor_set set = {0};
    char *folder = shard_folder(NULL);
    assert_int_equal(safetensors_open_folder(&set, folder, &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "holds neither model.safetensors"));
    tensor_set_close(&set);
    assert_int_equal(safetensors_open_folder(&set, "no/such/folder", &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "is no folder"));
    tensor_set_close(&set);
    /* The same tensor in two shards. */
    put_shard(folder, "three.safetensors", "{" F32("a", "[1]", "0", "4") "}", 4);
    static const char map[] =
        "{\"weight_map\":{\"a\":\"one.safetensors\",\"x\":\"three.safetensors\"}}";
    put_file(folder, "model.safetensors.index.json", map, sizeof map - 1);
    assert_int_equal(safetensors_open_folder(&set, folder, &err), ERR_INPUT);
    assert_non_null(strstr(err.message, "\"a\" appears twice"));
    tensor_set_close(&set);
    assert_int_equal(safetensors_open(&set, folder, &err), ERR_INPUT);
    tensor_set_close(&set);
    put_file(folder, "empty.safetensors", "", 0);
    struct str path = {0};
    assert_int_equal(safetensors_open(&set, path_join(&path, folder, "empty.safetensors"), &err),
                     ERR_INPUT);
    assert_non_null(strstr(err.message, "too short"));
    tensor_set_close(&set);
    str_free(&path);
    temp_folder_remove(folder);
}

/* --- NaN and infinity --- */

struct number { /* bits of a type: the largest finite, then some that are none */
    enum dtype dtype;
    size_t size;
    uint32_t largest, sign, bad[4];
};

static const struct number numbers[] = {
    {DTYPE_F32, 4, 0x7F7FFFFFu, 0x80000000u, {0x7F800000u, 0x7F800001u, 0x7FC00000u, 0x7FFFFFFFu}},
    {DTYPE_F16, 2, 0x7BFFu, 0x8000u, {0x7C00u, 0x7C01u, 0x7E00u, 0x7FFFu}},
    {DTYPE_BF16, 2, 0x7F7Fu, 0x8000u, {0x7F80u, 0x7F81u, 0x7FC0u, 0x7FFFu}},
};

static void put(char *data, const struct number *t, size_t i, uint32_t bits)
{
    memcpy(data + i * t->size, &bits, t->size); /* little-endian */
}

/* Every place of tensors up to some words long, with either sign; ranges that end before and begin
 * after it. All others are as large as finite numbers get. */
static void check_places(const struct number *type, size_t n, size_t shift)
{
    char *block = malloc(shift + n * type->size), *data = block + shift;
    const struct tensor t = {
        .dtype = type->dtype, .n_dims = 1, .shape = {n}, .data = data, .size = n * type->size};
    size_t first = 12345;
    for (size_t i = 0; i < n; i++)
        put(data, type, i, type->largest | (i % 3 ? 0 : type->sign));
    assert_int_equal(tensor_not_finite(&t, 0, n, &first), 0);
    for (size_t i = 0; i < n; i++) {
        put(data, type, i, type->bad[i % 4] | (i / 4 % 2 ? type->sign : 0));
        assert_int_equal(tensor_not_finite(&t, 0, i, &first), 0);
        assert_int_equal(tensor_not_finite(&t, i + 1, n, &first), 0);
        assert_int_equal(first, 12345); /* untouched */
        assert_int_equal(tensor_not_finite(&t, 0, n, &first), 1);
        assert_int_equal(first, i);
        assert_int_equal(tensor_not_finite(&t, i, i + 1, &first), 1);
        put(data, type, i, type->largest);
        first = 12345;
    }
    free(block);
}

static void test_not_finite(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof numbers / sizeof *numbers; t++) {
        for (size_t n = 1; n < 40; n++)
            check_places(&numbers[t], n, n % 4);
        check_places(&numbers[t], 515, 1);
    }
    /* Every f16 and bf16 there is, alone; and several in runs far apart. */
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        uint16_t half = (uint16_t)bits;
        size_t first;
        struct tensor one = {
            .dtype = DTYPE_BF16, .n_dims = 1, .shape = {1}, .data = &half, .size = 2};
        assert_int_equal(tensor_not_finite(&one, 0, 1, &first), (bits & 0x7F80) == 0x7F80);
        one.dtype = DTYPE_F16;
        assert_int_equal(tensor_not_finite(&one, 0, 1, &first), (bits & 0x7C00) == 0x7C00);
    }
    enum { N = 30000 };
    float *many = calloc(N, sizeof *many);
    const struct tensor t = {
        .dtype = DTYPE_F32, .n_dims = 1, .shape = {N}, .data = many, .size = N * sizeof *many};
    size_t first = 0;
    many[4096] = many[4095] = many[20000] = INFINITY;
    many[N - 1] = NAN;
    assert_int_equal(tensor_not_finite(&t, 0, N, &first), 4);
    assert_int_equal(first, 4095);
    assert_int_equal(tensor_not_finite(&t, 4096, N, &first), 3);
    assert_int_equal(first, 4096);
    assert_int_equal(tensor_not_finite(&t, 4097, N - 1, &first), 1);
    assert_int_equal(first, 20000);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),         cmocka_unit_test(test_good),
        cmocka_unit_test(test_header_length), cmocka_unit_test(test_deep_nesting),
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_elements),      cmocka_unit_test(test_shards),
        cmocka_unit_test(test_not_finite),    cmocka_unit_test(test_bad_shards),
        cmocka_unit_test(test_bad_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

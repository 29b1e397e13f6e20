/* shape.c: shapes, their folders and weights; see shape.h.
 *
 * Weights are ±(1/64 … 1/32): logits then differ by less than 1, every token is about as likely as
 * any other, and no value is so small that arithmetic slows down. How long products take does not
 * depend on the numbers, so the matrices may share them: the layers' are all the same stretch. */
#include "bench/shape.h"
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"

#define SHAPE_COMMON .tie_word_embeddings = true, .bos = -1

const struct bench_shape bench_shapes[] = {
    {"builtin",
     {.arch = ARCH_QWEN3,
      .vocab_size = 2048,
      .hidden_size = 160,
      .intermediate_size = 448,
      .layers = 5,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 32,
      .max_position_embeddings = 384,
      .qk_norm = true,
      .rms_norm_eps = 1e-6,
      .rope_theta = 1e4,
      SHAPE_COMMON},
     {128, 128, 16, 64},
     {64, 32, 8, 16}},
    {"smollm2-135m",
     {.arch = ARCH_LLAMA,
      .vocab_size = 49152,
      .hidden_size = 576,
      .intermediate_size = 1536,
      .layers = 30,
      .heads = 9,
      .kv_heads = 3,
      .head_dim = 64,
      .max_position_embeddings = 8192,
      .rms_norm_eps = 1e-5,
      .rope_theta = 1e5,
      SHAPE_COMMON},
     {256, 512, 16, 32},
     {64, 32, 8, 8}},
    {"tucano2-0.5b",
     {.arch = ARCH_QWEN3,
      .vocab_size = 49152,
      .hidden_size = 1024,
      .intermediate_size = 3072,
      .layers = 28,
      .heads = 16,
      .kv_heads = 8,
      .head_dim = 128,
      .max_position_embeddings = 4096,
      .qk_norm = true,
      .rms_norm_eps = 1e-6,
      .rope_theta = 1e6,
      SHAPE_COMMON},
     {256, 512, 16, 32},
     {64, 32, 8, 8}},
};
const int bench_n_shapes = ARRAY_LENGTH(bench_shapes);

/* --- the folder --- */

static int write_file(const char *folder, const char *name, struct str *text, struct err *err)
{
    struct str path = {0};
    path_join(&path, folder, name);
    int status = text->failed || path.failed
                     ? err_no_memory(err, name, text->length)
                     : file_write_atomic(str_text(&path), text->data, text->length, err);
    str_free(&path);
    str_free(text);
    return status;
}

static int write_config(const struct hf_config *c, const char *folder, struct err *err)
{
    const struct {
        const char *key;
        int value;
    } sizes[] = {{"vocab_size", c->vocab_size},
                 {"hidden_size", c->hidden_size},
                 {"intermediate_size", c->intermediate_size},
                 {"num_hidden_layers", c->layers},
                 {"num_attention_heads", c->heads},
                 {"num_key_value_heads", c->kv_heads},
                 {"head_dim", c->head_dim},
                 {"max_position_embeddings", c->max_position_embeddings}};
    struct str text = {0};
    struct json_writer w;
    jw_begin(&w, &text);
    jw_object_begin(&w);
    jw_key(&w, "model_type");
    jw_text(&w, c->arch == ARCH_LLAMA ? "llama" : "qwen3");
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        jw_key(&w, sizes[i].key);
        jw_int(&w, sizes[i].value);
    }
    jw_key(&w, "rms_norm_eps");
    jw_double(&w, c->rms_norm_eps);
    jw_key(&w, "rope_theta");
    jw_double(&w, c->rope_theta);
    jw_key(&w, "hidden_act");
    jw_text(&w, "silu");
    jw_key(&w, "tie_word_embeddings");
    jw_bool(&w, c->tie_word_embeddings);
    jw_object_end(&w);
    return write_file(folder, "config.json", &text, err);
}

/* The character that byte-level BPE writes for a byte: printable Latin-1 for itself, the others
 * from U+0100 on, in order (GPT-2's table). */
static void put_byte_character(struct str *out, int byte)
{
    uint32_t next = 0x100;
    for (int b = 0; b < 256; b++) {
        bool plain = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
        if (b == byte) {
            str_put_utf8(out, plain ? (uint32_t)b : next);
            return;
        }
        next += !plain;
    }
}

/* Word number i over a to z, shorter ones first: 26² of two letters, 26³ of three, … */
static void word(char out[8], int i)
{
    int length = 2, count = 26 * 26;
    for (; i >= count; count *= 26, length++)
        i -= count;
    out[length] = 0;
    for (int at = length - 1; at >= 0; at--, i /= 26)
        out[at] = (char)('a' + i % 26);
}

static void write_vocabulary(struct json_writer *w, int size)
{
    jw_key(w, "vocab");
    jw_object_begin(w);
    for (int id = 0; id < size; id++) {
        struct str token = {0};
        char text[8];
        if (id < 256) {
            put_byte_character(&token, id);
            jw_key(w, str_text(&token));
        } else {
            word(text, id - 256);
            jw_key(w, text);
        }
        jw_int(w, id);
        w->out->failed |= token.failed;
        str_free(&token);
    }
    jw_object_end(w);
}

/* Each word is its beginning and its last letter. */
static void write_merges(struct json_writer *w, int size)
{
    jw_key(w, "merges");
    jw_array_begin(w);
    for (int id = 256; id < size; id++) {
        char text[8], merge[10];
        word(text, id - 256);
        int last = (int)strlen(text) - 1;
        snprintf(merge, sizeof merge, "%.*s %c", last, text, text[last]);
        jw_text(w, merge);
    }
    jw_array_end(w);
}

static int write_tokenizer(int size, const char *folder, struct err *err)
{
    struct str text = {0};
    struct json_writer w;
    const char *const level = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
                              "\"trim_offsets\": true, \"use_regex\": true}";
    jw_begin(&w, &text);
    str_printf(&text,
               "{\"version\": \"1.0\", \"added_tokens\": [], \"normalizer\": null, "
               "\"pre_tokenizer\": %s, \"post_processor\": null, \"decoder\": %s, \"model\": ",
               level, level);
    jw_object_begin(&w);
    jw_key(&w, "type");
    jw_text(&w, "BPE");
    write_vocabulary(&w, size);
    write_merges(&w, size);
    jw_object_end(&w);
    str_putc(&text, '}');
    return write_file(folder, "tokenizer.json", &text, err);
}

int bench_shape_folder(const struct bench_shape *s, const char *folder, struct err *err)
{
    int status = write_config(&s->config, folder, err);
    return status ? status : write_tokenizer(s->config.vocab_size, folder, err);
}

int bench_rows(const char *folder, int rows, int prompt, int vocab_size, struct err *err)
{
    struct str text = {0};
    for (int r = 0; r < rows; r++) {
        struct rng_key key = {.seed = 1, .purpose = RNG_SYNTH, .row = (uint64_t)r};
        struct json_writer w;
        jw_begin(&w, &text);
        jw_object_begin(&w);
        jw_key(&w, "prompt_ids");
        jw_array_begin(&w);
        for (int i = 0; i < prompt; i++)
            jw_int(&w, (long long)rng_below(&key, (uint64_t)i, (uint64_t)vocab_size));
        jw_array_end(&w);
        jw_object_end(&w);
        str_putc(&text, '\n');
    }
    return write_file(folder, "rows.jsonl", &text, err);
}

/* --- weights --- */

struct matrix {
    const char *name; /* with %d for the layer */
    int rows, cols;   /* cols 0: a norm's gains */
};

static int add_tensor(struct bench_weights *w, const struct matrix *m, int layer, struct err *err)
{
    struct tensor_set *set = &w->set;
    char name[160];
    int length = snprintf(name, sizeof name, m->name, layer);
    char *copy = mem_strdup(name);
    if (!copy || !map_put(&set->index, name, (size_t)length, (int32_t)set->count)) {
        mem_free(copy);
        return err_no_memory(err, "the tensors' names", sizeof name);
    }
    set->names[set->count] = copy;
    struct tensor *t = &set->tensors[set->count++];
    *t = (struct tensor){.name = copy,
                         .dtype = DTYPE_BF16,
                         .n_dims = m->cols ? 2 : 1,
                         .shape = {(uint64_t)m->rows, (uint64_t)m->cols},
                         .data = m->cols ? w->random : w->ones};
    t->size = tensor_count(t) * sizeof(uint16_t);
    return ERR_NONE;
}

static int add_tensors(struct bench_weights *w, const struct hf_config *c, struct err *err)
{
    int hidden = c->hidden_size, inner = c->intermediate_size;
    int q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    const struct matrix whole[] = {{"model.embed_tokens.weight", c->vocab_size, hidden},
                                   {"model.norm.weight", hidden, 0}};
    const struct matrix layer[] = {
        {"model.layers.%d.input_layernorm.weight", hidden, 0},
        {"model.layers.%d.post_attention_layernorm.weight", hidden, 0},
        {"model.layers.%d.self_attn.q_proj.weight", q, hidden},
        {"model.layers.%d.self_attn.k_proj.weight", kv, hidden},
        {"model.layers.%d.self_attn.v_proj.weight", kv, hidden},
        {"model.layers.%d.self_attn.o_proj.weight", hidden, q},
        {"model.layers.%d.mlp.gate_proj.weight", inner, hidden},
        {"model.layers.%d.mlp.up_proj.weight", inner, hidden},
        {"model.layers.%d.mlp.down_proj.weight", hidden, inner},
        {"model.layers.%d.self_attn.q_norm.weight", c->head_dim, 0},
        {"model.layers.%d.self_attn.k_norm.weight", c->head_dim, 0},
    };
    size_t a_layer = ARRAY_LENGTH(layer) - (c->qk_norm ? 0 : 2);
    w->set.capacity = ARRAY_LENGTH(whole) + a_layer * (size_t)c->layers;
    w->set.tensors = mem_calloc(w->set.capacity, sizeof *w->set.tensors);
    w->set.names = mem_calloc(w->set.capacity, sizeof *w->set.names);
    int status = w->set.tensors && w->set.names
                     ? ERR_NONE
                     : err_no_memory(err, "the tensors", w->set.capacity * sizeof(struct tensor));
    for (size_t i = 0; i < ARRAY_LENGTH(whole) && !status; i++)
        status = add_tensor(w, &whole[i], 0, err);
    for (int l = 0; l < c->layers; l++)
        for (size_t i = 0; i < a_layer && !status; i++)
            status = add_tensor(w, &layer[i], l, err);
    return status;
}

int bench_weights_create(struct bench_weights *w, const struct hf_config *c, struct err *err)
{
    *w = (struct bench_weights){0};
    int inner = c->intermediate_size, q = c->heads * c->head_dim, most = c->vocab_size;
    most = inner > most ? inner : most;
    most = q > most ? q : most;
    size_t n = (size_t)most * (size_t)c->hidden_size;
    size_t ones = (size_t)(c->hidden_size > c->head_dim ? c->hidden_size : c->head_dim);
    w->random = mem_alloc(n * sizeof *w->random);
    w->ones = mem_alloc(ones * sizeof *w->ones);
    if (!w->random || !w->ones) {
        bench_weights_free(w);
        return err_no_memory(err, "random weights", n * sizeof *w->random);
    }
    struct rng_key key = {.seed = 1, .purpose = RNG_INIT};
    for (size_t i = 0; i < n; i++) { /* four numbers of a draw: sign and 7 bits behind the point */
        static const uint16_t a_64th = 0x3c80, chosen = 0x807f;
        uint64_t bits = i % 4 ? 0 : rng_bits(&key, i / 4);
        for (size_t j = 0; i % 4 == 0 && j < 4 && i + j < n; j++)
            w->random[i + j] = (uint16_t)(a_64th | (bits >> 16 * j & chosen));
    }
    for (size_t i = 0; i < ones; i++)
        w->ones[i] = 0x3f80;
    int status = add_tensors(w, c, err);
    if (status)
        bench_weights_free(w);
    return status;
}

void bench_weights_free(struct bench_weights *w)
{
    tensor_set_close(&w->set);
    mem_free(w->random);
    mem_free(w->ones);
    *w = (struct bench_weights){0};
}

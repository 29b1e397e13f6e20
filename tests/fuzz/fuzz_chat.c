/* fuzz_chat.c: any template over any messages. The first byte says how many messages there are and
 * whether an answer is asked for; each message is a byte for its role, then text up to a 0xFF; the
 * rest is the template. Whatever it is, it ends within its limits, with valid text or with an error
 * that says where; the same input gives the same text; nothing is lost. Our own templates take the
 * messages too, and lose no text of a user. */
#include <stdint.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "tokenizer/chat.h"
#include "tokenizer/jinja.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_MESSAGES = 8 };

static const char *const roles[] = {"system", "user", "assistant", "tool"};
static const char *const names[] = {"chatml", "smollm2", "qwen2.5", "qwen3", "llama3", "zephyr"};

struct chat {
    struct chat_message messages[MAX_MESSAGES];
    size_t n;
    bool answer, known;
    const char *rest;
    size_t n_rest;
};

static bool read_chat(struct chat *c, const uint8_t *data, size_t size)
{
    if (!size)
        return false;
    size_t wanted = data[0] % (MAX_MESSAGES + 1), at = 1;
    c->answer = data[0] & 0x80;
    c->known = true;
    while (c->n < wanted && at < size) {
        struct chat_message *m = &c->messages[c->n++];
        m->role = roles[data[at++] % 4];
        c->known = c->known && m->role != roles[3];
        m->content = (const char *)data + at;
        m->json = NULL;
        const uint8_t *end = memchr(data + at, 0xFF, size - at);
        m->content_length = end ? (size_t)(end - data) - at : size - at;
        at += m->content_length + (end != NULL);
        if (!utf8_valid(m->content, m->content_length)) /* messages come out of JSON */
            return false;
    }
    c->rest = (const char *)data + at;
    c->n_rest = size - at;
    return true;
}

static json_t *variables(const struct chat *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->n; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s%}", "role", c->messages[i].role, "content",
                                        c->messages[i].content, c->messages[i].content_length));
    return json_pack("{s:o, s:b, s:s, s:{s:i, s:[f, n]}}", "messages", list,
                     "add_generation_prompt", c->answer, "bos_token", "<s>", "d", "k", 3, "l", 2.5);
}

static void check_any(const struct chat *c)
{
    jinja *t;
    struct err err = {0};
    struct jinja_limits limits = {1 << 17, 4 << 20, 1 << 20};
    if (jinja_parse(&t, c->rest, c->n_rest, "fuzz", &err)) {
        CHECK(err.message[0] && strcmp(err.where, "fuzz") == 0);
        return;
    }
    struct str out = {0}, again = {0};
    json_t *values = variables(c);
    int status = jinja_render(&out, t, values, &limits, &err);
    CHECK(status == ERR_NONE || (status == ERR_INPUT && err.message[0]));
    CHECK(out.length <= 1 << 20 && (status == 0 || out.length == 0));
    CHECK(utf8_valid(str_text(&out), out.length));
    CHECK(jinja_render(&again, t, values, &limits, &err) == status);
    CHECK(again.length == out.length && memcmp(str_text(&again), str_text(&out), out.length) == 0);
    json_decref(values);
    jinja_free(t);
    str_free(&out);
    str_free(&again);
}

static bool has_user_text(const struct str *out, const struct chat_message *m, bool trimmed)
{
    return trimmed || !m->content_length ||
           memmem(out->data, out->length, m->content, m->content_length);
}

static void check_ours(const struct chat *c, const char *name)
{
    struct err err = {0};
    struct str out = {0};
    chat_template *t;
    CHECK(chat_template_open(&t, "no folder", &(struct chat_options){.template = name}, &err) == 0);
    int status = chat_render(&out, t, c->messages, c->n, c->answer, &err);
    CHECK(status == (c->n && c->known ? ERR_NONE : ERR_INPUT));
    for (size_t i = 0; !status && i < c->n; i++)
        if (c->messages[i].role == roles[1])
            CHECK(has_user_text(&out, &c->messages[i], strcmp(name, "llama3") == 0));
    chat_template_free(t);
    str_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static size_t blocks;
    if (!blocks) /* jansson's own, taken once */
        json_decref(json_object());
    blocks = mem_stats().live_blocks;
    struct chat c = {0};
    if (read_chat(&c, data, size)) {
        check_any(&c);
        check_ours(&c, names[size % ARRAY_LENGTH(names)]);
    }
    CHECK(mem_stats().live_blocks == blocks);
    return 0;
}

/* chat.c: the known chat templates; see chat.h. All are ChatML; they differ in a default system
 * message and in what becomes of earlier turns' thoughts. Hashes are of the template's whole text.
 */
#include "tokenizer/chat.h"
#include <string.h>
#include "base/file.h"
#include "base/json.h"

enum { MAX_HASHES = 6 };

struct chat_template {
    const char *name;
    const char *default_system; /* put first when the first message is not a system message */
    bool thoughts; /* Qwen3: thoughts of earlier turns are left out, of the last one kept */
    const char *hashes[MAX_HASHES];
};

static const struct chat_template templates[] = {
    {.name = "chatml",
     .hashes = {"b5349ab4094553941a433d4221a99f1ab23ca42126754c5e6c3987ab7942e409",
                "153280e3ff55d19da1398bdb3914ee2a51b80429bfaedde11d7d216c39db80f3"}},
    {.name = "smollm2",
     .default_system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
     .hashes = {"872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788"}},
    {.name = "qwen3",
     .thoughts = true,
     .hashes = {"87a2728cb8dc9fe424d624542f6060ec05a1d285ebbec578bb078900e33396b5"}},
};
enum { N_TEMPLATES = sizeof templates / sizeof *templates };

const struct chat_template *chat_template_find(const char *name)
{
    for (int i = 0; i < N_TEMPLATES; i++)
        if (strcmp(templates[i].name, name) == 0)
            return &templates[i];
    return NULL;
}

const char *chat_template_name(const struct chat_template *t)
{
    return t->name;
}

const struct chat_template *chat_template_recognise(const char *text, size_t length)
{
    char hash[65];
    sha256_hex(hash, text, length);
    for (int i = 0; i < N_TEMPLATES; i++)
        for (int h = 0; h < MAX_HASHES && templates[i].hashes[h]; h++)
            if (strcmp(templates[i].hashes[h], hash) == 0)
                return &templates[i];
    return NULL;
}

static void list_names(struct str *out)
{
    for (int i = 0; i < N_TEMPLATES; i++)
        str_printf(out, "%s%s", i ? ", " : "", templates[i].name);
}

static int unknown(const char *where, const char *problem, const char *hash, struct err *err)
{
    struct str names = {0};
    list_names(&names);
    int status = err_set(err, ERR_INPUT, where,
                         "%s%s. Templates are programs and are never executed; if one of these "
                         "renders the same text, name it in the recipe (chat_template: NAME) or "
                         "with --chat-template: %s",
                         problem, hash, str_text(&names));
    str_free(&names);
    return status;
}

/* chat_template of a tokenizer_config.json; *found is left false when it has none. */
static int read_config_template(struct str *out, bool *found, const char *path, struct err *err)
{
    struct str text = {0};
    struct err local = {0}; /* the caller may have passed none, and the code is needed */
    int status = file_read(&text, path, err);
    json_t *root =
        status ? NULL : json_read(str_text(&text), text.length, JSON_BIG_INTEGERS, path, &local);
    const json_t *value = json_object_get(root, "chat_template");
    if (!status && !root)
        status = err_set(err, local.code, path, "%s", local.message);
    else if (!status && !json_is_object(root))
        status = err_set(err, ERR_INPUT, path, "is %s, expected an object", json_type_name(root));
    else if (json_is_string(value))
        str_append(out, json_string_value(value), json_string_length(value));
    else if (value && !json_is_null(value))
        status =
            err_set(err, ERR_INPUT, path,
                    "\"chat_template\" is %s, expected a string; name a template in the recipe "
                    "(chat_template: NAME)",
                    json_type_name(value));
    *found = json_is_string(value);
    json_decref(root);
    str_free(&text);
    return status;
}

/* The template's text: chat_template.jinja, else chat_template in tokenizer_config.json. */
static int read_template(struct str *out, bool *found, const char *folder, struct err *err)
{
    struct str path = {0}, config = {0};
    path_join(&path, folder, "chat_template.jinja");
    path_join(&config, folder, "tokenizer_config.json");
    int status =
        path.failed || config.failed ? err_no_memory(err, folder, strlen(folder)) : ERR_NONE;
    *found = false;
    if (!status && file_exists(str_text(&path))) {
        status = file_read(out, str_text(&path), err);
        *found = true;
    } else if (!status && file_exists(str_text(&config))) {
        status = read_config_template(out, found, str_text(&config), err);
    }
    if (!status && out->failed)
        status = err_no_memory(err, folder, out->length);
    str_free(&path);
    str_free(&config);
    return status;
}

int chat_template_open(const struct chat_template **out, const char *folder, const char *name,
                       struct err *err)
{
    *out = NULL;
    if (name) {
        *out = chat_template_find(name);
        return *out ? ERR_NONE : unknown("chat_template", "unknown template ", name, err);
    }
    struct str text = {0};
    bool found;
    int status = read_template(&text, &found, folder, err);
    if (!status && !found)
        status = unknown(folder, "has no chat template", "", err);
    if (!status) {
        *out = chat_template_recognise(str_text(&text), text.length);
        if (!*out) {
            char hash[65];
            sha256_hex(hash, str_text(&text), text.length);
            status = unknown(folder, "has a chat template that is not known, SHA-256 ", hash, err);
        }
    }
    str_free(&text);
    return status;
}

/* --- rendering --- */

static void put_turn(struct str *out, const char *role, struct slice content)
{
    str_printf(out, "<|im_start|>%s\n", role);
    str_append(out, content.data, content.length);
    str_puts(out, "<|im_end|>\n");
}

static struct slice trim_newlines(struct slice s, bool left, bool right)
{
    while (left && s.length && *s.data == '\n') {
        s.data++;
        s.length--;
    }
    while (right && s.length && s.data[s.length - 1] == '\n')
        s.length--;
    return s;
}

/* Position of the first (or last) `needle` in s, or −1. */
static long find(struct slice s, const char *needle, bool last)
{
    size_t n = strlen(needle);
    long found = -1;
    for (size_t i = 0; i + n <= s.length; i++) {
        if (memcmp(s.data + i, needle, n) == 0) {
            found = (long)i;
            if (!last)
                break;
        }
    }
    return found;
}

static bool has_edge(struct slice s, const char *text, bool at_end)
{
    size_t n = strlen(text);
    return s.length >= n && memcmp(at_end ? s.data + s.length - n : s.data, text, n) == 0;
}

/* Qwen3's assistant turn: what stands before </think> is the thought; it is shown again only after
 * the last real question, and (as the template has it) the last turn always gets a think block
 * there. */
static void put_thoughtful(struct str *out, struct slice content, bool after_query, bool is_last)
{
    struct slice thought = {"", 0};
    long end = find(content, "</think>", true), first = find(content, "</think>", false);
    if (end >= 0) {
        thought = (struct slice){content.data, (size_t)first};
        thought = trim_newlines(thought, false, true);
        long begin = find(thought, "<think>", true);
        if (begin >= 0) {
            thought.data += begin + 7;
            thought.length -= (size_t)begin + 7;
        }
        thought = trim_newlines(thought, true, false);
        content.data += end + 8;
        content.length -= (size_t)end + 8;
        content = trim_newlines(content, true, false);
    }
    str_puts(out, "<|im_start|>assistant\n");
    if (after_query && (is_last || thought.length)) {
        thought = trim_newlines(thought, true, true);
        str_puts(out, "<think>\n");
        str_append(out, thought.data, thought.length);
        str_puts(out, "\n</think>\n\n");
        content = trim_newlines(content, true, false);
    }
    str_append(out, content.data, content.length);
    str_puts(out, "<|im_end|>\n");
}

static struct slice content_of(const struct chat_message *m)
{
    return (struct slice){m->content, m->content_length};
}

int chat_render(struct str *out, const struct chat_template *t, const struct chat_message *messages,
                size_t n, bool add_generation_prompt, struct err *err)
{
    if (n == 0)
        return err_set(err, ERR_INPUT, "messages",
                       "is an empty list; a chat has at least one message");
    size_t last_query = n - 1;
    for (size_t i = n; i-- > 0;) {
        struct slice c = content_of(&messages[i]);
        if (strcmp(messages[i].role, "user") == 0 &&
            !(has_edge(c, "<tool_response>", false) && has_edge(c, "</tool_response>", true))) {
            last_query = i;
            break;
        }
    }
    if (t->default_system && strcmp(messages[0].role, "system") != 0)
        put_turn(out, "system", slice_of(t->default_system));
    for (size_t i = 0; i < n; i++) {
        const char *role = messages[i].role;
        bool known = strcmp(role, "system") == 0 || strcmp(role, "user") == 0 ||
                     strcmp(role, "assistant") == 0;
        if (!known)
            return err_set(err, ERR_INPUT, "messages",
                           "message %zu has role \"%.40s\"; template %s knows system, user and "
                           "assistant",
                           i, role, t->name);
        if (t->thoughts && strcmp(role, "assistant") == 0)
            put_thoughtful(out, content_of(&messages[i]), i > last_query, i == n - 1);
        else
            put_turn(out, role, content_of(&messages[i]));
    }
    if (add_generation_prompt)
        str_puts(out, "<|im_start|>assistant\n");
    return out->failed ? err_no_memory(err, "messages", out->length) : ERR_NONE;
}

/* chat.c: where a model's chat template and its variables come from, and rendering with them; see
 * chat.h. The template is parsed once, when it is opened, so that one we cannot run is an error
 * before any work is done; its fixed variables are put together then too. */
#include "tokenizer/chat.h"
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "tokenizer/chat_builtin.h"
#include "tokenizer/jinja.h"

struct chat_template {
    jinja *program;
    json_t *variables; /* special tokens, kwargs */
    char *where;
};

void chat_template_names(struct str *out)
{
    for (int i = 0; chat_builtins[i].name; i++)
        str_printf(out, "%s%s", i ? ", " : "", chat_builtins[i].name);
}

static const char *builtin(const char *name)
{
    for (int i = 0; chat_builtins[i].name; i++)
        if (strcmp(chat_builtins[i].name, name) == 0)
            return chat_builtins[i].text;
    return NULL;
}

static int advise(enum err_code code, const char *where, const char *problem, const char *detail,
                  struct err *err)
{
    struct str names = {0};
    chat_template_names(&names);
    int status = err_set(err, code, where,
                         "%s%.200s; name one in the recipe (chat_template: NAME) or with "
                         "--chat-template: %s, or the path of a .jinja file",
                         problem, detail, str_text(&names));
    str_free(&names);
    return status;
}

/* --- a folder's files --- */

/* One JSON object of a file; *out stays NULL when there is no file. */
static int read_object(json_t **out, const char *folder, const char *name, struct err *err)
{
    struct str path = {0}, text = {0};
    struct err local = {0}; /* the caller may have passed none, and the code is needed */
    path_join(&path, folder, name);
    int status = path.failed ? err_no_memory(&local, folder, strlen(folder)) : ERR_NONE;
    if (!status && file_exists(str_text(&path))) {
        status = file_read(&text, str_text(&path), &local);
        if (!status && !(*out = json_read(str_text(&text), text.length, JSON_BIG_INTEGERS,
                                          str_text(&path), &local)))
            status = (int)local.code;
        if (!status && !json_is_object(*out))
            status = err_set(&local, ERR_INPUT, str_text(&path), "is %s, expected an object",
                             json_type_name(*out));
    }
    if (status && err)
        *err = local;
    str_free(&path);
    str_free(&text);
    return status;
}

/* Text, or a list of {name, template}: the default one, or the only one. NULL: none, or an error.
 */
static const json_t *config_template(const json_t *config, const char *folder, int *status,
                                     struct err *err)
{
    const json_t *value = json_object_get(config, "chat_template"), *found = NULL;
    if (!value || json_is_null(value) || json_is_string(value))
        return json_is_string(value) ? value : NULL;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i), *name = json_object_get(item, "name");
        if ((json_is_string(name) && strcmp(json_string_value(name), "default") == 0) ||
            json_array_size(value) == 1)
            found = json_object_get(item, "template");
    }
    if (!json_is_string(found))
        *status = advise(ERR_INPUT, folder,
                         "\"chat_template\" in tokenizer_config.json is neither text nor a list "
                         "with a template named \"default\"",
                         "", err);
    return json_is_string(found) ? found : NULL;
}

static int add_token(json_t *variables, const char *name, json_t *value, const char *folder,
                     struct err *err)
{
    if (json_is_object(value)) /* an AddedToken */
        value = json_object_get(value, "content");
    if (json_is_string(value) && json_object_set(variables, name, value))
        return err_no_memory(err, folder, 0);
    return ERR_NONE;
}

/* The names that transformers passes on from the tokenizer: every "…_token" (bos_token, a model's
 * own image_token), and those of the two maps from name to token. */
static int add_tokens(json_t *variables, const json_t *from, const char *folder, struct err *err)
{
    static const char ending[] = "_token";
    static const char *const maps[] = {"extra_special_tokens", "model_specific_special_tokens"};
    const char *key;
    json_t *value;
    int status = ERR_NONE;
    json_object_foreach((json_t *)(uintptr_t)from, key, value)
    {
        size_t n = strlen(key), tail = sizeof ending - 1;
        if (!status && n > tail && strcmp(key + n - tail, ending) == 0)
            status = add_token(variables, key, value, folder, err);
    }
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        json_object_foreach(json_object_get(from, maps[i]), key, value)
        {
            if (!status)
                status = add_token(variables, key, value, folder, err);
        }
    }
    return status;
}

int chat_special_tokens(json_t **tokens, json_t **config, const char *folder, struct err *err)
{
    json_t *read = NULL, *map = NULL;
    *tokens = json_object();
    int status = *tokens ? ERR_NONE : err_no_memory(err, folder, 0);
    if (!status)
        status = read_object(&read, folder, "tokenizer_config.json", err);
    if (!status)
        status = add_tokens(*tokens, read, folder, err);
    if (!status && !json_object_get(read, "added_tokens_decoder"))
        status = read_object(&map, folder, "special_tokens_map.json", err);
    if (!status)
        status = add_tokens(*tokens, map, folder, err);
    json_decref(map);
    if (config)
        *config = read;
    else
        json_decref(read);
    return status;
}

/* --- opening --- */

static int copy_kwargs(json_t *variables, const json_t *kwargs, struct err *err)
{
    static const char *const ours[] = {"messages", "tools", "documents", "add_generation_prompt"};
    const char *key;
    json_t *value;
    if (kwargs && !json_is_null(kwargs) && !json_is_object(kwargs))
        return err_set(err, ERR_USAGE, "chat_template_kwargs",
                       "is %s, expected a map such as {enable_thinking: false}",
                       json_type_name(kwargs));
    json_object_foreach((json_t *)(uintptr_t)kwargs, key, value)
    {
        for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
            if (strcmp(key, ours[i]) == 0)
                return err_set(err, ERR_USAGE, "chat_template_kwargs",
                               "names \"%s\", which is set for each prompt", key);
        if (json_object_set(variables, key, value))
            return err_no_memory(err, "chat_template_kwargs", 0);
    }
    return ERR_NONE;
}

int chat_template_parse(chat_template **out, const char *text, size_t length, const char *where,
                        const json_t *variables, struct err *err)
{
    *out = NULL;
    chat_template *t = mem_calloc(1, sizeof *t);
    if (!t)
        return err_no_memory(err, where, sizeof *t);
    t->variables = variables ? json_deep_copy(variables) : json_object();
    t->where = mem_strdup(where);
    int status = t->variables && t->where ? jinja_parse(&t->program, text, length, where, err)
                                          : err_no_memory(err, where, 0);
    if (status)
        chat_template_free(t);
    else
        *out = t;
    return status;
}

void chat_template_free(chat_template *t)
{
    if (!t)
        return;
    jinja_free(t->program);
    json_decref(t->variables);
    mem_free(t->where);
    mem_free(t);
}

const char *chat_template_where(const chat_template *t)
{
    return t->where;
}

const char *chat_template_token(const chat_template *t, const char *name)
{
    return json_string_value(json_object_get(t->variables, name));
}

bool chat_template_is_path(const char *template)
{
    size_t n = strlen(template);
    return strchr(template, '/') || (n > 6 && strcmp(template + n - 6, ".jinja") == 0);
}

/* The template's text and a name for messages. */
static int find_text(struct str *text, struct str *where, const char *folder, const char *wanted,
                     const json_t *config, struct err *err)
{
    int status = ERR_NONE;
    if (wanted && chat_template_is_path(wanted)) {
        str_puts(where, wanted);
        status = file_read(text, wanted, err);
    } else if (wanted) {
        const char *known = builtin(wanted);
        str_printf(where, "chat template %s", wanted);
        str_puts(text, known ? known : "");
        if (!known)
            status = advise(ERR_USAGE, "chat_template", "unknown template ", wanted, err);
    } else if (path_join(where, folder, "chat_template.jinja"), where->failed) {
        status = err_no_memory(err, folder, strlen(folder)); /* a file that is there was not seen */
    } else if (file_exists(str_text(where))) {
        status = file_read(text, str_text(where), err);
    } else {
        const json_t *found = config_template(config, folder, &status, err);
        str_clear(where);
        str_printf(where, "chat_template of %s", folder);
        if (found)
            str_append(text, json_string_value(found), json_string_length(found));
        else if (!status)
            status = advise(ERR_INPUT, folder, "has no chat template", "", err);
    }
    if (!status && (text->failed || where->failed))
        status = err_no_memory(err, folder, text->length);
    return status;
}

int chat_template_open(chat_template **out, const char *folder, const struct chat_options *options,
                       struct err *err)
{
    struct chat_options none = {0};
    const struct chat_options *o = options ? options : &none;
    struct str text = {0}, where = {0};
    json_t *config = NULL, *variables = NULL;
    *out = NULL;
    int status = chat_special_tokens(&variables, &config, folder, err);
    if (!status)
        status = copy_kwargs(variables, o->kwargs, err);
    if (!status)
        status = find_text(&text, &where, folder, o->template, config, err);
    if (!status)
        status = chat_template_parse(out, str_text(&text), text.length, str_text(&where), variables,
                                     err);
    json_decref(variables);
    json_decref(config);
    str_free(&text);
    str_free(&where);
    return status;
}

/* --- rendering --- */

int chat_row_check(const json_t *row, const char *where, struct err *err)
{
    static const char *const keys[] = {"tools", "chat_template_kwargs"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *value = json_object_get(row, keys[i]);
        if (value && !json_is_null(value) &&
            ((!json_is_array(value) && !json_is_object(value)) || json_array_size(value) ||
             json_object_size(value)))
            return err_set(err, ERR_INPUT, where,
                           "has \"%s\", which is not passed to the chat template: the prompt would "
                           "be another one; leave it out or null, and give what all prompts share "
                           "as chat_template_kwargs of the recipe or command line",
                           keys[i]);
    }
    return ERR_NONE;
}

/* As transformers has it: one name of a message's reasoning stands for all, so that a template
 * finds it whichever it reads. */
static json_t *with_reasoning(const json_t *message, json_t *reasoning)
{
    json_t *item = json_object();
    if (item && (json_object_set(item, "thinking", reasoning) ||
                 json_object_update(item, (json_t *)(uintptr_t)message) ||
                 json_object_set(item, "reasoning_content", reasoning))) {
        json_decref(item);
        return NULL;
    }
    return item;
}

/* A message as the template sees it; NULL: no memory. */
static json_t *message_object(const struct chat_message *m)
{
    static const char *const names[] = {"reasoning_content", "thinking", "reasoning"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *reasoning = json_object_get(m->json, names[i]);
        if (reasoning && !json_is_null(reasoning))
            return with_reasoning(m->json, reasoning);
    }
    if (m->json)
        return json_incref((json_t *)(uintptr_t)m->json);
    json_t *item = json_object();
    if (item &&
        (json_object_set_new(item, "role", json_string(m->role)) ||
         json_object_set_new(item, "content", json_stringn(m->content, m->content_length)))) {
        json_decref(item);
        return NULL;
    }
    return item;
}

static json_t *message_list(const struct chat_message *messages, size_t n, struct err *err,
                            int *status)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n && !*status; i++) {
        const struct chat_message *m = &messages[i];
        if (!utf8_valid(m->content, m->content_length) || !utf8_valid(m->role, strlen(m->role))) {
            *status = err_set(err, ERR_INPUT, "messages", "message %zu is not valid UTF-8", i);
            break;
        }
        json_t *item = message_object(m);
        if (!item || json_array_append(list, item))
            *status = err_no_memory(err, "messages", m->content_length);
        json_decref(item);
    }
    if (!list)
        *status = err_no_memory(err, "messages", n);
    return list;
}

int chat_render(struct str *out, const chat_template *t, const struct chat_message *messages,
                size_t n, bool add_generation_prompt, struct err *err)
{
    int status = ERR_NONE;
    if (n == 0)
        return err_set(err, ERR_INPUT, "messages",
                       "is an empty list; a chat has at least one message");
    json_t *list = message_list(messages, n, err, &status), *all = NULL;
    if (!status) {
        all = json_copy(t->variables); /* shallow: the values are shared */
        if (!all || json_object_set(all, "messages", list) ||
            json_object_set_new(all, "tools", json_null()) ||
            json_object_set_new(all, "documents", json_null()) ||
            json_object_set_new(all, "add_generation_prompt", json_boolean(add_generation_prompt)))
            status = err_no_memory(err, "messages", n);
    }
    if (!status)
        status = jinja_render(out, t->program, all, NULL, err);
    json_decref(all);
    json_decref(list);
    return status;
}

void chat_turn_end(struct str *out, const chat_template *t)
{
    static const char question[] = "question", answer[] = "an answer to a probe";
    const struct chat_message messages[] = {{"user", question, sizeof question - 1, NULL},
                                            {"assistant", answer, sizeof answer - 1, NULL}};
    struct str text = {0};
    struct err ignored = {0};
    if (!chat_render(&text, t, messages, 2, false, &ignored)) {
        const char *from = str_text(&text), *found = NULL;
        for (const char *at = from; (at = strstr(at, answer)); at++)
            found = at;
        if (found)
            str_append(out, found + sizeof answer - 1,
                       text.length - (size_t)(found - from) - (sizeof answer - 1));
    }
    str_free(&text);
}

/* --- system prompts --- */

int chat_system_prompt_check(const json_t *system_prompt, const char *where, struct err *err)
{
    const char *task;
    json_t *value;
    if (!system_prompt || json_is_null(system_prompt) || json_is_string(system_prompt))
        return ERR_NONE;
    if (!json_is_object(system_prompt))
        return err_set(err, ERR_USAGE, where, "is %s, expected text or a map from task to text",
                       json_type_name(system_prompt));
    json_object_foreach((json_t *)(uintptr_t)system_prompt, task, value)
    {
        if (!json_is_string(value))
            return err_set(err, ERR_USAGE, where, "gives task \"%.80s\" %s, expected text", task,
                           json_type_name(value));
    }
    return ERR_NONE;
}

const json_t *chat_system_prompt(const json_t *system_prompt, const char *task,
                                 const struct chat_message *messages, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(messages[i].role, "system") == 0)
            return NULL;
    const json_t *text = json_is_object(system_prompt)
                             ? (task ? json_object_get(system_prompt, task) : NULL)
                             : system_prompt;
    return json_is_string(text) ? text : NULL;
}

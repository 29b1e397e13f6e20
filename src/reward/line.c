/* line.c: from a JSON object to what a reward is asked; see line.h. */
#include "reward/line.h"
#include <limits.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"

/* User messages joined by newlines: the prompt as rewards see it. A line without one is fine: some
 * rewards read the completion alone. */
static int read_prompt(struct str *out, const json_t *row, struct err *err)
{
    const json_t *prompt = json_object_get(row, "prompt");
    str_clear(out);
    if (json_is_string(prompt))
        str_append(out, json_string_value(prompt), json_string_length(prompt));
    else if (prompt && !json_is_null(prompt) && !json_is_array(prompt))
        return err_set(err, ERR_INPUT, "", "\"prompt\" is %s, expected messages or text",
                       json_type_name(prompt));
    for (size_t i = 0; i < json_array_size(prompt); i++) {
        const json_t *message = json_array_get(prompt, i), *role = json_object_get(message, "role"),
                     *content = json_object_get(message, "content");
        if (!json_is_string(role) || !json_is_string(content))
            return err_set(err, ERR_INPUT, "",
                           "message %zu of \"prompt\" is not {\"role\": text, \"content\": text}",
                           i);
        if (strcmp(json_string_value(role), "user") != 0)
            continue;
        if (out->length)
            str_putc(out, '\n');
        str_append(out, json_string_value(content), json_string_length(content));
    }
    return out->failed ? err_no_memory(err, "prompt", out->length) : ERR_NONE;
}

static int read_completion(struct reward_line *l, const json_t *line, bool joined, struct err *err)
{
    const json_t *completion = json_object_get(line, "completion");
    if (!completion && joined)
        completion = json_object_get(line, "text");
    if (!json_is_string(completion))
        return err_set(err, ERR_INPUT, "", "\"completion\" is %s, expected text%s",
                       json_type_name(completion),
                       joined ? " (or \"text\", as in samples.jsonl)" : "");
    l->in.completion = json_string_value(completion);
    l->in.completion_length = json_string_length(completion);
    return ERR_NONE;
}

/* The completion first, the others behind it: which of them it was says nothing about it. */
static int read_group(struct reward_line *l, const json_t *line, struct err *err)
{
    const json_t *group = json_object_get(line, "group");
    size_t n = json_array_size(group) + 1;
    if (!json_is_array(group)) /* absent, or a column of the row's own */
        return ERR_NONE;
    if (n > INT_MAX)
        return err_set(err, ERR_INPUT, "", "\"group\" has %zu texts", n);
    if (n > l->group_capacity) {
        struct slice *grown = mem_realloc(l->group, n * sizeof *grown);
        if (!grown)
            return err_no_memory(err, "group", n * sizeof *grown);
        l->group = grown;
        l->group_capacity = n;
    }
    l->group[0] = (struct slice){l->in.completion, l->in.completion_length};
    for (size_t i = 1; i < n; i++) {
        const json_t *text = json_array_get(group, i - 1);
        if (!json_is_string(text))
            return err_set(err, ERR_INPUT, "", "item %zu of \"group\" is %s, expected text", i - 1,
                           json_type_name(text));
        l->group[i] = (struct slice){json_string_value(text), json_string_length(text)};
    }
    l->in.group = l->group;
    l->in.n_group = (int)n;
    return ERR_NONE;
}

int reward_line_read(struct reward_line *l, const json_t *line, const json_t *row, struct err *err)
{
    l->in = (struct reward_input){.row = row};
    int status = read_completion(l, line, row != line, err);
    if (!status)
        status = read_group(l, line, err);
    if (!status)
        status = read_prompt(&l->prompt, row, err);
    l->in.prompt = str_text(&l->prompt);
    l->in.prompt_length = l->prompt.length;
    return status;
}

void reward_line_free(struct reward_line *l)
{
    str_free(&l->prompt);
    mem_free(l->group);
    *l = (struct reward_line){0};
}

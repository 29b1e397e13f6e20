/* render_lines.c: our side of compare_jinja.py: lines {"template", "variables"} on standard input,
 * one line {"text"} or {"error"} each on standard output. Built by hand, see ../README.md. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "tokenizer/jinja.h"

static void answer(const json_t *row)
{
    const json_t *template = json_object_get(row, "template");
    jinja *t = NULL;
    struct str text = {0}, line = {0};
    struct err err = {0};
    struct json_writer w;
    int status = jinja_parse(&t, json_string_value(template), json_string_length(template),
                             "template", &err);
    bool parsed = !status;
    if (!status)
        status = jinja_render(&text, t, json_object_get(row, "variables"), NULL, &err);
    jinja_free(t);
    jw_begin(&w, &line);
    jw_object_begin(&w);
    jw_key(&w, status ? parsed ? "error" : "refused" : "text");
    if (status)
        jw_text(&w, err.message);
    else
        jw_string(&w, str_text(&text), text.length);
    jw_object_end(&w);
    puts(str_text(&line));
    str_free(&text);
    str_free(&line);
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    while ((n = getline(&line, &room, stdin)) > 0) {
        struct err err = {0};
        json_t *row = json_read(line, (size_t)n, JSON_NUL_ALLOWED, "stdin", &err);
        if (!row) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        answer(row);
        json_decref(row);
    }
    free(line);
    return 0;
}

/* spec.c: typed reading of components; see spec.h. The reference refuses a file that lacks a field
 * or has one of another type, and so do we, naming it. */
#include "tokenizer/spec.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"

int spec_refuse(const char *where, struct err *err, const char *format, ...)
{
    char what[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return err_set(err, ERR_INPUT, where, "%s is not supported: ids could be wrong", what);
}

int spec_type(const char **type, const json_t *spec, const char *role, const char *where,
              struct err *err)
{
    if (!json_is_object(spec))
        return err_set(err, ERR_INPUT, where, "a %s is %s, expected an object with a \"type\"",
                       role, json_type_name(spec));
    return json_get_string(type, spec, "type", true, where, err);
}

int spec_list(const json_t **list, const json_t *spec, const char *role, const char *key,
              const char *where, struct err *err)
{
    *list = json_object_get(spec, key);
    if (json_is_array(*list))
        return ERR_NONE;
    return err_set(err, ERR_INPUT, where, "a %s Sequence has no list \"%s\"", role, key);
}

int spec_text(struct slice *text, const json_t *spec, const char *key, const char *where,
              struct err *err)
{
    const char *data;
    int status = json_get_string(&data, spec, key, true, where, err);
    if (!status)
        *text = (struct slice){data, json_string_length(json_object_get(spec, key))};
    return status;
}

int spec_char(int32_t *c, const json_t *spec, const char *key, const char *where, struct err *err)
{
    struct slice text;
    int status = spec_text(&text, spec, key, where, err);
    if (status)
        return status;
    if (text.length && (size_t)utf8_decode(text.data, text.length, c) == text.length)
        return ERR_NONE;
    return err_set(err, ERR_INPUT, where, "\"%s\" is \"%.40s\", expected one character", key,
                   text.data);
}

int spec_pattern(pattern **out, const json_t *spec, const char *role, const char *where,
                 struct err *err)
{
    const json_t *rule = json_object_get(spec, "pattern");
    const json_t *regex = json_object_get(rule, "Regex"), *string = json_object_get(rule, "String");
    const json_t *text = regex ? regex : string;
    if (!json_is_string(text) || !json_string_length(text))
        return err_set(err, ERR_INPUT, where, "%s has no Regex or String pattern", role);
    return pattern_create(out, json_string_value(text), json_string_length(text), !regex, where,
                          err);
}

int spec_metaspace(struct metaspace *m, const json_t *spec, const char *where, struct err *err)
{
    static const char *const schemes[] = {"always", "first", "never"};
    const char *scheme = "always";
    bool prefix = true;
    *m = (struct metaspace){.split = true};
    int status = spec_char(&m->character, spec, "replacement", where, err);
    if (!status)
        status = json_get_string(&scheme, spec, "prepend_scheme", false, where, err);
    if (!status)
        status = json_get_bool(&prefix, spec, "add_prefix_space", false, where, err);
    if (!status)
        status = json_get_bool(&m->split, spec, "split", false, where, err);
    if (status)
        return status;
    int found = 0;
    while (found < 3 && strcmp(schemes[found], scheme) != 0)
        found++;
    if (found == 3)
        return err_set(err, ERR_INPUT, where,
                       "Metaspace's \"prepend_scheme\" is \"%.40s\", expected always, first or "
                       "never",
                       scheme);
    m->prepend = (enum prepend_scheme)found;
    if (!prefix && m->prepend != PREPEND_NEVER)
        return err_set(err, ERR_INPUT, where,
                       "Metaspace's \"add_prefix_space\" is false and \"prepend_scheme\" is "
                       "\"%.40s\"; expected never",
                       scheme);
    struct slice text;
    status = spec_text(&text, spec, "replacement", where, err);
    if (!status) {
        memcpy(m->mark, text.data, text.length);
        m->mark_length = text.length;
    }
    return status;
}

/* postprocess.c: see postprocess.h. Only single texts are encoded here, so every component comes
 * down to ids before and ids after; a template that would do more than that is refused. */
#include "tokenizer/postprocess.h"
#include <string.h>
#include "base/json.h"
#include "tokenizer/spec.h"

struct loader {
    struct post_processor *p;
    const struct vocab *vocab;
    const char *where;
    struct err *err;
    bool adds; /* a component that adds ids has been read */
};

static int add_id(const struct loader *l, struct ids *to, const char *type, const json_t *id)
{
    if (!json_is_integer(id))
        return spec_refuse(l->where, l->err, "this %s", type);
    long long value = json_integer_value(id);
    if (value < 0 || value >= l->vocab->size || !l->vocab->tokens[value])
        return err_set(l->err, ERR_INPUT, l->where,
                       "%s puts id %lld around a text, which is no token", type, value);
    return ids_push(to, (int)value) ? err_no_memory(l->err, l->where, sizeof(int)) : ERR_NONE;
}

/* TemplateProcessing's "single": special tokens before and after the sequence A. */
static int load_template(const struct loader *l, const json_t *spec)
{
    static const char type[] = "TemplateProcessing";
    const json_t *single = json_object_get(spec, "single"), *piece;
    const json_t *specials = json_object_get(spec, "special_tokens");
    bool after = false;
    size_t i;
    json_array_foreach(single, i, piece)
    {
        const json_t *sequence = json_object_get(piece, "Sequence");
        if (sequence) {
            const char *which = json_string_value(json_object_get(sequence, "id"));
            if (after || !which || strcmp(which, "A") != 0)
                return spec_refuse(l->where, l->err, "this %s", type);
            after = true;
            continue;
        }
        const char *name =
            json_string_value(json_object_get(json_object_get(piece, "SpecialToken"), "id"));
        const json_t *ids = name ? json_object_get(json_object_get(specials, name), "ids") : NULL;
        if (!json_is_array(ids))
            return spec_refuse(l->where, l->err, "this %s", type);
        for (size_t k = 0; k < json_array_size(ids); k++) {
            int status =
                add_id(l, after ? &l->p->after : &l->p->before, type, json_array_get(ids, k));
            if (status)
                return status;
        }
    }
    return after ? ERR_NONE
                 : spec_refuse(l->where, l->err, "a TemplateProcessing without the sequence A");
}

/* "cls" and "sep" as [token, id]: one before, the other after. */
static int load_bert(const struct loader *l, const json_t *spec, const char *type)
{
    const json_t *cls = json_object_get(spec, "cls"), *sep = json_object_get(spec, "sep");
    if (json_array_size(cls) != 2 || json_array_size(sep) != 2)
        return err_set(l->err, ERR_INPUT, l->where, "%s has no \"cls\" and \"sep\" of [token, id]",
                       type);
    int status = add_id(l, &l->p->before, type, json_array_get(cls, 1));
    return status ? status : add_id(l, &l->p->after, type, json_array_get(sep, 1));
}

static int load(struct loader *l, const json_t *spec)
{
    const char *type;
    const json_t *list;
    int status = spec_type(&type, spec, "post_processor", l->where, l->err);
    if (status || strcmp(type, "ByteLevel") == 0)
        return status;
    if (strcmp(type, "Sequence") == 0) {
        status = spec_list(&list, spec, "post_processor", "processors", l->where, l->err);
        for (size_t i = 0; !status && i < json_array_size(list); i++)
            status = load(l, json_array_get(list, i));
        return status;
    }
    bool template = strcmp(type, "TemplateProcessing") == 0;
    if (!template && strcmp(type, "BertProcessing") != 0 && strcmp(type, "RobertaProcessing") != 0)
        return spec_refuse(l->where, l->err, "post_processor \"%.40s\"", type);
    if (l->adds)
        return spec_refuse(l->where, l->err, "more than one post_processor that adds ids");
    l->adds = true;
    return template ? load_template(l, spec) : load_bert(l, spec, type);
}

int post_processor_load(struct post_processor *p, const struct vocab *vocab, const json_t *spec,
                        const char *where, struct err *err)
{
    struct loader l = {p, vocab, where, err, false};
    return spec && !json_is_null(spec) ? load(&l, spec) : ERR_NONE;
}

void post_processor_free(struct post_processor *p)
{
    ids_free(&p->before);
    ids_free(&p->after);
}

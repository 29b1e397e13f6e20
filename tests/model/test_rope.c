/* test_rope.c: the rotary frequencies themselves against transformers
 * (tests/oracle/model/rope.json): with Llama 3's scaling bit for bit, the plain ones within one
 * unit in the last place. */
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "base/json.h"
#include "base/mem.h"
#include "model/internal.h"

static void check(const json_t *entry, int *scaled)
{
    struct hf_config c;
    struct err err = {0};
    char *text = json_dumps(json_object_get(entry, "config"), 0);
    if (hf_config_parse(&c, text, strlen(text), "rope.json", &err))
        fail_msg("%s: %s", text, err.message);
    const json_t *bits = json_object_get(entry, "bits");
    int half = c.head_dim / 2;
    assert_int_equal(json_array_size(bits), half);
    float *freq = malloc((size_t)half * sizeof *freq);
    rotary_frequencies(freq, &c);
    bool llama3 = c.rope.factor != 0;
    *scaled += llama3;
    for (int i = 0; i < half; i++) {
        int32_t ours, theirs = (int32_t)json_integer_value(json_array_get(bits, (size_t)i));
        memcpy(&ours, &freq[i], sizeof ours);
        if (abs(ours - theirs) > !llama3)
            fail_msg("%s: frequency %d is %.9g, %d units off", text, i, freq[i], ours - theirs);
    }
    free(freq);
    mem_free(text); /* jansson allocates through base/mem */
}

static void test_frequencies(void **state)
{
    (void)state;
    json_decref(json_read("{}", 2, 0, "", NULL)); /* jansson allocates by mem_alloc from here on */
    json_t *all = json_load_file(fixture("model/rope.json"), 0, NULL);
    assert_true(json_array_size(all) == 6);
    int scaled = 0;
    for (size_t i = 0; i < json_array_size(all); i++)
        check(json_array_get(all, i), &scaled);
    assert_int_equal(scaled, 3);
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_frequencies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

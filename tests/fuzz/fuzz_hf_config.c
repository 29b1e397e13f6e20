/* fuzz_hf_config.c: any bytes as config.json. What is accepted is a model whose sizes make sense
 * together, so that nothing after it has to doubt them. */
#include <stdint.h>
#include "base/check.h"
#include "base/mem.h"
#include "formats/hf_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t blocks = mem_stats().live_blocks;
    struct hf_config c;
    struct err err = {0};
    int status = hf_config_parse(&c, data, size, "bytes", &err);
    CHECK(status == ERR_NONE || (status == ERR_INPUT && err.message[0] && err.where[0]));
    if (!status) {
        CHECK(c.vocab_size > 0 && c.hidden_size > 0 && c.intermediate_size > 0 && c.layers > 0);
        CHECK(c.kv_heads > 0 && c.heads >= c.kv_heads && c.heads % c.kv_heads == 0);
        CHECK(c.head_dim >= 2 && c.head_dim % 2 == 0 && c.max_position_embeddings > 0);
        CHECK(c.rms_norm_eps >= 0 && c.rms_norm_eps < 1 && c.rope_theta > 0);
        CHECK(c.rope.factor == 0 ||
              (c.rope.low_freq_factor > 0 && c.rope.high_freq_factor > c.rope.low_freq_factor &&
               c.rope.original_max_position_embeddings > 0));
        CHECK(c.n_eos >= 0 && c.n_eos <= HF_MAX_EOS && c.bos >= -1 && c.bos < c.vocab_size);
        for (int i = 0; i < c.n_eos; i++)
            CHECK(c.eos[i] >= 0 && c.eos[i] < c.vocab_size);
    }
    CHECK(mem_stats().live_blocks == blocks);
    return 0;
}

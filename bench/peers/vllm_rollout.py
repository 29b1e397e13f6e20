#!/usr/bin/env python3
"""Completions of one prompt by vLLM's CPU build, compiled, the prompt's prefix shared, nothing ends early: seconds and
peak of memory. Run it with the virtual environment that install.sh makes:

    DIR/vllm/bin/python bench/peers/vllm_rollout.py --model FOLDER [--temperature 1] [--ngram 4] [--eager]

Loading, compiling and warming up are not in the time; each measured prompt is another one, so its prefix is not in
the cache yet. --ngram N lets vLLM check N tokens guessed by looking up the last ones in the text before."""
import os
import sys
import time

import common


def main():
    p = common.options(__doc__)
    p.add_argument("--temperature", type=float, default=1.0)
    p.add_argument("--ngram", type=int, default=0)
    p.add_argument("--eager", action="store_true", help="without compilation")
    o = common.parse(p)
    cores = sorted(os.sched_getaffinity(0))[:o.threads]
    os.environ.update({"VLLM_CPU_KVCACHE_SPACE": "4", "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, cores)),
                       "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"})
    import vllm
    guesses = {"method": "ngram", "num_speculative_tokens": o.ngram, "prompt_lookup_max": 4, "prompt_lookup_min": 2}
    llm = vllm.LLM(o.model, dtype="bfloat16", max_model_len=-(-(o.prompt + o.tokens) // 128) * 128,
                   enforce_eager=o.eager, enable_prefix_caching=True, max_num_seqs=o.generations,
                   skip_tokenizer_init=True, seed=0, **({"speculative_config": guesses} if o.ngram else {}))
    took = []
    for row in range(o.repeats + 1):
        wanted = o.tokens if row else min(o.tokens, 16)  # the first one warms up
        sampling = vllm.SamplingParams(temperature=o.temperature, max_tokens=wanted, ignore_eos=True, n=o.generations,
                                       logprobs=0, detokenize=False)
        started = time.monotonic()
        out = llm.generate([{"prompt_token_ids": common.prompt_ids(row, o.prompt)}], sampling, use_tqdm=False)
        seconds = time.monotonic() - started
        counts = [len(completion.token_ids) for completion in out[0].outputs]
        if counts != [wanted] * o.generations:
            sys.exit(f"vllm_rollout.py: completions have {counts} tokens, expected {o.generations} of {wanted}")
        if row:
            took.append(seconds)
    name = f"vLLM T={o.temperature:g}" + (f" ngram={o.ngram}" if o.ngram else "") + (" eager" if o.eager else "")
    common.report(o, name, version=vllm.__version__, rollout=common.median(took), all=took, temperature=o.temperature,
                  ngram=o.ngram, peak_gib=common.peak_gib())


if __name__ == "__main__":
    main()

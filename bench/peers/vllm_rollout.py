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


def start_again(threads):
    """vLLM wants Intel's OpenMP, which its wheel requires, loaded before anything else, and its threads told outside."""
    library = os.path.join(sys.prefix, "lib", "libiomp5.so")
    if library not in os.environ.get("LD_PRELOAD", ""):
        environment = {**os.environ, "LD_PRELOAD": library, "OMP_NUM_THREADS": str(threads)}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def sample(llm, vllm, o, row, tokens):
    """Seconds of completions of prompt `row`, each of so many tokens. (Greedy ones are asked for as prompts of their
    own, the same one each: vLLM refuses n > 1 there. The prefix is shared all the same.)"""
    n = o.generations if o.temperature > 0 else 1
    sampling = vllm.SamplingParams(temperature=o.temperature, max_tokens=tokens, ignore_eos=True, n=n, logprobs=0,
                                   detokenize=False)
    prompts = [{"prompt_token_ids": common.prompt_ids(row, o.prompt)}] * (o.generations // n)
    started = time.monotonic()
    out = llm.generate(prompts, sampling, use_tqdm=False)
    seconds = time.monotonic() - started
    counts = [len(completion.token_ids) for answer in out for completion in answer.outputs]
    if counts != [tokens] * o.generations:
        sys.exit(f"vllm_rollout.py: completions have {counts} tokens, expected {o.generations} of {tokens}")
    return seconds


def main():
    p = common.options(__doc__)
    p.add_argument("--temperature", type=float, default=1.0)
    p.add_argument("--ngram", type=int, default=0)
    p.add_argument("--eager", action="store_true", help="without compilation")
    o = common.parse(p)
    start_again(o.threads)
    cores = sorted(os.sched_getaffinity(0))[:o.threads]
    os.environ.update({"VLLM_CPU_KVCACHE_SPACE": "4", "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, cores)),
                       "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"})
    import vllm
    guesses = {"method": "ngram", "num_speculative_tokens": o.ngram, "prompt_lookup_max": 4, "prompt_lookup_min": 2}
    llm = vllm.LLM(o.model, dtype="bfloat16", max_model_len=-(-(o.prompt + o.tokens) // 128) * 128,
                   enforce_eager=o.eager, enable_prefix_caching=True, max_num_seqs=o.generations,
                   skip_tokenizer_init=True, seed=0, **({"speculative_config": guesses} if o.ngram else {}))
    sample(llm, vllm, o, 0, min(o.tokens, 16))
    took = [sample(llm, vllm, o, row, o.tokens) for row in range(1, o.repeats + 1)]
    name = f"vLLM T={o.temperature:g}" + (f" ngram={o.ngram}" if o.ngram else "") + (" eager" if o.eager else "")
    common.report(o, name, version=vllm.__version__, rollout=common.median(took), all=took, temperature=o.temperature,
                  ngram=o.ngram, peak_gib=common.peak_gib())


if __name__ == "__main__":
    main()

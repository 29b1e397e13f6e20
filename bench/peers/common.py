"""What the scripts here share: options, prompts, and how a figure is written down; see README.md."""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time


def options(doc, repeats=3):
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True, help="Hugging Face model folder; make_model.py makes one")
    p.add_argument("--prompt", type=int, default=256, help="tokens of a prompt [256]")
    p.add_argument("--tokens", type=int, default=512, help="tokens of a completion [512]")
    p.add_argument("--generations", type=int, default=16, help="completions of a prompt [16]")
    p.add_argument("--repeats", type=int, default=repeats, help=f"measured, after a warm-up [{repeats}]")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="[every core]")
    p.add_argument("--passive", action="store_true", help="OpenMP's threads sleep while they wait: for a busy machine")
    p.add_argument("--out", help="append the figures to this file as one line of JSON")
    return p


def parse(p):
    """The options; what OpenMP is to do, before anything that uses it is loaded."""
    o = p.parse_args()
    if o.passive:
        os.environ.update({"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"})
    return o


def prompt_ids(row, n):
    """A prompt of n tokens without repetition up to n = 2000, another one for each row."""
    return [3 + (row * 131 + i * 17) % 2000 for i in range(n)]


def median(seconds):
    return statistics.median(seconds)


def peak_gib():
    """Of this process and of the children that it has waited for, the larger."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 2**20


def run(command, **kwargs):
    """Output, seconds and peak of memory in GiB of a program; its failure ends this one."""
    started = time.monotonic()
    child = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True, **kwargs)
    text = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if status:
        sys.exit(f"{os.path.basename(sys.argv[0])}: {command[0]} ended with status {child.returncode}; it said {text[-2000:]}")
    return text, time.monotonic() - started, usage.ru_maxrss / 2**20


HEAD = f"{'':24} {'rollout':>10} {'tok/s':>8} {'gradient':>10} {'step':>10} {'peak GiB':>9}"


def line(r):
    def seconds(key):
        return f"{r[key]:>9.2f}s" if r.get(key) else f"{'–':>10}"
    tokens = r["generations"] * r["tokens"] / r["rollout"]
    return (f"{r['name']:24} {seconds('rollout')} {tokens:>8.1f} {seconds('gradient')} {seconds('step')} "
            f"{r['peak_gib']:>9.2f}")


def report(o, name, **figures):
    r = {"name": name, "model": os.path.basename(os.path.abspath(o.model)), "prompt": o.prompt, "tokens": o.tokens,
         "generations": o.generations, "threads": o.threads, "repeats": o.repeats, "passive": o.passive, **figures}
    print(HEAD)
    print(line(r))
    text = json.dumps(r)
    print(text, flush=True)
    if o.out:
        with open(o.out, "a", encoding="utf-8") as file:
            file.write(text + "\n")

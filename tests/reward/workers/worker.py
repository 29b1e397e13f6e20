"""A worker for the tests of the reward `command`: answers well or badly, as its arguments say.

    worker.py MODE [ARGUMENT]

The score of a good answer is the number of characters of the completion.
"""
import json
import os
import random
import signal
import subprocess
import sys
import time

mode = sys.argv[1]
argument = sys.argv[2] if len(sys.argv) > 2 else ""
count = 0
kept = []


def write(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def answer(request, score):
    write(json.dumps({"id": request["id"], "score": score}) + "\n")


def closed_then_asleep(descriptor):
    os.close(descriptor)
    time.sleep(1000)


for line in sys.stdin:
    request = json.loads(line)
    score = len(request["completion"])
    count += 1
    if mode == "crash_each_third" and count == 3:
        sys.exit("third request")
    if mode == "leak":
        kept.append(bytearray(16 << 20))
    if mode == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "long_line":
        write("x" * 10_000_000 + "\n")
    if mode == "endless_line":
        while True:
            write("x" * 65536)
    if mode == "long_stderr":
        sys.stderr.write("noise\n" * 1_700_000)
        sys.stderr.flush()
    if mode == "close_stdout":
        closed_then_asleep(1)
    if mode == "close_stdin":
        closed_then_asleep(0)
    if mode == "half_line":
        write('{"id": %d, "score": 1' % request["id"])
        time.sleep(1000)
    if mode == "wrong_id":
        request["id"] += 1
    if mode == "old_id":
        request["id"] -= 1
    if mode == "grandchild":  # it holds all three pipes, and outlives us if nobody kills it
        child = subprocess.Popen(["sleep", "1000"])
        with open(argument, "w") as file:
            file.write(str(child.pid))
        os._exit(7)
    if mode == "late" and score > 3:  # answers when nobody waits any more
        time.sleep(float(argument))
    if mode == "tell":
        write(json.dumps({"id": request["id"], "score": 1, "explain": request}) + "\n")
        continue
    if mode == "pid":
        score = os.getpid()
    if mode == "meet":  # answers only when two of us are being asked at once
        open(os.path.join(argument, str(os.getpid())), "w").close()
        while len(os.listdir(argument)) < 2:
            time.sleep(0.001)
    if mode == "nap":
        time.sleep(float(argument))
    if mode == "jitter":
        time.sleep(random.random() * 0.02)
    if mode == "group":
        score = 100 * len(request["group"]) + request["sample"]
        assert request["group"][request["sample"]] == request["completion"]
    if mode == "error_if_even" and score % 2 == 0:
        write(json.dumps({"id": request["id"], "error": "an even length"}) + "\n")
        continue
    if mode == "none_if_even" and score % 2 == 0:
        write(json.dumps({"id": request["id"], "not_applicable": "an even length"}) + "\n")
        continue
    if mode == "garbage":
        write("hello\n")
        continue
    if mode == "mark":
        with open(argument, "a") as file:
            file.write("x\n")
    answer(request, score)
    if mode == "twice":
        time.sleep(0.02)
        answer(request, 99)
    if mode == "one_each":
        sys.exit(0)

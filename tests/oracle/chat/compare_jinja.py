#!/usr/bin/env python3
"""Our Jinja against jinja2 in transformers' environment, run by hand: random templates from a grammar, and
(with --templates FOLDER) real *.jinja files over random conversations. Counts equal texts, equal failures,
what we refuse by name, and disagreements, which it prints.

    gcc ... -o render_lines tests/oracle/chat/render_lines.c     (see ../README.md)
    python tests/oracle/chat/compare_jinja.py ./render_lines --count 20000 --seed 1
"""

import argparse
import glob
import json
import random
import subprocess
import warnings

from transformers.utils.chat_template_utils import _compile_jinja_template

TEXTS = ["", "a", "Oi", "  x \n", "Olá, São João", "<think>\nA\n</think>\n\nB", "1", "-2.50", "user", "a,b,,c", "{{x}}", "it's \"q\"",
         "<b>&amp;</b>", "日本", "👩‍👩‍👧 é", "abcABC", "l1\nl2\n\n l3\n", "hello world-foo (bar)"]


warnings.simplefilter("ignore")


def conversation(rng):
    n = rng.randint(1, 6)
    messages = []
    for i in range(n):
        role = rng.choice(["user", "assistant"]) if i or rng.random() < 0.5 else "system"
        messages.append({"role": role, "content": rng.choice(TEXTS) + rng.choice(["", rng.choice(TEXTS)])})
    return messages


def strict(rng):
    messages = [{"role": "system", "content": rng.choice(TEXTS)}] if rng.random() < 0.5 else []
    for i in range(rng.randint(1, 5)):
        messages.append({"role": "assistant" if i % 2 else "user", "content": rng.choice(TEXTS)})
    return messages


class Grammar:
    """Mostly well-typed expressions, so that most templates render."""

    def __init__(self, rng):
        self.rng = rng

    def pick(self, *options):
        return self.rng.choice(options)

    def quote(self):
        text = self.rng.choice(TEXTS)
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"

    def text(self, d):
        r = self.rng
        if d <= 0:
            return self.pick(self.quote(), "s", "t", "messages[0].content", "messages[-1]['role']", "d.a", "un", "none")
        T, L, I, B = (lambda: self.text(d - 1)), (lambda: self.list(d - 1)), (lambda: self.int(d - 1)), (lambda: self.bool(d - 1))
        return r.choice([
            lambda: f"{T()} + {T()}", lambda: f"{T()} ~ {I()} ~ {T()}", lambda: f"({T()} if {B()} else {T()})",
            lambda: f"({T()} if {B()})", lambda: f"{T()}|trim", lambda: f"{T()}|upper", lambda: f"{T()}|lower",
            lambda: f"{T()}|title", lambda: f"{T()}|capitalize", lambda: f"{T()}|replace({self.quote()}, {T()})",
            lambda: f"{T()}|replace({self.quote()}, {T()}, {r.randint(0, 2)})", lambda: f"{T()}|string", lambda: f"{L()}|join({self.quote()})",
            lambda: f"{L()}|tojson", lambda: f"{L()}|tojson(indent={r.randint(0, 3)})", lambda: f"{self.dict(d - 1)}|tojson",
            lambda: f"({T()}).strip()", lambda: f"({T()}).strip({self.quote()})", lambda: f"({T()}).lstrip('\\n a')", lambda: f"({T()}).rstrip()",
            lambda: f"({T()}).split({self.quote()})[{r.randint(-2, 2)}]", lambda: f"({T()}).split()[0]", lambda: f"({T()}).upper()",
            lambda: f"({T()}).title()", lambda: f"({T()}).capitalize()", lambda: f"({T()}).replace({self.quote()}, {T()})",
            lambda: f"({T()})[{self.bound()}:{self.bound()}]", lambda: f"({T()})[::{self.pick(-1, 2, -2, 1)}]", lambda: f"({T()})[{r.randint(-3, 3)}]",
            lambda: f"{T()}|default({T()})", lambda: f"{T()}|d({T()}, true)", lambda: f"{L()}|first", lambda: f"{L()}|last", lambda: f"{L()}|max",
            lambda: f"{L()}|min", lambda: f"{T()}|indent({r.randint(0, 4)}, {self.pick('true', 'false')})", lambda: f"{T()}|safe", lambda: f"{T()}|reverse",
            lambda: f"{self.dict(d - 1)}.get({self.quote()}, {T()})", lambda: f"{T()} * {r.randint(-1, 3)}", lambda: f"{T()}|e", lambda: f"{L()}",
            lambda: f"({T()}).join({L()})", lambda: f"{self.float(d - 1)}", lambda: f"{I()}", lambda: f"{B()}", lambda: f"{self.dict(d - 1)}",
            lambda: f"({T()}).rsplit({self.quote()}, 1)[-1]", lambda: f"({T()}).splitlines()", lambda: f"({T()}).removeprefix({self.quote()})",
            lambda: f"m1({T()}, b={T()})", lambda: f"m1({T()})",
        ])()

    def bound(self):
        return self.rng.choice(["", "", str(self.rng.randint(-4, 4))])

    def int(self, d):
        r = self.rng
        if d <= 0:
            return self.pick(str(r.randint(0, 9)), "i", "messages|length", "loopless|length", "true")
        I, T, L = (lambda: self.int(d - 1)), (lambda: self.text(d - 1)), (lambda: self.list(d - 1))
        return r.choice([
            lambda: f"{I()} + {I()}", lambda: f"{I()} - {I()}", lambda: f"{I()} * {I()}", lambda: f"{I()} // {I()}", lambda: f"{I()} % {I()}",
            lambda: f"({T()})|length", lambda: f"{L()}|count", lambda: f"{T()}|int", lambda: f"{T()}|int({r.randint(-3, 3)})", lambda: f"-{I()}",
            lambda: f"({I()})|abs", lambda: f"{I()} ** {r.randint(0, 3)}", lambda: f"({T()}).find({self.quote()})", lambda: f"({T()}).count({self.quote()})",
            lambda: f"({I()} if {self.bool(d - 1)} else {I()})", lambda: f"range({I()}, {I()})|sum", lambda: f"{self.float(d - 1)}|int",
        ])()

    def float(self, d):
        r = self.rng
        if d <= 0:
            return self.pick("1.5", "0.1", "1e3", "2.0", "1e-7", "1e22", "x", "123456789.125")
        return r.choice([
            lambda: f"{self.int(d - 1)} / {self.int(d - 1)}", lambda: f"{self.float(d - 1)} * {self.float(d - 1)}", lambda: f"{self.text(d - 1)}|float",
            lambda: f"({self.float(d - 1)})|round({r.randint(0, 3)})", lambda: f"({self.float(d - 1)})|round", lambda: f"{self.float(d - 1)} // {self.int(d - 1)}",
            lambda: f"{self.float(d - 1)} % {self.float(d - 1)}", lambda: f"({self.float(d - 1)})|round(1, '{self.pick('ceil', 'floor')}')",
        ])()

    def bool(self, d):
        r = self.rng
        if d <= 0:
            return self.pick("true", "false", "un", "un is defined", "s is string", "add_generation_prompt", "messages", "none", "d.zz is defined")
        T, I, L, B = (lambda: self.text(d - 1)), (lambda: self.int(d - 1)), (lambda: self.list(d - 1)), (lambda: self.bool(d - 1))
        tests = ["defined", "undefined", "none", "string", "mapping", "iterable", "sequence", "number", "integer", "float", "boolean", "true", "false",
                 "lower", "upper", "callable"]
        return r.choice([
            lambda: f"{B()} and {B()}", lambda: f"{B()} or {B()}", lambda: f"not {B()}", lambda: f"{T()} == {T()}", lambda: f"{I()} < {I()}",
            lambda: f"{I()} >= {I()}", lambda: f"{I()} <= {I()} < {I()}", lambda: f"{T()} != {I()}", lambda: f"{self.quote()} in {T()}",
            lambda: f"{self.quote()} not in {L()}", lambda: f"({T()}) is {r.choice(tests)}", lambda: f"({L()}) is {r.choice(tests)}",
            lambda: f"({self.dict(d - 1)}) is not {r.choice(tests)}", lambda: f"({I()}) is {self.pick('odd', 'even', 'divisibleby 2', 'eq 2', 'integer')}",
            lambda: f"({T()}).startswith({self.quote()})", lambda: f"({T()}).endswith({self.quote()})", lambda: f"{T()} is in {L()}", lambda: f"{L()} == {L()}",
            lambda: f"{self.float(d - 1)} == {I()}", lambda: f"{T()} < {T()}", lambda: f"'a' in {self.dict(d - 1)}",
        ])()

    def list(self, d):
        r = self.rng
        if d <= 0:
            return self.pick("messages", "[]", "[1, 2, 3]", "['b', 'A', 'c']", "(1, 'a')", "range(4)", "d", "s", "un", "d.items()", "[none, true]")
        T, L = (lambda: self.text(d - 1)), (lambda: self.list(d - 1))
        return r.choice([
            lambda: f"[{T()}, {self.int(d - 1)}]", lambda: f"[{T()}, {T()}, {T()}]", lambda: f"({L()})[{self.bound()}:{self.bound()}]", lambda: f"{L()}|list",
            lambda: f"({L()})[::-1]", lambda: f"{L()}|reverse|list", lambda: f"{L()}|sort", lambda: f"{L()}|sort(reverse=true)", lambda: f"{L()}|unique|list",
            lambda: f"{L()}|map('string')|list", lambda: f"{L()}|map('upper')|list", lambda: "messages|map(attribute='role')|list",
            lambda: f"messages|selectattr('role', 'equalto', {self.pick(repr('user'), repr('system'))})|list", lambda: "messages|rejectattr('zz', 'defined')|list",
            lambda: f"{L()}|select('string')|list", lambda: f"{L()}|reject('none')|list", lambda: f"({T()}).split({self.quote()})", lambda: f"{L()} + {L()}",
            lambda: f"{self.dict(d - 1)}.items()", lambda: f"{self.dict(d - 1)}|dictsort", lambda: f"{self.dict(d - 1)}.keys()|list", lambda: f"{self.dict(d - 1)}|items|list",
            lambda: f"{L()} * {r.randint(0, 2)}", lambda: f"{L()}|select|list", lambda: f"({T()}).split(none, 1)", lambda: f"({T()}).splitlines(true)",
            lambda: f"range({self.int(d - 1)}, {self.int(d - 1)}, {self.pick(1, 2, -1)})|list", lambda: f"({T()})|list",
        ])()

    def dict(self, d):
        if d <= 0:
            return self.pick("d", "{}", "messages[0]", "{'a': 1, 'b': [2.5, none]}")
        return self.pick(f"{{{self.quote()}: {self.text(d - 1)}, 'k': {self.list(d - 1)}}}", f"dict(a={self.text(d - 1)}, b={self.int(d - 1)})", "d.n", "{1: 'x', 'y': true}")

    def space(self):
        return self.rng.choice(["", "", " ", "\n", "\n\n", "  \n  ", "\n    ", "x", " y "])

    def tag(self, body):
        a, b = self.pick("", "-", "", "-", "+"), self.pick("", "-", "", "-", "+")
        return "{%" + a + " " + body + " " + b + "%}" + self.space()

    def body(self, d, loop=False):
        return "".join(self.statement(d, loop) for _ in range(self.rng.randint(1, 3)))

    def statement(self, d, loop=False):
        r = self.rng
        expression = lambda: r.choice([self.text, self.text, self.list, self.int, self.bool, self.float])(r.randint(0, 3))
        show = lambda: self.space() + self.pick("{{", "{{-") + " " + expression() + " " + self.pick("}}", "-}}") + self.space()
        if d <= 0:
            return show()
        options = [
            show, show, show,
            lambda: self.tag(f"if {self.bool(2)}") + self.body(d - 1, loop) + self.tag("endif"),
            lambda: self.tag(f"if {self.bool(1)}") + self.body(d - 1, loop) + self.tag(f"elif {self.bool(1)}") + self.body(d - 1, loop) + self.tag("else") + self.body(d - 1, loop) + self.tag("endif"),
            lambda: self.tag(f"for m in {self.list(1)}") + self.body(d - 1, True) + self.tag("endfor"),
            lambda: self.tag(f"for m in {self.list(1)} if {self.pick('m', 'm is string', 'm != 2', 'm.role == ' + repr('user'))}") + self.body(d - 1, True) + self.tag("else") + self.body(d - 1, loop) + self.tag("endfor"),
            lambda: self.tag(f"for k, v in {self.dict(1)}.items()") + "{{ k }}={{ v }}" + self.body(d - 1, True) + self.tag("endfor"),
            lambda: self.tag(f"set {self.pick('s', 't', 'i', 'q')} = {expression()}"), lambda: self.tag(f"set ns.v = {expression()}") + "{{ ns.v }}",
            lambda: self.tag("set s") + self.body(d - 1) + self.tag("endset"), lambda: "{#" + self.pick("", "-") + " c " + self.pick("", "-") + "#}" + self.space(),
            lambda: self.tag("raw") + "{{ x }} {% y %}" + self.tag("endraw"), lambda: self.tag("generation") + self.body(d - 1) + self.tag("endgeneration"),
            lambda: self.tag(f"macro m1(a, b={self.text(1)})") + self.space() + "{{ a }}|{{ b }}" + self.tag("endmacro"),
            lambda: self.tag(f"if {self.bool(1)}") + "{{ raise_exception(" + self.text(1) + ") }}" + self.tag("endif"),
        ]
        if loop:
            options += [lambda: "{{ loop." + r.choice(["index", "index0", "first", "last", "length", "revindex", "previtem", "nextitem"]) + " }}", lambda: "{{ m }}",
                        lambda: self.tag(f"if {self.pick('loop.first', 'loop.last', 'loop.index is odd', 'm == 2')}") + self.tag(self.pick("break", "continue")) + self.tag("endif")]
        return r.choice(options)()

    def template(self):
        return "{% set ns = namespace(v=1) %}" + "".join(self.statement(3) for _ in range(self.rng.randint(1, 4)))


def reference(template, variables):
    try:
        compiled = _compile_jinja_template(template)
    except Exception as e:
        return ("refused", f"{type(e).__name__}: {e}")
    try:
        return ("text", compiled.render(**variables))
    except Exception as e:
        return ("error", f"{type(e).__name__}: {e}")


def cases(args):
    rng = random.Random(args.seed)
    if args.templates:
        for path in sorted(glob.glob(args.templates + "/*.jinja")):
            template = open(path, encoding="utf-8", newline="").read()
            for i in range(args.count):
                variables = {"messages": rng.choice([conversation, strict])(rng), "tools": None, "documents": None, "add_generation_prompt": rng.random() < 0.5,
                             "bos_token": "<s>", "eos_token": "</s>", "date_string": "26 Jul 2024"}
                if rng.random() < 0.5:
                    variables["enable_thinking"] = rng.random() < 0.5
                yield path, template, variables
        return
    for i in range(args.count):
        variables = {"messages": conversation(rng), "tools": None, "add_generation_prompt": rng.random() < 0.5, "s": rng.choice(TEXTS), "t": rng.choice(TEXTS),
                     "i": rng.randint(-3, 12), "x": rng.choice([0.5, -1.25, 1e16, 3.0]), "d": {"a": rng.choice(TEXTS), "B": 2, "n": {"z": None, "k": [1, "x"]}}}
        yield f"case {i}", Grammar(rng).template(), variables


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--templates")
    parser.add_argument("--show", type=int, default=10)
    args = parser.parse_args()
    all_cases = list(cases(args))
    lines = "".join(json.dumps({"template": t, "variables": v}, ensure_ascii=False) + "\n" for _, t, v in all_cases)
    ours = subprocess.run([args.program], input=lines.encode(), capture_output=True, check=True).stdout.decode().splitlines()
    counts, shown, reasons = {}, 0, {}
    for (name, template, variables), line in zip(all_cases, ours, strict=True):
        got = json.loads(line)
        kind, value = reference(template, variables)
        our_kind = next(iter(got))
        if kind == "text" and our_kind == "text":
            verdict = "equal texts" if value == got["text"] else "DIFFERENT TEXTS"
        elif kind != "text" and our_kind != "text":
            verdict = "both fail"
        elif our_kind != "text" and "not supported" in got[our_kind]:
            verdict = "refused by name"
            reasons[got[our_kind][-60:]] = reasons.get(got[our_kind][-60:], 0) + 1
        else:
            verdict = "ONE FAILS"
        counts[verdict] = counts.get(verdict, 0) + 1
        if verdict.isupper() and shown < args.show:
            shown += 1
            print(f"--- {name}: {verdict}\n{template if not args.templates else ''}\n{json.dumps(variables, ensure_ascii=False)}\nreference {kind}: {value!r}\nours {got}\n")
    print(counts)
    for reason, n in sorted(reasons.items(), key=lambda x: -x[1])[:8]:
        print(f"  {n} × {reason}")


if __name__ == "__main__":
    main()

"""A reward in Python: is the text polite, and does it not shout?

In a recipe:

    rewards:
      - {command: [python3, reward.py], name: polite, deterministic: true}

The manual is docs/REWARDS_PROTOCOL.md. One line of JSON comes in, one goes out.
"""
import json
import sys

# Standard output is for answers alone; whatever a library prints goes to standard error.
answers, sys.stdout = sys.stdout, sys.stderr


def components(completion, row):
    # row is the whole dataset row: row["reference"] holds what you put there (row may be None).
    text = completion.lower()
    polite = any(word in text for word in ("por favor", "obrigado", "obrigada"))
    letters = [c for c in completion if c.isalpha()]
    shouted = sum(c.isupper() for c in letters) / len(letters) if letters else 0.0
    return {"polite": float(polite), "calm": 1.0 - shouted}


for line in sys.stdin:
    request = json.loads(line)
    answer = {"id": request["id"]}
    try:
        parts = components(request["completion"], request["row"])
        answer["score"] = 0.6 * parts["polite"] + 0.4 * parts["calm"]
        # With `components: {polite: 0.6, calm: 0.4}` in the recipe, say these instead:
        # answer["components"] = parts
    except Exception as error:  # our own fault, not the text's: it is counted, and is not a 0
        answer["error"] = repr(error)
    print(json.dumps(answer), file=answers, flush=True)

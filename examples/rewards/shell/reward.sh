#!/bin/sh
# A reward in plain sh: is the text polite, and does it not shout?
#
# In a recipe:
#
#     rewards:
#       - {command: [sh, reward.sh], name: polite, deterministic: true}
#
# The manual is docs/REWARDS_PROTOCOL.md. A request always begins
#     {"id": 7, "completion": "...", "prompt": "...
# with exactly these spaces, and a quotation mark inside a text always has a backslash before it, so
# the first two fields can be cut out without a JSON parser. (The text stays escaped: \n, \".)
while IFS= read -r request; do
    id=${request#'{"id": '}
    id=${id%%,*}
    text=${request#*'"completion": "'}
    text=${text%%'", "prompt": "'*}

    score=0
    case $text in
    *'or favor'* | *'brigad'[oa]*) score=1 ;;
    *'!!!'*) score=0 ;;
    *) score=0.5 ;;
    esac
    printf '{"id": %s, "score": %s}\n' "$id" "$score"
done

// A reward in Node: is the text polite, and does it not shout?
//
// In a recipe:
//
//     rewards:
//       - {command: [node, reward.js], name: polite, deterministic: true}
//
// The manual is docs/REWARDS_PROTOCOL.md. One line of JSON comes in, one goes out. Standard output
// is for answers alone: use console.error for notes.
'use strict'
const lines = require('readline').createInterface({ input: process.stdin, crlfDelay: Infinity })

function score(completion) {
  const polite = /por favor|obrigad[oa]/i.test(completion) ? 1 : 0
  const letters = completion.match(/\p{L}/gu) || []
  const shouted = letters.length ? letters.filter((c) => /\p{Lu}/u.test(c)).length / letters.length : 0
  return 0.6 * polite + 0.4 * (1 - shouted)
}

lines.on('line', (line) => {
  const request = JSON.parse(line) // id, completion, prompt, row
  let answer
  try {
    answer = { id: request.id, score: score(request.completion) }
  } catch (error) { // our own fault, not the text's: it is counted, and is not a 0
    answer = { id: request.id, error: String(error) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
})

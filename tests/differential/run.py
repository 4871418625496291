# SPDX-License-Identifier: ISC
"""The differential test: random dialogues through the module, read again by a reader that knows only the RFCs.

usage: run.py DRIVER [SEED [COUNT]]

Each dialogue has a seed of its own, SEED + its index; one that fails is shown and can be repeated by its seed
with a COUNT of 1.
"""

import collections
import os
import sys
import time

import claims
from dialogue import Dialogue
from machine import Died, Machine


def show(dialogue):
    print(f'policy: {dialogue.policy}')
    said = []
    for who, what in dialogue.log:
        if said and said[-1][0] == who and isinstance(what, bytes):
            said[-1][1].append(what)
        else:
            said.append((who, [what]))
    for who, pieces in said:
        if who.startswith('to '):
            pieces = [b''.join(pieces)]
        texts = [repr(piece)[1:] if isinstance(piece, bytes) else piece for piece in pieces]
        text = ' | '.join(text if len(text) < 400 else text[:200] + ' … ' + text[-150:] for text in texts)
        print(f'  {who:24} {text}')
    print(f'  outcome {dialogue.machine.outcome}, end {dialogue.machine.end}')


def main():
    driver, seed, count = sys.argv[1], int(sys.argv[2] or 1), int(sys.argv[3])
    machine, began = Machine(driver), time.monotonic()
    tally = collections.Counter()
    for number in range(seed, seed + count):
        dialogue = Dialogue(machine, number)
        try:
            dialogue.run()
            claims.check(dialogue)
        except (claims.Failure, claims.Misread, AssertionError, Died) as e:
            show(dialogue)
            print(f'differential: SEED={number} COUNT=1: {type(e).__name__}: {str(e)[:1000]}')
            return 1
        tally[machine.end] += 1
        tally['messages'] += dialogue.notes.count('MESSAGE')
        tally['passed'] += sum(len(link.items) for link in dialogue.links)
    if 'VERBOSE' in os.environ:
        print(dict(tally))
    print(f'differential: {count} dialogues from seed {seed}: {tally["passed"]} commands, contents and responses passed, '
          f'{tally["messages"]} messages; {time.monotonic() - began:.0f} s')
    return 0


sys.exit(main())

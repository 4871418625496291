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
    joined = []
    for who, what in dialogue.log:
        if joined and joined[-1][0] == who and isinstance(what, bytes) and who.startswith('to '):
            joined[-1][1] += what
        else:
            joined.append([who, what])
    for who, what in joined:
        text = repr(what)[1:] if isinstance(what, bytes) else what
        print(f'  {who:24} {text if len(text) < 400 else text[:200] + " … " + text[-150:]}')
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

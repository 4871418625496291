# SPDX-License-Identifier: ISC
"""The differential test: random dialogues through the modules, read again by readers that know only the RFCs.

usage: run.py DRIVER [SEED [COUNT [PROTOCOL...]]]

COUNT dialogues in all. Each has a seed of its own, SEED + its index; one that fails is shown and can be repeated
by its seed with a COUNT of 1 and its protocol.
"""

import collections
import concurrent.futures
import importlib
import os
import random
import sys
import time

from dialogue import cut, replay
from judge import Failure, must
from machine import Died, Machine

# What each is played of COUNT, if no other is asked for.
SHARES = {'smtp': 2, 'imap': 1, 'pop3': 1}
# So many are repeated, octet by octet and in other pieces.
REPEATED = 0.1


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


def check_cuts(dialogue):
    """Where the octets are cut changes nothing, but for what shares a window with STARTTLS."""
    machine, rng = dialogue.machine, random.Random(dialogue.seed)
    if rng.random() > REPEATED or dialogue.depends_on_cuts or 'INJECTION' in dialogue.notes:
        return
    first = (*dialogue.outputs.sums(), machine.outcome, machine.end)
    for pieces in (lambda octets: cut(rng, octets)), (lambda octets: [octets[i:i + 1] for i in range(len(octets))]):
        if sum(len(what) for kind, _, what in dialogue.inputs if kind == 'BYTES') > 4000:
            return
        again = (*replay(dialogue, pieces).sums(), machine.outcome, machine.end)
        for one, other in zip(first, again):
            must(one == other, f'cut otherwise: {one!r} has become {other!r}')


def play(machine, protocol, seed, count, tally):
    speech = importlib.import_module(f'{protocol}.dialogue')
    claims = importlib.import_module(f'{protocol}.claims')
    for number in range(seed, seed + count):
        dialogue = speech.Dialogue(machine, number)
        try:
            dialogue.run()
            claims.check(dialogue)
            end = machine.outcome if machine.is_tunnel else machine.end
            check_cuts(dialogue)
        except (Failure, AssertionError, Died) as e:
            show(dialogue)
            print(f'differential: SEED={number} COUNT=1 PROTOCOL={protocol}: {type(e).__name__}: {str(e)[:1000]}')
            return False
        tally[end] += 1
        tally['messages'] += dialogue.notes.count('MESSAGE')
        tally['passed'] += sum(len(link.items) for link in dialogue.links)
    return True


def play_all(driver, protocol, seed, count):
    """-> True: all is well."""
    tally, began = collections.Counter(), time.monotonic()
    if not play(Machine(driver), protocol, seed, count, tally):
        return False
    if 'VERBOSE' in os.environ:
        print(dict(tally))
    print(f'differential: {protocol}: {count} dialogues from seed {seed}: {tally["passed"]} commands and the like '
          f'passed, {tally["messages"]} messages, {tally["TUNNEL"]} tunnels; {time.monotonic() - began:.0f} s')
    return True


def main():
    driver, seed, count = sys.argv[1], int(sys.argv[2] or 1), int(sys.argv[3])
    wanted = sys.argv[4:] or list(SHARES)
    whole = sum(SHARES[protocol] for protocol in wanted)
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        played = [pool.submit(play_all, driver, protocol, seed, -(-count * SHARES[protocol] // whole))
                  for protocol in wanted]
    return 0 if all(one.result() for one in played) else 1


sys.exit(main())

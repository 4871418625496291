# SPDX-License-Identifier: ISC
"""One dialogue: a client, the module, a backend; who says what when is up to the random numbers.

What a protocol adds is in its folder: dialogue.py (who takes part), client.py and backend.py (what they say),
reader.py (what it means), claims.py (what must be true of it all).
"""

import random

from machine import BACKEND, CLIENT


class Policy:
    """One of all that an administrator may have written."""

    protocol = None
    relay, bare_newline = 'unset', 'normalize'  # SMTP's

    def __init__(self, rng):
        self.tls = rng.choice(['starttls', 'starttls', 'starttls', 'implicit', 'none'])
        self.is_enforced = self.tls == 'starttls' and rng.random() < 0.5
        self.may_auth_in_clear = self.tls == 'starttls' and rng.random() < 0.3
        self.max_errors = rng.choice([0, 0, 10, 3])
        self.max_auth_failures = rng.choice([0, 3, 3, 1])
        self.is_learned = rng.random() < 0.5
        self.has_greeting = rng.random() < 0.2
        self.has_capabilities = rng.random() < 0.1
        self.allows = rng.random() < 0.1
        self.hides_auth = rng.random() < 0.05
        self.backend_tls = rng.choice(['none', 'none', 'starttls', 'implicit'])
        self.is_backend_enforced = rng.random() < 0.5
        self.tells_identity = rng.random() < 0.25

    def __str__(self):
        return ' '.join(f'{k}={v}' for k, v in vars(self).items())


class Phase:
    """What passed between client and module, in the clear or inside one TLS."""

    def __init__(self, is_tls):
        self.is_tls = is_tls
        self.sent = self.received = b''
        self.tunnel = None  # octets that were received before it became one


class Outputs:
    """All that the module did, whatever came in one step."""

    def __init__(self):
        self.to_backend, self.to_client, self.notes = [], [], []

    def absorb(self, records):
        for record in records:
            if record[0] == 'N':
                self.notes.append(record[1])
            elif record[0] != 'T':
                (self.to_backend if record[0] == 'B' else self.to_client).append(record[-1])

    def sums(self):
        return b''.join(self.to_backend), b''.join(self.to_client), self.notes


class Dialogue:
    """A protocol's own is made of this."""

    Policy = Backend = None

    def steps(self):
        """What the client does: (octets, waits, only)."""
        raise NotImplementedError

    def to_backend(self, kind, is_end, octets):
        raise NotImplementedError

    def last_word(self):
        """What the client heard last, to be compared with `only`."""
        raise NotImplementedError

    def __init__(self, machine, seed):
        self.machine, self.seed = machine, seed
        self.rng = random.Random(seed)
        self.policy = self.Policy(self.rng)
        self.serial = 0
        self.has_closed = False
        self.depends_on_cuts = False  # something was said that is judged by what shares a window with it
        self.may_violate = False
        self.phases, self.links, self.log, self.notes = [], [], [], []
        self.inputs, self.outputs = [], Outputs()

    # ---- what the module says ----

    def absorb(self, records):
        self.outputs.absorb(records)
        for record in records:
            if record[0] == 'B':
                self.to_backend(*record[1:])
            elif record[0] == 'C':
                self.phases[-1].received += record[1]
                self.log.append(('to client', record[1]))
            elif record[0] == 'T':
                self.phases[-1].tunnel = len(self.phases[-1].received)
                self.log.append(('note', 'the tunnel'))
            else:
                self.notes.append(record[1])
                self.log.append(('note', record[1]))

    # ---- what is done to it ----

    def tell(self, kind, side=CLIENT, reason='NONE'):
        self.log.append(('event', f'{kind} {"backend" if side else "client"}'))
        self.inputs.append((kind, side, reason))
        self.absorb(self.machine.event(kind, side, reason))

    def feed(self, side, octets):
        self.log.append(('backend' if side else 'client', octets))
        self.inputs.append(('BYTES', side, octets))
        self.absorb(self.machine.feed(side, octets))

    def secure(self):
        self.phases.append(Phase(True))
        self.tell('SECURED')

    def connect(self):
        rng = self.rng
        if rng.random() < 0.02 or len(self.links) > 4:
            self.tell('BACKEND_FAILED', CLIENT, 'BACKEND_UNREACHABLE')
            return
        self.links.append(self.Backend(rng, self))
        self.tell('CONNECTED', BACKEND)
        self.links[-1].greet()

    def deliver(self):
        has_done = self.turn()
        if self.links and not self.links[-1].way.is_done:
            self.links[-1].way.check(self.machine)
        return has_done

    def turn(self):
        """One step of the world outside. -> False: it has nothing to do."""
        machine = self.machine
        if machine.is_over:
            return False
        if machine.outcome in ('CONNECT', 'NEXT_BACKEND'):
            self.connect()
            return True
        if not self.links:
            return False
        link = self.links[-1]
        if machine.is_backend_shaking:
            self.shake()
            return True
        is_read = machine.reads_backend or machine.is_tunnel
        if link.queue and is_read:
            self.feed(BACKEND, link.deliver())
            return True
        if link.is_closing and not link.queue and is_read:
            link.is_closing = False
            self.tell(self.rng.choice(['EOF', 'EOF', 'LOST']), BACKEND)
            return True
        return False

    def shake(self):
        """The backend and we: it succeeds, or the connection is gone."""
        is_good = self.rng.random() < 0.9
        self.links[-1].way.shaken(is_good)
        self.tell('SECURED' if is_good else self.rng.choice(['EOF', 'LOST']), BACKEND)

    def settle(self):
        while self.deliver():
            pass

    def say(self, octets):
        """The client, in pieces."""
        machine = self.machine
        for piece in cut(self.rng, octets):
            if machine.is_over or machine.is_shaking:
                break
            self.phases[-1].sent += piece
            self.feed(CLIENT, piece)
            if self.rng.random() < 0.1:
                self.deliver()

    def run(self):
        rng, machine, policy = self.rng, self.machine, self.policy
        self.phases.append(Phase(policy.tls == 'implicit'))
        self.absorb(machine.begin(policy))
        if rng.random() < 0.002:
            self.tell('BUSY', CLIENT, 'LIMIT')
        elif policy.tls == 'implicit':
            self.tell('SECURED')
        else:
            self.tell('CONNECTED')
        for octets, waits, only in self.steps():
            if machine.is_over:
                break
            if only is not None and self.last_word() != only:
                continue
            self.say(octets)
            if waits or rng.random() < 0.1:
                self.settle()
            if machine.is_shaking:
                self.secure()
                self.settle()
            if rng.random() < 0.002:
                self.tell(rng.choice(['DRAIN', 'DEADLINE', 'STOP', 'ERROR']))
            elif rng.random() < 0.001 and self.links:
                self.tell('LOST', BACKEND)
            if rng.random() < 0.01:
                break
        if rng.random() < 0.7:
            self.settle()
        if not machine.is_over and rng.random() < 0.4:
            self.has_closed = True
            self.tell('EOF', CLIENT)
        self.settle()


def replay(dialogue, pieces):
    """The same octets and events once more, cut by `pieces` -> what the module did."""
    machine, outputs = dialogue.machine, Outputs()
    outputs.absorb(machine.begin(dialogue.policy))
    for kind, side, what in dialogue.inputs:
        if kind == 'BYTES':
            for piece in pieces(what):
                outputs.absorb(machine.feed(side, piece))
        else:
            outputs.absorb(machine.event(kind, side, what))
    return outputs


def cut(rng, octets):
    """In pieces: one, a few, or octet by octet."""
    style = rng.random()
    if style < 0.6 or len(octets) < 2:
        return [octets]
    if style < 0.65 and len(octets) < 300:
        return [octets[i:i + 1] for i in range(len(octets))]
    at = sorted({0, len(octets), *(rng.randrange(len(octets)) for _ in range(rng.choice([1, 1, 2, 5])))})
    return [octets[a:b] for a, b in zip(at, at[1:])]

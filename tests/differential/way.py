# SPDX-License-Identifier: ISC
"""What leads from a backend's first octet to the gate, as the policy wants it: greeting, STARTTLS, who the client is.

A Way answers for the backend until the gate, and knows what it must be told next: each line that comes is compared
with that. What a protocol's own adds is in its folder: how it answers (react), and what must follow on that.
"""

from judge import must


class Way:
    def __init__(self, backend, policy):
        links = backend.dialogue.links
        self.backend, self.rng, self.policy = backend, backend.rng, policy
        # A handshake that has failed is not tried again where TLS is not a must.
        is_hopeless = bool(links) and links[-1].way.has_failed and not policy.is_backend_enforced
        self.asks_tls = policy.backend_tls == 'starttls' and not is_hopeless
        self.is_needed = self.asks_tls or policy.tells_identity  # else there is nothing but the greeting
        self.is_done = False  # what is said from here on is the client's affair, or said for it
        self.is_left = False  # nothing more may be said to this backend
        self.is_secure = self.has_failed = False
        self.wanted = None  # the next line, if one must come
        self.asked = 'greeting'  # what the next reply answers
        self.heard = b''

    def hear(self, octets):
        must(not self.is_left, f'said to a backend that will not do: {octets!r}')
        self.heard += octets
        if self.heard.endswith(b'\n'):
            line, self.heard = self.heard, b''
            must(line == self.wanted, f'on its way a backend is told {line!r}, not {self.wanted!r}')
            self.wanted = None
            self.react()

    def leave(self):
        self.is_left = True

    def ask(self, what, line):
        self.asked, self.wanted = what, line

    def shaken(self, is_good):
        must(self.asked == 'handshake', f'TLS in answer to {self.asked}')
        self.is_secure, self.has_failed = is_good, not is_good
        if is_good:
            self.begin_inside()
        else:
            self.leave()

    def check(self, machine):
        """Between two events."""
        if machine.is_over:
            return
        must(machine.is_backend_shaking == (self.asked == 'handshake' and not self.is_secure and not self.is_left), f'shaking hands or not: {self.asked}')
        must(not self.is_left or machine.outcome == 'NEXT_BACKEND', 'a backend that will not do is kept')
        must(self.is_left or machine.outcome != 'NEXT_BACKEND', f'a backend that does well is left, asked for {self.asked}')
        must(self.wanted is None, f'it is not told {self.wanted!r}')

    def react(self):
        """The line that was wanted has come."""
        raise NotImplementedError

    def begin_inside(self):
        """TLS is up: what must be said?"""
        raise NotImplementedError


class MailboxWay(Way):
    """What those of IMAP and POP3 have in common: the greeting is no part of the protocol's replies."""

    def __init__(self, backend, policy):
        super().__init__(backend, policy)
        self.left, self.meaning = 0, None  # octets of the answer under way; None: it is a lie

    def check(self, machine):
        if self.is_needed:
            super().check(machine)

    def say(self, octets, meaning):
        self.left, self.meaning = len(octets), meaning
        self.backend.put(octets)

    def lie(self, octets):
        """In one piece: some lies are but what shares a window."""
        self.left, self.meaning = len(octets), None
        self.backend.dialogue.depends_on_cuts = True
        self.backend.queue.append(octets)

    def delivered(self, octets):
        self.left -= len(octets)
        if self.left > 0:
            return
        if self.meaning is None:
            self.leave()
        else:
            self.answered(*self.meaning)

    def done(self):
        self.is_done = self.backend.has_greeted = True

    def end_of_line(self):
        return self.backend.end_of_line()

    def answered(self, is_good, offers):
        """The answer has been delivered to its end. offers: words; None: nothing was said of them"""
        raise NotImplementedError

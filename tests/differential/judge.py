# SPDX-License-Identifier: ISC
"""How a claim fails."""


class Failure(Exception):
    """The module has broken a promise."""


class Misread(Failure):
    """A reader was sent what no strict peer should ever be sent."""


def must(claim, text):
    if not claim:
        raise Failure(text)

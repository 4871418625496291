# SPDX-License-Identifier: ISC
"""The demo's POP3 server (RFC 1939): shows the mails, keeps them all."""


def stuffed(mail):
    """A mail as a multi-line reply: dots doubled, and the line that ends it (RFC 1939, section 3)."""
    lines = mail.split(b"\r\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"


def listing(lines):
    return b"+OK\r\n" + "".join(f"{line}\r\n" for line in lines).encode() + b".\r\n"


def answer(verb, argument, mails):
    """The reply to a command behind the login."""
    number = int(argument.split()[0]) - 1 if argument else None
    if number is not None and not 0 <= number < len(mails):
        return b"-ERR no such mail\r\n"
    if verb == "STAT":
        return f"+OK {len(mails)} {sum(map(len, mails))}\r\n".encode()
    if verb in ("LIST", "UIDL"):
        lines = [f"{i + 1} {len(mail) if verb == 'LIST' else f'demo{i + 1}'}" for i, mail in enumerate(mails)]
        return listing(lines) if number is None else f"+OK {lines[number]}\r\n".encode()
    if verb == "RETR" and number is not None:
        return b"+OK\r\n" + stuffed(mails[number])
    if verb in ("NOOP", "RSET"):
        return b"+OK\r\n"
    return b"-ERR not in this demonstration\r\n"


async def serve(reader, writer, mailbox):
    user, mails = None, None
    writer.write(b"+OK demo backend, in the clear\r\n")
    while line := await reader.readline():
        verb, _, argument = line.decode("latin-1").rstrip("\r\n").partition(" ")
        verb = verb.upper()
        if verb == "CAPA":
            writer.write(listing(["USER", "UIDL", "PIPELINING"]))
        elif verb == "QUIT":
            writer.write(b"+OK bye\r\n")
            return
        elif mails is not None:
            writer.write(answer(verb, argument, mails))
        elif verb == "USER":
            user = argument
            writer.write(b"+OK\r\n")
        elif verb == "PASS" and mailbox.opens(user, argument):
            mails = list(mailbox.mails)
            writer.write(b"+OK welcome\r\n")
        else:
            writer.write(b"-ERR no such user or password\r\n" if verb == "PASS" else b"-ERR log in first\r\n")
        await writer.drain()

# SPDX-License-Identifier: ISC
"""The demo's IMAP server (RFC 9051): one mailbox, to look at."""
import base64
import re
import shlex

CAPABILITIES = "CAPABILITY IMAP4rev1 AUTH=PLAIN STARTTLS"  # the last is a lie, and never reaches a client


async def read_command(reader, writer):
    """Tag, verb and arguments of a command, its literals (RFC 9051, section 4.3) as words; None: no more."""
    text = ""
    while line := await reader.readline():
        text += line.decode("latin-1").rstrip("\r\n")
        literal = re.search(r"\{(\d+)(\+?)\}$", text)
        if not literal:
            tag, verb, *words = [*text.split(" ", 2), "", ""][:3]
            return tag, verb.upper(), words[0]
        if not literal[2]:
            writer.write(b"+ go on\r\n")
            await writer.drain()
        octets = (await reader.readexactly(int(literal[1]))).decode("latin-1")
        text = text[:literal.start()] + '"' + octets.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return None


def fetched(mails, numbers, items, by_uid):
    """The replies to FETCH. Sets of messages (`1:3,5`, `*`) as in RFC 9051, section 9."""
    last, wanted = len(mails), set()
    for part in numbers.split(","):
        first, _, end = part.replace("*", str(last)).partition(":")
        low, high = sorted((int(first), int(end or first)))
        wanted |= set(range(low, min(high, last) + 1))
    for number in sorted(wanted & set(range(1, last + 1))):
        mail = mails[number - 1]
        yield f"* {number} FETCH (UID {number} FLAGS (\\Seen) RFC822.SIZE {len(mail)}".encode()
        body = re.search(r"BODY(?:\.PEEK)?\[\]|RFC822(?!\.)", items.upper())
        if body:
            name = body[0].replace(".PEEK", "")
            yield f" {name} {{{len(mail)}}}\r\n".encode() + mail
        yield b")\r\n"


def answer(verb, argument, mails):
    """The replies to a command behind the login, without the tagged one; None: no such command."""
    by_uid = verb == "UID"
    if by_uid:
        verb, _, argument = argument.partition(" ")
        verb = verb.upper()
    if verb == "LIST":
        return [b'* LIST () "/" INBOX\r\n']
    if verb in ("SELECT", "EXAMINE"):
        return [f"* {len(mails)} EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen)\r\n* OK [UIDVALIDITY 1]\r\n".encode()]
    if verb == "SEARCH":
        return ["* SEARCH {}\r\n".format(" ".join(str(i + 1) for i in range(len(mails)))).encode()]
    if verb == "FETCH":
        numbers, _, items = argument.partition(" ")
        return list(fetched(mails, numbers, items, by_uid))
    return [] if verb in ("NOOP", "CHECK", "CLOSE") else None


async def log_in(reader, writer, mailbox, verb, argument):
    if verb == "LOGIN":
        return mailbox.opens(*shlex.split(argument)[:2])
    writer.write(b"+ \r\n")
    await writer.drain()
    return mailbox.opens(*base64.b64decode(await reader.readline()).decode().split("\0")[1:])


async def serve(reader, writer, mailbox):
    is_logged_in = False
    writer.write(f"* OK [{CAPABILITIES}] demo backend, in the clear\r\n".encode())
    while command := await read_command(reader, writer):
        tag, verb, argument = command
        done = f"{tag} OK done\r\n".encode()
        if verb == "LOGOUT":
            writer.write(b"* BYE\r\n" + done)
            return
        if verb == "CAPABILITY":
            writer.write(f"* {CAPABILITIES}\r\n".encode() + done)
        elif verb in ("LOGIN", "AUTHENTICATE") and not is_logged_in:
            is_logged_in = await log_in(reader, writer, mailbox, verb, argument)
            writer.write(done if is_logged_in else f"{tag} NO no such user or password\r\n".encode())
        else:
            replies = answer(verb, argument, mailbox.mails) if is_logged_in or verb == "NOOP" else None
            writer.write(f"{tag} BAD not in this demonstration\r\n".encode() if replies is None
                         else b"".join(replies) + done)
        await writer.drain()

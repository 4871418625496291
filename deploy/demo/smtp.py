# SPDX-License-Identifier: ISC
"""The demo's SMTP server (RFC 5321, 4954): takes a mail and prints it."""
import base64


def credentials(text):
    """User and password of AUTH PLAIN (RFC 4616)."""
    return base64.b64decode(text).decode().split("\0")[1:]


async def log_in(reader, writer, mailbox, argument):
    mechanism, _, response = argument.partition(" ")
    if mechanism.upper() != "PLAIN":
        return "504 5.5.4 Only PLAIN"
    if not response:
        writer.write(b"334 \r\n")
        await writer.drain()
        response = (await reader.readline()).decode("latin-1").strip()
    return "235 2.7.0 Welcome" if mailbox.opens(*credentials(response)) else "535 5.7.8 No such user or password"


async def read_message(reader):
    """The octets of a message, dots unstuffed (RFC 5321, section 4.5.2)."""
    lines = []
    while (line := await reader.readline()) != b".\r\n":
        if not line:
            raise ConnectionError("the client left inside a message")
        lines.append(line[1:] if line.startswith(b".") else line)
    return b"".join(lines)


def show(sender, recipients, message):
    text = message.decode("utf-8", "backslashreplace").replace("\r\n", "\n").rstrip("\n")
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
    print(f"\n--- a mail from {sender} to {', '.join(recipients)}, {len(message)} octets")
    print("\n".join(f"  | {line}" for line in shown.split("\n")[:40]))
    print("---", flush=True)


async def serve(reader, writer, mailbox):
    sender, recipients = None, []

    def reply(text):
        writer.write(text.encode() + b"\r\n")

    reply("220 demo backend, in the clear")
    while line := await reader.readline():
        verb, _, argument = line.decode("latin-1").strip().partition(" ")
        verb = verb.upper()
        if verb == "EHLO":
            reply("250-demo backend\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-AUTH PLAIN\r\n250 ENHANCEDSTATUSCODES")
        elif verb == "HELO":
            reply("250 demo backend")
        elif verb == "AUTH":
            reply(await log_in(reader, writer, mailbox, argument))
        elif verb == "MAIL":
            sender, recipients = argument[5:].split(" ")[0], []
            reply("250 2.1.0 Ok")
        elif verb == "RCPT" and sender is not None:
            recipients.append(argument[3:].split(" ")[0])
            reply("250 2.1.5 Ok")
        elif verb == "DATA" and recipients:
            reply("354 End data with <CR><LF>.<CR><LF>")
            await writer.drain()
            message = await read_message(reader)
            mailbox.mails.append(message)
            show(sender, recipients, message)
            sender, recipients = None, []
            reply("250 2.0.0 Ok: printed")
        elif verb in ("RCPT", "DATA"):
            reply("503 5.5.1 Bad sequence of commands")
        elif verb in ("RSET", "NOOP"):
            sender, recipients = (sender, recipients) if verb == "NOOP" else (None, [])
            reply("250 2.0.0 Ok")
        elif verb == "QUIT":
            reply("221 2.0.0 Bye")
            return
        else:
            reply("502 5.5.2 Command not recognized")
        await writer.drain()

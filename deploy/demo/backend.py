#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A small mail server without TLS, to stand behind the demo: takes every mail and prints it.

    backend.py [PORT]      0, the default: any free port; it is printed

It knows as much of RFC 5321 as a demonstration needs, and no more: not a mail server to be used.
"""
import asyncio
import signal
import sys


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


async def serve(reader, writer):
    sender, recipients = None, []

    def reply(text):
        writer.write(text.encode() + b"\r\n")

    reply("220 demo backend, in the clear")
    while line := await reader.readline():
        verb, _, argument = line.decode("latin-1").strip().partition(" ")
        verb = verb.upper()
        if verb == "EHLO":
            reply("250-demo backend\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
        elif verb == "HELO":
            reply("250 demo backend")
        elif verb == "MAIL":
            sender, recipients = argument[5:].split(" ")[0], []
            reply("250 2.1.0 Ok")
        elif verb == "RCPT" and sender is not None:
            recipients.append(argument[3:].split(" ")[0])
            reply("250 2.1.5 Ok")
        elif verb == "DATA" and recipients:
            reply("354 End data with <CR><LF>.<CR><LF>")
            await writer.drain()
            show(sender, recipients, await read_message(reader))
            sender, recipients = None, []
            reply("250 2.0.0 Ok: printed")
        elif verb in ("RCPT", "DATA"):
            reply("503 5.5.1 Bad sequence of commands")
        elif verb in ("RSET", "NOOP"):
            sender, recipients = (sender, recipients) if verb == "NOOP" else (None, [])
            reply("250 2.0.0 Ok")
        elif verb == "QUIT":
            reply("221 2.0.0 Bye")
            break
        else:
            reply("502 5.5.2 Command not recognized")
        await writer.drain()


async def on_connection(reader, writer):
    try:
        await serve(reader, writer)
        await writer.drain()
    except (ConnectionError, asyncio.LimitOverrunError, ValueError):
        pass
    finally:
        writer.close()


async def main(port):
    server = await asyncio.start_server(on_connection, "127.0.0.1", port, limit=1 << 20)
    print(f"backend: listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))

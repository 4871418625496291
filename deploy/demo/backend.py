#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A small mail server without TLS, to stand behind the demo: SMTP takes mails and prints them, IMAP and POP3 show
them again.

    backend.py      prints the three ports it has chosen, then serves until SIGTERM

It knows as much of the protocols as a demonstration needs, and no more: not a mail server to be used.
"""
import asyncio
import signal

import imap
import pop3
import smtp

# One user, one mailbox, in memory.
USER, PASSWORD = "demo", "secret"


class Mailbox:
    def __init__(self):
        self.mails = []  # octets, in the order of their arrival

    @staticmethod
    def opens(user, password):
        return (user, password) == (USER, PASSWORD)


def serve(protocol, mailbox):
    async def on_connection(reader, writer):
        try:
            await protocol.serve(reader, writer, mailbox)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            writer.close()
    return asyncio.start_server(on_connection, "127.0.0.1", 0, limit=1 << 20)


async def main():
    mailbox = Mailbox()
    servers = [await serve(protocol, mailbox) for protocol in (smtp, imap, pop3)]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    print("backend: smtp={} imap={} pop3={}".format(*ports), flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    for server in servers:
        server.close()


if __name__ == "__main__":
    asyncio.run(main())

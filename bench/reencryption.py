#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""What TLS towards the backend costs: CPU time of the worker for bulk in an IMAP tunnel, without it and with it.

Both ways take turns in one run, and what counts is the median of the rounds' ratios.

  bench/reencryption.py [--program build/release/starttlsd] [--rounds 7] [--megabytes 200]
"""
import argparse
import contextlib
import pathlib
import signal
import socket
import ssl
import statistics
import subprocess
import tempfile
import threading

from stand import certificate, cpu_seconds, free_port, recv_exactly, wait_for

PIECE = bytes(range(256)) * 512
GREETING, LOGIN = b"* OK ready\r\n", b"a OK in\r\n"


class Backend:
    """IMAP as far as a login; then it takes or gives as many octets as the line behind it says."""

    def __init__(self, context=None):
        self.context = context
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.server.accept()
            threading.Thread(target=self.talk, args=(client,), daemon=True).start()

    def talk(self, client):
        if self.context:
            try:
                client = self.context.wrap_socket(client, server_side=True)
            except (OSError, ssl.SSLError):
                return
        client.sendall(GREETING)
        lines = client.makefile("rb", buffering=0)
        if b"LOGIN" not in (lines.readline() or b""):
            client.close()
            return
        client.sendall(LOGIN)
        verb, count = lines.readline().split()
        if verb == b"take":
            recv_exactly(client, int(count))
            client.sendall(b".")
        else:
            for _ in range(int(count) // len(PIECE)):
                client.sendall(PIECE)
        with contextlib.suppress(OSError):
            client.recv(1)
        client.close()


def worker_of(master):
    children = pathlib.Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return next(int(pid) for pid in children
                if b"worker" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())


def run_once(port, verb, count):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port))) as client:
        recv_exactly(client, len(GREETING))
        client.sendall(b"a LOGIN u p\r\n")
        recv_exactly(client, len(LOGIN))
        client.sendall(f"{verb} {count}\n".encode())
        if verb == "take":
            for _ in range(count // len(PIECE)):
                client.sendall(PIECE)
            recv_exactly(client, 1)
        else:
            recv_exactly(client, count)


def configuration(ports, backends, pem):
    services = [f"""[service {name}]
protocol = imap
tls = implicit
listen = 127.0.0.1:{ports[name]}
certificate = {pem}
backend = 127.0.0.1:{backends[name].port}
{"" if name == "terminated" else "backend_tls = implicit" + chr(10) + "backend_verify = none"}
""" for name in ports]
    return "[starttlsd]\nworkers = 1\nlog_level = error\n\n" + "\n".join(services)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="build/release/starttlsd")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=200)
    options = parser.parse_args()
    count = options.megabytes * 1_000_000 // len(PIECE) * len(PIECE)

    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        pem = certificate(directory)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        backends = {"terminated": Backend(), "re-encrypted": Backend(context)}
        ports = {kind: free_port() for kind in backends}
        ini = directory / "starttlsd.ini"
        ini.write_text(configuration(ports, backends, pem))
        master = subprocess.Popen([options.program, "run", "--config", ini])
        try:
            for port in ports.values():
                wait_for(port)
            worker = worker_of(master.pid)
            for verb, way in (("take", "up"), ("give", "down")):
                ratios, spent = [], {kind: [] for kind in ports}
                for kind in ports:
                    run_once(ports[kind], verb, len(PIECE))
                for _ in range(options.rounds):
                    for kind, port in ports.items():
                        before = cpu_seconds(worker)
                        run_once(port, verb, count)
                        spent[kind].append(cpu_seconds(worker) - before)
                    ratios.append(spent["re-encrypted"][-1] / spent["terminated"][-1])
                for kind, seconds in spent.items():
                    rate = count / 1e6 / statistics.median(seconds)
                    print(f"{way:5} {kind:13} {statistics.median(seconds):6.2f} s of CPU   {rate:6.0f} MB/s of CPU")
                print(f"{way:5} ratio {statistics.median(ratios):.2f}  "
                      f"({min(ratios):.2f} to {max(ratios):.2f}, {options.rounds} rounds)")
        finally:
            master.send_signal(signal.SIGINT)
            master.wait()


if __name__ == "__main__":
    main()

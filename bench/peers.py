#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""What TLS in front of a mail server costs: starttlsd, and nginx and stunnel where they are installed, side by side.

Each stands in front of the same plain SMTP server with one worker, and all take turns in one run. Counted is what the
program itself uses, of CPU time and of memory: that depends little on how fast the client is, or on the network.

  bench/peers.py [--program build/release/starttlsd] [--rounds 5] [--sessions 200] [--megabytes 100] [--idle 500]

On Debian: apt-get install nginx-light libnginx-mod-mail stunnel4.
"""
import argparse
import os
import pathlib
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import tempfile
import threading

import stand

PIECE = (b"x" * 998 + b"\r\n") * 64
ROW = "{:<24}{:>12}{:>16}{:>22}"


class Smtp:
    """A mail server without TLS."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.server.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.talk, args=(client,), daemon=True).start()

    def talk(self, client):
        try:
            client.sendall(b"220 old ESMTP\r\n")
            lines = client.makefile("rb")
            while line := lines.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    client.sendall(b"354 go on\r\n")
                    while lines.readline() not in (b".\r\n", b""):
                        pass
                client.sendall(b"250-old\r\n250 SIZE 0\r\n" if verb == b"EHLO" else b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
                if verb == b"QUIT":
                    break
        except OSError:
            pass
        client.close()


class Session:
    """A client that has started TLS."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 30)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reply()
        self.say(b"EHLO client.test")
        self.say(b"STARTTLS")
        self.sock = self.context.wrap_socket(self.sock)
        self.say(b"EHLO client.test")

    def reply(self):
        text = b""
        while not text.endswith(b"\n") or text[text.rfind(b"\n", 0, -1) + 4] == ord("-"):
            octets = self.sock.recv(4096)
            assert octets, f"closed behind {text!r}"
            text += octets
        assert text[0] in b"23", text
        return text

    def say(self, line):
        self.sock.sendall(line + b"\r\n")
        return self.reply()

    def mail(self, octets=1000):
        for line in (b"MAIL FROM:<a@client.test>", b"RCPT TO:<b@bench.test>", b"DATA"):
            self.say(line)
        for _ in range(max(1, octets // len(PIECE))):
            self.sock.sendall(PIECE[-octets // 1000 * 1000:])
        self.say(b".")

    def quit(self):
        self.say(b"QUIT")
        self.sock.close()


# ---- Who is measured: each writes its configuration and says how it is started ---------------------


def starttlsd(options, directory, port, backend, pem):
    (directory / "starttlsd.ini").write_text(f"""[starttlsd]
workers = 1
log_level = error

[service smtp]
protocol = smtp
listen = 127.0.0.1:{port}
certificate = {pem}
backend = 127.0.0.1:{backend}
relay = backend
""")
    return [options.program, "run", "--config", directory / "starttlsd.ini"]


def nginx(options, directory, port, backend, pem):
    """It asks an HTTP server for the backend of each session; here that is its own worker."""
    auth = stand.free_port()
    (directory / "nginx.conf").write_text(f"""load_module /usr/lib/nginx/modules/ngx_mail_module.so;
daemon off;
user root;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log error;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {directory}/b; proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f;
    uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
    server {{
        listen 127.0.0.1:{auth};
        location / {{
            add_header Auth-Status OK always;
            add_header Auth-Server 127.0.0.1 always;
            add_header Auth-Port {backend} always;
            return 204;
        }}
    }}
}}
mail {{
    server_name mail.bench.test;
    auth_http 127.0.0.1:{auth}/;
    xclient off;
    ssl_certificate {pem};
    ssl_certificate_key {pem};
    server {{ listen 127.0.0.1:{port}; protocol smtp; smtp_auth none; starttls on; }}
}}
""")
    return ["nginx", "-p", directory, "-c", directory / "nginx.conf"]


def stunnel(options, directory, port, backend, pem):
    """Without TCP_NODELAY, which is not its default, every reply may wait 40 ms."""
    (directory / "stunnel.conf").write_text(f"""foreground = yes
pid =
syslog = no
debug = crit
[mail]
protocol = smtp
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{backend}
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
cert = {pem}
key = {pem}
""")
    return ["stunnel", directory / "stunnel.conf"]


SUBJECTS = {"starttlsd": starttlsd, "nginx": nginx, "stunnel": stunnel}


def is_there(name):
    return name == "starttlsd" or (shutil.which(name) and (
        name != "nginx" or os.path.exists("/usr/lib/nginx/modules/ngx_mail_module.so")))


# ---- What is measured --------------------------------------------------------------------------------


def spent(subject, work):
    before = stand.cpu_seconds(*subject.pids)
    work()
    return stand.cpu_seconds(*subject.pids) - before


def sessions(subject, count):
    """Each with its handshake, and a mail of one line. Microseconds of CPU a session."""
    def work():
        for _ in range(count):
            session = Session(subject.port)
            session.mail()
            session.quit()
    return spent(subject, work) / count * 1e6


def upload(subject, megabytes):
    """One mail. Milliseconds of CPU for a megabyte."""
    session = Session(subject.port)
    took = spent(subject, lambda: session.mail(megabytes * 1_000_000))
    session.quit()
    return took / megabytes * 1e3


def idle(subject, count):
    """Sessions behind TLS that have sent a mail. KiB for one."""
    warm = Session(subject.port)
    before = stand.memory_bytes(subject.pids)
    kept = [Session(subject.port) for _ in range(count)]
    for session in kept:
        session.mail()
    used = stand.memory_bytes(subject.pids) - before
    for session in (warm, *kept):
        session.quit()
    return used / count / 1024


class Subject:
    def __init__(self, name, options, directory, backend, pem):
        self.name, self.port = name, stand.free_port()
        home = directory / name
        home.mkdir()
        self.process = subprocess.Popen(SUBJECTS[name](options, home, self.port, backend, pem))
        stand.wait_for(self.port)
        Session(self.port).quit()
        self.pids = stand.family(self.process.pid)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def measure(options, subjects):
    """By the name of what is measured, by subject: a value a round."""
    kinds = (("session, us of CPU", lambda s: sessions(s, options.sessions)),
             ("upload, ms of CPU a MB", lambda s: upload(s, options.megabytes)))
    values = {kind: {s.name: [] for s in subjects} for kind, _ in kinds}
    for _ in range(options.rounds):
        for kind, run in kinds:
            for subject in subjects:
                values[kind][subject.name].append(run(subject))
    # Once: who has given memory back cannot be measured again.
    values["idle session, KiB"] = {s.name: [idle(s, options.idle)] for s in subjects}
    return values


def tell(values):
    print(ROW.format("", "median", "of starttlsd's", "min and max of that"))
    for kind, by_name in values.items():
        print(kind)
        for name, found in by_name.items():
            ratios = [one / ours for one, ours in zip(found, by_name["starttlsd"])]
            print(ROW.format(f"  {name}", f"{statistics.median(found):.1f}", f"{statistics.median(ratios):.2f}",
                                f"{min(ratios):.2f} {max(ratios):.2f}"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default="build/release/starttlsd")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--idle", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        pem = stand.certificate(directory)
        backend = Smtp()
        subjects = []
        try:
            for name in filter(is_there, SUBJECTS):
                subjects.append(Subject(name, options, directory, backend.port, pem))
            tell(measure(options, subjects))
        finally:
            for subject in subjects:
                subject.stop()


if __name__ == "__main__":
    main()

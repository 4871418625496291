#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""`make demo`: starttlsd in front of a small mail server, on this machine alone, until ^C.

    demo.py PROGRAM

Everything it makes is in a temporary directory that is gone when it ends.
"""
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

CONFIGURATION = """\
[starttlsd]
drain_timeout = 1s

[defaults]
certificate = {directory}/cert.pem {directory}/key.pem

[service submission]
protocol = smtp
listen = 127.0.0.1:{smtp}
backend = 127.0.0.1:{smtp_backend}
relay = login

[service imap]
protocol = imap
listen = 127.0.0.1:{imap}
backend = 127.0.0.1:{imap_backend}

[service imaps]
protocol = imap
listen = 127.0.0.1:{imaps}
tls = implicit
backend = 127.0.0.1:{imap_backend}

[service pop3]
protocol = pop3
listen = 127.0.0.1:{pop3}
backend = 127.0.0.1:{pop3_backend}
"""

COMMANDS = """
starttlsd listens on 127.0.0.1:{smtp} (submission), {imap} (IMAP), {imaps} (IMAP with TLS from the first octet) and
{pop3} (POP3); the mail server behind it knows no TLS. Its user is `demo`, the password `secret`. In a second terminal, try:

  swaks --tls --server 127.0.0.1:{smtp} --auth PLAIN --auth-user demo --auth-password secret --from me@example.com --to you@example.com

  curl --ssl-reqd --cacert {directory}/cert.pem --user demo:secret smtp://localhost:{smtp} \\
       --mail-from me@example.com --mail-rcpt you@example.com --upload-file README.md

  curl --ssl-reqd --cacert {directory}/cert.pem --user demo:secret "imap://localhost:{imap}/INBOX;UID=1"

  curl --cacert {directory}/cert.pem --user demo:secret "imaps://localhost:{imaps}/INBOX;UID=1"

  curl --ssl-reqd --cacert {directory}/cert.pem --user demo:secret pop3://localhost:{pop3}/1

  openssl s_client -starttls imap -crlf -quiet -CAfile {directory}/cert.pem -connect 127.0.0.1:{imap}

  curl --user demo:secret "imap://localhost:{imap}/INBOX;UID=1"      (no TLS: refused)

The configuration is {directory}/starttlsd.ini. ^C ends the demonstration.
"""


def free_port(first):
    for port in range(first, first + 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    sys.exit(f"demo: no free port from {first} on")


def wait_for(port, process):
    """Until `port` answers; it is a failure if `process` ends before."""
    for _ in range(100):
        if process.poll() is not None:
            sys.exit(f"demo: starttlsd ended with status {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("demo: starttlsd does not answer")


def stop(processes):
    for process in processes:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def start(program, directory, processes):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "30",
         "-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ports = {name: free_port(first) for name, first in
             (("smtp", 2525), ("imap", 2143), ("imaps", 2993), ("pop3", 2110))}
    # ^C reaches the whole foreground group: sessions of their own let us end things in order.
    backend = subprocess.Popen([sys.executable, pathlib.Path(__file__).with_name("backend.py")],
                               stdout=subprocess.PIPE, text=True, start_new_session=True)
    processes.append(backend)
    words = dict(word.split("=") for word in backend.stdout.readline().split()[1:])
    ports |= {f"{name}_backend": port for name, port in words.items()}
    ini = directory / "starttlsd.ini"
    ini.write_text(CONFIGURATION.format(**ports, directory=directory))
    gateway = subprocess.Popen([program, "run", "--config", ini], start_new_session=True)
    processes.insert(0, gateway)
    wait_for(ports["smtp"], gateway)
    print(COMMANDS.format(**ports, directory=directory), flush=True)
    return backend, gateway


def end_together(gateway, backend):
    gateway.wait()
    backend.terminate()


def on_signal(number, frame):
    raise KeyboardInterrupt


def main():
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    processes = []
    with tempfile.TemporaryDirectory(prefix="starttlsd-demo-") as name:
        try:
            backend, gateway = start(sys.argv[1], pathlib.Path(name), processes)
            threading.Thread(target=end_together, args=(gateway, backend), daemon=True).start()
            for line in backend.stdout:
                print(line, end="", flush=True)
            sys.exit("demo: starttlsd or the mail server behind it has ended")
        except KeyboardInterrupt:
            print("\ndemo: stopping", flush=True)
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            stop(processes)
    print("demo: everything is gone", flush=True)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: ISC
"""What an operator reads."""
import json
import re
import socket

import pytest

from clients import Client, message
from gateway import eventually

SESSION_FIELDS = {"session", "service", "protocol", "client", "client_port", "server", "tls", "cipher", "group", "resumed",
                  "sni", "backend", "phase", "messages", "in", "out", "duration", "end"}


def one_mail(server):
    with Client(server.port) as client:
        client.starttls()
        assert client.mail(message("m", b"x\r\n")).startswith("250")
        client.quit()
    return client


def test_the_session_line_tells_the_whole_story(gateway, backend):
    behind = backend()
    server = gateway(behind, process={"workers": 1})
    client = one_mail(server)
    line = server.session(client)
    assert SESSION_FIELDS <= set(line), SESSION_FIELDS - set(line)
    assert line["service"] == "mx" and line["protocol"] == "smtp" and line["client"] == "127.0.0.1"
    assert line["server"].endswith(str(server.port)) and line["backend"] == behind.address
    assert line["tls"] == "TLSv1.3" and line["cipher"].startswith("TLS_") and line["group"]
    assert line["resumed"] == "no" and line["sni"] == "localhost"
    assert line["phase"] == "gate" and line["messages"] == "1" and line["end"] == "client_quit"
    assert re.fullmatch(r"\d+\.\d{3}", line["duration"])
    assert int(line["in"]) > 100 and int(line["out"]) > 100


def test_every_session_has_one_line_and_a_name_of_its_own(gateway, backend):
    server = gateway(backend())
    for _ in range(10):
        one_mail(server)
    server.wait_for("session.end", count=10)
    lines = server.events("session.end")
    assert len(lines) == 10 and len({line["session"] for line in lines}) == 10


def test_lines_begin_with_time_and_level(gateway, backend):
    server = gateway(backend())
    one_mail(server)
    server.wait_for("session.end")
    for line in server.text().splitlines():
        assert re.match(r"(time=)?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z (level=)?(error|warning|info|debug) event=\w+\.\w+",
                        line), line


def test_json(gateway, backend):
    server = gateway(backend(), process={"log_format": "json"})
    client = one_mail(server)
    line = server.wait_for("session.end")
    assert SESSION_FIELDS <= set(line)
    assert line["end"] == "client_quit" and str(line["client_port"]) == str(client.port)
    for text in server.text().splitlines():
        if text.startswith("{"):
            json.loads(text)


def test_what_a_client_says_forges_no_line(gateway, backend):
    import ssl
    from clients import tls_context
    server = gateway(backend())
    with Client(server.port) as client:
        client.expect("STARTTLS", 220)
        try:
            client.sock = tls_context().wrap_socket(client.raw, server_hostname='x" end=forged')
            client.quit()
        except (ssl.SSLError, ValueError, OSError):
            pass
    server.session(client)
    assert all(line.get("end") != "forged" for line in server.lines())


def test_the_log_level_is_obeyed(gateway, backend):
    server = gateway(backend(), process={"log_level": "error"}, start=False).launch()
    eventually(lambda: can_greet(server.port))
    one_mail(server)
    assert not server.events("session.end")


def can_greet(port):
    try:
        with Client(port) as client:
            return client.greeting.startswith("220")
    except OSError:
        return False


def test_a_log_file_is_opened_anew_on_reload(gateway, backend, directory):
    file = directory / "starttlsd.log"
    server = gateway(backend(), process={"log": file}, start=False).launch()
    eventually(lambda: file.exists() and "server.ready" in file.read_text())
    file.rename(directory / "starttlsd.log.1")
    server.signal(1)
    eventually(lambda: file.exists() and "config.reloaded" in file.read_text(), what="a new file after SIGHUP")
    one_mail(server)
    eventually(lambda: "session.end" in file.read_text())


# /dev with a log socket of our own in it, in a mount namespace that dies with the process.
NAMESPACE = r"""
set -e
mount --make-rprivate /
mkdir -p "$1/dev"
mount -t tmpfs none "$1/dev"
for node in null zero full random urandom tty; do : >"$1/dev/$node"; mount --bind /dev/$node "$1/dev/$node"; done
ln -s /proc/self/fd "$1/dev/fd"
ln -s "$1/log" "$1/dev/log"
mount --rbind "$1/dev" /dev
shift
exec "$@"
"""


@pytest.mark.mount
@pytest.mark.parametrize("target, facility", [("syslog", 2), ("syslog:local3", 19)])
def test_syslog(gateway, backend, directory, needs, target, facility):
    needs("unshare", "mount")
    place = directory / "syslog"
    place.mkdir()

    def daemon():
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(str(place / "log"))
        (place / "log").chmod(0o666)
        sock.settimeout(20)
        return sock
    listener = daemon()
    server = gateway(backend(), process={"log": target}, start=False,
                     command=["unshare", "-m", "sh", "-c", NAMESPACE, "sh", str(place)]).launch()

    def receive(sock, event):
        while True:
            text = sock.recv(8192).decode()
            if f"event={event}" in text:
                return text
    try:
        receive(listener, "server.ready")
        one_mail(server)
        line = receive(listener, "session.end")
        number = int(re.match(r"<(\d+)>", line)[1])
        assert number >> 3 == facility and number & 7 == 6, line
        assert "starttlsd" in line and "end=client_quit" in line
        # The daemon restarts: its socket is another one.
        listener.close()
        (place / "log").unlink()
        listener = daemon()
        one_mail(server)
        assert "end=client_quit" in receive(listener, "session.end")
    except TimeoutError:
        raise AssertionError(f"nothing came by syslog; stderr:\n{server.text()}") from None
    finally:
        listener.close()

# SPDX-License-Identifier: ISC
"""A backend that misbehaves: the client learns it in good order, and no mail is lost or doubled by it."""
import signal
import socket
import threading
import time

import pytest

from backends import Script
from clients import Client, lines_of, message, stuffed
from gateway import SANITIZED, eventually, status

SHORT = {"connect_timeout": "1s", "greeting_timeout": "2s"}
# The scout's opinion stays out of it: these tests are about sessions.
ALONE = {"health_interval": "1h", "log_level": "info"}


class Greeting(Script):
    def __init__(self, greeting):
        super().__init__()
        self.greeting = greeting


def answer_behind_tls(server):
    """What a client is told after the handshake, or at the greeting if starttlsd knows already."""
    client = Client(server.port)
    with client:
        if client.greeting.startswith("421"):
            return client, client.greeting
        client.starttls()
        client.send(b"EHLO client.test\r\n")
        answer = client.reply()
        assert client.at_end()
        return client, answer


def test_refusing(gateway, free_port):
    server = gateway(f"127.0.0.1:{free_port()}", process=ALONE, **SHORT)
    client, answer = answer_behind_tls(server)
    assert answer.startswith(("421 4.4.1", "421 4.3.2")), answer
    assert server.session(client)["end"] == "backend_unreachable"


def test_a_backend_that_is_known_to_be_down_is_told_at_the_greeting(gateway, free_port):
    server = gateway(f"127.0.0.1:{free_port()}", process={"health_interval": "1s"}, **SHORT)
    server.wait_for("backend.down")

    def busy():
        with Client(server.port) as client:
            return client.greeting.startswith("421 4.3.2") and client.at_end() and client
    client = eventually(busy)
    assert server.session(client)["end"] == "backend_unreachable"


def test_a_backend_that_comes_back_is_found_again(gateway, backend, free_port):
    port = free_port()
    server = gateway(f"127.0.0.1:{port}", process={"health_interval": "1s"}, **SHORT)
    server.wait_for("backend.down")
    behind = backend(port=port)
    server.wait_for("backend.up")

    def served():
        with Client(server.port) as client:
            if not client.greeting.startswith("220"):
                return False
            client.starttls()
            return client.mail(message("m", b"x\r\n")).startswith("250")
    assert eventually(served)
    assert len(behind.messages) == 1


def test_not_answering_at_all(gateway):
    """A full queue of connections: SYNs go unanswered."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    port = full.getsockname()[1]
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
    time.sleep(0.1)
    server = gateway(f"127.0.0.1:{port}", process=ALONE, **SHORT)
    began = time.monotonic()
    client, answer = answer_behind_tls(server)
    assert answer.startswith(("421 4.4.1", "421 4.3.2")), answer
    assert time.monotonic() - began < 6
    assert server.session(client)["end"] == "backend_unreachable"
    for sock in (*fillers, full):
        sock.close()


def test_silent_after_the_connection(gateway, backend):
    server = gateway(backend(lambda connection: connection.drain()), process=ALONE, **SHORT)
    client, answer = answer_behind_tls(server)
    assert answer.startswith(("421 4.4.1", "421 4.3.2")), answer
    assert server.session(client)["end"] == "backend_unreachable"


@pytest.mark.parametrize("greeting", [b"554 no service\r\n", b"421 busy\r\n", b"554-no\r\n554 service\r\n", b"hello\r\n",
                                      b"\r\n", b"220", b"2200 x\r\n", b"250 not a greeting\r\n"])
def test_a_greeting_that_is_no_welcome(gateway, backend, greeting):
    behind = backend(Greeting(greeting))
    server = gateway(behind, process=ALONE, **SHORT)
    client, answer = answer_behind_tls(server)
    assert answer.startswith(("421 4.4.1", "421 4.3.2")), answer
    assert server.session(client)["end"] in ("backend_refused", "backend_unreachable")
    assert b"EHLO" not in behind.received


def test_a_long_greeting_is_a_greeting(gateway, backend):
    server = gateway(backend(Greeting(b"220-one\r\n220-two\r\n220 three\r\n")))
    with Client(server.port) as client:
        client.starttls()
        assert client.command("NOOP").startswith("250")
        client.quit()


@pytest.mark.parametrize("first", ["refusing", "554", "silent"])
def test_the_second_backend_takes_over(gateway, backend, free_port, first):
    second = backend()
    if first == "refusing":
        address = f"127.0.0.1:{free_port()}"
    else:
        script = Greeting(b"554 no\r\n") if first == "554" else (lambda connection: connection.drain())
        address = backend(script).address
    server = gateway(f"{address} {second.address}", process=ALONE, **SHORT)
    with Client(server.port) as client:
        client.starttls()
        assert client.mail(message("m", b"x\r\n")).startswith("250")
        client.quit()
    assert len(second.messages) == 1
    assert server.session(client)["backend"] == second.address


class Dying(Script):
    """Dies when it hears NOOP, having said this much; by a reset or in good order."""

    def __init__(self, words, reset=False):
        super().__init__()
        self.words, self.reset = words, reset

    def on_noop(self, connection, line):
        connection.send(self.words)
        time.sleep(0.2)
        if self.reset:
            connection.reset()
        return False


@pytest.mark.parametrize("reset", [False, True])
def test_dying_with_a_command_unanswered(shared, reset):
    server = shared(Dying(b"", reset))
    with Client(server.port) as client:
        client.starttls()
        client.expect("EHLO client.test", 250)
        assert client.command("NOOP").startswith("421 4.4.2")
        assert client.at_end()
    assert server.session(client)["end"] == "backend_lost"


@pytest.mark.parametrize("words", [b"25", b"250-first\r\n", b"250-first\r\n250 unfin"])
def test_dying_in_the_middle_of_a_reply(shared, words):
    """The reply is not finished by us: nothing that we say may be taken for its end."""
    server = shared(Dying(words))
    with Client(server.port) as client:
        client.starttls()
        client.expect("EHLO client.test", 250)
        client.send(b"NOOP\r\n")
        heard = b""
        while line := client.line():
            heard += line
        begun = b"\r\n" in words
        assert heard == (b"250-first\r\n" if begun else heard)
        assert begun or heard.startswith(b"421 4.4.2"), heard
    assert server.session(client)["end"] == "backend_lost"


def test_an_orderly_end_of_an_idle_backend(shared):
    class Leaving(Script):
        def on_noop(self, connection, line):
            connection.send(b"250 ok\r\n")
            time.sleep(0.2)
            return False
    server = shared(Leaving())
    with Client(server.port) as client:
        client.starttls()
        client.expect("NOOP", 250)
        assert client.at_end()
    assert server.session(client)["end"] == "backend_closed"


def test_a_421_out_of_the_blue_is_passed_on(shared):
    class Leaving(Script):
        def on_noop(self, connection, line):
            connection.send(b"250 ok\r\n")
            time.sleep(0.2)
            connection.send(b"421 4.3.2 going down\r\n")
            return False
    server = shared(Leaving())
    with Client(server.port) as client:
        client.starttls()
        client.expect("NOOP", 250)
        assert client.reply() == "421 4.3.2 going down"
        assert client.at_end()


@pytest.mark.parametrize("words", [b"250 ok\r\n250 and again\r\n", b"250 ok\r\n", b"354 go on\r\n", b"banana\r\n",
                                   b"250 a\rb\r\n", b"250 a\0b\r\n", b"250-a\r\n251 b\r\n"])
def test_a_reply_that_no_server_may_give(shared, words):
    class Odd(Script):
        def on_noop(self, connection, line):
            connection.send(words if words != b"250 ok\r\n" else words + b"250 unasked\r\n")
            return True
    server = shared(Odd())
    with Client(server.port) as client:
        client.starttls()
        client.expect("EHLO client.test", 250)
        client.send(b"NOOP\r\n")
        replies = []
        while reply := client.reply():
            replies.append(reply)
        assert len(replies) <= 2
    line = server.session(client)
    assert line["end"] == "backend_lost"
    assert server.events("session.violation", session=line["session"])[0]["kind"] == "backend_reply"


def test_dying_after_the_content(shared):
    """Nobody knows whether the message was taken: no word of ours may claim it."""
    class Dying(Script):
        def on_message(self, connection, content):
            return False
    server = shared(Dying())
    with Client(server.port) as client:
        client.starttls()
        assert client.mail(message("m", b"x\r\n")).startswith("421 4.4.2")
        assert client.at_end()
    assert server.session(client)["end"] == "backend_lost"


def test_an_answer_before_the_end_of_the_content(shared):
    """What follows could be taken for commands: the answer is passed on, and that is all."""
    class Hasty(Script):
        def on_data(self, connection, line):
            connection.send(b"354 go on\r\n")
            connection.line()
            connection.send(b"552 5.3.4 too big\r\n")
            connection.drain()
            return False
    server = shared(Hasty())
    with Client(server.port) as client:
        client.starttls()
        client.envelope()
        client.send(b"line\r\nline\r\n")
        assert client.reply().startswith("552 5.3.4")
        try:
            for _ in range(50):
                client.send(b"MAIL FROM:<evil@x>\r\n")
                time.sleep(0.01)
        except OSError:
            pass
        assert client.at_end()
    server.session(client)


def test_an_answer_that_takes_too_long(gateway, backend):
    class Slow(Script):
        def on_noop(self, connection, line):
            connection.drain()
            return False
    server = gateway(backend(Slow()), backend_timeout="1s")
    with Client(server.port) as client:
        client.starttls()
        assert client.command("NOOP").startswith("421 4.4.2")
        assert client.at_end()
    assert server.session(client)["end"] == "timeout"


def test_an_idle_client_is_told(gateway, backend):
    behind = backend()
    server = gateway(behind, idle_timeout="1s")
    with Client(server.port) as client:
        client.starttls()
        client.expect("NOOP", 250)
        assert client.reply().startswith("421 4.4.2")
        assert client.at_end()
    assert server.session(client)["end"] == "timeout"
    eventually(lambda: behind.visits[0].end)


# ---- The client vanishes ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["reset", "fin", "close_notify"])
def test_a_client_that_vanishes_inside_its_message(shared, way):
    """The backend's connection is reset, so that a truncated message is never taken for a whole one."""
    server = shared()
    client = Client(server.port)
    client.starttls()
    client.envelope()
    client.send(stuffed(message("m", lines_of(200_000))))
    eventually(lambda: len(server.behind.received) > 100_000)
    if way == "reset":
        client.vanish()
    elif way == "fin":
        client.cut()
    else:
        threading.Thread(target=lambda: quietly(client.sock.unwrap), daemon=True).start()
    eventually(lambda: server.behind.visits[0].end)
    assert server.behind.visits[0].end == "reset"
    assert not server.behind.messages
    assert server.session(client)["end"] == "client_lost"
    client.close()


def quietly(call):
    try:
        call()
    except OSError:
        pass


def test_an_unfinished_command_is_never_forwarded(shared):
    server = shared()
    with Client(server.port) as client:
        client.starttls()
        client.expect("NOOP", 250)
        client.send(b"MAIL FROM:<a@client.test>")
        client.cut()
        while client.line():
            pass
    server.session(client)
    eventually(lambda: server.behind.visits[0].end)
    assert server.behind.received == b"NOOP\r\nQUIT\r\n"  # the farewell is ours


def test_a_backend_that_reads_slowly_holds_the_client_back(gateway, backend):
    """Twenty megabytes for a backend that does not read: they wait in the client, not in our memory."""
    go_on = threading.Event()

    class Lazy(Script):
        def on_data(self, connection, line):
            connection.send(b"354 go on\r\n")
            go_on.wait(30)
            return self.on_message(connection, connection.content())
    behind = backend(Lazy())
    server = gateway(behind, process={"workers": 1})
    pid = server.workers()[0]
    content = stuffed(message("m", lines_of(100_000) * 200)) + b".\r\n"
    with Client(server.port, timeout=60) as client:
        client.starttls()
        client.envelope()
        before = resident(pid)
        sender = threading.Thread(target=client.send, args=(content,))
        sender.start()
        time.sleep(1.5)
        assert sender.is_alive()
        grown = resident(pid) - before
        assert grown < (16384 if SANITIZED else 4096), f"{grown} KiB grown while the backend does not read"
        go_on.set()
        sender.join()
        assert client.reply().startswith("250")
        client.quit()


def resident(pid):
    """KiB."""
    return int(status(pid)["VmRSS"].split()[0])


def test_a_backend_that_was_restarted_is_found_within_seconds(gateway, backend):
    """With the default health_interval of 30 s: sessions that failed make the scout look sooner."""
    behind = backend()
    port = behind.port
    server = gateway(behind, **SHORT)
    server.wait_for("backend.up")
    behind.close()
    for _ in range(2):
        answer_behind_tls(server)
    server.wait_for("backend.down")
    backend(port=port)
    began = time.monotonic()
    server.wait_for("backend.up", count=2)
    assert time.monotonic() - began < 10


class Sipping(Script):
    """Takes the commands, then content by the sip, each when the test says so."""

    def __init__(self):
        super().__init__()
        self.sips = threading.Semaphore(0)
        self.is_thirsty = False  # takes all the rest

    def on_data(self, connection, line):
        connection.send(self.data_go_ahead)
        while not self.is_thirsty:
            if self.sips.acquire(timeout=0.1):
                connection.received += connection.sock.recv(65536)
        connection.drain()
        return False


def unread(server, client):
    """Octets that wait in the kernel for starttlsd to read them."""
    with open("/proc/net/tcp") as table:
        for row in table:
            fields = row.split()
            if fields[1].endswith(f":{server.port:04X}") and fields[2].endswith(f":{client.port:04X}"):
                return int(fields[4].split(":")[1], 16)
    return 0


@pytest.mark.parametrize("attempt", range(4))  # where it is cut is chance
def test_a_message_that_is_cut_short_ends_with_a_reset(gateway, backend, attempt):
    script = Sipping()
    behind = backend(script)
    server = gateway(behind, process=dict(ALONE, drain_timeout="0s"), **SHORT)
    with Client(server.port) as client:
        client.starttls()
        for command in (b"EHLO client.test\r\n", b"MAIL FROM:<a@b.test>\r\n", b"RCPT TO:<c@d.test>\r\n", b"DATA\r\n"):
            client.send(command)
            client.reply()
        body = b"0123456789abcde\r\n" * 900_000 + b".\r\n"
        sender = threading.Thread(target=client.send, args=(body,), daemon=True)
        sender.start()
        # Until starttlsd has the end of the message, and holds what the backend does not take.
        deadline = time.monotonic() + 30
        while sender.is_alive() or unread(server, client) > 0:
            script.sips.release()
            time.sleep(0.0005)
            assert time.monotonic() < deadline
        server.process.send_signal(signal.SIGINT)
        server.wait_for("session.end")
        script.is_thirsty = True
        end = eventually(lambda: behind.visits and behind.visits[0].end)
    if not behind.received.endswith(b"\r\n.\r\n"):
        assert end == "reset"


class TooBig(Script):
    """Refuses content long before its end, and closes with most of it unread."""

    def on_data(self, connection, line):
        connection.send(self.data_go_ahead)
        connection.sock.recv(1000)
        connection.send(b"552 5.3.4 too big\r\n")
        connection.close()
        return False


@pytest.mark.parametrize("attempt", range(5))
def test_a_last_word_is_passed_on_though_the_backend_takes_no_more(shared, attempt):
    server = shared(TooBig())
    with Client(server.port) as client:
        client.starttls()
        for command in (b"EHLO client.test\r\n", b"MAIL FROM:<a@b.test>\r\n", b"RCPT TO:<c@d.test>\r\n", b"DATA\r\n"):
            client.send(command)
            client.reply()
        client.send(b"0123456789abcde\r\n" * 3000)
        assert client.reply() == "552 5.3.4 too big"


def test_a_line_that_never_ends_is_silence(gateway, backend):
    server = gateway(backend(), process=ALONE, idle_timeout="2s", **SHORT)
    with Client(server.port) as client:
        client.starttls()
        client.send(b"EHLO client.test\r\n")
        client.reply()
        began = time.monotonic()
        while time.monotonic() - began < 15 and not server.events("session.end"):
            try:
                client.send(b"x")
            except OSError:
                break
            time.sleep(0.3)
    assert server.session(client)["end"] == "timeout"

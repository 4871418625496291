# SPDX-License-Identifier: ISC
"""What a service may have over all workers: sessions, and connections to its backends; and from whom."""
import os
import pathlib
import signal
import threading
import time

import pytest

from backends import Script
from clients import Client, message
from conftest import configuration
from gateway import SANITIZED, eventually


def is_answered(client, seconds=0.0):
    """Is there a reply to what was sent, within that time? It is kept in `answer` then."""
    client.sock.settimeout(seconds or 0.001)
    try:
        client.answer = client.reply()
    except (TimeoutError, OSError):
        return False
    finally:
        client.sock.settimeout(30)
    return True


class Crowd:
    """Clients that have come as far as TLS and an EHLO, which a backend has to answer."""

    def __init__(self, server):
        self.server, self.clients = server, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.close()

    def come(self):
        client = Client(self.server.port)
        client.starttls()
        client.send(b"EHLO client.test\r\n")
        self.clients.append(client)
        return client

    def come_and_wait(self, seconds=0.15):
        client = self.come()
        assert not is_answered(client, seconds), client.answer
        return client

    def be_served(self):
        client = self.come()
        assert client.reply().startswith("250")
        return client


def reconfigure(server, certificates, **options):
    server.write(configuration(certificates, server.behind, server.port, **options))
    server.reload()


def connections(port):
    """To that port of this machine, open or on their way."""
    found = 0
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        found += int(words[2].rsplit(":", 1)[1], 16) == port and words[3] in ("01", "02")
    return found


@pytest.fixture
def served(gateway, backend):
    """served(key="value", ...): a gateway in front of a backend that its scout has seen."""
    def make(script=None, **options):
        behind = backend(script)
        server = gateway(behind, **options)
        server.behind = behind
        server.wait_for("backend.up")
        eventually(lambda: connections(behind.port) == 0, what="the scout's goodbye")
        return server
    return make


# ---- Connections to backends ------------------------------------------------------------------------


def test_connections_are_limited_over_all_workers(served):
    server = served(backend_max_connections=4)
    with Crowd(server) as crowd:
        for _ in range(4):
            crowd.be_served()
        waiting = [crowd.come_and_wait() for _ in range(4)]
        assert connections(server.behind.port) == 4
        late = crowd.come()
        assert late.reply().startswith("421 4.3.2 ")
        assert late.at_end()
        assert server.session(late)["end"] == "limit"
        refused = server.wait_for("session.refused", client_port=str(late.port))
        assert (refused["reason"], refused["service"]) == ("backend_max_connections", "mx")
        assert connections(server.behind.port) == 4
        assert not [client for client in waiting if is_answered(client)]


def test_first_come_first_served(served):
    server = served(backend_max_connections=4)
    with Crowd(server) as crowd:
        inside = [crowd.be_served() for _ in range(4)]
        waiting = [crowd.come_and_wait(0.02) for _ in range(4)]
        while waiting:
            inside.pop(0).quit()
            first = waiting.pop(0)
            assert is_answered(first, 2) and first.answer.startswith("250"), "the first was not served"
            assert not [client for client in waiting if is_answered(client)], "another was served too"
            inside.append(first)
            assert connections(server.behind.port) == 4


def test_nobody_waits_longer_than_five_seconds(served):
    server = served(backend_max_connections=1)
    with Crowd(server) as crowd:
        crowd.be_served()
        began = time.monotonic()
        client = crowd.come()
        assert client.reply().startswith("421 4.3.2 ")
        assert 4.8 < time.monotonic() - began < 7
        assert client.at_end()
        assert server.session(client)["end"] == "limit"
        assert server.events("session.refused", reason="backend_max_connections", client_port=str(client.port))
        crowd.come_and_wait()  # it has left the queue


def test_who_waits_in_a_drain_is_told(served):
    server = served(backend_max_connections=1)
    with Crowd(server) as crowd:
        inside, waiting = crowd.be_served(), crowd.come_and_wait()
        server.signal(signal.SIGTERM)
        assert waiting.reply().startswith("421 4.3.2 ")
        assert server.session(waiting)["end"] == "drained"
        assert inside.reply().startswith("421 4.3.2 ")
    assert server.wait() == 0


class Ending(Script):
    """Ends as it is told by a word of the client's."""

    def on_noop(self, connection, line):
        if b"reset" in line:
            connection.reset()
        return not any(word in line for word in (b"close", b"reset"))

    def on_help(self, connection, line):
        connection.send(b"421 4.3.0 not any more\r\n")
        return False


ENDS = {
    "quit": lambda client: client.quit(),
    "reset by the client": lambda client: client.vanish(),
    "cut": lambda client: client.cut(),
    "backend closes": lambda client: client.expect("NOOP close", 421),
    "backend resets": lambda client: client.expect("NOOP reset", 421),
    "backend says goodbye": lambda client: client.expect("HELP", 421),
    "message cut": lambda client: (client.envelope(), client.send(b"half a "), client.vanish()),
    "too many errors": lambda client: [client.command("FOO") for _ in range(10)],
}


def test_however_a_session_ends_its_connection_is_free(served):
    server = served(Ending(), backend_max_connections=1)
    with Crowd(server) as crowd:
        for name, end in ENDS.items():
            client = crowd.be_served()
            waiting = crowd.come_and_wait(0.05)
            end(client)
            assert is_answered(waiting, 2) and waiting.answer.startswith("250"), name
            waiting.quit()
            eventually(lambda: connections(server.behind.port) == 0, what=name)


def test_starttls_in_mid_session_gives_its_connection_back(served):
    """And takes another behind the handshake, in turn like anybody."""
    server = served(backend_max_connections=1, policy="opportunistic")
    with Client(server.port) as client, Crowd(server) as crowd:
        client.expect("EHLO client.test", 250)
        client.expect("MAIL FROM:<a@client.test>", 250)
        client.expect("RSET", 250)
        assert connections(server.behind.port) == 1
        waiting = crowd.come_and_wait()
        client.starttls()
        client.send(b"EHLO client.test\r\n")
        assert is_answered(waiting, 2) and waiting.answer.startswith("250")
        assert not is_answered(client, 0.15)
        waiting.quit()
        assert is_answered(client, 2) and client.answer.startswith("250")
        client.quit()


class Refusing(Script):
    greeting = b"554 go away\r\n"


def test_a_failed_backend_gives_its_connection_to_the_next(gateway, backend):
    """And a session keeps its own from one backend to the next."""
    bad, good = backend(Refusing()), backend()
    server = gateway(f"{bad.address} {good.address}", backend_max_connections=1)
    with Crowd(server) as crowd:
        for _ in range(3):
            client = crowd.be_served()
            waiting = crowd.come_and_wait(0.05)
            client.quit()
            assert is_answered(waiting, 2)
            waiting.quit()


def test_nothing_is_left_of_a_connection_that_failed(served):
    server = served(backend_max_connections=1)
    with Crowd(server) as crowd:
        server.behind.script.greeting = Refusing.greeting
        assert crowd.come().reply().startswith("421 4.4.1 ")
        server.behind.script.greeting = Script.greeting
        crowd.be_served()
        crowd.come_and_wait()


class Dawdling(Script):
    """Greets late, and answers DATA late, once `pause` is set."""
    pause = 0

    def __call__(self, connection):
        time.sleep(self.pause)
        super().__call__(connection)

    def on_data(self, connection, line):
        time.sleep(self.pause)
        return super().on_data(connection, line)


@pytest.mark.parametrize("last_words", ["", "EHLO client.test\r\n", "cut"])
def test_who_is_gone_before_the_greeting_leaves_its_place(served, last_words):
    server = served(Dawdling(), tls="none", backend_max_connections=2)
    server.behind.script.pause = 30
    clients = [Client(server.port, greeting=False) for _ in range(4)]  # two of them wait
    for client in clients:
        if last_words == "cut":
            client.cut()
        else:
            client.send(last_words.encode())
    eventually(lambda: connections(server.behind.port) == 2)
    time.sleep(0.2)
    for client in clients:
        client.vanish()
    for client in clients:
        line = server.session(client)
        assert (line["end"], line["phase"]) == ("client_lost", "backend")
        assert float(line["duration"]) < 3
    eventually(lambda: connections(server.behind.port) == 0, 2)
    server.behind.script.pause = 0
    with Client(server.port) as client:
        assert client.greeting.startswith("220 ")


@pytest.mark.parametrize("words", [[b"DATA\r\n"], [b"DATA\r\nx\r\n"], [b"DATA\r\nx\r\n", b"x\r\n"]])
def test_who_is_gone_before_an_answer_leaves_its_place(served, words):
    server = served(Dawdling(), backend_max_connections=1)
    with Client(server.port) as client:
        client.starttls()
        for command in ("EHLO client.test", "MAIL FROM:<a@client.test>", "RCPT TO:<b@example.test>"):
            client.expect(command, 250)
        server.behind.script.pause = 30
        for word in words:
            client.send(word)
            time.sleep(0.2)
        eventually(lambda: b"DATA" in server.behind.received)
        client.vanish()
    line = server.session(client)
    assert line["end"] == "client_lost" and float(line["duration"]) < 4
    eventually(lambda: connections(server.behind.port) == 0, 2)


def test_who_has_only_said_all_it_has_to_say_is_served(served):
    """A FIN, while nobody listens yet."""
    server = served(Dawdling(), tls="none")
    server.behind.script.pause = 2.5
    with Client(server.port, greeting=False) as client:
        client.send(b"EHLO client.test\r\nQUIT\r\n")
        client.cut()
        assert [client.reply()[:3] for _ in range(3)] == ["220", "250", "221"]
    assert server.session(client)["end"] == "client_quit"


def kill_worker(server, pid):
    before = len(server.lines())
    os.kill(pid, signal.SIGKILL)
    server.deaths_expected += 1
    server.wait_for("worker.died", after=before, pid=str(pid))


def replaced(server, pids):
    """The worker that has come in the place of one of these."""
    return eventually(lambda: len(now := server.workers()) == 2 and set(now) - set(pids), what="a replacement").pop()


@pytest.mark.trace
def test_a_killed_worker_frees_what_it_had(served):
    server = served(backend_max_connections=8)
    before = server.workers()
    kill_worker(server, before[0])
    doomed = replaced(server, before)  # its death will be the second: the next one comes after a second
    with Crowd(server) as crowd:
        for _ in range(8):
            crowd.be_served()
        freed = [server.worker_of(client) for client in crowd.clients].count(doomed)
        kill_worker(server, doomed)
        for _ in range(freed):
            crowd.be_served()
        crowd.come_and_wait()
        assert SANITIZED or len(server.workers()) == 1, "too slow to tell"
        assert connections(server.behind.port) == 8
        replaced(server, [*before, doomed])
        crowd.come_and_wait()
        assert connections(server.behind.port) == 8


def test_sessions_of_an_old_configuration_count(served, certificates):
    server = served(backend_max_connections=2)
    with Crowd(server) as crowd:
        old = [crowd.be_served(), crowd.be_served()]
        reconfigure(server, certificates, backend_max_connections=2)
        new = crowd.come_and_wait()
        old[0].quit()
        assert is_answered(new, 2) and new.answer.startswith("250")
        assert connections(server.behind.port) == 2


def test_another_service_has_its_own(served, certificates):
    server = served(backend_max_connections=1)
    with Crowd(server) as crowd:
        old = crowd.be_served()
        reconfigure(server, certificates, backend_max_connections=1, name="other")
        crowd.be_served()
        reconfigure(server, certificates, backend_max_connections=2)
        crowd.be_served()  # mx again, whose old session still counts
        crowd.come_and_wait()
        old.quit()


def test_a_new_limit_is_everybodys_at_once(served, certificates):
    server = served(backend_max_connections=1)
    with Crowd(server) as crowd:
        crowd.be_served()
        waiting = crowd.come_and_wait()
        reconfigure(server, certificates, backend_max_connections="off")
        assert is_answered(waiting, 1) and waiting.answer.startswith("250")


def test_under_load_the_limit_holds(served):
    """Many at once, for as long as it takes: the sum of two workers is over by one at most, and never for good."""
    server = served(backend_max_connections=3)
    total, peak, sent, turned_away = 60 if not SANITIZED else 20, 0, [], []

    def run(number):
        for part in range(total // 10):
            with Client(server.port) as client:
                client.starttls()
                reply = client.command("EHLO client.test")
                if reply.startswith("421 4.3.2"):
                    turned_away.append(reply)
                    time.sleep(0.05)
                    continue
                assert client.mail(message(f"{number}-{part}", b"x\r\n")).startswith("250")
                client.quit()
                sent.append(number)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        peak = max(peak, connections(server.behind.port))
        time.sleep(0.001)
    assert len(sent) + len(turned_away) == total and sent
    assert len(server.behind.messages) == len(sent)
    assert 2 <= peak <= 4
    eventually(lambda: connections(server.behind.port) == 0)
    with Crowd(server) as crowd:
        for _ in range(3):
            crowd.be_served()
        crowd.come_and_wait()


# ---- Sessions ---------------------------------------------------------------------------------------


def test_sessions_are_limited_over_all_workers(served):
    server = served(max_sessions=5)
    inside = [Client(server.port) for _ in range(5)]
    for _ in range(3):  # those who are turned away count for nothing
        with Client(server.port) as late:
            assert late.greeting.startswith("421 4.3.2 ")
            assert late.at_end()
        assert server.session(late)["end"] == "limit"
        assert server.events("session.refused", reason="max_sessions", client_port=str(late.port))
    inside.pop().quit()
    inside.append(Client(server.port))
    assert inside[-1].greeting.startswith("220 ")
    with Client(server.port) as late:
        assert late.greeting.startswith("421 4.3.2 ")
    for client in inside:
        client.close()


def has_room(server):
    with Client(server.port) as client:
        if client.greeting.startswith("220 "):
            client.quit()
            return True
    return False


def test_one_too_many_hears_it_inside_tls(served):
    """With TLS from the first octet there is no way to say it before."""
    server = served(max_sessions=1, tls="implicit")
    with Client(server.port, greeting=False) as inside:
        assert inside.handshake().reply().startswith("220 ")
        with Client(server.port, greeting=False) as late:
            assert late.handshake().reply().startswith("421 4.3.2 ")
            assert late.at_end()
        assert server.session(late)["end"] == "limit"
        inside.quit()
        with Client(server.port, greeting=False) as client:
            assert client.handshake().reply().startswith("220 ")


def test_who_is_turned_away_keeps_no_place(served, free_port, certificates):
    """Not in the worker either, where other services have theirs; how many he may be."""
    server = served(max_sessions=2, tls="implicit", process={"workers": 1, "max_sessions": 40})
    other = free_port()
    server.write(server.ini.read_text() + configuration(certificates, server.behind, other, name="other")
                 .partition("\n\n")[2])
    server.reload()
    crowd = [Client(server.port, greeting=False) for _ in range(100)]
    eventually(lambda: len(server.events("session.refused", reason="max_sessions")) == 98)
    with Client(other) as client:
        assert client.greeting.startswith("220 ")
    ends = [line for _, line in ((c, server.session(c)) for c in crowd[2:34])]
    assert {(line["end"], line["phase"]) for line in ends} == {("limit", "handshake")}
    assert max(float(line["duration"]) for line in ends) < 3
    assert crowd[40].at_end()
    for client in crowd:
        client.close()


@pytest.mark.trace
def test_sessions_are_counted_over_reloads_and_deaths(served):
    server = served(max_sessions=6)
    with Crowd(server) as crowd:
        for _ in range(6):
            crowd.be_served()
        homes = [server.worker_of(client) for client in crowd.clients]
        server.reload()
        with Client(server.port) as late:
            assert late.greeting.startswith("421 4.3.2 ")
        doomed = max(set(homes), key=homes.count)
        kill_worker(server, doomed)
        eventually(lambda: has_room(server), what="the news of it")
        for _ in range(homes.count(doomed)):
            crowd.be_served()
        with Client(server.port) as late:
            assert late.greeting.startswith("421 4.3.2 ")


# ---- Who ------------------------------------------------------------------------------------------------


def is_served(server, host="127.0.0.1", source=None):
    """The greeting, or not a word; another end is a failure."""
    with Client(server.port, host=host, source=source) as client:
        if client.greeting.startswith("220 "):
            return True
        assert client.greeting == "", client.greeting
    line = server.wait_for("session.refused", client_port=str(client.port))
    assert (line["reason"], line["client"]) == ("denied", source or host)
    assert not server.events("session.end", client_port=str(client.port))
    return False


def test_denied_addresses_hear_nothing(served):
    server = served(deny="127.0.0.2 127.0.1.0/24")
    assert is_served(server)
    assert not is_served(server, source="127.0.0.2")
    assert not is_served(server, source="127.0.1.77")
    assert is_served(server, source="127.0.2.1")


def test_only_allowed_addresses_are_served_and_deny_wins(served):
    server = served(allow="127.0.0.0/30 ::1", deny="127.0.0.2")
    assert is_served(server)
    assert not is_served(server, source="127.0.0.2")
    assert is_served(server, source="127.0.0.3")
    assert not is_served(server, source="127.0.0.4")


def test_networks_of_both_families_on_one_socket(served, free_port):
    """On a dual-stack socket an IPv4 client has a mapped address, and is one all the same."""
    port = free_port()
    server = served(listen=f"*:{port}", deny="127.0.0.2")
    server.port = port
    assert is_served(server)
    assert is_served(server, host="::1")
    assert not is_served(server, source="127.0.0.2")


def test_ipv6_is_denied_alone(served, free_port):
    port = free_port()
    server = served(listen=f"*:{port}", deny="::/0")
    server.port = port
    assert is_served(server)
    assert not is_served(server, host="::1")


def test_a_reload_changes_who_is_served(served, certificates):
    server = served(deny="127.0.0.1")
    assert not is_served(server)
    reconfigure(server, certificates)
    assert is_served(server)

# SPDX-License-Identifier: ISC
"""Several backends, and names with several addresses: who is chosen, who is passed over, and what clients notice."""
import collections
import pathlib
import socket
import struct
import threading
import time

import pytest

from backends import Script
from clients import Client, message
from dialects import IMAP, POP3
from gateway import PATIENCE, eventually

FORMS = ["failover", "roundrobin", "leastconn", "source"]
# What the scout finds out is waited for where it counts; else it stays out of it.
ALONE = {"health_interval": "1h"}


class Named(Script):
    """Says in its greeting which one it is."""

    def __init__(self, name):
        super().__init__()
        self.greeting = f"220 {name} ESMTP\r\n".encode()


def silent(connection):
    connection.drain()


def refusing(connection):
    connection.send(b"554 no service\r\n")


def start(make, certificates, free_port, services, process=None, **options):
    """One gateway with these services: {name: keys}, the client in the clear unless they say otherwise. `.ports` by name."""
    ports = {name: free_port() for name in services}
    lines = ["[starttlsd]", *(f"{key} = {value}" for key, value in {"workers": 2, **ALONE, **(process or {})}.items()),
             "[defaults]", "protocol = smtp", "relay = backend"]
    for name, keys in services.items():
        keys = {"listen": f"127.0.0.1:{ports[name]}", "tls": "none", **keys}
        if keys["tls"] != "none":
            keys["certificate"] = certificates.localhost
        lines += [f"[service {name}]", *(f"{key} = {value}" for key, value in keys.items())]
    server = make(ini="\n".join(lines) + "\n", **options)
    server.ports = ports
    return server


@pytest.fixture
def pools(gateway, certificates, free_port):
    """pools({name: keys}): as start."""
    return lambda services, process=None, **options: start(gateway, certificates, free_port, services, process, **options)


@pytest.fixture
def named(backend):
    """named("a", "b"): backends of these names."""
    return lambda *names: [backend(Named(name)) for name in names]


def addresses(*backends):
    return " ".join(getattr(backend, "address", backend) for backend in backends)


class Unheard:
    """A port where SYNs are dropped: its queue is full."""

    def __init__(self, host, port):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, port), family=family, backlog=0)
        self.fillers = [socket.socket(family) for _ in range(3)]
        for filler in self.fillers:
            filler.setblocking(False)
            filler.connect_ex((host, port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in (*self.fillers, self.listener):
            sock.close()


class Visit:
    """A session in the clear: the backend's greeting comes first."""

    def __init__(self, port, source="127.0.0.1"):
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))
        self.file = self.sock.makefile("rb")
        self.greeting = self.file.readline()

    @property
    def name(self):
        assert self.greeting.startswith(b"220 "), self.greeting
        return self.greeting.split()[1].decode()

    def leave(self):
        """QUIT, and all that comes of it."""
        self.sock.sendall(b"QUIT\r\n")
        self.file.read()
        self.sock.close()
        return self

    def close(self):
        self.file.close()
        self.sock.close()


def who(port, source="127.0.0.1"):
    return Visit(port, source).leave().name


# ---- Who is no good -----------------------------------------------------------------------------


def test_every_form_passes_over_who_is_no_good(pools, backend, named, free_port):
    """One dead, one slow, one refusing: the session finds the fourth, whatever the scout has heard."""
    (good,) = named("good")
    pool = addresses(f"127.0.0.1:{free_port()}", backend(silent), backend(refusing), good)
    server = pools({form: {"balance": form, "backend": pool, "greeting_timeout": "1s"} for form in FORMS})
    found = []

    def visit(form, source):
        found.append((form, who(server.ports[form], source)))
    threads = [threading.Thread(target=visit, args=(form, f"127.0.0.{2 + i}")) for form in FORMS for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert collections.Counter(found) == {(form, "good"): 6 for form in FORMS}
    assert server.events("backend.failed", reason="no greeting in time")
    assert server.events("backend.failed", reason="Connection refused")


@pytest.mark.parametrize("dialect", [IMAP, POP3], ids=lambda dialect: dialect.protocol)
def test_mailboxes_likewise(pools, backend, dialect, free_port):
    good = backend(dialect.script())
    pool = addresses(f"127.0.0.1:{free_port()}", backend(lambda connection: connection.send(dialect.unready)), good)
    server = pools({"box": {"protocol": dialect.protocol, "backend": pool}})
    for _ in range(3):
        assert Visit(server.ports["box"]).greeting.startswith((b"* OK", b"+OK"))
    assert {line["backend"] for line in server.events("session.end")} <= {good.address}


def connecting(port):
    """How many sockets of this machine have sent a SYN to that port, and heard nothing."""
    rows = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(row.split()[2].endswith(f":{port:04X}") and row.split()[3] == "02" for row in rows)


def test_a_way_that_is_never_found_ends_with_its_session(pools, free_port):
    """The client goes, or we do, while SYNs go unheard."""
    port = free_port()
    with Unheard("127.0.0.1", port):
        before = connecting(port)
        server = pools({"mx": {"backend": f"127.0.0.1:{port}", "connect_timeout": "60s"}})
        clients = [socket.create_connection(("127.0.0.1", server.ports["mx"])) for _ in range(2)]
        eventually(lambda: connecting(port) >= before + 3)  # and the scout
        clients[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        clients[0].close()
        server.wait_for("session.end", end="client_lost")
        server.stop()
        assert [line["end"] for line in server.events("session.end")] == ["client_lost", "drained"]
        clients[1].close()


@pytest.mark.parametrize("bad, end", [((refusing, None), "backend_unreachable"), ((None, refusing), "backend_refused"),
                                      ((refusing, silent), "backend_unreachable")])
def test_the_last_failure_is_told(pools, backend, free_port, bad, end):
    pool = [backend(script) if script else f"127.0.0.1:{free_port()}" for script in bad]
    server = pools({"mx": {"tls": "starttls", "backend": addresses(*pool), "greeting_timeout": "1s"}})
    with Client(server.ports["mx"]) as client:
        client.starttls()
        client.send(b"EHLO client.test\r\n")
        assert client.reply().startswith("421 4.4.1")
    assert server.session(client)["end"] == end


def test_all_down_is_told_at_once(pools, free_port):
    pool = addresses(f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
    server = pools({"starttls": {"tls": "starttls", "backend": pool}, "implicit": {"tls": "implicit", "backend": pool}})
    server.wait_for("backend.down", count=4)

    def busy(name):
        began = time.monotonic()
        with Client(server.ports[name], greeting=False) as client:
            if name == "implicit":
                client.handshake()
            reply = client.reply()
            # A worker may read the board a moment after the line was written.
            return reply.startswith("421 4.3.2") and client.at_end() and time.monotonic() - began < 1
    for name in server.ports:
        eventually(lambda: busy(name), what=f"busy with {name}")


# ---- Who is chosen ------------------------------------------------------------------------------


def test_round_robin_is_even(pools, named):
    server = pools({"mx": {"balance": "roundrobin", "backend": addresses(*named("a", "b", "c"))}})
    counts = collections.Counter(who(server.ports["mx"]) for _ in range(60))
    assert set(counts) == {"a", "b", "c"}
    assert all(abs(count - 20) <= 2 for count in counts.values()), counts  # one for each worker


def test_the_fewest_connections_of_all_workers(pools, named):
    server = pools({"mx": {"balance": "leastconn", "backend": addresses(*named("a", "b"))}})
    held = [Visit(server.ports["mx"]) for _ in range(10)]
    assert collections.Counter(visit.name for visit in held) == {"a": 5, "b": 5}
    for visit in held:
        if visit.name == "a":
            visit.leave()
    server.wait_for("session.end", count=5)
    later = [Visit(server.ports["mx"]) for _ in range(5)]
    assert {visit.name for visit in later} == {"a"}
    for visit in (*held, *later):
        visit.close()


def test_a_source_stays_and_only_its_own_are_moved(pools, named):
    backends = named("a", "b", "c")
    server = pools({"mx": {"balance": "source", "backend": addresses(*backends)}})
    sources = [f"127.0.0.{i}" for i in range(1, 31)]
    before = {source: who(server.ports["mx"], source) for source in sources}
    assert set(before.values()) == {"a", "b", "c"}
    assert before == {source: who(server.ports["mx"], source) for source in sources}
    backends[1].close()
    after = {source: who(server.ports["mx"], source) for source in sources}
    assert all(after[source] == before[source] for source in sources if before[source] != "b")
    assert "b" not in after.values()


# ---- A thousand in a row ------------------------------------------------------------------------


def run(port, count):
    """The names of the backends that served so many sessions, one after the other; each must be served."""
    return collections.Counter(who(port) for _ in range(count))


def test_a_thousand_sessions_with_one_of_two_dead(pools, named, free_port):
    (alive,) = named("alive")
    server = pools({"mx": {"backend": addresses(f"127.0.0.1:{free_port()}", alive)}})
    assert run(server.ports["mx"], 1000) == {"alive": 1000}


def test_a_thousand_sessions_while_one_of_two_dies(pools, named):
    dying, alive = named("dying", "alive")
    server = pools({"mx": {"balance": "roundrobin", "backend": addresses(dying, alive)}})
    counts = run(server.ports["mx"], 500)
    dying.close()
    counts += run(server.ports["mx"], 500)
    assert sum(counts.values()) == 1000
    assert 240 <= counts["dying"] <= 260


# ---- Where connections come from ----------------------------------------------------------------


def test_backends_see_the_source_that_is_written(pools, named):
    (behind,) = named("a")
    server = pools({"mx": {"backend": behind.address, "backend_source": "127.0.0.9"}})
    assert who(server.ports["mx"]) == "a"
    server.wait_for("backend.up")
    assert len(behind.connections) >= 2  # the scout's too
    assert {connection.peer[0] for connection in behind.connections} == {"127.0.0.9"}


def test_a_source_that_is_not_ours_is_no_fault_of_the_backend(pools, named):
    server = pools({"mx": {"tls": "starttls", "backend": named("a")[0].address, "backend_source": "192.0.2.1"}})
    with Client(server.ports["mx"]) as client:
        if client.greeting.startswith("220"):
            client.starttls()
            client.send(b"EHLO client.test\r\n")
            assert client.reply().startswith("421 4.3.0")
            assert server.session(client)["end"] == "error"
    assert not server.events("backend.failed")


# ---- Names --------------------------------------------------------------------------------------


class Names:
    """A gateway with a hosts file of its own, and a name server that never answers."""

    def __init__(self, start, directory, resolver):
        self.resolver = resolver
        self.hosts = directory / "hosts"
        self.resolv = directory / "resolv.conf"
        self.nsswitch = directory / "nsswitch.conf"
        self.resolve_with("timeout:30")
        self.nsswitch.write_text("hosts: files dns\n")
        self.start = start
        self.set()

    def resolve_with(self, options):
        self.resolv.write_text(f"nameserver {self.resolver}\noptions {options}\n")

    def set(self, **names):
        """set(name=["127.0.0.2"]): name.test has these addresses, and no other name has any."""
        self.hosts.write_text(f"127.0.0.1 localhost {socket.gethostname()}\n" + "".join(
            f"{address} {name}.test\n" for name, addresses in names.items() for address in addresses))

    def run(self, services, **options):
        script = "".join(f"mount --bind {file} /etc/{file.name}; " for file in (self.hosts, self.resolv, self.nsswitch))
        return self.start(services, {"resolve_interval": "1s", **ALONE}, **options,
                          command=["unshare", "-m", "sh", "-c", script + "exec \"$@\"", "sh"])


@pytest.fixture
def names(pools, directory, silent_resolver):
    return Names(pools, directory, silent_resolver)


@pytest.mark.root
@pytest.mark.mount
def test_a_name_that_moves(names, backend):
    """Sessions stay where they are, new ones go to the new place; a look-up that fails changes nothing."""
    old = backend(Named("old"), host="127.0.0.2")
    backend(Named("new"), host="127.0.0.3", port=old.port)
    names.set(mx=["127.0.0.2"])
    server = names.run({"mx": {"backend": f"mx.test:{old.port}"}})
    staying = Visit(server.ports["mx"])
    assert staying.name == "old"
    names.set(mx=["127.0.0.3"])
    eventually(lambda: who(server.ports["mx"]) == "new")
    staying.sock.sendall(b"NOOP\r\n")
    assert staying.file.readline().startswith(b"250 ")
    names.set()
    server.wait_for("resolver.failed", name="mx.test")  # a stuck look-up is killed
    assert who(server.ports["mx"]) == "new"
    names.set(mx=["127.0.0.2"])
    eventually(lambda: who(server.ports["mx"]) == "old")
    assert not server.events("worker.died") and not server.events("backend.down")
    staying.leave()


@pytest.mark.root
@pytest.mark.mount
def test_names_with_several_addresses(names, backend, free_port):
    """All of them count: behind one that is dead or refuses, and beside a family that does not answer."""
    port = free_port()
    backend(refusing, host="127.0.0.2", port=port)
    backend(Named("good"), host="127.0.0.3", port=port)
    both = backend(Named("both"))
    names.set(dead=["127.0.0.4", "127.0.0.3"], refusing=["127.0.0.2", "127.0.0.3"], both=["::1", "127.0.0.1"])
    with Unheard("::1", both.port):
        server = names.run({"dead": {"backend": f"dead.test:{port}"}, "refusing": {"backend": f"refusing.test:{port}"},
                            "both": {"backend": f"both.test:{both.port}"}})
        server.wait_for("backend.up", count=3)
        for name in ("dead", "refusing"):
            assert {who(server.ports[name]) for _ in range(4)} == {"good"}
        began = time.monotonic()
        assert who(server.ports["both"]) == "both"
        assert time.monotonic() - began < 1
    assert not server.events("backend.down")


@pytest.mark.root
@pytest.mark.mount
def test_a_backend_that_comes_up_later(names, backend):
    """First its name is known, then somebody listens; with an hour between the scout's looks at what is well."""
    names.set()
    names.resolve_with("timeout:1 attempts:1")
    behind = backend(Named("late"))
    server = names.run({"mx": {"tls": "starttls", "backend": f"late.test:{behind.port}"}})
    server.wait_for("backend.down", reason="its name has no address")
    names.set(late=["127.0.0.1"])
    server.wait_for("backend.up")

    def served():
        with Client(server.ports["mx"]) as client:
            if not client.greeting.startswith("220"):
                return False
            client.starttls()
            return client.mail(message("m", b"x\r\n")).startswith("250")
    assert eventually(served)

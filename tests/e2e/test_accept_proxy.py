# SPDX-License-Identifier: ISC
"""accept_proxy: load balancers say who their clients are, before anything else is said or heard."""
import ssl

import pytest

import proxy_protocol
from backends import Backend
from clients import Client, tls_context
from conftest import SEVERAL
from gateway import eventually
from mailbox_scripts import ImapScript

BALANCER, DIRECT = "127.0.0.1", "127.0.0.2"
V6 = {"client": "2001:db8::7", "server": "2001:db8::1"}
HEADERS = {
    "v1": (proxy_protocol.v1(), "198.51.100.7", "192.0.2.1:25"),
    "v1_v6": (proxy_protocol.v1(**V6), "2001:db8::7", "[2001:db8::1]:25"),
    "v2": (proxy_protocol.v2(), "198.51.100.7", "192.0.2.1:25"),
    "v2_v6": (proxy_protocol.v2(**V6), "2001:db8::7", "[2001:db8::1]:25"),
    "v2_tlvs": (proxy_protocol.v2(tlvs=proxy_protocol.tlv(4, b"x") + proxy_protocol.tlv(5, b"id")),
                "198.51.100.7", "192.0.2.1:25"),
    "v6_mapped": (proxy_protocol.v1("::ffff:198.51.100.7", "::ffff:192.0.2.1"), "198.51.100.7", "192.0.2.1:25"),
}
SERVICES = SEVERAL + """\
accept_proxy = 127.0.0.1 192.0.2.0/24

[service mx]
protocol = smtp
listen = 0.0.0.0:{mx}
relay = backend
backend = {smtp}

[service relay]
protocol = smtp
tls = none
listen = 127.0.0.1:{relay}
relay = backend
backend = {smtp}

[service imaps]
protocol = imap
tls = implicit
listen = 127.0.0.1:{imaps}
backend = {imap}

[service picky]
protocol = smtp
listen = 127.0.0.1:{picky}
relay = backend
backend = {smtp}
allow = 198.51.100.0/24 127.0.0.1
deny = 198.51.100.66

[service narrow]
protocol = smtp
listen = 127.0.0.1:{narrow}
relay = backend
backend = {smtp}
max_sessions = 1

[service hasty]
protocol = smtp
listen = 127.0.0.1:{hasty}
relay = backend
backend = {smtp}
preamble_timeout = 1s
"""


class RefusesLogins(ImapScript):
    def on_login(self, connection, tag, line):
        connection.send(tag + b" NO [AUTHENTICATIONFAILED] no\r\n")
        return True


@pytest.fixture(scope="module")
def services(shared_gateway, certificates, free_port):
    """A starttlsd with all of these; `.ports` are theirs."""
    smtp, imap = Backend(), Backend(RefusesLogins())
    ports = {name: free_port() for name in ("mx", "relay", "imaps", "picky", "narrow", "hasty")}
    server = shared_gateway(ini=SERVICES.format(certificate=certificates.localhost, smtp=smtp.address,
                                                imap=imap.address, **ports))
    server.ports = ports
    yield server
    smtp.close()
    imap.close()


@pytest.fixture
def call(services):
    """call("mx", header): a connection from the balancer, with what it says first."""
    made = []

    def connect(service, *pieces, source=BALANCER):
        client = Client(services.ports[service], greeting=False, source=source)
        made.append(client)
        for piece in pieces:
            client.send(piece)
        return client
    yield connect
    for client in made:
        client.close()


def named(services, mark, **fields):
    """The session.end of the client whose header gave it this port."""
    return services.wait_for("session.end", client_port=str(mark), **fields)


@pytest.fixture
def port(free_port):
    """What tells this test's client from others: not a port that anything listens on."""
    return free_port()


# ---- Who the client is ------------------------------------------------------------------------------


@pytest.mark.parametrize("trickles", (False, True), ids=("whole", "octet_by_octet"))
@pytest.mark.parametrize("name", HEADERS)
def test_the_header_names_the_client(services, call, name, trickles):
    header, client, server = HEADERS[name]
    before = len(services.lines())
    with call("mx") as balancer:
        balancer.trickles = trickles
        balancer.send(header)
        assert balancer.reply().startswith("220 ")
        balancer.quit()
    line = services.session(after=before, client=None, service="mx", client_port="12345")
    assert (line["client"], line["server"], line["via"]) == (client, server, BALANCER)
    assert line["in"] == str(len("QUIT\r\n")), "the header is not the client's"


@pytest.mark.parametrize("header", (proxy_protocol.LOCAL, b"PROXY UNKNOWN\r\n"), ids=("local", "unknown"))
def test_a_peer_may_speak_for_itself(services, call, header):
    with call("mx", header) as balancer:
        assert balancer.reply().startswith("220 ")
        balancer.quit()
    line = services.session(balancer)
    assert line["client"] == BALANCER and "via" not in line
    assert line["server"] == f"127.0.0.1:{services.ports['mx']}"


def test_a_client_without_address_is_served(services, call):
    before = len(services.lines())
    with call("mx", proxy_protocol.UNIX) as balancer:
        assert balancer.reply().startswith("220 ")
        balancer.quit()
    line = services.wait_for("session.end", after=before, client="unix")
    assert line["via"] == BALANCER


def test_others_are_clients_themselves(services, call):
    with call("mx", source=DIRECT) as client:
        assert client.reply().startswith("220 ")
        assert client.command(proxy_protocol.v1().decode().rstrip()).startswith("550 5.7.1")
    line = services.session(client)
    assert line["client"] == DIRECT and "via" not in line


# ---- What stands behind it --------------------------------------------------------------------------


def test_octets_behind_the_header_are_the_clients(services, call, port):
    with call("mx", proxy_protocol.v1(client_port=port) + b"EHLO client.test\r\n") as balancer:
        assert balancer.reply().startswith("220 ")
        assert "STARTTLS" in balancer.reply()
        balancer.starttls()
        balancer.quit()
    assert named(services, port)["tls"] == "TLSv1.3"


def test_without_tls_too(services, call, port):
    with call("relay", proxy_protocol.v2(client_port=port) + b"EHLO client.test\r\nQUIT\r\n") as balancer:
        assert balancer.reply().startswith("220 ")
        assert balancer.reply().startswith("250")
        assert balancer.reply().startswith("221 ")
    assert named(services, port)["end"] == "client_quit"


def hello():
    """The TLS object of a client, and its first flight."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = tls_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return tls, incoming, outgoing


def shake(balancer, tls, incoming, outgoing):
    while True:
        try:
            tls.do_handshake()
            balancer.send(outgoing.read())
            return
        except ssl.SSLWantReadError:
            balancer.send(outgoing.read())
            incoming.write(balancer.sock.recv(65536))


@pytest.mark.parametrize("cut", (0, 1, 100), ids=("with_the_hello", "with_an_octet_of_it", "with_a_part_of_it"))
def test_a_hello_behind_the_header_is_tls(services, call, port, cut):
    tls, incoming, outgoing = hello()
    first = outgoing.read()
    part = first[:cut] if cut else first
    with call("imaps", proxy_protocol.v2(client_port=port) + part) as balancer:
        balancer.send(first[len(part):])
        shake(balancer, tls, incoming, outgoing)
        tls.write(b"a LOGOUT\r\n")
        balancer.send(outgoing.read())
        eventually(lambda: incoming.write(balancer.sock.recv(65536)) == 0)
    line = named(services, port)
    assert (line["client"], line["tls"], line["end"]) == ("198.51.100.7", "TLSv1.3", "client_quit")


# ---- No header, no word -----------------------------------------------------------------------------


def level_of(services, line):
    return next(text.split()[1] for text in services.text().splitlines()
                if f" client_port={line['client_port']} reason=" in text)


def refused(services, call, service, reason, *pieces, **fields):
    """It is closed without a word, with one line in the log."""
    before = len(services.lines())
    with call(service, *pieces) as balancer:
        try:
            assert balancer.line() == b""
        finally:
            port = balancer.port
    line = services.wait_for("session.refused", after=before, service=service, **{"client_port": str(port), **fields})
    assert reason in line["reason"]
    line["level"] = level_of(services, line)
    assert not services.events("session.end", after=before, client_port=line["client_port"])
    return line


BAD = {
    "a_command": b"EHLO client.test\r\n",
    "a_hello": b"\x16\x03\x01",
    "too_short": b"PROXY TCP4 1.2.3.4\r\n",
    "octal": proxy_protocol.v1("198.51.100.7").replace(b".7 ", b".07 "),
    "udp": proxy_protocol.v2(transport=2),
    "a_tlv_too_long": proxy_protocol.v2(tlvs=b"\x04\0\x09"),
    "a_wrong_checksum": proxy_protocol.v2(tlvs=proxy_protocol.tlv(3, b"\0\0\0\0")),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("service", ("mx", "imaps"))
def test_without_a_good_header_nothing_is_said(services, call, service, name):
    first = BAD[name]
    line = refused(services, call, service, "PROXY header", first)
    assert line["client"] == BALANCER and line["level"] == "warning"


def test_a_peer_that_leaves_is_no_alarm(services, call):
    before = len(services.lines())
    call("mx", b"PROXY").close()
    assert level_of(services, services.wait_for("session.refused", after=before)) == "info"


def test_a_peer_that_waits_for_us_is_let_go(services, call):
    line = refused(services, call, "hasty", "no PROXY header in time")
    assert line["level"] == "warning"


def test_header_and_preamble_have_one_time(services, call, port):
    with call("hasty", proxy_protocol.v1(client_port=port)) as balancer:
        assert balancer.reply().startswith("220 ")
        assert balancer.reply().startswith("421 ")
    assert float(named(services, port)["duration"]) < 1.5


# ---- Limits are the client's ------------------------------------------------------------------------


@pytest.mark.parametrize("client", ("198.51.100.66", "192.0.2.7", "2001:db8::7"))
def test_clients_are_denied_by_their_own_address(services, call, port, client):
    server = "2001:db8::1" if ":" in client else "192.0.2.1"
    line = refused(services, call, "picky", "denied", proxy_protocol.v2(client, server, client_port=port),
                   client_port=str(port))
    assert line["client"] == client


def test_and_allowed_by_it(services, call):
    with call("picky", proxy_protocol.v1()) as balancer:
        assert balancer.reply().startswith("220 ")
    with call("picky", proxy_protocol.LOCAL) as balancer:
        assert balancer.reply().startswith("220 ")


def test_who_has_no_address_is_in_no_network(services, call):
    refused(services, call, "picky", "denied", proxy_protocol.UNIX, client_port="0")


def test_busy_is_said_behind_the_header(services, call, port):
    with call("narrow", proxy_protocol.v1()) as first:
        assert first.reply().startswith("220 ")
        with call("narrow") as second:
            second.sock.settimeout(0.3)
            with pytest.raises(TimeoutError):
                second.line()
            second.sock.settimeout(30)
            second.send(proxy_protocol.v1(client_port=port))
            assert second.reply().startswith("421 4.3.2")
        line = services.wait_for("session.refused", reason="max_sessions", client_port=str(port))
        assert line["client"] == "198.51.100.7"


def test_a_refused_login_is_the_clients(services, call, port):
    tls, incoming, outgoing = hello()
    with call("imaps", proxy_protocol.v2(client_port=port) + outgoing.read()) as balancer:
        shake(balancer, tls, incoming, outgoing)
        tls.write(b"a LOGIN eve wrong\r\n")
        balancer.send(outgoing.read())
        line = services.wait_for("auth.failed", client_port=str(port))
    assert line["client"] == "198.51.100.7"


# ---- The end ----------------------------------------------------------------------------------------


def is_accepted(port):
    """A connection to it has an owner: as long as it waits to be accepted its inode is 0."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in list(table)[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "01" and row[9] != "0" for row in rows)


def test_who_has_not_begun_keeps_nobody(gateway, backend):
    server = gateway(backend(), accept_proxy=BALANCER)
    with Client(server.port, greeting=False) as balancer:
        balancer.send(b"PROXY ")
        eventually(lambda: is_accepted(server.port))
        server.signal(15)
        assert balancer.line() == b""
        assert server.wait() == 0
        assert server.events("session.refused", reason="drained")

# SPDX-License-Identifier: ISC
"""identity = transparent: backends are connected from the client's own address. A client, a gateway and real servers
behind it, each on a machine of its own (networks.py)."""
import pathlib
import re
import time
import types

import pytest

import proxy_protocol
from clients import Client, message
from conftest import SEVERAL
from dialects import IMAP, POP3
from dovecot import DovecotMailboxes, PublicMailboxes
from gateway import eventually, status
from networks import Machine
from postfix import Postfix
from test_processes import NOBODY

pytestmark = [pytest.mark.root, pytest.mark.mount]

NET_RAW = 1 << 13
CLIENT = {"v4": "10.91.1.2", "v6": "fd91:1::2"}
GATEWAY = {"v4": "10.91.1.1", "v6": "fd91:1::1"}
BACKEND = {"v4": "10.91.2.2", "v6": "fd91:2::2"}
PORTS = {"smtp": 25, "imap": 143, "pop3": 110}
NARROW, BALANCED = 26, 27
NO_HOSTS = ("0.0.0.0", "224.0.0.5", "255.255.255.255", "10.91.2.255")

# What administrators are told to do: here, once, and for each port.
TOLD = (pathlib.Path(__file__).parents[2] / "docs/backends.md").read_text()
TABLE, RULES = (re.findall(rf"^ip (?:-6 )?{kind} add .*", TOLD, re.MULTILINE) for kind in ("route", "rule"))

SERVICES = SEVERAL + """\
identity = transparent

[service mx]
protocol = smtp
listen = *:25
backend = {v4}:25 [{v6}]:25

[service imap]
protocol = imap
listen = *:143
backend = {v4}:143 [{v6}]:143

[service pop3]
protocol = pop3
listen = *:110
backend = {v4}:110 [{v6}]:110

[service narrow]
protocol = smtp
tls = none
listen = *:26
backend = {v4}:25

[service balanced]
protocol = smtp
tls = none
listen = *:27
accept_proxy = {balancer}
backend = {v4}:25
connect_timeout = 1s
"""


@pytest.fixture(scope="module")
def machines(own_machines):
    m = types.SimpleNamespace(client=Machine(), gateway=Machine(), backend=Machine())
    m.client.connect(m.gateway, "eth0", "eth0")
    m.backend.connect(m.gateway, "eth0", "eth1")
    m.client.address("eth0", "10.91.1.2/24", "fd91:1::2/64")
    m.gateway.address("eth0", "10.91.1.1/24", "fd91:1::1/64")
    m.gateway.address("eth1", "10.91.2.1/24", "fd91:2::1/64")
    m.backend.address("eth0", "10.91.2.2/24", "fd91:2::2/64")
    m.backend.run("ip route replace default via 10.91.2.1", "ip -6 route replace default via fd91:2::1")
    m.gateway.run(*TABLE)
    for port in PORTS.values():
        m.gateway.run(*(rule.replace("sport 25", f"sport {port}") for rule in RULES))
    yield m
    for machine in vars(m).values():
        machine.close()


@pytest.fixture(scope="module")
def servers(machines, real_server):
    """By protocol: Postfix, and Dovecot for both others."""
    # Where it is 10, as the kernel makes it, Postfix' master may wait for the log that it should start itself.
    machines.backend.run("sysctl -qw net.unix.max_dgram_qlen=512")
    with machines.backend.inside():
        mail = real_server(Postfix, settings="inet_interfaces = all\ninet_protocols = all\nsmtpd_peername_lookup = no\n",
                           services="25 inet n - n - - smtpd\n")
        boxes = real_server(PublicMailboxes)
    return {"smtp": mail, "imap": boxes, "pop3": boxes}


@pytest.fixture(scope="module")
def services(machines, servers, shared_gateway, certificates):
    ini = SERVICES.format(certificate=certificates.localhost, balancer=CLIENT["v4"], **BACKEND)
    with machines.gateway.inside():
        return shared_gateway(ini=ini)


@pytest.fixture(params=CLIENT)
def family(request):
    return request.param


def seen(server, words):
    eventually(lambda: re.search(words, server.log()), what=f"{words} in the log of the backend")


def seen_by_postfix(servers, client):
    seen(servers["smtp"], rf" connect from unknown\[{client}\]")


def is_well(machines, services):
    """The backend of all of them is there for others."""
    time.sleep(1.5)  # the scout reads every second what sessions met, and says nothing when it is well
    assert not services.events("backend.down")
    with machines.client.inside(), Client(NARROW, host=GATEWAY["v4"]) as client:
        assert client.greeting.startswith("220 backend.example.test"), client.greeting
        client.quit()


# ---- Who is seen ------------------------------------------------------------------------------------


def test_postfix_sees_the_client(machines, servers, services, family, mark):
    with machines.client.inside(), Client(25, host=GATEWAY[family]) as client:
        client.starttls()
        assert client.mail(message(mark, b"x\r\n")).startswith("250")
        client.quit()
        line = services.session(client)
    assert line["client"] == CLIENT[family] and line["end"] == "client_quit"
    assert BACKEND[family] in line["backend"], "families do not mix"
    seen_by_postfix(servers, CLIENT[family])
    mail, = servers["smtp"].arrived(mark)
    assert f"[{'IPv6:' if family == 'v6' else ''}{CLIENT[family]}]".encode() in mail.header


@pytest.mark.parametrize("dialect", (IMAP, POP3), ids=lambda dialect: dialect.protocol)
def test_dovecot_sees_the_client(machines, servers, services, family, dialect):
    user, password = DovecotMailboxes.new_user()
    with machines.client.inside(), dialect.client(PORTS[dialect.protocol], host=GATEWAY[family]) as client:
        client.starttls()
        client.login(user, password)
        client.quit()
        assert services.session(client)["auth"] == "ok"
    seen(servers[dialect.protocol], rf"-login: .*in: user=<{user}>.*rip={CLIENT[family]}, lip={BACKEND[family]},")


def test_a_balancer_names_the_client(machines, servers, services):
    with machines.client.inside(), Client(BALANCED, host=GATEWAY["v4"], greeting=False) as client:
        client.send(proxy_protocol.v1("203.0.113.7"))
        assert client.reply().startswith("220")
        client.quit()
    seen_by_postfix(servers, "203.0.113.7")


def test_the_scout_looks_from_its_own_address(servers, services):
    seen_by_postfix(servers, "10.91.2.1")


# ---- Who can't be shown -----------------------------------------------------------------------------


def is_refused(client, services):
    assert client.greeting.startswith("421 4.4.1"), client.greeting
    line = services.session(client)
    assert line["end"] == "backend_refused"
    return line


def test_families_that_cannot_meet(machines, services):
    with machines.client.inside():
        for _ in range(3):
            with Client(NARROW, host=GATEWAY["v6"]) as client:
                line = is_refused(client, services)
                failed = services.events("backend.failed", session=line["session"])
                assert [one["reason"] for one in failed] == ["no way to it from the client's address"]
    is_well(machines, services)


@pytest.mark.parametrize("host", ("127.0.0.1", "::1"))
def test_clients_on_the_gateway_itself(machines, services, host):
    with machines.gateway.inside(), Client(NARROW, host=host) as client:
        is_refused(client, services)


@pytest.mark.parametrize("header", (proxy_protocol.UNIX, *map(proxy_protocol.v1, NO_HOSTS)), ids=("none", *NO_HOSTS))
def test_an_address_that_no_host_has_is_not_replaced_by_ours(machines, services, header):
    before = len(services.lines())
    with machines.client.inside(), Client(BALANCED, host=GATEWAY["v4"], greeting=False) as client:
        client.send(header)
        assert client.reply().startswith("421 4.4.1")
    assert services.session(after=before, service="balanced")["end"] == "backend_refused"


def test_clients_without_a_way_back_close_the_backend_to_nobody(machines, services):
    """An address in the backend's own network: it answers there, where nobody is."""
    with machines.client.inside():
        lost = [Client(BALANCED, host=GATEWAY["v4"], greeting=False) for _ in range(4)]
        for client in lost:
            client.send(proxy_protocol.v1("10.91.2.77"))
        for client in lost:
            assert client.reply().startswith("421 4.4.1")
            client.close()
    is_well(machines, services)


# ---- Rights -----------------------------------------------------------------------------------------


def rights(server):
    """{role: what it may}; that it can get nothing back is checked here."""
    found = {}
    for pid, role in server.children().items():
        facts = {name: int(value, 16) for name, value in status(pid).items() if name.startswith("Cap")}
        assert facts["CapInh"] == facts["CapAmb"] == 0 and facts["CapPrm"] == facts["CapEff"], (role, facts)
        found.setdefault(role, set()).add((facts["CapEff"], facts["CapBnd"]))
    return found


def test_workers_keep_one_right(services):
    assert rights(services) == {"worker": {(NET_RAW, 0)}, "scout": {(0, 0)}, "resolver": {(0, 0)}}


def test_a_reload_brings_no_rights(gateway, backend):
    server = gateway(backend())
    plain = server.ini.read_text()
    server.write(plain + "identity = transparent\n")
    assert server.reload()["restart_needed"] == "identity"
    with Client(server.port) as client:
        client.starttls()
        assert client.command("EHLO client.test").startswith("421 4.3.0")
        assert server.session(client)["end"] == "error"
    assert "needs a restart" in server.wait_for("session.failed")["reason"]
    assert rights(server) == {role: {(0, 0)} for role in ("worker", "scout", "resolver")}
    server.write(plain)
    assert "restart_needed" not in server.reload()


def test_without_the_right_it_does_not_start(gateway, backend):
    server = gateway(backend(), identity="transparent", command=NOBODY, start=False).launch()
    server.expected_code = server.wait()
    assert server.expected_code == 3
    assert "[service mx] identity: `transparent` needs the right CAP_NET_RAW" in server.text()


def test_one_right_is_enough(gateway, backend):
    """As with AmbientCapabilities= of a unit. Client and backend are on this machine, where every way leads back."""
    behind = backend()
    server = gateway(behind, identity="transparent",
                     command=[*NOBODY, "--inh-caps=+net_raw", "--ambient-caps=+net_raw"])
    with Client(server.port, source="127.0.0.9") as client:
        client.starttls()
        client.expect("EHLO client.test", 250)
        client.quit()
    assert [visit.peer[0] for visit in behind.visits] == ["127.0.0.9"]
    assert {role: {effective for effective, _ in all_} for role, all_ in rights(server).items()} == {
        "worker": {NET_RAW}, "scout": {0}, "resolver": {0}}

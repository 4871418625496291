# SPDX-License-Identifier: ISC
"""`starttlsd probe` in front of servers that are strange: neither does a bad one pass for a good one, nor a good one for a bad one."""
import os
import subprocess

import pytest

from gateway import PROGRAM, SANITIZED, eventually
from peers import free_port
from probe_servers import KINDS, context_of, server
from test_probe import PROTOCOLS, chains, probe, run  # noqa: F401  (chains: a fixture)
from test_probe_forms import hasty  # noqa: F401  (a fixture)


@pytest.fixture
def strange(backend, chains):  # noqa: F811
    """strange(protocol, certificate, method=function...): a good server but for these methods; what the probe says of it."""
    def at(protocol, certificate=None, options=(), **methods):
        kind = KINDS[protocol]
        script = type("Strange", (kind,), methods)(context_of(certificate or chains.whole))
        return probe(protocol, backend(script).address, "--servername", "localhost", "--ca", chains.ca, *options)
    return at


def farewells(function):
    """The methods that answer a goodbye, in all protocols: function(connection)."""
    return {"on_quit": lambda self, connection, *words: function(connection),
            "on_logout": lambda self, connection, *words: function(connection)}


# ---- Verdicts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_comes_behind_the_goodbye_is_no_handshake(strange, protocol):
    """Some say goodbye below their TLS: all was well until then."""
    def in_the_clear(connection):
        os.write(connection.sock.fileno(), b"221 bye\r\n")
    assert strange(protocol, **farewells(in_the_clear)).bad() == {}


@pytest.mark.parametrize("protocol, words", [("smtp", b"250 done\r\n"), ("pop3", b"+OK\r\n"), ("pop3", b"-ERR log in first\r\n")])
def test_an_answer_of_one_who_goes_without_a_goodbye(strange, protocol, words):
    """It can only be for what was put in, however much it reads like a goodbye. (IMAP's has a tag, so it is proof.)"""
    report = strange(protocol, remembers=True, on_noop=lambda self, connection, line: connection.send(words) or True,
                     **farewells(lambda connection: False))
    assert report.bad() == {"injection.at_once": "warning"}
    assert report.address["starttls"]["command_in_its_segment"]["fate"] == "undecided"


@pytest.mark.parametrize("names", [None, "IP:192.0.2.1", "email:postmaster@localhost"])
def test_a_common_name_is_not_enough(strange, chains, names):  # noqa: F811
    """RFC 9525, section 2: clients of today look at subjectAltName alone."""
    base = chains.directory / f"common-{names and names[:2]}"
    chains.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{base}-key.pem",
                   "-subj", "/CN=localhost", "-days", "60", "-out", f"{base}.pem",
                   *(["-addext", f"subjectAltName={names}"] if names else []))
    report = strange("imap", f"{base}.pem {base}-key.pem", ["--ca", f"{base}.pem"])
    assert report.bad() == {"certificate.name": "warning"}, report.bad()


def test_a_relay_for_some_senders(strange):
    """It refuses nobody's mail in clear words, and takes that of a name."""
    def on_mail(self, connection, line):
        connection.is_relayed = b"postmaster@" in line
        connection.send(b"250 ok\r\n")
        return True

    def on_rcpt(self, connection, line):
        connection.send(b"250 ok\r\n" if connection.is_relayed else b"554 5.7.1 relay access denied\r\n")
        return True
    assert strange("smtp", None, ["--relay-test"], on_mail=on_mail, on_rcpt=on_rcpt).bad() == {"relay": "problem"}


def test_a_chain_that_is_too_large(strange, chains):  # noqa: F811
    """No handshake takes 32 KiB; the advice is about that."""
    certificate, key = chains.whole.split()
    path = chains.directory / "large.pem"
    path.write_text(open(certificate, encoding="ascii").read() + chains.ca.read_text() * 80)
    report = strange("smtp", f"{path} {key}")
    assert report.bad() == {"handshake": "problem"}
    assert "certificates" in report.finding("handshake")["advice"]


# ---- Names and addresses --------------------------------------------------------------------------------


def with_hosts(hosts, lines):
    """The command that runs another with these names alone; `hosts` may be written again while it runs."""
    hosts.write_text(lines)
    return ["unshare", "-m", "sh", "-c", f'mount --bind {hosts} /etc/hosts; exec "$@"', "sh"]


@pytest.fixture(scope="module")
def of_v6(chains):  # noqa: F811
    base = chains.directory / "v6"
    chains.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{base}-key.pem",
                   "-subj", "/CN=v6", "-addext", "subjectAltName=IP:::1,DNS:localhost", "-days", "60", "-out", f"{base}.pem")
    return f"{base}.pem {base}-key.pem"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_ipv6_in_brackets(backend, of_v6, protocol):
    """The certificate has the address, however that is written."""
    behind = backend(server(protocol, of_v6), host="::1")
    for host in ("[::1]", "[0:0:0::1]"):
        report = probe(protocol, f"{host}:{behind.port}", "--ca", of_v6.split()[0], "--versions")
        assert report.bad() in ({}, {"tls.versions": "warning"}) and report.address["certificate"]["name_matches"]
        assert (report.address["address"], report.address["family"]) == ("::1", "ipv6")


def test_a_proxy_header_over_ipv6(gateway, backend, certificates):
    port = free_port()
    gateway(backend(server("smtp")), listen=f"[::1]:{port}", accept_proxy="::1")
    report = probe("smtp", f"[::1]:{port}", "--servername", "localhost", "--ca", certificates.ca, "--proxy")
    assert report.address["behind_proxy"] and report.address["reached"] == "tls"
    assert report.address["proxy"]["v1"]["result"] and report.address["proxy"]["v2"]["result"]


@pytest.mark.mount
@pytest.mark.parametrize("form", [(), ("--nagios",), ("--json",)])
def test_more_addresses_than_are_asked(backend, chains, directory, form):  # noqa: F811
    behind = backend(server("pop3", chains.whole), host="0.0.0.0")
    command = with_hosts(directory / "hosts", "".join(f"127.0.77.{i} many.test\n" for i in range(1, 21)))
    done = run("pop3", f"many.test:{behind.port}", "--ca", chains.ca, "--servername", "localhost", *form, command=command)
    told = {"--json": '"addresses_left_out":4}', "--nagios": ", 16 of 20 addresses |"}.get("".join(form), "(16 of its 20 addresses)")
    assert told in done.stdout and done.returncode == 0


@pytest.mark.parametrize("name", ["", "a" * 300, "a\x1b[2Jb", "a\nb | x=1", "a..b", "[::1]"])
def test_no_name_of_a_server(name):
    done = run("smtp", "127.0.0.1:1", "--servername", name)
    assert done.returncode == 2 and done.stdout == "" and "--servername" in done.stderr
    assert done.stderr.isprintable() or done.stderr.count("\n") == 2 and done.stderr.replace("\n", "").isprintable()
    assert "see --help" in done.stderr or "write a name" in done.stderr
    first, *rest = run("smtp", "127.0.0.1:1", "--servername", name, "--nagios").stdout.splitlines()
    assert first.startswith("STARTTLS UNKNOWN - ") and "|" not in first and rest == []


@pytest.mark.parametrize("name", ["mail_1.example.test", "192.0.2.1", "2001:db8::1"])
def test_a_name_that_it_is_not_for(backend, chains, name):  # noqa: F811
    report = probe("imap", backend(server("imap", chains.whole)).address, "--servername", name, "--ca", chains.ca)
    assert report.address["reached"] == "tls" and list(report.bad()) == ["certificate.name"]


@pytest.mark.mount
@pytest.mark.skipif(SANITIZED, reason="a sanitizer must be loaded first")
def test_a_watch_of_who_comes_and_goes(backend, chains, directory, hasty):  # noqa: F811
    """News is told at length, once; that addresses come in another order is none. And it does not grow."""
    one, out, hosts = backend(server("smtp", chains.whole), host="127.0.77.1"), directory / "out", directory / "hosts"
    two = backend(server("smtp", chains.whole), host="127.0.77.2", port=one.port)
    names = ["127.0.77.1 both.test\n", "127.0.77.2 both.test\n"]
    with out.open("wb") as to:
        watch = subprocess.Popen([*with_hosts(hosts, "".join(names)), PROGRAM, "probe", "smtp", f"both.test:{one.port}", "--ca", chains.ca,
                                  "--servername", "localhost", "--watch"], stdout=to, env=hasty)
    minutes = lambda: out.read_text().count("  ok\n") + out.read_text().count("  problem\n")  # noqa: E731
    reports = lambda: out.read_text().count("at both.test:")  # noqa: E731

    def pass_minutes():
        begun = minutes()
        eventually(lambda: minutes() >= begun + 2, what="two minutes")

    def memory():
        with open(f"/proc/{watch.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmData"))
    try:
        pass_minutes()
        assert reports() == 1
        hosts.write_text("".join(reversed(names)))
        pass_minutes()
        assert reports() == 1, "another order is no news"
        two.close()
        pass_minutes()
        assert reports() == 2
        at_first = memory()
        backend(server("smtp", chains.whole), host="127.0.77.2", port=one.port)
        pass_minutes()
        assert reports() == 3 and memory() <= at_first + 64
    finally:
        watch.kill()
        watch.wait()

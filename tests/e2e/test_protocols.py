# SPDX-License-Identifier: ISC
"""docs/protocols.md: what it quotes is the example's code, and a starttlsd with the example's row speaks ManageSieve
in front of a real server."""
import pathlib
import re
import subprocess

import pytest

from clients import tls_context
from conftest import unavailable
from gateway import PROGRAM, Starttlsd
from mailboxes import ALICE
from sasl import ScramSha256, encoded
from sieve import DovecotSieve, SieveClient, capabilities_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = 'require "fileinto";\r\nfileinto "x";\r\n'

INI = """\
[starttlsd]
workers = 1
[defaults]
protocol = managesieve
certificate = {certificate}
backend = {backend}
max_auth_failures = 2
[service sieve]
listen = 127.0.0.1:{starttls}
[service sieves]
listen = 127.0.0.1:{implicit}
tls = implicit
[service open]
listen = 127.0.0.1:{opportunistic}
policy = opportunistic
plaintext_auth = allow
[service secure]
listen = 127.0.0.1:{secure}
backend = {with_tls}
backend_tls = starttls
backend_verify = none
"""
SERVICES = ("starttls", "implicit", "opportunistic", "secure")


class Example(Starttlsd):
    program = str(pathlib.Path(PROGRAM).parent / "example" / "starttlsd")


@pytest.fixture(scope="module")
def servers(real_server, certificates):
    """A Dovecot, and one that offers STARTTLS itself."""
    if not DovecotSieve.is_there():
        unavailable("dovecot-managesieved is not installed (make deps)")
    return real_server(DovecotSieve), real_server(DovecotSieve, certificates.localhost)


@pytest.fixture(scope="module")
def example(shared_directory, certificates, servers, free_port):
    ports = {name: free_port() for name in SERVICES}
    gateway = Example(shared_directory, INI.format(certificate=certificates.localhost, backend=servers[0].address,
                                                   with_tls=servers[1].address, **ports))
    gateway.ports = ports
    gateway.start()
    yield gateway
    gateway.stop()


def client_of(example, service, ca):
    """As far as where a login may follow."""
    client = SieveClient(example.ports[service], greeting=service != "implicit")
    if service == "implicit":
        client.handshake(tls_context(ca))
        client.greeting = client.reply()
    elif service != "opportunistic":
        client.starttls(tls_context(ca))
    return client


# ---- The page ---------------------------------------------------------------------------------------


def test_what_the_page_quotes_is_the_example():
    sources = [path.read_text() for folder in ("tests/example_protocol", "tests/unit", "protocols")
               for path in (ROOT / folder).glob("*.[ch]")]
    blocks = re.findall(r"(?s)```c\n(.*?)```", (ROOT / "docs/protocols.md").read_text())
    assert len(blocks) > 5
    for block in blocks:
        assert any(block in source for source in sources), f"in no source:\n{block}"


def test_the_page_names_files_that_exist():
    for name in re.findall(r"`((?:protocols|tests|docs|proxy)/[\w./]+)`", (ROOT / "docs/protocols.md").read_text()):
        assert (ROOT / name).exists(), name


# ---- The example ------------------------------------------------------------------------------------


@pytest.mark.root
@pytest.mark.parametrize("service", SERVICES)
def test_a_script_is_uploaded(example, servers, certificates, service):
    with SieveClient(servers[0].port) as direct:
        own = capabilities_of(direct.greeting)
    with client_of(example, service, certificates.ca) as client:
        if service != "opportunistic":
            assert capabilities_of(client.greeting) == own
            assert client.capabilities() == own
        assert client.login(*ALICE).startswith("OK")
        assert client.put("a", SCRIPT).startswith("OK")
        assert client.command('GETSCRIPT "a"') == f"{{{len(SCRIPT)}}}\r\n{SCRIPT}\r\nOK \"Getscript completed.\"\r\n"
        client.quit()
    line = example.session(client, protocol="managesieve")
    assert (line["auth"], line["phase"], line["end"]) == ("ok", "tunnel", "backend_closed")


@pytest.mark.root
def test_other_logins(example, certificates):
    user, password = ALICE
    initial = encoded("", *ALICE)
    scram = ScramSha256(*ALICE)
    for pieces in ((f'AUTHENTICATE {{5+}}\r\nPLAIN {{{len(initial)}+}}\r\n{initial}',),
                   ('AUTHENTICATE "LOGIN"', f'"{encoded(user)}"', f'{{{len(encoded(password))}+}}\r\n{encoded(password)}'),
                   (f'AUTHENTICATE "SCRAM-SHA-256" "{scram.first()}"', scram.final, scram.last)):
        with client_of(example, "starttls", certificates.ca) as client:
            assert client.exchange(*pieces).startswith("OK"), pieces
            client.expect("LISTSCRIPTS", "")


@pytest.mark.root
def test_refused_logins_are_logged(example, certificates):
    with client_of(example, "starttls", certificates.ca) as client:
        assert client.login("alice", "wrong").startswith("NO")
        assert client.login("alice", "wrong").startswith("NO")
        assert client.reply().startswith("BYE") and client.at_end()
    line = example.session(client)
    assert (line["auth"], line["auth_failures"], line["end"]) == ("failed", "2", "errors")
    assert len(example.events("auth.failed", session=line["session"])) == 2


@pytest.mark.root
def test_nothing_passes_before_tls(example):
    with SieveClient(example.ports["starttls"]) as client:
        assert "STARTTLS" in capabilities_of(client.greeting)
        assert client.login(*ALICE).startswith("NO (ENCRYPT-NEEDED)")
        client.send(b"STARTTLS\r\nNOOP\r\n")
        assert client.reply().startswith("BYE") and client.at_end()
    assert example.session(client)["end"] == "violation"


def check(directory, ini, *words):
    path = directory / "check.ini"
    path.write_text(ini)
    return subprocess.run([Example.program, "check", "--config", path, *words], capture_output=True, text=True, timeout=60)


@pytest.mark.root
def test_check_backends_asks_it(example, directory):
    done = check(directory, example.ini.read_text(), "--backends")
    report = re.sub(" +", " ", done.stdout)
    assert done.returncode == 0, report + done.stderr
    assert "SASL PLAIN LOGIN SCRAM-SHA-256" in report and "STARTTLS" in report


@pytest.mark.root
def test_probe_asks_it(servers, certificates):
    """With the module's own machines, of which the rest of the program knows nothing."""
    done = subprocess.run([Example.program, "probe", "managesieve", servers[1].address, "--ca", certificates.ca],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a command sent in one segment with STARTTLS ends the session" in done.stdout
    assert f"STARTTLS works at {servers[1].address}" in done.stdout


def test_what_it_does_not_know_cannot_be_written(directory, certificates):
    done = check(directory, f"[service s]\nprotocol = managesieve\nlisten = 127.0.0.1:1\nbackend = 127.0.0.1:2\n"
                 f"certificate = {certificates.localhost}\nidentity = xclient\nallow_commands = XFOO\n")
    assert done.returncode == 1
    assert "`xclient` cannot be said with `protocol = managesieve`; write `identity = proxy-v2`" in done.stderr
    assert "`XFOO` cannot pass" in done.stderr

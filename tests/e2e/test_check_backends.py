# SPDX-License-Identifier: ISC
"""`starttlsd check --backends`: what it finds out of real and of hostile servers, and how it says so."""
import os
import pty
import re
import shutil
import ssl
import subprocess
import time

import pytest

from backends import Script
from conftest import configuration
from gateway import PROGRAM, eventually
from mailbox_scripts import ImapScript, Pop3Script
from peers import free_port
from postfix import Postfix
from test_identity import Proxied
from tls_backends import (Implicit, Plain, Refusing, Silent, TlsScript, Without, World, fingerprint, server_context)

FAST = {"connect_timeout": "1s", "greeting_timeout": "1s"}


@pytest.fixture
def check(directory, certificates):
    """check(backend, key=value, ...): the exit status, and the report with blanks made one."""
    def run(backend, *words, command=(), ini=None, **service):
        path = directory / "check.ini"
        path.write_text(ini or configuration(certificates, backend, 2525, {"hostname": "gate.test"}, **service))
        path.chmod(0o644)
        done = subprocess.run([*command, PROGRAM, "check", "--backends", "--config", path, *words],
                              capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        return done.returncode, re.sub(" +", " ", done.stdout), done.stderr
    return run


def verdicts(report, verdict):
    return re.findall(f"^ {verdict} (.*)$", report, re.M)


# ---- Postfix ----------------------------------------------------------------------------------------


# Doors of one Postfix, each with a mind of its own.
DOORS = {
    "stranger": ("mynetworks = 192.0.2.1/32",),
    "domain": ("smtpd_relay_restrictions = permit_mynetworks, reject",
               "smtpd_recipient_restrictions = reject_unknown_recipient_domain, permit"),
    "sender": ("smtpd_sender_restrictions = check_sender_access texthash:{directory}/senders",),
}


@pytest.fixture(scope="module")
def doors(real_server, shared_directory):
    """Their addresses by name, and `.log(name)`."""
    (shared_directory / "senders").write_text("<> REJECT\n")
    ports = {name: free_port() for name in DOORS}
    services = "".join(
        f"127.0.0.1:{ports[name]} inet n - n - - smtpd -o syslog_name=door/{name}"
        + "".join(f" -o {{ {setting.format(directory=shared_directory)} }}" for setting in settings) + "\n"
        for name, settings in DOORS.items())
    server = real_server(Postfix, services=services)

    class Doors(dict):
        def log(self, name):
            return "".join(line for line in server.log().splitlines(True) if f"door/{name}" in line)
    return Doors({name: f"127.0.0.1:{port}" for name, port in ports.items()})


def test_a_postfix_that_trusts_this_machine_relays(postfix, check):
    status, report, _ = check(postfix, relay="backend")
    assert status == 1
    assert verdicts(report, "problem") == ["would relay for this machine: 250 2.1.5 Ok"]
    assert "anybody who reaches this service could send through it" in report
    assert verdicts(report, "ok") == ["127.0.0.1: 220 backend.example.test ESMTP Postfix"]
    assert re.search("offers PIPELINING, SIZE 200000000, .*8BITMIME", report, re.DOTALL)
    time.sleep(0.5)
    assert not postfix.queued()


@pytest.mark.parametrize("relay", ["login", "example.test"])
def test_it_may_relay_where_starttlsd_is_the_guard(postfix, check, relay):
    _, report, _ = check(postfix, relay=relay)
    assert "would relay for this machine, but `relay` guards it" in verdicts(report, "ok")


def test_it_may_relay_for_those_whom_it_knows(postfix, check):
    _, report, _ = check(postfix, relay="backend", identity="xclient")
    assert "would relay for this machine, but by `identity` it knows its clients" in verdicts(report, "ok")


def test_a_postfix_that_does_not_relay_says_so_once(doors, check):
    status, report, _ = check(doors["stranger"], relay="backend")
    assert status == 0, report
    assert ("does not relay for this machine: 454 4.7.1 <starttlsd-check@example.com>: Relay access denied"
            in verdicts(report, "ok"))
    eventually(lambda: re.search(r"denied(?s:.*)disconnect from", doors.log("stranger")), what="the end of the look")
    assert doors.log("stranger").count("denied") == 1, "a ban for trying is near"


def test_a_refused_domain_does_not_hide_an_open_relay(doors, check):
    status, report, _ = check(doors["domain"], relay="backend")
    assert status == 1
    assert verdicts(report, "problem") == ["would relay for this machine: 250 2.1.5 Ok"]
    eventually(lambda: "example.com>: Recipient address rejected" in doors.log("domain"), what="the refusal")


def test_a_refused_empty_sender_does_not_hide_an_open_relay(doors, check):
    status, report, _ = check(doors["sender"], relay="backend")
    assert status == 1
    assert verdicts(report, "problem") == ["would relay for this machine: 250 2.1.5 Ok"]


# ---- Exim, OpenSMTPD --------------------------------------------------------------------------------


def test_an_exim_that_trusts_this_machine_relays(exim, check):
    status, report, _ = check(exim, relay="backend")
    assert status == 1
    assert verdicts(report, "problem") == ["would relay for this machine: 250 Accepted"]
    assert not exim.queued()


def test_an_opensmtpd_that_does_not_relay_has_no_word_for_it(opensmtpd, check):
    """`Invalid recipient`, whatever is tried: all of it refused for good is an answer too."""
    status, report, _ = check(opensmtpd, relay="backend")
    assert status == 0
    assert verdicts(report, "ok")[1].startswith("does not relay for this machine: 550 "), report


# ---- Others -----------------------------------------------------------------------------------------


class Guarded(Script):
    """Relays for nobody."""

    def on_rcpt(self, connection, line):
        connection.send(b"550 5.7.1 Relaying denied\r\n")
        return True


class HeloOnly(Guarded):
    def on_ehlo(self, connection, line):
        connection.send(b"502 5.5.1 What?\r\n")
        return True


def test_all_is_well(backend, check):
    behind = backend(Guarded())
    status, report, errors = check(behind, policy="opportunistic")
    assert status == 0
    assert verdicts(report, "ok") == ["127.0.0.1: 220 backend ESMTP",
                                      "does not relay for this machine: 550 5.7.1 Relaying denied"]
    assert "offers PIPELINING, SIZE 100000000, STARTTLS, AUTH PLAIN LOGIN" in report
    before, inside = re.search(r"before TLS (.*?) inside TLS (.*?)\n\nbackends: 0 problems, 0 warnings\n$", report,
                               re.S).groups()
    assert "STARTTLS" in before and "SIZE 100000000" in before and "XCLIENT" not in before and "AUTH" not in before
    assert "AUTH PLAIN LOGIN" in inside and "XCLIENT" not in inside and "STARTTLS" not in inside
    assert "\x1b" not in report
    # One connection, in good order, and never DATA.
    assert [c.received for c in behind.connections] == [
        b"EHLO gate.test\r\nMAIL FROM:<>\r\nRCPT TO:<starttlsd-check@example.com>\r\nRSET\r\nQUIT\r\n"]


def test_what_clients_see_is_what_all_backends_offer(backend, check):
    small = Guarded()
    small.ehlo = b"250-small\r\n250-SIZE 1000\r\n250 8BITMIME\r\n"
    status, report, _ = check(f"{backend(Guarded()).address} {backend(small).address}", policy="opportunistic")
    assert status == 0
    assert "before TLS STARTTLS, SIZE, 8BITMIME\n" in report
    assert "inside TLS SIZE, 8BITMIME\n" in report


def test_helo_only(backend, check):
    status, report, _ = check(backend(HeloOnly()))
    assert status == 0
    assert "offers nothing" in report
    assert len(verdicts(report, "ok")) == 2


@pytest.mark.parametrize("script, offers, inside", [
    (ImapScript, "IMAP4rev1, STARTTLS, ID, LITERAL+, SASL-IR, AUTH=PLAIN", "IMAP4rev1, ID, LITERAL+, SASL-IR, AUTH=PLAIN"),
    (Pop3Script, "TOP, UIDL, USER, SASL PLAIN LOGIN, STLS, PIPELINING", "TOP, UIDL, USER, SASL PLAIN LOGIN, PIPELINING")])
def test_mailboxes(backend, check, script, offers, inside):
    status, report, _ = check(backend(script()), protocol=script.__name__[:4].lower())
    assert status == 0
    assert verdicts(report, "ok") == [f"127.0.0.1: {script.greeting.decode().strip()}"]
    assert f"offers {offers}\n" in report
    assert f"inside TLS {inside}\n" in report


@pytest.mark.parametrize("script, offers, is_good", [
    (ImapScript, b"IMAP4rev1 LOGINDISABLED", False), (ImapScript, b"IMAP4rev1", True),
    (ImapScript, b"IMAP4rev1 LOGINDISABLED AUTH=CRAM-MD5", True), (ImapScript, b"IMAP4rev1 LOGINDISABLED AUTH=EXTERNAL", False),
    (Pop3Script, b"TOP\r\nUIDL\r\n", False), (Pop3Script, b"SASL CRAM-MD5\r\n", True),
    (Pop3Script, b"SASL EXTERNAL\r\n", False), (Pop3Script, b"USER\r\n", True)])
def test_mailboxes_that_nobody_can_open(backend, check, script, offers, is_good):
    behind = script()
    behind.capability = behind.capabilities = offers
    status, report, _ = check(backend(behind), protocol=script.__name__[:4].lower())
    assert verdicts(report, "problem") == ([] if is_good else ["no way to log in"])
    assert status == (0 if is_good else 1)


@pytest.mark.parametrize("script, offers", [(ImapScript, b"IMAP4rev1 LOGINDISABLED"), (Pop3Script, b"TOP\r\n")])
@pytest.mark.parametrize("keys, is_bad", [
    ({"identity": "proxy-v2"}, False), ({"identity": "proxy-v1"}, True), ({"identity": "proxy-v2", "tls": "none"}, True)])
def test_mailboxes_for_clients_whose_tls_is_told(backend, check, script, offers, keys, is_bad):
    """Dovecot offers no passwords to our look, whose header says LOCAL, and to clients it does."""
    behind = script()
    behind.capability = behind.capabilities = offers
    status, report, _ = check(backend(Proxied(behind)), protocol=script.__name__[:4].lower(), **keys)
    assert verdicts(report, "problem") == (["no way to log in"] if is_bad else [])
    assert verdicts(report, "warning") == ([] if is_bad else ["no way for this machine to log in"])
    assert status == (1 if is_bad else 0)


@pytest.mark.parametrize("protocol, wants", [("imap", "OK"), ("pop3", "+OK")])
def test_a_server_of_another_protocol(backend, check, protocol, wants):
    status, report, _ = check(backend(Guarded()), protocol=protocol)
    assert status == 1
    assert verdicts(report, "problem")[0].startswith(f"127.0.0.1: its greeting is no {wants}; it greeted: 220 ")
    assert "is that the port of another protocol?" in report


def test_a_submission_service_without_logins(backend, check):
    script = Guarded()
    script.ehlo = b"250-backend\r\n250 8BITMIME\r\n"
    status, report, _ = check(backend(script), relay="login")
    assert status == 1
    assert verdicts(report, "problem") == ["relay = login, and no way to log in"]
    assert "or name the domains it takes mail for, as in relay = example.org" in report
    assert "backend_tls" not in report, "it knows no TLS"
    status, report, _ = check(backend(Guarded()), relay="login")
    assert status == 0


@pytest.mark.parametrize("script, tls, is_unused", [
    (Guarded, b"STARTTLS", True), (ImapScript, b"STARTTLS", True), (Pop3Script, b"STLS", True), (ImapScript, b"ID", False)])
def test_logins_that_may_be_offered_inside_tls(backend, check, script, tls, is_unused):
    behind = script()
    behind.ehlo = b"250-backend\r\n250 %b\r\n" % tls
    behind.capability, behind.capabilities = b"IMAP4rev1 LOGINDISABLED " + tls, tls + b"\r\n"
    keys = {"relay": "login"} if script is Guarded else {"protocol": script.__name__[:4].lower()}
    status, report, _ = check(backend(behind), **keys)
    assert status == 1 and "no way to log in" in report
    assert ("write backend_tls = starttls: inside TLS it may offer more" in report) == is_unused


def test_not_there(check, free_port):
    status, report, _ = check(f"127.0.0.1:{free_port()}", **FAST)
    assert status == 1
    assert verdicts(report, "problem") == ["127.0.0.1: Connection refused"]


def test_no_such_name(check):
    status, report, _ = check("nowhere.invalid:25", **FAST)
    assert status == 1
    assert verdicts(report, "problem")[0].startswith("nowhere.invalid: ")


def drop_at_ehlo(connection):
    connection.send(b"220 x\r\n")
    connection.line()


def endless(connection):
    connection.send(b"220 x\r\n")
    connection.line()
    while True:
        connection.send(b"250-X\r\n" * 1000)


def trickle(connection):
    connection.send(b"220 x\r\n")
    connection.line()
    while True:
        connection.send(b"250-X\r\n")
        time.sleep(0.2)


def greets_with(words):
    def script(connection):
        connection.send(words)
        connection.drain()
    return script


def answers_with(words):
    def script(connection):
        connection.send(b"220 x\r\n")
        connection.line()
        connection.send(words)
        connection.drain()
    return script


@pytest.mark.parametrize("script, words", [
    (lambda connection: connection.drain(), "no greeting in time"),
    (greets_with(b"554 go away\r\n"), "its greeting is no 220; it greeted: 554 go away"),
    (greets_with(b"SSH-2.0-\x1b[31mred\r\n"), "its greeting is no 220; it greeted: SSH-2.0-?[31mred"),
    (greets_with(b"\x00" * 20000), "its greeting is no 220; it greeted: " + "?" * 127),
    (greets_with(b"220 x\r\n250 early\r\n"), "it talks before it is asked; it greeted: 220 x"),
    (drop_at_ehlo, "it closed the connection; it greeted: 220 x"),
    (answers_with(b""), "no answer in time; it greeted: 220 x"),
    (answers_with(b"421 busy\r\n"), "it answers EHLO with 421; it greeted: 220 x"),
    (answers_with(b"hello yourself\r\n"), "what it says is no reply; it greeted: 220 x"),
    (endless, "its reply has no end; it greeted: 220 x"),
    (trickle, "no answer in time; it greeted: 220 x"),
])
def test_backends_that_will_not_do(backend, check, script, words):
    began = time.monotonic()
    status, report, _ = check(backend(script), **FAST)
    assert status == 1
    assert verdicts(report, "problem") == [f"127.0.0.1: {words}"]
    assert time.monotonic() - began < 10


def test_a_backend_that_takes_no_identity(backend, check):
    script = Guarded()
    for offers, problems in ((b"250-backend\r\n250 XCLIENT NAME ADDR\r\n", []),
                             (b"250-backend\r\n250 XCLIENT NAME\r\n",
                              ["127.0.0.1: it does not announce XCLIENT with ADDR; it greeted: 220 backend ESMTP"])):
        script.ehlo = offers
        status, report, _ = check(backend(script), identity="xclient")
        assert verdicts(report, "problem") == problems
        assert ("smtpd_authorized_xclient_hosts" in report) == bool(problems)
        assert status == (1 if problems else 0)


# ---- TLS --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(certificates, tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"), certificates)


def secured(world, **keys):
    return {"relay": "example.test", "backend_tls": "starttls", "backend_ca": world.trusted, **FAST, **keys}


@pytest.mark.parametrize("script, tls", [(TlsScript, "starttls"), (Implicit, "implicit")])
def test_a_backend_with_tls_is_asked_inside_it(backend, check, world, script, tls):
    behind = backend(script(server_context(world.right)))
    status, report, _ = check(behind, **secured(world, backend_tls=tls))
    assert status == 0
    assert verdicts(report, "ok")[:2] == ["127.0.0.1: 220 backend ESMTP",
                                          "TLSv1.3 with TLS_AES_256_GCM_SHA384, chain and name are verified"]
    assert "offers 8BITMIME, INSIDE" in report


@pytest.mark.parametrize("certificate, keys, words, advice", [
    ("expired", {}, "its certificate has expired 20", "renew it, or pin it with backend_verify = fingerprint"),
    ("elsewhere", {"backend_name": "localhost"}, "its certificate is not for localhost, but for elsewhere.test",
     "if it is the right one, write backend_name as its certificate has it"),
    ("stranger", {}, "its chain leads to no trusted authority",
     "if it is the right one, name its authority's certificate with backend_ca"),
    ("self_signed", {}, "its certificate is self-signed; its fingerprint is {pin}",
     "if it is the right one, write backend_verify = fingerprint, and that as backend_fingerprint"),
    ("right", {"backend_ca": "/etc/hostname"}, "its backends cannot be met by TLS: see above", ""),
])
def test_a_wrong_certificate_is_explained(backend, check, world, certificate, keys, words, advice):
    shown = getattr(world, certificate)
    status, report, _ = check(backend(TlsScript(server_context(shown))), **secured(world, **keys))
    assert status == 1
    problem, = verdicts(report, "problem")
    assert words.format(pin=fingerprint(shown)) in problem
    assert advice in " ".join(report.split()), "folded"


@pytest.mark.parametrize("script, words", [
    (Silent, "no TLS in time"), (Plain, "not TLS: plaintext where a handshake was expected"),
    (Refusing, "it refuses STARTTLS; it greeted: 220 backend ESMTP"),
    (Without, "it does not announce STARTTLS; it greeted: 220 backend ESMTP"),
])
def test_a_backend_without_tls_will_not_do(backend, check, world, script, words):
    status, report, _ = check(backend(script(server_context(world.right))), **secured(world))
    assert status == 1
    assert verdicts(report, "problem") == [f"127.0.0.1: {words}"]


@pytest.mark.parametrize("script, words", [
    (Plain, "not TLS: plaintext where a handshake was expected"), (Without, "it does not announce STARTTLS"),
    (Refusing, "it refuses STARTTLS"),
])
def test_opportunistic_tls_that_fails_is_a_warning(backend, check, world, script, words):
    behind = backend(script(server_context(world.right)))
    status, report, _ = check(behind, relay="example.test", backend_tls="starttls", backend_policy="opportunistic",
                              **FAST)
    assert status == 0
    assert f"sessions go on without TLS: {words}" in verdicts(report, "warning")


def test_a_backend_that_wants_a_certificate_is_shown_one(backend, check, world):
    context = server_context(world.right, verify_mode=ssl.CERT_REQUIRED)
    context.load_verify_locations(world.trusted)
    behind = backend(Implicit(context))
    status, report, _ = check(behind, **secured(world, backend_tls="implicit"))
    assert status == 1
    assert verdicts(report, "problem") == ['127.0.0.1: peer sent alert "certificate required"']
    assert "write backend_certificate" in report
    status, report, errors = check(behind, **secured(world, backend_tls="implicit", backend_certificate=world.ours))
    assert status == 0, errors + report


def test_tls_that_begins_in_the_clear_is_not_met_at_the_first_octet(backend, check, world):
    status, report, _ = check(backend(TlsScript(server_context(world.right))),
                              **secured(world, backend_tls="implicit"))
    assert status == 1
    assert verdicts(report, "problem") == ["127.0.0.1: not TLS: plaintext where a handshake was expected"]
    assert "backend_tls = starttls is for ports that begin in the clear" in report


# ---- Time -------------------------------------------------------------------------------------------


def test_a_slow_backend_has_its_time_for_each_answer(backend, check):
    script = Guarded()
    script.delay = 0.4
    status, report, _ = check(backend(script), **FAST)
    assert status == 0 and not verdicts(report, "problem")


def test_a_slow_backend_has_its_time_for_all_answers(backend, check):
    script = Guarded()
    script.delay = 0.9
    began = time.monotonic()
    status, report, _ = check(backend(script), **FAST)
    assert status == 1
    assert verdicts(report, "problem") == ["127.0.0.1: it takes too long; it greeted: 220 backend ESMTP"]
    assert time.monotonic() - began < 4.2


def test_a_backend_that_refuses_for_another_reason(backend, check):
    class Greylisting(Script):
        def on_rcpt(self, connection, line):
            connection.send(b"450 4.2.0 Greylisted\r\n")
            return True
    behind = backend(Greylisting())
    status, report, _ = check(behind, relay="backend")
    assert status == 0
    assert verdicts(report, "warning") == ["may relay for this machine or not: 450 4.2.0 Greylisted"]
    assert behind.received.count(b"MAIL FROM:") == 4
    status, report, _ = check(behind, relay="example.test")
    assert status == 0 and not verdicts(report, "warning")


def test_a_backend_that_dislikes_our_name(backend, check):
    class Picky(Script):
        def on_ehlo(self, connection, line):
            connection.send(b"550 5.7.1 No such host\r\n")
            return True
        on_helo = on_ehlo
    status, report, _ = check(backend(Picky()))
    assert status == 0
    assert verdicts(report, "warning") == ["does not say what it offers: 550 5.7.1 No such host"]


# ---- The command ------------------------------------------------------------------------------------


@pytest.mark.root
def test_any_user_may_ask(backend, check, directory, certificates):
    for name in ("cert.pem", "key.pem"):
        source = certificates.localhost.split()[name == "key.pem"]
        shutil.copy(source, directory / name)
    (directory / "key.pem").chmod(0o600)
    (directory / "cert.pem").chmod(0o644)
    status, report, errors = check(backend(Guarded()), certificate=f"{directory}/cert.pem {directory}/key.pem",
                                   command=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
    assert status == 1 and "key.pem: Permission denied (try sudo); name a file that can be read" in errors
    assert "127.0.0.1: 220 backend ESMTP" in verdicts(report, "ok")


def test_a_wrong_configuration_asks_nobody(backend, check):
    behind = backend(Guarded())
    status, report, errors = check(behind, relay="", connect_timeout="soon")
    assert status == 1 and report == "" and "connect_timeout" in errors
    assert not behind.connections


def test_usage(check, backend):
    status, report, errors = check(backend(Guarded()), "--dump")
    assert status == 2 and report == "" and "--dump" in errors
    done = subprocess.run([PROGRAM, "check", "--backends", "--config", "/nonexistent"], capture_output=True)
    assert done.returncode == 3
    done = subprocess.run([PROGRAM, "check", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--backends" in done.stdout


@pytest.mark.parametrize("no_color", [None, "1"])
def test_colour_is_for_terminals(backend, directory, certificates, no_color):
    path = directory / "check.ini"
    path.write_text(configuration(certificates, backend(Guarded()), 2525))
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    if no_color:
        environment["NO_COLOR"] = no_color
    ours, theirs = pty.openpty()
    process = subprocess.Popen([PROGRAM, "check", "--backends", "--config", path], stdout=theirs,
                               stderr=subprocess.DEVNULL, env=environment)
    os.close(theirs)
    seen = b""
    try:
        while data := os.read(ours, 65536):
            seen += data
    except OSError:  # how the end of a terminal looks
        pass
    os.close(ours)
    assert process.wait(20) == 0
    assert (b"\x1b[32mok" in seen) == (no_color is None), seen

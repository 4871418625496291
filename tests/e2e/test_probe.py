# SPDX-License-Identifier: ISC
"""`starttlsd probe` in front of servers that are good, and bad on purpose: what it finds, by name and verdict. Each report is
held against docs/probe.schema.json; what OpenSSL's own client thinks of the same certificates is asked too."""
import hashlib
import json
import pathlib
import re
import shutil
import ssl
import subprocess
import tempfile

import jsonschema
import pytest

from backends import Backend, Script
from conftest import unavailable
from dovecot import DovecotMailboxes
from exim import Exim
from gateway import PROGRAM
from networks import Machine
from peers import free_port
from postfix import Postfix
from probe_servers import Chains, server

PROTOCOLS = ("smtp", "imap", "pop3")
SCHEMA = json.loads((pathlib.Path(__file__).parents[2] / "docs/probe.schema.json").read_text())


@pytest.fixture(scope="session")
def chains():
    path = pathlib.Path(tempfile.mkdtemp(prefix="starttlsd-chains-"))
    yield Chains(path)
    shutil.rmtree(path, ignore_errors=True)


class Report:
    """What one look has said; .status, and of its only address .verdicts by id."""

    def __init__(self, done):
        self.status, self.stderr = done.returncode, done.stderr
        assert done.stdout, done.stderr
        self.json = json.loads(done.stdout)
        jsonschema.validate(self.json, SCHEMA)
        self.addresses = self.json["addresses"]
        self.address = self.addresses[0] if self.addresses else None

    @property
    def verdicts(self):
        return {finding["id"]: finding["verdict"] for finding in self.address["findings"]}

    def finding(self, name):
        found = [finding for finding in self.address["findings"] if finding["id"] == name]
        assert len(found) == 1, (name, self.verdicts)
        return found[0]

    def bad(self):
        """All but the good ones, by id."""
        return {name: verdict for name, verdict in self.verdicts.items() if verdict != "ok"}


def run(protocol, place, *options, command=()):
    return subprocess.run([*command, PROGRAM, "probe", protocol, place, *map(str, options)], capture_output=True, text=True,
                          timeout=80)


def probe(protocol, place, *options, command=()):
    return Report(run(protocol, place, "--json", *options, command=command))


@pytest.fixture
def look(backend, chains):
    """look(protocol, certificate, options..., attribute=...): at a server of probe_servers.py."""
    def at(protocol, certificate=None, *options, trusted=True, version=None, **attributes):
        behind = backend(server(protocol, certificate, version, **attributes))
        words = ["--servername", "localhost", *(["--ca", chains.ca] if trusted else []),
                 *(["--tls", "implicit"] if attributes.get("is_implicit") else []), *options]
        report = probe(protocol, behind.address, *words)
        report.behind = behind
        return report
    return at


# ---- What is good ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_is_wrong_with_a_good_server(look, chains, protocol):
    report = look(protocol, chains.whole)
    assert report.bad() == {} and report.status == 0
    a = report.address
    assert a["reached"] == "tls" and a["starttls"]["offered"] and a["family"] == "ipv4"
    assert (a["starttls"]["command_in_its_segment"]["fate"], a["starttls"]["command_behind_it"]["fate"]) == ("forgotten", "refused")
    assert a["tls"]["version"] == "TLSv1.3" and a["tls"]["resumption"]["result"] is True and a["tls"]["group"]
    assert a["certificate"]["trust"] == "trusted" and a["certificate"]["name_matches"]
    assert a["certificate"]["chain"] == ["CN=localhost", "CN=Test intermediate"]
    assert a["certificate"]["key"] == "ECDSA P-256"
    steps = [time["step"] for time in a["times"]]
    assert steps[:2] == ["connect", "greeting"] and "handshake" in steps
    assert {"smtp": "STARTTLS", "imap": "STARTTLS", "pop3": "STLS"}[protocol] in steps
    # What is announced differs on both sides of the handshake.
    assert a["capabilities"]["clear"] != a["capabilities"]["tls"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_implicit_tls(look, chains, protocol):
    report = look(protocol, chains.whole, is_implicit=True)
    assert report.bad() == {} and report.status == 0
    assert report.json["mode"] == "implicit" and report.address["starttls"] is None
    assert report.address["capabilities"] == {"clear": None, "tls": report.address["capabilities"]["tls"]}


def test_the_digest_is_that_of_openssl(look, chains):
    key = subprocess.run(["openssl", "x509", "-in", chains.whole.split()[0], "-pubkey", "-noout"], check=True, capture_output=True)
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key.stdout, check=True, capture_output=True)
    assert look("smtp", chains.whole).address["certificate"]["tlsa_3_1_1"] == hashlib.sha256(der.stdout).hexdigest()


def test_one_connection_at_a_time_and_not_many(backend, chains):
    class Counting(type(server("smtp"))):
        now = most = 0

        def __call__(self, connection):
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                super().__call__(connection)
            finally:
                self.now -= 1
    script = server("smtp", chains.whole)
    script.__class__ = Counting
    behind = backend(script)
    probe("smtp", behind.address, "--ca", chains.ca)
    assert script.most == 1 and len(behind.connections) <= 4
    assert all(b"DATA" not in connection.received for connection in behind.connections)


# ---- What is not ----------------------------------------------------------------------------------------

# certificate, attributes, options, all that is found but what is good, exit status
BAD = {
    "expired": ("expired", {}, (), {"certificate.expiry": "problem"}, 1),
    "soon": ("soon", {}, (), {"certificate.expiry": "warning"}, 0),
    "soon enough": ("soon", {}, ("--expiry", 5), {}, 0),
    "wrong name": ("elsewhere", {}, (), {"certificate.name": "problem"}, 1),
    "intermediate missing": ("alone", {}, (), {"certificate.trust": "problem"}, 1),
    "out of order": ("reversed", {}, (), {"certificate.chain": "warning"}, 0),
    "self-signed and weak": ("weak", {}, (), {"certificate.trust": "problem", "certificate.key": "warning"}, 1),
    "injectable": ("whole", {"remembers": True}, (), {"injection.at_once": "problem"}, 1),
    "injectable later": ("whole", {"sips": True}, (), {"injection.behind": "problem"}, 1),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_has_a_name(look, chains, protocol, name):
    certificate, attributes, options, expected, status = BAD[name]
    report = look(protocol, getattr(chains, certificate), *options, **attributes)
    assert (report.bad(), report.status) == (expected, status)
    for finding in report.address["findings"]:
        assert (finding["verdict"] == "ok") or finding["advice"], finding


def test_the_missing_certificate_is_named(look, chains):
    advice = look("imap", chains.alone).finding("certificate.trust")["advice"]
    assert "CN=Test intermediate" in advice and "fullchain" in advice


def test_an_authority_that_nobody_knows(look, chains):
    assert look("imap", chains.whole, trusted=False).bad() == {"certificate.trust": "problem"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_without_starttls(look, protocol):
    plain = {"smtp": {"ehlo": b"250-old\r\n250 SIZE 1000\r\n"}, "imap": {"capability": b"IMAP4rev1 LOGINDISABLED"},
             "pop3": {"capabilities": b"TOP\r\n"}}
    report = look(protocol, **plain[protocol])
    assert report.bad() == {"starttls": "problem"} and report.status == 1
    assert "not offered" in report.finding("starttls")["text"]
    assert report.address["capabilities"]["clear"]


@pytest.mark.parametrize("protocol, words", [("smtp", b"454 4.7.0 TLS not available\r\n"), ("imap", b"b NO not now\r\n"),
                                             ("pop3", b"-ERR not now\r\n")])
def test_starttls_refused(look, protocol, words):
    report = look(protocol, refusal=words)
    assert report.bad() == {"starttls": "problem"} and report.status == 1
    assert words.decode().strip() in report.finding("starttls")["text"]


@pytest.mark.parametrize("protocol, words", [("smtp", b"250 deceived\r\n"), ("imap", b"x OK deceived\r\n"), ("pop3", b"+OK deceived\r\n")])
def test_words_behind_the_go_ahead(look, chains, protocol, words):
    report = look(protocol, chains.whole, answers_in_clear=words)
    assert report.bad()["starttls"] == "problem" and report.status == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tls_of_yesterday(look, chains, protocol):
    report = look(protocol, chains.whole, "--versions", version=ssl.TLSVersion.TLSv1)
    assert report.bad() == {"tls.version": "problem", "tls.versions": "warning"} and report.status == 1
    results = {name: answer["result"] for name, answer in report.address["versions"].items()}
    assert results == {"TLSv1": True, "TLSv1.1": False, "TLSv1.2": False, "TLSv1.3": False}


def test_tls_1_2_alone(look, chains):
    report = look("smtp", chains.whole, "--versions", version=ssl.TLSVersion.TLSv1_2)
    assert report.bad() == {"tls.version": "warning"} and report.status == 0


@pytest.mark.parametrize("protocol, attributes, words", [
    ("smtp", {"ehlo": b"250-old\r\n250-STARTTLS\r\n250 AUTH PLAIN CRAM-MD5\r\n"}, "AUTH PLAIN"),
    ("imap", {"capability": b"IMAP4rev1 STARTTLS"}, "LOGIN"),
    ("pop3", {"capabilities": b"USER\r\nSTLS\r\n"}, "USER")])
def test_logins_in_the_clear(look, chains, protocol, attributes, words):
    report = look(protocol, chains.whole, **attributes)
    assert report.bad() == {"login.clear": "warning"} and report.status == 0
    assert words in report.finding("login.clear")["text"]


def test_an_open_relay(look, chains):
    assert look("smtp", chains.whole, "--relay-test", is_open_relay=True).bad() == {"relay": "problem"}
    report = look("smtp", chains.whole, "--relay-test")
    assert report.bad() == {} and report.address["relay"] == {"result": "refused", "answer": "554 5.7.1 relay access denied"}


def test_nobody_there(chains):
    report = probe("smtp", f"127.0.0.1:{free_port()}")
    assert report.bad() == {"reach": "problem"} and report.status == 1
    assert "refused" in report.address["reason"]


def test_a_greeting_that_turns_away(look, chains):
    report = look("smtp", chains.whole, greeting=b"554 5.7.1 go away\r\n")
    assert report.bad() == {"greeting": "problem"} and "go away" in report.finding("greeting")["text"]


class Mute(Script):
    def __call__(self, connection):
        connection.drain()


def test_silence(backend):
    """No greeting, and no more visits: who does not answer is not asked again."""
    behind = backend(Mute())
    report = probe("imap", behind.address)
    assert report.bad() == {"greeting": "problem"} and report.status == 1
    assert len(behind.connections) == 1


def test_the_wrong_protocol(look, chains, backend):
    report = probe("imap", backend(server("smtp", chains.whole)).address)
    assert report.bad() == {"greeting": "problem"}
    report = look("pop3", chains.whole, "--tls=implicit")
    assert report.bad() == {"handshake": "problem"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_octet_reaches_the_terminal_that_could_steer_it(backend, chains, protocol):
    """Whatever a server says, in its greeting, its capabilities, or its certificate."""
    evil = b"\x1b]0;owned\x07\x9b2J"
    greeting = {"smtp": b"220 " + evil, "imap": b"* OK " + evil, "pop3": b"+OK " + evil}[protocol]
    offers = {"smtp": {"ehlo": b"250-x\r\n250-STARTTLS\r\n250 X" + evil + b"\r\n"},
              "imap": {"capability": b"IMAP4rev1 STARTTLS X" + evil}, "pop3": {"capabilities": b"STLS\r\nX" + evil + b"\r\n"}}
    behind = backend(server(protocol, chains.whole, greeting=greeting + b"\r\n", **offers[protocol]))
    for form in ((), ("--json",), ("--nagios",), ("--trace",)):
        done = run(protocol, behind.address, *form)
        assert re.fullmatch(r"[\n -~]*", done.stdout + done.stderr), form


def test_every_finding_stands_in_the_documents():
    """By its id, as the source has it: the last words of opinion_find, and the constants that are handed to it."""
    root = pathlib.Path(__file__).parents[2]
    source = "".join(path.read_text() for path in [root / "proxy/probe_judge.c", *(root / "proxy").glob("probe_opinion*.c")])
    ids = set(re.findall(r'FINDING_\w+,\s*"([a-z_.]+)"', source)) | set(re.findall(r'"((?:injection|certificate)[a-z_.]*)",', source))
    documented = set(re.findall(r"(?m)^\| `([a-z_.]+)` \|", (root / "docs/probe.md").read_text()))
    assert len(ids) > 20 and ids == documented


# ---- Real servers ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secure_postfix(real_server, chains):
    """With TLS of its own; `.smtps` is its port with TLS from the first octet."""
    port = free_port()
    certificate, key = chains.whole.split()
    postfix = real_server(
        Postfix, settings=f"smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {certificate}\nsmtpd_tls_key_file = {key}\n",
        services=f"127.0.0.1:{port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n")
    postfix.smtps = f"127.0.0.1:{port}"
    return postfix


@pytest.fixture(scope="module")
def secure_dovecot(real_server, chains):
    if not DovecotMailboxes.is_there():
        unavailable("dovecot is not installed (make deps)")
    return real_server(DovecotMailboxes, chains.whole)


@pytest.fixture(scope="module")
def secure_exim(real_server, chains):
    return real_server(Exim, certificate=chains.whole)


TRUST = ("--servername", "localhost")


def headers_are_answered(report, *words):
    """They are taken for commands, and it is told what is said to them, in one segment with the greeting or behind."""
    proxy = report.address["proxy"]
    return all(proxy[v]["result"] is False and proxy[v]["reason"].startswith(words) for v in ("v1", "v2"))


def test_postfix(secure_postfix, chains):
    report = probe("smtp", secure_postfix.address, *TRUST, "--ca", chains.ca, "--versions", "--proxy")
    assert set(report.bad()) <= {"tls.versions"}, report.bad()
    assert report.address["starttls"]["command_in_its_segment"]["fate"] in ("forgotten", "refused")
    assert report.address["starttls"]["command_behind_it"]["fate"] == "refused"
    assert headers_are_answered(report, "500")
    assert report.address["tls"]["resumption"]["result"] is not None
    report = probe("smtp", secure_postfix.smtps, "--tls", "implicit", *TRUST, "--ca", chains.ca)
    assert report.bad() == {}


def test_postfix_relays_for_its_own_machine(secure_postfix, chains):
    report = probe("smtp", secure_postfix.address, *TRUST, "--ca", chains.ca, "--relay-test")
    assert report.bad() == {"relay": "problem"}


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_dovecot(secure_dovecot, chains, protocol):
    report = probe(protocol, getattr(secure_dovecot, protocol), *TRUST, "--ca", chains.ca, "--versions", "--proxy")
    # It takes its own machine for safe, and lets it log in without TLS.
    assert set(report.bad()) <= {"login.clear", "tls.versions"}, report.bad()
    assert report.address["starttls"]["command_in_its_segment"]["fate"] in ("forgotten", "refused")
    assert headers_are_answered(report, "PROXY BAD", "* BAD", "-ERR")


def test_exim(secure_exim, chains):
    report = probe("smtp", secure_exim.address, *TRUST, "--ca", chains.ca, "--proxy")
    assert set(report.bad()) <= {"login.clear"}, report.bad()
    assert report.address["starttls"]["command_in_its_segment"]["fate"] in ("forgotten", "refused")
    assert headers_are_answered(report, "500")


def test_our_own_gateway(gateway, backend, certificates):
    """The old server behind it would execute what is put in; in front of it nothing is wrong."""
    for protocol in PROTOCOLS:
        served = gateway(backend(server(protocol, remembers=True)), protocol=protocol)
        report = probe(protocol, f"127.0.0.1:{served.port}", *TRUST, "--ca", certificates.ca, "--versions", "--proxy")
        assert report.bad() == {} and report.status == 0
        assert report.address["starttls"]["command_in_its_segment"]["fate"] == "refused"
        assert report.address["starttls"]["command_behind_it"]["fate"] == "refused"


def test_a_server_that_wants_a_proxy_header(gateway, backend, certificates):
    served = gateway(backend(server("smtp")), accept_proxy="127.0.0.1")
    report = probe("smtp", f"127.0.0.1:{served.port}", *TRUST, "--ca", certificates.ca, "--proxy")
    assert report.bad() == {"proxy": "warning"} and report.address["behind_proxy"]
    assert report.address["reached"] == "tls" and report.address["starttls"]["command_in_its_segment"]["fate"] == "refused"
    assert report.address["proxy"]["v1"]["result"] and report.address["proxy"]["v2"]["result"]


# ---- Several addresses, and neighbours ------------------------------------------------------------------


@pytest.mark.mount
def test_both_families(backend, chains, directory):
    """A name with an address of each, one of them with a certificate that has expired."""
    good = backend(server("imap", chains.whole))
    bad = backend(server("imap", chains.expired), port=good.port, host="::1")
    (directory / "hosts").write_text("127.0.0.1 both.test\n::1 both.test\n")
    script = f'mount --bind {directory}/hosts /etc/hosts; exec "$@"'
    report = probe("imap", f"both.test:{good.port}", "--ca", chains.ca, "--servername", "localhost",
                   command=["unshare", "-m", "sh", "-c", script, "sh"])
    assert {a["family"]: a["verdict"] for a in report.addresses} == {"ipv4": "ok", "ipv6": "problem"}
    assert report.status == 1 and bad.connections


@pytest.fixture
def own_network():
    """Where no port is taken; this thread is there."""
    machine = Machine()
    with machine.inside():
        yield
    machine.close()


@pytest.mark.root
@pytest.mark.mount
@pytest.mark.parametrize("protocol, port, neighbour_port", [("smtp", 587, 465), ("imap", 143, 993)])
def test_the_neighbour_with_implicit_tls(chains, own_network, backend, protocol, port, neighbour_port):
    clear = backend(server(protocol, chains.whole), port=port)
    words = (protocol, clear.address, "--ca", chains.ca, "--servername", "localhost")
    report = probe(*words)
    assert clear.connections and report.bad() == {}
    assert report.address["implicit_tls"] == {"port": neighbour_port, "works": {"result": False, "reason": "Connection refused"}}
    neighbour = backend(server(protocol, chains.whole, is_implicit=True), port=neighbour_port)
    report = probe(*words)
    assert report.address["implicit_tls"] == {"port": neighbour_port, "works": {"result": True, "reason": None}}
    assert len(neighbour.connections) == 1


def test_a_name_without_address():
    report = probe("smtp", "nobody.invalid")
    assert report.status == 1 and report.addresses == [] and report.json["verdict"] == "problem" and report.json["reason"]


# ---- What others think ----------------------------------------------------------------------------------

# What X509_verify_cert says, by what we say.
VERIFY_CODES = {"trusted": {0}, "expired": {10}, "self-signed": {18}, "issuer-missing": {20, 21}, "issuer-unknown": {19, 20, 21}}
NAME_MISMATCH = {62, 64}


@pytest.mark.parametrize("certificate", ["whole", "expired", "elsewhere", "alone", "weak", "reversed"])
def test_openssl_thinks_the_same(backend, chains, certificate):
    behind = backend(server("smtp", getattr(chains, certificate)))
    ours = probe("smtp", behind.address, "--servername", "localhost", "--ca", chains.ca).address
    theirs = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect", behind.address, "-CAfile", chains.ca,
                             "-servername", "localhost", "-verify_hostname", "localhost", "-showcerts", "-cipher",
                             "ALL:@SECLEVEL=0"], input="QUIT\n", capture_output=True, text=True, timeout=30).stdout
    assert f"New, {ours['tls']['version']}, Cipher is {ours['tls']['cipher']}" in theirs
    codes = {int(code) for code in re.findall(r"Verif\w+ (?:return code|error): ?(\d+)", theirs)}
    if ours["certificate"]["name_matches"]:
        assert codes <= VERIFY_CODES[ours["certificate"]["trust"]] and codes, (codes, ours["certificate"])
    else:
        assert codes & NAME_MISMATCH, codes
    assert theirs.count("BEGIN CERTIFICATE") == len(ours["certificate"]["chain"])


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_2"])
def test_openssl_agrees_with_the_same_versions(backend, chains, version):
    behind = backend(server("smtp", chains.whole, ssl.TLSVersion[version]))
    ours = probe("smtp", behind.address, "--ca", chains.ca, "--versions").address["versions"]
    for name, option in {"TLSv1": "-tls1", "TLSv1.1": "-tls1_1", "TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}.items():
        done = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect", behind.address, option, "-cipher",
                               "ALL:@SECLEVEL=0"], input="QUIT\n", capture_output=True, text=True, timeout=30)
        assert (done.returncode == 0) == ours[name]["result"], name

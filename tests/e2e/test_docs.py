# SPDX-License-Identifier: ISC
"""Every command and configuration in README and docs/ is run, on a machine that is as its reader's (host.py)."""
import configparser
import ipaddress
import pathlib
import re
import types

import pytest

from clients import Client, message
from documents import PAGES, ROOT, Block, all_blocks, blocks
from dovecot import Dovecot, PublicMailboxes
from gateway import SANITIZED, eventually, parse
from host import Host, Housed
from imap_client import ImapClient
from networks import Machine
from pop3_client import Pop3Client
from postfix import Postfix
from test_tls import only

pytestmark = [pytest.mark.root, pytest.mark.mount,
              pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1"),
              pytest.mark.skipif(SANITIZED, reason="a reader has no sanitizer")]

NAMES = """\
127.0.0.1 localhost
192.0.2.1 mail.example.org
192.0.2.10 old.example.org
"""

SUBMISSION = """\
25 inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_type=dovecot -o smtpd_sasl_path=../sasl/auth
"""


class Neighbour(Postfix):
    """On the reader's machine, where Postfix is as Debian installs it: port 25 on all addresses."""

    def __init__(self, directory, host):
        directory.mkdir()
        super().__init__(directory, settings="inet_interfaces = all\nsmtpd_peername_lookup = no\n"
                         "virtual_mailbox_domains = example.org\n", services="smtp inet n - y - - smtpd\n")
        self.host = host
        host.environment["MAIL_CONFIG"] = str(directory)

    def start(self):
        self.host.do(self.daemons / "master", "-w", "-c", self.directory)
        return self


@pytest.fixture(scope="module")
def world(own_machines, shared_directory, real_server):
    """`host`, the reader's machine, and on the other end of a cable an old mail server, `mail` and `boxes`."""
    host, old = Host(shared_directory / "host", "mail.example.org"), Machine()
    old.connect(host, "eth0", "eth1")
    host.address("eth1", "192.0.2.1/24")
    old.address("eth0", "192.0.2.10/24")
    host.write("/etc/hosts", NAMES)
    for machine in (host, old):
        machine.run("sysctl -qw net.unix.max_dgram_qlen=512")  # as in test_transparent.py
    neighbour = Neighbour(shared_directory / "postfix", host).start()
    with old.inside():
        mail = real_server(Postfix, services=SUBMISSION, settings="inet_interfaces = all\nsmtpd_peername_lookup = no\n"
                           "virtual_mailbox_domains = example.org\n")
        logins = Dovecot(mail.directory / "sasl").start()
        boxes = real_server(PublicMailboxes)
    yield types.SimpleNamespace(host=host, old=old, mail=mail, boxes=boxes, neighbour=neighbour)
    logins.stop()
    host.close()
    old.close()


# ---- Commands --------------------------------------------------------------------------------------


def masked(line):
    """Numbers, dates and digests are not the same twice."""
    return re.sub(r"\d+", "0", re.sub(r"[0-9a-f]{32,}", "0", line.rstrip()))


def check_output(block, said):
    """A block behind commands is what they say, line by line; where `...` stands some are left out."""
    lines = iter(map(masked, said.splitlines()))
    skips = False
    for wanted in map(masked, block.text.splitlines()):
        if wanted.strip() == "...":
            skips = True
            continue
        found = next((line for line in lines if line == wanted), None) if skips else next(lines, None)
        assert found == wanted, f"{block}: {wanted!r} is not what it says:\n{said}"
        skips = False


def follow(host, page):
    """Does what a page says, block by block: files are written, commands run, what they say is compared."""
    said = ""
    for block in blocks(page):
        if block.file:
            host.write(block.file, block.text)
        elif block.language == "sh":
            said = host.follow(block.text, block).lstrip("\n")
        elif block.is_output:
            check_output(block, said)


@pytest.fixture(scope="module")
def reader(world):
    """Who has done all that README says."""
    follow(world.host, ROOT / "README.md")
    return world


def test_the_readme(reader, mark):
    host, old = reader.host, reader.mail
    # Its gateway: swaks has submitted a mail, by TLS and with a login.
    line, = (line for line in map(parse, host.read("/run/journal").splitlines()) if line.get("messages") == "1")
    assert line["service"] == "submission" and line["tls"] == "TLSv1.3" and line["auth"] == "ok"
    old.arrived("bob@example.org")
    # And then the server beside it, which knows its clients.
    with reader.old.inside():
        for secure in (True, False):
            with Client(25, host="192.0.2.1") as client:
                client.starttls() if secure else client.expect("EHLO client.test", 250)
                assert client.mail(message(mark, b"x\r\n"), recipient="bob@example.org").startswith("250")
                client.quit()
    reader.neighbour.arrived(mark, 2)
    assert "connect from unknown[192.0.2.10]" in reader.neighbour.log()


@pytest.fixture
def established(reader):
    """README is done, and starttlsd serves all ports in front of the old server, by the example that the repository ships."""
    host = reader.host
    host.write("/etc/starttlsd/mail.pem", host.read("/etc/starttlsd/chain.pem") + host.read("/etc/starttlsd/key.pem"))
    host.write("/etc/starttlsd/starttlsd.ini", (ROOT / "deploy/starttlsd.ini").read_text())
    host.environment["SSL_CERT_FILE"] = "/etc/starttlsd/mail.pem"  # as if a public authority had made it
    host.follow("systemctl restart starttlsd")
    return reader


@pytest.mark.parametrize("page", [page for page in PAGES[1:] if blocks(page, "sh")], ids=lambda page: page.stem)
def test_every_command_is_good(established, page):
    follow(established.host, page)


# ---- What is shipped -------------------------------------------------------------------------------


def offend(gateway):
    """Four sins of a client: a wrong password in each protocol, and a command behind STARTTLS."""
    with Client(587, host=gateway) as client:
        client.starttls()
        client.expect("EHLO client.test", 250)
        client.expect("AUTH PLAIN AGFsaWNlAHdyb25n", 535)
    for kind, port in ((ImapClient, 993), (Pop3Client, 995)):
        with kind(port, host=gateway, greeting=False) as client:
            client.handshake()
            client.greeting = client.reply()
            if kind is ImapClient:
                assert client.command("LOGIN alice wrong").startswith("NO")
            else:
                client.expect("USER alice", "+OK")
                client.expect("PASS wrong", "-ERR")
    with Client(587, host=gateway) as client:
        client.expect("EHLO client.test", 250)
        client.send(b"STARTTLS\r\nMAIL FROM:<>\r\n")
        assert client.reply().startswith("554")


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_fail2ban_finds_them(established, form):
    host = established.host
    host.do("cp", "-r", "deploy/fail2ban/.", "/etc/fail2ban")
    host.write("/etc/starttlsd/starttlsd.ini",
               f"[starttlsd]\nlog_format = {form}\n" + (ROOT / "deploy/starttlsd.ini").read_text().replace("[starttlsd]\n", ""))
    host.follow("systemctl restart starttlsd")
    before = len(host.read("/run/journal").splitlines())
    with established.old.inside():
        offend("192.0.2.1")
    eventually(lambda: "injection" in "".join(host.read("/run/journal").splitlines()[before:]))
    lines = host.read("/run/journal").splitlines()[before:]
    # As a file has them, and as syslog and the journal show them.
    prefixes = ("", "Nov 28 21:37:30 mail starttlsd[77]: ", "2026-11-28T21:37:30.123456+00:00 mail starttlsd[77]: ")
    host.write("/run/lines", "".join(f"{prefix}{line}\n" for prefix in prefixes for line in lines))
    done = host.do("fail2ban-regex", "/run/lines", "starttlsd")
    assert f" {3 * len(lines)} lines, 0 ignored, {3 * 4} matched, " in done, done
    done = host.do("fail2ban-client", "--dp")
    assert "'_SYSTEMD_UNIT=starttlsd.service'" in done


# ---- Configurations --------------------------------------------------------------------------------

CONFIGURATIONS = [*all_blocks("ini"), *sorted((ROOT / "deploy").glob("*.ini"))]
CLIENTS = {"smtp": Client, "imap": ImapClient, "pop3": Pop3Client}
FILES = re.compile(r"/etc/\S+\.pem")


@pytest.fixture(scope="module")
def empty_host(own_machines, shared_directory, certificates):
    """With all addresses of the documents, the certificates that they name, and nothing else."""
    host = Host(shared_directory / "empty", "mail.example.org")
    host.run("ip route add local 192.0.2.0/24 dev lo")
    bundle = "".join(pathlib.Path(path).read_text() for path in certificates.localhost.split())
    for path in {path for text in map(text_of, CONFIGURATIONS) for path in FILES.findall(text)}:
        host.write(path, bundle)
    yield host
    host.close()


def text_of(configuration):
    return configuration.text if isinstance(configuration, Block) else configuration.read_text()


def services(text):
    parser = configparser.ConfigParser(strict=False, interpolation=None, inline_comment_prefixes=None)
    parser.read_string(text)
    common = dict(parser["defaults"]) if "defaults" in parser else {}
    return [{**common, **parser[name]} for name in parser.sections() if name.startswith("service ")]


def greet(service, host, port):
    """As a client of that service, from where one may come: TLS must come of it."""
    source = str(next(ipaddress.ip_network(service["allow"]).hosts())) if "allow" in service else None
    implicit = service.get("tls") == "implicit"
    for version in ("TLSv1.3", "TLSv1") if service.get("tls_profile") == "old" else ("TLSv1.3",):
        with CLIENTS[service["protocol"]](port, host=host, greeting=not implicit, source=source) as client:
            begin = client.handshake if implicit else client.starttls
            begin(only(version))
            assert client.sock.version() == version


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda one: str(one) if isinstance(one, Block) else one.name)
def test_every_configuration_does_what_it_says(empty_host, directory, configuration):
    text = text_of(configuration)
    with empty_host.inside():
        server = Housed(directory, text, command=empty_host.words())
        server.start()
        try:
            for service in services(text):
                for address, port in re.findall(r"(\S+):(\d+)", service["listen"]):
                    if service.get("tls") != "none" and "accept_proxy" not in service:
                        greet(service, address.replace("*", "127.0.0.1"), int(port))
        finally:
            server.stop()

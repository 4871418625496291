# SPDX-License-Identifier: ISC
"""docs/migration.md: the old gateway and starttlsd, each by what the page says to the letter, in front of the same servers
on a machine that is as its reader's (host.py); the same client does the same with both."""
import contextlib
import pathlib
import re
import shlex
import subprocess
import types

import pytest

from clients import Client, message
from conftest import require_peer
from documents import ROOT, blocks
from dovecot import Dovecot, PublicMailboxes
from gateway import PROGRAM, SANITIZED, eventually
from host import Host, Housed
from imap_client import ImapClient
from mailboxes import ALICE
from networks import Machine
from peers import FETCHED
from pop3_client import Pop3Client
from postfix import Postfix
from sasl import encoded

pytestmark = [pytest.mark.root, pytest.mark.mount,
              pytest.mark.skipif(SANITIZED, reason="a reader has no sanitizer")]

PAGE = ROOT / "docs/migration.md"
GATEWAY = "192.0.2.1"
KINDS = {"smtp": Client, "imap": ImapClient, "pop3": Pop3Client}
NAMES = """\
127.0.0.1 localhost
192.0.2.1 mail.example.org
198.51.100.20 mail.example.net other.example.net
"""

SUBMISSION = """\
{port} inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_type=dovecot -o smtpd_sasl_path=../sasl/auth {options}
"""
TO_ALL = "inet_interfaces = all\nsmtpd_peername_lookup = no\n"


class TlsMailboxes(PublicMailboxes):
    def take_ports(self):
        super().take_ports()
        self.imaps_port, self.pop3s_port = 993, 995


@pytest.fixture(scope="module")
def world(own_machines, shared_directory, real_server, certificates):
    """`host`, the gateway's machine; on one side `old`, where servers without TLS and clients are, on the other a provider
    that has TLS; their `inboxes`."""
    for name in ("nginx", "stunnel", "perdition"):
        require_peer(name)
    host, old, provider = Host(shared_directory / "host", "mail.example.org"), Machine(), Machine()
    with contextlib.ExitStack() as stack:
        for machine in (host, old, provider):
            stack.callback(machine.close)
            machine.run("sysctl -qw net.unix.max_dgram_qlen=512")  # as in test_transparent.py
        old.connect(host, "eth0", "eth1")
        provider.connect(host, "eth0", "eth2")
        host.address("eth1", f"{GATEWAY}/24")
        host.address("eth2", "198.51.100.1/24")
        old.address("eth0", "192.0.2.10/24")
        provider.address("eth0", "198.51.100.20/24")
        prepare(host, certificates)
        chain, key = certificates.make("mail.example.net", host="mail.example.net").split()
        tls = f"-o smtpd_tls_security_level=encrypt -o smtpd_tls_cert_file={chain} -o smtpd_tls_key_file={key}"
        inboxes = [serve(real_server, stack, old, PublicMailboxes, (), 25, ""),
                   serve(real_server, stack, provider, TlsMailboxes, (f"{chain} {key}",), 587, tls)]
        yield types.SimpleNamespace(host=host, old=old, inboxes=inboxes)


def prepare(host, certificates):
    """The gateways of old times are installed there, and a certificate."""
    lower = ":".join(str(FETCHED / name / "usr") for name in ("nginx", "stunnel", "perdition"))
    host.do("mount", "-t", "overlay", "-o", f"lowerdir={lower}:/usr", "none", "/usr")
    host.do("mkdir", "-p", "/var/log/nginx", "/var/lib/nginx", "/run/perdition")
    host.write("/etc/hosts", NAMES)
    files = [*certificates.make("mail.example.org", host="mail.example.org").split(), certificates.ca]
    for name, path in zip(("chain", "key", "ca"), files):
        host.write(f"/etc/ssl/mail/{name}.pem", pathlib.Path(path).read_text())


def serve(real_server, stack, machine, mailboxes, words, port, options):
    with machine.inside():
        mail = real_server(Postfix, services=SUBMISSION.format(port=port, options=options), settings=TO_ALL)
        logins = Dovecot(mail.directory / "sasl").start()
        stack.callback(logins.stop)
        real_server(mailboxes, *words)
    return mail


# ---- The gateways ------------------------------------------------------------------------------------


def part(title):
    """The configurations below a heading: {file: text}."""
    text = PAGE.read_text()
    start = text.index(f"\n## {title}\n")
    first, last = text.count("\n", 0, start), text.count("\n", 0, text.find("\n## ", start + 1))
    return {block.file: block.text for block in blocks(PAGE) if first < block.line <= last}


def nginx(files):
    return [["nginx", "-g", "daemon off;"]]


def stunnel(files):
    """In the foreground, as systemd runs it too."""
    name, = (name for name in files if "stunnel" in name)
    options = f"foreground = yes\npid =\n{files[name]}"
    return [["sh", "-c", f"echo {shlex.quote(options)} >/run/stunnel.conf; exec stunnel4 /run/stunnel.conf"]]


def perdition(files):
    """What its init script does: a daemon for each protocol that is switched on."""
    settings = dict(re.findall(r'(?m)^(\w+)="?([^"\n]*)"?$', files["/etc/default/perdition"]))
    assert settings["RUN_PERDITION"] == "yes"
    daemons = [name for name in ("POP3", "POP3S", "IMAP4", "IMAP4S", "MANAGESIEVE") if settings[name] == "yes"]
    return [["perdition." + name.lower(), "--no_daemon", "--pid_file", f"/run/perdition/{name}", *settings["FLAGS"].split(),
             *settings[name + "_FLAGS"].split()] for name in daemons]


SERVER_PORTS = (("smtp", 587), ("imap", 143), ("imap", 993), ("pop3", 110), ("pop3", 995))
CLIENT_PORTS = (("smtp", 2525), ("imap", 1143), ("pop3", 1110), ("pop3", 1995))


class Way:
    """From which gateway, by which part of the page, for which ports."""

    def __init__(self, title, commands, ports, is_client=False):
        self.title, self.commands, self.ports, self.is_client = title, commands, ports, is_client

    def __str__(self):
        return self.title.removeprefix("From ").replace(", ", "-").replace(" ", "-")


WAYS = [Way("From nginx", nginx, SERVER_PORTS), Way("From stunnel, in front of servers", stunnel, SERVER_PORTS),
        Way("From stunnel, for programs without TLS", stunnel, CLIENT_PORTS, is_client=True),
        Way("From perdition", perdition, SERVER_PORTS[1:])]


@contextlib.contextmanager
def running(world, directory, way, is_old, change=str):
    """change: of a configuration's text, before it is used."""
    files = {name: change(text) for name, text in part(way.title).items()}
    for name, text in files.items():
        world.host.write(name, text)
    with contextlib.ExitStack() as stack:
        if is_old:
            for command in way.commands(files):
                process = subprocess.Popen(world.host.words(*command), stdin=subprocess.DEVNULL,
                                           stdout=(directory / "output").open("ab"), stderr=subprocess.STDOUT)
                stack.callback(stop, process)
        else:
            with world.host.inside():
                server = Housed(directory, files["/etc/starttlsd/starttlsd.ini"], command=world.host.words())
                stack.callback(server.stop)
                server.start()
        with place(world, way).inside():
            for _, port in way.ports:
                eventually(lambda: listens(way, port), what=f"port {port} of {way.title}")
        yield


def stop(process):
    for child in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        subprocess.run(["kill", child], check=True)
    process.wait(20)


def place(world, way):
    """Where the clients are."""
    return world.host if way.is_client else world.old


def address(way):
    return "127.0.0.1" if way.is_client else GATEWAY


def listens(way, port):
    with contextlib.suppress(OSError), Client(port, host=address(way), greeting=False):
        return True


# ---- The client --------------------------------------------------------------------------------------


def client_of(way, protocol, port):
    """As far as where a login may follow: by STARTTLS, by TLS from the first octet, or as a program without."""
    implicit = port in (993, 995)
    client = KINDS[protocol](port, host=address(way), greeting=not implicit)
    if implicit:
        client.handshake()
        client.greeting = client.reply()
    elif not way.is_client:
        client.starttls()
    return client


def send(client, mark):
    client.expect("EHLO client.test", 250)
    client.expect("AUTH PLAIN " + encoded("", *ALICE), 235)
    assert client.mail(message(mark, b"hello\r\n")).startswith("250")
    client.expect("QUIT", 221)


def read(client):
    if isinstance(client, ImapClient):
        assert client.command("LOGIN {} {}".format(*ALICE)).startswith("OK")
        assert client.command("SELECT INBOX").startswith("OK")
        assert client.command("LOGOUT").startswith("OK")
    else:
        client.login(*ALICE)
        client.expect("STAT", "+OK")
        client.expect("QUIT", "+OK")


def use(world, way, mark):
    with place(world, way).inside():
        for protocol, port in way.ports:
            with client_of(way, protocol, port) as client:
                if protocol == "smtp":
                    send(client, mark)
                else:
                    read(client)
    if "smtp" in dict(way.ports):
        world.inboxes[way.is_client].arrived(mark)


@pytest.mark.parametrize("is_old", [True, False], ids=["old", "new"])
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_client_does_the_same_with_both(world, directory, mark, way, is_old):
    with running(world, directory, way, is_old):
        use(world, way, mark)
        if not way.is_client:
            check_what_differs(world, way, is_old)


# ---- What the page says of them ----------------------------------------------------------------------


def check_what_differs(world, way, is_old):
    with world.old.inside():
        {"From nginx": nginx_differs, "From stunnel, in front of servers": stunnel_differs,
         "From perdition": perdition_differs}[way.title](way, is_old)


def nginx_differs(way, is_old):
    """After a wrong password, and in its mechanisms; not in what it takes in the clear."""
    with client_of(way, "smtp", 587) as client:
        assert ("CRAM-MD5" in client.expect("EHLO client.test", 250)) == (not is_old)
        client.expect("AUTH PLAIN " + encoded("", "alice", "wrong"), 535)
        assert client.at_end() if is_old else client.command("AUTH PLAIN " + encoded("", *ALICE)).startswith("235")
    with Pop3Client(110, host=GATEWAY) as client:
        client.login(*ALICE)
    with ImapClient(143, host=GATEWAY) as client:
        assert not client.command("LOGIN {} {}".format(*ALICE)).startswith("OK")


@pytest.mark.parametrize("is_old", [True, False], ids=["old", "new"])
def test_a_program_hears_why_its_provider_will_not_do(world, directory, is_old):
    """Of a server that has no TLS, and of one that has another's certificate."""
    def change(text):
        return text.replace("mail.example.net:587", "192.0.2.10:25").replace("mail.example.net", "other.example.net")
    with running(world, directory, WAYS[2], is_old, change), world.host.inside():
        for port, old, new in ((2525, "220 ", "421 4.4.1"), (1995, "", "-ERR [SYS/TEMP]")):
            with Client(port) as client:
                assert client.greeting.startswith(old if is_old else new)
                assert client.at_end()


def stunnel_differs(way, is_old):
    """In its last words, and in the greeting."""
    with Client(587, host=GATEWAY) as client:
        client.expect("EHLO client.test", 250)
        reply = client.command("MAIL FROM:<a@client.test>")
        assert reply == "" if is_old else reply.startswith("530 5.7.0")
    with Client(587, host=GATEWAY) as client:
        client.starttls()
        client.expect("EHLO client.test", 250)
        client.expect("MAIL FROM:<a@client.test>", 250 if is_old else 530)
    with Pop3Client(110, host=GATEWAY) as client:
        assert ("<" in client.greeting) == is_old
    with client_of(way, "pop3", 995) as client:
        assert "<" in client.greeting


def perdition_differs(way, is_old):
    """In what it knows before the login, and after a wrong password."""
    with client_of(way, "imap", 143) as client:
        assert ("AUTH=PLAIN" in client.capabilities()) == (not is_old)
        assert client.command("AUTHENTICATE PLAIN " + encoded("", *ALICE)).startswith("BAD" if is_old else "OK")
    with client_of(way, "imap", 143) as client:
        assert client.command("LOGIN alice wrong").startswith("NO")
        assert client.command("LOGIN {} {}".format(*ALICE)).startswith("NO" if is_old else "OK")
    with Pop3Client(110, host=GATEWAY) as client:
        client.login(*ALICE)


# ---- Side by side ------------------------------------------------------------------------------------


def test_both_run_side_by_side_until_the_new_one_takes_over(world, directory, mark):
    way = WAYS[0]
    trial = re.sub(r"(?m)^listen = \*:(\d+)$", lambda match: f"listen = *:{10000 + int(match[1])}",
                   part(way.title)["/etc/starttlsd/starttlsd.ini"])
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(contextlib.ExitStack())
        old.enter_context(running(world, directory, way, is_old=True))
        with world.host.inside():
            server = Housed(directory, trial, command=world.host.words())
            stack.callback(server.stop)
            server.start()
        done = world.host.do(PROGRAM, "probe", "smtp", "mail.example.org:10587", "--ca", "/etc/ssl/mail/ca.pem")
        assert "STARTTLS works at mail.example.org:10587" in done
        with world.old.inside():
            for port in (587, 10587):
                with Client(port, host=GATEWAY) as client:
                    client.starttls()
                    client.expect("EHLO client.test", 250)
        old.close()
        server.write(part(way.title)["/etc/starttlsd/starttlsd.ini"])
        server.reload()
        use(world, way, mark)

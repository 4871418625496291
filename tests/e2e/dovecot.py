# SPDX-License-Identifier: ISC
"""A real Dovecot: its authentication service alone, for Postfix to ask, or IMAP and POP3 in front of maildirs."""
import functools
import os
import pathlib
import shutil
import subprocess
import uuid

from gateway import eventually
from mailboxes import USERS, Mailboxes
from peers import free_port

# Dovecot 2.4 (Debian 13) has other words than 2.3 (Debian 12) for most of it.
WORDS_23 = {
    "begin": "",
    "cleartext": "disable_plaintext_auth = no",
    "accounts": """\
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {directory}/users
}}
# And a new user for whoever wants an empty mailbox.
passdb {{
  driver = static
  args = password=secret
  username_filter = new-*
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={directory}/mail/%u
}}
""",
    "reused": "service_count = 0",
    "maildir": "mail_location = maildir:{directory}/mail/%u",
    "compress": """\
mail_plugins = zlib
protocol imap {{
  mail_plugins = zlib imap_zlib
}}
""",
    "tls": "ssl = yes\nssl_cert = <{chain}\nssl_key = <{key}",
    "sieve": """\
plugin {{
  sieve = file:{directory}/mail/%u/scripts;active={directory}/mail/%u/active
}}
""",
    "log_elements": "user=<%u> method=%m rip=%r rport=%b lip=%l lport=%a session=<%{{session}}>",
}

WORDS_24 = {
    "begin": "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0",
    "cleartext": "auth_allow_cleartext = yes",
    "accounts": """\
passdb passwd-file {{
  passwd_file_path = {directory}/users
}}
# And a new user for whoever wants an empty mailbox.
passdb static {{
  password = secret
  username_filter = new-*
}}
userdb static {{
  fields {{
    uid = nobody
    gid = nogroup
    home = {directory}/mail/%{{user}}
  }}
}}
""",
    "reused": "restart_request_count = unlimited",
    "maildir": "mail_driver = maildir\nmail_path = {directory}/mail/%{{user}}",
    "compress": "mail_plugins = mail_compress",
    "tls": "ssl = yes\nssl_server_cert_file = {chain}\nssl_server_key_file = {key}",
    "sieve": """\
sieve_script personal {{
  path = {directory}/mail/%{{user}}/scripts
  active_path = {directory}/mail/%{{user}}/active
}}
""",
    "log_elements": "user=<%{{user}}> method=%{{mechanism}} rip=%{{remote_ip}} rport=%{{remote_port}} lip=%{{local_ip}} "
                    "lport=%{{local_port}} session=<%{{session}}>",
}

CONFIGURATION = """\
{begin}
base_dir = {directory}/run
state_dir = {directory}/run
log_path = {directory}/log
listen = 127.0.0.1
{cleartext}
# A wrong password is answered at once: tests cannot wait two seconds for each.
auth_failure_delay = 0
{accounts}
# Nor for those that follow from the same address.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0600
  }}
}}
{services}"""

AUTHENTICATION = """\
protocols =
ssl = no
auth_mechanisms = plain login cram-md5 digest-md5 scram-sha-256
# The protocol of smtpd_sasl_type = dovecot.
service auth {{
  unix_listener {directory}/auth {{
    mode = 0666
  }}
}}
"""

MAILBOXES = """\
protocols = imap pop3
{tls}
auth_mechanisms = plain login cram-md5 digest-md5 scram-sha-256 apop
{maildir}
mail_max_userip_connections = 0
mail_fsync = never
maildir_very_dirty_syncs = yes
{compress}
service imap-login {{
  {reused}
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  {reused}
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
"""

NO_PASSWORD = {"carol": ""}


@functools.cache
def words():
    version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=True).stdout
    return WORDS_23 if version.startswith("2.3.") else WORDS_24


def say(name, **values):
    """One of the words, filled in."""
    return words()[name].format(**values)


def tls(certificate):
    """certificate: `CHAIN KEY`, or None."""
    if not certificate:
        return "ssl = no"
    chain, key = certificate.split()
    return say("tls", chain=chain, key=key)


class Dovecot:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.chmod(0o755)
        self.socket = self.directory / "auth"
        self.process = None
        (self.directory / "dovecot.conf").write_text(CONFIGURATION.format(
            begin=say("begin"), cleartext=say("cleartext"), accounts=say("accounts", directory=directory),
            directory=directory, services=self.services()))
        users = {**USERS, **NO_PASSWORD}
        (self.directory / "users").write_text("".join(f"{name}:{{PLAIN}}{word}\n" for name, word in users.items()))

    def services(self):
        return AUTHENTICATION.format(directory=self.directory)

    def start(self):
        # The machine's name may be one that only a name server knows, and none is asked.
        self.process = subprocess.Popen(["dovecot", "-F", "-c", self.directory / "dovecot.conf"],
                                        stdin=subprocess.DEVNULL, stderr=(self.directory / "stderr").open("wb"),
                                        env={**os.environ, "DOVECOT_HOSTDOMAIN": "backend.example.test"})
        eventually(self.greets, what="Dovecot's socket")
        return self

    def greets(self):
        self.check_alive()
        return self.socket.exists()

    def check_alive(self):
        assert self.process.poll() is None, (self.directory / "stderr").read_text() + self.log()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def log(self):
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""


class DovecotMailboxes(Mailboxes, Dovecot):
    def __init__(self, directory, certificate=None):
        """certificate: `CHAIN KEY`, and it offers STARTTLS and STLS itself, and TLS from the first octet at .imaps and
        .pop3s."""
        self.tls = tls(certificate)
        self.imaps_port = self.pop3s_port = 0
        if certificate:
            self.imaps_port, self.pop3s_port = free_port(), free_port()
            self.imaps, self.pop3s = f"127.0.0.1:{self.imaps_port}", f"127.0.0.1:{self.pop3s_port}"
        self.take_ports()
        super().__init__(directory)
        (self.directory / "mail").mkdir()
        shutil.chown(self.directory / "mail", "nobody", "nogroup")

    @staticmethod
    def is_there():
        return all(pathlib.Path("/usr/lib/dovecot", name).exists() for name in ("imap", "pop3"))

    @staticmethod
    def new_user():
        """Name and password of somebody whose mailbox is empty."""
        return f"new-{uuid.uuid4().hex}", "secret"

    def services(self):
        return MAILBOXES.format(maildir=say("maildir", directory=self.directory), compress=say("compress"), tls=self.tls, reused=say("reused"),
                                imap=self.imap_port, pop3=self.pop3_port, imaps=self.imaps_port, pop3s=self.pop3s_port)


class PublicMailboxes(DovecotMailboxes):
    """At the ports that mailbox servers have, on all addresses."""

    def take_ports(self):
        self.imap_port, self.pop3_port = 143, 110

    def services(self):
        return super().services() + "listen = *, ::\n"

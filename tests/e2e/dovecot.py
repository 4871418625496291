# SPDX-License-Identifier: ISC
"""A real Dovecot: its authentication service alone, for Postfix to ask, or IMAP and POP3 in front of maildirs."""
import pathlib
import shutil
import subprocess
import uuid

from gateway import eventually
from mailboxes import USERS, Mailboxes
from peers import free_port

CONFIGURATION = """\
base_dir = {directory}/run
state_dir = {directory}/run
log_path = {directory}/log
listen = 127.0.0.1
disable_plaintext_auth = no
# A wrong password is answered at once: tests cannot wait two seconds for each.
auth_failure_delay = 0
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
mail_location = maildir:{directory}/mail/%u
mail_max_userip_connections = 0
mail_fsync = never
maildir_very_dirty_syncs = yes
mail_plugins = zlib
protocol imap {{
  mail_plugins = zlib imap_zlib
}}
service imap-login {{
  service_count = 0
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  service_count = 0
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


class Dovecot:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.chmod(0o755)
        self.socket = self.directory / "auth"
        self.process = None
        (self.directory / "dovecot.conf").write_text(CONFIGURATION.format(directory=directory, services=self.services()))
        users = {**USERS, **NO_PASSWORD}
        (self.directory / "users").write_text("".join(f"{name}:{{PLAIN}}{word}\n" for name, word in users.items()))

    def services(self):
        return AUTHENTICATION.format(directory=self.directory)

    def start(self):
        self.process = subprocess.Popen(["dovecot", "-F", "-c", self.directory / "dovecot.conf"],
                                        stdin=subprocess.DEVNULL, stderr=(self.directory / "stderr").open("wb"))
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
        self.tls = "ssl = no"
        self.imaps_port = self.pop3s_port = 0
        if certificate:
            self.imaps_port, self.pop3s_port = free_port(), free_port()
            self.imaps, self.pop3s = f"127.0.0.1:{self.imaps_port}", f"127.0.0.1:{self.pop3s_port}"
            self.tls = "ssl = yes\nssl_cert = <{}\nssl_key = <{}".format(*certificate.split())
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
        return MAILBOXES.format(directory=self.directory, tls=self.tls, imap=self.imap_port, pop3=self.pop3_port,
                                imaps=self.imaps_port, pop3s=self.pop3s_port)


class PublicMailboxes(DovecotMailboxes):
    """At the ports that mailbox servers have, on all addresses."""

    def take_ports(self):
        self.imap_port, self.pop3_port = 143, 110

    def services(self):
        return super().services() + "listen = *, ::\n"

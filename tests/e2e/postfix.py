# SPDX-License-Identifier: ISC
"""A real Postfix in a temporary directory: one smtpd on loopback, every mail for @example.test into a maildir."""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import time

from maildir import Maildir, files_below
from peers import free_port

MAIN = """\
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {directory}/maillog
maillog_file_prefixes = {directory}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = backend.example.test
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = example.test
virtual_mailbox_base = {directory}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 200000000
queue_minfree = 0
# What is delivered is what came: no header added, and the octets of lines as starttlsd sent them.
local_header_rewrite_clients =
always_add_missing_headers = no
smtpd_forbid_bare_newline = no
# And what hurries is heard: 3.9 and later refuse it, and with it most of what is smuggled.
smtpd_forbid_unauth_pipelining = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_error_sleep_time = 0
smtpd_tls_security_level = none
# As behind other proxies: whoever comes from this machine may say that he is somebody else.
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_authorized_xforward_hosts = 127.0.0.0/8
in_flow_delay = 0
virtual_destination_concurrency_limit = 20
default_process_limit = 40
biff = no
# Nothing leaves this machine, however much is relayed.
default_transport = discard
relay_transport = discard
{settings}"""

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{login_port} inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_type=dovecot -o smtpd_sasl_path={directory}/sasl/auth
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
{services}"""


QUEUE = "active bounce corrupt defer deferred flush hold incoming private saved trace".split()


class Postfix:
    def __init__(self, directory, settings="", services=""):
        """settings, services: more of main.cf and master.cf.

        .address  like most: mail for @example.test, and any mail from 127.0.0.1
        .login    the same with AUTH, once a Dovecot(directory / "sasl") runs
        """
        self.directory = pathlib.Path(directory)
        self.directory.chmod(0o755)
        self.inbox = Maildir(self.directory / "mail/inbox")
        owner = pwd.getpwnam("postfix")
        self.daemons = next(d for d in map(pathlib.Path, ("/usr/lib/postfix/sbin", "/usr/libexec/postfix")) if d.is_dir())
        self.port, self.login_port = free_port(), free_port()
        self.address, self.login = f"127.0.0.1:{self.port}", f"127.0.0.1:{self.login_port}"
        values = dict(directory=directory, daemons=self.daemons, uid=owner.pw_uid, gid=owner.pw_gid, port=self.port,
                      login_port=self.login_port, settings=settings, services=services)
        (self.directory / "main.cf").write_text(MAIN.format(**values))
        (self.directory / "master.cf").write_text(MASTER.format(**values))
        for name in ("queue", "data", "mail", "sasl"):
            (self.directory / name).mkdir()
        for name in ("data", "mail"):
            shutil.chown(self.directory / name, "postfix", owner.pw_gid)
        self.make_queue()

    def make_queue(self):
        """As `postfix start` makes it, by shell scripts that take five seconds."""
        queue = self.directory / "queue"
        (queue / "pid").mkdir()
        for name, group, mode in (*((name, "postfix", 0o700) for name in QUEUE), ("maildrop", "postdrop", 0o730),
                                  ("public", "postdrop", 0o710)):
            (queue / name).mkdir()
            shutil.chown(queue / name, "postfix", group)
            (queue / name).chmod(mode)

    def start(self):
        # It comes back when the addresses are listened on.
        done = subprocess.run([self.daemons / "master", "-w", "-c", self.directory], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr + self.log()
        return self

    def stop(self):
        """All its processes at once."""
        path = self.directory / "queue/pid/master.pid"
        if path.exists():
            os.killpg(int(path.read_text()), signal.SIGKILL)

    def log(self):
        path = self.directory / "maillog"
        return path.read_text() if path.exists() else ""

    def mails(self, mark):
        """The delivered mails with this mark in their header."""
        return self.inbox.mails(mark)

    def arrived(self, mark, count=1, patience=30):
        return self.inbox.arrived(mark, count, patience, self)

    def queued(self):
        return files_below(*(self.directory / "queue" / name for name in ("incoming", "active", "deferred", "maildrop")))

# SPDX-License-Identifier: ISC
"""A real Exim 4: every mail for @example.test into a maildir, relaying for 127.0.0.1, logins in the clear.

Or a sender that hands all mail on, in TLS, and in chunks where they are offered.
"""
import os

from maildir import files_below
from peers import UNPRIVILEGED, Unpacked

CONFIGURATION = """\
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
primary_hostname = exim.example.test
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim_%slog
pid_file_path = /var/run/exim.pid
notifier_socket =
keep_environment =
host_lookup =
rfc1413_query_timeout = 0s
message_size_limit = 200M
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
never_users =
{tls}
chunking_advertise_hosts = *
auth_advertise_hosts = *
pipelining_advertise_hosts = *
smtp_enforce_sync = true
domainlist ours = example.test
# As nearly every server behind a gateway does, without knowing it: its own machine may send anywhere.
hostlist trusted = 127.0.0.1
{settings}acl_smtp_rcpt = recipient
acl_smtp_data = accept

begin acl
recipient:
  accept domains = +ours
  accept hosts = +trusted
  deny message = relay not permitted

begin routers
{onward}
ours:
  driver = accept
  domains = +ours
  transport = inbox
others:
  driver = accept
  transport = nowhere

begin transports
onward:
  driver = smtp
  hosts_require_tls = *
  tls_verify_hosts = *
  tls_verify_cert_hostnames = *
  tls_verify_certificates = {ca}
  message_linelength_limit = 100000
inbox:
  driver = appendfile
  directory = /var/mail/inbox
  maildir_format
  message_prefix =
  message_suffix =
  check_string =
  escape_string =
  user = {owner}
  group = {owner}
nowhere:
  driver = appendfile
  file = /dev/null
  user = {owner}
  group = {owner}

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{ {{eq{{$auth2}}{{alice}}}} {{eq{{$auth3}}{{secret}}}} }}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{ {{eq{{$auth1}}{{alice}}}} {{eq{{$auth2}}{{secret}}}} }}}}
  server_set_id = $auth1
"""

ONWARD = """\
onward:
  driver = manualroute
  route_list = * localhost::{port} byname
  transport = onward
  self = send
"""


TLS = """\
tls_advertise_hosts = *
tls_certificate = {}
tls_privatekey = {}"""


class Exim(Unpacked):
    name = "exim"
    users = {"Debian-exim": "/var/spool/exim4"}
    command = ("/usr/sbin/exim4", "-bdf")

    def __init__(self, directory, onward=None, ca="", settings="", certificate=None):
        """onward: a port on this machine, where all mail goes; settings: more of the main section; certificate: `CHAIN
        KEY`, for STARTTLS."""
        self.onward, self.ca, self.settings, self.certificate = onward, ca, settings, certificate
        super().__init__(directory)

    def configure(self):
        (self.home / "etc/exim4").mkdir()
        file = self.home / "etc/exim4/exim4.conf"
        file.write_text(CONFIGURATION.format(
            tls=TLS.format(*self.certificate.split()) if self.certificate else "tls_advertise_hosts =",
            port=self.port, owner=UNPRIVILEGED, ca=self.ca or "system", settings=self.settings,
            onward=ONWARD.format(port=self.onward) if self.onward else ""))
        os.chown(file, 0, 0)
        for name in ("var/spool/exim4", "var/log"):
            (self.home / name).mkdir(exist_ok=True)
            os.chown(self.home / name, self.id_of("Debian-exim"), self.id_of("Debian-exim"))

    def queued(self):
        return [path for path in files_below(self.home / "var/spool/exim4/input") if path.name.endswith("-H")]

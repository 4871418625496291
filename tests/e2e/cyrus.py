# SPDX-License-Identifier: ISC
"""A real Cyrus: IMAP and POP3, logins in the clear, users in Cyrus SASL's own table (sasldb)."""
import os

from mailboxes import Mailboxes
from peers import Unpacked

SETTINGS = """\
configdirectory: /var/lib/cyrus
proc_path: /run/cyrus/proc
mboxname_lockpath: /run/cyrus/lock
defaultpartition: default
partition-default: /var/spool/cyrus
servername: cyrus.example.test
syslog_prefix: cyrus
# A mailbox is made at the first login.
autocreate_quota: 0
autocreate_inbox_folders: Drafts
popminpoll: 0
imapidlepoll: 1
maxmessagesize: 0
allowplaintext: yes
allowapop: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: /var/lib/cyrus/sasldb2
sasl_mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256
duplicatesuppression: no
"""

SERVICES = """\
START {{
  recover cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -r"
}}
SERVICES {{
  imap cmd="/usr/lib/cyrus/bin/imapd -U 30" listen="127.0.0.1:{imap}" prefork=1
  pop3 cmd="/usr/lib/cyrus/bin/pop3d -U 30" listen="127.0.0.1:{pop3}" prefork=1
}}
"""

COMMAND = """
set -e
while read -r user password; do
    printf %s "$password" | saslpasswd2 -p -c -f /var/lib/cyrus/sasldb2 -u cyrus.example.test "$user"
done <<USERS
{users}
USERS
chown cyrus: /var/lib/cyrus/sasldb2
exec cyrmaster -D
"""


class Cyrus(Mailboxes, Unpacked):
    name = "cyrus"
    users = {"cyrus": "/var/spool/cyrus"}

    def configure(self):
        self.take_ports()
        (self.home / "etc/imapd.conf").write_text(SETTINGS)
        (self.home / "etc/cyrus.conf").write_text(SERVICES.format(imap=self.imap_port, pop3=self.pop3_port))
        for name in ("var/run/cyrus/proc", "var/run/cyrus/lock", "var/run/cyrus/socket", "var/lib/cyrus/db",
                     "var/lib/cyrus/socket", "var/spool/cyrus"):
            (self.home / name).mkdir(parents=True)
        for path in [self.home / name for name in ("var/run/cyrus", "var/lib/cyrus", "var/spool/cyrus")]:
            for file in (path, *path.rglob("*")):
                os.chown(file, self.id_of("cyrus"), self.id_of("cyrus"))
        self.command = ("sh", "-c", COMMAND.format(users=self.user_lines()))

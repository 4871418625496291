# SPDX-License-Identifier: ISC
"""A real Courier: IMAP and POP3 in front of maildirs, logins in the clear, users in its own table (userdb)."""
from mailboxes import Mailboxes
from peers import Unpacked

# What Debian's init scripts do, in one process group: the table, the daemon that knows passwords, two listeners.
COMMAND = r"""
set -e
cd /
mount --bind {home}/etc/courier /etc/courier
while read -r user password; do
    place=/var/mail/$user
    install -d -o nobody -g nogroup $place $place/Maildir $place/Maildir/tmp $place/Maildir/new $place/Maildir/cur
    plain=$(echo "$password" | userdbpw -md5) hmac=$(echo "$password" | userdbpw -hmac-md5)
    echo "$user	uid=65534|gid=65534|home=$place|mail=$place/Maildir|systempw=$plain|hmac-md5pw=$hmac"
done >/etc/courier/userdb <<USERS
{users}
USERS
chmod 600 /etc/courier/userdb
makeuserdb
umask 0
export MAILDIRPATH=Maildir IMAP_CAPABILITY="{capability}" POP3AUTH="{mechanisms}"
export IMAP_EMPTYTRASH= IMAP_USELOCKS=1 IMAP_IDLE_TIMEOUT=1 IMAP_CHECK_ALL_FOLDERS=0 IMAP_MAILBOX_SANITY_CHECK=0
/usr/lib/courier/courier-authlib/authdaemond &
# A newer one asks nobody for IDENT, and has no word against it.
ident=$(grep -qa noidentlookup "$(command -v couriertcpd)" && echo -noidentlookup || true)
listen() {{
    exec couriertcpd -address=127.0.0.1 -maxprocs=40 -maxperip=40 -maxperc=40 -nodnslookup $ident "$@"
}}
lib=/usr/lib/courier/courier
(listen {pop3} $lib/courierpop3login $lib/courierpop3d Maildir) &
listen {imap} $lib/imaplogin /usr/bin/imapd Maildir
"""

CAPABILITY = ("IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT SORT QUOTA IDLE AUTH=PLAIN AUTH=CRAM-MD5 "
              "AUTH=CRAM-SHA1")
MECHANISMS = "PLAIN LOGIN CRAM-MD5"


class Courier(Mailboxes, Unpacked):
    name = "courier"
    users = {"courier": "/var/lib/courier"}

    def configure(self):
        self.take_ports()
        home = self.home / "etc/courier"
        home.mkdir()
        (home / "authdaemonrc").write_text('authmodulelist="authuserdb"\ndaemons=2\n')
        for name in ("var/run/courier/authdaemon", "var/lib/courier"):
            (self.home / name).mkdir(parents=True)
        self.command = ("sh", "-c", COMMAND.format(home=self.home, users=self.user_lines(), capability=CAPABILITY,
                                                   mechanisms=MECHANISMS, imap=self.imap_port, pop3=self.pop3_port))

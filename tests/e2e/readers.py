# SPDX-License-Identifier: ISC
"""Real clients that fetch mail by IMAP or POP3: each a function of the same arguments, which returns all contents.

port       of a service; the host is always localhost, whose certificate is verified
user       (name, password)
implicit   TLS from the first octet on, or else STARTTLS or STLS, which is insisted on
directory  an empty one, for what the client keeps

What they show as lines comes back with CRLF. Those of WRITERS put one mail into INBOX by IMAP first, if `new` is given.
"""
import imaplib
import json
import poplib
import re
import ssl

from mailboxes import fetch_all
from peers import FETCHED, run


def with_crlf(content):
    return content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


# ---- IMAP -------------------------------------------------------------------------------------------


def by_imaplib(port, ca, user, implicit, directory, new=None):
    context = ssl.create_default_context(cafile=str(ca))
    options = {"ssl_context": context} if implicit else {}
    with (imaplib.IMAP4_SSL if implicit else imaplib.IMAP4)("localhost", port, timeout=60, **options) as client:
        if not implicit:
            client.starttls(context)
        client.login(*user)
        if new:
            assert client.append("INBOX", None, None, new)[0] == "OK"
        client.select()
        return fetch_all(client)


def by_curl(port, ca, user, implicit, directory, new=None):
    """One session for each request."""
    words = ["curl", "-sS", "--ssl-reqd", "--cacert", ca, "--user", ":".join(user)]
    url = f"imap{'s' if implicit else ''}://localhost:{port}/INBOX"
    if new:
        (directory / "new").write_bytes(new)  # the size comes first
        run([*words, "--upload-file", directory / "new", url])
    numbers = run([*words, "--request", "SEARCH ALL", url]).split()[2:]
    return [run([*words, f"{url};MAILINDEX={number}"], raw=True) for number in numbers]


MBSYNC = """\
IMAPAccount there
Host localhost
Port {port}
User {user}
Pass "{password}"
SSLType {security}
SystemCertificates no
CertificateFile {ca}
Timeout 60

IMAPStore there
Account there

MaildirStore here
Path {directory}/
Inbox {directory}/inbox

Channel mail
Far :there:
Near :here:
Create Near
Sync All
SyncState *
CopyArrivalDate no
"""


def by_mbsync(port, ca, user, implicit, directory, new=None):
    (directory / "mbsyncrc").write_text(MBSYNC.format(
        port=port, user=user[0], password=user[1], security="IMAPS" if implicit else "STARTTLS", ca=ca,
        directory=directory))
    inbox = directory / "inbox"
    if new:
        for name in ("tmp", "new", "cur"):
            (inbox / name).mkdir(parents=True)
        (inbox / "cur" / "1.new.client:2,").write_bytes(new.replace(b"\r\n", b"\n"))
    run(["mbsync", "--config", directory / "mbsyncrc", "mail"], HOME=str(directory))
    files = [path for path in inbox.glob("*/*") if path.parent.name != "tmp"]
    # It marks what it copies.
    return [with_crlf(re.sub(rb"X-TUID: .*\n", b"", path.read_bytes())) for path in files]


def by_imapflow(port, ca, user, implicit, directory, new=None):
    options = {"host": "localhost", "port": port, "secure": implicit, "doSTARTTLS": not implicit, "logger": False,
               "auth": dict(zip(("user", "pass"), user))}
    script = FETCHED.parent.parent / "tests" / "e2e" / "imapflow.js"
    output = run(["node", script, json.dumps(options)], new or b"", NODE_EXTRA_CA_CERTS=str(ca),
                 NODE_PATH=str(FETCHED / "imapflow" / "node_modules"))
    return [content.encode("latin-1") for content in json.loads(output)]


# ---- POP3 -------------------------------------------------------------------------------------------


def by_poplib(port, ca, user, implicit, directory):
    context = ssl.create_default_context(cafile=str(ca))
    if implicit:
        client = poplib.POP3_SSL("localhost", port, timeout=60, context=context)
    else:
        client = poplib.POP3("localhost", port, timeout=60)
        client.stls(context)
    client.user(user[0])
    client.pass_(user[1])
    contents = [b"".join(line + b"\r\n" for line in client.retr(index + 1)[1]) for index in range(client.stat()[0])]
    client.quit()
    return contents


def by_curl_pop3(port, ca, user, implicit, directory):
    words = ["curl", "-sS", "--ssl-reqd", "--cacert", ca, "--user", ":".join(user)]
    url = f"pop3{'s' if implicit else ''}://localhost:{port}"
    numbers = [line.split()[0] for line in run([*words, f"{url}/"]).splitlines()]
    return [run([*words, f"{url}/{number}"], raw=True) for number in numbers]


# ---- Both -------------------------------------------------------------------------------------------

FETCHMAIL = """\
set invisible
set no bouncemail
poll localhost protocol {protocol} port {port}
  user "{user}" password "{password}" is "nobody" here
  {security} sslcertck sslcertfile {ca}
  fetchall keep no rewrite no mimedecode
  mda "cat >{directory}/$$.mail"
"""


def by_fetchmail(port, ca, user, implicit, directory, protocol="imap"):
    configuration = directory / "fetchmailrc"
    configuration.write_text(FETCHMAIL.format(
        protocol=protocol, port=port, user=user[0], password=user[1], directory=directory, ca=ca,
        security="ssl" if implicit else "sslproto tls1+"))
    configuration.chmod(0o600)
    run(["fetchmail", "--nosyslog", "-v", "--fetchmailrc", configuration], FETCHMAILHOME=str(directory))
    return [with_crlf(path.read_bytes()) for path in directory.glob("*.mail")]


def by_fetchmail_pop3(port, ca, user, implicit, directory):
    return by_fetchmail(port, ca, user, implicit, directory, "pop3")


WRITERS = {"imaplib": by_imaplib, "curl": by_curl, "mbsync": by_mbsync, "imapflow": by_imapflow}
IMAP_READERS = {**WRITERS, "fetchmail": by_fetchmail}
POP3_READERS = {"poplib": by_poplib, "curl": by_curl_pop3, "fetchmail": by_fetchmail_pop3}

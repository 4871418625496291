# SPDX-License-Identifier: ISC
"""Real clients that send one mail, with or without a login: each a function of the same arguments.

port      of a service; the host is always localhost, whose certificate is verified
user      (name, password), or None
implicit  TLS from the first octet on, or else STARTTLS, which is insisted on
"""
import functools
import json
import smtplib
import ssl
import subprocess

from peers import FETCHED, run

SENDER, RECIPIENT = "a@client.test", "b@example.test"


def by_smtplib(port, ca, content, user=None, implicit=False):
    context = ssl.create_default_context(cafile=str(ca))
    kind = {"context": context} if implicit else {}
    with (smtplib.SMTP_SSL if implicit else smtplib.SMTP)("localhost", port, timeout=60, **kind) as client:
        if not implicit:
            client.starttls(context=context)
        if user:
            client.login(*user)
        # It doubles the dots itself, and turns every lone CR and LF into CRLF: there is none.
        client.sendmail(SENDER, [RECIPIENT], content)


def by_curl(port, ca, content, user=None, implicit=False):
    login = ("--user", ":".join(user)) if user else ()
    run(["curl", "-sS", "--ssl-reqd", "--cacert", ca, f"smtp{'s' if implicit else ''}://localhost:{port}/client.test",
         "--mail-from", SENDER, "--mail-rcpt", RECIPIENT, "-T", "-", *login], content)


def by_swaks(port, ca, content, user=None, implicit=False, mechanism="PLAIN"):
    login = ("--auth", mechanism, "--auth-user", user[0], "--auth-password", user[1]) if user else ()
    # --data adds a newline of its own.
    run(["swaks", "--tls-on-connect" if implicit else "--tls", "--tls-verify", "--tls-ca-path", ca, "--server",
         f"localhost:{port}", "--from", SENDER, "--to", RECIPIENT, "--helo", "client.test", "--timeout", "30",
         "--data", "-", *login], content.removesuffix(b"\r\n").replace(b"\r\n", b"\n"))


@functools.cache
def msmtp_knows_scram():
    """1.8.28 (Debian 13) does not inside TLS, with a Postfix and nothing between either: it fails before it says AUTH."""
    version = subprocess.run(["msmtp", "--version"], capture_output=True, text=True, check=True).stdout
    return "msmtp version 1.8.28\n" not in version


def by_msmtp(port, ca, content, user=None, implicit=False, mechanism=None):
    mechanism = mechanism or ("on" if msmtp_knows_scram() else "plain")
    login = (f"--auth={mechanism.lower()}", f"--user={user[0]}", f"--passwordeval=echo '{user[1]}'") if user else ("--auth=off",)
    run(["msmtp", "--file=/dev/null", "--host=localhost", f"--port={port}", "--tls=on",
         f"--tls-starttls={'off' if implicit else 'on'}", f"--tls-trust-file={ca}", f"--from={SENDER}", *login,
         "--", RECIPIENT], content.replace(b"\r\n", b"\n"))


def by_nodemailer(port, ca, content, user=None, implicit=False):
    transport = {"host": "localhost", "port": port, "secure": implicit, "requireTLS": not implicit}
    if user:
        transport["auth"] = dict(zip(("user", "pass"), user))
    options = {"transport": transport, "envelope": {"from": SENDER, "to": RECIPIENT}}
    script = FETCHED.parent.parent / "tests" / "e2e" / "nodemailer.js"
    run(["node", script, json.dumps(options)], content, NODE_EXTRA_CA_CERTS=str(ca),
        NODEMAILER=str(FETCHED / "nodemailer" / "package"))


SENDERS = {"smtplib": by_smtplib, "curl": by_curl, "swaks": by_swaks, "msmtp": by_msmtp, "node": by_nodemailer}

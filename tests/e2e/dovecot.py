# SPDX-License-Identifier: ISC
"""Dovecot's authentication service alone, for Postfix to ask (protocol of smtpd_sasl_type = dovecot)."""
import pathlib
import subprocess

from gateway import eventually

CONFIGURATION = """\
base_dir = {directory}/run
state_dir = {directory}/run
log_path = {directory}/log
protocols =
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5 digest-md5 scram-sha-256
# A wrong password is answered at once: tests cannot wait two seconds for each.
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {directory}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service auth {{
  unix_listener {directory}/auth {{
    mode = 0666
  }}
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
"""

USERS = {"alice": "secret", "bob": "pass word", "carol": ""}


class Dovecot:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.chmod(0o755)
        self.socket = self.directory / "auth"
        self.process = None
        (self.directory / "dovecot.conf").write_text(CONFIGURATION.format(directory=directory))
        (self.directory / "users").write_text("".join(f"{name}:{{PLAIN}}{word}\n" for name, word in USERS.items()))

    def start(self):
        self.process = subprocess.Popen(["dovecot", "-F", "-c", self.directory / "dovecot.conf"],
                                        stdin=subprocess.DEVNULL, stderr=(self.directory / "stderr").open("wb"))
        eventually(self.is_up, what="Dovecot's socket")
        return self

    def is_up(self):
        assert self.process.poll() is None, (self.directory / "stderr").read_text() + self.log()
        return self.socket.exists()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def log(self):
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

# SPDX-License-Identifier: ISC
"""Real mail servers that cannot be installed beside Postfix, run from build/peers (tests/peers.sh).

Their paths and users are compiled in. So each runs in a mount namespace of its own, where what was unpacked lies
over /usr, /etc has its configuration and users, and /var is a directory of the test's; the network is everybody's.
"""
import contextlib
import itertools
import os
import pathlib
import signal
import socket
import subprocess

from gateway import eventually
from maildir import Maildir

FETCHED = pathlib.Path(__file__).resolve().parents[2] / "build" / "peers"

# Overlays are read-only without an upper directory. $0 has usr (unpacked), $1 etc and var.
NAMESPACE = r"""
set -e
unpacked=$1 home=$2
shift 2
mount --make-rprivate /
mount -t overlay -o "lowerdir=$unpacked/usr:/usr" none /usr
mount -t overlay -o "lowerdir=$home/etc:/etc" none /etc
mount --bind "$home/var" /var
mount --bind "$home/var/run" /run
exec "$@"
"""

UNPRIVILEGED = 65534  # who owns the mail


def run(words, data=b"", raw=False, **environment):
    """What a client said, as text or as it is; it must succeed."""
    done = subprocess.run([str(word) for word in words], input=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60, env={**os.environ, **environment})
    text = done.stdout.decode(errors="replace")
    assert done.returncode == 0, text
    return done.stdout if raw else text


def is_there(name):
    return (FETCHED / name / "complete").exists()


# Below the ports that the kernel gives to outgoing connections, and of several pytest processes each its own. Each run
# begins somewhere else: of two on one machine the second would not be told, since Postfix shares its ports (SO_REUSEPORT).
SHARE = 22000 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
FIRST = 10000 + SHARE * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
BEGIN = os.getpid() * 97 % SHARE
PORTS = itertools.cycle([*range(FIRST + BEGIN, FIRST + SHARE), *range(FIRST, FIRST + BEGIN)])


def free_port():
    """None twice in a run."""
    for port in PORTS:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Unpacked:
    """A server out of build/peers. Subclasses say `name`, `users`, `command` and write their configuration."""

    name = ""
    users = {}    # name: home
    command = ()

    def __init__(self, directory):
        self.home = pathlib.Path(directory)
        self.home.chmod(0o755)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = None
        for name in ("etc", "var/run", "var/mail", "var/log", "var/lib", "var/tmp", "var/spool"):
            (self.home / name).mkdir(parents=True)
        (self.home / "var/tmp").chmod(0o1777)
        self.inbox = Maildir(self.home / "var/mail/inbox")
        for path in (self.inbox.directory, *(self.inbox.directory / name for name in ("tmp", "new", "cur"))):
            path.mkdir()
            os.chown(path, UNPRIVILEGED, UNPRIVILEGED)
        # No server of names is asked: 127.0.0.1 is in the hosts file.
        (self.home / "etc/resolv.conf").write_text("lookup file\n")
        self.add_users()
        self.configure()

    def add_users(self):
        for name, line in (("passwd", "{user}:x:{id}:{id}::{home}:/usr/sbin/nologin\n"), ("group", "{user}:x:{id}:\n")):
            text = pathlib.Path("/etc", name).read_text()
            text += "".join(line.format(user=user, id=self.id_of(user), home=home) for user, home in self.users.items())
            (self.home / "etc" / name).write_text(text)

    def id_of(self, user):
        return 64000 + list(self.users).index(user)

    def configure(self):
        raise NotImplementedError

    def start(self):
        output = (self.home / "output").open("wb")
        words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", NAMESPACE, "sh",
                 FETCHED / self.name, self.home, *self.command]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        eventually(self.greets, what=f"{self.name}'s greeting")
        return self

    def check_alive(self):
        assert self.process.poll() is None, f"{self.name} does not run:\n{self.log()}"

    def greets(self):
        self.check_alive()
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as client:
                return client.recv(512).startswith(b"220")
        except OSError:
            return False

    def stop(self):
        # The first process of its namespace goes, and with it all others; unshare itself is only its parent.
        if self.process and self.process.poll() is None:
            first, = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            os.kill(int(first), signal.SIGKILL)
            self.process.wait(10)

    def log(self):
        files = [self.home / "output", *sorted((self.home / "var/log").glob("*"))]
        return "\n".join(path.read_text(errors="replace") for path in files if path.is_file())

    def arrived(self, mark, count=1, patience=30):
        return self.inbox.arrived(mark, count, patience, self)

    def queued(self):
        raise NotImplementedError

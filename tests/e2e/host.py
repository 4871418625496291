# SPDX-License-Identifier: ISC
"""A machine as a reader of README has it: network, /etc, /usr/local, /var, /run and processes of its own, and nothing of
it is left on this one. What stands in the documents is done there to the letter."""
import os
import pathlib
import subprocess

from documents import ROOT
from gateway import Starttlsd
from networks import Machine

STAND_INS = pathlib.Path(__file__).with_name("stand_ins.sh")

# What is written goes to memory and lies over what this machine has.
NAMESPACE = r"""
set -e
mount --make-rprivate /
mount -t tmpfs none "$1"
for name in etc usr/local var; do
    mkdir -p "$1/$name/new" "$1/$name/work"
    mount -t overlay -o "lowerdir=/$name,upperdir=$1/$name/new,workdir=$1/$name/work" none "/$name"
done
mount -t tmpfs none /run
hostname "$2"
: >/etc/resolv.conf
echo ready
# The first process of all buries the dead.
while :; do sleep 1000; done
"""


class Host(Machine):
    def __init__(self, directory, name):
        super().__init__()
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.environment = {}  # of the commands that it follows
        self.unknown = self.directory.parent / f"{self.directory.name}-unknown"
        with self.inside():
            self.holder = subprocess.Popen(
                ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", NAMESPACE,
                 "sh", self.directory, name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"ready\n"
        children = pathlib.Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").read_text()
        self.first = int(children.split()[0])

    def words(self, *words):
        """A command line that runs these words there, in the repository's directory."""
        return ["nsenter", f"--target={self.first}", "--mount", "--uts", "--net", "--pid", f"--wd={ROOT}", *map(str, words)]

    def do(self, *words, text=None):
        done = subprocess.run(self.words(*words), input=text, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def write(self, path, text):
        self.do("sh", "-c", 'mkdir -p "$(dirname "$0")" && cat >"$0"', path, text=text)

    def read(self, path):
        return self.do("cat", path)

    def follow(self, commands, where="this"):
        """Does what a block of commands says, and returns what it prints."""
        script = f". {STAND_INS}\n{commands}"
        done = subprocess.run(self.words("bash", "-c", script), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=80, env={**os.environ, "UNKNOWN": str(self.unknown), **self.environment})
        if self.unknown.exists():
            word = self.unknown.read_text().strip()
            self.unknown.unlink()
            raise AssertionError(f"{where}: nobody has tried `{word}` (stand_ins.sh)")
        assert done.returncode == 0, f"{where}: exit status {done.returncode}\n{commands}\n{done.stdout}{done.stderr}"
        return done.stdout

    def close(self):
        self.holder.kill()  # and with it all that runs there
        self.holder.wait(10)
        super().close()


class Housed(Starttlsd):
    """One on such a machine: command=host.words()."""

    @property
    def pid(self):
        """Not that of the command in front."""
        return int(pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text())

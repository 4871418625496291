# SPDX-License-Identifier: ISC
"""Three machines in a row, each a network namespace: client, gateway, backend. Nothing of them has a name on this
machine, and they are gone with the process that made them."""
import contextlib
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Machine:
    def __init__(self):
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            check(libc.unshare(CLONE_NEWNET))
            self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        finally:
            check(libc.setns(home, CLONE_NEWNET))
            os.close(home)
        self.run("ip link set lo up")

    @contextlib.contextmanager
    def inside(self):
        """Sockets that this thread makes, and programs that it starts, are on that machine."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        check(libc.setns(self.fd, CLONE_NEWNET))
        try:
            yield
        finally:
            check(libc.setns(home, CLONE_NEWNET))
            os.close(home)

    def run(self, *commands):
        with self.inside():
            for command in commands:
                done = subprocess.run(command.split(), capture_output=True, text=True)
                assert done.returncode == 0, f"{command}: {done.stderr}"

    def connect(self, other, own_name, other_name):
        """An Ethernet cable; names of the interfaces at both ends."""
        self.run(f"ip link add {own_name} type veth peer name {other_name} netns /proc/{os.getpid()}/fd/{other.fd}")

    def address(self, interface, *addresses):
        for address in addresses:
            self.run(f"ip address add {address} dev {interface}" + (" nodad" if ":" in address else ""))
        self.run(f"ip link set {interface} up")

    def close(self):
        os.close(self.fd)

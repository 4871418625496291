# SPDX-License-Identifier: ISC
"""Who runs as whom, with what rights, and what it does when there is nothing to do."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from clients import Client, message
from gateway import PROGRAM, SANITIZED, eventually, status

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
ROLES = ["resolver", "scout", "worker", "worker"]


@pytest.mark.root
@pytest.mark.trace
def test_children_have_given_up_everything(gateway, backend):
    server = gateway(backend(), process={"user": "nobody"})
    children = server.children()
    assert sorted(children.values()) == ROLES
    for pid, role in children.items():
        facts = status(pid)
        assert set(facts["Uid"].split()) == {"65534"}, role
        assert "0" not in facts["Gid"].split() and "0" not in facts["Groups"].split(), role
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(facts[name], 16) == 0, (role, name)
        assert facts["NoNewPrivs"] == "1", role
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0", limits), role
        if not SANITIZED and role != "resolver":
            assert os.readlink(f"/proc/{pid}/root") != "/", role
            assert os.listdir(f"/proc/{pid}/root") == [], role


@pytest.mark.root
@pytest.mark.trace
def test_children_hold_no_file_but_what_they_were_given(gateway, backend):
    server = gateway(backend())
    with Client(server.port) as client:
        client.starttls()
        for pid, role in server.children().items():
            for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                place = os.readlink(fd)
                assert place.startswith(("socket:", "anon_inode:", "pipe:", "/memfd:", "/dev/null")) or int(fd.name) < 3, \
                    f"{role} has {place}"


@pytest.mark.trace
@pytest.mark.skipif(SANITIZED, reason="sanitizers look at files of their own")
def test_children_open_no_file_in_their_life(gateway, backend, needs, directory):
    needs("strace")
    server = gateway(backend(), process={"workers": 1})
    worker, trace = server.workers()[0], directory / "trace"
    tracer = subprocess.Popen(["strace", "-f", "-e", "trace=%file,execve,fork,clone,clone3", "-o", trace, "-p",
                               str(worker)], stderr=subprocess.PIPE)
    assert b"attached" in tracer.stderr.readline()
    with Client(server.port) as client:
        client.starttls()
        assert client.mail(message("m", b"x\r\n")).startswith("250")
        client.quit()
    server.reload()
    with Client(server.port) as client:
        client.starttls()
        client.quit()
    tracer.send_signal(signal.SIGINT)
    tracer.wait(10)
    # AT_EMPTY_PATH: the descriptor itself is asked, no path.
    calls = [line for line in trace.read_text().splitlines() if "(" in line and "AT_EMPTY_PATH" not in line]
    assert not calls, calls


@pytest.mark.trace
@pytest.mark.skipif(SANITIZED, reason="a sanitizer has threads of its own")
def test_an_idle_session_shows_no_activity(gateway, backend, needs, directory):
    needs("strace")
    # The lazy timer fires once when the connection's limit is over, to find that there is time; that is not idle yet.
    server = gateway(backend(), process={"workers": 1}, connect_timeout="1s")
    with Client(server.port) as early, Client(server.port) as client:
        assert early.greeting
        client.starttls()
        client.expect("EHLO client.test", 250)
        time.sleep(1.5)
        # The scout looks at its boards now and then; nobody else has anything to do.
        pids = [server.pid, *(pid for pid, role in server.children().items() if role != "scout")]
        trace = directory / "trace"
        words = [word for pid in pids for word in ("-p", str(pid))]
        tracer = subprocess.Popen(["strace", "-f", "-o", trace, *words], stderr=subprocess.PIPE)
        for _ in pids:
            assert b"attached" in tracer.stderr.readline()
        time.sleep(5)
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
        # The call that each of them is in when the tracer comes, and still when it goes.
        lines = trace.read_text().splitlines()
        assert len(lines) == len(pids) and all(re.search(r"<(unfinished|detached) \.\.\.>$", line) for line in lines), lines
        client.expect("NOOP", 250)


@pytest.mark.root
def test_unprivileged(gateway, backend):
    server = gateway(backend(), command=NOBODY)
    assert status(server.pid)["Uid"].split()[0] == "65534"
    if not SANITIZED:  # it is not caged then, and may be debugged
        assert os.stat(f"/proc/{server.pid}/mem").st_uid == 0, "others of its user can read the master's memory"
        assert re.search(r"Max core file size +0 +0", pathlib.Path(f"/proc/{server.pid}/limits").read_text())
    assert sorted(server.children().values()) == ROLES
    with Client(server.port) as client:
        client.starttls()
        assert client.mail(message("m", b"x\r\n")).startswith("250")
        client.quit()
    server.reload()
    for pid in server.workers():
        assert status(pid)["NoNewPrivs"] == "1"


@pytest.mark.root
@pytest.mark.mount
def test_low_ports_are_bound_as_root_and_refused_to_others(gateway, backend):
    """A network of its own, where port 25 is free."""
    script = "ip link set lo up; exec \"$@\""
    for extra, started in (([], True), (NOBODY, False)):
        server = gateway("127.0.0.1:9", listen="127.0.0.1:25", start=False,
                         command=["unshare", "-n", "sh", "-c", script, "sh", *extra]).launch()
        if started:
            server.wait_for("server.ready")
        else:
            server.expected_code = server.wait()
            assert server.expected_code != 0
            assert "starttlsd.ini:" in server.text() and "ermission" in server.text(), server.text()


def test_a_port_in_use_is_named(gateway, backend):
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    server = gateway(backend(), listen=f"127.0.0.1:{port}", start=False).launch()
    server.expected_code = server.wait()
    assert server.expected_code in (1, 3)
    assert str(port) in server.text() and "in use" in server.text(), server.text()
    taken.close()


def test_a_second_instance_is_refused(gateway, backend):
    """SO_REUSEPORT would let it in, and give it half of the connections."""
    behind = backend()
    first = gateway(behind)
    second = gateway(behind, listen=f"127.0.0.1:{first.port}", start=False).launch()
    second.expected_code = second.wait()
    assert second.expected_code in (1, 3)
    assert "in use" in second.text()
    with Client(first.port) as client:
        assert client.greeting.startswith("220")


def test_a_second_instance_is_refused_on_another_address_of_the_port(gateway, backend, free_port):
    """One of ours on the port must not hide what another process has beside it."""
    behind = backend()
    port = free_port()
    gateway(behind, listen=f"127.0.0.2:{port}")
    second = gateway(behind, listen=f"127.0.0.1:{port}\nlisten = 127.0.0.2:{port}", start=False).launch()
    second.expected_code = second.wait()
    assert second.expected_code in (1, 3)
    assert f"127.0.0.2:{port}" in second.text() and "in use" in second.text()


def test_an_upgrade_that_is_not_there_yet_ends_nothing(gateway, backend):
    server = gateway(backend())
    server.signal(signal.SIGUSR2)
    server.wait_for("server.upgrade")
    server.signal(signal.SIGUSR1)
    with Client(server.port) as client:
        assert client.greeting.startswith("220")


@pytest.mark.root
@pytest.mark.parametrize("line, reason", [
    ("user = nosuchuser", "there is no user nosuchuser"),
    ("group = nosuchgroup", "there is no group nosuchgroup"),
    ("chroot = /nonexistent/root", "can't be opened"),
    ("log = /nonexistent/folder/log", "can't be written"),
])
def test_check_refuses_what_run_refuses(gateway, backend, line, reason):
    server = gateway(backend(), start=False)
    server.write(server.ini.read_text().replace("[starttlsd]", f"[starttlsd]\n{line}"))
    checked = subprocess.run([PROGRAM, "check", f"--config={server.ini}"], capture_output=True, text=True)
    assert checked.returncode == 1
    assert re.search(rf"{re.escape(str(server.ini))}:\d+: \[starttlsd\] {line.split()[0]}: .*{reason}", checked.stderr)
    server.launch()
    server.expected_code = server.wait()
    assert server.expected_code in (1, 3)
    assert reason in server.text()


@pytest.mark.parametrize("role", ["worker", "scout", "resolver"])
def test_a_dead_child_is_replaced(gateway, backend, role):
    server = gateway(backend())
    pid = next(pid for pid, kind in server.children().items() if kind == role)
    server.deaths_expected = 1
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: sorted(server.children().values()) == ROLES and pid not in server.children())
    for _ in range(10):
        with Client(server.port) as client:
            client.starttls()
            client.expect("NOOP", 250)
            client.quit()


def test_a_name_is_resolved(gateway, backend):
    behind = backend()
    server = gateway(f"localhost:{behind.port}")
    with Client(server.port) as client:
        client.starttls()
        assert client.mail(message("m", b"x\r\n")).startswith("250")
        client.quit()
    assert len(behind.messages) == 1


def test_both_families(gateway, backend, free_port):
    port = free_port()
    server = gateway(backend(), listen=f"*:{port}")
    for address in ("127.0.0.1", "::1"):
        try:
            sock = socket.create_connection((address, port), 10)
        except OSError:
            assert address == "::1" and not os.path.exists("/proc/net/if_inet6")
            continue
        assert sock.recv(4).startswith(b"220 ")
        sock.close()
    assert len(server.workers()) == 2


def test_systemd_is_told(gateway, backend, directory):
    place = directory / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(place))
        sock.settimeout(20)
        server = gateway(backend(), environment={"NOTIFY_SOCKET": str(place)})

        def told(word):
            while True:
                text = sock.recv(4096).decode()
                if word in text:
                    return text
        told("READY=1")
        server.reload()
        assert "MONOTONIC_USEC=" in told("RELOADING=1")
        told("READY=1")
        server.signal(signal.SIGTERM)
        told("STOPPING=1")
        assert server.wait() == 0


@pytest.mark.root
@pytest.mark.mount
def test_a_stuck_name_is_no_death_and_no_reload_makes_it_ready(gateway, directory, silent_resolver):
    """The resolver ends by its alarm, which the scout tells; systemd hears READY=1 after that, not after a reload."""
    place, resolv = directory / "notify", directory / "resolv.conf"
    resolv.write_text(f"nameserver {silent_resolver}\noptions timeout:30\n")
    # Nobody knows the machine's own name either.
    script = f"mount --bind {resolv} /etc/resolv.conf; hostname nowhere; exec \"$@\""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(place))
        manager.setblocking(False)
        told = []

        def is_told(word):
            try:
                while True:
                    told.append(manager.recv(4096))
            except BlockingIOError:
                return any(word in text for text in told)
        server = gateway("stuck.example.test:25", start=False, environment={"NOTIFY_SOCKET": str(place)},
                         command=["unshare", "-m", "-u", "sh", "-c", script, "sh"]).launch()
        server.wait_for("server.start")
        server.reload()
        assert not is_told(b"READY=1") and not server.events("server.ready")
        server.wait_for("resolver.failed")
        server.wait_for("server.ready")
        eventually(lambda: is_told(b"READY=1"))
        server.stop()
        assert not server.events("worker.died")


@pytest.mark.trace
@pytest.mark.skipif(SANITIZED, reason="sanitizers make system calls of their own")
def test_a_large_mail_costs_few_system_calls(gateway, backend, needs, directory):
    """Far fewer than one for each TLS record on the client's side."""
    needs("strace")
    size = 10_000_000
    server = gateway(backend(), process={"workers": 1})
    summary = directory / "summary"
    tracer = subprocess.Popen(["strace", "-c", "-f", "-o", summary, "-p", str(server.workers()[0])], stderr=subprocess.PIPE)
    assert b"attached" in tracer.stderr.readline()
    with Client(server.port, timeout=60) as client:
        client.starttls()
        client.envelope()
        client.send((b"x" * 998 + b"\r\n") * (size // 1000) + b".\r\n")
        assert client.reply().startswith("250")
        client.quit()
    tracer.send_signal(signal.SIGINT)
    tracer.wait(10)
    calls = {line.split()[-1]: int(line.split()[3]) for line in summary.read_text().splitlines()
             if re.match(r" *[\d.]+ +[\d.]+ +\d+ +\d+", line)}
    records = size / 16384
    reads = sum(calls.get(name, 0) for name in ("recvfrom", "recvmsg", "read"))
    print(f"{records:.0f} records: {calls}", file=sys.stderr)
    assert reads < records, calls


def test_it_is_the_program_that_was_built():
    done = subprocess.run([PROGRAM, "version"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 0 and "starttlsd" in done.stdout and "OpenSSL" in done.stdout

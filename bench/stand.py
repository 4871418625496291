# SPDX-License-Identifier: ISC
"""What benchmarks stand on: a certificate, free ports, and the CPU time and memory of a program with all its processes."""
import os
import pathlib
import socket
import subprocess
import time


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def certificate(directory):
    """A file with key and certificate."""
    path = directory / "both.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=localhost", "-keyout", path, "-out", directory / "cert.pem"],
                   check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + (directory / "cert.pem").read_bytes())
    return path


def recv_exactly(sock, count):
    while count > 0:
        octets = sock.recv(min(count, 1 << 20))
        assert octets, "closed early"
        count -= len(octets)


def wait_for(port, patience=10):
    end = time.monotonic() + patience
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert time.monotonic() < end, f"nothing listens on {port}"
            time.sleep(0.05)


def family(pid):
    """A process and all below it."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(below for child in children for below in family(int(child)))]


def cpu_seconds(*pids):
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def memory_bytes(pids):
    """What would be free without them: shared pages count in part."""
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total

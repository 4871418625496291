# SPDX-License-Identifier: ISC
"""starttlsd under test: writes its INI file, runs it, reads its log, signals it, and buries it."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

PROGRAM = os.environ.get("STARTTLSD", "build/release/starttlsd")
SANITIZED = bool(os.environ.get("STARTTLSD_SANITIZED"))
# Sanitizers slow everything down; so does a busy machine.
PATIENCE = 40 if SANITIZED else 20

FIELD = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|\S*)')


def parse(line):
    """A log line as a dictionary; {} for what is none (a sanitizer's report, for example)."""
    if line.startswith("{"):
        return json.loads(line)
    fields = {key: value[1:-1] if value.startswith('"') else value for key, value in FIELD.findall(line)}
    return {"time": line.partition(" ")[0], **fields} if fields else {}


def eventually(claim, patience=None, what="it"):
    """The first true value of claim(); fails when patience is at an end."""
    end = time.monotonic() + (patience or PATIENCE)
    while True:
        value = claim()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not come true"
        time.sleep(0.02)


def status(pid):
    """/proc/PID/status as a dictionary."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


class Starttlsd:
    program = PROGRAM

    def __init__(self, directory, ini, command=(), environment=None):
        """command: words in front of the program's own, such as setpriv with its options."""
        self.directory = pathlib.Path(directory)
        self.ini = self.directory / "starttlsd.ini"
        self.log = self.directory / "log"
        self.command = list(command)
        self.environment = environment or {}
        self.process = None
        self.deaths_expected = 0
        self.write(ini)

    def write(self, ini):
        self.ini.write_text(ini)
        self.ini.chmod(0o644)

    # ---- Life -----------------------------------------------------------------------------------

    def launch(self):
        """Starts it; does not wait."""
        words = [*self.command, self.program, "run", "--config", str(self.ini)]
        environment = dict(os.environ, **self.environment)
        if SANITIZED:
            words.append("--no-cage")
            # Children have another user, and must be able to leave a report.
            reports = self.directory / "reports"
            reports.mkdir(exist_ok=True)
            reports.chmod(0o1777)
            where = f"log_path={reports}/report"
            environment["ASAN_OPTIONS"] = f"detect_leaks=1:abort_on_error=0:exitcode=99:{where}"
            environment["UBSAN_OPTIONS"] = f"print_stacktrace=1:{where}"
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=self.log.open("ab"),
                                        env=environment)
        return self

    def start(self):
        self.launch()
        self.wait_for("server.ready")
        return self

    @property
    def pid(self):
        """The master's; a command in front (unshare, sh) may have stayed as its parent."""
        return self.process.pid

    def signal(self, number):
        os.kill(self.pid, number)

    def reload(self, event="config.reloaded"):
        """SIGHUP, and the line that says how it ended."""
        before = len(self.lines())
        self.signal(signal.SIGHUP)
        return self.wait_for(event, after=before)

    def wait(self, patience=None):
        return self.process.wait(patience or PATIENCE)

    def stop(self):
        """The end of a test: everything must go, and nothing may have gone wrong on the way."""
        if self.process is None:
            return
        children = self.children()
        if self.process.poll() is None:
            self.signal(signal.SIGINT)
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            for pid in [*children, self.pid]:
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
            code = "none: it had to be killed"
        self.check_reports()
        assert code in (0, self.expected_code), f"exit status {code}\n{self.text()[-3000:]}"
        left = [pid for pid in children if os.path.exists(f"/proc/{pid}") and status(pid)["State"][0] != "Z"]
        assert not left, f"children outlive their master: {left}"
        died = [line for line in self.lines() if line.get("event") == "worker.died"]
        assert len(died) <= self.deaths_expected, f"died: {died}"

    expected_code = 0

    def check_reports(self):
        reports = list((self.directory / "reports").glob("*")) if SANITIZED else []
        assert not reports, "\n".join(report.read_text()[:6000] for report in reports)

    # ---- Processes ------------------------------------------------------------------------------

    def children(self):
        """{pid: role} of the master's children, from their command lines."""
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if int(status(entry.name)["PPid"]) != self.pid:
                    continue
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (OSError, KeyError, ValueError):
                continue
            for role in ("worker", "scout", "resolver"):
                if role in words:
                    found[int(entry.name)] = role
        return found

    def workers(self):
        return sorted(pid for pid, role in self.children().items() if role == "worker")

    def worker_of(self, client):
        """The worker that serves a client's TCP connection, by the inode of its socket."""
        client_host, client_port = client.sock.getsockname()[:2]
        server_port = client.sock.getpeername()[1]
        inode = None
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            ports = [int(words[index].rsplit(":", 1)[1], 16) for index in (1, 2)]
            if ports == [server_port, client_port]:
                inode = words[9]
        for pid in self.workers():
            for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                try:
                    if os.readlink(fd) == f"socket:[{inode}]":
                        return pid
                except OSError:
                    pass
        raise AssertionError(f"no worker has the connection from {client_host}:{client_port}")

    # ---- Log ------------------------------------------------------------------------------------

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def lines(self):
        return [parse(line) for line in self.text().splitlines()]

    def events(self, event, after=0, since="", **fields):
        return [line for line in self.lines()[after:] if line.get("event") == event and line["time"] >= since
                and all(line.get(key) == value for key, value in fields.items())]

    def wait_for(self, event, after=0, count=1, **fields):
        """The last of `count` lines of that event, which the log has or will have behind line `after`."""
        end = time.monotonic() + PATIENCE
        while len(found := self.events(event, after, **fields)) < count:
            if self.process.poll() is not None and len(self.events(event, after, **fields)) < count:
                raise AssertionError(f"ended with {self.process.returncode} before {event}\n{self.text()[-3000:]}")
            assert time.monotonic() < end, f"no {event} {fields} in the log:\n{self.text()[-3000:]}"
            time.sleep(0.02)
        return found[count - 1]

    def session(self, client=None, after=0, **fields):
        """The session.end line of a client's session, or the first of all with these fields."""
        if client is not None:  # an earlier one may have had its port
            fields.update(client_port=str(client.port), since=client.began)
        return self.wait_for("session.end", after, **fields)

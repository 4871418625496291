# SPDX-License-Identifier: ISC
"""`starttlsd probe` as people, programs and monitoring meet it: words on the command line, forms of the answer, exit statuses."""
import json
import os
import pty
import re
import signal
import subprocess

import pytest

from gateway import PROGRAM, SANITIZED, eventually
from probe_servers import server
from test_probe import chains, run  # noqa: F401  (a fixture)

# What is written, and a part of the answer: the word at fault, or the remedy.
WRONG = {
    "": "smtp, imap or pop3",
    "smtp": "HOST",
    "http mx.example": "http",
    "smtp mx.example:0": "65535",
    "smtp mx.example:70000": "65535",
    "smtp 2001:db8::1": "brackets",
    "smtp mx.example again.example": "again.example",
    "smtp mx.example --tls": "--tls",
    "smtp mx.example --tls=tls": "implicit",
    "smtp mx.example --expiry soon": "--expiry",
    "smtp mx.example --version": "--versions",
    "imap mx.example --relay-test": "--relay-test",
    "smtp mx.example --json --nagios": "--json",
    "smtp mx.example --watch --nagios": "--watch",
}


@pytest.fixture
def good(backend, chains):  # noqa: F811
    """The words that lead to a server that is as it should be."""
    behind = backend(server("smtp", chains.whole))
    return "smtp", behind.address, "--ca", str(chains.ca), "--servername", "localhost"


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_word_is_named_with_the_remedy(words):
    done = subprocess.run([PROGRAM, "probe", *words.split()], capture_output=True, text=True, timeout=20)
    is_plugin = "--nagios" in words
    assert done.returncode == (3 if is_plugin else 2)
    assert WRONG[words] in (done.stdout if is_plugin else done.stderr)
    assert is_plugin or done.stdout == ""


def test_help_is_an_answer():
    done = subprocess.run([PROGRAM, "probe", "--help"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and done.stdout.startswith("usage: starttlsd probe PROTOCOL HOST") and done.stderr == ""


def test_what_cannot_be_found_out(directory):
    (directory / "empty.pem").write_text("")
    for ca in (directory / "none.pem", directory / "empty.pem"):
        done = run("smtp", "127.0.0.1:1", "--ca", ca)
        assert (done.returncode, done.stdout) == (3, "") and str(ca) in done.stderr
        done = run("smtp", "127.0.0.1:1", "--ca", ca, "--nagios")
        assert done.returncode == 3 and done.stdout.startswith("STARTTLS UNKNOWN - ") and str(ca) in done.stdout


@pytest.mark.mount
@pytest.mark.parametrize("form", [(), ("--json",), ("--nagios",)])
def test_a_name_server_that_nobody_reaches(form):
    """That says nothing about the mail server: neither good nor bad."""
    done = run("smtp", "mx.example.test", *form, command=["unshare", "-n"])
    assert done.returncode == 3
    assert (done.stdout or done.stderr).startswith(("starttlsd probe: mx.example.test: ", "STARTTLS UNKNOWN - smtp mx.example.test:25: "))
    assert bool(done.stdout) == bool(done.stderr == "") == (form == ("--nagios",))


def test_a_report(good):
    done = run(*good)
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[1] == f"smtp {good[1]}" and lines[2] == "  127.0.0.1"
    assert "    ok           TLSv1.3 with TLS_AES_256_GCM_SHA384, x25519" in lines
    assert "    before TLS   STARTTLS, 8BITMIME" in lines and "    inside TLS   AUTH PLAIN LOGIN, 8BITMIME" in lines
    tlsa, = (line for line in lines if "TLSA" in line)
    assert re.fullmatch(rf"    TLSA         _{good[1].split(':')[1]}\._tcp\.localhost\. IN TLSA 3 1 1 [0-9a-f]{{64}}", tlsa)
    assert lines[-1] == f"STARTTLS works at {good[1]} (1 address)"
    assert all(len(line) <= 100 for line in lines if line != tlsa), "folded"


def test_a_report_of_what_is_wrong(backend, chains):  # noqa: F811
    behind = backend(server("imap", chains.expired, remembers=True))
    done = run("imap", behind.address, "--ca", chains.ca, "--servername", "localhost")
    assert done.returncode == 1
    assert re.search(r"(?m)^    problem      .*expired on [0-9-]+, 0 days ago\n {17}renew it", done.stdout)
    assert done.stdout.endswith(f"STARTTLS works, but not as it should, at {behind.address} (1 address; 2 problems)\n")


def on_a_terminal(words, environment):
    """What is printed there."""
    inner, outer = pty.openpty()
    process = subprocess.Popen([PROGRAM, "probe", *words], stdout=outer, stderr=outer, env={**os.environ, **environment})
    os.close(outer)
    text = b""
    while True:
        try:
            text += os.read(inner, 4096)
        except OSError:  # a terminal whose other end is closed
            break
    os.close(inner)
    assert process.wait(20) == 0
    return text


def test_colour_on_a_terminal_alone(good):
    assert b"\x1b[32mok" in on_a_terminal(good, {"NO_COLOR": ""})
    assert b"\x1b" not in on_a_terminal(good, {"NO_COLOR": "1"})
    assert "\x1b" not in run(*good).stdout


def test_the_dialogue_is_shown(good):
    done = run(*good, "--trace", "--json")
    json.loads(done.stdout)
    lines = done.stderr.splitlines()
    for line in ("<- 220 backend ESMTP", "-> STARTTLS", "<- 220 go ahead", "-> QUIT", "<- 221 2.0.0 bye"):
        assert line in lines
    assert all(line.startswith(("-- ", "-> ", "<- ")) for line in lines)
    assert any(line.startswith("-- TLS: TLSv1.3, ") for line in lines)


# ---- Monitoring -----------------------------------------------------------------------------------------

PERFORMANCE = r" \| time=\d+\.\d{3}s;;;0( days=-?\d+;21:;0:)?"


@pytest.mark.parametrize("certificate, status, words", [("whole", 0, r"OK - .*: TLSv1\.3, certificate (29|30) days"),
                                                        ("soon", 1, r"WARNING - .*: .*expires on .*, in [89] days"),
                                                        ("expired", 2, r"CRITICAL - .*: .*expired on .*")])
def test_a_plugin(backend, chains, certificate, status, words):  # noqa: F811
    behind = backend(server("pop3", getattr(chains, certificate)))
    done = run("pop3", behind.address, "--ca", chains.ca, "--servername", "localhost", "--nagios")
    first, *rest = done.stdout.splitlines()
    assert done.returncode == status and re.fullmatch("STARTTLS " + words + PERFORMANCE, first), first
    assert bool(rest) == (status > 0) and all("|" not in line for line in rest)


def test_a_server_forges_no_plugin_data(backend):
    behind = backend(server("smtp", greeting=b"554 | time=0 'x'=1\r\n"))
    first = run("smtp", behind.address, "--nagios").stdout.splitlines()[0]
    assert first.count("|") == 1 and re.search(PERFORMANCE + "$", first)


# ---- --watch --------------------------------------------------------------------------------------------

# A clock on which a minute passes in a second.
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
static time_t (*real_time)(time_t *);
static time_t began;
time_t time(time_t *t)
{
    time_t now;
    struct timespec fine;
    if (!real_time)
        real_time = (time_t (*)(time_t *))dlsym(RTLD_NEXT, "time"), began = real_time(0);
    clock_gettime(CLOCK_REALTIME, &fine);
    now = began + (time_t)((fine.tv_sec - began + fine.tv_nsec / 1e9) * 60);
    if (t)
        *t = now;
    return now;
}
int nanosleep(const struct timespec *want, struct timespec *left)
{
    double seconds = want->tv_sec / 60.0;
    struct timespec less = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
    return clock_nanosleep(CLOCK_MONOTONIC, 0, &less, left);
}
"""


@pytest.fixture
def hasty(directory):
    (directory / "clock.c").write_text(CLOCK)
    subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", directory / "clock.so", directory / "clock.c", "-ldl"], check=True)
    return {**os.environ, "LD_PRELOAD": str(directory / "clock.so"), "TZ": "UTC"}


@pytest.mark.skipif(SANITIZED, reason="a sanitizer must be loaded first")
def test_a_watch_tells_news_at_length(backend, chains, directory, hasty):  # noqa: F811
    """A line a minute; the whole report again when a verdict has changed."""
    behind = backend(server("smtp", chains.whole))
    out = directory / "out"
    with out.open("wb") as to:
        process = subprocess.Popen([PROGRAM, "probe", "smtp", behind.address, "--ca", chains.ca, "--servername", "localhost",
                                    "--watch"], stdout=to, env=hasty,
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a shell's & ignores it
    lines = lambda pattern: len(re.findall(pattern, out.read_text()))  # noqa: E731
    good, bad = r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ok$", r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  problem$"
    eventually(lambda: lines(good) >= 2, what="two minutes")
    assert lines("STARTTLS works at") == 1, "no news"
    behind.begin(server("smtp", chains.whole, remembers=True))
    eventually(lambda: lines(bad) >= 2, what="two bad minutes")
    assert lines("STARTTLS works at") == 1 and lines("works, but not as it should, at") == 1
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == -signal.SIGINT


@pytest.mark.skipif(SANITIZED, reason="a sanitizer must be loaded first")
def test_a_watch_ends_when_nobody_listens(good, hasty):
    process = subprocess.Popen([PROGRAM, "probe", *good, "--watch", "--json"], stdout=subprocess.PIPE, env=hasty)
    assert json.loads(process.stdout.readline())["verdict"] == "ok"
    process.stdout.close()
    process.wait(10)

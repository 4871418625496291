# SPDX-License-Identifier: ISC
"""`make demo` as a user meets it, and what else the repository ships: example, install, container."""
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import time

import pytest

from clients import Client, message, tls_context
from gateway import PROGRAM, eventually

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("user", ["caller", "nobody"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo(directory, user, number):
    if user == "nobody" and os.geteuid() != 0:
        pytest.skip("it runs unprivileged already")
    # Elsewhere, since a repository in /root is nobody's to read.
    copy = shutil.copytree(ROOT / "deploy/demo", directory / "demo", ignore=shutil.ignore_patterns("__pycache__"))
    words = ["/usr/bin/python3", copy / "demo.py", shutil.copy(PROGRAM, copy)]
    if user == "nobody":
        words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *words]
    place = directory / "tmp"
    place.mkdir()
    place.chmod(0o1777)
    out = directory / "out"
    demo = subprocess.Popen(words, stdout=out.open("wb"), stderr=subprocess.STDOUT, cwd=directory,
                            env=dict(os.environ, TMPDIR=str(place), PYTHONDONTWRITEBYTECODE="1",
                                     ASAN_OPTIONS="detect_leaks=0"))
    try:
        match = eventually(lambda: re.search(r"listens on 127\.0\.0\.1:(\d+)", out.read_text()), what=out.read_text())
        certificate = re.search(r"--cacert (\S+)", out.read_text())[1]
        with Client(int(match[1])) as client:
            client.starttls(tls_context(certificate))
            client.expect("MAIL FROM:<a@client.test>", 530)
            assert client.command("AUTH PLAIN AGRlbW8Ac2VjcmV0").startswith("235")
            assert client.mail(message("m", b"Hello, demo.\r\n")).startswith("250")
            client.quit()
        eventually(lambda: "| Hello, demo." in out.read_text())
        if user == "caller":
            try_the_commands(out)
        children = descendants(demo.pid)
        assert len(children) >= 4
        demo.send_signal(number)
        assert demo.wait(20) == 0, out.read_text()
    finally:
        demo.poll() is None and demo.kill()
    eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children))
    assert "certificate.loaded" in out.read_text() and "certificate.expiring" not in out.read_text()
    assert not list(place.iterdir()), "the temporary directory is still there"


def try_the_commands(out):
    """What the demo says to try, as it says it."""
    text = out.read_text().split("try:", 1)[1].replace("\\\n", " ")
    commands = [line.strip() for line in text.split("\n") if line.startswith("  ")][:7]
    assert [command.split()[0] for command in commands] == ["swaks", *["curl"] * 4, "openssl", "curl"]
    assert "refused" in commands[-1]
    before = out.read_text().count("--- a mail from")
    for command in commands:
        words = shlex.split(command.split("(no TLS")[0])
        done = subprocess.run(words, input=". LOGOUT\n", capture_output=True, text=True, timeout=30, cwd=ROOT)
        is_refused = command is commands[-1]
        assert (done.returncode != 0) == is_refused, f"{command}: {done.stdout}{done.stderr}"
        if "UID=1" in command or "pop3:" in command:
            assert ("Hello, demo." in done.stdout) == (not is_refused), command
    assert eventually(lambda: out.read_text().count("--- a mail from") == before + 2)


def descendants(pid):
    found = []
    for line in subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True).stdout.splitlines():
        child, parent = map(int, line.split())
        if parent == pid:
            found += [child, *descendants(child)]
    return found


EXAMPLES = sorted((ROOT / "deploy").glob("*.ini"))


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def example(request, directory, certificates):
    """An example that the repository ships, with a certificate that exists."""
    ini = directory / "starttlsd.ini"
    ini.write_text(re.sub(r"(?m)^certificate = .*$", f"certificate = {certificates.localhost}", request.param.read_text()))
    return ini


def test_the_example_is_a_good_configuration(example):
    done = subprocess.run([PROGRAM, "check", "--config", example], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert "identity" not in done.stderr, "an example says how its backend learns of clients"


def test_check_says_what_is_wrong_and_where(directory):
    ini = directory / "starttlsd.ini"
    ini.write_text("[service mx]\nprotocol = smtp\nlisten = 127.0.0.1:2525\nbackend = 127.0.0.1:25\n"
                   "relay = backend\ncertificate = /nonexistent.pem\nbakend = x\n")
    done = subprocess.run([PROGRAM, "check", "--config", ini], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert f"{ini}:7: [service mx] bakend: " in done.stderr and "backend" in done.stderr
    assert f"{ini}:6: [service mx] certificate: " in done.stderr


@pytest.mark.parametrize("command", ["run", "check"])
def test_who_has_written_no_configuration_is_told_what_to_do(command):
    done = subprocess.run([PROGRAM, command, "--config", "/nonexistent"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 3
    assert done.stderr == ("/nonexistent: cannot be read: No such file or directory; "
                           "write it, or name another with --config\n")


def test_what_check_dumps_loads_again_to_the_same(example):
    def dump():
        return subprocess.run([PROGRAM, "check", "--config", example, "--dump"], capture_output=True, text=True, check=True,
                              timeout=20).stdout
    first = dump()
    example.write_text(first)
    assert dump() == first


@pytest.mark.parametrize("words, code", [([], 2), (["bananas"], 2), (["run", "--bananas"], 2), (["--help"], 0),
                                         (["run", "--help"], 0), (["check", "--help"], 0), (["version"], 0),
                                         (["check", "--config", "/nonexistent"], 3), (["check", "--explain", "relay"], 0),
                                         (["run", "--config", "/nonexistent"], 3)])
def test_the_command_line(words, code):
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=20)
    assert done.returncode == code, done.stderr + done.stdout
    assert (done.stderr if code else done.stdout).strip()


def make(*words):
    done = subprocess.run(["make", "-C", ROOT, *words], capture_output=True, text=True, timeout=300,
                          env={key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "V")})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("words, says", [((), r"  CC  protocols/line\.o\n"), (("V=1",), r"\S+ .*-std=c11 .* protocols/line\.c\n"),
                                         (("-s",), "")])
def test_make_says_a_word_a_command(directory, words, says):
    said = make("--no-print-directory", f"B={directory}", f"{directory}/protocols/line.o", *words)
    assert re.fullmatch(says, said), said
    assert (directory / "protocols/line.o").exists()


def test_install(directory):
    make("-s", "install", f"DESTDIR={directory}", "prefix=/usr")
    for name in ("sbin/starttlsd", "lib/systemd/system/starttlsd.service", "lib/sysusers.d/starttlsd.conf",
                 "share/doc/starttlsd/README.md", "share/man/man8/starttlsd.8", "share/man/man5/starttlsd.ini.5", *(f"share/doc/starttlsd/examples/{path.name}" for path in EXAMPLES)):
        assert (directory / "usr" / name).exists(), name
    assert os.readlink(directory / "usr/bin/starttlsd") == "/usr/sbin/starttlsd"
    unit = (directory / "usr/lib/systemd/system/starttlsd.service").read_text()
    assert "ExecStart=/usr/sbin/starttlsd run" in unit
    ini = directory / "etc/starttlsd/starttlsd.ini"
    ini.parent.mkdir(parents=True)
    ini.touch()
    assert "/etc/starttlsd is left" in make("-s", "uninstall", f"DESTDIR={directory}", "prefix=/usr")
    assert [path for path in directory.rglob("*") if not path.is_dir()] == [ini]


@pytest.mark.root
def test_a_mail_through_the_container(backend, directory, certificates, free_port):
    """IMAGE_SH names a tool that builds and runs images: `build DIR TAG`, `run TAG --volume SRC:DST`."""
    tool = os.environ.get("IMAGE_SH")
    if not tool:
        pytest.skip("IMAGE_SH is not set (this is no part of CI)")
    behind, tag, port = backend(), "starttlsd-e2e", free_port()
    subprocess.run([tool, "build", ROOT, tag], check=True, timeout=600)
    chain, key = certificates.localhost.split()
    (directory / "starttlsd.ini").write_text(
        f"[service mx]\nprotocol = smtp\nlisten = 127.0.0.1:{port}\nbackend = {behind.address}\nrelay = backend\n"
        "certificate = chain.pem key.pem\n")
    for source, name in ((chain, "chain.pem"), (key, "key.pem")):
        (directory / name).write_bytes(pathlib.Path(source).read_bytes())
        (directory / name).chmod(0o644)
    container = subprocess.Popen([tool, "run", tag, "--volume", f"{directory}:/etc/starttlsd:ro"])
    try:
        eventually(lambda: greets(port), patience=60)
        with Client(port) as client:
            client.starttls(tls_context(str(certificates.ca)))
            assert client.mail(message("m", b"x\r\n")).startswith("250")
            client.quit()
        began = time.monotonic()
        container.terminate()
        assert container.wait(30) == 0
        assert time.monotonic() - began < 10
    finally:
        container.poll() is None and container.terminate()
    assert len(behind.messages) == 1


def greets(port):
    try:
        with Client(port, timeout=5) as client:
            return client.greeting.startswith("220")
    except OSError:
        return False

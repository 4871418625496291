# SPDX-License-Identifier: ISC
"""What every test may ask for. Servers are real, ports are free ones on loopback, directories temporary."""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid

import pytest

import peers
from backends import Backend, Script
from courier import Courier
from cyrus import Cyrus
from dialects import IMAP, POP3
from dovecot import Dovecot, DovecotMailboxes
from exim import Exim
from gateway import SANITIZED, Starttlsd, status
from opensmtpd import OpenSMTPD
from postfix import Postfix

IS_ROOT = os.geteuid() == 0
# Clients out of build/peers.
NPM = {"node": "nodemailer", "imapflow": "imapflow"}
IN_CI = os.environ.get("CI") == "true"


# ---- Skips, time ------------------------------------------------------------------------------------


def unavailable(reason):
    """A test that cannot run here: said to a person, a failure in CI."""
    if IN_CI:
        pytest.fail(f"CI=true, and {reason}")
    pytest.skip(reason)


def require_peer(name):
    if not peers.is_there(name):
        unavailable(f"build/peers/{name} is not there (make peers)")


@pytest.fixture
def needs():
    """needs("strace"): the test cannot do without these programs; needs.client(name): without this one
    of senders.py or readers.py."""
    def check(*programs):
        for program in programs:
            if not shutil.which(program):
                unavailable(f"{program} is not installed (make deps)")


    def check_client(name):
        if name in NPM:
            require_peer(NPM[name])
        if not name.endswith("lib"):  # Python's own
            check("node" if name in NPM else name)
    check.client = check_client
    return check


def has_capability(number):
    return bool(int(status("self")["CapEff"], 16) >> number & 1)


@pytest.fixture(autouse=True)
def only_where_possible(request):
    """Root in a container may lack what root has elsewhere."""
    if request.node.get_closest_marker("root") and not IS_ROOT:
        unavailable("this needs root: sudo make e2e")
    if request.node.get_closest_marker("trace") and not has_capability(19):
        unavailable("this needs CAP_SYS_PTRACE: to look into caged processes")
    if request.node.get_closest_marker("mount") and not has_capability(21):
        unavailable("this needs CAP_SYS_ADMIN: namespaces of its own")


@pytest.fixture(scope="module")
def own_machines():
    """For what is made before a test's own marks are looked at: machines of networks.py and host.py can be had."""
    if not IS_ROOT or not has_capability(21):
        unavailable("this needs root, and CAP_SYS_ADMIN: machines of its own")


@pytest.fixture(autouse=True)
def no_test_hangs(request):
    def on_alarm(number, frame):
        raise TimeoutError("the test takes too long")
    signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(900 if request.node.get_closest_marker("slow") else 180 if SANITIZED else 90)
    yield
    signal.alarm(0)


# ---- Places -----------------------------------------------------------------------------------------


def temporary_directory():
    path = pathlib.Path(tempfile.mkdtemp(prefix="starttlsd-e2e-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def directory():
    """A temporary directory that other users can pass: children are not root."""
    yield from temporary_directory()


@pytest.fixture(scope="module")
def shared_directory():
    """The same, for all tests of a file."""
    yield from temporary_directory()


@pytest.fixture(scope="session")
def free_port():
    """A function that names a free port at every call, none twice."""
    given = set()

    def find():
        while True:
            port = peers.free_port()
            if port not in given:
                given.add(port)
                return port
    return find


@pytest.fixture
def silent_resolver():
    """The address of a name server that never answers, for this test alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(1, 255):
            with contextlib.suppress(OSError):
                sock.bind((f"127.0.77.{number}", 53))
                break
        yield sock.getsockname()[0]


class Certificates:
    """An authority, and what it has signed; made with the openssl command at run time."""

    def __init__(self, directory):
        self.directory = directory
        directory.chmod(0o755)
        self.ca = directory / "ca.pem"
        self.openssl("req", "-x509", *self.new_key("ca", "ec"), "-subj", "/CN=Test authority", "-days", "30",
                     "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", self.ca)
        self.localhost = self.make("localhost")

    def openssl(self, *words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)

    def new_key(self, name, kind):
        key = {"ec": ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), "rsa": ("rsa:2048",)}[kind]
        return ["-newkey", *key, "-nodes", "-keyout", self.directory / f"{name}-key.pem"]

    def make(self, name, kind="ec", days=30, host="localhost"):
        """`CHAIN KEY`, as the INI file wants it."""
        base = self.directory / name
        self.openssl("req", "-new", *self.new_key(name, kind), "-subj", f"/CN={host}", "-out", f"{base}.csr")
        (self.directory / "extensions").write_text(
            f"subjectAltName=DNS:{host},IP:127.0.0.1\nbasicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        self.openssl("x509", "-req", "-in", f"{base}.csr", "-CA", self.ca, "-CAkey",
                     self.directory / "ca-key.pem", "-CAcreateserial", "-days", days, "-extfile",
                     self.directory / "extensions", "-out", f"{base}.pem")
        os.chmod(f"{base}-key.pem", 0o644)  # the unprivileged master reads it too
        return f"{base}.pem {base}-key.pem"


@pytest.fixture(scope="session")
def certificates():
    path = pathlib.Path(tempfile.mkdtemp(prefix="starttlsd-certificates-"))
    yield Certificates(path)
    shutil.rmtree(path, ignore_errors=True)


# ---- Servers ----------------------------------------------------------------------------------------


def require_unpacked(kind):
    require_peer(kind.name)
    if not has_capability(21):
        unavailable(f"{kind.__name__} needs CAP_SYS_ADMIN: a mount namespace of its own")


def real(make, name):
    """A server in a directory of its own; it has users of its own, so root must start it."""
    if not IS_ROOT:
        unavailable(f"{name} must be started by root: sudo make e2e")
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"starttlsd-{name}-"))
    server = make(path)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def real_server():
    """real_server(kind, ...): more of them, for the tests of a file."""
    with contextlib.ExitStack() as stack:
        def start(kind, *words, **options):
            if issubclass(kind, peers.Unpacked):
                require_unpacked(kind)
            return stack.enter_context(contextlib.contextmanager(real)(
                lambda directory: kind(directory, *words, **options), kind.__name__))
        yield start


@pytest.fixture
def mark():
    """What makes a mail this test's."""
    return uuid.uuid4().hex


@pytest.fixture(scope="session")
def postfix():
    yield from real(Postfix, "Postfix")


@pytest.fixture(scope="session")
def submission(postfix):
    """Postfix where users log in; `.login` is its address."""
    if not shutil.which("dovecot"):
        unavailable("dovecot is not installed (make deps)")
    server = Dovecot(postfix.directory / "sasl")
    try:
        server.start()
        yield postfix
    finally:
        server.stop()


def unpacked(kind):
    require_unpacked(kind)
    yield from real(kind, kind.__name__)


@pytest.fixture(scope="session")
def exim():
    yield from unpacked(Exim)


@pytest.fixture(scope="session")
def opensmtpd():
    yield from unpacked(OpenSMTPD)


@pytest.fixture(scope="session")
def dovecot():
    """Its mailboxes; `.imap` and `.pop3` are its addresses, as those of the next two."""
    if not DovecotMailboxes.is_there():
        unavailable("dovecot-imapd and dovecot-pop3d are not installed (make deps)")
    yield from real(DovecotMailboxes, "Dovecot")


@pytest.fixture(scope="session")
def dovecot_with_tls(dovecot, certificates):
    """One that offers STARTTLS and STLS itself."""
    yield from real(lambda directory: DovecotMailboxes(directory, certificates.localhost), "Dovecot")


@pytest.fixture(scope="session")
def courier():
    yield from unpacked(Courier)


@pytest.fixture(scope="session")
def cyrus():
    yield from unpacked(Cyrus)


@pytest.fixture
def backend():
    """backend(script): as many as a test wants."""
    made = []

    def make(script=None, **options):
        made.append(Backend(script, **options))
        return made[-1]
    yield make
    for server in made:
        server.close()


def gateways(directory, certificates, free_port):
    made = []

    def make(backend=None, process=None, ini=None, start=True, command=(), environment=None, **service):
        port = free_port()
        if ini is None:
            ini = configuration(certificates, backend, port, process, **service)
        home = directory / f"gateway{len(made)}"
        home.mkdir()
        home.chmod(0o755)
        server = Starttlsd(home, ini, command, environment)
        server.port = port
        made.append(server)
        return server.start() if start else server
    yield make
    failures = []
    for server in made:
        try:
            server.stop()
        except AssertionError as failure:
            failures.append(failure)
    for failure in failures:
        raise failure


@pytest.fixture
def gateway(directory, certificates, free_port):
    """gateway(backend="HOST:PORT", key="value", ...): a running starttlsd with one service, `.port` its port.

    Keys of the service by name; those of [starttlsd] in `process`; ini= replaces the whole file.
    """
    yield from gateways(directory, certificates, free_port)


@pytest.fixture(scope="module")
def shared_gateway(shared_directory, certificates, free_port):
    """The same; what it starts serves all tests of a file."""
    yield from gateways(shared_directory, certificates, free_port)


@pytest.fixture(scope="module")
def shared(shared_gateway):
    """shared(script, key="value", ...): a starttlsd for all tests of a file that want these keys, and `.behind`, which
    follows the script and has nothing on record."""
    made = {}

    def find(script=None, **service):
        key = tuple(sorted(service.items()))
        if key not in made:
            behind = Backend()
            made[key] = shared_gateway(behind, **service)
            made[key].behind = behind
        made[key].behind.begin(script or Script())
        return made[key]
    yield find
    for server in made.values():
        server.behind.close()


@pytest.fixture(params=[IMAP, POP3], ids=lambda dialect: dialect.protocol)
def dialect(request):
    return request.param


@pytest.fixture
def served(gateway, backend, dialect):
    """served(script, key="value", ...): a starttlsd that speaks the dialect, and `.behind`, which records."""
    def start(script=None, **options):
        behind = backend(script or dialect.script())
        server = gateway(behind, protocol=dialect.protocol, **options)
        server.behind = behind
        return server
    return start


@pytest.fixture(scope="module")
def standing_of(shared_gateway):
    """standing_of(dialect): such a one for all tests of a file; of what went before nothing is on record."""
    made = {}

    def find(dialect):
        if dialect not in made:
            behind = Backend(dialect.script())
            made[dialect] = shared_gateway(behind, protocol=dialect.protocol, hostname="mail.example.test")
            made[dialect].behind = behind
        made[dialect].behind.connections.clear()
        return made[dialect]
    yield find
    for server in made.values():
        server.behind.close()


@pytest.fixture
def standing(standing_of, dialect):
    return standing_of(dialect)


@pytest.fixture
def standing_imap(standing_of):
    return standing_of(IMAP)


@pytest.fixture
def standing_pop3(standing_of):
    return standing_of(POP3)


# How an INI file of several services begins; keys for [defaults] may follow.
SEVERAL = """\
[starttlsd]
workers = 2
drain_timeout = 5s

[defaults]
certificate = {certificate}
"""


def configuration(certificates, backend, port, process=None, name="mx", **service):
    """An INI file with one service."""
    process = {"workers": 2, "drain_timeout": "5s", "log_level": "info", **(process or {})}
    service = {"protocol": "smtp", "listen": f"127.0.0.1:{port}", "certificate": certificates.localhost,
               "backend": getattr(backend, "address", backend), **service}
    if service["protocol"] == "smtp":
        service.setdefault("relay", "backend")
    lines = ["[starttlsd]", *(f"{key} = {value}" for key, value in process.items()),
             "", f"[service {name}]", *(f"{key} = {value}" for key, value in service.items())]
    return "\n".join(lines) + "\n"

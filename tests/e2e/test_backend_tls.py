# SPDX-License-Identifier: ISC
"""TLS towards backends: who is believed, and that a wrong one gets not one octet. Backends are good until they turn bad,
so that the scout does not keep sessions from meeting them."""
import dataclasses
import re
import ssl
import time

import pytest

from backends import Backend
from clients import Client, message
from conftest import configuration
from tls_backends import (Implicit, Injecting, Plain, Refusing, Silent, TlsScript, Without, World, fingerprint,
                          key_fingerprint, server_context)

FULL = {"backend_tls": "starttls", "backend_name": "localhost"}
IMPLICIT = {**FULL, "backend_tls": "implicit"}


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    keys: dict         # of the service; {right} and so on are fingerprints
    bad: type          # what it becomes
    certificate: str   # and what it shows then
    reason: str        # what the log says of it
    version: object = None
    has_tls: bool = True  # it was shaken hands with
    is_implicit: bool = False


CASES = [
    Case("expired", FULL, TlsScript, "expired", "its certificate has expired 20"),
    Case("name", FULL, TlsScript, "elsewhere", "its certificate is not for localhost, but for elsewhere.test"),
    Case("stranger", FULL, TlsScript, "stranger", "its chain leads to no trusted authority"),
    Case("self-signed", FULL, TlsScript, "self_signed", "its certificate is self-signed; its fingerprint is {self_signed}"),
    Case("pin", {"backend_verify": "fingerprint", "backend_fingerprint": "{right}"}, TlsScript, "expired",
         "its fingerprint is {expired}"),
    Case("key-pin", {"backend_verify": "fingerprint", "backend_fingerprint": "{right_key}"}, TlsScript, "elsewhere",
         "its fingerprint is {elsewhere_key}"),
    Case("address", {}, TlsScript, "stranger", "its chain leads to no trusted authority"),
    Case("chain", {"backend_verify": "chain"}, TlsScript, "expired", "its certificate has expired 20"),
    Case("implicit", IMPLICIT, Implicit, "elsewhere", "its certificate is not for localhost, but for elsewhere.test",
         is_implicit=True),
    Case("old", FULL, TlsScript, "right", r'peer sent alert \"protocol version\"', version=ssl.TLSVersion.TLSv1),
    Case("silent", FULL, Silent, "right", "no TLS in time", has_tls=False),
    Case("plain", FULL, Plain, "right", "not TLS: plaintext where a handshake was expected", has_tls=False),
    Case("injecting", FULL, Injecting, "right", "it talks behind its go-ahead for TLS", has_tls=False),
    Case("refusing", FULL, Refusing, "right", "it refuses STARTTLS", has_tls=False),
    Case("without", FULL, Without, "right", "it does not announce STARTTLS", has_tls=False),
]
# And what goes on all the same.
LENIENT = [
    Case("none", {"backend_verify": "none"}, TlsScript, "stranger", ""),
    Case("opportunistic", {"backend_policy": "opportunistic"}, TlsScript, "expired", ""),
    Case("opportunistic-without", {"backend_policy": "opportunistic"}, Without, "right", "", has_tls=False),
    Case("opportunistic-refusing", {"backend_policy": "opportunistic"}, Refusing, "right", "", has_tls=False),
    Case("opportunistic-plain", {"backend_policy": "opportunistic"}, Plain, "right", "", has_tls=False),
    Case("old-allowed", {**FULL, "backend_min_tls": "TLSv1"}, TlsScript, "right", "", version=ssl.TLSVersion.TLSv1),
    Case("1.2", FULL, TlsScript, "right", "", version=ssl.TLSVersion.TLSv1_2),
]


def case_id(case):
    return case.name


def verifies_chain(keys):
    return keys.get("backend_verify", "full") in ("full", "chain") and "backend_policy" not in keys


class Stage:
    """One gateway, with a service and a backend for each case."""

    def __init__(self, shared_gateway, free_port, world, certificates):
        self.world = world
        self.pins = {name: fingerprint(getattr(world, name)) for name in ("right", "expired", "elsewhere", "self_signed")}
        self.pins.update({f"{name}_key": key_fingerprint(getattr(world, name)) for name in ("right", "elsewhere")})
        self.backends, self.ports, ini = {}, {}, ""
        good = server_context(world.right)
        for case in (*CASES, *LENIENT):
            backend = self.backends[case.name] = Backend((Implicit if case.is_implicit else TlsScript)(good))
            port = self.ports[case.name] = free_port()
            keys = {"tls": "none", "backend_tls": "starttls", "greeting_timeout": "2s",
                    **({"backend_ca": world.trusted} if verifies_chain(case.keys) else {}),
                    **{key: value.format(**self.pins) for key, value in case.keys.items()}}
            text = configuration(certificates, backend, port, {"workers": 1, "health_interval": "1h"}, case.name, **keys)
            text = "\n".join(line for line in text.splitlines() if not line.startswith("certificate = ")) + "\n"
            ini += text if not ini else text[text.index("[service"):]
        self.gateway = shared_gateway(ini=ini)

    def turn_bad(self, case):
        context = server_context(getattr(self.world, case.certificate), case.version)
        script = case.bad(context)
        self.backends[case.name].script = script
        self.backends[case.name].connections.clear()

    def reason(self, case):
        return case.reason.format(**self.pins)


@pytest.fixture(scope="module")
def stage(shared_gateway, free_port, certificates, tmp_path_factory):
    stage = Stage(shared_gateway, free_port, World(tmp_path_factory.mktemp("world"), certificates), certificates)
    yield stage
    for backend in stage.backends.values():
        backend.close()


@pytest.mark.parametrize("case", [*CASES, *LENIENT], ids=case_id)
def test_a_good_backend_is_met_in_tls(stage, case):
    stage.gateway.wait_for("backend.up", service=case.name)
    backend = stage.backends[case.name]
    for _ in range(2):
        with Client(stage.ports[case.name]) as client:
            assert client.mail(message("m", b"x\r\n")).startswith("250")
            assert "INSIDE" in client.expect("EHLO client.test", 250), "capabilities of the clear"
            client.quit()
        line = stage.gateway.session(client)
        assert line["backend_tls"] == "TLSv1.3" and line["backend_cipher"].startswith("TLS_AES_")
        assert line["end"] == "client_quit"
    assert [c.is_resumed for c in backend.visits] == [False, True], "one worker has met it before"
    clear = [] if case.is_implicit else [b"EHLO", b"STARTTLS"]
    for connection in backend.connections:
        assert [part.split()[0] for part in connection.clear.splitlines()] == clear


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_a_wrong_backend_gets_not_one_octet(stage, case):
    stage.turn_bad(case)
    began = time.monotonic()
    with Client(stage.ports[case.name]) as client:
        assert client.greeting.startswith("421 4.4.1"), client.greeting
        assert client.at_end()
    assert time.monotonic() - began < 5
    line = stage.gateway.session(client)
    assert line["end"] == "backend_tls_failed" and "backend_tls" not in line
    failed = stage.gateway.wait_for("backend.failed", service=case.name)
    assert failed["reason"].startswith(stage.reason(case)), failed
    for connection in stage.backends[case.name].connections:
        assert not hasattr(connection, "is_resumed"), "it was believed"
        assert said(connection), connection.received


def said(connection):
    """Nothing but what leads to TLS: in the clear, and then a hello."""
    clear = getattr(connection, "clear", connection.received)
    assert connection.received == clear, "octets came inside TLS"
    return re.fullmatch(rb"(EHLO \S+\r\n(STARTTLS\r\n(\x16\x03.*)?)?)?", clear, re.S)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_the_scout_sees_it_too(stage, case):
    """A failure of a session makes it look again."""
    down = stage.gateway.wait_for("backend.down", service=case.name)
    assert down["reason"].startswith(stage.reason(case)), down
    with Client(stage.ports[case.name]) as client:
        assert client.greeting.startswith("421 4.3.2")


@pytest.mark.parametrize("case", LENIENT, ids=case_id)
def test_what_is_allowed_goes_on(stage, case):
    stage.turn_bad(case)
    with Client(stage.ports[case.name]) as client:
        assert client.mail(message("m", b"x\r\n")).startswith("250")
        client.quit()
    line = stage.gateway.session(client)
    version = {None: "TLSv1.3", ssl.TLSVersion.TLSv1: "TLSv1", ssl.TLSVersion.TLSv1_2: "TLSv1.2"}[case.version]
    assert line.get("backend_tls") == (version if case.has_tls else None)


def test_injected_replies_are_a_violation(stage):
    assert stage.gateway.wait_for("session.violation", service="injecting")["kind"] == "backend_injection"


def test_sessions_are_resumed_in_tls_1_2(stage):
    """Whose session lies in a ticket that comes within the handshake."""
    for _ in range(2):
        with Client(stage.ports["1.2"]) as client:
            client.mail(message("m", b"x\r\n"))
            client.quit()
    assert stage.backends["1.2"].visits[-1].is_resumed

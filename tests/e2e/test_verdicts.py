# SPDX-License-Identifier: ISC
"""What testssl.sh, which knows nothing of us, says of the same servers. It takes a minute for each: `make verdicts`."""
import json
import shutil
import ssl
import subprocess

import pytest

from conftest import unavailable
from probe_servers import server
from test_probe import chains, probe  # noqa: F401  (a fixture)

pytestmark = pytest.mark.slow

VERSIONS = {"TLSv1": "TLS1", "TLSv1.1": "TLS1_1", "TLSv1.2": "TLS1_2", "TLSv1.3": "TLS1_3"}
# protocol, certificate, the only version. (Of a server with TLS 1.0 alone it says nothing: it connects by Debian's OpenSSL
# first, which by its defaults has none. test_probe.py asks OpenSSL about that.)
SERVERS = [("smtp", "whole", None), ("imap", "alone", None), ("pop3", "elsewhere", None), ("smtp", "expired", None),
           ("imap", "whole", ssl.TLSVersion.TLSv1_2)]


def ask_testssl(protocol, port, ca, directory):
    """Its findings by id; the last of several."""
    if not shutil.which("testssl"):
        unavailable("testssl.sh is not installed (make deps)")
    out = directory / "testssl.json"
    subprocess.run(["testssl", "--quiet", "--warnings", "batch", "--color", "0", "--nodns", "none", "--add-ca", ca, "-t", protocol,
                    "-p", "-S", "--jsonfile", out, f"127.0.0.1:{port}"], capture_output=True, timeout=400)
    return {finding["id"].split(" ")[0]: finding["finding"] for finding in json.loads(out.read_text())}


@pytest.mark.parametrize("protocol, certificate, version", SERVERS)
def test_testssl_thinks_the_same(backend, chains, directory, protocol, certificate, version):  # noqa: F811
    behind = backend(server(protocol, getattr(chains, certificate), version))
    # It asks for the address that it connects to.
    ours = probe(protocol, behind.address, "--ca", chains.ca, "--versions").address
    theirs = ask_testssl(protocol, behind.port, chains.ca, directory)
    for name, id in VERSIONS.items():
        assert theirs[id].startswith("offered") == bool(ours["versions"][name]["result"]), (name, theirs[id])
    shown = ours["certificate"]
    assert theirs["cert_chain_of_trust"].startswith("passed") == (shown["trust"] in ("trusted",)), theirs["cert_chain_of_trust"]
    assert (theirs["cert_expirationStatus"] == "expired") == (shown["trust"] == "expired")
    assert int(theirs["certs_countServer"]) == len(shown["chain"])
    assert theirs["cert_subjectAltName"].split() == shown["names"]
    assert ("256" in theirs["cert_keySize"]) == shown["key"].endswith("P-256")
    assert theirs["sessionresumption_ticket"].startswith("supported") == bool(ours["tls"]["resumption"]["result"])

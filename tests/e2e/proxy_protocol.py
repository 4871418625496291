# SPDX-License-Identifier: ISC
"""PROXY headers (HAProxy's doc/proxy-protocol.txt), made and read by other means than starttlsd's."""
import ipaddress
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL = SIGNATURE + b"\x20\0\0\0"
UNIX = SIGNATURE + b"\x21\x31" + struct.pack("!H", 216) + bytes(216)


def v1(client="198.51.100.7", server="192.0.2.1", client_port=12345, server_port=25):
    family = f"TCP{ipaddress.ip_address(client).version}"
    return f"PROXY {family} {client} {server} {client_port} {server_port}\r\n".encode()


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def v2(client="198.51.100.7", server="192.0.2.1", client_port=12345, server_port=25, tlvs=b"", transport=1):
    client, server = ipaddress.ip_address(client), ipaddress.ip_address(server)
    block = client.packed + server.packed + struct.pack("!HH", client_port, server_port) + tlvs
    return SIGNATURE + bytes((0x21, (1 if client.version == 4 else 2) << 4 | transport)) + struct.pack("!H", len(block)) + block


def crc32c(octets):
    """RFC 9260, appendix A."""
    crc = 0xffffffff
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def tlvs_of(octets):
    """{type: value}; none may come twice."""
    found = {}
    while octets:
        kind, length = struct.unpack("!BH", octets[:3])
        assert kind not in found and len(octets) >= 3 + length
        found[kind], octets = octets[3:3 + length], octets[3 + length:]
    return found


class Header:
    """Read from the front of a connection, and not an octet more. Of a LOCAL one .client is None."""

    def __init__(self, sock):
        self.octets = sock.recv(1)
        self.tlvs = {}
        if self.octets == b"P":
            self.read_v1(sock)
        else:
            self.read_v2(sock)

    def take(self, sock, length):
        while length:
            piece = sock.recv(length)
            assert piece, f"ends within its header: {self.octets!r}"
            self.octets += piece
            length -= len(piece)

    def read_v1(self, sock):
        while not self.octets.endswith(b"\r\n"):
            self.take(sock, 1)
        word, family, *addresses, client_port, server_port = self.octets.decode().split()
        self.client, self.server = map(ipaddress.ip_address, addresses)
        assert word == "PROXY" and family == f"TCP{self.client.version}" and self.client.version == self.server.version
        self.client_port, self.server_port = int(client_port), int(server_port)

    def read_v2(self, sock):
        self.take(sock, 15)
        signature, command, family, length = struct.unpack("!12sBBH", self.octets)
        self.take(sock, length)
        assert signature == SIGNATURE
        if command == 0x20:
            self.client = None
            return
        assert command == 0x21
        size = {0x11: 4, 0x21: 16}[family]
        block = self.octets[16:]
        self.client, self.server = (ipaddress.ip_address(block[at:at + size]) for at in (0, size))
        self.client_port, self.server_port = struct.unpack("!HH", block[2 * size:2 * size + 4])
        self.tlvs = tlvs_of(block[2 * size + 4:])
        if 3 in self.tlvs:
            at = self.octets.index(tlv(3, self.tlvs[3])) + 3
            zeroed = self.octets[:at] + bytes(4) + self.octets[at + 4:]
            assert struct.pack("!I", crc32c(zeroed)) == self.tlvs[3]

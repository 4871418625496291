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

# SPDX-License-Identifier: ISC
"""What Python's ssl does not offer, from the library that it uses."""
import ctypes
import ctypes.util
import socket
import time

SSL = ctypes.CDLL(ctypes.util.find_library("ssl"))
for name, arguments in {"TLS_client_method": [], "SSL_CTX_new": [ctypes.c_void_p], "SSL_new": [ctypes.c_void_p]}.items():
    getattr(SSL, name).restype, getattr(SSL, name).argtypes = ctypes.c_void_p, arguments
for name, arguments in {"SSL_set_fd": [ctypes.c_int], "SSL_connect": [], "SSL_key_update": [ctypes.c_int],
                        "SSL_do_handshake": [], "SSL_read": [ctypes.c_char_p, ctypes.c_int],
                        "SSL_write": [ctypes.c_char_p, ctypes.c_int]}.items():
    getattr(SSL, name).argtypes = [ctypes.c_void_p, *arguments]

KEY_UPDATE_REQUESTED = 1  # RFC 8446, section 4.6.3: the peer must answer it


class KeyUpdater:
    """A client with TLS from the first octet, and a small window to be answered in."""

    def __init__(self, port):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.connect(("127.0.0.1", port))
        self.context = SSL.SSL_CTX_new(SSL.TLS_client_method())
        self.ssl = SSL.SSL_new(self.context)
        SSL.SSL_set_fd(self.ssl, self.sock.fileno())
        assert SSL.SSL_connect(self.ssl) == 1

    def line(self):
        space = ctypes.create_string_buffer(1000)
        length = SSL.SSL_read(self.ssl, space, len(space))
        return space.raw[:max(length, 0)]

    def send(self, data):
        assert SSL.SSL_write(self.ssl, data, len(data)) == len(data)

    def flood(self, seconds):
        """Asks for new keys as fast as it can, and reads no answer. -> how often it was heard."""
        self.sock.setblocking(False)
        until, sent = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            if SSL.SSL_key_update(self.ssl, KEY_UPDATE_REQUESTED) == 1 and SSL.SSL_do_handshake(self.ssl) == 1:
                sent += 1
            else:
                time.sleep(0.01)
        return sent

    def close(self):
        self.sock.close()

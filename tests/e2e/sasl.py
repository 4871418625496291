# SPDX-License-Identifier: ISC
"""What a client says in SASL exchanges, in Base64."""
import base64
import hashlib
import hmac
import secrets


def encoded(*words):
    """What PLAIN says, or one word of LOGIN."""
    return base64.b64encode(b"\0".join(word.encode() for word in words)).decode()


def cram_md5(user, password, challenge):
    """The answer to a challenge (RFC 2195)."""
    digest = hmac.new(password.encode(), base64.b64decode(challenge), hashlib.md5).hexdigest()
    return encoded(f"{user} {digest}")


class ScramSha256:
    """The three messages of a client (RFC 5802, RFC 7677), each from the challenge before it."""

    def __init__(self, user, password):
        self.password = password.encode()
        self.bare = f"n={user},r={secrets.token_hex(12)}"

    def first(self, challenge=""):
        return encoded("n,," + self.bare)

    def final(self, challenge):
        challenge = base64.b64decode(challenge).decode()
        nonce, salt, count = (word[2:] for word in challenge.split(",")[:3])
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(salt), int(count))
        key, server_key = self.keyed(salted, "Client Key"), self.keyed(salted, "Server Key")
        without_proof = f"c=biws,r={nonce}"
        signed = ",".join((self.bare, challenge, without_proof))
        signature = self.keyed(hashlib.sha256(key).digest(), signed)
        proof = bytes(a ^ b for a, b in zip(key, signature))
        self.server_signature = self.keyed(server_key, signed)
        return encoded(f"{without_proof},p={base64.b64encode(proof).decode()}")

    def last(self, challenge):
        """Nothing is left to be said, once the server has shown that it knows the password too."""
        assert base64.b64decode(challenge) == b"v=" + base64.b64encode(self.server_signature)
        return ""

    @staticmethod
    def keyed(key, text):
        return hmac.digest(key, text.encode(), "sha256")

"""Encryption at rest: AES-256-GCM, each value bound to the place where it belongs.

A sealed value opens only with the same key and the same context (NIST SP 800-38D: the additional
authenticated data), so that nobody without the key can read it, change it, or move it to another
row. Its 96-bit nonce is random; that is safe for 2^32 values under one key.
"""

from __future__ import annotations

import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12


class SealBroken(Exception):
    """Another key, another context, or a changed value."""


class Sealer:
    """Seals and opens with keys that are derived from one secret (HKDF, RFC 5869)."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(_derive(secret, b"porter sealing"))
        self._hash_key = _derive(secret, b"porter hashing")

    def seal(self, plain: bytes, *context: str) -> bytes:
        """Nonce, ciphertext and tag: 28 bytes more than `plain`."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, _bound(context))

    def open(self, sealed: bytes, *context: str) -> bytes:
        """What was sealed in the same context.

        Raises:
            SealBroken: it was not sealed by this key in this context, or was changed.
        """
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(context))
        except (InvalidTag, ValueError, TypeError, AttributeError):
            # SQLite keeps a number or a text in any column: what is no bytes was not sealed.
            raise SealBroken from None

    def digest(self, text: str) -> bytes:
        """32 bytes that are the same for the same text and tell nothing without the key."""
        return hmac.digest(self._hash_key, text.encode(), "sha256")


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret)


def _bound(context: tuple[str, ...]) -> bytes:
    # Lengths keep ("ab", "c") from being the same as ("a", "bc").
    return b"".join(len(raw).to_bytes(4) + raw for raw in (part.encode() for part in context))

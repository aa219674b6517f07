"""Who published a model: Ed25519 signatures over the bytes of its manifest, which names the digest of every part.

A signature is a small JSON file beside the manifest. It names the key by the first digits of the SHA-256 of its public
half, so that a refusal can say whose signature it was.

Not here: where keys lie (``detector.app.model_registry``), when a signature is asked for (``registry``).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from models.encoding import canonical_json, sha256
from models.errors import ArtifactCorruptError, ArtifactUntrustedError

ALGORITHM: Final = "ed25519"
ID_DIGITS: Final = 16  # hexadecimal; 64 bits tell any number of keys apart, and prove nothing


class SigningKey:
    """The private half of a key: publishes."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.id = _id(key.public_key())

    @classmethod
    def from_pem(cls, data: bytes) -> SigningKey:
        """Read a private key; ValueError says what it is instead."""
        try:
            key = serialization.load_pem_private_key(data, password=None)
        except TypeError as error:
            raise ValueError(
                "it is encrypted; store it without a passphrase, readable by the publisher alone"
            ) from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ValueError("it is no private key in PEM form") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"it is an {type(key).__name__.removesuffix('PrivateKey')} key, not Ed25519")  # noqa: TRY004
        return cls(key)

    @classmethod
    def new(cls) -> SigningKey:
        """Make a key."""
        return cls(Ed25519PrivateKey.generate())

    def sign(self, data: bytes) -> bytes:
        """Return the signature file for a manifest's bytes."""
        signature = base64.b64encode(self._key.sign(data)).decode()
        return canonical_json({"algorithm": ALGORITHM, "key": self.id, "signature": signature})

    def private_pem(self) -> bytes:
        """Return the key itself; keep it where only the publisher can read it."""
        form, bare = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return self._key.private_bytes(serialization.Encoding.PEM, form, bare)

    def public_pem(self) -> bytes:
        """Return the public half."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(serialization.Encoding.PEM, form)


class TrustedKeys:
    """Public keys, one of which must have signed a model.

    Parameters
    ----------
    pems : mapping of str to bytes
        By the name under which a person knows the key.

    Raises
    ------
    ValueError
        Naming what is no public Ed25519 key.
    """

    def __init__(self, pems: Mapping[str, bytes]) -> None:
        keys = {name: _public(name, data) for name, data in pems.items()}
        self._keys = {_id(key): key for key in keys.values()}
        self.names: Mapping[str, str] = {_id(key): name for name, key in keys.items()}

    def check(self, data: bytes, signature: bytes | None, where: str) -> str:
        """Return which key has signed a manifest.

        Parameters
        ----------
        data : bytes
            The manifest as it is stored.
        signature : bytes or None
            The signature file, None where there is none.
        where : str
            Name of the manifest, for messages.

        Raises
        ------
        ArtifactUntrustedError
            If it is unsigned, signed by a key that is not trusted, or was changed since.
        ArtifactCorruptError
            If the signature file is none.
        """
        if signature is None:
            raise _untrusted(where, "it is not signed")
        claimed, raw = _parse(signature, where)
        key = self._keys.get(claimed)
        if key is None:
            raise _untrusted(where, f"key {claimed} has signed it")
        try:
            key.verify(raw, data)
        except InvalidSignature as error:
            raise _untrusted(where, f"the signature of key {claimed} is not for these bytes") from error
        return claimed


def claimed_key(signature: bytes, where: str) -> str:
    """Return the key that a signature file names, unchecked; ArtifactCorruptError if it is none."""
    return _parse(signature, where)[0]


def _parse(signature: bytes, where: str) -> tuple[str, bytes]:
    try:
        value = json.loads(signature)
        if value["algorithm"] != ALGORITHM:
            raise ValueError(f"algorithm {value['algorithm']!r} is not {ALGORITHM}")
        return str(value["key"])[:ID_DIGITS], base64.b64decode(value["signature"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactCorruptError(
            f"{where}: its signature cannot be read ({type(error).__name__}: {error}); restore the file, or sign again"
        ) from error


def _public(name: str, data: bytes) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{name} is no public key in PEM form") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"{name} is an {type(key).__name__.removesuffix('PublicKey')} key, not Ed25519")  # noqa: TRY004
    return key


def _id(key: Ed25519PublicKey) -> str:
    return sha256(key.public_bytes_raw())[:ID_DIGITS]


def _untrusted(where: str, problem: str) -> ArtifactUntrustedError:
    return ArtifactUntrustedError(
        f"{where}: {problem}, and only what a key of model.trusted_keys has signed is used. Train with "
        "model.signing_key, or sign a version that you know to be yours (tidemark models sign)"
    )

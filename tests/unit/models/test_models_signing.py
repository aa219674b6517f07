from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models.errors import ArtifactCorruptError, ArtifactUntrustedError
from models.signing import SigningKey, TrustedKeys, claimed_key

DATA = b'{"a manifest": 1}\n'
# Always the same, because their signatures name test cases.
KEY, OTHER = (SigningKey(Ed25519PrivateKey.from_private_bytes(bytes([byte]) * 32)) for byte in (1, 2))
TRUSTED = TrustedKeys({"release.pem": KEY.public_pem()})
PEM, PKCS8, BARE = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()


def test_what_a_trusted_key_has_signed_is_accepted_and_names_the_key() -> None:
    assert TRUSTED.check(DATA, KEY.sign(DATA), "manifest.json") == KEY.id
    assert claimed_key(KEY.sign(DATA), "manifest.json") == KEY.id
    assert TRUSTED.names == {KEY.id: "release.pem"}


def test_a_key_read_from_its_file_is_the_same_key_and_signs_the_same() -> None:
    again = SigningKey.from_pem(KEY.private_pem())

    assert again.id == KEY.id != OTHER.id
    assert again.sign(DATA) == KEY.sign(DATA)


def test_any_one_of_several_trusted_keys_is_enough() -> None:
    both = TrustedKeys({"old.pem": OTHER.public_pem(), "new.pem": KEY.public_pem()})

    assert both.check(DATA, OTHER.sign(DATA), "here") == OTHER.id
    assert both.check(DATA, KEY.sign(DATA), "here") == KEY.id


def forged() -> bytes:
    """Return the other key's signature under the name of the trusted one."""
    return json.dumps({**json.loads(OTHER.sign(DATA)), "key": KEY.id}).encode()


@pytest.mark.parametrize(
    ("signature", "wanted"),
    [
        (None, "it is not signed"),
        (OTHER.sign(DATA), f"key {OTHER.id} has signed it"),
        (forged(), f"the signature of key {KEY.id} is not for these bytes"),
        (KEY.sign(DATA + b" "), "is not for these bytes"),
    ],
)
def test_what_no_trusted_key_has_signed_is_refused_and_the_ways_out_are_named(
    signature: bytes | None, wanted: str
) -> None:
    with pytest.raises(ArtifactUntrustedError, match=r"manifest\.json: .*model\.trusted_keys.*models sign") as caught:
        TRUSTED.check(DATA, signature, "manifest.json")
    assert wanted in str(caught.value)


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        json.dumps({"algorithm": "none", "key": KEY.id, "signature": ""}).encode(),
        json.dumps({"algorithm": "ed25519", "key": KEY.id, "signature": "*"}).encode(),
    ],
)
def test_bytes_that_are_no_signature_are_corrupt(signature: bytes) -> None:
    with pytest.raises(ArtifactCorruptError, match=r"manifest\.json: its signature cannot be read"):
        TRUSTED.check(DATA, signature, "manifest.json")


def test_a_public_key_does_not_sign_and_a_private_one_is_not_trusted() -> None:
    with pytest.raises(ValueError, match="no private key in PEM form"):
        SigningKey.from_pem(KEY.public_pem())
    with pytest.raises(ValueError, match=r"mine\.pem is no public key in PEM form"):
        TrustedKeys({"mine.pem": KEY.private_pem()})


def test_keys_of_another_kind_are_refused_by_name() -> None:
    key = generate_private_key(SECP256R1())
    public = key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    with pytest.raises(ValueError, match="not Ed25519"):
        SigningKey.from_pem(key.private_bytes(PEM, PKCS8, BARE))
    with pytest.raises(ValueError, match=r"ec\.pem is .* not Ed25519"):
        TrustedKeys({"ec.pem": public})


def test_a_key_behind_a_passphrase_says_so() -> None:
    locked = Ed25519PrivateKey.generate().private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"secret"))

    with pytest.raises(ValueError, match="encrypted"):
        SigningKey.from_pem(locked)

"""The registry that the settings name, and the keys with which models are signed and trusted.

Not here: what a registry does (``models.registry``), what a signature is (``models.signing``).
"""

from __future__ import annotations

from pathlib import Path

from detector.errors import ConfigError
from detector.settings import Settings
from models.registry import Registry
from models.signing import SigningKey, TrustedKeys


def open_registry(settings: Settings) -> Registry:
    """Return the registry; with trusted keys it gives only what one of them has signed."""
    return Registry(settings.model.registry, trusted_keys(settings))


def located(settings: Settings) -> str:
    """Return where the registry is, for processes that work in another directory."""
    place = settings.model.registry
    return place if "://" in place else str(Path(place).absolute())


def trusted_keys(settings: Settings) -> TrustedKeys | None:
    """Return the keys whose signatures count, None if none is asked for.

    Raises
    ------
    ConfigError
        If a file cannot be read or holds no public Ed25519 key.
    """
    files = settings.model.trusted_keys
    if not files:
        return None
    try:
        return TrustedKeys({str(path): path.read_bytes() for path in files})
    except OSError as error:
        raise ConfigError(f"model.trusted_keys: {error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(
            f"model.trusted_keys: {error}; name the public half of a key (tidemark models keygen)"
        ) from error


def signing_key(settings: Settings) -> SigningKey | None:
    """Return the key that signs what is published, None without one.

    Raises
    ------
    ConfigError
        If the file cannot be read, holds no private Ed25519 key, or one that the trusted keys do not include.
    """
    path = settings.model.signing_key
    if path is None:
        return None
    try:
        key = SigningKey.from_pem(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"model.signing_key: {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"model.signing_key: {path}: {error}; make one with tidemark models keygen") from error
    trusted = trusted_keys(settings)
    if trusted is not None and key.id not in trusted.names:
        raise ConfigError(
            f"model.signing_key: {path} is key {key.id}, which is not among model.trusted_keys: what it signs would be "
            "refused. Add its public half there"
        )
    return key


def require_signed(settings: Settings) -> None:
    """Refuse to publish a champion that no start would accept; ConfigError says what to set."""
    if signing_key(settings) is None and settings.model.trusted_keys:
        raise ConfigError(
            "model.trusted_keys is set, and without model.signing_key the model would not be signed and not be used. "
            "Set model.signing_key, or train with --no-promote and sign it elsewhere (tidemark models sign)"
        )

"""What is said of who signed the model."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.app.doctor import model
from models.errors import ArtifactUntrustedError
from models.registry import Registry
from models.signing import SigningKey
from tests.unit.app_doctor.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def signed(site: Site) -> SigningKey:
    key = SigningKey.new()
    registry = Registry(site.directory / "registry")
    registry.sign(registry.resolve("champion"), key)
    (site.directory / "key.pem").write_bytes(key.public_pem())
    return key


def said(site: Site) -> list[str]:
    return [finding.found for finding in model.model(site.deployment())]


def test_a_signature_is_told_and_whether_anybody_asked_for_it(site: Site) -> None:
    key = signed(site)
    assert f"signed by key {key.id}, not checked" in said(site)
    site.flags = (f"model.trusted_keys=[{site.directory / 'key.pem'}]",)
    assert f"signed by key {key.id}, as model.trusted_keys asks for" in said(site)


def test_a_model_that_no_trusted_key_has_signed_is_refused_in_the_words_of_a_start(site: Site) -> None:
    (site.directory / "key.pem").write_bytes(SigningKey.new().public_pem())
    site.flags = (f"model.trusted_keys=[{site.directory / 'key.pem'}]",)

    with pytest.raises(ArtifactUntrustedError, match="it is not signed"):
        said(site)
    assert "signed by" not in " ".join(said(Site(site.directory)))

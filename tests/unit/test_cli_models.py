"""``tidemark models`` on a registry of three versions, the last of which is the champion.

Not here: the registry itself (``tests/unit/models``).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from detector.cli import main
from models.registry import Registry
from tests.unit.models.test_models_artifact import DATA, MANIFEST, SENSORS

SHAPE = (
    f"windows.length={MANIFEST.window_seconds:.0f}s",
    f"windows.slide={MANIFEST.slide_seconds:.0f}s",
    f"state.buckets={MANIFEST.buckets}",
)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Desk:
    """Where commands are given."""

    directory: Path
    monkeypatch: pytest.MonkeyPatch
    read: Callable[[], Any]
    settings: tuple[str, ...] = ()

    @property
    def registry(self) -> Registry:
        return Registry(self.directory / "registry")

    def models(self, *arguments: str) -> Ended:
        flags = ("source.topics=[sensors]", f"model.registry={self.directory / 'registry'}", *SHAPE, *self.settings)
        options = [part for flag in flags for part in ("--set", flag)] if arguments[0] != "keygen" else []
        self.monkeypatch.setattr(sys, "argv", ["tidemark", "models", *arguments, *options])
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = self.read()
        return Ended(code, said.out, said.err)

    def damage(self, version: str) -> Path:
        path = next((self.directory / "registry" / "versions" / version).glob("bucket-*"))
        path.write_bytes(path.read_bytes()[:-1])
        return path

    def keys(self) -> None:
        """Make keys, and sign and trust with them from here on."""
        assert self.models("keygen", str(self.directory / "keys")).code == 0
        keys = self.directory / "keys"
        self.settings = (
            f"model.signing_key={keys / 'signing-key.pem'}",
            f"model.trusted_keys=[{keys / 'trusted-key.pem'}]",
        )


def draft(number: int) -> Any:
    training = {**MANIFEST.training, "sensors": SENSORS, "windows": 1000 * number, "seed": number}
    return replace(MANIFEST.with_shards({}), training=training, created_at=f"2026-11-0{number}T00:00:00+00:00")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    desk = Desk(tmp_path, monkeypatch, capsys.readouterr)
    for number in (1, 2, 3):
        desk.registry.set_alias("champion", desk.registry.publish(draft(number), [(3, DATA)]))
    return desk


def cells(printed: str) -> list[list[str]]:
    return [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in printed.splitlines() if "│" in line]


def test_the_list_has_a_row_for_each_version_and_marks_the_champion(desk: Desk) -> None:
    ended = desk.models("list")
    rows = cells(ended.out)

    assert ended.code == 0
    assert [row[0] for row in rows] == desk.registry.versions()
    assert [row[1] for row in rows] == ["", "", "champion"]
    assert rows[2][3:6] == [f"{SENSORS}", "3,000", "10 s every 5 s"]
    assert rows[2][6] == "nobody"


def test_the_list_as_json_says_the_same(desk: Desk) -> None:
    shown = desk.models("list", "--json").json

    assert [each["version"] for each in shown["versions"]] == desk.registry.versions()
    last = shown["versions"][-1]
    assert (last["aliases"], last["sensors"], last["windows"]) == (["champion"], SENSORS, 3000)
    assert (last["bytes"], last["signed_by"], last["trusted"], last["problem"]) == (len(DATA), None, None, None)


def test_a_damaged_version_is_listed_with_what_is_wrong_and_hides_no_other(desk: Desk) -> None:
    version = desk.registry.versions()[1]
    (desk.directory / "registry" / "versions" / version / "manifest.json").write_bytes(b"{}")
    ended = desk.models("list")

    assert ended.code == 0
    assert [row[0] for row in cells(ended.out)] == desk.registry.versions()
    assert cells(ended.out)[1][-1] == "damaged"
    assert f"{version}/manifest.json: no manifest" in ended.out


def test_an_empty_registry_says_how_to_fill_it(tmp_path: Path, desk: Desk) -> None:
    desk.directory = tmp_path / "nowhere"

    assert "holds no model; train one: tidemark train" in desk.models("list").out
    assert desk.models("list", "--json").json["versions"] == []


def test_a_version_is_shown_with_what_it_was_made_of(desk: Desk) -> None:
    rows = dict(cells(desk.models("show").out))

    assert (rows["alias"], rows["digest"]) == ("champion", desk.registry.manifest(desk.registry.versions()[2]).digest)
    assert rows["trained"].startswith("2026-11-03T00:00:00+00:00, ")
    assert (rows["topic sensors"], rows["windows"]) == ("800 records of 1 partition", "3,000 of 10 s every 5 s")
    assert (rows["quiet_windows"], rows["members"]) == ("3", "autoregression, level")
    shown = desk.models("show", desk.registry.versions()[0], "--json").json
    assert shown["manifest"]["training"]["seed"] == 1


def test_two_versions_are_compared_by_their_names_or_aliases(desk: Desk) -> None:
    ended = desk.models("diff", desk.registry.versions()[0], "champion")

    assert ["seed", "1", "3"] in cells(ended.out)
    assert f"{SENSORS} sensors in both" in ended.out
    shown = desk.models("diff", "champion", "champion", "--json").json
    assert shown["facts"] == {}
    assert shown["sensors"] == {"common": SENSORS, "gained": [], "lost": []}
    assert {(each["median"], each["most"]) for each in shown["drift"]} == {(0.0, 0.0)}


def test_a_version_is_promoted_and_rolled_back(desk: Desk) -> None:
    one, _, three = desk.registry.versions()
    ended = desk.models("promote", one)

    assert ended.out.startswith(f"champion is {one} now, {three} before. An instance that runs")
    assert desk.registry.aliases() == {"champion": one}
    assert desk.models("rollback", "--json").json == {"alias": "champion", "version": three, "before": one}
    assert desk.registry.aliases() == {"champion": three}
    assert f"champion is {three} already" in desk.models("promote", three).out


def test_a_challenger_is_an_alias_of_its_own(desk: Desk) -> None:
    one, _, three = desk.registry.versions()

    assert desk.models("promote", one, "--as", "challenger").out.startswith(f"challenger is {one} now, none before.")
    assert desk.registry.aliases() == {"champion": three, "challenger": one}
    assert desk.models("promote", "challenger").code == 0
    assert desk.registry.aliases()["champion"] == one
    assert desk.models("promote", one, "--as", "emperor").code == 2


def test_a_damaged_version_is_not_promoted_and_the_champion_stays(desk: Desk) -> None:
    one, _, three = desk.registry.versions()
    path = desk.damage(one)
    ended = desk.models("promote", one)

    assert ended.code == 66
    assert f"{path}: {len(DATA) - 1} bytes where the manifest names {len(DATA)}" in ended.err
    assert f"Champion stays at {three}" in ended.err
    assert desk.registry.aliases() == {"champion": three}


def test_a_version_for_other_windows_is_not_promoted(desk: Desk) -> None:
    one, _, three = desk.registry.versions()
    desk.settings = ("windows.slide=10s",)
    ended = desk.models("promote", one)

    assert ended.code == 65
    assert "windows.slide (s): model 5.0, setting 10.0" in ended.err
    assert desk.registry.aliases() == {"champion": three}


def test_the_way_back_to_a_damaged_version_is_refused(desk: Desk) -> None:
    one, two, three = desk.registry.versions()
    path = desk.damage(two)
    ended = desk.models("rollback")

    assert ended.code == 66
    assert str(path) in ended.err
    assert f"Champion stays at {three}; tidemark models promote" in ended.err
    assert desk.models("promote", one).code == 0


def test_there_is_no_way_back_from_the_first_version(desk: Desk) -> None:
    ended = desk.models("rollback", "--as", "challenger")

    assert ended.code == 66
    assert "challenger has pointed at no version before; tidemark models promote" in ended.err


def test_verify_reads_all_versions_and_ends_with_66_if_one_is_damaged(desk: Desk) -> None:
    one, two, three = desk.registry.versions()
    assert desk.models("verify").code == 0
    path = desk.damage(two)
    ended = desk.models("verify")

    assert ended.code == 66
    assert ended.out.splitlines() == [f"✓ {one}", f"✗ {two}", f"✓ {three}"]
    assert str(path) in ended.err
    assert desk.models("verify", "champion").code == 0
    problems = desk.models("verify", "--json").json["versions"]
    assert [each["problem"] is None for each in problems] == [True, False, True]


def test_with_trusted_keys_an_unsigned_version_is_refused_until_it_is_signed(desk: Desk) -> None:
    one, _, three = desk.registry.versions()
    desk.keys()

    refused = desk.models("promote", one)
    assert refused.code == 66
    assert "it is not signed" in refused.err
    assert cells(desk.models("list").out)[2][-1] == "nobody, not trusted"
    signed = desk.models("sign", one)
    assert re.fullmatch(rf"{one} is signed by key [0-9a-f]{{16}}\n", signed.out)
    assert desk.models("promote", one).code == 0
    assert desk.registry.aliases() == {"champion": one}
    shown = desk.models("show", one, "--json").json
    assert (shown["signed_by"], shown["trusted"]) == (signed.out.split()[-1], True)
    assert desk.models("verify", one).code == 0
    assert desk.models("verify", three).code == 66


def test_who_trusts_other_keys_refuses_and_is_told_whose_it_is(desk: Desk) -> None:
    one = desk.registry.versions()[0]
    desk.keys()
    key = desk.models("sign", one).out.split()[-1]
    desk.models("keygen", str(desk.directory / "others"))
    desk.settings = (f"model.trusted_keys=[{desk.directory / 'others' / 'trusted-key.pem'}]",)

    assert f"key {key} has signed it" in desk.models("verify", one).err


def test_a_private_key_is_readable_by_its_owner_alone_and_never_overwritten(desk: Desk) -> None:
    desk.keys()
    private = desk.directory / "keys" / "signing-key.pem"
    before = private.read_bytes()

    assert private.stat().st_mode & 0o777 == 0o600
    ended = desk.models("keygen", str(desk.directory / "keys"))
    assert ended.code == 78
    assert private.read_bytes() == before


def test_signing_without_a_key_names_the_setting(desk: Desk) -> None:
    ended = desk.models("sign", "champion")

    assert ended.code == 78
    assert "model.signing_key" in ended.err


def test_a_registry_that_cannot_be_read_ends_with_74(desk: Desk) -> None:
    path = desk.directory / "registry" / "aliases.json"
    path.unlink()
    path.mkdir()
    ended = desk.models("show")

    assert ended.code == 74
    assert f"{path}: Is a directory" in ended.err


@pytest.mark.parametrize("command", ["list", "show", "diff", "promote", "rollback", "verify", "sign", "keygen"])
def test_every_command_explains_itself(desk: Desk, command: str) -> None:
    desk.settings = ()
    shown = desk.models(command, "--help")

    assert shown.code == 0
    assert "Usage" in shown.out

"""``tidemark models``: which versions there are, which one is used, and whether they are whole.

Not here: what the commands do (``detector.app.model_versions``), the tables they print (``model_tables``).
"""

from __future__ import annotations

import time
from enum import Enum
from pathlib import Path
from typing import Annotated, Final

import typer

from detector.cli.console import ConfigOption, JsonOption, SetOption, app, err, load_settings, out, print_json
from detector.errors import ConfigError

models_app = typer.Typer(help="Look at models, and choose which one is used.", no_args_is_help=True)
app.add_typer(models_app, name="models")

RUNNING: Final = "An instance that runs by this alias takes it over within seconds."


class Alias(Enum):
    """What a version can be."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


RefArgument = Annotated[str, typer.Argument(metavar="VERSION", help="A version, or an alias.")]
AliasOption = Annotated[Alias, typer.Option("--as", help="The alias that is moved.")]


@models_app.command("list")
def list_versions(config: ConfigOption = None, overrides: SetOption = None, as_json: JsonOption = False) -> None:
    """List the versions in the registry, oldest first."""
    from detector.app.model_versions import known_versions
    from detector.cli.model_tables import print_versions

    settings = load_settings(config, overrides)
    found = known_versions(settings)
    if as_json:
        print_json({"registry": settings.model.registry, "versions": [each.to_json() for each in found]})
    elif found:
        print_versions(out, found, settings.model.registry, time.time())
    else:
        out.print(f"{settings.model.registry} holds no model; train one: tidemark train", highlight=False)


@models_app.command()
def show(
    ref: RefArgument = "champion", config: ConfigOption = None, overrides: SetOption = None, as_json: JsonOption = False
) -> None:
    """Show what a version is, what it was made of, and who signed it."""
    from detector.app.model_versions import version_facts
    from detector.cli.model_tables import manifest_json, print_version

    facts = version_facts(load_settings(config, overrides), ref)
    if as_json:
        print_json({**facts.to_json(), "manifest": manifest_json(facts)})
    else:
        print_version(out, facts, time.time())


@models_app.command()
def diff(
    first: Annotated[str, typer.Argument(metavar="FIRST", help="A version, or an alias.")],
    second: Annotated[str, typer.Argument(metavar="SECOND", help="A version, or an alias.")],
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two versions: settings, history, sensors, and how far their parameters moved."""
    from detector.app.model_versions import difference
    from detector.cli.model_tables import difference_json, print_difference

    with err.status("reading both models"):
        found = difference(load_settings(config, overrides), first, second)
    if as_json:
        print_json({"first": first, "second": second, **difference_json(found)})
    else:
        print_difference(out, found, first, second)


@models_app.command()
def promote(
    ref: RefArgument,
    alias: AliasOption = Alias.CHAMPION,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a version the champion, if a start would accept it; else the alias stays where it is."""
    from detector.app import model_versions

    with err.status("verifying the model"):
        version, before = model_versions.promote(load_settings(config, overrides), ref, alias.value)
    _print_move(alias, version, before, as_json=as_json)


@models_app.command()
def rollback(
    alias: AliasOption = Alias.CHAMPION,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go back to the version that was champion before; again, to the one before that."""
    from detector.app import model_versions

    with err.status("verifying the model"):
        version, before = model_versions.roll_back(load_settings(config, overrides), alias.value)
    _print_move(alias, version, before, as_json=as_json)


def _print_move(alias: Alias, version: str, before: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json({"alias": alias.value, "version": version, "before": before})
    elif version == before:
        out.print(f"{alias.value} is {version} already", highlight=False)
    else:
        out.print(f"{alias.value} is {version} now, {before or 'none'} before. {RUNNING}", highlight=False)


@models_app.command()
def verify(
    refs: Annotated[
        list[str] | None, typer.Argument(metavar="[VERSION]...", help="Versions or aliases. Default: all there are.")
    ] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read versions completely: signature, digests, sizes, shapes; ends with 66 if one cannot be used."""
    from detector.app.model_versions import examine

    found = []
    for version, problem in examine(load_settings(config, overrides), refs or []):
        found.append((version, problem))
        if not as_json:
            out.print(f"{'✗' if problem else '✓'} {version}", style="red" if problem else "green", highlight=False)
    if as_json:
        print_json({"versions": [{"version": version, "problem": str(bad) if bad else None} for version, bad in found]})
    problems = [problem for _, problem in found if problem is not None]
    if problems:
        raise type(problems[0])("\n".join(map(str, problems)))


@models_app.command()
def sign(ref: RefArgument, config: ConfigOption = None, overrides: SetOption = None) -> None:
    """Sign a version that is there with `model.signing_key`, after reading all of it."""
    from detector.app.model_registry import signing_key
    from models.registry import Registry

    settings = load_settings(config, overrides)
    key = signing_key(settings)
    if key is None:
        raise ConfigError("model.signing_key: is required to sign; name the private key's file")
    registry = Registry(settings.model.registry)
    version = registry.resolve(ref)
    registry.sign(version, key)
    out.print(f"{version} is signed by key {key.id}", highlight=False)


@models_app.command()
def keygen(directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where the two files are made.")]) -> None:
    """Make a key that signs models: signing-key.pem stays with the publisher, trusted-key.pem goes to all others."""
    from models.signing import SigningKey

    key = SigningKey.new()
    private, public = directory / "signing-key.pem", directory / "trusted-key.pem"
    for path in (private, public):
        if path.exists():
            raise ConfigError(f"{path} is there already; name another directory")
    directory.mkdir(parents=True, exist_ok=True)
    private.touch(mode=0o600, exist_ok=False)
    private.write_bytes(key.private_pem())
    public.write_bytes(key.public_pem())
    out.print(f"Key {key.id}: set model.signing_key to {private}, model.trusted_keys to {public}", highlight=False)

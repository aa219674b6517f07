"""What Spark's checkpoint says, read from its files: query, batches, offsets, watermark; and who owns it.

The directory of ``state.checkpoint`` holds Spark's own checkpoint in ``spark`` and ``owner.json`` beside it:
the identity of the checkpoint, and the settings that it froze. ``judges`` has the settings that have judged from it,
``adopted.json`` what a checkpoint that follows another one must know.

Not here: what follows from it (``detector.kafka.alert_sink``), who may run from it (``checkpoint_lock``). Spark alone
writes below ``spark``.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from detector.errors import ContractError, StorageError
from detector.kafka.sink_port import BatchFacts, CheckpointFacts
from detector.kafka.source import Offsets, from_json
from detector.pipeline.adoption import Adoption

OWNER_FILE: Final = "owner.json"
ADOPTED_FILE: Final = "adopted.json"
JUDGES: Final = "judges"
_OFFSET_LINES: Final = 3  # version, batch metadata, offsets of the one source


@dataclass(frozen=True)
class OffsetEntry:
    """One file of Spark's offset log.

    Parameters
    ----------
    sha256 : str
        Digest of the file; Spark reuses it verbatim when it replays the batch.
    watermark : float or None
        Windows that end at or before it (epoch seconds) leave in this batch.
    end : Offsets
        Where the batch ends, exclusive.
    """

    sha256: str
    watermark: float | None
    end: Offsets


class Checkpoint:
    """The checkpoint of the one query.

    Parameters
    ----------
    directory : Path
        ``state.checkpoint``.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.spark = directory / "spark"

    def claim(self, frozen: Mapping[str, Any]) -> str:
        """Return the checkpoint's identity, made at its first use.

        Parameters
        ----------
        frozen : mapping
            Settings that cannot change during the life of a checkpoint.

        Raises
        ------
        ContractError
            If it was made with other frozen settings, or Spark's part exists without its owner.
        StorageError
            If the disk refuses.
        """
        path = self.directory / OWNER_FILE
        try:
            if not path.exists():
                return self._create(path, frozen)
            found = json.loads(path.read_text())
            known = dict(found["frozen"])
            owner = str(found["owner_uuid"])
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}; check the disk and its permissions") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ContractError(f"{path} is damaged ({error}); restore it from a backup of the checkpoint") from error
        changed = [f"{key} {known.get(key)!r} -> {value!r}" for key, value in frozen.items() if known.get(key) != value]
        if changed:
            raise ContractError(
                f"the checkpoint {self.directory} was made with other settings: {', '.join(changed)}. Set them back, "
                "or start with an empty state.checkpoint under another app.deployment"
            )
        return owner

    def _create(self, path: Path, frozen: Mapping[str, Any]) -> str:
        if self.last_batch() >= 0:
            raise ContractError(
                f"{path} is missing but {self.spark} has batches; restore it from a backup of the checkpoint"
            )
        owner = str(uuid.uuid4())
        _write(path, {"owner_uuid": owner, "frozen": dict(frozen)})
        return owner

    def keep_decisive_settings(self, digest: str, decisive: Mapping[str, Any]) -> None:
        """Keep the settings that judge from now on, for a start that finishes a batch of theirs.

        Raises
        ------
        StorageError
            If the disk refuses.
        """
        path = self._judge(digest)
        try:
            if not path.exists():
                _write(path, decisive)
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}; check the disk and its permissions") from error

    def decisive_settings(self, digest: str) -> dict[str, Any]:
        """Return settings that were kept.

        Raises
        ------
        ContractError
            If the file is missing or damaged.
        """
        path = self._judge(digest)
        try:
            return dict(json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise self._damaged(path, error) from error

    def _judge(self, digest: str) -> Path:
        return self.directory / JUDGES / f"{digest}.json"

    def keep_adoption(self, adoption: Adoption) -> None:
        """Keep what this checkpoint adopts, over its whole life.

        Raises
        ------
        StorageError
            If the disk refuses.
        """
        path = self.directory / ADOPTED_FILE
        try:
            _write(path, msgspec.to_builtins(adoption, str_keys=True))
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}; check the disk and its permissions") from error

    def adoption(self) -> Adoption | None:
        """Return what this checkpoint has adopted, None if it began by itself.

        Raises
        ------
        ContractError
            If the file is damaged.
        """
        path = self.directory / ADOPTED_FILE
        try:
            return msgspec.json.decode(path.read_bytes(), type=Adoption, strict=False)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise self._damaged(path, error) from error

    def facts(self, owner_uuid: str) -> CheckpointFacts:
        """Return what the alert sink must know at start."""
        return CheckpointFacts(owner_uuid, self.query_id(), self.last_batch(), str(self.directory))

    def query_id(self) -> str | None:
        """Return Spark's query id, None for an empty checkpoint."""
        try:
            return str(json.loads((self.spark / "metadata").read_text())["id"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged(self.spark / "metadata", error) from error

    def last_batch(self) -> int:
        """Return the newest batch that was planned, -1 for none."""
        return max(self._batches("offsets"), default=-1)

    def oldest_batch(self) -> int:
        """Return the oldest batch whose offsets are still there, -1 for none."""
        return min(self._batches("offsets"), default=-1)

    def last_committed(self) -> int:
        """Return the newest batch that Spark finished, -1 for none."""
        return max(self._batches("commits"), default=-1)

    def batch(self, batch_id: int) -> BatchFacts:
        """Return what the sink's marker says of a batch."""
        entry = self.offsets(batch_id)
        end = {topic: {str(p): offset for p, offset in parts.items()} for topic, parts in entry.end.items()}
        return BatchFacts(batch_id, self.query_id() or "", entry.sha256, end, entry.watermark)

    def offsets(self, batch_id: int) -> OffsetEntry:
        """Read the offset log's entry of a batch.

        Raises
        ------
        ContractError
            If the file is missing or not what Spark writes.
        """
        path = self.spark / "offsets" / str(batch_id)
        try:
            raw = path.read_bytes()
            version, metadata, source = raw.decode().strip().split("\n", _OFFSET_LINES - 1)
            if version != "v1":
                raise ValueError(f"format {version}")
            watermark = int(json.loads(metadata)["batchWatermarkMs"]) / 1000
            return OffsetEntry(hashlib.sha256(raw).hexdigest(), watermark or None, from_json(source))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._damaged(path, error) from error

    def read_offsets(self) -> Offsets:
        """Return up to where records are read or planned to be, or are to be begun with; empty if nothing says."""
        last = self.last_batch()
        if last >= 0:
            return self.offsets(last).end
        adopted = self.adoption()
        return adopted.starting if adopted is not None else {}

    def finished_offsets(self) -> Offsets:
        """Return from where records are still needed: a batch that is planned and not finished is read again."""
        finished = self.last_committed()
        if finished >= 0:
            return self.offsets(finished).end
        return self.first_offsets() if self.last_batch() >= 0 else self.read_offsets()

    def first_offsets(self) -> Offsets:
        """Return where the query began to read, empty before its first batch."""
        path = self.spark / "sources" / "0" / "0"
        try:
            text = path.read_bytes().decode(errors="replace")
            return from_json(text[text.index("{") :])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise self._damaged(path, error) from error

    def _batches(self, log: str) -> list[int]:
        directory = self.spark / log
        return [int(path.name) for path in directory.iterdir() if path.name.isdigit()] if directory.is_dir() else []

    def _damaged(self, path: Path, error: Exception) -> ContractError:
        return ContractError(
            f"{path} is missing or damaged ({error}); restore the checkpoint from a backup, or start with an empty "
            "state.checkpoint under another app.deployment"
        )


def _write(path: Path, value: Mapping[str, Any]) -> None:
    """Write a file as a whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_suffix(".new")
    with staged.open("w") as file:
        json.dump(value, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    staged.rename(path)

"""The marker: what the last published batch of a query was, under which checkpoint, and who published it.

Not here: reading and writing it (``commit_log``), what follows from it (``alert_sink``, ``refusals``).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from detector.errors import ContractError

MARKER_VERSION: Final = 1


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """What the last published batch of a query was, and who published it.

    Attributes
    ----------
    owner_uuid : str
        The checkpoint that publishes; it stays the same over restarts.
    generation : int
        Counts the starts.
    instance : str
        The process; tells two that were started from one checkpoint at once.
    spark_query_id : str or None
        None until the first batch.
    batch_id : int
        Last published batch, -1 until there is one.
    offsets_sha256 : str or None
        Digest of the checkpoint's ``offsets/<batch_id>``, which Spark reuses verbatim on replay.
    end_offsets : dict
        topic -> partition -> offset after the batch.
    emitted_watermark : float or None
        Windows that end at or before this (epoch seconds) have been judged and their alerts published.
    model_digest, config_digest : str
        What judged the batch.
    control_offsets, storm_state, topic_uuids
        Reserved for the control topic and grouping; topic_uuids tells a recreated topic.
    time : float
        Local clock, epoch seconds; advisory only.
    """

    v: int = MARKER_VERSION
    owner_uuid: str
    generation: int
    instance: str = ""
    spark_query_id: str | None = None
    batch_id: int = -1
    offsets_sha256: str | None = None
    end_offsets: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    topic_uuids: dict[str, str] = msgspec.field(default_factory=dict)
    emitted_watermark: float | None = None
    model_digest: str = ""
    config_digest: str = ""
    control_offsets: dict[str, int] = msgspec.field(default_factory=dict)
    storm_state: dict[str, Any] | None = None
    time: float = 0.0

    @classmethod
    def parse(cls, raw: bytes, name: str) -> Marker:
        """Read a marker.

        Parameters
        ----------
        raw : bytes
            As it is in the topic.
        name : str
            Whose it is and where, for the message.

        Raises
        ------
        ContractError
            If it was written by a version that this one does not know.
        """
        try:
            marker = msgspec.json.decode(raw, type=cls)
        except msgspec.MsgspecError as error:
            raise ContractError(
                f"the marker {name} cannot be read ({error}); run the version that wrote it, or give the deployment a "
                "new name (app.deployment)"
            ) from error
        if marker.v != MARKER_VERSION:
            raise ContractError(
                f"the marker {name} has format {marker.v}, this version knows {MARKER_VERSION}; run the version that "
                "wrote it"
            )
        return marker

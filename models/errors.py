"""What can go wrong in the mathematics and in stored models.

A message says what happened, where (file, sensor or member) and what to do next.

Not here: errors of the service and its edges (``detector.errors``).
"""

from __future__ import annotations


class ModelError(Exception):
    """Any failure of a model; the service keeps the last good model and raises a metric."""


class NotFittedError(ModelError):
    """A model is asked for a member that it was not fitted with."""


class InsufficientDataError(ModelError):
    """The history is too short, or too wide for the memory, to fit anything."""


class ArtifactError(ModelError):
    """Stored bytes cannot be used."""


class ArtifactCorruptError(ArtifactError):
    """Stored bytes are not what was once written: truncated, altered, or never ours."""


class ArtifactIncompatibleError(ArtifactError):
    """Stored bytes are intact, but of a format, feature spec or size that this program does not serve."""


class ArtifactUntrustedError(ArtifactError):
    """Stored bytes are not signed by a key that is trusted."""


class RegistryError(ModelError):
    """The registry does not hold what was asked for."""


class StoreError(RegistryError):
    """What the registry lies in cannot be read or written now: rights, network, disk."""

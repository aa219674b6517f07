"""The base of every section of the settings: frozen, closed, and with one meaning of ``null``.

Not here: any setting (``connection``, ``records``, ``schema``).
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


def without_nulls(section: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """Drop settings that are null, so that ``key:`` and ``key: null`` mean the default.

    Parameters
    ----------
    section : type of BaseModel
        The section the values are for; keys that it does not know stay, to be refused.
    values : dict
        What was given for it.

    Returns
    -------
    dict
        The rest.
    """
    known = section.model_fields
    return {key: value for key, value in values.items() if value is not None or key not in known}


class Section(BaseModel):
    """A group of settings that cannot change after it is read and refuses keys that it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,  # an input may be a secret
        allow_inf_nan=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _null_means_default(cls, values: Any) -> Any:
        return without_nulls(cls, values) if isinstance(values, dict) else values

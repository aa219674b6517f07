"""Which texts are paths of object keys.

Not here: reading a record along a path (``test_pipeline_decode_fields``).
"""

from __future__ import annotations

import pytest

from detector.pipeline.paths import parse_path


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("$.value", ("value",)),
        ("$.payload.temp", ("payload", "temp")),
        ("$['a.b'].c", ("a.b", "c")),
        ("$.a['b c'][\"d'e\"]", ("a", "b c", "d'e")),
        ("$.größe.x-y", ("größe", "x-y")),
    ],
)
def test_a_path_is_split_into_its_keys_from_the_outside_in(text, keys):
    assert parse_path(text) == keys


@pytest.mark.parametrize(
    "text", ["", "$", "value", "$value", "$.", "$..a", "$.a.", "$.a[0]", "$.a[*]", "$['']", "$.a b"]
)
def test_anything_else_is_refused_with_the_accepted_forms(text):
    with pytest.raises(ValueError, match=r"write \$\.key"):
        parse_path(text)

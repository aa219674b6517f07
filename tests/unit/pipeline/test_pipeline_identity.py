"""Who a record is from, by each rule, and when that cannot be said.

Not here: where a record names its sensor (``test_pipeline_decode_fields``).
"""

from __future__ import annotations

import pytest

from detector.pipeline.identity import MAX_IDENTIFIER, AssetRule

FIELD = AssetRule(source="field")
MAPPING = AssetRule(source="mapping", mapping={"temp": "pump-3", "7": "pump-7", "odd": ""})
PATTERN = AssetRule(template="{line}-{unit}", pattern=r"(?P<line>[A-Z]+)(?P<unit>\d+)?_.*")


@pytest.mark.parametrize(
    ("rule", "sensor", "claimed", "asset"),
    [
        (AssetRule(), "temp", None, "temp"),
        (AssetRule(), 5, 5, "5"),
        (AssetRule(template="fixed"), "temp", None, "fixed"),
        (AssetRule(template="{topic}/{key}"), "temp", None, "plant/k1"),
        (FIELD, "temp", "pump-3", "pump-3"),
        (FIELD, "temp", 0, "0"),
        (MAPPING, "temp", None, "pump-3"),
        (MAPPING, 7, "pump-7", "pump-7"),
        (PATTERN, "AB12_temp", None, "AB-12"),
        (PATTERN, "AB_temp", "AB-", "AB-"),
    ],
)
def test_the_rule_names_the_asset(rule, sensor, claimed, asset):
    identity = rule.identify(sensor, claimed, "plant", "k1")

    assert identity == (asset, str(sensor), None, "")


@pytest.mark.parametrize(
    ("rule", "sensor", "claimed", "reason"),
    [
        (FIELD, "temp", None, "missing_asset"),
        (MAPPING, "flow", None, "missing_asset"),
        (MAPPING, "flow", "pump-3", "missing_asset"),
        (PATTERN, "ab12_temp", None, "missing_asset"),
        (PATTERN, "xAB12_temp", None, "missing_asset"),
        (AssetRule(), "temp", "pump-3", "asset_conflict"),
        (MAPPING, "temp", "pump-4", "asset_conflict"),
        (MAPPING, "temp", "", "asset_conflict"),
        (PATTERN, "AB12_temp", "AB-13", "asset_conflict"),
        (AssetRule(), "", None, "invalid_id"),
        (FIELD, "temp", "", "invalid_id"),
        (MAPPING, "odd", None, "invalid_id"),
        (AssetRule(template="{key}"), "temp", None, "invalid_id"),
        (FIELD, "a\x1fb", "pump", "invalid_id"),
        (FIELD, "temp", "pump\n", "invalid_id"),
        (FIELD, "temp", "pump\x7f", "invalid_id"),
        (FIELD, "s" * (MAX_IDENTIFIER + 1), "pump", "invalid_id"),
    ],
)
def test_a_record_whose_asset_is_absent_contradicting_or_unusable_says_why(rule, sensor, claimed, reason):
    identity = rule.identify(sensor, claimed, "plant", "")

    assert identity.reason == reason
    assert identity.detail
    assert identity.asset_id == ""


def test_an_identifier_of_the_greatest_length_is_valid():
    assert AssetRule().identify("s" * MAX_IDENTIFIER, None, "plant", "").reason is None


@pytest.mark.parametrize(
    ("rule", "needed"),
    [(AssetRule(template="{key}"), True), (AssetRule(), False), (AssetRule(source="field", template="{key}"), False)],
)
def test_the_kafka_key_is_read_only_where_the_template_names_it(rule, needed):
    assert rule.needs_key is needed

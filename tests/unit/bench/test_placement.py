"""Bucket placement is Spark's: the values were given by ``select xxhash64(id), pmod(xxhash64(id), 64)``."""

from __future__ import annotations

import numpy as np
import pytest

from bench.feed import sensor_ids
from bench.placement import STRIPE, buckets_of, xxhash64

SPARK = {
    "": (-7444071767201028348, 4),
    "a": (-8582455328737087284, 12),
    "bc": (8405177242434991006, 30),
    "pump-12": (1975417760501101711, 15),
    "pump-123": (-9208678563651148494, 50),
    "sensor-0000000": (7249141548599435324, 60),
    "sensor-0000001": (1418116467473476066, 34),
    "x" * 27: (-4022264229205074698, 54),
}


@pytest.mark.parametrize("word", SPARK)
def test_the_hash_of_an_id_is_that_of_spark(word):
    data = np.frombuffer(word.encode(), np.uint8).reshape(1, -1)
    assert xxhash64(data).view(np.int64).tolist() == [SPARK[word][0]]


@pytest.mark.parametrize("word", [word for word in SPARK if word])
def test_the_bucket_of_an_id_is_that_of_spark(word):
    assert buckets_of(np.array([word], object), 64).tolist() == [SPARK[word][1]]


def test_sensors_spread_evenly_over_the_buckets():
    counts = np.bincount(buckets_of(sensor_ids(np.arange(64_000)), 64), minlength=64)
    assert counts.min() > 800
    assert counts.max() < 1_200


def test_ids_that_are_too_long_are_refused():
    with pytest.raises(ValueError, match="shorten"):
        buckets_of(np.array(["x" * STRIPE], object), 64)

"""Ids of records that customers see."""

import functools
import operator
import uuid

from heliograph import ids

NOW = 1_790_000_000.123


def test_ids_are_uuids_of_version_7_that_begin_with_their_time() -> None:
    """RFC 9562, 5.7: 48 bits of Unix milliseconds, the version, and the variant."""
    for text in ids.new_ids(1000, NOW):
        made = uuid.UUID(text)
        assert (made.version, made.variant, made.int >> 80) == (7, uuid.RFC_4122, 1_790_000_000_123)
        assert text == str(made).upper()


def test_ids_of_one_call_ascend_and_none_comes_twice() -> None:
    made = ids.new_ids(10_000, NOW)
    assert made == sorted(set(made))
    assert not set(made) & set(ids.new_ids(10_000, NOW))


def test_every_bit_is_random_but_those_of_the_time_the_version_and_the_variant() -> None:
    made = [uuid.UUID(text).int for text in ids.new_ids(1000, NOW)]
    seen_as_one = functools.reduce(operator.or_, made)
    always_one = functools.reduce(operator.and_, made)
    version_and_variant = 0xF << 76 | 0b11 << 62
    assert (seen_as_one ^ always_one) == ((1 << 80) - 1) & ~version_and_variant

"""What was seen lately, in bounded memory."""

from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """A mapping that keeps at least the last half of `size` entries and never more than `size`.

    Two generations: when the young one is full it becomes the old one. Forgetting costs nothing per entry, whereas a
    dict whose first entry is removed at each insertion gets slow.
    """

    def __init__(self, size: int) -> None:
        self._half = max(1, size // 2)
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def put(self, key: Key, value: Value) -> None:
        """Remember, or remember anew."""
        young = self._young
        young[key] = value
        if len(young) >= self._half:
            self._old, self._young = young, {}

    def get(self, key: Key) -> Value | None:
        """What was put last under the key, unless it is forgotten."""
        found = self._young.get(key)
        return self._old.get(key) if found is None else found

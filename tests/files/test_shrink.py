"""Pictures as small as a carrier takes them: what is made, how often, and how long it is kept."""

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from heliograph.db.engine import Tx
from heliograph.errors import Unavailable
from heliograph.files import images, store
from heliograph.files.convert import Converted, Converter
from heliograph.files.folder import FolderStore
from heliograph.files.shrink import Picture, Shrinker
from heliograph.files.task import Refused, Unfinished
from heliograph.settings import load
from heliograph.transports.base import UNLIMITED, Limits
from support import documents
from support.steps import Steps, taken

PHOTO = documents.saved(documents.picture(600, 400), "JPEG", quality=90)
FILM = documents.animation(4, 200, 150)
SMALL = Limits(10_000, 200)
LIFE = 1000


def opened(octets: bytes) -> Image.Image:
    return Image.open(io.BytesIO(octets))


@pytest.mark.parametrize(
    ("octets", "kind", "limits", "extension"),
    [
        (PHOTO, "jpeg", Limits(20_000), "jpg"),
        (PHOTO, "jpeg", Limits(largest_side=100), "jpg"),
        (PHOTO, "jpeg", SMALL, "jpg"),
        (documents.saved(documents.picture(300, 600), "GIF"), "gif", SMALL, "jpg"),
        (FILM, "gif", Limits(20_000), "gif"),
        (FILM, "gif", Limits(largest_side=100), "gif"),
    ],
)
def test_a_picture_keeps_to_the_limits(octets: bytes, kind: str, limits: Limits, extension: str) -> None:
    made, ending = images.to_mms(octets, kind, limits)
    image = opened(made)
    assert ending == extension
    assert len(made) <= limits.largest_bytes
    assert max(image.size) <= limits.largest_side
    assert getattr(image, "n_frames", 1) == getattr(opened(octets), "n_frames", 1)
    wide, high = opened(octets).size
    assert image.width / image.height == pytest.approx(wide / high, rel=0.05)


def test_a_picture_within_the_limits_keeps_its_pixels() -> None:
    made, _ = images.to_mms(PHOTO, "jpeg", Limits(largest_side=600))
    assert opened(made).tobytes() == opened(PHOTO).tobytes()


@pytest.mark.parametrize(("octets", "kind", "words"), [(PHOTO, "jpeg", "picture"), (FILM, "gif", "animation")])
def test_what_nobody_would_see_any_more_is_refused(octets: bytes, kind: str, words: str) -> None:
    with pytest.raises(Refused, match=f"The {words} cannot be made smaller than 0 kB"):
        images.to_mms(octets, kind, Limits(300))


class Counting(Converter):
    """Makes a file of a few bytes, and counts the pictures that it got. `problem` is raised instead."""

    def __init__(self) -> None:
        super().__init__(load())
        self.got: list[Limits] = []
        self.problem: Exception | None = None

    async def convert(
        self, data: bytes, name: str, target: str, country: str = "", limits: Limits = UNLIMITED
    ) -> Converted:
        self.got.append(limits)
        await asyncio.sleep(0)
        if self.problem is not None:
            raise self.problem
        made = data if len(data) < 100 else f"{len(self.got)}: {limits}".encode()
        return Converted(made, f"{name}.jpg", "jpg", 0)


class Desk:
    """An account with a picture, and what makes it smaller."""

    def __init__(self, steps: Steps, folder: Path) -> None:
        self.steps = steps
        self.user_id = steps.account().user_id
        self.files = FolderStore(folder)
        self.converter = Counting()
        self.shrinker = self.another()
        self.picture = self.stored(PHOTO)

    def another(self) -> Shrinker:
        """That of another process."""
        return Shrinker(self.steps.database, self.files, self.converter)

    def stored(self, octets: bytes) -> Picture:
        def record(tx: Tx) -> str:
            return store.create(tx, self.user_id, "a.jpg", "image/jpeg", LIFE, size=len(octets))

        async def save() -> str:
            return await store.save(self.steps.database, self.files, octets, record)

        return Picture(f"{self.steps.run(save())}.jpg", "image/jpeg", octets)

    def fit(self, limits: Limits = SMALL, picture: Picture | None = None) -> Picture:
        return self.steps.run(self.shrinker.fit(picture or self.picture, limits))

    def refused(self, limits: Limits = SMALL) -> Refused:
        with pytest.raises(Refused) as found:
            self.fit(limits)
        return found.value


@pytest.fixture
def desk(migrated_url: str, tmp_path: Path) -> Iterator[Desk]:
    with taken(migrated_url) as steps:
        yield Desk(steps, tmp_path / "files")


def test_a_picture_is_made_once_for_all_and_again_only_for_other_limits(desk: Desk) -> None:
    async def many() -> list[Picture]:
        return await asyncio.gather(*(desk.shrinker.fit(desk.picture, SMALL) for _ in range(20)))

    made = desk.steps.run(many())
    assert set(made) == {made[0]}
    assert desk.steps.run(desk.another().fit(desk.picture, SMALL)) == made[0]
    assert desk.converter.got == [SMALL]
    assert desk.fit(Limits(20_000)).octets != made[0].octets
    assert desk.converter.got == [SMALL, Limits(20_000)]


def test_what_is_small_enough_goes_as_it_is_and_is_not_looked_at_when_only_bytes_count(desk: Desk) -> None:
    tiny = desk.stored(b"tiny")
    assert desk.fit(Limits(10_000), tiny) is tiny
    assert desk.converter.got == []
    assert desk.fit(SMALL, tiny) is tiny
    assert desk.fit(SMALL, tiny) is tiny
    assert desk.converter.got == [SMALL]


def test_it_is_a_file_of_the_account_that_lives_as_long_as_the_picture(desk: Desk) -> None:
    made = desk.fit()
    row = desk.steps.write(lambda tx: store.find(tx, made.file_id))
    assert row is not None
    assert (row["user_id"], row["ready"], row["size"], row["name"]) == (
        desk.user_id,
        1,
        len(made.octets),
        "picture.jpg",
    )
    assert row["expires_at"] == desk.steps.clock.now + LIFE
    until = int(desk.steps.clock.now) + 3 * LIFE
    desk.steps.write(lambda tx: store.keep(tx, desk.user_id, desk.picture.file_id, until))
    desk.steps.clock.now += LIFE - 1
    assert desk.fit() == made
    desk.steps.clock.now += LIFE
    assert desk.fit() == made
    assert desk.converter.got == [SMALL]


@pytest.mark.parametrize("lost", ["bytes", "record"])
def test_one_that_is_gone_is_made_again(desk: Desk, lost: str) -> None:
    made = desk.fit()
    if lost == "bytes":
        desk.files.remove(made.file_id)
    else:
        desk.steps.write(lambda tx: store.discard(tx, [made.file_id]))
    again = desk.fit()
    assert again.file_id != made.file_id
    assert desk.fit() == again
    assert desk.converter.got == [SMALL, SMALL]


def test_a_picture_that_goes_takes_along_what_is_known_of_it(desk: Desk) -> None:
    made = desk.fit()
    desk.steps.clock.now += LIFE + 1
    desk.steps.write(store.expire)
    for table in ("files", "shrunk"):
        left = desk.steps.write(lambda tx, table=table: tx.driver(f"SELECT count(*) FROM {table}").fetchone()[0])  # type: ignore[misc]
        assert left == 0
    with pytest.raises(Refused, match="not kept any more"):
        desk.fit()
    assert desk.steps.write(lambda tx: store.find(tx, made.file_id)) is None


def test_a_refusal_is_remembered_but_not_a_conversion_that_was_broken_off(desk: Desk) -> None:
    desk.converter.problem = Unfinished("The server is stopping.")
    assert isinstance(desk.refused(), Unfinished)
    desk.converter.problem = Refused("It is too large.")
    for _ in range(2):
        assert str(desk.refused()) == "It is too large."
    assert len(desk.converter.got) == 2


def test_a_store_that_is_away_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.fit()

    def away(*_: object) -> bytes:
        raise OSError("away")

    monkeypatch.setattr(desk.files, "read", away)
    with pytest.raises(Unavailable):
        desk.fit()


def test_the_conversion_process_keeps_to_the_limits() -> None:
    async def made() -> Converted:
        converter = Converter(load())
        try:
            return await converter.convert(PHOTO, "a.jpg", "mms", limits=SMALL)
        finally:
            await converter.close()

    found = asyncio.run(made())
    assert (len(found.data) <= SMALL.largest_bytes, opened(found.data).size) == (True, (200, 133))

"""Files in a bucket of an S3-compatible store, named by their ids."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, BinaryIO

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from heliograph.option import SettingsError
from heliograph.settings import Settings

CONNECT, ANSWER, AGAIN = timedelta(seconds=5), timedelta(seconds=60), timedelta(seconds=20)
RETRIES = 3
"""Times of one request: to connect, to answer (a part of 5 MB on a slow line), and until when a failed one is tried
again, at most RETRIES times. For so long a store that does not answer holds a thread, and the caller waits.
"""


class BucketStore:
    """Fulfils store.FileStore. Raises OSError when the store is away."""

    def __init__(self, options: Settings) -> None:
        kind, _, rest = options.file_store.partition("://")
        bucket, _, prefix = rest.partition("/")
        if kind != "s3" or not bucket:
            raise SettingsError(f"HELIOGRAPH_FILE_STORE={options.file_store!r}: write it as s3://bucket/prefix.")
        given = {
            "endpoint": options.s3_endpoint,
            "region": options.s3_region,
            "access_key_id": options.s3_key_id,
            "secret_access_key": options.s3_secret,
        }
        config: Any = {name: value for name, value in given.items() if value}
        self._store = S3Store(
            bucket,
            config=config,
            prefix=prefix or None,
            client_options={
                "allow_http": options.s3_endpoint.startswith("http://"),
                "connect_timeout": CONNECT,
                "timeout": ANSWER,
            },
            retry_config={"max_retries": RETRIES, "retry_timeout": AGAIN},
        )

    def put(self, file_id: str, content: BinaryIO) -> None:
        """Store a file whole; it is in the bucket when this returns."""
        with _plain_errors():
            obstore.put(self._store, file_id, content)

    def read(self, file_id: str, start: int, length: int) -> bytes:
        """A piece of a file. Raises FileNotFoundError."""
        with _plain_errors():
            return bytes(obstore.get_range(self._store, file_id, start=start, length=length))

    def remove(self, file_id: str) -> None:
        """Remove a file; one that is gone already is no error."""
        with contextlib.suppress(FileNotFoundError), _plain_errors():
            obstore.delete(self._store, file_id)


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn errors of the store into those that a folder would raise."""
    try:
        yield
    except NotFoundError as problem:
        raise FileNotFoundError(_first_line(problem)) from None
    except BaseError as problem:
        raise OSError(_first_line(problem)) from None


def _first_line(problem: Exception) -> str:
    """The first line of an error: the others are internals of the library."""
    return str(problem).partition("\n")[0]

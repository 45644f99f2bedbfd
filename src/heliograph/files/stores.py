"""Which store of files there is."""

from heliograph.files.folder import FolderStore
from heliograph.files.store import FileStore
from heliograph.settings import Settings


def file_store(options: Settings) -> FileStore:
    """Where the bytes of files are kept. Raises SettingsError."""
    if not options.file_store:
        return FolderStore(options.data / "files")
    from heliograph.files.bucket import BucketStore  # with a client for S3

    return BucketStore(options)

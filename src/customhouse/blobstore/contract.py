"""What a store of bytes owes its callers. `tests/contract/test_blobstore.py` holds each to it.

All calls block and are meant for threads. Any process of the installation may make any of them:
an upload is begun through one and ended through another.
"""

from __future__ import annotations

from typing import BinaryIO, Protocol, Self


class Upload(Protocol):
    """An unfinished upload, held by the one who writes to it."""

    offset: int
    """How many bytes there are."""

    def write(self, chunks: list[bytes]) -> None:
        """Append.

        Raises:
            Failure: STORAGE_FULL; the bytes written so far stay.
        """

    def save(self) -> None:
        """Make everything written survive a power cut. Only then may it be acknowledged.

        Raises:
            Failure: STORAGE_FULL.
        """

    def truncate(self, offset: int) -> None:
        """Forget what came after `offset`."""

    def finish(self, digest: str) -> int:
        """Check the content against its digest and move it to its place; returns its size.

        When this returns the content survives a power cut. The upload is gone then; if the
        digest does not match it stays as it is.

        Raises:
            Failure: DIGEST_MISMATCH, STORAGE_FULL.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None:
        """Let others write to it; nothing that was written is lost."""


class BlobStore(Protocol):
    """Content under its digest, written once whoever pushes it, and unfinished uploads."""

    def create_upload(self, repository: str, algorithm: str) -> str:
        """Begin an upload; returns its identifier, which cannot be guessed.

        Raises:
            Failure: STORAGE_FULL.
        """

    def open_upload(self, repository: str, upload: str) -> Upload:
        """Hold an upload for writing.

        Raises:
            Failure: UPLOAD_UNKNOWN, also when it belongs to another repository; UPLOAD_BUSY when
                somebody else holds it.
        """

    def upload_size(self, repository: str, upload: str) -> int:
        """How many bytes an upload has.

        Raises:
            Failure: UPLOAD_UNKNOWN.
        """

    def cancel_upload(self, repository: str, upload: str) -> None:
        """Drop an upload.

        Raises:
            Failure: UPLOAD_UNKNOWN, UPLOAD_BUSY.
        """

    def expire_uploads(self, before: float) -> int:
        """Drop uploads not written to since a time (seconds since 1970); returns how many."""

    def open(self, digest: str) -> BinaryIO:
        """The content, for reading.

        Raises:
            Failure: BLOB_LOST.
        """

    def local_path(self, digest: str) -> str | None:
        """The file that holds the content and nothing else, where there is one."""

    def delete(self, digest: str) -> bool:
        """Remove the content; returns whether it was there. Readers that have begun finish."""

"""Bytes: content under its digest, and the uploads that bring it. Nothing here knows a table."""

from customhouse.blobstore.contract import BlobStore, Upload
from customhouse.blobstore.files import FileBlobStore

__all__ = ["BlobStore", "FileBlobStore", "Upload"]

"""A layer such as a distribution's image has, always the same: 10,000 files, 80 MB of gzip.

The files are text made of a few thousand words with some random bytes in between, which deflate
packs about as well as programs and libraries (2.4 to 1), and the database of dpkg says that
400 packages are installed.
"""

import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

FILES = 10_000
PACKAGES = 400
SOURCES = 134
_FOLDERS = 500
_POOL = 8 << 20
_MEAN_SIZE = 19_300
_NOISE = 5  # every so many words there is a random one
_OS_RELEASE = """\
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
"""


def _pool(random: Random) -> bytes:
    words = [random.randbytes(random.randint(1, 8)).hex().encode() for _ in range(3000)]
    pieces: list[bytes] = []
    length = 0
    while length < _POOL:
        piece = b" ".join(random.choices(words, k=_NOISE)) + random.randbytes(2)
        pieces.append(piece)
        length += len(piece)
    return b"".join(pieces)


def _status(random: Random) -> bytes:
    stanzas = []
    for number in range(PACKAGES):
        needed = random.sample(range(PACKAGES), k=random.randint(0, 12))
        depends = ", ".join(f"package-{other} (>= 1.{other % 40})" for other in needed)
        stanzas.append(
            f"Package: package-{number}\n"
            "Status: install ok installed\n"
            "Priority: optional\n"
            "Section: libs\n"
            f"Installed-Size: {random.randint(20, 20_000)}\n"
            "Maintainer: Nobody <nobody@example.org>\n"
            "Architecture: amd64\n"
            f"Source: source-{number % SOURCES}\n"
            f"Version: {random.randint(0, 9)}.{random.randint(0, 40)}-{random.randint(1, 9)}\n"
            + (f"Depends: {depends}\n" if depends else "")
            + "Description: a package\n"
            + " It is here to be counted.\n" * random.randint(1, 12)
        )
    return "\n".join(stanzas).encode()


def layer_files(edition: int = 0) -> Iterator[tuple[str, bytes]]:
    """The names and the contents of all files, in the order of the archive.

    Args:
        edition: each has packages in other versions, and is otherwise the same.
    """
    random = Random("layer")
    yield "etc/os-release", _OS_RELEASE.encode()
    pool = _pool(random)
    for number in range(FILES - PACKAGES - 2):
        size = min(int(random.lognormvariate(0, 1.2) / 2.05 * _MEAN_SIZE), _POOL // 2)
        start = random.randrange(_POOL - size)
        name = f"usr/share/folder-{number % _FOLDERS:03}/file-{number:05}"
        yield name, pool[start : start + size]
    for number in range(PACKAGES):
        listed = "".join(f"/usr/share/folder-{number}/file-{at:05}\n" for at in range(25))
        yield f"var/lib/dpkg/info/package-{number}.list", listed.encode()
    yield "var/lib/dpkg/status", _status(Random(f"status {edition}"))


def write_layer(path: Path, edition: int = 0) -> None:
    """Write an edition of the layer: a tar archive in gzip, at the level of container tools."""
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for name, content in layer_files(edition):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))

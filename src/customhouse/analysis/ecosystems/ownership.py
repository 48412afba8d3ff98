"""Which files of an operating system's package could be, or hold, packages of a language.

Such files are judged with the package that owns them, not once more by themselves.
"""

from __future__ import annotations

import re

_HOLDS = re.compile(
    r"""(?:
        \.(?:dist|egg)-info(?:/METADATA|/PKG-INFO)?
      | /package\.json
      | \.(?:jar|war|ear|par|jmod)
      | \.gemspec
      | /composer/installed\.json
      | \.deps\.json
    )$""",
    re.VERBOSE,
).search
_TEXTS = ("usr/share/doc/", "usr/share/man/", "usr/share/licenses/", "usr/share/locale/", "etc/")


def may_hold(path: str) -> bool:
    """Tell whether a file could be a package of a language or a program with packages in it.

    Args:
        path: inside the image, without leading slash. A name without a dot can be a program.
    """
    if _HOLDS(path):
        return True
    name = path.rpartition("/")[2]
    return bool(name) and "." not in name and not path.startswith(_TEXTS)

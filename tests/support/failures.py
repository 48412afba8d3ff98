"""What is expected to fail, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec

import pytest

from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")


def failed(code: Code) -> pytest.RaisesExc[Failure]:
    """Expect a failure with a code: `with failed(Code.DENIED): ...`."""
    return pytest.RaisesExc(Failure, check=lambda failure: failure.code is code)


def code_of(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Code | None:
    """The code that a call fails with; None if it does not fail."""
    try:
        function(*args, **kwargs)
    except Failure as failure:
        return failure.code
    return None

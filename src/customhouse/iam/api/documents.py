"""Bodies of requests: JSON objects whose texts every engine can store and every answer can say."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Body
from pydantic import AfterValidator


def checked(document: dict[str, Any]) -> dict[str, Any]:
    """A document without zero characters, which PostgreSQL takes in no text, and lone surrogates.

    Raises:
        ValueError: it has some, or is nested too deeply.
    """
    try:
        text = json.dumps(document, ensure_ascii=False)
        text.encode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise ValueError("it is nested too deeply or has half a surrogate pair in it") from error
    if r"\u0000" in text:
        raise ValueError("it has a zero character in it")
    return document


def checked_text(text: str) -> str:
    """A text that is as `checked` has it.

    Raises:
        ValueError: it is not.
    """
    checked({"": text})
    return text


Document = Annotated[dict[str, Any], AfterValidator(checked), Body(default_factory=dict)]
Text = Annotated[str, AfterValidator(checked_text)]

"""Bodies in JSON, whatever they hold: what cannot be read raises one error only."""

from typing import TypeVar

import msgspec

T = TypeVar("T")


def decode_json(raw: bytes | str, type_: type[T]) -> T:
    """What ``raw`` says.

    Raises:
        msgspec.DecodeError: it is no JSON, not UTF-8 or nested too deeply; a ``ValidationError``
            if it is not of ``type_``.
    """
    try:
        return msgspec.json.decode(raw, type=type_)
    except UnicodeError as error:
        raise msgspec.DecodeError(f"JSON has to be UTF-8: {error}") from error
    except RecursionError as error:
        raise msgspec.DecodeError("JSON is nested too deeply") from error

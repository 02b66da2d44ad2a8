"""JSON records as objects, with numbers of any size."""

from collections.abc import Callable

import msgspec


def decode_object(text: str | bytes, wide: Callable[[str], object] = float) -> dict[str, object]:
    """The object that ``text`` is.

    Source: assumed (JSON has no largest number, and a record is kept as it was pushed).

    Args:
        text: JSON.
        wide: what a number becomes in an object where one is beyond a float, as ``1e400``.

    Raises:
        msgspec.DecodeError: it is no JSON; a ``ValidationError`` if it is another value.
    """
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except msgspec.ValidationError:
        return msgspec.json.Decoder(dict[str, object], float_hook=wide).decode(text)

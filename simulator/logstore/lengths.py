"""How long a text may be that a resource keeps: each is described, and listed, with all it has."""

from typing import Final

from simulator.errors import invalid

MAX_TEXT_LENGTH: Final = 65_536
"""Characters. Source: assumed (no limit is documented)."""


def check_length(parameter: str, text: str, most: int = MAX_TEXT_LENGTH) -> None:
    """Refuse a text of more than ``most`` characters.

    Raises:
        ControlError: InvalidParameter.
    """
    if len(text) > most:
        raise invalid(parameter, f"expected at most {most} characters, not {len(text)}")

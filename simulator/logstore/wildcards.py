"""Names that are compared with patterns."""

from collections.abc import Callable


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """What tells whether a name fits a pattern, in which only ``*`` is a wildcard.

    The time it takes is that of looking for each piece once, whatever the pattern.
    """
    head, *rest = pattern.split("*")
    if not rest:
        return lambda name: name == pattern
    tail = rest.pop()

    def fits(name: str) -> bool:
        place, end = len(head), len(name) - len(tail)
        if place > end or not name.startswith(head) or not name.endswith(tail):
            return False
        for piece in rest:
            found = name.find(piece, place, end)
            if found < 0:
                return False
            place = found + len(piece)
        return True

    return fits

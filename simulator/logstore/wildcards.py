"""Names that are compared with patterns."""

import fnmatch
import re
from collections.abc import Callable


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """What tells whether a name fits a pattern, in which only ``*`` is a wildcard."""
    # Brackets and question marks are no wildcards here.
    translated = fnmatch.translate(pattern.replace("[", "[[]").replace("?", "[?]"))
    matches = re.compile(translated).match
    return lambda name: matches(name) is not None

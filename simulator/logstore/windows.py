"""Totals that run along the rows of a select's source, in the order of a value.

An aggregate that needs one asks for it while it is written; it is computed below the select, where
DuckDB sorts within its memory and can be interrupted.
"""

from collections.abc import Sequence


class RunningTotals:
    """The totals of weights that one select needs of its source."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str], str] = {}

    def ask(self, value: str, weight: str) -> tuple[str, str]:
        """The weights of all rows of the group whose value is not above, and of the whole group.

        Args:
            value: SQL for a floating number; rows without one come last.
            weight: SQL for a floating number; NULL where a row has none.

        Returns:
            SQL for both, in terms of the source that ``below`` makes.
        """
        name = self._asked.setdefault((value, weight), f"w{len(self._asked)}")
        return name, f"{name}_all"

    def below(
        self, source: str, condition: str, tables: Sequence[str], groups: Sequence[str]
    ) -> tuple[str, str]:
        """A source that has the totals beside all that ``source`` has, and its condition.

        Args:
            source: what stands after FROM, joins included.
            condition: what stands after WHERE.
            tables: what columns of it are qualified by; none if they are bare.
            groups: SQL for what the rows are grouped by.
        """
        if not self._asked:
            return source, condition
        by = f"PARTITION BY {', '.join(groups)}" if groups else ""
        totals = [
            f"sum({weight}) OVER ({by} ORDER BY {value} NULLS LAST) AS {name},"
            f" sum({weight}) OVER ({by}) AS {name}_all"
            for (value, weight), name in self._asked.items()
        ]
        # A table that is selected by its name is one column, whose fields are still qualified.
        columns = ", ".join(tables or ["*"])
        return f"(SELECT {columns}, {', '.join(totals)} FROM {source} WHERE {condition})", "TRUE"

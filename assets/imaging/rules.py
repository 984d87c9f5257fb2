"""How a study chooses among several segmentations; light, so that study files can be checked."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from oncoframe.errors import SettingsError


class Rule(StrEnum):
    """How a study chooses among several segmentations."""

    TUMOUR = "tumour"
    NAMED = "named"
    LATEST = "latest"
    LARGEST = "largest"
    ALL = "all"


@dataclass(frozen=True)
class MaskRule:
    """The study's rule for masks.

    Parameters
    ----------
    rule
        ``tumour``: named like a tumour, of the newest object, the largest of these. ``named``: the
        names given. ``latest``: the newest object. ``largest``: most voxels. ``all``: everything
        together. Where several targets are left, the largest is taken (``named`` and ``all``: their
        union).
    names
        Names of ROIs or segments, for ``named``; case and surrounding blanks do not count.
    """

    rule: Rule = Rule.TUMOUR
    names: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Rule as settings and rows write it: ``largest``, ``named:GTV-1,GTV-2``.

        Raises
        ------
        SettingsError
            If there is no such rule, or names stand where none belong, or are missing.
        """
        rule, _, listed = text.partition(":")
        names = tuple(name.strip() for name in listed.split(",") if name.strip())
        if rule not in set(Rule) or bool(names) != (rule == Rule.NAMED):
            raise SettingsError(
                "no such rule for masks",
                expected="tumour, latest, largest, all, or named:NAME,NAME",
                got=text,
            )
        return cls(Rule(rule), names)

    @property
    def label(self) -> str:
        """The rule as :meth:`parse` reads it."""
        return f"{self.rule}:{','.join(self.names)}" if self.names else str(self.rule)

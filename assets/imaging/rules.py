"""How a study chooses among several segmentations; light, so that study files can be checked."""

from dataclasses import dataclass
from enum import StrEnum


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

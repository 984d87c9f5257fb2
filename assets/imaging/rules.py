"""How a study chooses among several segmentations; light, so that study files can be checked."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from oncoframe.errors import SettingsError

#: What a rule may allow besides, in the order of a label.
_OPTIONS = ("interpolate", "absent_images")


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
    interpolate
        Whether slices between contours are filled by shape; else such a structure is refused.
    absent_images
        Whether a segmentation is taken though the images that it names are not there.
    """

    rule: Rule = Rule.TUMOUR
    names: tuple[str, ...] = ()
    interpolate: bool = False
    absent_images: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Rule as settings and rows write it: ``largest``, ``named+interpolate:GTV-1,GTV-2``.

        Raises
        ------
        SettingsError
            If there is no such rule or option, or names stand where none belong, or are missing.
        """
        said, _, listed = text.partition(":")
        rule, *options = said.split("+")
        names = tuple(name.strip() for name in listed.split(",") if name.strip())
        is_known = rule in set(Rule) and set(options) <= set(_OPTIONS)
        if not is_known or bool(names) != (rule == Rule.NAMED):
            raise SettingsError(
                "no such rule for masks",
                expected="tumour, latest, largest, all, or named:NAME,NAME; "
                "+interpolate and +absent_images after the first word",
                got=text,
            )
        return cls(Rule(rule), names, **{option: option in options for option in _OPTIONS})

    @property
    def label(self) -> str:
        """The rule as :meth:`parse` reads it."""
        said = "+".join([self.rule, *(option for option in _OPTIONS if getattr(self, option))])
        return f"{said}:{','.join(self.names)}" if self.names else said

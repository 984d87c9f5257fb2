"""Named rearrangements, looked for in a karyotype.

    "t(8;21)(q21|q22;q22)" -> pattern -> Pattern.found(karyotype) -> True, False, None

None: the laboratory put a question mark to it, or a part of the karyotype could not be read.
"""

import re
from dataclasses import dataclass
from functools import cache
from itertools import permutations

from assets.genomics.karyotype.iscn import Karyotype
from assets.genomics.karyotype.items import CHROMOSOMES, Abnormality, Kind

#: More breakpoints in one exchange than that are not looked through.
_MOST_BREAKS = 6
_PATTERN = re.compile(r"([a-z]+)\(([^()]*)\)(?:\(([^()]*)\))?")
_WHOLE = re.compile(r"([+\-])(\d{1,2}|X|Y)")


@dataclass(frozen=True)
class Pattern:
    """A rearrangement as the literature names it.

    Parameters
    ----------
    kind
        Kind of abnormality; a translocation also within a derivative chromosome or with more
        partners than named.
    places
        Chromosome (``*`` for any) and the bands of which one must be hit (``q21``, ``q22``); a
        band means all its sub-bands. Without bands any place.
    """

    kind: Kind
    places: tuple[tuple[str, tuple[str, ...]], ...]

    def found(self, karyotype: Karyotype) -> bool | None:
        """Whether any clone has it; None where that is doubtful."""
        doubtful = not karyotype.complete
        for clone in karyotype.clones:
            for item in clone.acquired:
                if any(self._matches(part) for part in item.with_parts()):
                    if not item.uncertain:
                        return True
                    doubtful = True
        return None if doubtful else False

    def _matches(self, item: Abnormality) -> bool:
        if item.kind is not self.kind:
            return False
        own: list[tuple[str, tuple[str, ...]]]
        if len(item.chromosomes) == 1:  # inv(16)(p13q22): all breaks on one chromosome
            own = [(item.chromosomes[0], (band,)) for band in (item.bands[0] if item.bands else ())]
            own = own or [(item.chromosomes[0], ())] * len(self.places)
        else:
            bands = (*item.bands, *[()] * (len(item.chromosomes) - len(item.bands)))
            own = list(zip(item.chromosomes, bands, strict=True))
        if len(own) < len(self.places) or len(own) > _MOST_BREAKS:
            return False
        return any(
            all(_fits(wanted, got) for wanted, got in zip(self.places, some, strict=True))
            for some in permutations(own, len(self.places))
        )


def _fits(wanted: tuple[str, tuple[str, ...]], got: tuple[str, tuple[str, ...]]) -> bool:
    chromosome, bands = wanted
    if chromosome not in ("*", got[0]):
        return False
    return not bands or not got[1] or any(b.startswith(w) for b in got[1] for w in bands)


@cache
def pattern(text: str) -> Pattern:
    """Pattern of a text: ``t(8;21)(q21|q22;q22)``, ``inv(16)(p13;q22)``, ``+8``, ``i(17)(q10)``.

    Raises
    ------
    ValueError
        If the text is no pattern.
    """
    if match := _WHOLE.fullmatch(text):
        return Pattern(Kind(match[1]), ((match[2], ()),))
    match = _PATTERN.fullmatch(text)
    chromosomes = match[2].split(";") if match else []
    if match is None or match[1] not in set(Kind) or not set(chromosomes) <= {*CHROMOSOMES, "*"}:
        msg = f"{text!r} is no pattern of a rearrangement"
        raise ValueError(msg)
    bands = [tuple(part.split("|")) if part != "*" else () for part in (match[3] or "").split(";")]
    if len(chromosomes) == 1:
        chromosomes *= len(bands)
    if match[3] is None:
        bands = [()] * len(chromosomes)
    if len(bands) != len(chromosomes):
        msg = f"{text!r} does not name a place on each chromosome"
        raise ValueError(msg)
    return Pattern(Kind(match[1]), tuple(zip(chromosomes, bands, strict=True)))

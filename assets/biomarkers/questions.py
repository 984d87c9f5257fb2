"""Atoms: the single questions that the rules of a panel put to each source.

    Finding -> atoms -> {snv: ("FLT3_ITD",), karyotype: ("inv(16)(p13;q22)", "-5q"), ...}

An atom is a column of what :mod:`assets.biomarkers.observations` and
:mod:`assets.biomarkers.karyotypes` say of a source; its name says what is asked.
"""

from collections.abc import Mapping
from functools import cached_property

from assets.biomarkers.contract import ARMS
from assets.genomics.panel.rules import Finding, Panel, Source

COMPLEX, MONOSOMAL = "complex", "monosomal"
DELETED, AMPLIFIED = "deleted", "amplified"


def modal_atom(least: int, most: int) -> str:
    """Whether an abnormal clone has so many chromosomes."""
    return f"chromosomes {least} to {most}"


def count_atom(least: int, most: int | None) -> str:
    """Whether there are so many abnormalities."""
    return f"abnormalities {least} to {most}"


def loss(region: str) -> str:
    """Whether a region is lost."""
    return f"-{region}"


def gain(region: str) -> str:
    """Whether a region is gained."""
    return f"+{region}"


def deletion(gene: str) -> str:
    """Whether a gene is deleted."""
    return f"{DELETED} {gene}"


def amplification(gene: str) -> str:
    """Whether a gene is amplified."""
    return f"{AMPLIFIED} {gene}"


class Atoms:
    """Atoms of a panel.

    Parameters
    ----------
    panel
        Whose findings ask.
    """

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self._hotspots = {rules: name for name, rules in panel.hotspots.items()}

    def of(self, finding: Finding) -> dict[Source, tuple[str, ...]]:
        """Source -> atoms of which one affirms the finding."""
        flag = (self._hotspots[finding.variant],) if finding.variant else ()
        changes = (*map(loss, finding.lost), *map(gain, finding.gained))
        asked = {
            Source.SNV: (*flag, *finding.mutated),
            Source.FUSION: (*finding.fusion, *finding.rearranged),
            Source.SV: (*finding.fusion, *finding.rearranged),
            Source.CNV: (
                *changes,
                *map(deletion, finding.deleted),
                *map(amplification, finding.amplified),
            ),
            Source.KARYOTYPE: (
                *finding.karyotype,
                *changes,
                *((modal_atom(*finding.modal_number),) if finding.modal_number else ()),
                *((count_atom(*finding.abnormalities),) if finding.abnormalities else ()),
                *((COMPLEX,) if finding.complex else ()),
                *((MONOSOMAL,) if finding.monosomal else ()),
            ),
        }
        return {source: names for source, names in asked.items() if names}

    @cached_property
    def all(self) -> Mapping[Source, tuple[str, ...]]:
        """Source -> every atom of it, each once."""
        findings = (*self.panel.findings, *ARM_FINDINGS.values())
        asked = [self.of(finding) for finding in findings]
        return {
            source: tuple(dict.fromkeys(a for some in asked for a in some.get(source, ())))
            for source in Source
        }


#: Column -> whether an arm is lost or gained.
ARM_FINDINGS = {
    **{f"arm_{arm}_lost": Finding(lost=(arm,)) for arm in ARMS},
    **{f"arm_{arm}_gained": Finding(gained=(arm,)) for arm in ARMS},
}


def column(source: Source, atom: str) -> str:
    """Name of an atom's column."""
    return f"{source}:{atom}"

"""Recurrent protein changes of blood cancers, recognised from HGVS protein names.

    "ENSP00000351015.5:p.Val617Phe" -> ProteinChange -> VariantRule -> found or not

Residues are those of the transcript that the literature numbers by; a variant annotated only on
another transcript is not recognised rather than guessed.

References
----------
HGVS nomenclature, version 21. The rules themselves stand in ``panel.yaml``, each with its source.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

#: Protein changes of one variant as annotated, and its allele fraction if known.
Variant = tuple[Sequence[str], float | None]


class Change(StrEnum):
    """Kind of a protein change."""

    SUBSTITUTION = "substitution"
    NONSENSE = "nonsense"
    FRAMESHIFT = "frameshift"
    INSERTION = "insertion"
    DELETION = "deletion"
    OTHER = "other"


@dataclass(frozen=True)
class ProteinChange:
    """One protein change in one-letter code.

    Parameters
    ----------
    reference
        First residue (``V``).
    start, end
        First and last residue that change, 1-based.
    kind
        INSERTION and DELETION are in frame, by net length.
    alternate
        New residue of a substitution, otherwise empty.
    """

    reference: str
    start: int
    end: int
    kind: Change
    alternate: str = ""


@dataclass(frozen=True)
class VariantRule:
    """Rule that recognises recurrent changes of one gene.

    Parameters
    ----------
    gene
        HGNC symbol.
    residues
        First and last residue of the region, inclusive; None for the whole protein.
    kinds
        Kinds of change that count; empty for any protein-altering variant.
    alternates
        New residues that count; empty for any.
    at_least
        Number of variants that must fit.
    min_vaf, above_vaf
        Variant allele fraction that each needs at least, or must be above.
    """

    gene: str
    residues: tuple[int, int] | None = None
    kinds: frozenset[Change] = frozenset()
    alternates: str = ""
    at_least: int = 1
    min_vaf: float | None = None
    above_vaf: float | None = None

    def matches(self, change: ProteinChange) -> bool:
        """Whether a change of the gene is one of these."""
        first, last = self.residues or (0, change.end)
        return (
            (not self.kinds or change.kind in self.kinds)
            and change.start <= last
            and change.end >= first
            and (not self.alternates or change.alternate in self.alternates)
        )

    @property
    def is_any_change(self) -> bool:
        """Whether any protein-altering variant of the gene fits, also one without a name."""
        return self.residues is None and not self.kinds and not self.alternates


_LETTERS = {
    "Ala": "A", "Arg": "R", "Asn": "N", "Asp": "D", "Cys": "C", "Gln": "Q", "Glu": "E", "Gly": "G",
    "His": "H", "Ile": "I", "Leu": "L", "Lys": "K", "Met": "M", "Phe": "F", "Pro": "P", "Ser": "S",
    "Thr": "T", "Trp": "W", "Tyr": "Y", "Val": "V", "Sec": "U", "Ter": "*", "Xaa": "X",
}  # fmt: skip
_THREE_LETTERS = re.compile("|".join(_LETTERS))
_CHANGE = re.compile(r"([A-Z*])(\d{1,5})(?:_([A-Z*])(\d{1,5}))?(.*)", re.DOTALL)
#: Residues before and after a change, as BCFtools writes them; ``..`` where it shortens them.
_RESIDUES = re.compile(r"(\d{1,5})([A-Z*]+)(\.\.[0-9]*)?>\d{1,5}([A-Z*]*)(?:\.\.[0-9]*)?")
_DELINS = re.compile(r"delins([A-Z]+)")
_KINDS = (
    (re.compile(r".*fs.*"), Change.FRAMESHIFT),
    (re.compile(r"[*X]|(ins|dup|delins).*\*.*"), Change.NONSENSE),
    (re.compile(r"(ins|dup).*"), Change.INSERTION),
    (re.compile(r"del"), Change.DELETION),
    (re.compile(r"[A-Z]"), Change.SUBSTITUTION),
)
#: What the panel calls the kinds.
_KIND_NAMES = {
    "missense": frozenset({Change.SUBSTITUTION}),
    "in_frame": frozenset({Change.SUBSTITUTION, Change.INSERTION, Change.DELETION}),
    "insertion": frozenset({Change.INSERTION}),
    "frameshift": frozenset({Change.FRAMESHIFT}),
    "loss": frozenset({Change.FRAMESHIFT, Change.NONSENSE}),
}


def variant_rule(written: Mapping[str, Any]) -> VariantRule:
    """Rule as the panel writes it.

    Raises
    ------
    ValueError, TypeError, KeyError
        If a key is unknown, or a value is not of its kind.
    """
    values = dict(written)
    kinds = _KIND_NAMES[values.pop("kinds")] if "kinds" in values else frozenset()
    residues = values.pop("residues", None)
    if residues is not None:
        first, last = map(int, residues)
        if not 0 < first <= last:
            msg = f"residues {first} to {last} are no region"
            raise ValueError(msg)
        values["residues"] = (first, last)
    return VariantRule(kinds=kinds, **values)


def parse_change(hgvs: str) -> ProteinChange | None:
    """Protein change of an HGVS name, or None if it is not one or changes nothing.

    Parameters
    ----------
    hgvs
        One- or three-letter code, with or without accession, ``p.`` and parentheses; percent
        escapes as VEP writes them.
    """
    text = unquote(hgvs).rsplit(":", 1)[-1].strip().removeprefix("p.").strip("()")
    text = _THREE_LETTERS.sub(lambda match: _LETTERS[match[0]], text)
    if match := _RESIDUES.fullmatch(text):
        return _residues_change(int(match[1]), match[2], match[4], is_short=bool(match[3]))
    match = _CHANGE.fullmatch(text)
    if match is None:
        return None
    reference, start, _, end, change = match.groups()
    first, last = int(start), int(end or start)
    kind, alternate = _kind(change, last - first + 1)
    return None if kind is None else ProteinChange(reference, first, last, kind, alternate)


def _residues_change(
    start: int, before: str, after: str, *, is_short: bool
) -> ProteinChange | None:
    """Change from the residues before and after it.

    BCFtools lists the residues of a shifted frame up to the stop, or shortens them.
    """
    end = start + len(before) - 1
    if before == after and not is_short:
        return None
    if is_short or (len(before) > 1 and "*" in (before[-1], after[-1:])):
        return ProteinChange(before[0], start, start, Change.FRAMESHIFT)
    if len(before) == len(after) == 1:
        kind, alternate = _kind(after, 1)
        return None if kind is None else ProteinChange(before, start, end, kind, alternate)
    kind = Change.INSERTION if len(after) > len(before) else Change.DELETION
    return ProteinChange(before[0], start, end, kind)


def _kind(change: str, residues: int) -> tuple[Change | None, str]:
    """Kind of the text behind the residues, and the new residue of a substitution."""
    if change in {"", "=", "?"}:
        return None, ""
    if match := _DELINS.fullmatch(change):
        return (Change.INSERTION if len(match[1]) > residues else Change.DELETION), ""
    kind = next((kind for pattern, kind in _KINDS if pattern.fullmatch(change)), Change.OTHER)
    return kind, change if kind is Change.SUBSTITUTION else ""


def fits(rules: Iterable[VariantRule], variants: Sequence[Variant]) -> bool | None:
    """Whether any of some rules about one gene finds its variants.

    Parameters
    ----------
    variants
        Protein-altering variants of the gene: protein changes (as annotated) and allele fraction.

    Returns
    -------
    None where it depends on an allele fraction that is not known.
    """
    answers = [_fits(rule, variants) for rule in rules]
    return True if True in answers else None if None in answers else False


def _fits(rule: VariantRule, variants: Sequence[Variant]) -> bool | None:
    certain, possible = 0, 0
    for changes, vaf in variants:
        parsed = (parse_change(text) for text in changes)
        if not rule.is_any_change and not any(c is not None and rule.matches(c) for c in parsed):
            continue
        needs_vaf = rule.min_vaf is not None or rule.above_vaf is not None
        possible += 1
        if not needs_vaf:
            certain += 1
        elif vaf is not None:
            enough = vaf >= (rule.min_vaf or 0) and vaf > (rule.above_vaf or -1)
            certain += enough
            possible -= not enough
    return True if certain >= rule.at_least else None if possible >= rule.at_least else False

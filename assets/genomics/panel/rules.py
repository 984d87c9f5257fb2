"""Rules of biomarkers: what a panel is made of, in memory.

    Panel -> Entry -> rule: Finding (of assays), Combination (of rules), Expression (a number)

What the parts mean, and how they are written, is said in :mod:`assets.genomics.panel.entries`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import Literal

from assets.genomics.panel.hotspots import VariantRule


class Source(StrEnum):
    """Where a finding can come from."""

    SNV = "snv"
    FUSION = "fusion"
    SV = "sv"
    CNV = "cnv"
    KARYOTYPE = "karyotype"


@dataclass(frozen=True)
class Finding:
    """One lesion, which any of its sources may affirm; see the table of the module."""

    variant: tuple[VariantRule, ...] = ()
    mutated: tuple[str, ...] = ()
    fusion: tuple[str, ...] = ()
    rearranged: tuple[str, ...] = ()
    karyotype: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    amplified: tuple[str, ...] = ()
    modal_number: tuple[int, int] | None = None
    abnormalities: tuple[int, int | None] | None = None
    complex: bool = False
    monosomal: bool = False
    silent: frozenset[Source] = frozenset()


@dataclass(frozen=True)
class Combination:
    """Other rules, combined; ``AT_LEAST`` many of them hold."""

    operator: Literal["any", "all", "none", "at_least"]
    parts: tuple["Rule", ...]
    least: int = 1


@dataclass(frozen=True)
class Expression:
    """Expression of a gene, a number."""

    gene: str


#: A rule, or the id of the entry whose rule it is.
Rule = Finding | Combination | Expression | str


@dataclass(frozen=True)
class Entry:
    """One biomarker.

    Parameters
    ----------
    id
        Name of its column.
    title
        What it is, for people.
    who, icc
        What it defines or supports in either classification.
    evidence
        Citations.
    version
        Changes with the rule.
    digest
        Hash of the rule as written, so that no change of it goes unnoticed.
    """

    id: str
    title: str
    rule: Finding | Combination | Expression
    who: str
    icc: str
    evidence: tuple[str, ...]
    version: int
    digest: str = ""

    @property
    def variant(self) -> tuple[VariantRule, ...]:
        """Protein changes that the entry asks for itself; no two findings of one entry do."""
        found = [f.variant for f in findings(self.rule) if f.variant]
        return found[0] if found else ()


@dataclass(frozen=True)
class Panel:
    """All biomarkers, in the order of the file.

    Parameters
    ----------
    version
        Changes with any entry.
    housekeeping
        Genes that expression is related to.
    """

    version: str
    entries: tuple[Entry, ...]
    housekeeping: tuple[str, ...]
    by_id: Mapping[str, Entry] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {entry.id: entry for entry in self.entries})

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Findings of all entries, each once."""
        every = (finding for entry in self.entries for finding in findings(entry.rule))
        return tuple(dict.fromkeys(every))

    @cached_property
    def digest(self) -> str:
        """Hash of all rules."""
        return _digest(self.entries)

    @cached_property
    def hotspots_digest(self) -> str:
        """Hash of the rules that ask for protein changes."""
        return _digest(entry for entry in self.entries if entry.variant)

    @cached_property
    def hotspots(self) -> Mapping[str, tuple[VariantRule, ...]]:
        """Id -> protein changes, for the entries that ask for any."""
        return {entry.id: entry.variant for entry in self.entries if entry.variant}

    @cached_property
    def markers(self) -> Mapping[str, str]:
        """Id -> gene, for the entries that are a gene's expression."""
        return {e.id: e.rule.gene for e in self.entries if isinstance(e.rule, Expression)}


def _digest(entries: Iterable[Entry]) -> str:
    text = "\n".join(f"{entry.id} {entry.digest}" for entry in entries)
    return sha256(text.encode()).hexdigest()[:8]


def findings(rule: Rule) -> Iterator[Finding]:
    """Findings within a rule, not those of entries it refers to."""
    if isinstance(rule, Finding):
        yield rule
    elif isinstance(rule, Combination):
        for part in rule.parts:
            yield from findings(part)

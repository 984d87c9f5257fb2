"""The rules of the panel over what the sources say: three answers, and who gave them.

answers to the atoms -> findings -> entries -> columns of the biomarkers

A finding is true if any source affirms it, false if none does and a source that could have seen it
was asked, else null. Combinations follow three-valued logic: unknown and false is false.
"""

from collections.abc import Mapping

import polars as pl

from assets.biomarkers.contract import EVIDENCE
from assets.biomarkers.questions import ARM_FINDINGS, Atoms, column
from assets.genomics.panel.rules import Combination, Entry, Expression, Finding, Rule, Source
from assets.genomics.panel.rules import findings as findings_of


def evaluate(answers: pl.DataFrame, atoms: Atoms) -> pl.DataFrame:
    """Biomarkers of patients.

    Parameters
    ----------
    answers
        A Boolean column per atom, see :func:`assets.biomarkers.questions.column`.
    atoms
        Of the panel.

    Returns
    -------
    A Boolean column per entry that is a flag and per arm change, the counts by source, and the
    evidence; named as in the contract.
    """
    findings = dict.fromkeys((*atoms.panel.findings, *ARM_FINDINGS.values()))
    names = {finding: f"finding {i}" for i, finding in enumerate(findings)}
    work = answers.with_columns(
        affirmation
        for finding, name in names.items()
        for affirmation in _by_source(atoms, finding, name)
    )
    work = work.with_columns(_settled(atoms, finding, name) for finding, name in names.items())
    entries = [e for e in atoms.panel.entries if not isinstance(e.rule, Expression)]
    settled: set[str] = set()
    while left := [entry for entry in entries if entry.id not in settled]:
        ready = [entry for entry in left if _named(entry.rule) <= settled]
        work = work.with_columns(_holds(e.rule, names).alias(e.id) for e in ready)
        settled |= {entry.id for entry in ready}
    flags = [entry.id for entry in entries]
    return work.select(
        *flags,
        *(pl.col(names[finding]).alias(arm) for arm, finding in ARM_FINDINGS.items()),
        pl.sum_horizontal(*(pl.col(n).fill_null(value=False) for n in flags))
        .cast(pl.Int32).alias("biomarkers_positive"),
        pl.sum_horizontal(*(pl.col(name).is_not_null() for name in flags))
        .cast(pl.Int32).alias("biomarkers_assessed"),
        *(_affirmed_by(source, entries, names, work.columns) for source in Source),
        _evidence(entries, names, work.columns).alias(EVIDENCE),
    )  # fmt: skip


def _by_source(atoms: Atoms, finding: Finding, name: str) -> list[pl.Expr]:
    """Answer of each source to a finding: any of its atoms."""
    return [
        pl.any_horizontal(*(pl.col(column(source, atom)) for atom in asked)).alias(
            f"{name} {source}"
        )
        for source, asked in atoms.of(finding).items()
    ]


def _settled(atoms: Atoms, finding: Finding, name: str) -> pl.Expr:
    said = {source: pl.col(f"{name} {source}") for source in atoms.of(finding)}
    loud = [answer for source, answer in said.items() if source not in finding.silent]
    affirmed = pl.any_horizontal(*(a.fill_null(value=False) for a in said.values()))
    denied = pl.any_horizontal(*((~a).fill_null(value=False) for a in loud), pl.lit(value=False))
    answer = pl.when(affirmed).then(statement=True).when(denied).then(statement=False)
    return answer.otherwise(None).alias(name)


def _holds(rule: Rule, names: Mapping[Finding, str]) -> pl.Expr:
    if isinstance(rule, str):
        return pl.col(rule)
    if isinstance(rule, Finding):
        return pl.col(names[rule])
    if isinstance(rule, Expression):
        msg = "an expression is a number, not part of a combination"
        raise TypeError(msg)
    parts = [_holds(part, names) for part in rule.parts]
    match rule.operator:
        case "any":
            return pl.any_horizontal(*parts)
        case "all":
            return pl.all_horizontal(*parts)
        case "none":
            return ~pl.any_horizontal(*parts)
        case "at_least":
            certain = pl.sum_horizontal(*(part.fill_null(value=False) for part in parts))
            possible = pl.sum_horizontal(*(part.fill_null(value=True) for part in parts))
            return (
                pl.when(certain >= rule.least)
                .then(statement=True)
                .when(possible < rule.least)
                .then(statement=False)
                .otherwise(None)
            )


def _named(rule: Rule) -> set[str]:
    if isinstance(rule, str):
        return {rule}
    if isinstance(rule, Combination):
        return set().union(*(_named(part) for part in rule.parts))
    return set()


def _affirming(
    entry: Entry, source: Source, names: Mapping[Finding, str], present: list[str]
) -> pl.Expr | None:
    """Whether a source affirms a finding of an entry that holds; None if it is never asked."""
    asked = [f"{names[finding]} {source}" for finding in findings_of(entry.rule)]
    asked = [name for name in asked if name in present]
    if not asked:
        return None
    said = pl.any_horizontal(*(pl.col(name).fill_null(value=False) for name in asked))
    return said & pl.col(entry.id).fill_null(value=False)


def _affirmed_by(
    source: Source, entries: list[Entry], names: Mapping[Finding, str], present: list[str]
) -> pl.Expr:
    said = [_affirming(entry, source, names, present) for entry in entries]
    found = [expression for expression in said if expression is not None]
    return pl.sum_horizontal(pl.lit(0), *found).cast(pl.Int32).alias(f"biomarkers_by_{source}")


def _evidence(entries: list[Entry], names: Mapping[Finding, str], present: list[str]) -> pl.Expr:
    """``id=source+source`` of each entry that a source affirms, joined by semicolons."""
    parts = []
    for entry in entries:
        said = {source: _affirming(entry, source, names, present) for source in Source}
        sources = pl.concat_str(
            *(pl.when(e).then(pl.lit(s.value)) for s, e in said.items() if e is not None),
            pl.lit(None, pl.String),
            separator="+",
            ignore_nulls=True,
        )
        any_source = [e for e in said.values() if e is not None]
        if any_source:
            text = pl.concat_str(pl.lit(f"{entry.id}="), sources)
            parts.append(pl.when(pl.any_horizontal(*any_source)).then(text))
    return pl.concat_str(*parts, separator=";", ignore_nulls=True)

"""The panel as a table for people: ``docs/biomarkers.md`` is made of it.

panel -> Markdown rows -> the part of a document between two marks
"""

from assets.genomics.panel.hotspots import VariantRule
from assets.genomics.panel.rules import Entry, Expression, Finding, Panel, Rule
from oncoframe.errors import WrongFormat

BEGIN, END = "<!-- panel: begin -->", "<!-- panel: end -->"


def panel_table(panel: Panel) -> str:
    """Markdown table with a row per entry."""
    lines = [
        f"Panel version {panel.version}, {len(panel.entries)} entries.",
        "",
        "| id | rule | WHO 2022 | ICC 2022 | evidence | version |",
        "| --- | --- | --- | --- | --- | --- |",
        *map(_row, panel.entries),
    ]
    return "\n".join(lines)


def with_panel(document: str, panel: Panel) -> str:
    """Document with the panel between its marks.

    Raises
    ------
    WrongFormat
        If the document does not have both marks.
    """
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise WrongFormat("the document has no place for the panel", expected=f"{BEGIN} and {END}")
    return f"{head}{BEGIN}\n{panel_table(panel)}\n{END}{tail}"


def _row(entry: Entry) -> str:
    cells = (
        f"`{entry.id}`",
        f"{entry.title}: {_words(entry.rule)}",
        entry.who,
        entry.icc,
        "; ".join(entry.evidence),
        str(entry.version),
    )
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _words(rule: Rule) -> str:
    if isinstance(rule, str):
        return f"`{rule}`"
    if isinstance(rule, Expression):
        return f"log2 of {rule.gene} less the mean log2 of the housekeeping genes"
    if isinstance(rule, Finding):
        return _finding(rule)
    parts = "; ".join(_words(part) for part in rule.parts)
    operator = f"{rule.least} or more" if rule.operator == "at_least" else rule.operator
    return f"{operator} of ({parts})"


def _finding(rule: Finding) -> str:
    said = [_variant(variant) for variant in rule.variant]
    lists = {
        "mutated": rule.mutated,
        "fusion": rule.fusion,
        "rearranged": rule.rearranged,
        "karyotype": rule.karyotype,
        "lost": rule.lost,
        "gained": rule.gained,
        "deleted": rule.deleted,
        "amplified": rule.amplified,
    }
    said += [f"{name} {', '.join(values)}" for name, values in lists.items() if values]
    if rule.modal_number:
        said.append(f"{rule.modal_number[0]} to {rule.modal_number[1]} chromosomes")
    if rule.abnormalities:
        least, most = rule.abnormalities
        said.append(f"{least} to {most} abnormalities" if most is not None else f"{least} or more")
    said += ["complex karyotype"] * rule.complex + ["monosomal karyotype"] * rule.monosomal
    silent = f" (not excluded by {', '.join(sorted(rule.silent))})" if rule.silent else ""
    return " or ".join(said) + silent


def _variant(rule: VariantRule) -> str:
    words = [rule.gene]
    if rule.residues:
        first, last = rule.residues
        words.append(f"residue {first}" if first == last else f"residues {first}-{last}")
    words += [", ".join(sorted(rule.kinds))] * bool(rule.kinds)
    words += [f"to {rule.alternates}"] * bool(rule.alternates)
    words += [f"at least {rule.at_least} variants"] * (rule.at_least > 1)
    words += [f"each of {vaf:.0%} or more" for vaf in (rule.min_vaf,) if vaf is not None]
    words += [f"of more than {vaf:.0%}" for vaf in (rule.above_vaf,) if vaf is not None]
    return " ".join(words)

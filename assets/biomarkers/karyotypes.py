"""What karyotypes say of the panel, each different text once.

karyotype texts -> parse_karyotype -> answers to the atoms, counts, what could not be read
"""

from collections.abc import Sequence
from dataclasses import astuple

import polars as pl

from assets.biomarkers.contract import KARYOTYPE_FEATURES, UNREAD, UNREADABLE
from assets.biomarkers.questions import COMPLEX, MONOSOMAL, Atoms, column
from assets.genomics.karyotype.cytogenetics import gained, karyotype_counts, lost, region
from assets.genomics.karyotype.iscn import Karyotype, Unreadable, parse_karyotype
from assets.genomics.karyotype.rearrangements import pattern
from assets.genomics.panel.rules import Source

_SIZE = len(KARYOTYPE_FEATURES)


def karyotype_answers(texts: pl.Series, atoms: Atoms) -> pl.DataFrame:
    """Answers of karyotypes.

    Parameters
    ----------
    texts : (n,) series of str
        As the laboratory wrote them; null where there is none.

    Returns
    -------
    (n) frame: a Boolean column per atom of the source ``karyotype`` (null: no karyotype, or it
    leaves that open), the counts, and what could not be read.
    """
    asked = atoms.all[Source.KARYOTYPE]
    schema = pl.Schema(
        {
            "text": pl.String(),
            **{column(Source.KARYOTYPE, atom): pl.Boolean() for atom in asked},
            **{feature.name: feature.dtype for feature in KARYOTYPE_FEATURES},
            UNREADABLE: pl.String(),
            UNREAD: pl.Int32(),
        }
    )
    rows = [(text, *_answers(text, asked)) for text in texts.drop_nulls().unique()]
    known = pl.DataFrame(rows, schema=schema, orient="row")
    asking = texts.alias("text").to_frame()
    return asking.join(known, on="text", how="left", maintain_order="left").drop("text")


def _answers(text: str, asked: Sequence[str]) -> tuple[object, ...]:
    found = parse_karyotype(text)
    if isinstance(found, Unreadable):
        return (*[None] * (len(asked) + _SIZE), found.reason, None)
    counts = karyotype_counts(found)
    numbers = astuple(counts)[:_SIZE]
    answers = [_answer(found, atom) for atom in asked]
    return (*answers, *numbers, None, len(found.unread))


def _answer(karyotype: Karyotype, atom: str) -> bool | None:
    """Answer to one atom; what was not read of a karyotype may hold what is asked for."""
    words = atom.split(" ")
    if atom in (COMPLEX, MONOSOMAL):
        counts = karyotype_counts(karyotype)
        found = counts.is_complex if atom == COMPLEX else counts.is_monosomal
        return found or (False if karyotype.complete else None)
    if words[0] == "abnormalities":
        return _within(karyotype, int(words[1]), None if words[3] == "None" else int(words[3]))
    if words[0] == "chromosomes":
        return _has_clone(karyotype, int(words[1]), int(words[3]))
    if atom[0] in "+-":
        return (lost if atom[0] == "-" else gained)(karyotype, region(atom[1:]))
    return pattern(atom).found(karyotype)


def _within(karyotype: Karyotype, least: int, most: int | None) -> bool | None:
    """Whether the number of abnormalities lies in a range; unread items could only add to it."""
    number = karyotype_counts(karyotype).abnormalities
    if most is not None and number > most:
        return False
    if karyotype.complete:
        return number >= least
    return True if number >= least and most is None else None


def _has_clone(karyotype: Karyotype, least: int, most: int) -> bool | None:
    modals = [clone.modal for clone in karyotype.abnormal]
    if any(modal and least <= (modal[0] + modal[1]) / 2 <= most for modal in modals):
        return True
    return False if karyotype.complete and None not in modals else None

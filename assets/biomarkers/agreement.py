"""How the biomarkers agree with what the clinic says itself.

    biomarkers (lake) + clinical calls, diagnoses -> agreement -> a row per biomarker

The clinical calls (``npm1_clinical``) and the diagnosis are no sources of the biomarkers, so they
can judge them. Differences are told apart by which side says more, because they have other
reasons: what one side could not see, or measured in another specimen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from assets.biomarkers.contract import CONTRACT, EVIDENCE
from assets.clinical.contract import clinical_contract
from assets.clinical.publish import LABELS
from assets.genomics.panel.entries import load_panel
from assets.genomics.panel.rules import Source
from assets.genomics.snv import reader as snv
from oncoframe.contracts import Contract
from oncoframe.errors import StudyError
from oncoframe.lake import Lake
from oncoframe.point_in_time import latest_events, latest_rows


@dataclass(frozen=True)
class Comparison:
    """A biomarker and the clinical statement of the same thing.

    Parameters
    ----------
    biomarker
        Entry of the panel.
    column
        Column of the clinical features, or ``label``.
    positive, negative
        Values there that affirm and deny it; of a label, parts of its text, and every other label
        denies it.
    """

    biomarker: str
    column: str
    positive: tuple[str, ...]
    negative: tuple[str, ...] = ()


_DIAGNOSIS = "label"
#: What is compared, in the words of WHO's fourth and fifth edition.
COMPARISONS = (
    Comparison("NPM1_exon12_frameshift", "npm1_clinical", ("positive",), ("negative",)),
    Comparison("FLT3_ITD", "flt3_itd_clinical", ("positive",), ("negative",)),
    Comparison("CEBPA_biallelic", "cebpa_clinical", ("biallelic",), ("monoallelic",)),
    Comparison("CBFB::MYH11", _DIAGNOSIS, ("CBFB-MYH11", "CBFB::MYH11")),
    Comparison("RUNX1::RUNX1T1", _DIAGNOSIS, ("RUNX1-RUNX1T1", "RUNX1::RUNX1T1")),
    Comparison("PML::RARA", _DIAGNOSIS, ("PML-RARA", "PML::RARA")),
    Comparison("KMT2A::MLLT3", _DIAGNOSIS, ("MLLT3-MLL", "MLLT3-KMT2A", "KMT2A::MLLT3")),
    Comparison("GATA2::MECOM", _DIAGNOSIS, ("RPN1-EVI1", "GATA2, MECOM", "MECOM")),
    Comparison("DEK::NUP214", _DIAGNOSIS, ("DEK-NUP214", "DEK::NUP214")),
)


@dataclass(frozen=True)
class Agreement:
    """What a comparison came to, in patients whose latest rows say something on both sides.

    Parameters
    ----------
    both, neither
        Both sides affirm, both deny.
    only_biomarker, only_clinic
        One side affirms what the other denies.
    unknown
        The clinic speaks, the biomarker is null.
    affirmed_by
        Source -> patients in whom it affirms the biomarker, alone or with others.
    patients_only_biomarker, patients_only_clinic
        Who differs, sorted.
    why_only_biomarker, why_only_clinic
        What the other side says instead -> patients: the diagnosis given, the variants of the gene
        that the file holds.
    """

    biomarker: str
    against: str
    both: int
    neither: int
    only_biomarker: int
    only_clinic: int
    unknown: int
    affirmed_by: dict[str, int]
    patients_only_biomarker: tuple[str, ...]
    patients_only_clinic: tuple[str, ...]
    why_only_biomarker: dict[str, int]
    why_only_clinic: dict[str, int]

    @property
    def share(self) -> float | None:
        """Share of the patients known to both sides in whom they agree."""
        known = self.both + self.neither + self.only_biomarker + self.only_clinic
        return (self.both + self.neither) / known if known else None

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa: agreement beyond chance; None where one side has a single answer."""
        known = self.both + self.neither + self.only_biomarker + self.only_clinic
        mine, theirs = self.both + self.only_biomarker, self.both + self.only_clinic
        by_chance = mine * theirs + (known - mine) * (known - theirs)
        if not known or by_chance == known**2:
            return None
        share = (self.both + self.neither) / known
        return (share - by_chance / known**2) / (1 - by_chance / known**2)


def agreements(
    lake: Lake, comparisons: Sequence[Comparison] = COMPARISONS
) -> tuple[Agreement, ...]:
    """Agreement of the newest biomarkers of each patient with the newest clinical statements.

    Raises
    ------
    StudyError
        If there are no biomarkers yet.
    """
    if not lake.exists(CONTRACT.table):
        raise StudyError("there are no biomarkers yet", hint="Run 'oncoframe run' first.")
    names = {f.name: f.column for f in CONTRACT.features}
    wanted = {c.biomarker: pl.col(names[c.biomarker]) for c in comparisons}
    mine = _newest(lake, CONTRACT).select("patient_id", EVIDENCE, **wanted)
    clinical = _newest(lake, clinical_contract())
    if lake.exists(LABELS):
        key = ("patient_id", "label_name", "label_version")
        labels = latest_rows(lake.scan(LABELS), by=key).drop_nulls("label_value")
        label = labels.group_by("patient_id").agg(label=pl.col("label_value").str.join("; "))
        clinical = clinical.join(label.collect(), on="patient_id", how="left")
    else:
        clinical = clinical.with_columns(label=pl.lit(None, pl.String))
    joined = mine.join(clinical, on="patient_id", suffix="_clinical_row")
    genes = {f"{gene}_variants" for gene in map(_gene, comparisons) if gene}
    counts = _newest(lake, snv.CONTRACT).select("patient_id", *sorted(genes))
    joined = joined.join(counts, on="patient_id", how="left")
    return tuple(_agreement(joined, comparison) for comparison in comparisons)


def _newest(lake: Lake, contract: Contract) -> pl.DataFrame:
    """Row of each patient with the latest event."""
    newest = latest_events(lake.scan_features(contract), by=("patient_id",))
    return newest.sort("patient_id").collect()


def _agreement(rows: pl.DataFrame, comparison: Comparison) -> Agreement:
    said = pl.col(comparison.column)
    if comparison.column == _DIAGNOSIS:
        affirms = said.str.contains_any(list(comparison.positive))
        denies = ~affirms
    else:
        affirms = said.is_in(comparison.positive)
        denies = said.is_in(comparison.negative)
    clinic = pl.when(affirms).then(statement=True).when(denies).then(statement=False)
    gene = _gene(comparison)
    pairs = rows.select(
        "patient_id",
        EVIDENCE,
        _DIAGNOSIS,
        mine=pl.col(comparison.biomarker),
        clinic=clinic,
        variants=pl.format(f"{{}} variants of {gene} in the file", f"{gene}_variants")
        if gene
        else pl.lit("no source affirms it"),
    ).drop_nulls("clinic")

    def count(mine: bool, clinic: bool) -> pl.DataFrame:  # noqa: FBT001  # two sides of a table
        return pairs.filter((pl.col("mine") == mine) & (pl.col("clinic") == clinic))

    more, fewer = count(True, False), count(False, True)
    evidence = pairs.filter("mine")[EVIDENCE].str.extract(
        rf"(?:^|;){_escaped(comparison.biomarker)}=([a-z+]*)"
    )
    return Agreement(
        comparison.biomarker,
        comparison.column if comparison.column != _DIAGNOSIS else "diagnosis",
        both=len(count(True, True)),
        neither=len(count(False, False)),
        only_biomarker=len(more),
        only_clinic=len(fewer),
        unknown=pairs["mine"].null_count(),
        affirmed_by={
            source.value: int(evidence.str.contains(rf"(?:^|\+){source}(?:$|\+)").sum())
            for source in Source
        },
        patients_only_biomarker=tuple(more["patient_id"]),
        patients_only_clinic=tuple(fewer["patient_id"]),
        why_only_biomarker=_counted(more[_DIAGNOSIS].fill_null("no diagnosis given")),
        why_only_clinic=_counted(fewer["variants"].fill_null("not sequenced")),
    )


def _counted(reasons: pl.Series) -> dict[str, int]:
    counts = reasons.alias("why").value_counts(sort=True)
    return {str(why): int(number) for why, number in counts.iter_rows()}


def _gene(comparison: Comparison) -> str | None:
    """Gene whose protein changes the biomarker asks for."""
    rules = load_panel().hotspots.get(comparison.biomarker)
    return rules[0].gene if rules else None


def _escaped(name: str) -> str:
    """A biomarker's name within a regular expression."""
    return name.replace(".", r"\.")

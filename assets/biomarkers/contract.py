"""The contract of the biomarkers: a column per entry of the panel, and numbers beside them.

panel.yaml -> CONTRACT -> lake schema, Feast view, feature dictionary
"""

import polars as pl

from assets.genomics.panel.entries import load_panel
from assets.genomics.panel.rules import Entry, Expression, Source
from oncoframe.contracts import Contract, Feature

TABLE = "biomarkers"
MODALITY = "biomarkers"
#: Changes whenever the same findings would give other values; the panel's version follows it.
CODE_VERSION = "1"

#: Arms whose gains and losses have columns; the short arms of 13, 14, 15, 21 and 22 hold no genes
#: that are counted one by one.
ARMS = tuple(
    f"{chromosome}{arm}"
    for chromosome in (*map(str, range(1, 23)), "X")
    for arm in "pq"
    if arm == "q" or chromosome not in {"13", "14", "15", "21", "22"}
)
#: Which sources said so, for people: ``NPM1_exon12_frameshift=snv;PML::RARA=fusion+karyotype``.
EVIDENCE = "biomarkers_evidence"
UNREADABLE, UNREAD = "karyotype_unreadable", "karyotype_unread_items"

_COUNT, _FLAG, _NUMBER, _TEXT = pl.Int32(), pl.Boolean(), pl.Float64(), pl.String()

#: Numbers of a karyotype, in the order of
#: :class:`assets.genomics.karyotype.cytogenetics.KaryotypeCounts`.
KARYOTYPE_FEATURES = (
    Feature("karyotype_modal_number", _COUNT, "1",
            "chromosomes per cell of the largest abnormal clone"),
    Feature("karyotype_clones", _COUNT, "1", "abnormal clones"),
    Feature("karyotype_cells", _COUNT, "1", "metaphases analysed"),
    Feature("karyotype_normal_cells", _COUNT, "1", "metaphases of normal clones"),
    Feature("karyotype_abnormalities", _COUNT, "1", "different acquired abnormalities"),
    Feature("karyotype_structural", _COUNT, "1", "of them, rebuilt chromosomes and markers"),
    Feature("karyotype_gains", _COUNT, "1", "of them, whole chromosomes gained"),
    Feature("karyotype_losses", _COUNT, "1", "of them, whole chromosomes lost"),
    Feature("karyotype_autosomal_monosomies", _COUNT, "1", "autosomes lost, most in one clone"),
)  # fmt: skip


def _feature(entry: Entry) -> Feature:
    meaning = f"{entry.title}. WHO 2022: {entry.who}. ICC 2022: {entry.icc}."
    if isinstance(entry.rule, Expression):
        return Feature(entry.id, _NUMBER, "log2 ratio", meaning)
    return Feature(entry.id, _FLAG, "1", meaning)


def _features() -> tuple[Feature, ...]:
    panel = load_panel()
    arms = (
        Feature(f"arm_{arm}_{change}", _FLAG, "1", f"any part of {arm} {change}")
        for change in ("lost", "gained")
        for arm in ARMS
    )
    return (
        *map(_feature, panel.entries),
        *arms,
        *KARYOTYPE_FEATURES,
        Feature("biomarkers_positive", _COUNT, "1", "biomarkers of the panel that are present"),
        Feature("biomarkers_assessed", _COUNT, "1", "biomarkers present or excluded"),
        *(Feature(f"biomarkers_by_{source}", _COUNT, "1", f"biomarkers affirmed by {source}")
          for source in Source),
        Feature(EVIDENCE, _TEXT, "1", "which sources affirm which biomarkers", is_setting=True),
        Feature(UNREADABLE, _TEXT, "1", "why a karyotype could not be read", is_setting=True),
        Feature(UNREAD, _COUNT, "1", "items of the karyotype that could not be read",
                is_setting=True),
    )  # fmt: skip


CONTRACT = Contract(
    table=TABLE,
    modality=MODALITY,
    description=(
        "Biomarkers of blood cancers by the panel: true if any source affirms them, false if an "
        "assay that could see them does not, null otherwise; expression markers, karyotype counts."
    ),
    code_version=f"{CODE_VERSION}-panel{load_panel().version}-{load_panel().digest}",
    features=_features(),
)

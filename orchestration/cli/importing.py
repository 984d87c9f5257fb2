"""Commands that bring cohorts in: import beataml, nsclc, tcga-maf, matrix.

public download -> oncoframe import NAME SRC --landing DIR -> landing zone, account of what it holds
"""

from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.cli.output import AsJson, command, table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

commands = typer.Typer(
    no_args_is_help=True,
    help="Convert a public download, or any matrix, into a landing zone.\n\n"
    "Example: oncoframe import beataml ~/downloads/beataml2 --landing landing\n\n"
    "Example: oncoframe import tcga-maf ~/downloads/laml_tcga --landing landing\n\n"
    "Example: oncoframe import matrix counts.tsv --labels labels.csv --landing landing",
)

Folder = Annotated[Path, typer.Argument(help="Folder of the download.")]
Landing = Annotated[Path, typer.Option(help="Landing zone to write.")]
LabelColumn = Annotated[
    str | None, typer.Option(help="Column of the label; default: the only one it can be.")
]
LabelName = Annotated[str, typer.Option(help="What a study calls the label.")]
LabelVersion = Annotated[str, typer.Option(help="Classification the labels follow.")]


class Specimens(StrEnum):
    """Which specimens of a patient are landed."""

    INITIAL = "initial"
    ALL = "all"


class GeneAxis(StrEnum):
    """Where a matrix has its genes."""

    ROWS = "rows"
    COLUMNS = "columns"


class ValueUnit(StrEnum):
    """Units of expression."""

    COUNTS = "counts"
    TPM = "tpm"
    FPKM = "fpkm"
    LOG2 = "log2"


class BuildName(StrEnum):
    """Genome builds of the landing zone."""

    GRCH37 = "GRCh37"
    GRCH38 = "GRCh38"


@commands.command()
def beataml(
    source: Folder,
    landing: Landing,
    specimens: Annotated[
        Specimens, typer.Option(help="The initial specimen of a patient, or also later ones.")
    ] = Specimens.INITIAL,
    as_json: AsJson = False,
) -> None:
    """Convert BeatAML 2.0: exome calls, fusions, expression and clinical sheet of AML.

    Example: oncoframe import beataml ~/downloads/beataml2 --landing landing
    """
    from assets.importers.beataml.cohort import import_beataml

    _import(
        lambda report: import_beataml(
            source, landing, specimens=specimens.value, progress=report
        ),
        source,
        landing,
        as_json=as_json,
    )  # fmt: skip


@commands.command()
def nsclc(source: Folder, landing: Landing, as_json: AsJson = False) -> None:
    """Convert NSCLC Radiogenomics: clinical table and gene table of resected lung cancer.

    Example: oncoframe import nsclc ~/downloads/nsclc --landing landing
    """
    from assets.importers.nsclc.cohort import import_nsclc

    _import(
        lambda report: import_nsclc(source, landing, progress=report),
        source,
        landing,
        as_json=as_json,
    )


@commands.command(name="tcga-maf")
def tcga_maf(
    source: Folder,
    landing: Landing,
    maf: Annotated[
        list[Path] | None, typer.Option(help="MAF; may be given several times. Default: found.")
    ] = None,
    segments: Annotated[Path | None, typer.Option(help="Segment file (SEG).")] = None,
    expression: Annotated[Path | None, typer.Option(help="Expression matrix.")] = None,
    clinical: Annotated[Path | None, typer.Option(help="Clinical table.")] = None,
    build: Annotated[
        BuildName | None, typer.Option(help="Genome build, where the MAF does not say.")
    ] = None,
    segments_build: Annotated[
        BuildName | None, typer.Option(help="Genome build of the segments; default: the MAF's.")
    ] = None,
    unit: Annotated[
        ValueUnit | None, typer.Option(help="Unit of the expression, where nothing tells.")
    ] = None,
    label_column: LabelColumn = None,
    label_name: LabelName = "label",
    label_version: LabelVersion = "as imported",
    as_json: AsJson = False,
) -> None:
    """Convert a cohort of the GDC, cBioPortal or Xena: MAF, segments, expression, clinical table.

    Files are found by the names that the portals give them; what is not there is left out. One
    tumour specimen of each patient is landed.

    Example: oncoframe import tcga-maf laml_tcga --landing landing --label-column FAB

    Example: oncoframe import tcga-maf gdc --maf calls.maf.gz --build GRCh38 --landing landing
    """
    from assets.expression.layouts import Unit
    from assets.importers.layout import LabelSource
    from assets.importers.tcga.cohort import import_tcga_maf
    from assets.importers.tcga.download import Files

    files = Files(
        mafs=tuple(maf or ()),
        segments=segments,
        expression=expression,
        clinical=clinical,
        build=build,
        segments_build=segments_build,
        unit=Unit(unit) if unit else None,
    )
    labels = LabelSource(clinical, label_column, label_name, label_version)
    _import(
        lambda report: import_tcga_maf(
            source, landing, files=files, labels=labels, progress=report
        ),
        source,
        landing,
        as_json=as_json,
    )  # fmt: skip


@commands.command()
def matrix(
    source: Annotated[Path, typer.Argument(help="Matrix of genes and patients, or its folder.")],
    landing: Landing,
    labels: Annotated[
        Path | None, typer.Option(help="Table of patients and labels, with header or without.")
    ] = None,
    label_column: LabelColumn = None,
    label_name: LabelName = "label",
    label_version: LabelVersion = "as imported",
    genes: Annotated[
        GeneAxis | None, typer.Option(help="Where the genes are, if nothing tells.")
    ] = None,
    unit: Annotated[
        ValueUnit | None, typer.Option(help="Unit of the values, if nothing tells.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Convert an expression matrix, genes x patients or patients x genes, with labels.

    The labels are a second table, or a column of the matrix (--label-column).

    Example: oncoframe import matrix counts.tsv --labels labels.csv --landing landing

    Example: oncoframe import matrix tpm.csv.gz --label-column subtype --unit tpm --landing landing
    """
    from assets.expression.layouts import Unit
    from assets.importers.layout import LabelSource
    from assets.importers.matrix.cohort import import_matrix
    from assets.importers.matrix.tables import Axis

    found = LabelSource(labels, label_column, label_name, label_version)
    _import(
        lambda report: import_matrix(
            source,
            landing,
            labels=found,
            genes=Axis(genes) if genes else None,
            unit=Unit(unit) if unit else None,
            progress=report,
        ),
        source,
        landing,
        as_json=as_json,
    )


def _import(
    work: "Callable[[Callable[[int, int], None]], DataclassInstance]",
    source: Path,
    landing: Path,
    *,
    as_json: bool,
) -> None:
    with command(as_json=as_json) as output:
        with output.progress() as progress, progress.count("import") as report:
            summary: dict[str, Any] = asdict(work(report))
        shown = table(f"Imported from {source}", ["what"], ["found"])
        for key, value in summary.items():
            if isinstance(value, dict):
                for reason, count in value.items():
                    shown.add_row(f"{key}: {reason}", str(count))
            else:
                shown.add_row(key, str(value))
        output.say(shown, f"Run it: oncoframe run --landing {landing}")
        output.result(summary)

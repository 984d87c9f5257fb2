"""Downloads of the Genomic Data Commons, cBioPortal or Xena: which files there are, and read.

    folder -> files by their names -> read_download -> calls, segments, expression, clinical

The names are those the portals give; an option names a file that is called otherwise.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from assets.expression.layouts import Unit
from assets.importers.matrix import tables as matrix_tables
from assets.importers.tables import find_file
from assets.importers.tcga.calls import Calls, maf_calls, read_maf
from assets.importers.tcga.tables import Clinical, read_case_list, read_clinical, read_segments
from assets.importers.writers import CONTIGS
from oncoframe.errors import FileMissing, WrongFormat
from oncoframe.reference.builds import build_in_text, normalise_build

_MAFS = ("*.maf", "*.maf.gz", "*.maf.txt", "data_mutations*.txt", "data_mutations*.txt.gz")
_SEGMENTS = ("data_cna_hg*.seg", "*.seg", "*.seg.gz", "*.seg.txt", "*.seg.v2.txt", "*segment*.t*")
_MATRICES = ("data_mrna_seq_read_counts.txt", "data_mrna_seq_v2_rsem.txt", "data_mrna_seq_*pkm.txt",
             "data_mrna_seq_tpm.txt", "data_expression*.txt", "*expression*.t*", "*count*.t*",
             "*tpm*.t*", "*fpkm*.t*", "*rsem*.t*", "*HiSeqV2*")  # fmt: skip
_CLINICAL = ("data_clinical_patient.txt", "data_clinical_sample.txt")
_CLINICAL_ELSE = ("clinical.tsv", "*clinical*.t*", "*clinical*.csv", "*phenotype*.t*", "*label*.*")


@dataclass(frozen=True)
class Files:
    """Files of a download; what is None, or empty, is looked for in the folder.

    Parameters
    ----------
    mafs, segments, expression, clinical
        The files.
    build, segments_build
        Genome build, where a file does not tell; the segments' is the calls' by default.
    unit
        Unit of the expression, where neither name nor values tell.
    """

    mafs: tuple[Path, ...] = ()
    segments: Path | None = None
    expression: Path | None = None
    clinical: Path | None = None
    build: str | None = None
    segments_build: str | None = None
    unit: Unit | None = None


FOUND = Files()


@dataclass(frozen=True)
class Expression:
    """An expression matrix with genes in rows.

    Parameters
    ----------
    matrix, unit
        Its values and their unit.
    unnamed, repeated
        Rows that were left out: without a gene, and second ones of a gene of logarithms.
    """

    matrix: matrix_tables.Matrix
    unit: Unit
    unnamed: int
    repeated: int


@dataclass(frozen=True)
class Download:
    """What a download holds.

    Parameters
    ----------
    calls, segments, expression
        The assays; None where the download has no file of it.
    segments_build
        Genome build of the segments.
    clinical
        What the clinical tables say.
    sequenced
        Samples that were sequenced by a case list; empty if there is none.
    """

    calls: Calls | None
    segments: pl.DataFrame | None
    segments_build: str
    expression: Expression | None
    clinical: Clinical
    sequenced: frozenset[str]


def read_download(source: Path, files: Files, label_column: str | None) -> Download:
    """Read the files of a download.

    Parameters
    ----------
    source
        Its folder.
    files
        Files and builds that are not to be looked for.
    label_column
        See :func:`assets.importers.tcga.tables.read_clinical`.

    Raises
    ------
    FileMissing
        If there is nothing to import, or several files could be meant.
    EmptyFile, TruncatedFile, WrongFormat, ImpossibleValue
        If a file is not the table it should be.
    """
    mafs = files.mafs or tuple(sorted({file for name in _MAFS for file in source.rglob(name)}))
    segments = files.segments or _find(source, _SEGMENTS, "segment file", "segments")
    matrix = files.expression or _find(source, _MATRICES, "expression matrix", "expression")
    if not mafs and segments is None and matrix is None:
        raise FileMissing(
            "there is nothing to import",
            where=str(source),
            expected="a MAF (*.maf, *.maf.gz, data_mutations*.txt), a *.seg or a matrix",
            hint="Name the files: --maf, --segments, --expression.",
        )
    calls = maf_calls(read_maf(mafs), build=files.build) if mafs else None
    build = _segments_build(segments, files, calls) if segments else ""
    case_list = _find(source, ("cases_sequenced.txt",), "list of sequenced cases", None)
    return Download(
        calls=calls,
        segments=read_segments(segments, build=build) if segments else None,
        segments_build=build,
        expression=_read_expression(matrix, files.unit) if matrix else None,
        clinical=read_clinical(_clinical_files(source, files.clinical), label_column),
        sequenced=read_case_list(case_list) if case_list and calls else frozenset(),
    )


def _find(source: Path, names: tuple[str, ...], what: str, option: str | None) -> Path | None:
    hint = f"Name it: --{option} FILE." if option else "Take one of them away."
    return find_file(source, names, what, hint=hint)


def _segments_build(file: Path, files: Files, calls: Calls | None) -> str:
    named = re.search(r"hg1[678]|NCBI3\d", file.name)
    told = (
        files.segments_build or build_in_text(file.name) or (calls.build if calls else files.build)
    )
    build = normalise_build(told)
    if build is None or build not in CONTIGS or (named and not files.segments_build):
        raise WrongFormat(
            "the genome build of the segments is not told"
            if not named
            else "the segments are on a build that is not in use",
            where=file.name,
            expected=" or ".join(CONTIGS),
            hint="Say it: --segments-build GRCh37 or --segments-build GRCh38.",
        )
    return build


def _read_expression(file: Path, unit: Unit | None) -> Expression:
    matrix = matrix_tables.read_matrix(file)
    matrix = matrix_tables.genes_in_rows(matrix, matrix_tables.genes_axis(matrix, ()))
    unit = unit or matrix_tables.unit_of(matrix)
    matrix_tables.check_unit(matrix, unit)
    matrix, unnamed, repeated = matrix_tables.named_genes(matrix, unit)
    return Expression(matrix, unit, unnamed, repeated)


def _clinical_files(source: Path, given: Path | None) -> list[Path]:
    if given is not None:
        return [given]
    found = [_find(source, (name,), "clinical table", "clinical") for name in _CLINICAL]
    if any(found):
        return [file for file in found if file]
    other = _find(source, _CLINICAL_ELSE, "clinical table", "clinical")
    return [other] if other else []

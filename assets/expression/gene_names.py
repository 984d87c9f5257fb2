"""Names of the rows of an expression table: which are genes, and which gene each is.

    as written -> row of a gene or not -> name on the axis of genes

The axis carries HGNC symbols, so that ``ENSG00000141510.17`` of one laboratory and ``TP53`` of
another are one position. Ensembl identifiers (without their version) and former symbols become the
symbol that the reference annotation has; what it does not have keeps its name. Transcripts named as
GENCODE names them (``ENST...|ENSG...|...|TP53|...``) are of the gene in their name, others of the
gene that the user's annotation gives them.
"""

from dataclasses import dataclass

import polars as pl

from oncoframe.reference.genes import NO_NAMES
from oncoframe.reference.tables import Reference

#: Rows before the genes of STAR ReadsPerGene; those of HTSeq begin with two underscores.
STAR_SPECIAL = ("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous")
#: Longest name of a gene or transcript (GENCODE's names of transcripts have 150 characters).
MAX_NAME_BYTES = 512
#: Start of the identifiers of transcripts.
_TRANSCRIPT = r"^(?:ENS[A-Z]*T\d{11}|[NX][MR]_\d)"
_PAR_Y = "_PAR_Y"
_ENSEMBL_TRANSCRIPT = r"^(ENS[A-Z]*T\d{11})"


@dataclass(frozen=True)
class GeneNames:
    """Rows of a table, told apart.

    Parameters
    ----------
    written
        Names as the table has them.
    given
        The same without versions.
    names
        Names on the axis of genes.
    is_gene, is_par_copy
        Whether a row is of a gene at all, or of the copy of a pseudoautosomal gene on Y.
    counts
        Whether it is of a gene and no copy.
    counted
        ``names`` of the rows that count.
    are_unique
        Whether no two of those are the same.
    are_written_once
        Whether no two of the rows that count have one name as written.
    unusable
        First row whose name is no name of a gene, and why; None if there is none.
    level
        ``transcript`` if a row is of a transcript whose name tells its gene, else ``gene``.
    """

    written: pl.Series
    given: pl.Series
    names: pl.Series
    is_gene: pl.Series
    is_par_copy: pl.Series
    counts: pl.Series
    counted: pl.Series
    unusable: tuple[int, str] | None
    are_unique: bool
    are_written_once: bool
    level: str


class GeneNamer:
    """Tells the rows of tables apart, and remembers the last table's.

    The tables of one pipeline name the same genes in the same order, and looking up 60,000 names
    takes longer than reading them.
    """

    def __init__(self) -> None:
        self._last: tuple[str | None, GeneNames] | None = None

    def __call__(self, written: pl.Series, reference: Reference | None) -> GeneNames:
        """Names of the rows of a table, by a reference or (None) as they are."""
        label = reference.label if reference else None
        if self._last is not None:
            last_label, last = self._last
            if last_label == label and last.written.equals(written, null_equal=True):
                return last
        found = _told_apart(written, reference)
        self._last = label, found
        return found


def _told_apart(written: pl.Series, reference: Reference | None) -> GeneNames:
    frame = pl.DataFrame({"name": written.fill_null("")})
    if frame["name"].str.contains("|", literal=True).any():
        frame = frame.with_columns(_gene_of_gencode_name())
    if reference is not None and len(reference.transcripts):
        frame = frame.with_columns(_gene_of_transcript(reference))
    name = pl.col("name")
    told = frame.select(
        is_gene=~(name.str.starts_with("__") | name.is_in([*STAR_SPECIAL, *NO_NAMES])),
        is_par_copy=name.str.ends_with(_PAR_Y),
        given=_without_version(),
    )
    given, names = told["given"], told["given"]
    if reference is not None:
        names = reference.symbols_of(given)
        names = names.zip_with(names.is_not_null(), given)
    counts = told["is_gene"] & ~told["is_par_copy"]
    counted = names.filter(counts).alias("gene")
    are_unique = counted.n_unique() == len(counted)
    return GeneNames(
        written=written,
        given=given,
        names=names,
        is_gene=told["is_gene"],
        is_par_copy=told["is_par_copy"],
        counts=counts,
        counted=counted,
        unusable=_unusable(frame),
        are_unique=are_unique,
        are_written_once=are_unique or written.filter(counts).is_unique().all(),
        level="gene" if frame["name"].equals(written.fill_null("")) else "transcript",
    )


def _unusable(frame: pl.DataFrame) -> tuple[int, str] | None:
    rules = {
        "a name is too long for a gene": pl.col("name").str.len_bytes() > MAX_NAME_BYTES,
        "a row is of a transcript whose gene is not told": pl.col("name").str.contains(_TRANSCRIPT),
    }
    for what, applies in rules.items():
        rows = frame.select(applies.arg_true()).to_series()
        if len(rows):
            return int(rows[0]), what
    return None


def _gene_of_transcript(reference: Reference) -> pl.Expr:
    """Gene of each transcript that the annotation knows; other names as they are."""
    transcript = pl.col("name").str.extract(_ENSEMBL_TRANSCRIPT)
    gene = transcript.replace_strict(
        reference.transcripts["transcript_id"],
        reference.transcripts["ensembl_id"],
        default=None,
        return_dtype=pl.String,
    )
    copy = pl.when(pl.col("name").str.ends_with(_PAR_Y)).then(pl.lit(_PAR_Y)).otherwise(pl.lit(""))
    return (gene + copy).fill_null(pl.col("name")).alias("name")


def _without_version() -> pl.Expr:
    name = pl.col("name")
    is_versioned = name.str.starts_with("ENS") & name.str.contains(".", literal=True)
    return (
        pl.when(is_versioned)
        .then(name.str.replace(r"^(ENS[A-Z]*[GT]\d{11})\.\d+.*$", "$1"))
        .otherwise(name)
    )


def _gene_of_gencode_name() -> pl.Expr:
    """Gene of a transcript named ``ENST...|ENSG...|...``; other names as they are."""
    gene = pl.col("name").str.extract(r"^ENS[A-Z]*T\d{11}[^|]*\|(ENS[A-Z]*G\d{11}[^|]*)\|")
    return gene.fill_null(pl.col("name")).alias("name")

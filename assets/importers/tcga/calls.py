"""Mutation annotation format (MAF) as calls of VCF: positions, alleles, reads, consequence.

    MAF (GDC 2.4, cBioPortal, vcf2maf) -> read_maf -> text -> maf_calls -> calls by sample, account

A MAF writes a deletion without the base before it and an insertion without any: that base is taken
from CONTEXT where the GDC gives it, and is N otherwise. A variant that several files or callers
report is one call, with the reads of the one that saw most.

References
----------
Genomic Data Commons, "File Format: MAF", version 2.4; cBioPortal, "File Formats", section
"Mutation Data".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from assets.importers.tables import read_table, require
from assets.importers.writers import CALL_SCHEMA, CONTIGS, CSQ_FIELDS
from oncoframe.errors import ImpossibleValue, WrongFormat
from oncoframe.reference.builds import chromosome_names, normalise_build

#: Variant_Classification -> term of the Sequence Ontology, where VEP's own terms are not given.
#: ``Splice_Site`` does not say which side; both change the protein alike.
CONSEQUENCES = {
    "3'Flank": "downstream_gene_variant",
    "3'UTR": "3_prime_UTR_variant",
    "5'Flank": "upstream_gene_variant",
    "5'UTR": "5_prime_UTR_variant",
    "De_novo_Start_InFrame": "5_prime_UTR_premature_start_codon_gain_variant",
    "De_novo_Start_OutOfFrame": "5_prime_UTR_premature_start_codon_gain_variant",
    "Frame_Shift_Del": "frameshift_variant",
    "Frame_Shift_Ins": "frameshift_variant",
    "IGR": "intergenic_variant",
    "In_Frame_Del": "inframe_deletion",
    "In_Frame_Ins": "inframe_insertion",
    "Intron": "intron_variant",
    "Missense_Mutation": "missense_variant",
    "Nonsense_Mutation": "stop_gained",
    "Nonstop_Mutation": "stop_lost",
    "RNA": "non_coding_transcript_exon_variant",
    "Silent": "synonymous_variant",
    "Splice_Region": "splice_region_variant",
    "Splice_Site": "splice_acceptor_variant",
    "Start_Codon_Del": "start_lost",
    "Start_Codon_Ins": "start_lost",
    "Start_Codon_SNP": "start_lost",
    "Stop_Codon_Del": "stop_lost",
    "Stop_Codon_Ins": "stop_lost",
    "Translation_Start_Site": "start_lost",
    "lincRNA": "non_coding_transcript_exon_variant",
}
#: What a variant of any other classification is.
UNKNOWN_CONSEQUENCE = "sequence_variant"
#: Characters that end a value of INFO or CSQ -> their code (VCF 4.3, section 1.2).
_RESERVED = {"%": "%25", ";": "%3B", "=": "%3D", ",": "%2C", "|": "%7C", " ": "_"}


def csq(alternate: pl.Expr) -> pl.Expr:
    """CSQ annotation of a row of a MAF that has VCF alleles already.

    Parameters
    ----------
    alternate
        Alternate allele as the MAF writes it.
    """
    given = pl.col("Consequence").str.replace_all("[;,]", "&")
    classified = pl.col("Variant_Classification").replace_strict(
        CONSEQUENCES, default=UNKNOWN_CONSEQUENCE, return_dtype=pl.String
    )
    fields = {
        "Allele": alternate,
        "Consequence": pl.coalesce(given, classified),
        "SYMBOL": _escaped("Hugo_Symbol"),
        "Gene": _escaped("Gene"),
        "HGVSc": _escaped("HGVSc"),
        "HGVSp": _escaped("HGVSp", "HGVSp_Short", "Protein_Change"),
        "BIOTYPE": _escaped("BIOTYPE"),
        "Existing_variation": _escaped("Existing_variation"),
        "SIFT": _escaped("SIFT"),
        "PolyPhen": _escaped("PolyPhen"),
    }
    return pl.concat_str([fields[name] for name in CSQ_FIELDS], separator="|")


def _escaped(*columns: str) -> pl.Expr:
    value = pl.coalesce(*columns).fill_null("")
    for character, code in _RESERVED.items():
        value = value.str.replace_all(character, code, literal=True)
    return value


_REQUIRED = ("Hugo_Symbol", "Chromosome", "Start_Position", "Variant_Classification",
             "Reference_Allele", "Tumor_Seq_Allele2", "Tumor_Sample_Barcode")  # fmt: skip
_OPTIONAL = ("NCBI_Build", "Tumor_Seq_Allele1", "t_depth", "t_ref_count", "t_alt_count", "FILTER",
             "Mutation_Status", "callers", "Center", "CONTEXT", "Consequence", "Gene", "HGVSc",
             "HGVSp", "HGVSp_Short", "Protein_Change", "BIOTYPE", "Existing_variation", "SIFT",
             "PolyPhen")  # fmt: skip
_COLUMNS = (*_REQUIRED, *_OPTIONAL)
#: Column of older files -> its present name.
_FORMER = {"Start_position": "Start_Position", "Amino_Acid_Change": "Protein_Change"}

#: Flanking bases that the GDC writes before the reference allele of the VCF.
_FLANK = 5


@dataclass(frozen=True)
class Calls:
    """Calls of a MAF, and what became of its rows.

    ``rows == len(calls) + merged + sum(left_out.values())`` always holds.

    Parameters
    ----------
    build
        Genome build of the positions.
    calls
        ``sample`` and the columns of :data:`assets.importers.writers.CALL_SCHEMA`, sorted
        by sample, contig and position.
    samples
        Names of all samples of the MAF, also of those without a call that is kept.
    rows
        Rows of the MAF.
    merged
        Rows of a variant that another row of the sample has too.
    left_out
        Reason -> rows.
    """

    build: str
    calls: pl.DataFrame
    samples: frozenset[str]
    rows: int
    merged: int
    left_out: dict[str, int]


def read_maf(files: Sequence[Path]) -> pl.DataFrame:
    """Rows of one or more MAFs as text; a column that a file does not have is null.

    Raises
    ------
    EmptyFile, FileMissing, TruncatedFile, WrongFormat, Unavailable
        As :func:`assets.importers.tables.read_table`; WrongFormat also if a column that is
        needed is missing.
    """
    frames = []
    for file in files:
        frame = read_table(file, [*_COLUMNS, *_FORMER])
        former = {old: new for old, new in _FORMER.items()
                  if old in frame.columns and new not in frame.columns}  # fmt: skip
        frame = frame.rename(former)
        require(frame.columns, _REQUIRED, file)
        columns = (
            name if name in frame.columns else pl.lit(None, pl.String).alias(name)
            for name in _COLUMNS
        )
        frames.append(frame.select(pl.lit(file.name).alias("file"), *columns))
    return pl.concat(frames)


def maf_calls(maf: pl.DataFrame, *, build: str | None) -> Calls:
    """Calls of a MAF.

    Parameters
    ----------
    maf
        As :func:`read_maf` returns it.
    build
        Genome build, where the MAF does not say; refused if it says another.

    Raises
    ------
    WrongFormat
        If the build is not told, or not GRCh37 or GRCh38, or a number is none.
    ImpossibleValue
        If a position lies outside its contig, or there are more alternate reads than reads.
    """
    build = _build(maf, build)
    numbers = {name: _number(maf, name) for name in ("Start_Position", "t_depth", "t_ref_count",
                                                     "t_alt_count")}  # fmt: skip
    told = maf.with_columns(**numbers).with_columns(
        chrom=chromosome_names(maf["Chromosome"]),
        depth=pl.coalesce("t_depth", pl.col("t_ref_count") + pl.col("t_alt_count")),
    )
    reasons = told.select(_reason(build)).to_series()
    kept = told.filter(reasons.is_null())
    _refuse_impossible(kept, build)
    alleles = kept.with_columns(**_alleles()).with_columns(csq=csq(_alternate()))
    calls = _one_per_variant(alleles, build)
    return Calls(
        build=build,
        calls=calls,
        samples=frozenset(maf["Tumor_Sample_Barcode"].drop_nulls().unique()),
        rows=len(maf),
        merged=len(kept) - len(calls),
        left_out=dict(reasons.drop_nulls().value_counts(sort=True, name="rows").iter_rows()),
    )


def _build(maf: pl.DataFrame, given: str | None) -> str:
    given = normalise_build(given)
    said = {normalise_build(f"GRCh{name}" if name.isdigit() else name)
            for name in maf["NCBI_Build"].drop_nulls().unique()}  # fmt: skip
    builds = said | ({given} if given else set())
    if len(builds) == 1 and (build := builds.pop()) in CONTIGS:
        return build
    raise WrongFormat(
        "the genome build of the calls is not told" if not builds and not said
        else "the calls are not all on one genome build in use",
        where=maf["file"][0],
        expected=" or ".join(CONTIGS),
        hint="Say it: --build GRCh37 or --build GRCh38." if not said else None,
    )  # fmt: skip


def _number(maf: pl.DataFrame, column: str) -> pl.Series:
    # Some portals write whole numbers as 35.0.
    values = maf[column].cast(pl.Float64, strict=False)
    wrong = int((values.is_null() & maf[column].is_not_null()).sum())
    wrong += int((values != values.floor()).sum())
    if wrong:
        raise WrongFormat(
            f"column {column} holds values that are no whole numbers",
            where=maf["file"][0],
            got=f"{wrong} rows",
        )
    return values.cast(pl.Int64, strict=False)


def _alternate() -> pl.Expr:
    second, first = pl.col("Tumor_Seq_Allele2"), pl.col("Tumor_Seq_Allele1")
    same = second.is_null() | (second == pl.col("Reference_Allele"))
    return pl.when(same).then(first).otherwise(second).str.to_uppercase()


def _reason(build: str) -> pl.Expr:
    """Why a row makes no call; null if it does."""
    reference, alternate = pl.col("Reference_Allele").str.to_uppercase(), _alternate()
    bases = "^([ACGTN]+|-)$"
    unreadable = ~(reference.str.contains(bases) & alternate.str.contains(bases))
    filters = pl.col("FILTER").str.to_lowercase()
    return (
        pl.when(pl.col("Tumor_Sample_Barcode").is_null()).then(pl.lit("no_sample"))
        .when(~pl.col("chrom").is_in(list(CONTIGS[build])).fill_null(value=False)).then(pl.lit("other_contig"))
        .when(pl.col("Start_Position").is_null()).then(pl.lit("no_position"))
        .when(pl.col("Mutation_Status").str.to_lowercase() == "germline").then(pl.lit("germline"))
        .when(~filters.is_in(["pass"])).then(pl.lit("filter_not_pass"))
        .when((alternate == reference).fill_null(value=True)).then(pl.lit("no_alternate_allele"))
        .when(unreadable).then(pl.lit("unreadable_allele"))
        .when((alternate == "-") & (pl.col("Start_Position") == 1)).then(pl.lit("no_base_before"))
    )  # fmt: skip


def _refuse_impossible(calls: pl.DataFrame, build: str) -> None:
    length = pl.col("chrom").replace_strict(CONTIGS[build], return_dtype=pl.Int64)
    reads = pl.col("t_alt_count").is_between(0, pl.col("depth")) & (pl.col("depth") >= 0)
    possible = pl.col("Start_Position").is_between(1, length) & reads.fill_null(value=True)
    wrong = calls.filter(~possible)
    if len(wrong):
        raise ImpossibleValue(
            f"a call cannot be on {build}",
            where=wrong["file"][0],
            expected="a position on its contig and 0 <= t_alt_count <= t_depth",
            got=f"{len(wrong)} other rows",
        )


def _alleles() -> dict[str, pl.Expr]:
    """Position and alleles as a VCF has them."""
    start = pl.col("Start_Position")
    reference, alternate = pl.col("Reference_Allele").str.to_uppercase(), _alternate()
    context = pl.col("CONTEXT").str.to_uppercase()
    is_insertion, is_deletion = reference == "-", alternate == "-"
    # Behind its flank the context has the VCF's reference allele: the base before, then the lost.
    fits = is_insertion | (context.str.slice(_FLANK + 1, reference.str.len_chars()) == reference)
    read = fits & context.str.contains("^[ACGT]{11,}$")
    before = pl.when(read).then(context.str.slice(_FLANK, 1)).otherwise(pl.lit("N"))
    return {
        # Of an insertion, the start is the base before it; of a deletion, the first lost base.
        "pos": pl.when(is_deletion).then(start - 1).otherwise(start),
        "ref": pl.when(is_insertion).then(before)
        .when(is_deletion).then(before + reference).otherwise(reference),
        "alt": pl.when(is_insertion).then(before + alternate)
        .when(is_deletion).then(before).otherwise(alternate),
        "callers": pl.coalesce("callers", "Center", pl.lit("MAF"))
        .str.replace_all("[^A-Za-z0-9_.;+-]", "_").str.split(";"),
    }  # fmt: skip


def _one_per_variant(alleles: pl.DataFrame, build: str) -> pl.DataFrame:
    order = {contig: place for place, contig in enumerate(CONTIGS[build])}
    contig = pl.col("chrom").replace_strict(order, return_dtype=pl.Int32)
    key = ["sample", "chrom", "pos", "ref", "alt"]
    unknown = {"caller_alt_reads": pl.List(pl.Int64()), "caller_depths": pl.List(pl.Int64())}
    calls = alleles.rename({"Tumor_Sample_Barcode": "sample", "t_alt_count": "alt_reads"})
    return (
        calls.with_columns(
            *(pl.lit(None, dtype).alias(name) for name, dtype in unknown.items()),
            is_tumor_only=pl.lit(None, pl.Boolean),
        )
        .sort("depth", "csq", descending=[True, False], nulls_last=True)
        .group_by(key, maintain_order=True)
        .agg(
            pl.all().exclude("callers").first(), callers=pl.col("callers").explode().unique().sort()
        )
        .sort("sample", contig, "pos", "ref", "alt")
        .select("sample", *CALL_SCHEMA)
        .cast(pl.Schema({"sample": pl.String(), **CALL_SCHEMA}))
    )

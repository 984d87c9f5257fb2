"""Structural variants, copy numbers and the built-in genes, on files and tables of others."""

from collections import Counter

import polars as pl
import pytest

from assets.genomics.cnv import reader as cnv
from assets.genomics.sv import reader as sv
from oncoframe.errors import AmbiguousSample, NothingUsable, WrongFormat
from oncoframe.reference.builds import CHROMOSOMES
from oncoframe.reference.load import built_in

pytestmark = pytest.mark.real_data

#: File -> records (``grep -vc '^#'``).
SV_RECORDS = {
    "COLO829.10X.longranger.largeSVs.vcf": 6,
    "COLO829.nanopore.sniffles.vcf": 7,
    "MT.vcf": 6,
    "breakdancer-1.4.5.vcf": 9,
    "breakend.vcf": 6,
    "colo829_nanoSV_truth_overlap.vcf": 85,
    "colo829_somatic_manta.vcf": 431,
    "colo829_somatic_novobreak.vcf": 609,
    "crest.vcf": 5,
    "delly-0.6.8.vcf": 4,
    "gridss-missingPartner.vcf": 3,
    "gridss-na12878.vcf": 60,
    "gridss.vcf": 8,
    "manta-0.29.6.vcf": 8,
    "manta-1.1.1.vcf": 11,
    "manta_vep_94_annotated_sv_cancer_file.vcf.gz": 15,
    "multipleAltSVs.vcf": 4,
    "na12878_chr22_Sudmunt2015.vcf": 59,
    "na12878_chr22_crest.vcf": 27,
    "na12878_chr22_hydra.vcf": 940,
    "pindel-0.2.5b6.vcf": 5,
    "scout_example_tumor_only.SV.CNV.sorted.vcf.gz": 35,
    "simple.vcf": 10,
    "truthset_somaticSVs_COLO829.vcf": 134,
    "vcf4.2.example.sv.vcf": 6,
}


@pytest.mark.parametrize("name", SV_RECORDS)
def test_sv__accounts_for_every_record(real_data, name):
    """Every caller's file is read, and no record is lost between used, filtered and failed."""
    found = sv.extract(real_data / "sv_vcf" / name, reference_build=None)
    assert found.records == SV_RECORDS[name]
    accounted = found.used + sum(found.filtered.values()) + sum(found.failed.values())
    assert accounted == found.records


@pytest.mark.parametrize(
    ("name", "error"),
    [("one_cnvnator.vcf", AmbiguousSample), ("representations.vcf", NothingUsable),
     ("tigra-0.3.7.vcf", NothingUsable)],
)  # fmt: skip
def test_sv__refuses_what_says_nothing_of_one_patient(real_data, name, error):
    """Three plain samples, no known contig, and ``./.`` without a read are no results."""
    with pytest.raises(error):
        sv.extract(real_data / "sv_vcf" / name, reference_build=None)


def test_sv__reads_the_truth_set_of_colo829(real_data):
    """134 records of 68 events (Espejo Valle-Inclan et al., Cell Genomics 2022), mates by id."""
    path = real_data / "sv_vcf" / "truthset_somaticSVs_COLO829.vcf"
    rows = [line.split("\t") for line in path.read_text().splitlines() if line[0] != "#"]
    infos = [dict(i.split("=", 1) for i in row[7].split(";")) for row in rows]
    written = Counter(info["SVTYPE"] for info in infos)
    assert written == {"DEL": 76, "BND": 26, "DUP": 14, "INV": 14, "INS": 4}
    events = {
        frozenset((row[2], info.get("MATEID", row[2]))): info["SVTYPE"]
        for row, info in zip(rows, infos, strict=True)
    }
    assert Counter(events.values()) == {"DEL": 38, "BND": 13, "DUP": 7, "INV": 7, "INS": 3}
    found = sv.extract(path, reference_build="hg19")
    assert (found.records, found.used) == (134, 134)
    kinds = {
        kind: found.features[f"sv_{kind}s"]
        for kind in ("deletion", "translocation", "duplication", "inversion", "insertion")
    }
    assert kinds == {"deletion": 38, "translocation": 13, "duplication": 7, "inversion": 7,
                     "insertion": 3}  # fmt: skip
    block = found.blocks["sv_deletion"]
    assert block is not None
    # The truth set's own gene column names PTEN for one deletion.
    assert dict(zip(block.names, block.values.tolist(), strict=True))["PTEN"] == 1


@pytest.mark.parametrize("name", ["tr95t.cns", "cl_seq.cns", "nv3.cns", "f-on-m.cns"])
def test_cnv__agrees_with_means_by_pandas(real_data, name):
    """The mean of an arm, computed from the segments another way: base by base in blocks."""
    path = real_data / "cnv_calls" / name
    found = cnv.extract(path, reference_build="hg19")
    table = pl.read_csv(path, separator="\t", columns=["chromosome", "start", "end", "log2"])
    bands = built_in("GRCh37").bands
    for arm in ("5q", "7p", "17q"):
        chrom = arm[:-1]
        of_arm = bands.filter(pl.col("arm") == arm)
        first, last = of_arm["start"].min(), of_arm["end"].max()
        weights = total = 0.0
        for start, end, log2 in (
            table.filter(pl.col("chromosome") == f"chr{chrom}")
            .select("start", "end", "log2")
            .iter_rows()
        ):
            bases = max(0, min(end, last) - max(start + 1, first) + 1)
            weights += bases
            total += bases * 2.0**log2
        assert found.features[f"cnv_{arm}_ratio"] == pytest.approx(total / weights, rel=1e-6)


def test_cnv__notices_the_wrong_build(real_data):
    """Segments to the end of chromosome 1 of GRCh37 lie behind that of GRCh38."""
    with pytest.raises(WrongFormat, match="beyond the end of chromosome 1"):
        cnv.extract(real_data / "cnv_calls" / "tr95t.cns", reference_build="GRCh38")


def test_cnv__reads_the_other_tools(real_data):
    """CNVkit's VCF excerpt and PURPLE's genes, with every record used."""
    folder = real_data / "cnv_calls"
    vcf = cnv.extract(folder / "HCC1395T_vs_HCC1395N.cnvcall.excerpt.vcf", reference_build="hg38")
    assert (vcf.records, vcf.used) == (10, 10)
    genes = cnv.extract(folder / "purple_gene_cnv.tsv", reference_build="hg38")
    assert (genes.records, genes.used) == (25_417, 25_417)
    assert genes.blocks["cnv_gene_copies"] is not None


@pytest.mark.parametrize(
    ("build", "genes_file", "bands_file"),
    [("GRCh37", "grch37_gene_coordinates.tsv", "cytobands_grch37.tsv"),
     ("GRCh38", "grch38_gene_coordinates.tsv", "cytobands_hg38.tsv")],
)  # fmt: skip
def test_built_in__agrees_with_another_annotation(real_data, build, genes_file, bands_file):
    """Our tables come from elsewhere; genes overlap theirs, nearly all end at the same base."""
    folder = real_data / "annotation"
    theirs = pl.read_csv(folder / genes_file, separator="\t", infer_schema=False).select(
        pl.col("ensembl_gene_id").alias("ensembl_id"),
        pl.col("chromosome").str.strip_prefix("chr").alias("chrom"),
        pl.col("start").cast(pl.Int64).alias("their_start"),
        pl.col("end").cast(pl.Int64).alias("their_end"),
    )
    ours = built_in(build).genes.drop_nulls("ensembl_id")
    both = ours.join(theirs, on=["ensembl_id", "chrom"])
    assert len(both) > 0.98 * len(ours)
    assert both.filter((pl.col("their_end") < pl.col("start"))
                       | (pl.col("their_start") > pl.col("end"))).is_empty()  # fmt: skip
    # Their GRCh38 table counts starts from 0 and is of another release.
    same = both.filter(pl.col("their_end") == pl.col("end"))
    assert len(same) > 0.85 * len(both)
    bands = pl.read_csv(folder / bands_file, separator="\t", infer_schema=False).select(
        pl.col("cb.chromosome").str.strip_prefix("chr").alias("chrom"),
        (pl.col("cb.start").cast(pl.Int64) + 1).alias("start"),
        pl.col("cb.end").cast(pl.Int64).alias("end"),
        pl.concat_str(pl.col("cb.chromosome").str.strip_prefix("chr"), "cb.name").alias("band"),
    )
    bands = bands.filter(pl.col("chrom").is_in(CHROMOSOMES))
    found = built_in(build).bands.select("chrom", "start", "end", "band")
    assert found.sort("chrom", "start").equals(bands.sort("chrom", "start"))

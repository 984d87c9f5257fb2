"""Readers on files of real callers, against values that other programs computed from them."""

import csv
from contextlib import suppress
from pathlib import Path

import cyvcf2
import polars as pl
import pytest

from assets.expression import quantification
from assets.genomics.fusion import reader as fusion
from assets.genomics.snv import reader as snv
from assets.genomics.snv.allele_reads import with_allele_reads
from assets.genomics.vcf.records import read_vcf, sample_records
from assets.genomics.vcf.tumour import tumour_sample
from oncoframe.errors import BadInput, TruncatedFile, WrongFormat
from oncoframe.extraction import Extraction
from oncoframe.reference.active import reference_for

pytestmark = pytest.mark.real_data

SNV_FILES = {
    "scout_example_tumor_only.snv.indel.sorted.vcf.gz": 15,
    "test_merged.vcf": 573,
    "test_mutect.vcf": 500,
    "test_pindel.vcf": 32,
    "test_radia.vcf": 87,
    "test_strelka.vcf": 240,
    "test_varscan.vcf": 500,
}
#: Of the sixteen callers on K562, those whose file names BCR and ABL1 (TopHat-Fusion by their
#: Ensembl ids), those whose file does not, and those whose files are not read: FusionHunter writes
#: no table, MapSplice one without names of columns, sixty-three of them.
K562_POSITIVE = (
    "CHIMERASCAN", "CHIMPIPE", "DEFUSE", "ERICSCRIPT", "FUSION_CATCHER", "INFUSION",
    "JAFFA_DIRECT", "NFUSE", "PRADA", "SOAP_FUSE", "STAR_FUSION", "TOPHAT_FUSION",
)  # fmt: skip
K562_NEGATIVE = ("JAFFA_ASSEMBLY", "JAFFA_HYBRID")
K562_NOT_READ = ("FUSIONHUNTER", "MAPSPLICE")


def adds_up(found: Extraction) -> bool:
    return found.records == (
        found.used + sum(found.filtered.values()) + sum(found.failed.values())
    )  # fmt: skip


@pytest.fixture
def first_alleles(real_data: Path):
    """VAF of the first alternate of every record, by position."""

    def _read(name: str) -> dict[tuple[str, int, str], float | None]:
        path = real_data / "snv_vcf" / name
        header, body = read_vcf(path)
        found = {}
        for frame in sample_records(path, header, body, tumour_sample(header, path)):
            alleles = frame.with_columns(
                pl.col("alt").str.split(",").list.first(),
                alleles=pl.col("alt").str.split(",").list.len(),
                allele=pl.lit(1, pl.Int64),
            )
            rows = with_allele_reads(alleles, path).select("chrom", "pos", "alt", "vaf")
            found |= {(chrom, pos, alt): vaf for chrom, pos, alt, vaf in rows.iter_rows()}
        return found

    return _read


def values(path: Path, key: str, sample: str) -> dict[tuple[str, int, str], str]:
    """One FORMAT value of one sample as htslib reads it, by position."""
    reader = cyvcf2.VCF(str(path))
    column = reader.samples.index(sample)
    found = {}
    for record in reader:
        fields = str(record).rstrip("\n").split("\t")
        layout = fields[8].split(":")
        if key in layout and record.ALT:
            place = (record.CHROM, record.POS, record.ALT[0])
            found[place] = fields[9 + column].split(":")[layout.index(key)]
    return found


@pytest.mark.parametrize("name", SNV_FILES)
def test_snv__accounts_for_every_record(real_data, name):
    found = snv.extract(real_data / "snv_vcf" / name, reference_build=None)
    assert found.records == SNV_FILES[name]
    assert adds_up(found)
    assert found.records == sum(1 for _ in cyvcf2.VCF(str(real_data / "snv_vcf" / name)))


def test_snv__reads_mutect_fractions_as_mutect_does(real_data, first_alleles):
    """FA is Mutect's own fraction, rounded to three digits; AD is what we read."""
    reported = values(real_data / "snv_vcf/test_mutect.vcf", "FA", "TUMOR")
    ours = first_alleles("test_mutect.vcf")
    compared = [
        (ours[place], float(text)) for place, text in reported.items() if ours[place] is not None
    ]
    assert len(compared) > 490
    assert all(own == pytest.approx(theirs, abs=0.006) for own, theirs in compared)


def test_snv__reads_varscan_fractions_as_varscan_does(real_data, first_alleles):
    """FREQ is VarScan's own percentage; RD and AD are what we read."""
    reported = values(real_data / "snv_vcf/test_varscan.vcf", "FREQ", "TUMOR")
    ours = first_alleles("test_varscan.vcf")
    differing = [
        place for place, text in reported.items()
        if ours[place] != pytest.approx(float(text.rstrip("%")) / 100, abs=0.006)
    ]  # fmt: skip
    assert len(reported) == 500
    assert differing == []


def test_snv__reads_strelka_tiers_as_its_guide_says(real_data, first_alleles):
    path = real_data / "snv_vcf/test_strelka.vcf"
    tiers = {key: values(path, key, "TUMOR") for key in ("AU", "CU", "GU", "TU", "TAR", "TIR")}
    ours = first_alleles("test_strelka.vcf")
    compared = 0
    for record in cyvcf2.VCF(str(path)):
        place = (record.CHROM, record.POS, record.ALT[0])
        keys = ("TAR", "TIR") if place in tiers["TIR"] else (f"{record.REF}U", f"{record.ALT[0]}U")
        reference, alternate = (int(tiers[key][place].split(",")[0]) for key in keys)
        if reference + alternate:
            assert ours[place] == pytest.approx(alternate / (alternate + reference))
            compared += 1
    assert compared > 230


def test_snv__names_genes_of_the_annotated_file(real_data):
    """The consequences were read off the file by eye: two protein-altering variants."""
    name = "scout_example_tumor_only.snv.indel.sorted.vcf.gz"
    found = snv.extract(real_data / "snv_vcf" / name, reference_build="GRCh37")
    assert found.features["snv_variants"] == 15
    burden = found.blocks["snv_gene_burden"]
    assert burden is not None
    assert "NTRK1" in burden.names.to_list()


def test_snv__sees_every_cut_of_a_clinical_file(real_data, tmp_path):
    content = (real_data / "snv_vcf/scout_example_tumor_only.snv.indel.sorted.vcf.gz").read_bytes()
    for size in range(1, len(content), 97):
        (tmp_path / "cut.vcf.gz").write_bytes(content[:size])
        with pytest.raises(TruncatedFile):
            snv.extract(tmp_path / "cut.vcf.gz", reference_build=None)


def test_every_reader__ends_every_file_in_an_account_or_a_typed_error(real_data):
    """A file under the wrong modality must be refused, not crash or be read as something."""
    folders = ("snv_vcf", "sv_vcf", "fusion_calls", "cnv_calls", "expression_formats", "annotation")
    paths = [p for folder in folders for p in (real_data / folder).rglob("*") if p.is_file()]
    assert len(paths) > 60
    for path in paths:
        for extract in (snv.extract, fusion.extract, quantification.extract):
            with suppress(BadInput):
                assert adds_up(extract(path, reference_build=None))


def test_fusion__finds_the_fusion_of_k562_wherever_it_is_reported(real_data):
    """Every caller that is read and reports BCR::ABL1, whatever it calls the genes."""
    found, refused = {}, set()
    for path in (real_data / "fusion_calls/k562").iterdir():
        caller = path.name.split("__")[1].removesuffix("_V0994e").removesuffix("_CF3")
        caller = "STAR_FUSION" if caller.startswith("STAR_FUSION") else caller
        try:
            found[caller] = fusion.extract(path, reference_build="GRCh37")
        except WrongFormat:
            refused.add(caller)
    assert len(found) + len(refused) == 16
    assert refused == set(K562_NOT_READ)
    assert all(adds_up(extraction) for extraction in found.values())
    positive = {caller for caller in found if found[caller].features["BCR::ABL1"]}
    assert positive == set(K562_POSITIVE)
    assert set(found) - positive == set(K562_NEGATIVE)
    assert not any(extraction.features["PML::RARA"] for extraction in found.values())


#: Table of a version of DRAGEN that lists what passed, and does not say so.
DRAGEN_WITHOUT_FILTER = "dragen_fusion_candidates.final"


def test_fusion__counts_the_lines_of_every_supported_caller(real_data):
    for path in (real_data / "fusion_calls").iterdir():
        if path.is_file() and path.name != DRAGEN_WITHOUT_FILTER:
            lines = len(path.read_text().strip().split("\n")) - 1
            sample = "BT474-demo" if path.name == "jaffa_results.csv" else None
            assert fusion.extract(path, reference_build=None, sample=sample).records == lines


def test_fusion__reads_a_table_of_dragen_once_it_tells_what_passed(real_data, tmp_path):
    path = real_data / "fusion_calls" / DRAGEN_WITHOUT_FILTER
    with pytest.raises(WrongFormat, match="which calls passed"):
        fusion.extract(path, reference_build=None)
    head, *rows = path.read_text().splitlines()
    told = tmp_path / "told"
    told.write_text("\n".join([f"{head}\tFilter", *(f"{row}\tPASS" for row in rows), ""]))
    found = fusion.extract(told, reference_build=None)
    assert (found.used, found.features["fusion_count"]) == (2, 2)


def test_expression__sums_the_reads_of_salmon(real_data):
    path = real_data / "expression_formats/salmon_quant.genes.sf"
    with path.open() as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    found = quantification.extract(path, reference_build=None)
    assert found.records == found.used == len(rows)
    total = sum(float(row["NumReads"]) for row in rows)
    assert found.features["expression_total_counts"] == pytest.approx(total, rel=1e-9)


def test_expression__reads_back_the_counts_of_every_patient(real_data, tmp_path):
    """Every gene keeps its count, under its current symbol; genes that became one are summed."""
    with (real_data / "all_counts_allsorts/test_counts.csv").open() as handle:
        names, *patients = list(csv.reader(handle))
    reference = reference_for("GRCh38")
    assert reference is not None
    current = reference.symbols_of(pl.Series("gene", names[1:])).to_list()
    symbols = [new or old for new, old in zip(current, names[1:], strict=True)]
    for name, *counts in patients:
        path = tmp_path / f"{name}.tsv"
        lines = [f"{gene}\t{count}" for gene, count in zip(names[1:], counts, strict=True)]
        path.write_text("\n".join([f"gene_symbol\t{name}", *lines, ""]))
        block = quantification.extract(path, reference_build=None).blocks["expression"]
        assert block is not None
        expected: dict[str, float] = {}
        for symbol, count in zip(symbols, counts, strict=True):
            expected[symbol] = expected.get(symbol, 0.0) + float(count)
        assert dict(zip(block.names, block.values, strict=True)) == expected


@pytest.mark.parametrize("name", ["test_mutect.vcf", "test_varscan.vcf"])
def test_snv__takes_genes_of_unannotated_files_by_place(real_data, name):
    found = snv.extract(real_data / "snv_vcf" / name, reference_build="GRCh37")
    assert adds_up(found)
    assert "no_gene_annotation" not in found.filtered
    assert found.blocks["snv_gene_variants"] is not None
    assert found.features["snv_annotation"] == "reference"
    assert found.blocks["snv_gene_burden"] is None

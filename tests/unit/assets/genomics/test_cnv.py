"""Copy numbers: hand-written files of every tool whose ratios can be told by eye."""

import gzip
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.genomics.cnv import reader as cnv
from assets.genomics.cnv.features import ARMS, Profile
from assets.genomics.cnv.tables import SEGMENT_SCHEMA
from assets.genomics.granularity import (
    Places,
    arm_level,
    band_level,
    bases_in,
    chromosome_level,
    gene_level,
)
from oncoframe.errors import (
    AmbiguousSample,
    EmptyFile,
    ImpossibleValue,
    MissingSample,
    NothingUsable,
    TruncatedFile,
    WrongFormat,
)
from oncoframe.extraction import Extraction
from oncoframe.reference.load import built_in

REFERENCE = built_in("GRCh38")
CNS = "chromosome\tstart\tend\tgene\tlog2\tprobes\n"
CALL = "chromosome\tstart\tend\tgene\tlog2\tcn\tcn1\tcn2\tprobes\n"
VCF = (
    "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=248956422>\n"
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS\n"
)


@pytest.fixture
def extract(tmp_path):
    """Extract a file from its header and rows (fields separated by blanks)."""

    def _extract(
        head: str, *rows: str, build: str | None = "GRCh38", sample: str | None = None
    ) -> Extraction:
        path = tmp_path / "cnv"
        path.write_text(head + "".join("\t".join(row.split()) + "\n" for row in rows))
        return cnv.extract(path, reference_build=build, sample=sample)

    return _extract


def block(found: Extraction, name: str) -> dict[str, float]:
    values = found.blocks[name]
    assert values is not None
    return dict(zip(values.names, values.values.tolist(), strict=True))


def whole(chrom: str, arm: str | None = None) -> tuple[int, int]:
    """First and last base of a chromosome or of one of its arms."""
    level = arm_level(REFERENCE) if arm else chromosome_level(REFERENCE)
    [row] = [r for r in level.table.iter_rows(named=True) if r["name"] == (arm or chrom)]
    return row["start"], row["end"]


def test_extract__turns_log2_into_ratios_exactly(extract):
    """CNVkit counts from 0 and gives logarithms; monosomy 7 is 0.5, not -1."""
    last = whole("7")[1]
    found = extract(CNS, f"chr7 0 {last} - -1 900")
    assert (found.records, found.used) == (1, 1)
    assert block(found, "cnv_gene_ratio")["EZH2"] == 0.5
    assert block(found, "cnv_band_ratio")["7q36.1"] == 0.5
    assert block(found, "cnv_arm_ratio") == {"7p": 0.5, "7q": 0.5}
    values = found.features
    assert (values["cnv_7q_ratio"], values["cnv_7q_lost"], values["cnv_7q_gained"]) == (0.5, 1, 0)
    assert values["cnv_lost_chromosomes"] == 1
    assert values["cnv_altered_fraction"] == 1.0
    assert values["cnv_8p_ratio"] is None
    assert found.annotation_version == "GRCh38 panel-1"


def test_extract__weighs_segments_by_their_bases(extract):
    """A gene with a break in it has the mean of its parts, a band that of its bases."""
    start, end = whole("5", "5q")
    half = (start + end) // 2
    found = extract(
        CNS, f"chr5 {start - 1} {half} - 0 10", f"chr5 {half} {end} - {math.log2(1.5)} 10"
    )
    assert found.features["cnv_5q_ratio"] == pytest.approx(1.25, abs=1e-6)
    assert found.features["cnv_5q_gained"] == pytest.approx(0.5, abs=1e-6)
    assert found.features["cnv_5q_lost"] == 0.0


def test_extract__reads_copies_and_lost_heterozygosity_of_calls(extract):
    """A copy-neutral loss of heterozygosity is invisible to the ratio."""
    last = whole("17")[1]
    found = extract(CALL, f"chr17 0 {last} - 0 2 2 0 90", "chr18 0 900000 - 0 2 1 1 9")
    assert block(found, "cnv_gene_copies")["TP53"] == 2
    assert block(found, "cnv_gene_loh")["TP53"] == 1
    assert block(found, "cnv_arm_loh") == {"17p": 1, "17q": 1, "18p": 0}
    assert 0.9 < found.features["cnv_loh_fraction"] < 1
    assert found.features["cnv_ploidy"] == 2.0


def test_extract__leaves_what_was_not_measured_unknown(extract):
    """A panel says nothing of the genome between its genes."""
    found = extract(CNS, "chr17 7600000 7700000 TP53 -1 20")
    assert block(found, "cnv_gene_ratio") == {"TP53": 0.5}
    assert found.blocks["cnv_gene_copies"] is None
    assert found.blocks["cnv_band_loh"] is None
    assert found.features["cnv_loh_fraction"] is None
    assert found.features["cnv_1p_ratio"] is None


@pytest.mark.parametrize("head", [CNS, CALL, VCF, "ID\tchrom\tloc.start\tloc.end\tseg.mean\n"])
def test_extract__of_a_header_is_no_event(extract, head):
    """No segment of a performed assay: the genome is as it should be, every ratio is 1."""
    found = extract(head)
    assert (found.records, found.used, found.features["cnv_segments"]) == (0, 0, 0)
    assert set(block(found, "cnv_gene_ratio").values()) == {1.0}
    assert found.features["cnv_altered_fraction"] == 0.0
    assert {found.features[f"cnv_{arm}_ratio"] for arm in ARMS} == {1.0}


#: Tool -> what stands before its column names, those (None: a VCF), and the row of trisomy 8.
SEG_ROWS = {
    "cnvkit": ("", "chromosome start end gene log2 probes", "chr8 0 {end} - {log2} 9"),
    "igv": ("", "ID chrom loc.start loc.end num.mark seg.mean", "S1 8 1 {end} 9 {log2}"),
    "quoted": ("", '"ID" "chrom" "loc.start" "loc.end" "seg.mean"', '"S1" "8" 1 {end} {log2}'),
    "tcga": ("", "Sample Chromosome Start End Num_Probes Segment_Mean", "S1 8 1 {end} 9 {log2}"),
    "dragen": ("", "Sample Chromosome Start End Segment_Mean Segment_Call Copy_Number",
               "S1 chr8 1 {end} 1.5 + 3"),
    "gdc": ("", "GDC_Aliquot Chromosome Start End Copy_Number Major_Copy_Number Minor_Copy_Number",
            "S1 chr8 1 {end} 3 2 1"),
    "gatk": ("@HD\tVN:1.6\n@SQ\tSN:chr8\n", "CONTIG START END MEAN_LOG2_COPY_RATIO CALL",
             "chr8 1 {end} {log2} +"),
    "purple": ("", "chromosome start end copyNumber method minorAlleleCopyNumber",
               "chr8 1 {end} 3.0 BAF_WEIGHTED 1.0"),
    "cnvkit vcf": (VCF, None, "chr8 0 . N <DUP> . . END={end};FOLD_CHANGE=1.5 GT:GQ:CN 0/1:0:3"),
    "dragen vcf": (VCF, None, "chr8 0 . N <DUP> . PASS SVTYPE=CNV;END={end} GT:SM:CN 0/1:1.5:3"),
    "gatk vcf": (VCF, None, "chr8 0 . N <DEL>,<DUP> . . END={end} GT:CN:NP 2:3:9"),
    "delly vcf": (VCF, None, "chr8 0 . N <CNV> . PASS SVTYPE=CNV;END={end} GT:RDCN 0/1:3.0"),
    "vcf 4.4": (VCF, None, "chr8 0 . N <DUP> . PASS SVLEN={end};SVCLAIM=D GT:CN 0/1:3"),
}  # fmt: skip


@pytest.mark.parametrize("tool", SEG_ROWS)
def test_extract__reads_trisomy_8_of_every_tool(extract, tool):
    """One karyotype, one result, whatever wrote it: a linear mean read as log2 would be 2.83."""
    before, columns, row = SEG_ROWS[tool]
    head = before + ("\t".join(columns.split()) + "\n" if columns else "")
    end = whole("8")[1]
    found = extract(head, row.format(end=end, log2=math.log2(1.5)))
    assert (found.records, found.used) == (1, 1)
    assert block(found, "cnv_arm_ratio")["8q"] == pytest.approx(1.5)
    assert block(found, "cnv_gene_ratio")["MYC"] == pytest.approx(1.5)
    assert found.features["cnv_8p_gained"] == pytest.approx(1.0)
    assert found.features["cnv_gained_chromosomes"] == 1
    if found.blocks["cnv_gene_copies"] is not None:
        assert block(found, "cnv_gene_copies")["MYC"] == pytest.approx(3)


def test_extract__takes_a_vcf_of_events_for_the_whole_genome(extract):
    """CNVkit and others list what is altered; all else is normal, not unmeasured."""
    found = extract(VCF, f"chr8 0 . N <DUP> . PASS END={whole('8')[1]} GT:CN 0/1:3")
    assert block(found, "cnv_arm_ratio")["7q"] == 1.0
    assert block(found, "cnv_arm_copies")["7q"] == 2.0
    assert found.blocks["cnv_arm_loh"] is None
    listed = extract(
        VCF,
        f"chr8 0 . N <DUP> . PASS END={whole('8')[1]} GT:CN 0/1:3",
        "chr9 0 . N . . PASS END=5000000 GT:CN 0/0:2",
    )
    assert set(block(listed, "cnv_arm_ratio")) == {"8p", "8q", "9p"}


def test_extract__reads_purity_ploidy_and_deletions_by_genotype(extract):
    """CNVkit gives copies of gains only; those of a loss stand in its genotype."""
    meta = (
        '##FORMAT=<ID=CN,Number=1,Type=Integer,Description="Copies">\n'
        "##EstimatedTumorPurity=0.7\n##OverallPloidy=2.9\n"
    )
    head = VCF.replace("#CHROM", f"{meta}#CHROM", 1)
    found = extract(
        head,
        "chr17 0 . N <DEL> . . END=22000000 GT:GQ 0/1:9",
        "chr13 0 . N <DEL> . . END=50000000 GT:GQ 1/1:9",
    )
    assert (found.features["cnv_purity"], found.features["cnv_ploidy"]) == (0.7, 2.9)
    assert block(found, "cnv_gene_ratio")["TP53"] == 0.5
    assert block(found, "cnv_gene_copies")["RB1"] == 0


def test_extract__takes_no_copies_from_the_genotypes_of_a_file_of_something_else(extract):
    """A deletion that any caller found on one allele would be a loss of the whole segment."""
    head = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tT\n"
    with pytest.raises(NothingUsable):
        extract(head, "chr17 0 . N <DEL> . PASS END=22000000 GT 0/1", build="GRCh38")


@pytest.mark.parametrize("name", ['""', "NA", ".", "?", "-", "None", "nan"])
def test_extract__makes_no_gene_of_what_is_no_name(extract, name):
    """Of all patients with a gap in the column a gene "NA" would be altered."""
    head = "chromosome\tstart\tend\tgene\tminCopyNumber\tmaxCopyNumber\n"
    end = whole("7", "7q")[1]
    found = extract(head, "chr7 1 50000000 EGFR 2 2", f"chr7 70000000 {end} {name} 1 1")
    assert (found.used, block(found, "cnv_gene_ratio")) == (2, {"EGFR": 1.0})
    assert found.features["cnv_7q_ratio"] == 0.5
    short = extract("gene\tminCopyNumber\tmaxCopyNumber\n", "TP53 1 2", f"{name} 2 2")
    assert (short.used, short.failed) == (1, {"unreadable_place": 1})


def test_extract__reads_genes_of_purple(extract):
    """The table has its own names and no segments; a gene is its smallest number of copies."""
    head = "chromosome\tstart\tend\tgene\tminCopyNumber\tmaxCopyNumber\tminMinorAlleleCopyNumber\n"
    rows = ("chr17 7661779 7687550 TP53 1.0 2.1 0.1", "chr11 118436492 118526832 MLL -0.2 2.0 -0.2",
            "chr1 5 9 NEWGENE 4.0 4.0 2.0")  # fmt: skip
    found = extract(head, *rows)
    assert (found.records, found.used) == (3, 3)
    assert block(found, "cnv_gene_copies") == {"TP53": 1.0, "KMT2A": 0.0, "NEWGENE": 4.0}
    assert block(found, "cnv_gene_loh") == {"TP53": 1.0, "KMT2A": 1.0, "NEWGENE": 0.0}
    assert block(found, "cnv_band_ratio") == {"17p13.1": 0.5, "11q23.3": 0.0, "1p36.33": 2.0}
    short = extract("gene\tminCopyNumber\tmaxCopyNumber\n", "TP53 1.0 2.1", "ODD 2 2")
    assert block(short, "cnv_gene_ratio") == {"TP53": 0.5, "ODD": 1.0}
    assert block(short, "cnv_arm_ratio") == {"17p": 0.5}


def test_extract__accounts_for_what_does_not_count(extract):
    """CNVkit writes empty segments backwards; a second sample is not this patient."""
    found = extract(
        "ID\tchrom\tloc.start\tloc.end\tseg.mean\n",
        "S1 1 1 9000 0.1", "S2 1 1 9000 0.1", "S1 1 9000 1 0.1", "S1 GL1 1 9 0.1",
        "S1 1 x 9 0.1", "S1 1 1 9 nan", "S1 1 1 9 inf", "S1 1 1 9 NA", "S1 M 1 9 0", sample="S1",
    )  # fmt: skip
    assert found.filtered == {"end_before_start": 1, "other_contig": 2, "other_sample": 1}
    assert found.failed == {"unreadable_copy_number": 3, "unreadable_place": 1}
    assert (found.records, found.used) == (9, 1)
    doubted = extract(VCF, "chr8 0 . N <DUP> . cnvQual END=99 GT:CN 0/1:3",
                      "chr8 5 . N N[chr9:5[ . PASS SVTYPE=BND GT 0/1",
                      "chr8 5 . N <DUP> . PASS END=99 GT 0/1")  # fmt: skip
    assert doubted.filtered == {"filter_not_pass": 1, "no_copy_number": 1}
    assert doubted.failed == {"unreadable_copy_number": 1}


@pytest.mark.parametrize(
    ("head", "row", "error", "message"),
    [
        (CNS, "chr1 5 9 - 40 1", ImpossibleValue, "ratio cannot have been measured"),
        (CALL, "chr1 5 9 - 0 99999 1 1 1", ImpossibleValue, "copies cannot have been measured"),
        (CALL, "chr1 5 9 - 0 -3 1 1 1", ImpossibleValue, "copies cannot have been measured"),
        (CNS, "chr1 -50 9 - 0 1", ImpossibleValue, "a place cannot have been measured"),
        (CNS, "chr1 5 9 - 0", WrongFormat, "wrong number of columns"),
        (CNS, "chr1 1 249250621 - 0 9", WrongFormat, "beyond the end of chromosome 1"),
        ("chromosome\tstart\tend\tgene\tdepth\tlog2\tweight\n", "chr1 5 9 - 1 0 1", WrongFormat,
         "bins"),
        ("a\tb\n", "1 2", WrongFormat, "not a table of copy numbers"),
        ("chromosome\tstart\tend\tgene\tlog2\tprobes\tlog2\n", "", WrongFormat, "one name"),
    ],
)  # fmt: skip
def test_extract__refuses_what_cannot_be(extract, head, row, error, message):
    """Segments on another build than the sheet says end behind the chromosome."""
    with pytest.raises(error, match=message):
        extract(head, *([row] if row else []))


def test_extract__refuses_cut_and_empty_files(tmp_path):
    """Half a genome would read as the other half not measured."""
    path = tmp_path / "cut.cns"
    path.write_text(CNS + "chr1\t5\t90000\t-\t0.")
    with pytest.raises(TruncatedFile):
        cnv.extract(path, reference_build="GRCh38")
    path.write_text("")
    with pytest.raises(EmptyFile):
        cnv.extract(path, reference_build="GRCh38")
    path.write_bytes(gzip.compress((CNS + "chr1\t5\t90000\t-\t0\t9\n" * 999).encode())[:-20])
    with pytest.raises(TruncatedFile):
        cnv.extract(path, reference_build="GRCh38")


def test_extract__without_a_build_names_no_place(extract):
    """Bands of a guessed build would be wrong without any sign of it."""
    found = extract(CNS, "chr7 0 90000000 - -1 900", build=None)
    assert set(found.blocks.values()) == {None}
    assert found.features["cnv_segments"] == 1
    assert found.features["cnv_altered_fraction"] is None


segments = st.lists(
    st.tuples(
        st.sampled_from(["1", "5", "X"]),
        st.integers(1, 150_000_000),
        st.integers(0, 60_000_000),
        st.floats(0, 8, allow_nan=False, width=32),
    ),
    max_size=20,
)


@given(segments)
def test_profile__adds_up_from_bands_to_arms_to_chromosomes(drawn):
    """Bases times ratio of the bands are those of their chromosome, also where segments overlap."""
    rows = {name: [] for name in ("chrom", "start", "end", "ratio")}
    for chrom, start, length, ratio in drawn:
        for name, value in zip(rows, (chrom, start, start + length, ratio), strict=True):
            rows[name].append(value)
    places = pl.DataFrame(rows, schema={n: SEGMENT_SCHEMA[n] for n in rows})
    weights = places["ratio"].to_numpy()
    by_chromosome = Places(places)
    totals = {}
    for level in (band_level(REFERENCE), arm_level(REFERENCE), chromosome_level(REFERENCE)):
        bases = bases_in(level, by_chromosome, weights)
        totals[level.axis] = {}
        for name, value in zip(level.table["chrom"], bases, strict=True):
            totals[level.axis][name] = totals[level.axis].get(name, 0.0) + value
    for axis in ("band", "arm"):
        assert totals[axis] == pytest.approx(totals["chromosome"], rel=1e-9, abs=1e-3)
    # A gene lies in the chromosome of its band and measures no more than that.
    genes = bases_in(gene_level(REFERENCE), by_chromosome, weights)
    assert (genes >= -1e-3).all()


@given(segments)
def test_profile__mean_lies_between_the_ratios(drawn):
    """Rounding of the sums must not push a mean out of the range of what was measured."""
    rows = [(c, s, s + n, r, None, None) for c, s, n, r in drawn]
    schema = {name: SEGMENT_SCHEMA[name] for name in ("chrom", "start", "end", "ratio", "copies",
                                                      "minor")}  # fmt: skip
    profile = Profile(pl.DataFrame(rows, schema=schema, orient="row"), is_complete=True)
    mean = profile.mean(gene_level(REFERENCE), profile.values()["ratio"][0], 1.0)
    known = mean[np.isfinite(mean)]
    if len(known):
        ratios = [r for *_, r in drawn]
        assert known.min() >= min(ratios) - 1e-4
        assert known.max() <= max(ratios) + 1e-4


def test_extract__refuses_a_file_without_a_usable_copy_number(extract):
    """Every arm at 1.0 and "no monosomy 7" would be a result that nobody measured."""
    end = whole("7")[1]
    for rows in (
        (f"chr7 1 . N <DEL> . PASS SVTYPE=DEL;END={end} GT .",),
        (f"weird7 1 . N <DEL> . PASS SVTYPE=DEL;END={end} GT:CN 0/1:1",),
        (f"chr7 1 . N <DUP> . PASS SVTYPE=DUP;END={end} GT:CN ./.:.",),
    ):
        with pytest.raises(NothingUsable):
            extract(VCF, *rows)
    with pytest.raises(NothingUsable):
        extract(CNS, f"chr7 0 {end} - NA 900")


def test_extract__leaves_what_a_failed_record_covers_unknown(extract):
    """Beside other records that count, the region of one that failed is not normal."""
    end = whole("7")[1]
    found = extract(
        VCF,
        f"chr7 1 . N <DUP> . PASS SVTYPE=DUP;END={end} GT 0/1",
        "chr8 1 . N <DUP> . PASS SVTYPE=DUP;END=90000000 GT:CN 0/1:3",
    )
    assert (found.used, found.failed) == (1, {"unreadable_copy_number": 1})
    names = ("cnv_7p_ratio", "cnv_7q_lost", "cnv_altered_fraction", "cnv_lost_chromosomes")
    assert [found.features[name] for name in names] == [None] * 4
    assert found.features["cnv_5q_ratio"] == 1.0
    assert found.features["cnv_8p_gained"] == pytest.approx(1.0)
    assert "7q36.1" not in block(found, "cnv_band_ratio")
    assert "EZH2" not in block(found, "cnv_gene_ratio")
    no_end = extract(
        VCF,
        "chr7 100000000 . N <DEL> . PASS SVTYPE=DEL GT:CN 0/1:1",
        "chr8 1 . N <DUP> . PASS SVTYPE=DUP;END=90000000 GT:CN 0/1:3",
    )
    assert no_end.failed == {"unreadable_place": 1}
    assert (no_end.features["cnv_7q_ratio"], no_end.features["cnv_7p_ratio"]) == (None, 1.0)


def test_extract__does_not_credit_what_a_merge_filled_in(extract):
    found = extract(
        VCF,
        "chr7 1 . N <DUP> . PASS SVTYPE=DUP;END=90000000 GT:CN ./.:.",
        "chr8 1 . N <DUP> . PASS SVTYPE=DUP;END=90000000 GT:CN 0/1:3",
    )
    assert (found.used, found.filtered) == (1, {"no_call": 1})
    assert found.features["cnv_7p_ratio"] == 1.0


def test_extract__takes_copies_in_info_beside_a_genotype_that_calls_nothing(extract):
    """FACETS and CNVkit give copies in INFO; behind a merge nobody knows whose they are."""
    record = "chr8 1 . N <DEL> . PASS SVTYPE=DEL;END=90000000;TCN_EM=0 GT ./."
    assert block(extract(VCF, record), "cnv_arm_ratio")["8p"] == pytest.approx(0.0, abs=1e-6)
    merged = VCF.replace("#CHROM", "##bcftools_mergeCommand=merge a b\n#CHROM")
    with pytest.raises(NothingUsable, match="1 no_call"):
        extract(merged, record)


def test_extract__clips_fitted_copies_below_none_and_counts_them(extract):
    """PURPLE at a low purity writes -3.2 copies; that is a fit, and the rest of the file good."""
    head = "chromosome\tstart\tend\tcopyNumber\tmethod\tminorAlleleCopyNumber\n"
    found = extract(head, "chr1 1 90000000 2 X 1", "chr7 1 90000000 -3.2 X 0")
    assert (found.used, found.notes) == (2, {"copies_below_none": 1})
    assert block(found, "cnv_arm_ratio") == {"1p": 1.0, "7p": 0.0, "7q": 0.0}


def test_extract__refuses_copies_in_the_place_of_logarithms(extract):
    """Two copies read as log2 of 2 would be a genome of eight."""
    head = "ID\tchrom\tloc.start\tloc.end\tseg.mean\n"
    rows = [f"S1 {chrom} 1 30000000 {{}}" for chrom in range(1, 13)]
    for value in (2, 1.98, 1.0):
        with pytest.raises(WrongFormat, match="not logarithms"):
            extract(head, *(row.format(value) for row in rows))
    assert extract(head, *(row.format(0.02) for row in rows)).used == 12
    assert extract(head, "S1 8 1 30000000 0.6").used == 1
    purple = "chromosome\tstart\tend\tcopyNumber\tmethod\tminorAlleleCopyNumber\n"
    with pytest.raises(WrongFormat, match="not copies"):
        extract(purple, *(f"chr{i} 1 30000000 0.01 X 0" for i in range(1, 13)))


def test_extract__never_takes_the_first_patient_of_a_cohort(extract):
    head = "ID\tchrom\tloc.start\tloc.end\tseg.mean\n"
    rows = [f"S{i} 7 1 90000000 {-i / 10}" for i in range(30)]
    with pytest.raises(AmbiguousSample, match="S19 and 10 more"):
        extract(head, *rows)
    found = extract(head, *rows, sample="S10")
    assert (found.used, found.sample) == (1, "S10")
    assert block(found, "cnv_arm_ratio") == {"7p": 0.5, "7q": 0.5}
    with pytest.raises(MissingSample, match="only normal"):
        extract(head, "PT_normal 7 1 90000000 0")
    pair = extract(head, "PT_normal 7 1 90000000 0", "PT_tumor 7 1 90000000 -1")
    assert (pair.sample, pair.filtered) == ("PT_tumor", {"other_sample": 1})


def test_extract__reads_accessions_of_the_build(extract):
    found = extract(CNS, "NC_000007.14 0 159345973 - -1 900", build=None)
    assert found.annotation_version == "GRCh38 panel-1"
    assert block(found, "cnv_arm_ratio") == {"7p": 0.5, "7q": 0.5}
    with pytest.raises(WrongFormat, match="another genome build"):
        extract(CNS, "NC_000007.13 0 150000000 - -1 900")

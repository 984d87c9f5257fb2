"""Reference annotation: builds, overlaps, the built-in tables, a user's GTF, positions of names."""

import gzip
from importlib.resources import files

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.genomics.panel.entries import load_panel
from oncoframe.errors import ImpossibleValue, WrongFormat
from oncoframe.reference import active
from oncoframe.reference.builds import (
    CHROMOSOME_LENGTHS,
    CHROMOSOMES,
    build_in_text,
    build_of_contigs,
    builds_of_accessions,
    chromosome_name,
    normalise_build,
)
from oncoframe.reference.intervals import covering, overlapping_pairs, weighted_bases
from oncoframe.reference.load import (
    AnnotationFiles,
    built_in,
    compile_references,
    load,
    load_compiled,
)

#: Bands from the textbook: Atlas of Genetics and Cytogenetics in Oncology and Haematology.
KNOWN_BANDS = {
    "BCR": "22q11.23", "ABL1": "9q34.12", "KMT2A": "11q23.3", "TP53": "17p13.1", "MYC": "8q24.21",
    "FLT3": "13q12.2", "NPM1": "5q35.1", "RUNX1": "21q22.12", "CBFB": "16q22.1",
    "MYH11": "16p13.11", "IGH": "14q32.33", "MECOM": "3q26.2", "PML": "15q24.1", "RARA": "17q21.2",
    "CRLF2": "Xp22.33",
}  # fmt: skip
GTF = """##description: evidence-based annotation of the human genome (GRCh38), version 99 (Ensembl 1)
chr1\tHAVANA\tgene\t100\t900\t.\t+\t.\tgene_id "ENSG00000000001.2"; gene_type "protein_coding"; gene_name "AAA";
chr1\tHAVANA\texon\t100\t300\t.\t+\t.\tgene_id "ENSG00000000001.2"; gene_type "protein_coding"; gene_name "AAA";
chr2\tHAVANA\tgene\t500\t600\t.\t-\t.\tgene_id "ENSG00000000002.1"; gene_type "lncRNA"; gene_name "AAA";
chr11\tHAVANA\tgene\t118436492\t118526832\t.\t+\t.\tgene_id "ENSG00000118058.9"; gene_type "protein_coding"; gene_name "MLL";
chrX\tHAVANA\tgene\t700\t800\t.\t-\t.\tgene_id "ENSG00000000003.1"; gene_type "protein_coding"; gene_name "PARG1";
chrY\tHAVANA\tgene\t700\t800\t.\t-\t.\tgene_id "ENSG00000000003.1_PAR_Y"; gene_type "protein_coding"; gene_name "PARG1";
chrUn_1\tHAVANA\tgene\t1\t9\t.\t-\t.\tgene_id "ENSG00000000009.1"; gene_type "protein_coding"; gene_name "LOST";
"""  # noqa: E501  # lines of the format


@pytest.fixture
def gtf(tmp_path):
    path = tmp_path / "genes.gtf.gz"
    path.write_bytes(gzip.compress(GTF.encode()))
    return path


@pytest.fixture(autouse=True)
def _built_in_again():
    yield
    active.use(None)


intervals = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 40)), min_size=0, max_size=25)


def _arrays(drawn):
    starts = np.array([start for start, _ in drawn], dtype=np.int64)
    return starts, starts + np.array([length for _, length in drawn], dtype=np.int64)


@given(intervals, intervals)
def test_covering__equals_brute_force(some, queries):
    """An off-by-one at a closed end would credit a deletion to the gene beside it."""
    starts, ends = _arrays(some)
    first, last = _arrays(queries)
    expected = [int(((starts <= b) & (ends >= a)).sum()) for a, b in zip(first, last, strict=True)]
    assert covering(starts, ends, first, last).tolist() == expected


@given(intervals, intervals)
def test_overlapping_pairs__equal_brute_force(some, queries):
    """A long gene before many short ones must still be found by a search on sorted ends."""
    starts, ends = _arrays(sorted(some))
    first, last = _arrays(queries)
    expected = [
        (q, i)
        for q, (a, b) in enumerate(zip(first, last, strict=True))
        for i in range(len(starts))
        if starts[i] <= b and ends[i] >= a
    ]
    query, interval = overlapping_pairs(starts, ends, first, last)
    assert list(zip(query.tolist(), interval.tolist(), strict=True)) == expected


@given(intervals, intervals, st.integers(0, 5))
def test_weighted_bases__equal_brute_force(some, queries, weight):
    """The mean ratio of a gene is wrong if a base at a border counts twice."""
    starts, ends = _arrays(some)
    first, last = _arrays(queries)
    weights = np.arange(len(starts)) + weight
    bases = [
        sum(
            w * max(0, min(b, e) - max(a, s) + 1)
            for s, e, w in zip(starts, ends, weights, strict=True)
        )
        for a, b in zip(first, last, strict=True)
    ]
    assert weighted_bases(starts, ends, weights, first, last) == pytest.approx(bases)


@pytest.mark.parametrize(
    ("name", "build"),
    [("hg19", "GRCh37"), ("b37", "GRCh37"), ("hs37d5", "GRCh37"), ("GRCh37.p13", "GRCh37"),
     ("HG38", "GRCh38"), ("grch38", "GRCh38"), (" hg38 ", "GRCh38"), ("mm10", "mm10"),
     ("", None), (None, None)],
)  # fmt: skip
def test_normalise_build__knows_every_spelling(name, build):
    """Two spellings of a build would make a frame that is refused as mixed."""
    assert normalise_build(name) == build


def test_builds__are_told_from_lengths_and_text():
    """A header says more than a samplesheet; one that says two things says nothing."""
    assert build_of_contigs({"chr7": 159138663, "chrUn": 5}) == "GRCh37"
    assert build_of_contigs({"7": 159345973}) == "GRCh38"
    assert build_of_contigs({"1": 249250621, "2": 242193529}) is None
    assert build_in_text("##reference=file:///ref/Homo_sapiens.GRCh37.fa") == "GRCh37"
    assert build_in_text("##reference=/hg19/liftover/hg38.fa") is None
    assert [chromosome_name(n) for n in ("chr7", "chrM", "x", "23", "GL000220.1")] == [
        "7", "MT", "X", "X", "GL000220.1"]  # fmt: skip


@pytest.mark.parametrize("build", ["GRCh37", "GRCh38"])
def test_built_in__has_genes_in_their_textbook_bands(build):
    """A table shifted by a column, or lifted to the other build, would still load."""
    genes = built_in(build).genes
    found = dict(genes.select("symbol", "band").iter_rows())
    assert {name: found[name] for name in KNOWN_BANDS} == KNOWN_BANDS
    assert genes["symbol"].is_unique().all()
    assert genes["ensembl_id"].drop_nulls().is_unique().all()


@pytest.mark.parametrize("build", ["GRCh37", "GRCh38"])
def test_built_in__bands_tile_the_chromosomes(build):
    """A gap between bands is a place whose breakends count nowhere."""
    reference = built_in(build)
    for chrom in CHROMOSOMES:
        bands = reference.bands_of(chrom)
        assert bands["start"].to_list() == [1, *(bands["end"][:-1] + 1)]
        lengths = {b: length for length, b in CHROMOSOME_LENGTHS.get(chrom, {}).items()}
        assert reference.lengths[chrom] == lengths.get(build, reference.lengths[chrom])


@pytest.mark.parametrize("build", ["GRCh37", "GRCh38"])
def test_built_in__genes_lie_in_bands_in_arms_in_chromosomes(build):
    """A gene in the band of another chromosome would break every sum over levels."""
    reference = built_in(build)
    bands = {row["band"]: row for row in reference.bands.iter_rows(named=True)}
    for gene in reference.genes.iter_rows(named=True):
        band = bands[gene["band"]]
        assert band["start"] <= (gene["start"] + gene["end"]) // 2 <= band["end"]
        assert (band["chrom"], band["arm"]) == (gene["chrom"], gene["arm"])
        assert gene["arm"] in (gene["chrom"] + "p", gene["chrom"] + "q")


def test_genes_at__finds_overlaps_coding_first():
    """Both genes of a place are credited; the first is the one that names a join."""
    places = pl.DataFrame(
        {"chrom": ["17", "chrU", "5"], "start": [7670000, 5, 1], "end": [7670000, 9, 2]}
    )
    found = built_in("GRCh38").genes_at(places)
    assert found.select("row", "symbol").rows() == [(0, "TP53")]


def test_symbols_of__maps_ids_and_former_names():
    """A count file of Ensembl ids with versions must not lose its genes."""
    names = pl.Series(["ENSG00000141510.18", "ENSG00000141510", "MLL", "FAM46C", "TP53", "nothing"])
    reference = built_in("GRCh37")
    expected = ["TP53", "TP53", "KMT2A", "TENT5C", "TP53", None]
    assert reference.symbols_of(names).to_list() == expected


def test_load__reads_a_gtf(gtf):
    """Former names become those of today, shared ones stay apart, copies on Y go."""
    reference = load("GRCh38", gtf=gtf)
    genes = {row["symbol"]: row for row in reference.genes.iter_rows(named=True)}
    assert reference.version.startswith("GENCODE 99+")
    assert {"AAA", "ENSG00000000002", "KMT2A", "PARG1", "IGH", "TRG"} <= genes.keys()
    assert "LOST" not in genes
    assert genes["KMT2A"]["band"] == "11q23.3"
    assert (genes["AAA"]["chrom"], genes["AAA"]["start"], genes["AAA"]["end"]) == ("1", 100, 900)
    assert genes["PARG1"]["chrom"] == "X"


def test_load__reads_a_table_of_genes(tmp_path):
    """BioMart exports are tables; a place that is no number would move every gene after it."""
    path = tmp_path / "genes.csv"
    path.write_text("gene_name,chromosome,start,end\nAAA,chr1,5,9\n,2,1,3\n")
    genes = load("GRCh37", gtf=path).genes.filter(pl.col("biotype").is_null())
    assert genes.select("symbol", "chrom", "start", "end").rows() == [("AAA", "1", 5, 9)]
    path.write_text("gene_name,chromosome,start,end\nAAA,chr1,9,5\n")
    with pytest.raises(ImpossibleValue, match="no place on a chromosome"):
        load("GRCh37", gtf=path)
    path.write_text("gene_name,where\nAAA,chr1\n")
    with pytest.raises(WrongFormat, match="none for chrom, start, end"):
        load("GRCh37", gtf=path)


def test_load__refuses_another_build(gtf):
    """Genes of GRCh38 on a file of GRCh37 lie up to megabases off and raise nothing."""
    with pytest.raises(WrongFormat, match=r"another genome build.*expected GRCh37, got GRCh38"):
        load("GRCh37", gtf=gtf)
    with pytest.raises(WrongFormat, match="no annotation of this build"):
        load("mm10")


def test_load__reads_cytobands(tmp_path):
    """UCSC counts from 0; read as from 1, each border would belong to two bands."""
    path = tmp_path / "cytoBand.txt"
    path.write_text("chr1\t0\t100\tp36\tgneg\nchr1\t100\t200\tq12\tgvar\nchrUn\t0\t9\t\tgneg\n")
    bands = load("GRCh38", cytobands=path).bands
    assert bands.select("band", "arm", "start", "end").rows() == [
        ("1p36", "1p", 1, 100), ("1q12", "1q", 101, 200)]  # fmt: skip


def test_compile_references__serves_workers_and_notices_changes(gtf, tmp_path):
    """A worker that kept last month's annotation would write its version over new values."""
    folder = tmp_path / "reference"
    given_files = {"GRCh38": AnnotationFiles(gtf=gtf)}
    compile_references(given_files, folder)
    first = load_compiled(folder, "GRCh38")
    assert first.version == load("GRCh38", gtf=gtf).version
    assert first.genes.equals(load("GRCh38", gtf=gtf).genes)
    gtf.write_bytes(gzip.compress(GTF.replace("AAA", "BBB").encode()))
    compile_references(given_files, folder)
    active.use(folder)
    renewed = active.reference_for("hg38")
    assert renewed is not None
    assert "BBB" in renewed.genes["symbol"]
    assert renewed.version != first.version
    compile_references({}, folder)
    active.use(folder)
    assert active.reference_for("hg38") is built_in("GRCh38")
    assert active.reference_for("mm10") is None


def test_load__of_a_full_annotation_gives_more_than_70000_positions(tmp_path, lake):
    """A gene that appears later is appended; a position that moved would mix up two genes."""
    rng = np.random.default_rng(1)
    chroms = rng.choice(CHROMOSOMES[:22], 60_000)
    starts = rng.integers(1, 40_000_000, 60_000)
    rows = (
        f'{c}\tensembl\tgene\t{s}\t{s + 999}\t.\t+\t.\tgene_id "ENSG{n:011d}"; gene_name "G{n}";'
        for n, (c, s) in enumerate(zip(chroms, starts, strict=True))
    )
    path = tmp_path / "full.gtf"
    path.write_text("\n".join(rows) + "\n")
    reference = load("GRCh38", gtf=path)
    before = lake.extend_dictionary("gene", reference.genes["symbol"])
    assert len(before) == 60_007
    after = lake.extend_dictionary("gene", pl.Series(["AAA_NEW", "G0"]))
    assert after.head(len(before)).equals(before)
    assert after["name"][-1] == "AAA_NEW"


@pytest.mark.parametrize("build", ["GRCh37", "GRCh38"])
def test_built_in__knows_the_genes_of_the_panels_markers(build):
    """A marker of a gene that no Ensembl id leads to would be unknown in every file with ids."""
    panel = load_panel()
    known = set(built_in(build).genes["symbol"])
    assert {*panel.markers.values(), *panel.housekeeping} - known == set()


def test_accessions__are_one_per_chromosome_and_build():
    """The table by its structure: 24 chromosomes and MT twice, each version one up from GRCh37."""
    text = files("oncoframe.reference").joinpath("data/refseq.tsv").read_text()
    head, *rows = (line.split("\t") for line in text.splitlines())
    assert head == ["chrom", "GRCh37", "GRCh38"]
    assert [row[0] for row in rows] == [*CHROMOSOMES, "MT"]
    for number, (chrom, old, new) in enumerate(rows[:-1], start=1):
        stem, version = old.split(".")
        assert stem == f"NC_{number:06d}"
        assert new == f"{stem}.{int(version) + 1}"
        assert chromosome_name(old) == chromosome_name(new) == chrom
        assert (builds_of_accessions([old]), builds_of_accessions([new])) == (
            {"GRCh37"}, {"GRCh38"},
        )  # fmt: skip
    assert rows[-1] == ["MT", "NC_012920.1", "NC_012920.1"]
    # Those that HGVS names of TP53, BRCA2 and the sex chromosomes have made known.
    known = {"17": "NC_000017.11", "13": "NC_000013.11", "X": "NC_000023.11", "Y": "NC_000024.10"}
    assert {row[0]: row[2] for row in rows if row[0] in known} == known


@pytest.mark.parametrize("name", ["NC_000017.9", "NC_060941.1", "NC_000017", "NC_007605.1"])
def test_chromosome_name__leaves_accessions_of_other_genomes(name):
    assert chromosome_name(name) == name
    assert builds_of_accessions([name, "NC_012920.1"]) == set()

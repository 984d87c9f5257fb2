"""Expression tables: every quantifier's layout, written by hand, gives the same genes."""

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.expression.quantification import CONTRACT, extract
from oncoframe.errors import BadInput, EmptyFile, ImpossibleValue, TruncatedFile, WrongFormat
from oncoframe.extraction import Extraction
from oncoframe.reference import active
from oncoframe.reference.load import AnnotationFiles, compile_references

TP53, FLT3 = "ENSG00000141510", "ENSG00000122025"
#: The same two genes on the axis.
BOTH = {"TP53": 7.0, "FLT3": 0.0}

#: 7 reads of TP53, 0 of FLT3, in every layout; then records and rows that are no genes.
LAYOUTS = {
    "star": (
        (
            "N_unmapped\t5\t5\t5\nN_multimapping\t2\t2\t2\nN_noFeature\t1\t9\t9\nN_ambiguous\t1\t0\t0\n"
            f"{TP53}.17\t7\t1\t6\n{FLT3}.9\t0\t0\t0\n"
        ),
        6,
        4,
    ),
    "htseq": (f"{TP53}.17\t7\n{FLT3}.9\t0\n__no_feature\t9\n__ambiguous\t1\n", 4, 2),
    "htseq with names": (f"{TP53}\tTP53\t7\n{FLT3}\tFLT3\t0\n__no_feature\t\t9\n", 3, 1),
    "featurecounts": (
        (
            '# Program:featureCounts v2.0.1; Command:"featureCounts" "-a" "x.gtf"\n'
            "Geneid\tChr\tStart\tEnd\tStrand\tLength\ts.bam\n"
            f"{TP53}.17\t17;17\t1;5\t3;9\t-;-\t8\t7\n{FLT3}.9\t13\t1\t9\t-\t8\t0\n"
        ),
        2,
        0,
    ),
    "salmon": (
        (
            "Name\tLength\tEffectiveLength\tTPM\tNumReads\n"
            f"{TP53}.17\t9\t8.1\t1000000.0\t7.000\n{FLT3}.9\t9\t8\t0.0\t0.000\n"
        ),
        2,
        0,
    ),
    "rsem": (
        (
            "gene_id\ttranscript_id(s)\tlength\teffective_length\texpected_count\tTPM\tFPKM\n"
            f"{TP53}.17\tT1,T2\t9\t8\t7.00\t1.0\t1.0\n{FLT3}.9\tT3\t9\t8\t0.00\t0\t0\n"
        ),
        2,
        0,
    ),
    "gdc": (
        (
            "# gene-model: GENCODE v36\n"
            "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\ttpm_unstranded\n"
            f"N_unmapped\t\t\t5\t5\t5\t\n{TP53}.17\tTP53\tcoding\t7\t1\t6\t9.1\n"
            f"{FLT3}.9\tFLT3\tcoding\t0\t0\t0\t0\n"
        ),
        3,
        1,
    ),
    "csv": (f"gene_id,count\n{TP53},7\n{FLT3},0\n", 2, 0),
    "quoted": (f'"gene_id","count"\n"{TP53}",7\n"{FLT3}",0\n', 2, 0),
    "sample name": (f"\tPATIENT_7\n{TP53}\t7\n{FLT3}\t0\n", 2, 0),
}


@pytest.fixture
def read(tmp_path: Path):
    """Extract the features of an expression table given as text."""

    def _read(content: str | bytes) -> Extraction:
        # A name that tells nothing: the layout has to be recognised from the columns.
        path = tmp_path / "table"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return extract(path, reference_build=None)

    return _read


def values(found: Extraction) -> dict[str, float]:
    block = found.blocks["expression"]
    assert block is not None
    assert block.values.dtype == np.float32
    return dict(zip(block.names, block.values.tolist(), strict=True))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_extract__reads_the_counts_of_every_layout(read, layout):
    """A stranded column of STAR, TPM instead of counts, or a length would pass unnoticed."""
    text, records, not_genes = LAYOUTS[layout]
    for content in (text, text.replace("\n", "\r\n"), gzip.compress(text.encode())):
        found = read(content)
        assert values(found) == BOTH
        assert (found.records, found.used, found.failed) == (records, 2, {})
        assert found.filtered == ({"not_a_gene": not_genes} if not_genes else {})
        assert found.features == {
            "expression_unit": "counts",
            "expression_level": "gene",
            "expression_genes": 2,
            "expression_detected_genes": 1,
            "expression_total_counts": 7.0,
        }


def test_extract__has_every_feature_of_its_contract_and_pickles(read):
    found = read(LAYOUTS["star"][0])
    assert list(found.features) == [feature.name for feature in CONTRACT.features]
    assert set(found.blocks) == {block.name for block in CONTRACT.blocks}
    assert pickle.loads(pickle.dumps(found)).features == found.features  # noqa: S301  # our own


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("log2_expression", "log2"),
        ("log2(TPM+1)", "log2"),
        ("logCPM", "log2"),
        ("TPM", "tpm"),
        ("tpm_unstranded", "tpm"),
        ("FPKM", "fpkm"),
        ("raw_counts", "counts"),
        ("expected_count", "counts"),
    ],
)
def test_extract__takes_the_unit_from_the_name_of_the_column(read, name, unit):
    """Logarithms taken for counts would be normalised a second time."""
    found = read(f"gene_symbol\t{name}\nTP53\t3.5\nFLT3\t1\n")
    assert found.features["expression_unit"] == unit
    assert values(found) == {"TP53": 3.5, "FLT3": 1.0}
    total = found.features["expression_total_counts"]
    assert total == (4.5 if unit == "counts" else None)


def test_extract__keeps_negative_logarithms_and_counts_no_detected_genes(read):
    found = read("gene_symbol\tlog2_expression\nTP53\t-3.25\nFLT3\t0\n")
    assert values(found) == {"TP53": -3.25, "FLT3": 0.0}
    assert found.features["expression_detected_genes"] is None


def test_extract__sums_rows_of_one_gene_but_not_logarithms(read):
    found = read(f"gene_id\tcount\n{TP53}.17\t7\n{TP53}.18\t5\n{FLT3}\t1\n")
    assert values(found) == {"TP53": 12.0, "FLT3": 1.0}
    assert found.used == 3
    with pytest.raises(WrongFormat, match="twice"):
        read("gene\tlog2\nTP53\t1\nTP53\t2\n")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_extract__counts_the_lines_of_a_doubled_table_once(read, layout):
    """A table appended to itself, as a shell does by mistake, would have twice the reads."""
    text = LAYOUTS[layout][0]
    lines = text.splitlines(keepends=True)
    found = read(text + "".join(line for line in lines if TP53 in line or FLT3 in line))
    assert values(found) == values(read(text))
    assert found.filtered["duplicate_record"] == 2


def test_extract__sums_different_genes_of_one_symbol(read):
    """Their lines differ, though the symbol and the counts are the same."""
    found = read("gene_name\tgene_id\tcount\nX\tG1\t7\nX\tG2\t7\nX\tG1\t7\n")
    assert (values(found), found.filtered) == ({"X": 14.0}, {"duplicate_record": 1})
    twice = read("gene\tlog2\nTP53\t1\nTP53\t1\nKIT\t2\n")
    assert values(twice) == {"TP53": 1.0, "KIT": 2.0}


def test_extract__leaves_the_y_copy_of_a_gene_out(read):
    found = read(f"gene_id\tcount\n{TP53}.17\t7\n{TP53}.17_PAR_Y\t5\n")
    assert (values(found), found.filtered) == ({"TP53": 7.0}, {"par_y_copy": 1})


@pytest.mark.parametrize(
    "name", [TP53, f"{TP53}.17", "TP53", f"ENST00000269305.9|{TP53}.17|-|-|TP53-201|TP53|2512|x|"]
)
def test_extract__names_one_gene_alike_however_it_is_written(read, name):
    """Laboratories with ids and with symbols would otherwise share no column of a frame."""
    found = read(f"Name\tcount\n{name}\t7\nMLL\t3\nLOC99\t1\nENSG00000999999.2\t2\n")
    assert values(found) == {"TP53": 7.0, "KMT2A": 3.0, "LOC99": 1.0, "ENSG00000999999": 2.0}
    assert found.features["expression_level"] == ("transcript" if "|" in name else "gene")
    assert found.annotation_version is not None


def test_extract__sums_the_transcripts_of_a_gene_but_guesses_none(read):
    rows = [f"ENST0000000000{i}.1|{TP53}.17|-|-|TP53-20{i}|TP53|9|x|\t{i}" for i in (1, 2)]
    assert values(read("Name\tcount\n" + "\n".join(rows) + "\n")) == {"TP53": 3.0}
    with pytest.raises(WrongFormat, match=r"line 3.*transcript.*quant\.genes\.sf"):
        read(f"Name\tcount\n{TP53}\t3\nENST00000269305.9\t7\n")


GTF = "".join(
    f'chr17\tHAVANA\t{feature}\t100\t900\t.\t-\t.\tgene_id "{gene}.18"; {more}gene_type '
    f'"protein_coding"; gene_name "{symbol}";\n'
    for gene, symbol, transcripts in (
        (TP53, "TP53", ("ENST00000269305.9", "ENST00000413465.6")),
        ("ENSG00000182866", "LCK", ("ENST00000336890.10",)),
    )
    for feature, more in (
        ("gene", ""), *(("transcript", f'transcript_id "{t}"; ') for t in transcripts)
    )
)  # fmt: skip


def test_extract__sums_transcripts_to_genes_by_the_users_annotation(read, tmp_path):
    """The quant.sf of salmon names transcripts only; without their genes it is of no use."""
    annotation = AnnotationFiles(gtf=tmp_path / "genes.gtf")
    annotation.gtf.write_text(GTF)
    compile_references({"GRCh38": annotation}, tmp_path / "made")
    active.use(tmp_path / "made")
    try:
        rows = {"ENST00000269305.4": 2.5, "ENST00000413465": 4.0, "ENST00000336890.1": 1.0}
        lines = "".join(f"{name}\t1500\t1300.2\t7.5\t{reads}\n" for name, reads in rows.items())
        found = read(f"Name\tLength\tEffectiveLength\tTPM\tNumReads\n{lines}")
        assert values(found) == {"TP53": 6.5, "LCK": 1.0}
        assert (found.records, found.used) == (3, 3)
        assert found.features["expression_level"] == "transcript"
        with pytest.raises(WrongFormat, match="annotation_grch38"):
            read("Name\tcount\nENST00000999999.1\t7\n")
    finally:
        active.use(None)


def test_extract__keeps_logarithms_apart_that_the_annotation_takes_for_one_gene(read):
    """Two rows that are the same gene by annotation cannot be summed; neither may be lost."""
    found = read("gene\tlog2\nKMT2A\t1.5\nMLL\t2.5\nAF9\t1\n")
    assert values(found) == {"KMT2A": 1.5, "MLL": 2.5, "MLLT3": 1.0}


def test_extract__does_not_take_the_names_of_the_table_before(read):
    """The names of the last table are remembered; another order must not get them."""
    first = read("gene\tcount\nTP53\t7\nFLT3\t1\n")
    second = read("gene\tcount\nFLT3\t7\nTP53\t1\n")
    third = read("gene\tcount\nFLT3\t7\nTP53\tNA\n")
    assert values(first) == {"TP53": 7.0, "FLT3": 1.0}
    assert values(second) == {"FLT3": 7.0, "TP53": 1.0}
    assert (values(third), third.failed) == ({"FLT3": 7.0}, {"missing_value": 1})


def test_extract__reads_across_blocks_and_still_names_the_right_line(read, monkeypatch):
    """A row split between two blocks must be read once, and texts of one block meet numbers."""
    monkeypatch.setattr("oncoframe.textfiles.BLOCK_BYTES", 13)
    rows = "".join(f"G{i}\t{i}\n" for i in range(1, 40))
    found = read(f"# comment\n\ngene\tcount\n{rows}X\tNA\n")
    assert values(found) == {f"G{i}": float(i) for i in range(1, 40)}
    assert found.failed == {"missing_value": 1}
    with pytest.raises(ImpossibleValue, match="line 43"):
        read(f"# comment\n\ngene\tcount\n{rows}X\t-1\n")


@pytest.mark.parametrize("missing", ["NA", "", "."])
def test_extract__counts_missing_values_as_failed(read, missing):
    """A missing value is not a zero: the gene stays unknown."""
    found = read(f"gene\tcount\nTP53\t7\nFLT3\t{missing}\n")
    assert (values(found), found.failed) == ({"TP53": 7.0}, {"missing_value": 1})


@pytest.mark.parametrize(
    ("unit", "value"),
    [
        ("count", "-1"),
        ("count", "nan"),
        ("count", "inf"),
        ("count", "1e300"),
        ("tpm", "2e6"),
        ("log2", "1e9"),
        ("log2", "-inf"),
    ],
)
def test_extract__refuses_impossible_values_naming_the_line(read, unit, value):
    with pytest.raises(ImpossibleValue, match="line 3"):
        read(f"gene\t{unit}\nTP53\t7\nFLT3\t{value}\n")


def test_extract__refuses_a_table_without_any_read(read):
    """An empty library is a failed assay, not a patient without expression."""
    with pytest.raises(ImpossibleValue, match="no gene has a read"):
        read("gene\tcount\nTP53\t0\nFLT3\t0\n")


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("", EmptyFile, "no content"),
        ("gene\tcount\n", EmptyFile, "no row"),
        ("N_unmapped\t5\t5\t5\n", EmptyFile, "no value"),
        ("gene\tcount\nTP53\tmany\n", WrongFormat, "line 2"),
        ("gene\tPATIENT_7\nTP53\t1.5\n", WrongFormat, "unit"),
        ("gene\tP1\tP2\nTP53\t1\t2\n", WrongFormat, "one patient"),
        (",TP53,FLT3\nP1,3,4\n", WrongFormat, "one patient"),
        ("gene\tcount\nTP53\t1\nFLT3\nKIT\t2\n", WrongFormat, "line 3"),
        ("gene\tcount\nTP53\t1\nFL", TruncatedFile, "line 3"),
        ("##fileformat=VCFv4.2\n#CHROM\tPOS\n", WrongFormat, "VCF"),
        ("<html>\t</html>", WrongFormat, "HTML"),
        ("just a line of text\n", WrongFormat, "not an expression table"),
        ("1\t2\t3\t4\t5\n", WrongFormat, "no names"),
        ('gene\tcount\n"TP53\t1\nFLT3\t"2\n', WrongFormat, "cannot be read"),
        (b"\x89PNG\r\n", WrongFormat, "PNG"),
        (gzip.compress(b"gene\tcount\nTP53\t1\n", mtime=0)[:-9], TruncatedFile, "ends early"),
    ],
)
def test_extract__refuses_what_is_no_complete_table(read, content, error, message):
    with pytest.raises(error, match=message):
        read(content)


def test_extract__skips_blank_lines_and_still_names_the_right_line(read):
    found = read("\ngene\tcount\n\nTP53\t7\n\n")
    assert (found.records, values(found)) == (1, {"TP53": 7.0})
    with pytest.raises(ImpossibleValue, match="line 4"):
        read("\ngene\tcount\n\nTP53\t-7\n")


@pytest.mark.slow
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    layout=st.sampled_from(sorted(LAYOUTS)),
    edits=st.lists(
        st.tuples(st.floats(0, 1), st.binary(max_size=4), st.integers(0, 4)), max_size=6
    ),
)
def test_extract__ends_in_a_typed_error_or_an_account_whatever_is_damaged(read, layout, edits):
    content = LAYOUTS[layout][0].encode()
    for share, inserted, removed in edits:
        position = int(share * len(content))
        content = content[:position] + inserted + content[position + removed :]
    try:
        found = read(content)
    except BadInput:
        return
    assert found.records == found.used + sum(found.filtered.values()) + sum(found.failed.values())
    assert np.isfinite(list(values(found).values())).all()

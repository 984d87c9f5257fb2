"""Small variants: files that are cut, damaged or something else end in a typed error.

The worst result is a file that reads well and says nothing: every damage here must be seen.
"""

import gzip
from pathlib import Path

import pysam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.genomics.snv.reader import extract
from oncoframe.errors import (
    BadInput,
    EmptyFile,
    FileMissing,
    ImpossibleValue,
    MissingSample,
    TruncatedFile,
    WrongFormat,
)
from oncoframe.extraction import Extraction

_CSQ = (
    '##INFO=<ID=CSQ,Number=.,Type=String,Description="Consequence annotations from Ensembl VEP. '
    'Format: Allele|Consequence|SYMBOL|HGVSp">'
)
_COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"


def header(*, samples: str = "NORMAL\tTUMOR") -> str:
    return f"##fileformat=VCFv4.2\n{_CSQ}\n{_COLUMNS}\t{samples}\n"


def record(*, pos: str = "100", keys: str = "GT:AD:DP", tumour: str = "0/1:60,40:100") -> str:
    info = "CSQ=T|missense_variant|TP53|p.Arg175His"
    fields = ("chr1", pos, ".", "C", "T", ".", "PASS", info, keys, "0/0:50,0:50", tumour)
    return "\t".join(fields) + "\n"


WHOLE = (header() + "".join(record(pos=str(i)) for i in range(1, 4))).encode()


@pytest.fixture
def read(tmp_path: Path):
    """Extract the features of a file given by its bytes."""

    def _read(content: str | bytes) -> Extraction:
        path = tmp_path / "calls.vcf"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return extract(path, reference_build=None)

    return _read


@pytest.fixture(scope="module")
def bgzipped(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The whole VCF as bgzip writes it."""
    folder = tmp_path_factory.mktemp("bgzip")
    (folder / "calls.vcf").write_bytes(WHOLE)
    pysam.tabix_compress(str(folder / "calls.vcf"), str(folder / "calls.vcf.gz"))
    return (folder / "calls.vcf.gz").read_bytes()


def test_extract__reads_plain_gzip_and_bgzip_alike(read, bgzipped):
    for content in (
        WHOLE,
        gzip.compress(WHOLE, mtime=0),
        bgzipped,
        gzip.compress(WHOLE[:99], mtime=0) + gzip.compress(WHOLE[99:]),
    ):
        assert read(content).features["TP53_variants"] == 3


@pytest.mark.parametrize("kind", ["gzip", "bgzip"])
def test_extract__sees_a_compressed_file_cut_anywhere(read, bgzipped, kind):
    """Readers that stop at the end of the stream report the variants before the cut as all."""
    content = bgzipped if kind == "bgzip" else gzip.compress(WHOLE, mtime=0)
    for size in range(1, len(content)):
        with pytest.raises(TruncatedFile):
            read(content[:size])
    with pytest.raises(EmptyFile):
        read(b"")


def test_extract__sees_a_bgzip_file_cut_between_blocks(read, bgzipped):
    """Without its closing block a cut file is a valid gzip stream; only bgzip's rule tells."""
    with pytest.raises(TruncatedFile, match="bgzip"):
        read(bgzipped[:-28])


@pytest.mark.slow
def test_extract__sees_a_plain_file_cut_within_a_line(read):
    """Only a cut after a line or within the last value leaves a file that may be whole."""
    starts = [i + 1 for i, byte in enumerate(WHOLE) if byte == ord("\n")]
    body = WHOLE.index(b"\nchr1") + 1
    last_value = [size for end in starts if end > body for size in range(end - 3, end + 1)]
    for size in range(1, len(WHOLE)):
        if size < body:
            with pytest.raises(BadInput):
                read(WHOLE[:size])
        elif size not in {body, *last_value}:
            with pytest.raises(TruncatedFile):
                read(WHOLE[:size])


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", EmptyFile),
        (gzip.compress(b"", mtime=0), EmptyFile),
        (b"\x89PNG\r\n\x1a\n\0\0", WrongFormat),
        (WHOLE.decode().encode("utf-16"), WrongFormat),
        (WHOLE.replace(b"PASS", b"P\0SS"), WrongFormat),
        (gzip.compress(b"BCF\x02\x02rest", mtime=0), WrongFormat),
        (b"PK\x03\x04rest", WrongFormat),
    ],
)
def test_extract__refuses_what_is_no_text(read, content, error):
    with pytest.raises(error):
        read(content)


def test_extract__refuses_a_damaged_stream_a_folder_and_nothing(read, tmp_path, bgzipped):
    middle = len(bgzipped) // 2
    with pytest.raises(BadInput):
        read(bgzipped[:middle] + bytes([bgzipped[middle] ^ 255]) + bgzipped[middle + 1 :])
    with pytest.raises(WrongFormat, match="folder"):
        extract(tmp_path, reference_build=None)
    with pytest.raises(FileMissing):
        extract(tmp_path / "none.vcf", reference_build=None)


def test_extract__refuses_an_endless_line_within_bounds(read, monkeypatch):
    """A line of gigabytes must be refused before it fills the memory."""
    monkeypatch.setattr("oncoframe.textfiles.BLOCK_BYTES", 1 << 16)
    monkeypatch.setattr("oncoframe.textfiles.MAX_LINE_BYTES", 1 << 18)
    with pytest.raises(WrongFormat, match="line is too long"):
        read(WHOLE + b"chr1\t" + b"A" * (1 << 20))


def test_extract__reads_across_blocks(read, monkeypatch):
    """A line split between two blocks must be read once and whole."""
    monkeypatch.setattr("oncoframe.textfiles.BLOCK_BYTES", 61)
    assert read(WHOLE).features["TP53_variants"] == 3


@pytest.mark.parametrize(
    "change",
    [
        {"keys": "GT:AF", "tumour": "0/1:3.0"},
        {"keys": "GT:AF", "tumour": "0/1:nan"},
        {"keys": "GT:FREQ", "tumour": "0/1:140%"},
        {"tumour": "0/1:60,-40:100"},
        {"tumour": "0/1:60,40:-1"},
        {"tumour": "0/1:60,40:inf"},
        {"pos": "-5"},
        {"pos": "99999999999"},
    ],
)
def test_extract__refuses_impossible_values_naming_the_line(read, change):
    text = header() + record(pos="7")
    with pytest.raises(ImpossibleValue, match="line 5"):
        read(text + record(**change) + record(pos="101"))


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("<!DOCTYPE html><html></html>", WrongFormat, "HTML"),
        ("\x89PNG\r\n", WrongFormat, "not a VCF"),
        ("gene,count\nTP53,3\n", WrongFormat, "table of 2 columns"),
        ("##fileformat=VCFv4.2\n##x\n", TruncatedFile, "#CHROM"),
        ("##fileformat=VCFv4.2\n1\t5\t.\tA\tC\n", WrongFormat, "#CHROM"),
        ("##fileformat=VCFv3.3\n#CHROM\n", WrongFormat, "version"),
        (header().replace("\tFORMAT\tNORMAL\tTUMOR", ""), MissingSample, "no sample"),
        (header().replace("\t", " "), WrongFormat, "tabs"),
        (header(samples="T\tT"), WrongFormat, "twice"),
        (header() + record().replace("\tPASS", ""), WrongFormat, "11 columns"),
        (header() + record() + header(), WrongFormat, "line 5"),
        (header() + record().replace("chr1", ""), WrongFormat, "empty"),
        (header() + record(pos="x"), WrongFormat, "position"),
        (header() + record()[:-30], TruncatedFile, "ends within a line"),
        (header()[:-4], TruncatedFile, "within its header"),
        (header() + record(tumour="0/1:60")[:-1], TruncatedFile, "ends within a line"),
    ],
)  # fmt: skip
def test_extract__refuses_what_is_no_complete_vcf(read, text, error, message):
    with pytest.raises(error, match=message):
        read(text)


@pytest.mark.slow
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(WHOLE) - 1), st.binary(max_size=4), st.integers(0, 4)),
        min_size=1,
        max_size=6,
    )
)
def test_extract__ends_in_a_typed_error_or_an_account_whatever_is_damaged(read, edits):
    """Damage must never end in another exception, which would be taken for a defect of ours."""
    content = WHOLE
    for position, inserted, removed in edits:
        content = content[:position] + inserted + content[position + removed :]
    try:
        found = read(content)
    except BadInput:
        return
    assert found.records == found.used + sum(found.filtered.values()) + sum(found.failed.values())


@pytest.mark.slow
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fields=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r\0"), max_size=12),
        min_size=11,
        max_size=11,
    ),
    kept=st.sets(st.integers(0, 10), max_size=8),
)
def test_extract__survives_any_text_in_any_column(read, fields, kept):
    good = record().rstrip("\n").split("\t")
    line = "\t".join(good[i] if i in kept else fields[i] for i in range(11))
    try:
        found = read(header() + line + "\n")
    except BadInput:
        return
    assert found.records == found.used + sum(found.filtered.values()) + sum(found.failed.values())

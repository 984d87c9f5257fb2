"""BCF: the same account and features as the text, and never a shorter file than was written."""

import gzip
import struct
from collections.abc import Callable
from typing import Any

import polars as pl
import pysam
import pytest

from assets.genomics.cnv import reader as cnv
from assets.genomics.snv import reader as snv
from assets.genomics.sv import reader as sv
from assets.genomics.vcf import bcf
from assets.simulate.landing_zone import simulate
from oncoframe.errors import TruncatedFile, WrongFormat
from oncoframe.extraction import Extraction

READERS: dict[str, Callable[..., Extraction]] = {
    "snv": snv.extract, "sv": sv.extract, "cnv": cnv.extract,
}  # fmt: skip
_CONTIGS = "".join(f"##contig=<ID=chr{name}>\n" for name in (7, 8, 9, 17, 22))
_FORMATS = "".join(
    f'##FORMAT=<ID={key},Number=.,Type={kind},Description="x">\n'
    for key, kind in (("GT", "String"), ("AD", "Integer"), ("CN", "Integer"), ("AF", "Float"))
)
_INFO = "".join(
    f'##INFO=<ID={key},Number=.,Type={kind},Description="x. Format: Allele|Consequence|SYMBOL">\n'
    for key, kind in (("CSQ", "String"), ("SVTYPE", "String"), ("END", "Integer"))
)


def vcf(samples: str, *rows: str) -> str:
    columns = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT"
    lines = ("\t".join(row.split()) + "\n" for row in (f"{columns} {samples}", *rows))
    return "##fileformat=VCFv4.2\n" + _CONTIGS + _INFO + _FORMATS + "".join(lines)


SMALL = vcf(
    "NORMAL TUMOR",
    "chr7 140753336 . A T,C . PASS CSQ=T|missense_variant|BRAF GT:AD:AF 0/0:50 0/1:60,40,0:0.4,0",
    "chr17 7675088 rs1 C T 3.5 PASS CSQ=T|stop_gained|TP53 GT:AD:AF 0/0:50,0:0 0|1:7,9:0.5625",
    "chr17 7675089 . C T . PASS . GT:AD:AF 0/0:50,0:0 ./.:.:.",
)
FILES = {
    "snv": SMALL,
    "sv": vcf(
        "TUMOR",
        "chr22 23290555 a N N[chr9:130800000[ . PASS SVTYPE=BND GT 0/1",
        "chr7 1000 c N <DEL> . PASS SVTYPE=DEL;END=28100000 GT 0/1",
    ),
    "cnv": vcf(
        "TUMOR",
        "chr7 1 . N <DEL> . PASS SVTYPE=DEL;END=159000000 GT:CN 0/1:1",
        "chr8 1 . N <DUP> . PASS SVTYPE=DUP;END=140000000 GT:CN 0/1:3",
    ),
}


def said(found: Extraction) -> dict[str, Any]:
    """Account and values, in a form that compares."""
    blocks = {
        name: block and (block.names.to_list(), pl.Series(block.values).to_list())
        for name, block in found.blocks.items()
    }
    account = (found.records, found.used, found.filtered, found.failed, found.sample)
    return {"account": account, **found.features, **blocks}


@pytest.fixture
def small(tmp_path, write_bcf) -> bytes:
    """Content of the small variants as BCF, decompressed."""
    (tmp_path / "small.vcf").write_text(SMALL)
    write_bcf(tmp_path / "small.vcf", tmp_path / "small.bcf")
    return gzip.decompress((tmp_path / "small.bcf").read_bytes())


@pytest.fixture
def read(tmp_path) -> Callable[[bytes], Extraction]:
    """Extract small variants from bytes, block-gzipped or not."""

    def _read(content: bytes, *, bgzip: bool = False) -> Extraction:
        path = tmp_path / "calls.bcf"
        if bgzip:
            with pysam.BGZFile(str(path), "w") as stream:
                stream.write(content)
        else:
            path.write_bytes(content)
        return snv.extract(path, reference_build="GRCh38")

    return _read


def header_length(content: bytes) -> int:
    return 9 + int(struct.unpack("<I", content[5:9])[0])


@pytest.mark.parametrize("modality", READERS)
def test_extract__says_of_a_bcf_what_it_says_of_its_text(modality, tmp_path, write_bcf):
    text, binary = tmp_path / "a.vcf", tmp_path / "a.bcf"
    text.write_text(FILES[modality])
    write_bcf(text, binary)
    extract = READERS[modality]
    found = said(extract(text, reference_build="GRCh38"))
    assert said(extract(binary, reference_build="GRCh38")) == found
    assert found["account"][1] == 2


def test_extract__says_of_a_simulated_bcf_what_it_says_of_its_text(tmp_path, write_bcf):
    """Every value that a caller writes goes through a type of BCF: floats, lists, flags, gaps."""
    simulate(tmp_path, patients=3, seed=5)
    compared = set()
    for text in sorted(tmp_path.rglob("*.vcf.gz")):
        extract = sv.extract if ".manta." in text.name else snv.extract
        binary = tmp_path / "calls.bcf"
        write_bcf(text, binary)
        found = said(extract(binary, reference_build=None))
        assert found == said(extract(text, reference_build=None))
        compared.add(extract)
    assert len(compared) == 2


def test_extract__reads_a_bcf_that_is_not_compressed_or_plainly(read, small):
    found = said(read(small, bgzip=True))
    assert said(read(small)) == said(read(gzip.compress(small))) == found


def test_vcf_blocks__hands_out_a_bcf_in_blocks_of_whole_lines(tmp_path, small, monkeypatch):
    path = tmp_path / "calls.bcf"
    path.write_bytes(small)
    whole = list(bcf.vcf_blocks(path))
    monkeypatch.setattr(bcf, "BLOCK_BYTES", 100)
    blocks = list(bcf.vcf_blocks(path))
    assert len(whole) == 1
    assert len(blocks) == 3
    assert b"".join(blocks) == whole[0]
    assert all(block.endswith(b"\n") for block in blocks if block)


def test_extract__sees_a_bcf_cut_within_a_record_or_its_header(read, small):
    """Htslib says "end of file" for a cut within the lengths of a record."""
    ends = {header_length(small)}
    while max(ends) < len(small):
        shared, samples = struct.unpack_from("<II", small, max(ends))
        ends.add(max(ends) + 8 + shared + samples)
    assert len(ends) == 4
    for size in range(5, len(small)):
        if size not in ends:
            with pytest.raises(TruncatedFile):
                read(small[:size])
            with pytest.raises(TruncatedFile):
                read(gzip.compress(small[:size], 1))


def test_extract__sees_a_bcf_cut_between_blocks(tmp_path, read, small):
    """What is left is whole blocks of whole records; htslib hands them out as the file."""
    read(small, bgzip=True)
    whole = (tmp_path / "calls.bcf").read_bytes()
    with pytest.raises(TruncatedFile, match="bgzip"):
        read(whole[:-28])


def test_extract__refuses_a_bcf_whose_records_have_fewer_samples_than_its_header(read, small):
    end = header_length(small)
    header = small[9:end].rstrip(b"\n\0") + b"\tTHIRD\n\0"
    with pytest.raises(WrongFormat, match="number of columns"):
        read(small[:5] + struct.pack("<I", len(header)) + header + small[end:])


@pytest.mark.parametrize("without", ["contig", "INFO", "FORMAT"])
def test_extract__refuses_a_bcf_whose_header_lacks_what_records_name(read, small, without):
    end = header_length(small)
    lines = small[9:end].split(b"\n")
    header = b"\n".join(x for x in lines if not x.startswith(f"##{without}=".encode()))
    with pytest.raises(WrongFormat, match="header lack"):
        read(small[:5] + struct.pack("<I", len(header)) + header + small[end:])


def test_extract__refuses_an_unknown_version_an_endless_record_and_a_line_within_a_record(
    read, small
):
    end = header_length(small)
    with pytest.raises(WrongFormat, match=r"BCF 2\.2"):
        read(b"BCF\2\1" + small[5:])
    with pytest.raises(WrongFormat, match="record 1: a record is too long"):
        read(small[:end] + struct.pack("<II", 2**32 - 1, 0) + small[end + 8 :])
    with pytest.raises(WrongFormat, match="header is too long"):
        read(small[:5] + struct.pack("<I", 2**32 - 1) + small[9:])
    with pytest.raises(WrongFormat):
        read(small.replace(b"rs1", b"r\n1"))
    with pytest.raises(WrongFormat, match="cannot be read on"):
        read(small.replace(b"rs1", b"r\xff1"))

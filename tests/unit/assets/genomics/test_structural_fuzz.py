"""Fuzzing of the readers of structural variants, copy numbers and annotations.

A valid file is damaged in ways that keep its structure; whatever comes of it is an account that
adds up or a typed error, never another exception, and never a warning.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.genomics.cnv import reader as cnv
from assets.genomics.sv import reader as sv
from oncoframe.errors import BadInput
from oncoframe.reference.load import load

pytestmark = pytest.mark.slow

SV = """##fileformat=VCFv4.2
##contig=<ID=chr1,length=248956422>
##INFO=<ID=SVTYPE,Number=1,Type=String,Description="Type">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tnormal\ttumour
chr22\t23290555\ta\tN\tN[chr9:130800000[\t.\tPASS\tSVTYPE=BND;MATEID=b\tPR:SR\t9,0:9,0\t9,5:9,4
chr9\t130800000\tb\tN\t]chr22:23290555]N\t.\tPASS\tSVTYPE=BND;MATEID=a\tPR:SR\t9,0:9,0\t9,5:9,4
chr5\t100000000\tc\tN\t<DEL>\t.\tPASS\tSVTYPE=DEL;END=150000000;SVLEN=-50000000\tPR\t9,0\t9,5
chr2\t1000\td\tN\t<INS:ME>\t.\tPASS\tSVTYPE=INS;END=1000;SVLEN=300\tPR\t9,0\t9,5
chr3\t1000\te\tN\t<DUP>,<INV>\t.\tq10\tSVLEN=300,400;CT=3to5;STRANDS=++:3,--:4\tDV:RV\t0:0\t3:4
chr4\t1000\tf\tN\tN.\t.\t.\tSVTYPE=BND\tVF\t0\t3
"""
SEG = """ID\tchrom\tloc.start\tloc.end\tnum.mark\tseg.mean
S1\t1\t1\t1000000\t10\t0.1
S1\tchr7\t1\t159345973\t10\t-1.0
S1\tX\t1\t90000\t10\t0
"""
CALL = """chromosome\tstart\tend\tgene\tlog2\tcn\tcn1\tcn2\tprobes
chr1\t0\t1000000\t-\t0.1\t2\t1\t1\t10
chr7\t0\t159345973\tEZH2,CUX1\t-1.0\t1\t1\t0\t10
"""
CNV_VCF = """##fileformat=VCFv4.2
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS
chr8\t100\t.\tN\t<DUP>\t.\tPASS\tSVTYPE=DUP;END=90000000;FOLD_CHANGE=1.5\tGT:CN\t0/1:3
chr9\t100\t.\tN\t<DEL>\t.\tPASS\tEND=90000000\tGT:CN:SM\t0/1:.:0.5
"""
GTF = """##description: evidence-based annotation of the human genome (GRCh38), version 44
chr1\tHAVANA\tgene\t100\t900\t.\t+\t.\tgene_id "ENSG1.2"; gene_type "lncRNA"; gene_name "AAA";
chr1\tHAVANA\texon\t100\t300\t.\t+\t.\tgene_id "ENSG1.2"; gene_name "AAA";
chrX\tHAVANA\tgene\t700\t800\t.\t-\t.\tgene_id "ENSG3.1"; gene_name "BBB";
"""

ODD_VALUES = [
    "", ".", "-1", "0", "nan", "NaN", "inf", "-inf", "1e400", "99999999999999999999", "-5e9", "<",
    "[", "]", "N[chr1:[", "]]N", "\u00e9\u4e2d", "\u0130", '"', "'", "%", ",", ",,,", ";", ";;",
    "=", "END=", "END=5;END=6", "SVLEN=;SVTYPE=", "chr", "0/0", "./.", ":", "::", "PASS;x", "<DEL>",
    "A" * 500, "1,2,3", "\u2028", "\x0b", "\x1c", "_" * 70,
]  # fmt: skip


@st.composite
def changed_lines(draw, text: str) -> list[str]:
    """Lines of the file with some fields, or whole lines, changed, doubled or gone."""
    lines = text.split("\n")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        odd = draw(st.sampled_from(ODD_VALUES))
        fields = lines[at].split("\t")
        field = draw(st.integers(0, len(fields) - 1))
        inner = draw(st.integers(0, len(lines[at])))
        ways = [
            [lines[at][:inner] + odd + lines[at][inner:]],
            [lines[at], lines[at]],
            [],
            ["\t".join(fields[:field] + fields[field + 1 :])],
            ["\t".join([*fields, odd])],
            *[["\t".join([*fields[:field], odd, *fields[field + 1 :]])]] * 3,
        ]
        lines[at : at + 1] = draw(st.sampled_from(ways))
        lines = lines or [""]
    return lines


@st.composite
def damaged(draw, text: str) -> bytes:
    """Bytes of a changed file; some of these are cut, have odd bytes in them or other line ends."""
    content = "\n".join(draw(changed_lines(text))).encode()
    at = draw(st.integers(0, len(content)))
    ways = [
        content,
        content,
        content[:at],
        content[:at] + draw(st.binary(max_size=4)) + content[at:],
        content.replace(b"\n", b"\r\n"),
    ]
    return draw(st.sampled_from(ways))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "file"


def check(found) -> None:
    """An account adds up by construction; values are finite or null, blocks finite or unknown."""
    assert found.records >= found.used >= 0
    for value in found.features.values():
        assert value is None or math.isfinite(value)
    for values in found.blocks.values():
        assert values is None or not np.isinf(values.values).any()


@settings(max_examples=150)
@given(damaged(SV), st.sampled_from([None, "GRCh37", "hg38", "mm10"]))
def test_sv__is_an_account_or_a_typed_error(path, content, build):
    """A crash of the reader would be counted as a defect of the platform, not of the file."""
    path.write_bytes(content)
    try:
        found = sv.extract(path, reference_build=build)
    except BadInput:
        return
    check(found)
    kinds = ("insertions", "deletions", "duplications", "translocations", "inversions",
             "single_breakends")  # fmt: skip
    assert sum(found.features[f"sv_{kind}"] for kind in kinds) == found.features["sv_events"]


@settings(max_examples=150)
@given(st.one_of(damaged(SEG), damaged(CALL), damaged(CNV_VCF)), st.sampled_from([None, "GRCh38"]))
def test_cnv__is_an_account_or_a_typed_error(path, content, build):
    """A ratio that is infinite would be refused by the contract for the whole batch."""
    path.write_bytes(content)
    try:
        found = cnv.extract(path, reference_build=build)
    except BadInput:
        return
    check(found)
    ratios = found.blocks["cnv_gene_ratio"]
    assert ratios is None or not len(ratios.values) or ratios.values.min() >= 0


@settings(max_examples=100)
@given(damaged(GTF))
def test_load__is_a_reference_or_a_typed_error(path, content):
    """A bad annotation must stop the run with a sentence, not every patient with a crash."""
    path.write_bytes(content)
    try:
        reference = load("GRCh38", gtf=path)
    except BadInput:
        return
    assert reference.genes["symbol"].is_unique().all()
    assert (reference.genes["end"] >= reference.genes["start"]).all()

"""Parts of the VCF reader against slower ways to the same answer."""

import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.genomics.annotation.consequences import PROTEIN_ALTERING, severity, terms
from assets.genomics.vcf.records import VcfHeader, info_value
from assets.genomics.vcf.tumour import same_specimen, tumour_sample

INFO = st.lists(
    st.sampled_from(
        ["CSQ=", "CSQ", "XCSQ=1", "CSQ=a|b,c", "CSQ=\u00e9|x", "DP=3", "", ".", "CSQX=1"]
    ),
    max_size=6,
).map(";".join)


@given(texts=st.lists(INFO, min_size=1, max_size=8))
def test_info_value__is_what_a_pattern_finds(texts):
    """A key within another key, or an offset in letters instead of bytes, would cut wrong text."""
    found = pl.DataFrame({"info": texts}).select(info_value("CSQ")).to_series().to_list()
    matches = [re.search(r"(?:^|;)CSQ=([^;]*)", text) for text in texts]
    assert found == [match[1] if match else None for match in matches]


@pytest.mark.parametrize(
    ("lengths", "build"),
    [
        ({"chr1": 249250621}, "GRCh37"),
        ({"1": 248956422}, "GRCh38"),
        ({"chr17": 83257441, "chrUn_1": 5}, "GRCh38"),
        ({"chr1": 249250621, "chr2": 242193529}, None),
        ({"chr1": 1000}, None),
        ({}, None),
    ],
)
def test_build__follows_from_any_chromosome_and_from_no_contradiction(lengths, build):
    meta = tuple(f"##contig=<ID={name},length={n},assembly=x>" for name, n in lengths.items())
    assert VcfHeader(meta, ("T",)).build() == build


@pytest.mark.parametrize(
    ("line", "build"),
    [
        ("##reference=file:///ref/GRCh38.d1.vd1.fa", "GRCh38"),
        ("##reference=HG19", "GRCh37"),
        ("##reference=ftp://x/GRCh37-lite.fa.gz", "GRCh37"),
        ("##reference=GRCh37 lifted to GRCh38", None),
        ("##reference=genome.fa", None),
    ],
)
def test_build__follows_from_the_reference_line_where_no_contig_has_a_length(line, build):
    assert VcfHeader((line, "##contig=<ID=1>"), ("T",)).build() == build


@pytest.mark.parametrize(
    ("samples", "tumour", "others"),
    [
        (("NORMAL.mutect2", "TUMOR.mutect2", "NORMAL.strelka", "TUMOR.strelka"), 3, (1,)),
        (("TUMOR", "NORMAL", "2:TUMOR", "2:NORMAL"), 2, (0,)),
        (("TUMOR.strelka_snvs", "TUMOR.strelka_indels"), 1, (0,)),
    ],
)
def test_same_specimen__joins_the_columns_of_callers_not_of_patients(samples, tumour, others):
    """Two patients taken for one specimen would share their mutations."""
    header = VcfHeader((), samples)
    assert tumour_sample(header, Path("x.vcf")) == tumour
    assert same_specimen(header, tumour) == others


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Missense_Mutation", ["missense_variant"]),
        ("FRAME_SHIFT_DEL", ["frameshift_variant"]),
        ("nonsynonymous SNV", ["missense_variant"]),
        ("*missense", ["missense_variant"]),
        ("splice_acceptor&intron", ["splice_acceptor_variant", "intron_variant"]),
        ("5'UTR", ["5_prime_UTR_variant"]),
        ("stop_gained", ["stop_gained"]),
        ("something_new", ["something_new"]),
    ],
)
def test_terms__are_those_of_the_sequence_ontology_whoever_wrote_them(written, meant):
    assert terms(written) == meant


def test_severity__puts_every_change_of_a_protein_before_what_changes_none():
    altering = max(severity(term) for term in PROTEIN_ALTERING)
    assert altering < severity("synonymous_variant") < severity("intergenic_variant")

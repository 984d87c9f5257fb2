"""Gene fusions: every caller's layout, written by hand, gives the same answer."""

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.genomics.fusion.reader import CONTRACT, extract
from oncoframe.errors import (
    AmbiguousSample,
    BadInput,
    EmptyFile,
    ImpossibleValue,
    NothingUsable,
    TruncatedFile,
    WrongFormat,
)
from oncoframe.extraction import Extraction

STAR = (
    "#FusionName\tJunctionReadCount\tSpanningFragCount\tSpliceType\tLeftGene\tLeftBreakpoint\t"
    "RightGene\tRightBreakpoint\tFFPM\tPROT_FUSION_TYPE\n"
)
ARRIBA = (
    "#gene1\tgene2\tbreakpoint1\tbreakpoint2\ttype\tsplit_reads1\tsplit_reads2\tdiscordant_mates\t"
    "confidence\treading_frame\n"
)
CATCHER = (
    "Gene_1_symbol(5end_fusion_partner)\tGene_2_symbol(3end_fusion_partner)\tFusion_description\t"
    "Spanning_pairs\tSpanning_unique_reads\tPredicted_effect\n"
)
DRAGEN = (
    "#FusionGene\tScore\tLeftBreakpoint\tRightBreakpoint\tFilter\tNumSplitReads\tNumPairedReads\n"
)
JAFFA = '"sample","fusion genes","spanning pairs","spanning reads","inframe","classification"\n'

#: The same call, BCR to ABL1 by 27 + 20 reads, in every layout.
CALLERS = {
    "star-fusion": STAR + "BCR--ABL1\t27\t20\tREF\tBCR^ENSG1.15\t22:1:+\tABL1^ENSG2\t9:2:+\t1\t.\n",
    "arriba": ARRIBA + "BCR\tABL1\t22:1\t9:2\ttranslocation\t20\t7\t20\thigh\tin-frame\n",
    "fusioncatcher": CATCHER + "BCR\tABL1\tknown\t20\t27\tin-frame\n",
    "dragen": DRAGEN + "BCR--ABL1\t0.97\t22:1:+\t9:2:+\tPASS\t27\t20\n",
    "jaffa": JAFFA + '"S1","BCR:ABL1",20,27,TRUE,"HighConfidence"\n',
    "nfuse": (
        "gene_name1\tgene_name2\treadthrough\tspan_count\tsplitreads_count\nBCR\tABL1\tN\t20\t27\n"
    ),
    "chimpipe": (
        "type\tfiltered\tnbSpanningReads\tnbConsistentPE\tgnNamesA\tgnNamesB\n"
        "interchromosomal\t0\t27\t20\tBCR\tABL1\n"
    ),
    "chimerascan": (
        "#chrom5p\tgenes5p\tgenes3p\ttype\ttotal_frags\tspanning_frags\n"
        "chr22\tBCR\tABL1\tInterchromosomal\t47\t27\n"
    ),
    "old star-fusion": "#fusion_name\tJunctionReads\tSpanningFrags\nBCR--ABL1\t27\t20\n",
}


def star(left: str, right: str, reads: str = "9", pairs: str = "3", frame: str = "INFRAME") -> str:
    return f"{left}--{right}\t{reads}\t{pairs}\tREF\t{left}\t1:1:+\t{right}\t2:2:+\t1\t{frame}\n"


@pytest.fixture
def read(tmp_path: Path):
    """Extract the features of a fusion table given as text."""

    def _read(content: str | bytes, sample: str | None = None) -> Extraction:
        # A name that tells nothing: the caller has to be recognised from the columns.
        path = tmp_path / "table"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return extract(path, reference_build=None, sample=sample)

    return _read


@pytest.mark.parametrize("caller", CALLERS)
def test_extract__finds_the_fusion_in_every_layout(read, caller):
    """A shifted column would miss BCR::ABL1 or count other reads."""
    for content in (CALLERS[caller], gzip.compress(CALLERS[caller].encode())):
        found = read(content)
        assert (found.records, found.used, found.filtered, found.failed) == (1, 1, {}, {})
        assert found.features["BCR::ABL1"] is True
        assert found.features["ABL1_rearranged"] is True
        assert found.features["PML::RARA"] is False
        assert found.features["fusion_max_reads"] == 47
        assert found.features["fusion_kinase_count"] == 1
        partners = found.blocks["fusion_partner"]
        assert partners is not None
        assert dict(zip(partners.names, partners.values, strict=True)) == {"ABL1": 1, "BCR": 1}


@pytest.mark.parametrize("caller", CALLERS)
def test_extract__reads_a_header_alone_as_a_negative_result(read, caller):
    """Negative is not the same as not performed, and not an error."""
    found = read(CALLERS[caller].split("\n")[0] + "\n")
    assert (found.records, found.used) == (0, 0)
    assert found.features["fusion_count"] == 0
    assert found.features["BCR::ABL1"] is False
    assert found.features["fusion_in_frame_count"] == 0
    assert None not in found.features.values()


def test_extract__has_every_feature_of_its_contract_and_pickles(read):
    found = read(STAR)
    assert list(found.features) == [feature.name for feature in CONTRACT.features]
    assert set(found.blocks) == {block.name for block in CONTRACT.blocks}
    assert pickle.loads(pickle.dumps(found)).features == found.features  # noqa: S301  # our own


def test_extract__accepts_the_reciprocal_product_and_former_names(read):
    found = read(STAR + star("ABL1", "BCR") + star("MLL", "AF9") + star("MYH11", "CBFB"))
    features = found.features
    assert [features[n] for n in ("BCR::ABL1", "KMT2A::MLLT3", "CBFB::MYH11")] == [True] * 3
    assert features["fusion_defining_count"] == 3


@pytest.mark.parametrize("unknown", [".", "?", "NA", ""])
def test_extract__reads_an_unknown_partner_and_unknown_reads(read, unknown):
    """Reads that are not known are not zero reads: the call stands; no pair is excluded."""
    found = read(STAR + star("KMT2A", unknown, reads=unknown or ".", pairs="NA"))
    assert (found.used, found.filtered, found.notes) == (1, {}, {"missing_partners": 1})
    assert found.features["KMT2A_rearranged"] is True
    names = ("KMT2A::MLLT3", "PML::RARA", "fusion_defining_count")
    assert [found.features[name] for name in names] == [None, False, None]
    assert found.features["fusion_max_reads"] is None


def test_extract__tells_a_place_without_a_gene_from_a_missing_name(read):
    """Arriba writes "." for a breakpoint between genes: KMT2A is broken, and joined to no gene."""
    call = "KMT2A\t.\t11:1\t9:2\ttranslocation\t20\t7\t20\thigh\t.\n"
    found = read(ARRIBA + call)
    assert (found.features["KMT2A_rearranged"], found.notes) == (True, {})
    assert found.features["KMT2A::MLLT3"] is False


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (STAR + star("TP53", "TP53"), "same_gene"),
        (STAR + star("TP53", "TP53") + star(".", "."), "no_partner_named"),
        (STAR + star("A1BG", "TP53", reads="1", pairs="0"), "low_support"),
        (ARRIBA + "A\tB\t1:1\t2:2\tdeletion\t5\t5\t5\tlow\t.\n", "low_confidence"),
        (ARRIBA + "A\tB\t1:1\t1:9\tdeletion/read-through\t5\t5\t5\thigh\t.\n", "read_through"),
        (CATCHER + "A\tB\tadjacent,readthrough\t9\t9\tin-frame\n", "read_through"),
        (JAFFA + '"S","A:B",9,9,NA,"LowConfidence"\n', "low_confidence"),
    ],
)
def test_extract__counts_why_a_call_does_not_count(read, line, reason):
    found = read(line)
    assert (found.used, found.filtered[reason], found.failed) == (0, 1, {})
    assert found.features["fusion_count"] == 0


def test_extract__keeps_a_defining_deletion_that_looks_like_read_through(read):
    """STIL::TAL1 is a deletion of 80 kb, which callers mark as read-through."""
    found = read(ARRIBA + "STIL\tTAL1\t1:1\t1:9\tdeletion/read-through\t5\t5\t5\thigh\t.\n")
    assert found.features["STIL::TAL1"] is True


def test_extract__takes_the_nearest_gene_of_a_breakpoint_between_genes(read):
    line = "CRLF2(90000),P2RY8(200)\tIGHJ6(900000)\t1:1\t2:2\ttranslocation\t5\t5\t5\thigh\t.\n"
    partners = read(ARRIBA + line).blocks["fusion_partner"]
    assert partners is not None
    assert partners.names.to_list() == ["P2RY8"]


def test_extract__takes_the_panel_gene_among_overlapping_ones(read):
    found = read(DRAGEN + "KMT2A-AS1;KMT2A--MLLT3\t0.9\t1:1:+\t2:2:+\t.\t9\t9\n")
    assert found.features["KMT2A::MLLT3"] is True


@pytest.mark.parametrize(
    ("table", "column"),
    [(DRAGEN.replace("\tFilter", "") + "BCR--ABL1\t0.9\t22:1:+\t9:2:+\t27\t20\n", "filter"),
     (DRAGEN.replace("\tFilter", ""), "filter"),
     (CALLERS["chimpipe"].replace("filtered\t", "").replace("\t0", ""), "filtered")],
)  # fmt: skip
def test_extract__refuses_a_table_without_the_column_of_filters(read, table, column):
    """DRAGEN lists what it rejected beside what it believes; without the column all would count."""
    with pytest.raises(WrongFormat, match=f"passed the filters.*column {column} of"):
        read(table)


def test_extract__knows_nothing_of_a_call_whose_confidence_is_not_told(read):
    """An empty confidence is neither high nor low: neither a fusion nor "no fusion"."""
    found = read(
        DRAGEN
        + "BCR--ABL1\t0.9\t22:1:+\t9:2:+\t\t27\t20\n"
        + "KMT2A--MLLT3\t0.9\t1:1:+\t2:2:+\tPASS\t9\t9\n"
    )
    assert found.failed == {"unreadable_confidence": 1}
    names = ("BCR::ABL1", "KMT2A::MLLT3", "PML::RARA", "fusion_defining_count")
    assert [found.features[name] for name in names] == [None, True, False, None]


def test_extract__reads_the_table_without_header_of_tophat(read):
    """Genes without symbol come as Ensembl ids, which are BCR and ABL1 all the same."""
    row = "S1\t{}\tchr22\t23632599\t{}\tchr9\t133655755\t8\t1\t8\t272.41\n"
    text = row.format("ENSG00000186716", "ENSG00000097007") + row.format("A", "B")
    found = read(text)
    assert (found.records, found.used, found.features["BCR::ABL1"]) == (2, 2, True)
    assert found.features["fusion_max_reads"] == 9
    with pytest.raises(ImpossibleValue, match="line 2"):
        read(
            row.format("A", "B")
            + row.format("C", "D").replace("\t8\t1\t8\t", f"\t{'9' * 400}\t1\t8\t")
        )


def test_extract__names_partners_by_the_reference(read):
    """A former symbol of the annotation, and an id with its version."""
    found = read(STAR + star("ENSG00000118058.25", "AF9") + star("CBFB", "ENSG00000133392"))
    assert found.features["KMT2A::MLLT3"] is True
    assert found.features["CBFB::MYH11"] is True
    assert found.annotation_version is not None


def test_extract__never_mixes_the_samples_of_a_table(read):
    """A JAFFA table of a batch would give one patient the fusions of another."""
    rows = [
        '"S1","PML:RARA",9,9,TRUE,"HighConfidence"',
        '"S2","BCR:ABL1",9,9,TRUE,"HighConfidence"',
    ]
    with pytest.raises(AmbiguousSample, match="S1, S2"):
        read(JAFFA + "\n".join(rows) + "\n")
    found = read(JAFFA + "\n".join(rows) + "\n", sample="S2")
    assert (found.filtered, found.sample) == ({"other_sample": 1}, "S2")
    assert (found.features["PML::RARA"], found.features["BCR::ABL1"]) == (False, True)


def test_extract__counts_breakpoints_of_one_fusion_once(read):
    found = read(STAR + star("PML", "RARA", frame="FRAMESHIFT") + star("PML", "RARA", reads="30"))
    features = found.features
    assert (found.used, features["fusion_count"], features["fusion_in_frame_count"]) == (2, 1, 1)
    assert features["fusion_max_reads"] == 33


def test_extract__does_not_claim_a_frame_that_was_not_told(read):
    assert read(STAR + star("PML", "RARA", frame=".")).features["fusion_in_frame_count"] is None


def test_extract__counts_unreadable_reads_as_failed(read):
    """Of the fusion of such a call nobody knows; another call may still show it."""
    unread, other = star("PML", "RARA", reads="many"), star("BCR", "ABL1")
    found = read(STAR + unread + other)
    assert (found.used, found.failed) == (1, {"unreadable_reads": 1})
    names = ("PML::RARA", "RARA_rearranged", "fusion_defining_count", "BCR::ABL1", "KMT2A::MLLT3")
    assert [found.features[name] for name in names] == [None, None, None, True, False]
    partners = found.blocks["fusion_partner"]
    assert partners is not None
    assert np.isnan(partners.values[list(partners.names).index("PML")])
    assert read(STAR + unread + star("PML", "RARA")).features["PML::RARA"] is True
    with pytest.raises(NothingUsable):
        read(STAR + unread)


@pytest.mark.parametrize("reads", ["-3", "nan", "inf"])
def test_extract__refuses_impossible_reads_naming_the_line(read, reads):
    with pytest.raises(ImpossibleValue, match="line 3"):
        read(STAR + star("PML", "RARA") + star("BCR", "ABL1", reads=reads))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("", EmptyFile),
        ("\n\n", EmptyFile),
        ("gene\tcount\nTP53\t4\n", WrongFormat),
        ("##fileformat=VCFv4.2\n", WrongFormat),
        ("<html><body>Not found</body></html>", WrongFormat),
        (STAR[:-1], TruncatedFile),
        (STAR + star("PML", "RARA")[:-12], TruncatedFile),
        (STAR + star("PML", "RARA").replace("\tREF", "") + star("PML", "RARA"), WrongFormat),
        (JAFFA + '"S","PML:RARA",9,9,TRUE,"High', WrongFormat),
        (STAR.encode("utf-16"), WrongFormat),
        (gzip.compress(STAR.encode(), mtime=0)[:-5], TruncatedFile),
    ],
)
def test_extract__refuses_what_is_no_complete_table(read, content, error):
    with pytest.raises(error):
        read(content)


@pytest.mark.slow
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    caller=st.sampled_from(sorted(CALLERS)),
    edits=st.lists(
        st.tuples(st.floats(0, 1), st.binary(max_size=4), st.integers(0, 4)), max_size=6
    ),
)
def test_extract__ends_in_a_typed_error_or_an_account_whatever_is_damaged(read, caller, edits):
    content = CALLERS[caller].encode()
    for share, inserted, removed in edits:
        position = int(share * len(content))
        content = content[:position] + inserted + content[position + removed :]
    try:
        found = read(content)
    except BadInput:
        return
    assert found.records == found.used + sum(found.filtered.values()) + sum(found.failed.values())

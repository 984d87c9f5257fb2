"""Structural variants: hand-written VCFs whose events, genes and bands can be told by eye."""

import gzip

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.genomics.granularity import LONG_EVENT_BP
from assets.genomics.sv import reader as sv
from oncoframe.errors import ImpossibleValue, NothingUsable, TruncatedFile, WrongFormat
from oncoframe.extraction import Extraction
from oncoframe.reference.load import built_in

META = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=248956422>\n"
SITES = META + "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
# Places inside genes on GRCh38, read off the Ensembl browser.
BCR, ABL1 = ("chr22", 23_290_555), ("chr9", 130_800_000)
CBFB, MYH11 = 67_090_000, 15_720_000


@pytest.fixture
def extract(tmp_path):
    """Extract a VCF from its record lines (fields separated by blanks)."""

    def _extract(*records: str, head: str = SITES, build: str | None = None) -> Extraction:
        path = tmp_path / "sv.vcf"
        lines = ["\t".join(record.split()) for record in records]
        path.write_text(head + "".join(line + "\n" for line in lines))
        return sv.extract(path, reference_build=build)

    return _extract


def counts(found: Extraction) -> dict[str, object]:
    """Number of events per type, without the types that do not occur."""
    types = ("insertions", "deletions", "duplications", "translocations", "inversions",
             "single_breakends")  # fmt: skip
    return {name: found.features[f"sv_{name}"] for name in types if found.features[f"sv_{name}"]}


def block(found: Extraction, name: str) -> dict[str, float]:
    values = found.blocks[name]
    assert values is not None
    return dict(zip(values.names, values.values.tolist(), strict=True))


def pair(a: tuple[str, int], b: tuple[str, int], form: str = "+-", *, ids: str = "1") -> list[str]:
    """Two mates that join two places; the form says which side of each stays."""
    alts = {"+-": ("N[{}[", "]{}]N"), "-+": ("]{}]N", "N[{}["), "++": ("N]{}]", "N]{}]"),
            "--": ("[{}[N", "[{}[N")}[form]  # fmt: skip
    return [
        f"{at[0]} {at[1]} {ids}{mine} N {alt.format(f'{to[0]}:{to[1]}')} . PASS "
        f"SVTYPE=BND;MATEID={ids}{other}"
        for at, to, alt, mine, other in ((a, b, alts[0], "a", "b"), (b, a, alts[1], "b", "a"))
    ]


def test_extract__counts_mates_once_and_credits_both_genes(extract):
    """Two mates counted twice double every translocation of a cohort."""
    found = extract(*pair(BCR, ABL1))
    assert (found.records, found.used) == (2, 2)
    assert counts(found) == {"translocations": 1}
    assert block(found, "sv_translocation") == {"ABL1": 1, "BCR": 1}
    assert block(found, "sv_join") == {"BCR::ABL1": 1}
    assert block(found, "sv_band_breakends") == {"9q34.12": 1, "22q11.23": 1}
    assert block(found, "sv_chromosome_breakends") == {"9": 1, "22": 1}
    assert found.annotation_version == "GRCh38 panel-1"


def test_extract__names_a_join_by_what_is_transcribed(extract):
    """ABL1::BCR on the other derivative chromosome is not the kinase."""
    assert block(extract(*pair(BCR, ABL1, "-+")), "sv_join") == {"ABL1::BCR": 1}
    # A join of two 5' ends is of the pair, in the order of the panel.
    assert block(extract(*pair(BCR, ABL1, "++")), "sv_join") == {"BCR::ABL1": 1}


@pytest.mark.parametrize(
    ("form", "kind"),
    [("+-", "deletions"), ("-+", "duplications"), ("++", "inversions"), ("--", "inversions")],
)
def test_extract__tells_the_type_of_breakends_by_their_sides(extract, form, kind):
    """Brackets read the wrong way round turn every deletion into a duplication."""
    found = extract(*pair(("chr3", 1_000_000), ("chr3", 1_004_000), form))
    assert counts(found) == {kind: 1}
    assert found.features[f"sv_{kind}_1kb_10kb"] == 1


def test_extract__takes_two_junctions_of_an_inversion_for_one(extract):
    """inv(16) with both ends seen is one inversion, CBFB::MYH11 and its reciprocal."""
    found = extract(
        *pair(("chr16", MYH11), ("chr16", CBFB), "++", ids="x"),
        *pair(("chr16", MYH11 + 12), ("chr16", CBFB + 9), "--", ids="y"),
    )
    assert (found.records, found.used) == (4, 4)
    assert counts(found) == {"inversions": 1}
    assert block(found, "sv_inversion") == {"CBFB": 1, "MYH11": 1}
    assert block(found, "sv_join") == {"CBFB::MYH11": 1, "MYH11::CBFB": 1}
    assert found.features["sv_long_events"] == 1
    apart = extract(
        *pair(("chr16", MYH11), ("chr16", CBFB), "++", ids="x"),
        *pair(("chr16", MYH11 + 5_000), ("chr16", CBFB + 9), "--", ids="y"),
    )
    assert counts(apart) == {"inversions": 2}


def test_extract__takes_manta_s_inv3_and_inv5_for_one(extract):
    """Manta before 1.5 wrote the two ends of an inversion as two symbolic records."""
    found = extract(
        "chr2 1000000 a N <INV> . PASS END=2000000;SVTYPE=INV;SVLEN=1000000;INV3",
        "chr2 1000100 b N <INV> . PASS END=2000050;SVTYPE=INV;SVLEN=999950;INV5",
    )
    assert (found.used, counts(found)) == (2, {"inversions": 1})


def test_extract__leaves_out_a_pair_one_mate_of_which_is_filtered(extract):
    """Half a pair that passes must not stand where its caller doubts the other half."""
    one, two = pair(BCR, ABL1)
    found = extract(one, two.replace("PASS", "LOW_QUAL"))
    assert found.filtered == {"filter_not_pass": 1, "mate_filtered": 1}
    assert (found.records, found.used, counts(found)) == (2, 0, {})


def test_extract__takes_a_breakend_without_its_mate(extract):
    """Filtering tools drop mates; the one that is left names both places."""
    found = extract(pair(BCR, ABL1)[0])
    assert (found.used, counts(found)) == (1, {"translocations": 1})
    assert block(found, "sv_join") == {"BCR::ABL1": 1}


def test_extract__finds_mates_by_id_where_homology_shifts_them(extract):
    """Manta writes the mate of an inverted join at another base than the bracket says."""
    found = extract(
        "chr11 26418539 a N [chr8:129465231[N . PASS SVTYPE=BND;MATEID=b",
        "chr8 129465230 b N [chr11:26418540[N . PASS SVTYPE=BND;MATEID=a",
    )
    assert (found.used, counts(found)) == (2, {"translocations": 1})


@pytest.mark.parametrize(("one", "two"), [(";MATEID=b", ""), ("", ";MATEID=a")])
def test_extract__finds_mates_where_only_one_names_the_other(extract, one, two):
    """A tool that drops a key from one of two mates does not make two events of one."""
    records = (
        f"chr11 26418539 a N [chr8:129465231[N . PASS SVTYPE=BND{one}",
        f"chr8 129465230 b N [chr11:26418540[N . PASS SVTYPE=BND{two}",
    )
    found = extract(*records)
    assert (found.used, counts(found)) == (2, {"translocations": 1})
    # A third that names the first is its mate no more than the second is, if that names it too.
    third = "chr8 129465200 c N [chr11:26418500[N . PASS SVTYPE=BND;MATEID=a"
    assert counts(extract(*records, third)) == {"translocations": 3 if two else 2}


def test_extract__takes_a_place_joined_with_itself_for_a_base_that_is_there_twice(extract):
    """Its two breakends have the same places, and neither comes first."""
    found = extract(*pair(("chr1", 20_000), ("chr1", 20_000)))
    assert (found.used, counts(found)) == (2, {"duplications": 1})
    turned = extract(*pair(("chr1", 20_000), ("chr1", 20_000), "++"))
    assert (turned.used, counts(turned)) == (2, {"inversions": 1})


#: What a record says beside its places: whether its caller believes it, and reads of the tumour.
_SAID = [("PASS", "9,0"), ("PASS", "9,4"), ("PASS", "9,7"), ("q10", "9,7")]


@st.composite
def related_records(draw: st.DrawFn) -> list[str]:
    """Records of few places, so that mates, duplicates and inversions meet; some are shifted."""
    place = st.tuples(st.sampled_from(["chr1", "chr10", "chr2"]), st.sampled_from([50, 54, 900]))
    records: list[str] = []
    for number in range(draw(st.integers(1, 6))):
        (chrom, one), (other, two) = draw(place), draw(place)
        if draw(st.booleans()):
            kind, length = draw(st.sampled_from(["DEL", "DUP", "INV", "INS"])), draw(place)[1]
            info = f"SVTYPE={kind};END={one + 4000};SVLEN={length}"
            records.append(f"{chrom} {one} s{number} N <{kind}> . PASS {info}")
            continue
        form, shift = draw(st.sampled_from(["+-", "-+", "++", "--"])), draw(st.integers(0, 1))
        mates = [
            pair((chrom, one), (other, two + by), form, ids=f"e{number}")[at]
            for at, by in enumerate((0, shift))
        ]
        records += [m if draw(st.booleans()) else m.partition(";MATEID=")[0] for m in mates]
    records += draw(st.lists(st.sampled_from(records)))
    said = [draw(st.sampled_from(_SAID)) for _ in records]
    return [
        f"{record.replace('PASS', fate)} PR {reads}"
        for record, (fate, reads) in zip(records, said, strict=True)
    ]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_extract__does_not_depend_on_the_order_of_records(extract, data):
    """Which of two mates, duplicates or halves of an inversion stands first is chance."""
    head = META + "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT S\n".replace(" ", "\t")
    records = data.draw(related_records())
    found = extract(*records, head=head)
    other = extract(*data.draw(st.permutations(records)), head=head)
    assert (found.used, found.filtered, found.features) == (
        other.used, other.filtered, other.features
    )  # fmt: skip
    for name in found.blocks:
        assert block(found, name) == block(other, name), name


@pytest.mark.parametrize("key", ["PARID=", "EVENT=e;MATEID="])
def test_extract__finds_mates_of_gridss(extract, key):
    """Old GRIDSS wrote PARID, new ones EVENT and MATEID."""
    mates = [record.replace("MATEID=", key) for record in pair(BCR, ABL1)]
    assert counts(extract(*mates)) == {"translocations": 1}


def test_extract__is_not_misled_by_ids_that_repeat(extract):
    """Merged files repeat ids; pairing by them alone would join strangers."""
    found = extract(*pair(BCR, ABL1), *pair(("chr3", 10_000), ("chr5", 20_000)), *pair(BCR, ABL1))
    assert counts(found) == {"translocations": 2}
    assert found.filtered == {"duplicate_record": 2}


def test_extract__counts_a_single_breakend_as_no_type(extract):
    """Its other side is unknown: no deletion, no translocation, but an event in a band."""
    found = extract("chr5 171400000 s N N. . PASS SVTYPE=BND", "chr1 20000 t N .TTA . PASS .")
    assert (found.used, counts(found)) == (2, {"single_breakends": 2})
    assert block(found, "sv_band_breakends") == {"1p36.33": 1, "5q35.1": 1}


@pytest.mark.parametrize(
    ("record", "kind", "size"),
    [
        ("chr13 28000000 . N <DEL> . PASS SVTYPE=DEL;END=28100000", "deletions", "100kb_1mb"),
        ("chr13 28000000 . N <DEL> . . SVTYPE=DEL;SVLEN=-100000", "deletions", "100kb_1mb"),
        ("chr13 28000000 . N <DEL> . . SVLEN=100000;SVCLAIM=J", "deletions", "100kb_1mb"),
        ("chr13 28000000 . N <DUP:TANDEM> . PASS SVTYPE=DUP;END=28000900", "duplications",
         "under_1kb"),
        ("chr13 28000000 . N <DUP> . PASS SVTYPE=DUP;END=28001000", "duplications", "1kb_10kb"),
        ("chr13 28000000 . N <INV> . PASS SVTYPE=INV;END=33000000", "inversions", "over_5mb"),
        ("chr13 28000000 . N <INV> . PASS SVTYPE=INV;END=32999999", "inversions", "1mb_5mb"),
        ("chr13 28000000 . N <DEL> . PASS SVTYPE=DEL;END=5;SVLEN=-100000", "deletions",
         "100kb_1mb"),
        ("chr13 28000000 . N <INS:ME:L1> . PASS SVTYPE=INS;SVLEN=6000", "insertions", None),
        ("chr13 28000000 . N <INS> . PASS SVTYPE=INS;END=28000001", "insertions", None),
        (f"chr13 28000000 . N N{'ACGT' * 20} . PASS .", "insertions", None),
        (f"chr13 28000000 . N{'ACGT' * 20} N . PASS .", "deletions", "under_1kb"),
        ("chr13 28000000 . N ]chr13:28100000]N . PASS SVTYPE=DUP", "duplications", "100kb_1mb"),
        ("chr13 28000000 . N <TRA> . PASS SVTYPE=TRA;CHR2=chr2;END=500;CT=3to5", "translocations",
         None),
        ("chr13 28000000 . N <BND> . PASS SVTYPE=BND;CHR2=chr13;END=28000500;STRANDS=++:5",
         "inversions", "under_1kb"),
        ("chr13 28000000 . N <BND> . PASS SVTYPE=BND;CHR2=chr13;END=28000500;CT=5to3",
         "duplications", "under_1kb"),
        ("chr13 28000000 . N NACGTACGTACGT[chr13:28000003[ . PASS SVTYPE=BND", "insertions", None),
        (f"chr13 28000000 . N N{'ACGT' * 400}[chr13:28000900[ . PASS SVTYPE=BND", "insertions",
         None),
        (f"chr13 28000000 . N N{'ACGT' * 400}[chr13:28100000[ . PASS SVTYPE=BND", "deletions",
         "100kb_1mb"),
    ],
)  # fmt: skip
def test_extract__reads_what_callers_write(extract, record, kind, size):
    """Manta, DELLY, LUMPY, GRIDSS, VCF 4.4; END before POS is mended by SVLEN."""
    found = extract(record)
    assert (found.used, counts(found)) == (1, {kind: 1})
    if size:
        assert found.features[f"sv_{kind}_{size}"] == 1
    assert block(found, f"sv_{kind[:-1]}").get("FLT3", 0) == (size in ("100kb_1mb", "1mb_5mb"))


@pytest.mark.parametrize(
    ("record", "reason", "is_failed"),
    [
        ("chr1 5 . N . . PASS .", "no_alternate_allele", False),
        ("chr1 5 . N <DEL . PASS SVTYPE=DEL;END=9", "unreadable_allele", True),
        ("chr1 5 . N N[chr2:x[ . PASS SVTYPE=BND", "unreadable_allele", True),
        ("chr1 5 . N <DEL> . PASS SVTYPE=DEL;END=9;FOLD_CHANGE=0.5", "copy_number_call", False),
        ("chr1 5 . N <DEL> . PASS SVLEN=9;SVCLAIM=D", "copy_number_call", False),
        ("chr1 5 . N <CNV> . PASS SVTYPE=CNV;END=9", "copy_number_call", False),
        ("chr1 5 . N A . PASS .", "small_variant", False),
        ("chr1 5 . N <UNK> . PASS SVTYPE=UNK;END=9", "unknown_type", False),
        ("chr1 5 . N <DEL> . LowQual SVTYPE=DEL;END=9", "filter_not_pass", False),
        ("chr1 50 . N <DEL> . PASS SVTYPE=DEL;END=9", "unreadable_place", True),
        ("chr1 50 . N <DEL> . PASS SVTYPE=DEL", "unreadable_place", True),
        ("chr1 50 . N <DEL> . PASS SVTYPE=DEL;END=nan", "unreadable_place", True),
        ("chr1 50 . N N[chrUn_7:9[ . PASS SVTYPE=BND", "other_contig", False),
        ("chrM 50 . N <DEL> . PASS SVTYPE=DEL;END=90", "other_contig", False),
    ],
)
def test_extract__accounts_for_what_does_not_count(extract, record, reason, is_failed):
    """A record that vanishes without a reason cannot be found again."""
    found = extract(record, "chr5 171400000 s N N. . PASS SVTYPE=BND")
    assert (found.failed if is_failed else found.filtered) == {reason: 1}
    assert (found.records, found.used, counts(found)) == (2, 1, {"single_breakends": 1})


def test_extract__takes_records_with_several_alternates_apart(extract):
    """A record counts once in the account, its alleles each as an event."""
    found = extract("chr1 50 . N <DEL>,<DUP> . PASS SVLEN=60,2000")
    assert (found.records, found.used) == (1, 1)
    assert counts(found) == {"deletions": 1, "duplications": 1}
    assert found.features["sv_duplications_1kb_10kb"] == 1


def test_extract__needs_reads_of_the_tumour(extract):
    """The tumour is the column that says so, whichever comes first; a call of the normal is not."""
    head = META + "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT tumour normal\n".replace(" ", "\t")
    record = "chr1 50 . N <DEL> . PASS SVTYPE=DEL;END=9000 PR:SR {} 9,9:9,9"
    found = extract(record.format("20,0:30,4"), head=head)
    assert (found.used, found.features["sv_max_support_reads"]) == (1, 4.0)
    assert extract(record.format("20,0:30,0"), head=head).filtered == {"not_in_tumour": 1}
    delly = record.replace("PR:SR", "DV:RV").replace("9,9:9,9", "0:0")
    assert extract(delly.format("3:4"), head=head).features["sv_max_support_reads"] == 7.0


def test_extract__credits_long_events_to_their_ends_and_bands(extract):
    """del(5q) names 5q, not each of its three hundred genes; CSNK1A1 inside is not credited."""
    start, end = 135_000_000, 156_000_000
    found = extract(f"chr5 {start} . N <DEL> . PASS SVTYPE=DEL;END={end}")
    assert "CSNK1A1" not in block(found, "sv_deletion")
    bands = block(found, "sv_band_deletion_mb")
    assert set(bands) == {"5q31.1", "5q31.2", "5q31.3", "5q32", "5q33.1", "5q33.2"}
    assert sum(bands.values()) == pytest.approx((end - start) / 1e6)
    assert block(found, "sv_chromosome_deletion_mb") == {"5": pytest.approx(21.0)}
    short = extract(f"chr5 148000000 . N <DEL> . PASS SVTYPE=DEL;END={148_000_000 + 4_999_999}")
    assert block(short, "sv_deletion")["CSNK1A1"] == 1
    assert block(short, "sv_band_deletion_mb") == {}


def test_extract__joins_a_receptor_locus_with_the_oncogene_near_by(extract):
    """In Burkitt lymphoma the break lies up to hundreds of kb from MYC."""
    found = extract(*pair(("chr14", 105_860_500), ("chr8", 127_500_000)))
    assert block(found, "sv_join") == {"IGH::MYC": 1}
    far = extract(*pair(("chr14", 105_860_500), ("chr8", 126_000_000)))
    assert block(far, "sv_join") == {}


def test_extract__of_a_break_within_a_gene_joins_nothing(extract):
    """KMT2A-PTD would read as a fusion of the gene with itself."""
    found = extract("chr11 118470000 . N <DUP> . PASS SVTYPE=DUP;END=118482000")
    assert block(found, "sv_join") == {}
    assert block(found, "sv_duplication") == {"KMT2A": 1}


def test_extract__of_a_header_is_a_negative_result(extract):
    """No event in a performed assay is zero, not unknown."""
    found = extract()
    assert (found.records, found.used, found.features["sv_events"]) == (0, 0, 0)
    assert block(found, "sv_deletion") == {}
    assert found.features["sv_max_support_reads"] is None


def test_extract__without_a_build_counts_but_names_no_place(extract):
    """Genes of a guessed build would be wrong without any sign of it."""
    head = SITES.replace("##contig=<ID=chr1,length=248956422>\n", "")
    found = extract(*pair(BCR, ABL1), head=head)
    assert counts(found) == {"translocations": 1}
    assert set(found.blocks.values()) == {None}
    assert (found.annotation_version, found.features["sv_joins"]) == (None, None)
    named = head.replace("#CHROM", "##reference=hg19.fa\n#CHROM", 1)
    assert extract(*pair(BCR, ABL1), head=named).annotation_version == "GRCh37 panel-1"


def test_extract__refuses_a_build_that_the_contigs_contradict(extract):
    """The lengths of the chromosomes know better than the samplesheet."""
    with pytest.raises(WrongFormat, match="another genome build"):
        extract(build="hg19")


def test_extract__reads_records_that_end_before_the_samples_or_go_on_behind(extract):
    """Manta's candidates have no samples; novoBreak appends columns without a name."""
    head = META + "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT S\n".replace(" ", "\t")
    found = extract(
        "chr1 50 . N <DEL> . PASS SVTYPE=DEL;END=9000",
        "chr1 60 . N <DEL> . PASS SVTYPE=DEL;END=9000 PR 5,6",
        "chr1 70 . N <DEL> . PASS SVTYPE=DEL;END=9000 GT ./. E1 contig1 77",
        head=head,
    )
    assert (found.used, found.features["sv_max_support_reads"]) == (3, 6.0)


@pytest.mark.parametrize(
    ("record", "error", "message"),
    [
        ("chr1 50 . N <DEL> . PASS", WrongFormat, "wrong number of columns"),
        ("chr1 -5 . N <DEL> . PASS SVTYPE=DEL;END=9", ImpossibleValue, "line 4"),
        ("chr1 1e300 . N <DEL> . PASS SVTYPE=DEL", ImpossibleValue, "not one of a chromosome"),
        ("chr1 NaN . N <DEL> . PASS SVTYPE=DEL", ImpossibleValue, "not one of a chromosome"),
        ("chr1 x . N <DEL> . PASS SVTYPE=DEL", WrongFormat, "not one of a chromosome"),
    ],
)
def test_extract__refuses_what_is_no_vcf(extract, record, error, message):
    """One damaged line means that the file was damaged."""
    with pytest.raises(error, match=message):
        extract(record)


def test_extract__refuses_a_cut_file(tmp_path):
    """A file without its second half has half the events, and looks well."""
    text = SITES + "chr1\t50\t.\tN\t<DEL>\t.\tPASS\tSVTYPE=DEL;END=9000\n" * 900
    path = tmp_path / "sv.vcf.gz"
    path.write_bytes(gzip.compress(text.encode())[:-30])
    with pytest.raises(TruncatedFile):
        sv.extract(path, reference_build=None)
    path.write_text(text[: text.rindex("PASS")])
    with pytest.raises(TruncatedFile):
        sv.extract(path, reference_build=None)


def test_extract__survives_hostile_text(extract):
    """Latin-1 bytes, an INFO of megabytes and a thousand equal ids are results, not crashes."""
    huge = "X=" + "y" * 3_000_000
    records = [
        f"chr1 {n * 100} dup N <DEL> . PASS SVTYPE=DEL;END={n * 100 + 60}" for n in range(1, 999)
    ]
    found = extract(*records, f"chr1 5 \u00e9\u4e2d N <DUP> . PASS {huge};SVTYPE=DUP;END=90")
    assert counts(found) == {"deletions": 998, "duplications": 1}


def test_blocks__add_up_from_bands_to_chromosomes(extract):
    """Breakends and covered bases of a chromosome are those of its bands, whatever the events."""
    rng = np.random.default_rng(7)
    lengths = built_in("GRCh38").lengths
    records = []
    for number in range(300):
        chrom = str(rng.integers(1, 23))
        start = int(rng.integers(1, lengths[chrom] - 2))
        end = int(min(start + rng.integers(1, 4 * LONG_EVENT_BP), lengths[chrom]))
        kind = ("DEL", "DUP", "INV")[number % 3]
        records.append(f"chr{chrom} {start} . N <{kind}> . PASS SVTYPE={kind};END={end}")
    found = extract(*records)
    for what in ("breakends", "deletion_mb", "duplication_mb", "inversion_mb"):
        bands = pl.DataFrame(list(block(found, f"sv_band_{what}").items()), orient="row",
                             schema={"band": pl.String(), "value": pl.Float64()})  # fmt: skip
        totals = bands.group_by(pl.col("band").str.extract(r"^(\d+|X|Y)")).agg(
            pl.col("value").sum()
        )
        assert dict(totals.iter_rows()) == pytest.approx(
            block(found, f"sv_chromosome_{what}"), rel=1e-5
        )


def test_extract__does_not_credit_what_a_merge_filled_in(extract):
    """``bcftools merge`` writes ``./.`` for those who lack the variant: it is another patient's."""
    head = META + "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT S\n".replace(" ", "\t")
    found = extract(
        "chr1 50 . N <DEL> . PASS SVTYPE=DEL;END=9000 GT:PR ./.:.",
        "chr1 60000 . N <DEL> . PASS SVTYPE=DEL;END=90000 GT:PR 0/1:5,6",
        "chr1 700000 . N <DEL> . PASS SVTYPE=DEL;END=900000 GT 0/0",
        head=head,
    )
    assert (found.used, found.filtered) == (1, {"no_call": 1, "not_in_tumour": 1})
    merged = head.replace("#CHROM", "##bcftools_mergeCommand=merge a b\n#CHROM")
    with pytest.raises(NothingUsable):
        extract("chr1 50 . N <DEL> . PASS SVTYPE=DEL;END=9000 GT ./.", head=merged)


@pytest.mark.parametrize(
    ("info", "behind", "is_used"),
    [("", "", False), (";SU=0", "", False), (";SU=7", "", True), (";PE=0;SR=3", "", True),
     ("", " contig1 cov1.4 0 12", True), ("", " contig1 cov1.4 0 0", False)],
)  # fmt: skip
def test_extract__takes_no_genotype_for_no_call_unless_reads_are_counted_elsewhere(
    extract, info, behind, is_used
):
    """NovoBreak genotypes nobody and appends its counts; ``./.`` alone says nothing."""
    head = META + "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT S\n".replace(" ", "\t")
    record = f"chr1 50 . N <DEL> . PASS SVTYPE=DEL;END=9000{info} GT ./.{behind}"
    if is_used:
        assert extract(record, head=head).used == 1
    else:
        with pytest.raises(NothingUsable, match="1 no_call"):
            extract(record, head=head)
    # Behind a merge the counts are of all patients.
    merged = head.replace("#CHROM", "##bcftools_mergeCommand=merge a b\n#CHROM")
    with pytest.raises(NothingUsable, match="1 no_call"):
        extract(record, head=merged)


def test_extract__knows_nothing_of_genes_whose_record_could_not_be_read(extract):
    """A translocation of BCR without its other end is not "no BCR::ABL1"."""
    found = extract(
        f"chr22 {BCR[1]} . N <TRA> . PASS SVTYPE=TRA;CHR2=chr9",
        "chr13 28000000 . N <DEL> . PASS SVTYPE=DEL;END=28100000",
    )
    assert found.failed == {"unreadable_place": 1}
    joins = block(found, "sv_join")
    assert np.isnan(joins["BCR::ABL1"])
    assert "KMT2A::MLLT3" not in joins
    assert np.isnan(block(found, "sv_deletion")["BCR"])
    doubted = extract(
        f"chr22 {BCR[1]} . N <DEL> . LowQual SVTYPE=DEL",
        "chr13 28000000 . N <DEL> . PASS SVTYPE=DEL;END=28100000",
    )
    assert "BCR" not in block(doubted, "sv_deletion")

"""``oncoframe extract`` on files that say nothing of the assay, or not whose they are."""

from collections.abc import Callable
from pathlib import Path

import pytest

_COLUMNS = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT"
_READS = '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="x">\n'
_PAIR = '##INFO=<ID=SVTYPE,Number=1,Type=String,Description="x">\n'
_COPIES = '##FORMAT=<ID=CN,Number=1,Type=Integer,Description="x">\n'
_LOSS = "chr7 1 . N <DEL> . PASS SVTYPE=DEL;END=159000000"
_VARIANTS = (
    "chr17 7675088 . C T . PASS . GT:AD 0/1:60,40",
    "chr13 28018505 . C A . PASS . GT:AD 0/1:50,50",
)
_JOIN = (
    "chr22 23290555 a N N[chr9:130800000[ . PASS SVTYPE=BND;MATEID=b PR 9,5",
    "chr9 130800000 b N ]chr22:23290555]N . PASS SVTYPE=BND;MATEID=a PR 9,5",
)
_BAD_FILE = 4


@pytest.fixture
def extract(tmp_path, oncoframe) -> Callable[..., object]:
    """``oncoframe extract MODALITY`` on a VCF of these meta lines, samples and records."""

    def call(modality: str, meta: str, samples: str, *rows: str, options: tuple[str, ...] = ()):
        path: Path = tmp_path / "calls.vcf"
        lines = ("\t".join(row.split()) + "\n" for row in (f"{_COLUMNS} {samples}", *rows))
        path.write_text("##fileformat=VCFv4.2\n" + meta + "".join(lines))
        named = ("--genome", "GRCh38", "--json", *options)
        return oncoframe(tmp_path / "home", "extract", modality, path, *named)

    return call


@pytest.mark.parametrize(
    ("modality", "meta", "rows", "error"),
    [
        ("cnv", _PAIR, (f"{_LOSS} GT 0/1",), "WrongFormat"),
        ("cnv", _COPIES, (f"{_LOSS} GT:CN .:.",), "NothingUsable"),
        ("sv", _READS, _VARIANTS, "WrongFormat"),
        ("cnv", _READS, _VARIANTS, "WrongFormat"),
        ("snv", _PAIR, _JOIN, "WrongFormat"),
    ],
    ids=["cnv without copies", "cnv with empty copies", "snv as sv", "snv as cnv", "manta as snv"],
)
def test_extract__ends_with_4_where_a_file_says_nothing_of_the_assay(
    extract, modality, meta, rows, error
):
    """Each was read as a normal karyotype, or as "no event", with exit code 0."""
    answer = extract(modality, meta, "TUMOR", *rows)
    assert answer.code == _BAD_FILE, answer.stdout
    assert answer.json["error"] == error
    assert "Traceback" not in answer.stderr


def test_extract__asks_whose_file_it_is(extract):
    """The last of two tumours was read as the patient's."""
    rows = tuple(f"{row} 0/0:90,0" for row in _VARIANTS)
    answer = extract("snv", _READS, "P1_tumor P2_tumor", *rows)
    assert answer.code == _BAD_FILE
    assert answer.json["error"] == "AmbiguousSample"
    assert "P1_tumor, P2_tumor" in answer.stderr
    named = extract("snv", _READS, "P1_tumor P2_tumor", *rows, options=("--sample", "P1_tumor"))
    assert named.code == 0, named.stderr
    assert (named.json["sample"], named.json["used"]) == ("P1_tumor", 2)


def test_extract__uses_no_record_without_a_genotype(extract):
    """``bcftools merge`` fills in ``./.`` where another patient has the variant."""
    answer = extract(
        "snv", _READS, "TUMOR", *_VARIANTS, "chr4 105243606 . G A . PASS . GT:AD ./.:."
    )
    assert answer.code == 0, answer.stderr
    assert (answer.json["records"], answer.json["used"]) == (3, 2)
    assert answer.json["filter_reasons"] == {"no_call": 1}

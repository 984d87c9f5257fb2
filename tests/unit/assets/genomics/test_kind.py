"""A VCF under the wrong modality is refused with the kind it seems to be."""

import pytest

from assets.genomics.cnv import reader as cnv
from assets.genomics.snv import reader as snv
from assets.genomics.sv import reader as sv
from oncoframe.errors import BadInput, NothingUsable, WrongFormat

_COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tTUMOR\n"
_AD = '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="x">\n'
_SVTYPE = '##INFO=<ID=SVTYPE,Number=1,Type=String,Description="x">\n'
_CN = '##FORMAT=<ID=CN,Number=1,Type=Integer,Description="x">\n'
READERS = {
    "small variants": snv.extract,
    "structural variants": sv.extract,
    "copy numbers": cnv.extract,
}


def text(meta: str, *rows: str) -> str:
    return f"##fileformat=VCFv4.2\n{meta}{_COLUMNS}" + "".join(
        "\t".join(row.split()) + "\n" for row in rows
    )


MUTECT = text(_AD, *(f"chr1 {i}00 . C T . PASS . GT:AD 0/1:60,40" for i in range(1, 9)))
INDELS = text(
    _AD + _SVTYPE, *(f"chr1 {i}00 . C CTT . PASS SVTYPE=INS GT:AD 0/1:60,40" for i in range(1, 9))
)
MANTA = text(
    _SVTYPE,
    *(f"chr1 {i}00 . C C{'ACGT' * 20} . PASS SVTYPE=INS PR 9,9" for i in range(1, 4)),
    *(f"chr1 {i}000 . C C[chr2:{i}000[ . PASS SVTYPE=BND PR 9,9" for i in range(1, 4)),
    *(f"chr1 {i}000 . C <DEL> . PASS SVTYPE=DEL;END={i}900 GT:PR 0/1:9,9" for i in range(4, 7)),
)
SYMBOLS = text(
    "",
    *(f"chr1 {i}000 . C C[chr2:{i}000[ . PASS SVTYPE=BND GT 0/1" for i in range(1, 9)),
    "chr1 9 . C T . PASS . GT 0/1",
)
COPIES = text(
    _SVTYPE + _CN,
    *(f"chr{i} 1 . N <DUP> . PASS SVTYPE=CNV;END=9000000 GT:CN 0/1:3" for i in range(1, 9)),
)  # fmt: skip
FILES = {
    "mutect": (MUTECT, "small variants"),
    "small indels with an SVTYPE": (INDELS, "small variants"),
    "manta": (MANTA, "structural variants"),
    "breakends and one base": (SYMBOLS, "structural variants"),
    "copies": (COPIES, "copy numbers"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("modality", READERS)
def test_extract__reads_its_own_kind_and_refuses_the_others(tmp_path, name, modality):
    """Nothing of its own in a file of another kind would read as nothing found in the patient."""
    content, kind = FILES[name]
    path = tmp_path / "calls.vcf"
    path.write_text(content)
    if modality == kind:
        assert READERS[modality](path, reference_build="GRCh38").used > 0
        return
    with pytest.raises(WrongFormat, match=f"seems to be {kind}"):
        READERS[modality](path, reference_build="GRCh38")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("modality", READERS)
def test_extract__knows_the_kind_of_a_file_without_records_by_its_header(tmp_path, name, modality):
    """A negative result of another assay is none of this one; a bare header tells no kind."""
    content, kind = FILES[name]
    path = tmp_path / "calls.vcf"
    path.write_text("".join(line + "\n" for line in content.splitlines() if line[0] == "#"))
    declares_one = name not in ("small indels with an SVTYPE", "breakends and one base", "copies")
    if declares_one and modality != kind:
        with pytest.raises(WrongFormat, match=f"seems to be {kind}"):
            READERS[modality](path, reference_build="GRCh38")
    else:
        assert READERS[modality](path, reference_build="GRCh38").records == 0


def test_extract__reads_both_kinds_of_a_merged_file(tmp_path):
    """DRAGEN and others merge copy numbers and structural variants into one file."""
    path = tmp_path / "both.vcf"
    path.write_text(COPIES + "chr1\t5\t.\tC\tC[chr2:5[\t.\tPASS\tSVTYPE=BND\tGT\t0/1\n")
    assert sv.extract(path, reference_build="GRCh38").used == 1
    assert cnv.extract(path, reference_build="GRCh38").used == 8


@pytest.mark.parametrize("modality", READERS)
def test_extract__refuses_records_on_contigs_that_nobody_knows(tmp_path, modality):
    content = next(text for text, kind in FILES.values() if kind == modality)
    path = tmp_path / "calls.vcf"
    path.write_text(content.replace("\nchr", "\nscaffold"))
    with pytest.raises(NothingUsable, match="other_contig"):
        READERS[modality](path, reference_build="GRCh38")


@pytest.mark.parametrize("modality", READERS)
def test_extract__reads_accessions_as_the_chromosomes_that_they_are(tmp_path, modality):
    """RefSeq names are exact: nothing may change but the name."""
    content = next(text for text, kind in FILES.values() if kind == modality)
    named, renamed = tmp_path / "named.vcf", tmp_path / "renamed.vcf"
    rows = [line for line in content.splitlines() if "chr" not in line or "chr1\t" in line]
    named.write_text("\n".join(rows) + "\n")
    renamed.write_text(named.read_text().replace("chr1\t", "NC_000001.11\t")
                       .replace("chr2:", "NC_000002.12:"))  # fmt: skip
    one = READERS[modality](named, reference_build="GRCh38")
    other = READERS[modality](renamed, reference_build=None)
    assert other.features == one.features
    with pytest.raises(BadInput, match="another genome build"):
        READERS[modality](renamed, reference_build="GRCh37")

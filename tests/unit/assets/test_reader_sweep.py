"""What no change of a file may do: turn it into "nothing found", or its values into others, unseen.

Good files of every reader are changed in their header, the order of samples and records, their
contigs, and single fields. What comes of it is a refusal, a record more in the account of what does
not count, or the same values; never another value with the same account, and never a result from
a file none of whose records says anything.
"""

import gzip
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.expression import quantification
from assets.genomics.cnv import reader as cnv
from assets.genomics.fusion import reader as fusion
from assets.genomics.fusion.layouts import LAYOUTS
from assets.genomics.snv import reader as snv
from assets.genomics.sv import reader as sv
from assets.simulate.landing_zone import simulate
from oncoframe.errors import BadInput
from oncoframe.extraction import Extraction
from oncoframe.reference.builds import BUILDS

pytestmark = pytest.mark.slow

READERS: dict[str, Callable[..., Extraction]] = {
    "snv": snv.extract,
    "sv": sv.extract,
    "cnv": cnv.extract,
    "fusion": fusion.extract,
    "expression": quantification.extract,
}
#: Texts that are no value of any column.
NOTHING = ("", ".", "NA", "nan", "?", "none")
#: Means, extremes and counts over the records that give a value, which a missing one may move.
OVER_THE_GIVEN = re.compile(
    r"snv_(median|max)_.*|.*_max_vaf|sv_max_support_reads|fusion_max_reads|fusion_in_frame_count"
    r"|cnv_ploidy|cnv_loh_fraction|cnv_(gene|band|arm)_(copies|loh)"
)
_COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"


def _vcf(meta: str, samples: str, *rows: str) -> str:
    body = "".join("\t".join(row.split()) + "\n" for row in rows)
    samples = samples.replace(" ", "\t")
    return f"##fileformat=VCFv4.2\n{meta}{_COLUMNS}\t{samples}\n{body}"


_CSQ = '##INFO=<ID=CSQ,Number=.,Type=String,Description="x. Format: Allele|Consequence|SYMBOL">\n'
_SNV_ROWS = (
    "chr17 7675088 . C T . PASS CSQ=T|missense_variant|TP53 {} 0/0:{} 0/1:{}",
    "chr13 28018505 . C A . PASS CSQ=A|missense_variant|FLT3 {} 0/0:{} 0/1:{}",
    "chr4 105243606 . G A . q10 CSQ=A|stop_gained|TET2 {} 0/0:{} 0/1:{}",
)
_SEG = "ID\tchrom\tloc.start\tloc.end\tnum.mark\tseg.mean\n"
_SEGMENTS = tuple(
    f"{chrom}\t1\t{40_000_000 + 500_000 * chrom}\t9\t{-1 if chrom == 7 else 0.01 * chrom - 0.1}\n"
    for chrom in range(1, 21)
)
_PURPLE = "chromosome\tstart\tend\tcopyNumber\tmethod\tminorAlleleCopyNumber\n"
_CNS = "chromosome\tstart\tend\tgene\tlog2\tprobes\n"

#: Modality -> good files of the formats that the simulation does not write.
FILES: dict[str, list[str]] = {
    "snv": [
        _vcf(_CSQ, "NORMAL TUMOR",
             *(row.format("GT:AD:DP", "50,0:50", "60,40:100") for row in _SNV_ROWS)),
        _vcf(_CSQ, "NORMAL TUMOR",
             *(row.format("GT:RD:AD:FREQ", "50:0:0%", "30:10:25%") for row in _SNV_ROWS)),
        _vcf("##contig=<ID=chr1,length=248956422>\n", "NORMAL TUMOR",
             *(row.format("GT:DP:AF", "50:0", "100:0.4") for row in _SNV_ROWS)),
    ],
    "sv": [
        _vcf("##contig=<ID=chr1,length=248956422>\n", "NORMAL TUMOR",
             "chr22 23290555 a N N[chr9:130800000[ . PASS SVTYPE=BND;MATEID=b PR 9,0 9,5",
             "chr9 130800000 b N ]chr22:23290555]N . PASS SVTYPE=BND;MATEID=a PR 9,0 9,5",
             "chr13 28000000 c N <DEL> . PASS SVTYPE=DEL;END=28100000 PR 9,0 9,7",
             "chr5 100000000 d N <DUP> . q10 SVTYPE=DUP;END=150000000 PR 9,0 9,5"),
    ],
    "cnv": [
        _SEG + "".join(f"S1\t{row}" for row in _SEGMENTS),
        _CNS + "".join("chr{}\t{}\t{}\t-\t{}\t{}\n".format(
            *(row.strip().split("\t")[i] for i in (0, 1, 2, 4, 3))) for row in _SEGMENTS),
        _PURPLE + "".join(
            f"chr{chrom}\t1\t50000000\t{1 if chrom == 7 else 2.01}\tBAF\t1\n"
            for chrom in range(1, 21)),
        _vcf('##FORMAT=<ID=CN,Number=1,Type=Integer,Description="x">\n', "TUMOR",
             "chr7 1 . N <DEL> . PASS SVTYPE=DEL;END=159000000 GT:CN 0/1:1",
             "chr8 1 . N <DUP> . PASS SVTYPE=DUP;END=140000000 GT:CN 0/1:3",
             "chr5 1 . N <DEL> . q10 SVTYPE=DEL;END=140000000 GT:CN 0/1:1"),
    ],
    "fusion": [
        (
            "sample,fusion genes,spanning pairs,spanning reads,inframe,classification\n"
            "S1,BCR:ABL1,20,27,TRUE,HighConfidence\nS1,A1BG:TP53,9,9,FALSE,LowConfidence\n"
        ),
    ],
    "expression": [
        "gene_id\tcount\n" + "".join(f"{g}\t{n}\n" for g, n in
                                     (("TP53", 7), ("FLT3", 0), ("KIT", 90), ("__no_feature", 4))),
        "Name\tLength\tEffectiveLength\tTPM\tNumReads\nTP53\t9\t8.1\t1e5\t7\nKIT\t9\t8\t9e5\t90\n",
    ],
}  # fmt: skip


@dataclass(frozen=True)
class GoodFile:
    """A file that is read well, and what it says."""

    modality: str
    text: str
    build: str | None = "GRCh38"
    name: str = ""

    @property
    def records(self) -> list[int]:
        """Numbers of the lines that are records."""
        lines = self.text.splitlines()
        start = next(i for i, line in enumerate(lines) if not line.startswith("##"))
        has_header = not lines[0].split("\t")[-1].isdigit()
        return list(range(start + int(has_header), len(lines)))

    @property
    def samples(self) -> int:
        """Number of samples of a VCF."""
        return max(0, self.text.splitlines()[self.records[0] - 1].count("\t") - 8)

    @property
    def contig_column(self) -> int | None:
        """Position of the contigs; None where there are none."""
        lines, records = self.text.splitlines(), self.records
        if self.modality not in ("snv", "sv", "cnv") or not records[0]:
            return None
        names = lines[records[0] - 1].lstrip("#").lower().split("\t")
        return next(
            (i for i, name in enumerate(names) if name.startswith(("chrom", "contig"))), None
        )


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> list[GoodFile]:
    """Files of every shipped format: those above, and one of each tool of the simulation."""
    root = tmp_path_factory.mktemp("simulated")
    simulate(root, patients=12, seed=5)
    found = [GoodFile(modality, text) for modality, texts in FILES.items() for text in texts]
    by_name: dict[tuple[str, str], GoodFile] = {}
    for line in sorted((root / "samplesheet.csv").read_text().splitlines()[1:]):
        _, modality, path, _, status, _, tool, _ = line.split(",")[:8]
        if status != "performed" or modality not in READERS:
            continue
        content = (root / path).read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        lines = content.decode().splitlines(keepends=True)
        # A part of each: what is swept is the format, and the vectors of a genome take long.
        if len(lines) < 400 or modality == "expression":
            by_name.setdefault((modality, tool), GoodFile(modality, "".join(lines[:1500])))
    return found + list(by_name.values())


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("sweep") / "file"


#: Folder of public files -> modality.
FOLDERS = {"snv_vcf": "snv", "sv_vcf": "sv", "cnv_calls": "cnv", "fusion_calls": "fusion",
           "expression_formats": "expression"}  # fmt: skip
#: Records of a public file that are swept, and the lines that are looked at.
MAX_SWEPT, MAX_LINES = 60, 2_000


@pytest.fixture(scope="module")
def good_of_others(real_data, path) -> list[GoodFile]:
    """Beginnings of public files as their callers wrote them, under the build that they are of."""
    found = []
    for folder, modality in FOLDERS.items():
        for source in sorted(p for p in (real_data / folder).rglob("*") if p.is_file()):
            content = source.read_bytes()
            content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
            lines = content.decode(errors="replace").splitlines(keepends=True)[:MAX_LINES]
            whole = GoodFile(modality, "".join(lines))
            text = "".join(lines[: whole.records[0] + MAX_SWEPT]) if whole.records else ""
            files = (GoodFile(modality, text, build, source.name) for build in (None, *BUILDS))
            # What the file tells itself, else the first build that its places allow.
            readable = [file for file in files if read(file, text, path) is not None]
            found += readable[-1:] if readable[1:] else readable
    return found


def read(file: GoodFile, text: str, path: Path) -> Extraction | None:
    """What a changed file says; None if it is refused."""
    path.write_text(text)
    try:
        return READERS[file.modality](path, reference_build=file.build)
    except BadInput:
        return None


def account(found: Extraction) -> tuple[object, ...]:
    # What told the genes stands in the row: by place instead of by the annotation is said.
    told = found.features.get("snv_annotation"), found.features.get("expression_unit")
    return found.records, found.used, found.filtered, found.failed, found.notes, told


def says_no_other(found: Extraction, before: Extraction) -> bool:
    """Whether every value is what it was, or unknown now."""

    def same(new: object, old: object) -> bool:
        if isinstance(new, float) and isinstance(old, float):
            return math.isnan(new) or math.isclose(new, old, rel_tol=1e-5)
        return new is None or new == old

    for name, new in found.features.items():
        if not OVER_THE_GIVEN.fullmatch(name) and not same(new, before.features[name]):
            return False
    for name, block in found.blocks.items():
        old = None if OVER_THE_GIVEN.fullmatch(name) else before.blocks[name]
        if block is None or old is None:
            continue
        values = dict(zip(old.names, old.values.tolist(), strict=True))
        own = dict(zip(block.names, block.values.tolist(), strict=True))
        if not all(same(value, values.get(key, math.nan)) for key, value in own.items()):
            return False
    return True


@st.composite
def changed(draw: st.DrawFn, files: list[GoodFile]) -> tuple[GoodFile, str, str]:
    """A good file, a change of it, and what the change was."""
    file = draw(st.sampled_from(files))
    lines = file.text.splitlines()
    records = file.records
    at = draw(st.sampled_from(records))
    way = draw(st.sampled_from(
        ["header line", "shuffle", "double", "contig", "field", "field", "samples", "header word"]
    ))  # fmt: skip
    mark = "\t" if "\t" in lines[at] else ","
    fields = lines[at].split(mark)
    match way:
        case "header line" if meta := [i for i in range(records[0]) if lines[i][:2] == "##"]:
            del lines[draw(st.sampled_from(meta))]
        case "header word" if records[0] > 0:
            names = lines[records[0] - 1].split(mark)
            names[draw(st.integers(0, len(names) - 1))] = draw(st.sampled_from(NOTHING))
            lines[records[0] - 1] = mark.join(names)
        case "shuffle":
            body = draw(st.permutations(lines[records[0] :])) if len(records) < 60 else (
                lines[: records[0] - 1 : -1]
            )  # fmt: skip
            lines[records[0] :] = body
        case "double":
            lines.insert(at, lines[at])
        case "contig" if (column := file.contig_column) is not None:
            old = fields[column]
            for i in records:
                parts = lines[i].split(mark)
                parts[column] = f"odd_{old}" if parts[column] == old else parts[column]
                lines[i] = mark.join(parts)
        case "samples" if file.text.startswith("##fileformat") and len(fields) > 10:
            for i in range(records[0] - 1, len(lines)):
                parts = lines[i].split(mark)
                lines[i] = mark.join([*parts[:9], *reversed(parts[9:])])
        case _:
            # NA and nan are bases of unknown kind where bases stand.
            values = NOTHING[:2] if file.text.startswith("##fileformat") else NOTHING
            # Arriba says by "." that there is no gene.
            values = [value for value in values if value != "." or "#gene1" not in file.text]
            fields[draw(st.integers(0, len(fields) - 1))] = draw(st.sampled_from(values))
            lines[at] = mark.join(fields)
    return file, "\n".join(lines) + "\n", way


def sweep_changes(files: list[GoodFile], path: Path, examples: int) -> None:
    """Change files, and hold that what comes of it is told in the account or the same."""
    before = {file: read(file, file.text, path) for file in files}
    assert None not in before.values()

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), deadline=None)
    @given(changed(files))
    def check(change: tuple[GoodFile, str, str]) -> None:
        file, text, way = change
        found, old = read(file, text, path), before[file]
        assert old is not None
        if found is not None and account(found) == account(old):
            assert says_no_other(found, old), (file.name, way)

    check()


def test_extract__never_says_something_else_of_a_changed_file_without_saying_so(good, path):
    """A value that moves while the account stays is a wrong answer that nobody can notice."""
    sweep_changes(good, path, 300)


@pytest.mark.real_data
def test_extract__never_says_something_else_of_a_changed_file_of_others(good_of_others, path):
    """Files of callers have keys, orders and gaps that nobody thinks of who writes a good file."""
    assert {file.modality for file in good_of_others} == set(READERS)
    sweep_changes(good_of_others, path, 250)


def silent(file: GoodFile) -> dict[str, str]:
    """The file with records none of which says anything, by what was done to them."""
    lines, records = file.text.splitlines(), file.records
    mark = "\t" if "\t" in lines[records[0]] else ","

    def all_records(change: Callable[[list[str]], list[str]]) -> str:
        body = [mark.join(change(lines[i].split(mark))) for i in records]
        return "\n".join([*lines[: records[0]], *body]) + "\n"

    if file.text.startswith("##fileformat"):
        return {
            "contigs": all_records(lambda f: [f"odd_{f[0]}", *f[1:]]),
            "alleles": all_records(lambda f: [*f[:4], "?", *f[5:]]),
        } | ({} if file.samples == 0 else {"no-calls": all_records(_without_call)})  # fmt: skip
    if file.modality == "cnv":
        names = lines[records[0] - 1].split(mark)
        numbers = [i for i, n in enumerate(names) if n.lower() in
                   ("seg.mean", "log2", "copynumber", "mincopynumber", "cn")]  # fmt: skip
        columns = {"numbers": numbers, "contigs": [file.contig_column]}
        return {
            way: all_records(lambda f, odd=odd: ["NA" if i in odd else v for i, v in enumerate(f)])
            for way, odd in columns.items()
            if odd != [None]
        }
    if file.modality == "expression":
        return {"numbers": all_records(lambda f: [f[0], *["NA"] * len(f[1:])])}
    names = [n.strip('#"').lower() for n in lines[records[0] - 1].split(mark)]
    columns = next((one.reads for one in LAYOUTS if one.required <= {*names}), ())
    reads = {i for i, name in enumerate(names) if name in columns}
    text = all_records(lambda f: ["many" if i in reads else v for i, v in enumerate(f)])
    return {"reads": text} if reads else {}


#: INFO in which a caller that does not genotype counts the reads or copies of its sample.
_SAID = re.compile("(SU|PE|SR|RE|SUPPORT|FOLD_CHANGE|FOLD_CHANGE_LOG|natorRD|TCN_EM)=")


def _without_call(fields: list[str]) -> list[str]:
    """Fields of a record that says nothing of its samples, neither in their columns nor in INFO."""
    info = ";".join(part for part in fields[7].split(";") if not _SAID.match(part))
    return [*fields[:7], info or ".", "GT:AD", *["./.:."] * len(fields[9:])]


def sweep_silence(files: list[GoodFile], path: Path) -> int:
    """Hold that no file whose records say nothing is a result; the number of those files."""
    checked = 0
    for file in files:
        for way, text in silent(file).items():
            found = read(file, text, path)
            if found is not None:
                told = {n: v for n, v in found.features.items() if n != "snv_annotation"}
                assert set(told.values()) <= {None}, (file.modality, file.name, way)
            checked += 1
    return checked


def test_extract__never_makes_a_result_of_records_that_say_nothing(good, path):
    """A result, all normal, of a file without a usable record is the worst that can happen."""
    assert sweep_silence(good, path) > len(good)


@pytest.mark.real_data
def test_extract__never_makes_a_result_of_silent_files_of_others(good_of_others, path):
    assert sweep_silence(good_of_others, path) > len(good_of_others)

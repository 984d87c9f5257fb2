"""Files made to hurt: each ends in a typed error or a documented result, in bounded memory.

Memory is measured as the peak of a process of its own that reads one file and does nothing else.
Files of gigabytes are gzip streams of one small member, repeated.
"""

import gzip
import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oncoframe.errors import BadInput, EmptyFile, FileMissing, WrongFormat
from oncoframe.extraction import Extractor

#: Peak resident memory that any one file may need, interpreter and libraries included.
MAX_PEAK_MB = 1000
#: Longest time for any one of them, generous for a busy machine.
MAX_SECONDS = 600

MIB = 1 << 20
READERS = {
    "snv": "assets.genomics.snv.reader",
    "fusion": "assets.genomics.fusion.reader",
    "expression": "assets.expression.quantification",
}
_READ_ONE = """
import importlib, json, sys, time
from pathlib import Path
from oncoframe.errors import OncoFrameError
extract = importlib.import_module(sys.argv[1]).extract
start = time.perf_counter()
try:
    found = extract(Path(sys.argv[2]), reference_build=None)
    result = {"records": found.records, "used": found.used, "failed": found.failed,
              "filtered": found.filtered}
except OncoFrameError as error:
    result = {"error": error.name, "message": str(error)[-300:]}
status = Path("/proc/self/status").read_text()
peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
result |= {"peak_mb": int(peak.split()[1]) // 1024, "seconds": time.perf_counter() - start}
print(json.dumps(result))
"""

CSQ = (
    '##INFO=<ID=CSQ,Number=.,Type=String,Description="Consequence annotations from Ensembl VEP. '
    'Format: Allele|Consequence|SYMBOL|HGVSp">\n'
)
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
HEAD = f"##fileformat=VCFv4.2\n{CSQ}{COLUMNS}\tNORMAL\tTUMOR\n".encode()
RECORD = b"chr1\t%d\t.\tC\tT\t.\tPASS\t%b\tGT:AD:DP\t0/0:50,0:50\t0/1:60,40:100\n"
ANNOTATED = b"CSQ=T|missense_variant|TP53|p.Arg175His"
GERMLINE = b"CSQ=T|missense_variant|A1BG|p.Arg175His"
ALTERNATES = [bytes(f"{a}{b}{c}", "ascii") for a in "ACGT" for b in "ACGT" for c in "AC"][:30]
FUSION = b"#FusionName\tJunctionReadCount\tSpanningFragCount\tLeftGene\tRightGene\n"


def measured(reader: str, path: Path) -> dict[str, object]:
    """What became of a file, read by a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _READ_ONE, READERS[reader], str(path)],
        check=True, capture_output=True, text=True, timeout=MAX_SECONDS,
    )  # fmt: skip
    return json.loads(done.stdout)


def extractor(reader: str) -> Extractor:
    """Function that reads one file, in this process."""
    return importlib.import_module(READERS[reader]).extract


def repeated(start: bytes, part: bytes, times: int, end: bytes = b"") -> Iterator[bytes]:
    """Gzip members of a start, of a part that many times, and of an end."""
    yield gzip.compress(start, 1)
    member = gzip.compress(part, 6)
    for _ in range(times):
        yield member
    if end:
        yield gzip.compress(end, 1)


def calls(*, records: int, alternates: int = 1, info: bytes = ANNOTATED, reads: int = 2) -> bytes:
    """Records that pass, with that many alternates and values of AD."""
    alts = b",".join(ALTERNATES[:alternates]) if alternates > 1 else b"T"
    sample = b"0/1:" + b",".join([b"9"] * reads) + b":100"
    tail = b"\t.\tC\t" + alts + b"\t.\tPASS\t" + info + b"\tGT:AD:DP\t0/0:50,0:50\t" + sample
    return b"".join(b"chr1\t%d" % (100 + i) + tail + b"\n" for i in range(records))


def many_keys(records: int, keys: int) -> bytes:
    """Records of 30 alternates and as many FORMAT keys."""
    names = b"GT:AD:" + b":".join(b"K%d" % i for i in range(keys))
    values = b"0/1:" + b",".join([b"9"] * 31) + b":1" * keys
    alts = b",".join(ALTERNATES)
    tail = b"\t.\tC\t" + alts + b"\t.\tPASS\t.\t" + names + b"\t.\t" + values + b"\n"
    return b"".join(b"chr1\t%d" % (100 + i) + tail for i in range(records))


def ten_thousand_samples() -> tuple[bytes, bytes]:
    """Header and a record of 10,000 samples; the records differ in nothing."""
    names = b"\t".join(b"S%d" % i for i in range(9_999))
    head = HEAD.replace(b"NORMAL\tTUMOR", names + b"\tTUMOR")
    return head, calls(records=1).replace(b"\t0/0:50,0:50", b"\t0/0:50,0:50" * 9_999)


#: Name -> reader, how the file is made, and the error or the account that it must end in.
CASES: dict[str, tuple[str, Callable[[], Iterator[bytes]], str | dict[str, object]]] = {
    "vcf: a line of 2 GB": (
        "snv", lambda: repeated(HEAD + b"chr1\t", b"A" * (16 * MIB), 128), "WrongFormat",
    ),
    "vcf: 32 GB of blank lines": (
        "snv", lambda: repeated(HEAD, b"\n" * (64 * MIB), 512), "WrongFormat",
    ),
    "vcf: 32 GB of blank lines after a record": (
        "snv", lambda: repeated(HEAD + calls(records=1), b"\n" * (64 * MIB), 512), "WrongFormat",
    ),
    "vcf: changes of TP53 without end": (
        "snv", lambda: iter([HEAD + calls(records=150_000)]), "WrongFormat",
    ),
    "vcf: ten thousand samples": (
        "snv",
        lambda: repeated(*ten_thousand_samples(), 40),
        {"used": 1, "filtered": {"duplicate_record": 39}},
    ),
    "vcf: ten million transcripts": (
        "snv",
        lambda: iter([HEAD + calls(records=1, info=ANNOTATED + b"," * (10 * MIB))]),
        {"used": 1},
    ),
    "vcf: a contig line of 15 MB": (
        "snv",
        lambda: iter([b"##fileformat=VCFv4.2\n##contig=<", b"ID=chr1," * (15 * MIB // 8), b">\n",
                      HEAD[21:], calls(records=1)]),
        {"used": 1},
    ),
    "vcf: millions of header lines": (
        "snv", lambda: repeated(HEAD[:20], b"##x=\n" * 3_000_000, 4), "WrongFormat",
    ),
    "vcf: seven million read depths": (
        "snv",
        lambda: iter([HEAD + calls(records=1, reads=7_000_000)]),
        "NothingUsable",
    ),
    "vcf: nothing but alternates": (
        "snv",
        lambda: iter([HEAD + calls(records=50_000, alternates=30, info=b".", reads=31)]),
        {"filtered": {"no_gene_annotation": 50_000}},
    ),
    "vcf: many keys of many alternates": (
        "snv", lambda: iter([HEAD + many_keys(8_000, 250)]), {"records": 8_000},
    ),
    "vcf: more keys than any caller has": (
        "snv",
        lambda: iter([HEAD + many_keys(20, 100_000)]),
        "NothingUsable",
    ),
    "vcf: INFO of 15 MB": (
        "snv",
        lambda: iter([HEAD + calls(records=1, info=ANNOTATED + b";X=" + b"A" * (15 * MIB))]),
        {"used": 1},
    ),
    "vcf: a gene of 15 MB": (
        "snv",
        lambda: iter([HEAD + calls(records=1, info=b"CSQ=T|stop_gained|" + b"A" * (15 * MIB))]),
        {"used": 1},
    ),
    "vcf: consequence of 15 MB": (
        "snv",
        lambda: iter([HEAD + calls(records=1, info=b"CSQ=T|" + b"ab&" * (5 * MIB) + b"|TP53|")]),
        {"used": 1},
    ),
    "table: 32 GB of blank lines": (
        "expression", lambda: repeated(b"gene\tcount\n", b"\n" * (64 * MIB), 512), "WrongFormat",
    ),
    "table: two columns of 255 MB": (
        "expression", lambda: repeated(b"gene\tcount\n", b"G\t1\n" * (4 * MIB), 16), "WrongFormat",
    ),
    "table: 255 MB of long names": (
        "expression",
        lambda: repeated(b"gene\tcount\n", (b"G" * 490 + b"\t1\n") * 32_000, 16),
        {"used": 1},  # all lines say the same
    ),
    "fusions: millions of calls": (
        "fusion", lambda: repeated(FUSION, b"A--B\t9\t9\tA\tB\n" * 1_000_000, 4), "WrongFormat",
    ),
    "fusions: genes of 7 MB": (
        "fusion",
        lambda: iter([FUSION, b"A--B\t9\t9\t", b"A," * (3 * MIB), b"\t", b"B;" * (3 * MIB), b"\n"]),
        {"used": 1},
    ),
    "fusions: reads of millions of digits": (
        "fusion",
        lambda: iter([FUSION, b"A--B\t", b"9" * (8 * MIB), b"\t9\tA\tB\n"]),
        "ImpossibleValue",
    ),
}  # fmt: skip


@pytest.mark.soak
def test_extract__bounds_the_memory_of_a_whole_genome_that_passes(tmp_path):
    """Five million germline variants are kept until the end: the most of any file."""
    path = tmp_path / "calls.vcf"
    with path.open("wb") as stream:
        stream.write(HEAD)
        for chromosome in range(1, 23):
            name = b"chr%d\t" % chromosome
            stream.write(calls(records=250_000, info=GERMLINE).replace(b"chr1\t", name))
    found = measured("snv", path)
    assert found["used"] == 5_500_000
    assert found["peak_mb"] < MAX_PEAK_MB


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_reader__bounds_its_memory(tmp_path, name):
    """One file must not take the machine from the patients beside it."""
    reader, parts, expected = CASES[name]
    path = tmp_path / "file"
    with path.open("wb") as stream:
        stream.writelines(parts())
    found = measured(reader, path)
    if isinstance(expected, str):
        assert found.get("error") == expected, found
    else:
        assert {key: found.get(key) for key in expected} == expected, found
    assert found["peak_mb"] < MAX_PEAK_MB


#: What is wrong with a small file of each reader -> its bytes, from a good file.
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "UTF-16": lambda good: good.decode().encode("utf-16"),
    "UTF-16 without its mark": lambda good: good.decode().encode("utf-16-le"),
    "NUL bytes": lambda good: good.replace(b"9", b"\0", 1),
    "empty": lambda _: b"",
    "gzip of nothing": lambda _: gzip.compress(b"", mtime=0),
    "cut gzip": lambda good: gzip.compress(good, mtime=0)[:-9],
    "gzip of gzip": lambda good: gzip.compress(gzip.compress(good)),
    "gzip and text behind it": lambda good: gzip.compress(good) + b"more",
    "a column less": lambda good: good[: good.rstrip().rfind(b"\t")] + b"\n",
    "a column more": lambda good: good[:-1] + b"\t9\n",
    "a record without header": lambda good: good[good.rindex(b"\n", 0, -1) + 1 :],
}
GOOD = {
    "snv": HEAD + calls(records=2),
    "fusion": FUSION + b"A--B\t9\t9\tA\tB\nC--D\t9\t9\tC\tD\n",
    "expression": b"gene\tcount\tlength\nTP53\t9\t100\nFLT3\t9\t100\n",
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader__refuses_a_damaged_file(tmp_path, reader, damage):
    """A file that reads well although it is damaged gives a patient wrong features."""
    path = tmp_path / "file"
    path.write_bytes(DAMAGE[damage](GOOD[reader]))
    with pytest.raises(BadInput):
        extractor(reader)(path, reference_build=None)


@pytest.mark.parametrize("reader", READERS)
def test_every_reader__reads_what_only_looks_odd(tmp_path, reader):
    """Line ends of Windows, a byte order mark and letters of Latin-1 change nothing."""
    path = tmp_path / "file"
    good = GOOD[reader]
    path.write_bytes(good)
    expected = extractor(reader)(path, reference_build=None)
    assert expected.used == expected.records == 2
    for odd in (
        good.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + good,
        good + b"\n\n",
        gzip.compress(good[:40]) + gzip.compress(good[40:]),
        good.replace(b"p.Arg175His", b"p.Arg175His;NOTE=\xe9"),
    ):
        path.write_bytes(odd)
        assert extractor(reader)(path, reference_build=None).features == expected.features


@pytest.mark.parametrize("reader", READERS)
def test_every_reader__refuses_a_folder_and_nothing(tmp_path, reader):
    with pytest.raises(WrongFormat, match="folder"):
        extractor(reader)(tmp_path, reference_build=None)
    with pytest.raises(FileMissing):
        extractor(reader)(tmp_path / "none", reference_build=None)


def test_extract__reads_a_header_alone_in_its_own_way(tmp_path):
    """No call is a negative result; no gene in an expression table is an empty file."""
    path = tmp_path / "file"
    for reader in ("snv", "fusion"):
        path.write_bytes(HEAD if reader == "snv" else FUSION)
        assert extractor(reader)(path, reference_build=None).records == 0
    path.write_bytes(b"gene\tcount\n")
    with pytest.raises(EmptyFile):
        extractor("expression")(path, reference_build=None)

"""Readers of variants and counts against plain reading of the same files, paired in one process.

    python benchmarks/genomics.py [snv] [events] [counts] [--records N] [--patients N] [--rounds N]

Prints one JSON line per measurement. Ours and the other alternate, so that a busy machine slows
both, and the ratio of the medians is the claim; seconds are of one core (CPU time, Polars with one
thread). The files are random, written to a temporary folder and warm in the page cache.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["POLARS_MAX_THREADS"] = "1"  # read when Polars is imported

import cyvcf2
import numpy as np
import polars as pl

from assets.expression import quantification
from assets.genomics.cnv import reader as cnv
from assets.genomics.snv import reader as snv
from assets.genomics.sv import reader as sv

GENES = 60_000
#: Different count files; more patients read them again, which the reader does not notice.
COUNT_FILES = 50
#: Calls of one genome before filtering.
EVENTS, SEGMENTS = 12_000, 6_000

_META = """##fileformat=VCFv4.2
##contig=<ID=chr1,length=248956422>
##contig=<ID=chr2,length=242193529>
"""
_SNV_META = """##FILTER=<ID=weak_evidence,Description="x">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Reads per allele">
##FORMAT=<ID=AF,Number=A,Type=Float,Description="Allele fraction">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">
##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">
##INFO=<ID=TLOD,Number=A,Type=Float,Description="Score">
"""
_CSQ_META = (
    '##INFO=<ID=CSQ,Number=.,Type=String,Description="Consequences by VEP. '
    'Format: Allele|Consequence|IMPACT|SYMBOL|Gene|Feature|HGVSp|PICK|CANONICAL">\n'
)
_COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tNORMAL\tTUMOR\n"


def write_calls(path: Path, records: int, *, annotated: bool) -> None:
    """Calls of two samples as Mutect2 writes them, seven of ten passing."""
    rng = np.random.default_rng(1)
    passing = np.where(rng.random(records) < 0.7, "PASS", "weak_evidence")
    first = rng.integers(4, size=records)
    second = (first + rng.integers(1, 4, size=records)) % 4
    depth = rng.integers(20, 150, size=records)
    reads = rng.integers(2, depth // 2)
    position = 1000 + np.cumsum(rng.integers(1, 800, size=records))
    gene, residue = rng.integers(20_000, size=records), rng.integers(1, 900, size=records)

    def lines() -> Iterator[str]:
        for i in range(records):
            ref, alt, deep, some = "ACGT"[first[i]], "ACGT"[second[i]], depth[i], reads[i]
            info = f"DP={2 * deep};TLOD={some / 3:.2f}"
            if annotated:
                info += (
                    f";CSQ={alt}|missense_variant|MODERATE|GENE{gene[i]}|ENSG{gene[i]:011d}|ENST1|"
                    f"ENSP1:p.Arg{residue[i]}His|1|YES"
                )
            normal = f"0/0:{deep},0:0.010:{deep}"
            tumour = f"0/1:{deep - some},{some}:{some / deep:.3f}:{deep}"
            yield (f"chr1\t{position[i]}\t.\t{ref}\t{alt}\t.\t{passing[i]}\t{info}\tGT:AD:AF:DP\t"
                   f"{normal}\t{tumour}\n")  # fmt: skip

    # A contig without length: as many records as asked for do not fit on a chromosome.
    head = _META.split("##contig", maxsplit=1)[0] + "##contig=<ID=chr1>\n" + _SNV_META
    with path.open("w", encoding="utf-8") as stream:
        stream.write(head + (_CSQ_META if annotated else "") + _COLUMNS)
        stream.writelines(lines())


def write_events(path: Path) -> None:
    """Structural variants of one genome as Manta writes them; a third of them breakend pairs."""
    rng = np.random.default_rng(2)
    meta = (
        '##INFO=<ID=SVTYPE,Number=1,Type=String,Description="Type">\n'
        '##INFO=<ID=END,Number=1,Type=Integer,Description="End">\n'
        '##INFO=<ID=MATEID,Number=.,Type=String,Description="Mate">\n'
        '##FORMAT=<ID=PR,Number=.,Type=Integer,Description="Pairs">\n'
        '##FORMAT=<ID=SR,Number=.,Type=Integer,Description="Split reads">\n'
    )
    rows = []
    for i in range(EVENTS):
        start, other = (int(p) for p in rng.integers(10_000, 240_000_000, size=2))
        calls = "PR:SR\t40,0:40,0\t30,12:25,9"
        if i % 3:
            kind = ("DEL", "DUP", "INV")[i % 9 // 3]
            end = start + int(10 ** rng.uniform(2, 6))
            info = f"END={end};SVTYPE={kind};SVLEN={end - start}"
            rows.append(f"chr1\t{start}\te{i}\tN\t<{kind}>\t.\tPASS\t{info}\t{calls}\n")
            continue
        for at, to, name, mate in ((start, other, 0, 1), (other, start, 1, 0)):
            chrom, mate_chrom = ("chr1", "chr2") if name == 0 else ("chr2", "chr1")
            info = f"SVTYPE=BND;MATEID=e{i}:{mate}"
            alt = f"N[{mate_chrom}:{to}["
            rows.append(f"{chrom}\t{at}\te{i}:{name}\tN\t{alt}\t.\tPASS\t{info}\t{calls}\n")
    path.write_text(_META + meta + _COLUMNS + "".join(rows), "utf-8")


def write_segments(path: Path) -> None:
    """Segments of one genome as CNVkit writes them."""
    rng = np.random.default_rng(3)
    rows = ["chromosome\tstart\tend\tgene\tlog2\tdepth\tprobes\tweight\n"]
    for chrom in range(1, 23):
        edges = np.sort(rng.integers(10_000, 46_000_000, size=SEGMENTS // 22 + 1))
        rows += [
            f"chr{chrom}\t{low}\t{high}\t-\t{log2:.4f}\t80.1\t200\t150.2\n"
            for low, high, log2 in zip(
                edges[:-1], edges[1:], rng.normal(0, 0.4, len(edges) - 1), strict=True
            )
            if high > low
        ]
    path.write_text("".join(rows), "utf-8")


def write_counts(folder: Path, layout: str) -> list[Path]:
    """Count files of 60,000 genes: STAR's four columns, HTSeq's two, salmon's five."""
    rng = np.random.default_rng(4)
    genes = [f"ENSG{number:011d}.{number % 17 + 1}" for number in range(GENES)]
    paths = []
    for number in range(COUNT_FILES):
        counts = rng.negative_binomial(0.3, 0.001, GENES).tolist()
        pairs = zip(genes, counts, strict=True)
        match layout:
            case "star":
                head = "".join(f"N_{kind}\t5\t5\t5\n" for kind in
                               ("unmapped", "multimapping", "noFeature", "ambiguous"))  # fmt: skip
                rows = [f"{gene}\t{n}\t{n // 2}\t{n - n // 2}\n" for gene, n in pairs]
            case "htseq":
                head, rows = "", [f"{gene}\t{n}\n" for gene, n in pairs]
            case _:
                head = "Name\tLength\tEffectiveLength\tTPM\tNumReads\n"
                rows = [f"{gene}\t1000\t900.123\t{n * 1.013:.6f}\t{n:.3f}\n" for gene, n in pairs]
        paths.append(folder / f"{layout}_{number}.tsv")
        paths[-1].write_text(head + "".join(rows), "utf-8")
    return paths


def cpu_seconds(call: Callable[[], Any]) -> float:
    """CPU seconds of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def paired(ours: Callable[[], Any], other: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """Median CPU seconds of both, in turns, after one round that is not counted."""
    times = [(cpu_seconds(ours), cpu_seconds(other)) for _ in range(rounds + 1)][1:]
    first, second = zip(*times, strict=True)
    return statistics.median(first), statistics.median(second)


def bare_loop(path: Path) -> int:
    """What cyvcf2 takes to hand out each record and its reads."""
    return sum(
        len(record.REF) + len(record.ALT) + record.format("AD").shape[1]
        for record in cyvcf2.VCF(str(path))
    )


def measure_snv(folder: Path, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Records per second and core, of unannotated and annotated calls."""
    for annotated in (False, True):
        path = folder / "calls.vcf"
        write_calls(path, arguments.records, annotated=annotated)
        ours, theirs = paired(
            lambda path=path: snv.extract(path, reference_build="GRCh38"),
            lambda path=path: bare_loop(path),
            arguments.rounds,
        )
        yield {
            "benchmark": "snv_records",
            "annotated": annotated,
            "records": arguments.records,
            "ours_records_per_s": round(arguments.records / ours),
            "cyvcf2_records_per_s": round(arguments.records / theirs),
            "times_cyvcf2": round(theirs / ours, 2),
        }


def measure_events(folder: Path, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Structural variants and copy numbers of one genome, reference loaded before."""
    for name, write, extract in (
        ("sv_genome", write_events, sv.extract),
        ("cnv_genome", write_segments, cnv.extract),
    ):
        path = folder / f"{name}.{'vcf' if name == 'sv_genome' else 'cns'}"
        write(path)
        found = extract(path, reference_build="GRCh38")
        times = [
            cpu_seconds(lambda e=extract, p=path: e(p, reference_build="GRCh38"))
            for _ in range(arguments.rounds)
        ]
        yield {
            "benchmark": name,
            "records": found.records,
            "used": found.used,
            "seconds": round(statistics.median(times), 3),
        }


def measure_counts(folder: Path, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Count files of many patients against reading them with Polars."""
    for layout in ("star", "htseq", "salmon"):
        paths = write_counts(folder, layout)
        ours, theirs = [], []
        for patient in range(arguments.patients):
            path = paths[patient % len(paths)]
            ours.append(cpu_seconds(lambda p=path: quantification.extract(p, reference_build=None)))
            theirs.append(
                cpu_seconds(
                    lambda p=path, has=layout == "salmon": pl.read_csv(
                        p, separator="\t", has_header=has
                    )
                )
            )
        yield {
            "benchmark": "count_files",
            "layout": layout,
            "patients": arguments.patients,
            "genes": GENES,
            "ours_s": round(sum(ours), 2),
            "polars_s": round(sum(theirs), 2),
            "times_polars": round(statistics.median(ours) / statistics.median(theirs), 2),
        }
        for path in paths:
            path.unlink()


MEASUREMENTS = {"snv": measure_snv, "events": measure_events, "counts": measure_counts}


def main() -> None:
    """Run the measurements that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="|".join(MEASUREMENTS))
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.names or MEASUREMENTS:
            for line in MEASUREMENTS[name](Path(folder), arguments):
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

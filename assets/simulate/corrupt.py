"""Files that are wrong in the ways files are wrong, each with the error it must end in.

    patients, seed -> choose -> Corruption per patient -> damage (in place)

Six ways take turns; within a way the assays take turns. The samplesheet stays as it is: it does not
know. Readers refuse what is merely malformed and bound what is merely large, so the killing file is
neither: a record of valid VCF with many alternate alleles, and an annotation of millions of empty
transcripts, which belongs to each of them. Its 0.1 MB ask for tens of gigabytes at once.
"""

import gzip
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from assets.simulate.design import cohort_stream
from assets.simulate.patient import SyntheticPatient
from assets.simulate.vcf_files import write_bgzip
from oncoframe.contracts import Modality
from oncoframe.errors import (
    EmptyFile,
    ImpossibleValue,
    MissingSample,
    OncoFrameError,
    SettingsError,
    TruncatedFile,
    WorkerDied,
    WrongFormat,
)

#: Purpose of the cohort's random stream that chooses patients.
_CHOICE = 1
#: Alternate alleles of the killing record, and transcripts of its annotation (a byte each, so that
#: the line stays below 16 MiB). Together 30 GB in the address space, whatever a worker is given.
KILLING_ALLELES, KILLING_TRANSCRIPTS = 28, 15_000_000

_HTML = (
    "<!DOCTYPE html>\n<html><head><title>503 Service Unavailable</title></head>\n"
    "<body><h1>Service Unavailable</h1><p>The file server is down for maintenance.</p></body>"
    "</html>\n"
)


class Way(StrEnum):
    """How a file can be wrong, in the order in which the ways take turns."""

    TRUNCATED_GZIP = "truncated_gzip"
    WRONG_FORMAT = "wrong_format"
    EMPTY = "empty"
    NO_SAMPLES = "no_samples"
    IMPOSSIBLE_VALUE = "impossible_value"
    KILLS_WORKER = "kills_worker"


#: Way -> the error it must end in, and the assays whose files show it, in turn.
OUTCOMES: dict[Way, tuple[type[OncoFrameError], tuple[Modality, ...]]] = {
    Way.TRUNCATED_GZIP: (TruncatedFile, (Modality.SNV,)),
    Way.WRONG_FORMAT: (WrongFormat, (Modality.EXPRESSION, Modality.SNV, Modality.FUSION)),
    Way.EMPTY: (EmptyFile, (Modality.FUSION, Modality.EXPRESSION, Modality.SNV)),
    Way.NO_SAMPLES: (MissingSample, (Modality.SNV,)),
    Way.IMPOSSIBLE_VALUE: (ImpossibleValue, (Modality.EXPRESSION, Modality.SNV)),
    Way.KILLS_WORKER: (WorkerDied, (Modality.SNV,)),
}


@dataclass(frozen=True)
class Corruption:
    """One corrupt file: whose, which assay of the first specimen, how, and the error expected."""

    patient_index: int
    modality: Modality
    way: Way
    error: str


def choose(patients: Sequence[SyntheticPatient], number: int, seed: int) -> list[Corruption]:
    """Patients who get a corrupt file, and which.

    Only patients are eligible all of whose assays were performed at diagnosis, so that each of them
    ends with one bad assay among good ones.

    Raises
    ------
    SettingsError
        If the cohort has fewer such patients.
    """
    eligible = [
        patient.index
        for patient in patients
        if set(patient.specimens[0].statuses.values()) == {"performed"}
    ]
    if number > len(eligible):
        raise SettingsError(
            "too few patients to corrupt",
            where="corrupt",
            expected=f"at most {len(eligible)} of {len(patients)} patients",
            got=str(number),
        )
    chosen = cohort_stream(seed, _CHOICE).permutation(eligible)[:number]
    return sorted(
        (_corruption(int(index), turn) for turn, index in enumerate(chosen)),
        key=lambda corruption: corruption.patient_index,
    )


def damage(path: Path, corruption: Corruption) -> None:
    """Damage a good file in place; its index, if any, stays as it was."""
    match corruption.way:
        case Way.TRUNCATED_GZIP:
            content = path.read_bytes()
            path.write_bytes(content[: len(content) * 3 // 5])
        case Way.WRONG_FORMAT:
            path.write_text(_HTML, "utf-8")
        case Way.EMPTY:
            path.write_bytes(b"")
        case Way.NO_SAMPLES:
            write_bgzip(path, _without_samples(_text(path)))
        case Way.IMPOSSIBLE_VALUE if corruption.modality == Modality.SNV:
            write_bgzip(path, _impossible_reads(_text(path)))
        case Way.IMPOSSIBLE_VALUE:
            path.write_text(_negative_count(path.read_text("utf-8")), "utf-8")
        case Way.KILLS_WORKER:
            write_bgzip(path, _with_killing_record(_text(path)))


def _corruption(index: int, turn: int) -> Corruption:
    ways = list(Way)
    way = ways[turn % len(ways)]
    error, assays = OUTCOMES[way]
    modality = assays[turn // len(ways) % len(assays)]
    return Corruption(index, modality, way, error.__name__)


def _text(path: Path) -> str:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return stream.read()


def _without_samples(text: str) -> str:
    """Sites only: the eight columns that a VCF without genotypes has."""
    rows = (line if line.startswith("##") else "\t".join(line.split("\t")[:8])
            for line in text.splitlines())  # fmt: skip
    return "\n".join(rows) + "\n"


def _impossible_reads(text: str) -> str:
    """First believed call with negative reads and an allele fraction of 3.2."""
    lines = text.splitlines()
    row = next(n for n, line in enumerate(lines) if "\tPASS\t" in line)
    values = lines[row].split("\t")
    for column in range(9, len(values)):
        genotype, *_, forward, reverse = values[column].split(":")
        values[column] = f"{genotype}:-120,-39:3.200:-159:{forward}:{reverse}"
    lines[row] = "\t".join(values)
    return "\n".join(lines) + "\n"


def _negative_count(text: str) -> str:
    """A count below zero in the first gene that was read at all."""
    lines = text.splitlines()
    row = next(
        n
        for n, line in enumerate(lines)
        if not line.startswith(("N_", "__")) and line.split("\t")[1] != "0"
    )
    gene, *counts = lines[row].split("\t")
    lines[row] = "\t".join([gene, *(f"-{count}" for count in counts)])
    return "\n".join(lines) + "\n"


def _with_killing_record(text: str) -> str:
    """The calls and, after them, one whose annotation fills the memory."""
    *lines, last = text.splitlines()
    chrom, position, *_ = fixed_and_samples = last.split("\t")
    bases = itertools.product("ACGT", repeat=3)
    alternates = ["".join(codon) for codon in itertools.islice(bases, KILLING_ALLELES)]
    reads = ",".join(["9"] * (1 + KILLING_ALLELES))
    sample = f"0/1:{reads}:{9 * (1 + KILLING_ALLELES)}"
    record = [
        chrom, str(int(position) + 1), ".", "N", ",".join(alternates), ".", "PASS",
        "CSQ=" + "," * KILLING_TRANSCRIPTS, "GT:AD:DP", *[sample] * (len(fixed_and_samples) - 9),
    ]  # fmt: skip
    return "\n".join([*lines, last, "\t".join(record)]) + "\n"

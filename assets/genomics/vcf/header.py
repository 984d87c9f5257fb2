"""Header of a VCF: what its meta lines say about build and keys, and the names of its samples.

    text of the header -> parse_header -> VcfHeader -> build, contigs, declared keys

References
----------
The Variant Call Format specification, versions 4.1 to 4.4 (samtools/hts-specs).
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from oncoframe.errors import BadInput, MissingSample, TruncatedFile, WrongFormat
from oncoframe.reference.builds import (
    build_in_text,
    build_of_contigs,
    builds_of_accessions,
    normalise_build,
)
from oncoframe.textfiles import describe, unterminated

#: Columns of a VCF before the samples.
FIXED_COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")
#: Most meta lines and samples; an assembly with all its patches has some thousand contigs.
MAX_META_LINES, MAX_SAMPLES = 200_000, 100_000
#: Attributes of a contig, at most as long as they can be.
_CONTIG_NAME = re.compile(r"[<,]ID=([^,>]{1,100})")
_CONTIG_LENGTH = re.compile(r"[<,]length=(\d{1,10})\b")


@dataclass(frozen=True)
class VcfHeader:
    """Meta lines (with their ``##``) and sample names of a VCF, in file order."""

    meta: tuple[str, ...]
    samples: tuple[str, ...]

    @cached_property
    def contig_lengths(self) -> dict[str, int]:
        """Length of every contig whose meta line gives one, in base pairs."""
        lines = [line for line in self.meta if line.startswith("##contig=<")]
        found = ((_CONTIG_NAME.search(line), _CONTIG_LENGTH.search(line)) for line in lines)
        return {name[1]: int(length[1]) for name, length in found if name and length}

    def build(self) -> str | None:
        """Genome build by the lengths or accessions of the contigs, by ``##reference``, or None."""
        return self.told_build()[0]

    def told_build(self) -> tuple[str | None, str]:
        """Genome build or None, and what tells it: ``contigs`` or ``header``."""
        if self.contig_lengths:
            return build_of_contigs(self.contig_lengths), "contigs"
        names = (_CONTIG_NAME.search(line) for line in self.meta if line.startswith("##contig=<"))
        told = builds_of_accessions(name[1] for name in names if name)
        if len(told) == 1:
            return told.pop(), "contigs"
        lines = [line for line in self.meta if line.startswith(("##reference=", "##assembly="))]
        return build_in_text(" ".join(lines)), "header"

    def declares(self, kind: str, key: str) -> str | None:
        """Meta line that declares an ``INFO`` or ``FORMAT`` key, or None."""
        start = f"##{kind}=<ID={key},"
        return next((line for line in self.meta if line.startswith(start)), None)


def parse_header(
    text: bytes, path: Path, *, complete: bool, needs_sample: bool = True
) -> VcfHeader:
    """Header of a file from its text.

    Parameters
    ----------
    complete
        Whether a record follows; otherwise the file may be cut within its header.
    needs_sample
        Whether a header without samples is refused.

    Raises
    ------
    WrongFormat
        If it is not the header of a VCF 4, or too large for one.
    TruncatedFile
        If the file ends within it.
    MissingSample
        If it names no sample.
    """
    if max(text.count(b"\n##") / MAX_META_LINES, text.count(b"\t") / MAX_SAMPLES) > 1:
        raise WrongFormat(
            "the header is too long for a VCF",
            where=str(path),
            expected=f"at most {MAX_META_LINES} meta lines and {MAX_SAMPLES} samples",
        )
    lines = [line.decode("utf-8", errors="replace") for line in text.split(b"\n") if line]
    cut = not complete and unterminated(text)
    meta = tuple(line for line in lines if line.startswith("##"))
    version = re.match(r"##fileformat=(.*)", lines[0])
    if version and not re.match(r"VCFv4\.\d", version[1]):
        raise WrongFormat(
            "this version of VCF is not read", where=str(path), expected="VCFv4.1 to VCFv4.4"
        )
    titles = [line for line in lines if not line.startswith("##")]
    if not titles or not titles[-1].startswith("#CHROM"):
        if not version:
            raise WrongFormat("not a VCF file", where=str(path), got=describe(text[:4096]))
        kind: type[BadInput] = WrongFormat if complete else TruncatedFile
        raise kind("the header has no #CHROM line", where=str(path))
    if cut:
        raise TruncatedFile("the file ends within its header", where=str(path))
    columns = titles[-1].split("\t")
    fixed = len(FIXED_COLUMNS)
    if tuple(columns[:fixed]) != FIXED_COLUMNS[: len(columns)] or len(columns) < fixed - 1:
        raise WrongFormat(
            "the #CHROM line does not name the columns of a VCF",
            where=str(path),
            expected="columns separated by tabs",
        )
    samples = tuple(columns[fixed:])
    if needs_sample and not any(samples):
        raise MissingSample(
            "the header names no sample",
            where=str(path),
            expected="a genotype column of the tumour",
        )
    if len(set(samples)) < len(samples):
        raise WrongFormat("the header names a sample twice", where=str(path))
    return VcfHeader(meta=meta, samples=samples)


def check_build(path: Path, header: VcfHeader, reference_build: str | None) -> None:
    """Refuse a file whose contigs are of another build than its row says.

    Raises
    ------
    WrongFormat
        If both are known and differ.
    """
    said = normalise_build(reference_build)
    found = header.build()
    if said and found and said != found:
        raise WrongFormat(
            "the file is of another genome build than its row says",
            where=str(path),
            expected=said,
            got=found,
        )

"""BCF as the text that it stands for, so that the rules of VCF stand in one place.

    path -> text: its own lines
         -> BCF: lengths of all records -> htslib -> lines of VCF

htslib takes a BCF that ends between two blocks as a shorter one, so the lengths are walked first.
It also ends the process on some damaged records: this belongs in a worker that may die.

A file is read as a whole, with or without an index. What a region leaves out would look like
genes without a variant, and the calls of one tumour are read in seconds.

References
----------
The Variant Call Format specification, version 4.4 (samtools/hts-specs), section 6 "BCF
specification".
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from oncoframe.errors import TruncatedFile, WrongFormat
from oncoframe.textfiles import BLOCK_BYTES, MAX_LINE_BYTES, line_blocks, opened, read_some

#: Largest header; one of 10,000 contigs and 10,000 samples has about 1 MB.
MAX_HEADER_BYTES = 32 << 20

_BCF, _VERSION = b"BCF", b"\x02\x02"
_HEADER_LENGTH, _RECORD_LENGTHS = struct.Struct("<I"), struct.Struct("<II")


def vcf_blocks(path: Path) -> Iterator[bytes]:
    """Whole lines of a VCF or a BCF, in blocks.

    The lines of a BCF are those that ``bcftools view`` shows, numbered from its header on.

    Raises
    ------
    EmptyFile, TruncatedFile, WrongFormat, FileMissing, Unavailable
        See :func:`oncoframe.textfiles.line_blocks`; of a BCF, TruncatedFile also if it ends within
        a record, and WrongFormat if it is not of version 2.2, a record is too long, or htslib
        cannot read it.
    """
    with opened(path) as stream:
        is_bcf = read_some(stream, len(_BCF), path) == _BCF
        records = _count_records(stream, path) if is_bcf else 0
    return _lines_of_bcf(path, records) if is_bcf else line_blocks(path)


def _count_records(stream: BinaryIO, path: Path) -> int:
    """Records of a BCF behind its first bytes, by the lengths that it gives."""
    if _exactly(stream, len(_VERSION), path) != _VERSION:
        raise WrongFormat("this version of BCF is not read", where=str(path), expected="BCF 2.2")
    (length,) = _HEADER_LENGTH.unpack(_exactly(stream, _HEADER_LENGTH.size, path))
    if length > MAX_HEADER_BYTES:
        raise WrongFormat("the header is too long for a BCF", where=str(path))
    _exactly(stream, length, path)
    records = 0
    while head := read_some(stream, _RECORD_LENGTHS.size, path):
        head += _exactly(stream, _RECORD_LENGTHS.size - len(head), path)
        length = sum(_RECORD_LENGTHS.unpack(head))
        records += 1
        if length > MAX_LINE_BYTES:
            raise WrongFormat(
                "a record is too long for a call file",
                where=f"{path}, record {records}",
                expected=f"at most {MAX_LINE_BYTES >> 20} MiB",
            )
        _exactly(stream, length, path)
    return records


def _exactly(stream: BinaryIO, size: int, path: Path) -> bytes:
    found = read_some(stream, size, path)
    if len(found) < size:
        raise TruncatedFile("the file ends within a record or its header", where=str(path))
    return found


def _lines_of_bcf(path: Path, records: int) -> Iterator[bytes]:
    """Header and records as text, in blocks of about :data:`BLOCK_BYTES`."""
    lines: list[bytes] = []
    size = 0
    for line in _htslib_lines(path, records):
        lines.append(line)
        size += len(line)
        if size >= BLOCK_BYTES:
            yield b"".join(lines)
            lines, size = [], 0
    yield b"".join(lines)


def _htslib_lines(path: Path, records: int) -> Iterator[bytes]:
    import cyvcf2  # noqa: PLC0415  (0.1 s that text does not need)

    done = 0
    try:
        with cyvcf2.VCF(str(path)) as vcf:
            yield vcf.raw_header.encode()
            for record in vcf:
                line = str(record).encode()
                done += line.count(b"\n")
                yield line
    except Exception as error:
        # cyvcf2 has a bare Exception for most of what it cannot read.
        if not isinstance(error, OSError | UnicodeDecodeError) and type(error) is not Exception:
            raise
        raise _unreadable(path, done) from error
    if done != records:
        raise _unreadable(path, done)


def _unreadable(path: Path, done: int) -> WrongFormat:
    return WrongFormat(
        "the BCF cannot be read on",
        where=f"{path}, after {done} records",
        hint="It may be damaged, or its header lack a contig or key that a record names.",
    )

"""BCF of real files: what is read from it is what is read from the text."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cyvcf2
import pytest

from assets.genomics.cnv import reader as cnv
from assets.genomics.snv import reader as snv
from assets.genomics.sv import reader as sv
from assets.genomics.vcf.bcf import vcf_blocks
from oncoframe.errors import BadInput
from oncoframe.extraction import Extraction

pytestmark = pytest.mark.real_data

READERS: dict[str, Callable[..., Extraction]] = {
    "snv_vcf": snv.extract, "sv_vcf": sv.extract, "cnv_calls": cnv.extract,
}  # fmt: skip
#: Files that htslib does not read to their end, or whose records its writer refuses; and one whose
#: counts stand in columns of its own behind the samples, for which BCF has no place.
NOT_WRITTEN = {"manta-0.29.6.vcf", "manta-1.1.1.vcf", "colo829_somatic_novobreak.vcf"}


def said(extract: Callable[..., Extraction], path: Path) -> dict[str, Any] | str:
    """Account and values in a form that compares, or the kind of refusal."""
    try:
        found = extract(path, reference_build=None)
    except BadInput as error:
        return error.name
    account = (found.records, found.used, found.filtered, found.failed, found.sample)
    blocks = {
        name: block and (block.names.to_list(), repr(block.values.tolist()))
        for name, block in found.blocks.items()
    }
    return {"account": account, **found.features, **blocks}


def with_whole_header(source: Path, target: Path) -> int:
    """Copy the records of a VCF under a header of all contigs and keys, as BCF needs it."""
    with cyvcf2.VCF(str(source)) as vcf:
        records = sum(1 for _ in vcf)
        header = vcf.raw_header.encode()
    text = b"".join(vcf_blocks(source))
    lines = [line for line in text.splitlines(keepends=True) if not line.startswith(b"#")]
    target.write_bytes(header + b"".join(lines))
    return records


def files(real_data: Path) -> Iterator[Path]:
    for folder in READERS:
        yield from sorted((real_data / folder).glob("*.vcf*"))


def test_extract__says_of_a_bcf_what_it_says_of_its_text(real_data, tmp_path, write_bcf):
    text, binary = tmp_path / "calls.vcf", tmp_path / "calls.bcf"
    compared = 0
    for path in files(real_data):
        if path.name in NOT_WRITTEN:
            continue
        records = with_whole_header(path, text)
        write_bcf(text, binary)
        extract = READERS[path.parent.name]
        found = said(extract, text)
        assert said(extract, binary) == found, path.name
        assert isinstance(found, str) or found["account"][0] == records
        compared += 1
    assert compared > 30

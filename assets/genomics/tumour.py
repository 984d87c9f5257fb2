"""Which column of a VCF is the tumour.

    header -> tumour_sample -> index of the column

Callers name and order their samples differently; the rules stand in the order of their certainty.
"""

import re

from assets.genomics.vcf import VcfHeader

_TUMOUR = re.compile(
    r"tumou?r|cancer|primary|metasta|relapse|leuk(a)?emi|malignan|diagnosis|blast"
    r"|^case$|^t$|[-_.]t$|TCGA-\w{2}-\w{4}-0\d",
    re.IGNORECASE,
)
_NORMAL = re.compile(
    r"normal|germ_?line|control|remission|fibroblast|saliva|skin|^n$|[-_.]n$|TCGA-\w{2}-\w{4}-1\d",
    re.IGNORECASE,
)
_RNA = re.compile(r"(^|[-_.])rna", re.IGNORECASE)
_SAMPLE_KEYS = re.compile(r"##(?:tumor|tumour)_sample(?:_name)?=(.+)", re.IGNORECASE)
_NORMAL_KEY = re.compile(r"##normal_sample(?:_name)?=(.+)", re.IGNORECASE)
_DERIVED = re.compile(r"##PEDIGREE=<(?:ID|Derived)=([^,>]+),Original=([^,>]+)")


def tumour_sample(header: VcfHeader) -> int:
    """Index of the tumour among the samples.

    In this order: the only sample; ``##tumor_sample`` (Mutect2) or the other one of
    ``##normal_sample``; ``##PEDIGREE`` Derived; ``##SAMPLE`` metadata that says tumour; the only
    name that says tumour or that does not say normal (RNA after DNA, TCGA barcodes by their
    sample type); the last column, which is the tumour in VarScan, Strelka and Manta.
    """
    samples = header.samples
    if len(samples) == 1:
        return 0
    named = {
        key: _last_match(pattern, header.meta)
        for key, pattern in (("tumour", _SAMPLE_KEYS), ("normal", _NORMAL_KEY))
    }
    if named["tumour"] in samples:
        return samples.index(named["tumour"])
    if named["normal"] in samples and len(samples) == 2:  # noqa: PLR2004  # a pair
        return 1 - samples.index(named["normal"])
    for line in header.meta:
        if (match := _DERIVED.match(line)) and match[1] in samples:
            return samples.index(match[1])
    described = {name: f"{name} {_sample_text(header.meta, name)}" for name in samples}
    tumours = [name for name in samples if _TUMOUR.search(described[name])]
    tumours = [name for name in tumours if not _NORMAL.search(name)] or tumours
    not_normal = [name for name in samples if not _NORMAL.search(described[name])]
    for candidates in (tumours, not_normal):
        from_dna = [name for name in candidates if not _RNA.search(name)] or candidates
        if len(from_dna) == 1:
            return samples.index(from_dna[0])
    last = (tumours or not_normal or list(samples))[-1]
    return samples.index(last)


def _last_match(pattern: re.Pattern[str], meta: tuple[str, ...]) -> str | None:
    matches = [match[1].strip() for line in meta if (match := pattern.match(line))]
    return matches[-1] if matches else None


def _sample_text(meta: tuple[str, ...], name: str) -> str:
    start = f"##SAMPLE=<ID={name},"
    return next((line[len(start) :] for line in meta if line.startswith(start)), "")

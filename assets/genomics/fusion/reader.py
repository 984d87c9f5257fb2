"""Gene fusions of one patient: defining fusions, rearranged genes, partners, counts.

    fusion table -> calls -> the reason why a call does not count, or the call -> features

A table with only a header is a negative result: every flag is False, every count zero. A call
with one unknown partner (``KMT2A`` with ``.``) counts as a rearrangement of the other; where the
name is missing, fusions of that gene are unknown. So are the fusion and the genes of a call that
could not be read. Another call may show them.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from assets.genomics.fusion.formats import FusionCall, read_calls
from assets.genomics.panel.fusions import (
    DEFINING_FUSIONS,
    KINASES,
    REARRANGED_GENES,
    defining_pair,
    fusion_name,
)
from oncoframe.contracts import Block, Contract, Feature, Modality
from oncoframe.extraction import (
    BlockValues,
    Extraction,
    Facts,
    FeatureValue,
    named_build,
    names_called,
    refuse_nothing_usable,
)
from oncoframe.reference.active import reference_for
from oncoframe.reference.genes import current_symbol
from oncoframe.reference.tables import Reference
from oncoframe.samples import one_sample

#: Reads and read pairs that a call needs; where the table gives none, the call stands.
MIN_SUPPORTING_READS = 2

#: Reasons for which a call says nothing of the fusions of this tumour.
_SILENT = ("unreadable_reads", "unreadable_confidence", "other_sample", "no_partner_named")

_COUNT, _FLAG = pl.Int32(), pl.Boolean()

CONTRACT = Contract(
    table="fusion_features",
    modality=Modality.FUSION,
    description=(
        "Gene fusions called from RNA: fusions and rearrangements that define entities of blood "
        "cancers, number of fusions, supporting reads, fusions per partner gene."
    ),
    code_version="4",
    features=(
        Feature("fusion_count", _COUNT, "1", "different fusions"),
        Feature("fusion_defining_count", _COUNT, "1", "different fusions of the panel"),
        Feature("fusion_kinase_count", _COUNT, "1", "different fusions with a kinase gene"),
        Feature("fusion_in_frame_count", _COUNT, "1",
                "different fusions that keep the reading frame; null if the caller never tells"),
        Feature("fusion_max_reads", pl.Float64(), "reads",
                "most reads and pairs that support one call; null if the table gives none"),
        *(Feature(fusion_name(*pair), _FLAG, "1", f"{fusion_name(*pair)}, either product",
                  is_finding=True)
          for pair in DEFINING_FUSIONS),
        *(Feature(f"{gene}_rearranged", _FLAG, "1", f"{gene} fused with any or an unknown partner",
                  is_finding=True)
          for gene in REARRANGED_GENES),
    ),
    blocks=(Block("fusion_partner", "gene", "1", "fusions with the gene as a partner", fill=0.0),),
)  # fmt: skip


@dataclass(frozen=True)
class _Fusion:
    """A call that counts; an unknown partner is None, ``defining`` the panel's pair."""

    five: str | None
    three: str | None
    defining: tuple[str, str] | None
    reads: float | None
    in_frame: bool | None

    @property
    def genes(self) -> set[str]:
        return {gene for gene in (self.five, self.three) if gene}


def extract(path: Path, *, reference_build: str | None, sample: str | None = None) -> Extraction:
    """Features of the gene fusions in the table of a caller.

    Parameters
    ----------
    path
        Table with or without calls, plain or gzipped, of a caller of
        :data:`assets.genomics.fusion.layouts.LAYOUTS`.
    reference_build
        Build whose annotation knows the names and identifiers of the partners; GRCh38 if it is not
        known, because symbols do not depend on the build.
    sample
        The tumour, where the table holds several samples.

    Notes
    -----
    Reasons in the account, in the order in which they are asked: ``other_sample`` (the table holds
    several samples), ``unreadable_reads`` (failed), ``unreadable_confidence`` (failed; whether the
    caller believes the call is not told), ``no_partner_named``, ``same_gene``, ``low_confidence``
    (the caller itself doubts it), ``low_support`` (fewer than :data:`MIN_SUPPORTING_READS`),
    ``read_through`` (transcription into the next gene, unless the pair is a fusion of the panel,
    such as STIL::TAL1). Calls that count though one name is missing are counted in the notes
    (``missing_partners``).

    Raises
    ------
    EmptyFile, TruncatedFile, WrongFormat, ImpossibleValue
        See :func:`assets.genomics.fusion.formats.read_calls`.
    MissingSample, AmbiguousSample
        See :func:`oncoframe.samples.one_sample`.
    NothingUsable
        If there are calls, and none names a partner and can be read.
    """
    caller, calls = read_calls(path)
    names = list(dict.fromkeys(call.sample for call in calls if call.sample))
    own = one_sample(names, sample, path) if names else None
    filtered: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    reference = reference_for(reference_build) or reference_for("GRCh38")
    symbols = _symbols(calls, reference)
    fusions, unread, unnamed = [], [], []
    for call in calls:
        fusion = _fusion(call, symbols)
        if own is not None and call.sample != own:
            filtered["other_sample"] += 1
        elif failure := _failure(call):
            failed[failure] += 1
            unread.append(fusion)
        elif reason := _reason(call, fusion):
            filtered[reason] += 1
        else:
            fusions.append(fusion)
            if not call.is_named:
                unnamed.append(fusion)
    partners = _partners(fusions, unread)
    told = named_build(reference_build, reference.build if reference else None, "assumed")
    found = Extraction(
        records=len(calls),
        used=len(fusions),
        filtered=dict(filtered),
        failed=dict(failed),
        features=_scalars(fusions, unread, unnamed),
        blocks={"fusion_partner": partners},
        notes={"missing_partners": len(unnamed)} if unnamed else {},
        annotation_version=reference.label if reference else None,
        sample=own,
        facts=Facts((caller,), *told, measures=names_called([partners])),
    )
    return refuse_nothing_usable(found, path, _SILENT)


def _symbols(calls: Sequence[FusionCall], reference: Reference | None) -> dict[str, str]:
    """HGNC symbol of every partner; one that the annotation does not have keeps its name."""
    names = sorted({name for call in calls for name in (*call.five, *call.three)})
    written = pl.Series("name", names, dtype=pl.String)
    known = reference.symbols_of(written).to_list() if reference else [None] * len(names)
    pairs = zip(names, known, strict=True)
    return {name: symbol or current_symbol(name) for name, symbol in pairs}


def _fusion(call: FusionCall, symbols: dict[str, str]) -> _Fusion:
    """Take the panel's pair where overlapping genes leave a choice, else the likeliest genes."""
    fives, threes = ([symbols[name] for name in side] for side in (call.five, call.three))
    pairs = itertools.product(fives, threes)
    known = next((pair for pair in pairs if defining_pair(*pair)), None)
    five, three = known or (fives[0] if fives else None, threes[0] if threes else None)
    defining = defining_pair(*known) if known else None
    return _Fusion(five, three, defining, call.reads, call.in_frame)


def _failure(call: FusionCall) -> str | None:
    """Why nobody knows whether the call counts; None if it can be told."""
    if not call.readable:
        return "unreadable_reads"
    return "unreadable_confidence" if call.is_confident is None else None


def _reason(call: FusionCall, fusion: _Fusion) -> str | None:
    """First rule that leaves the call out, or None if it counts."""
    rules = {
        "no_partner_named": not fusion.genes,
        "same_gene": fusion.five == fusion.three,
        "low_confidence": not call.is_confident,
        "low_support": call.reads is not None and call.reads < MIN_SUPPORTING_READS,
        "read_through": call.is_read_through and not fusion.defining,
    }
    return next((reason for reason, applies in rules.items() if applies), None)


def _scalars(
    fusions: Sequence[_Fusion], unread: Sequence[_Fusion], unnamed: Sequence[_Fusion]
) -> dict[str, FeatureValue]:
    distinct = {(fusion.five, fusion.three): fusion for fusion in fusions}
    defining = {fusion.defining for fusion in fusions if fusion.defining}
    genes = {gene for fusion in fusions for gene in fusion.genes}
    frames = {(f.five, f.three): f.in_frame for f in fusions if f.in_frame is not None}
    in_frame = {(f.five, f.three) for f in fusions if f.in_frame}
    reads = [fusion.reads for fusion in fusions if fusion.reads is not None]
    halves = {gene for fusion in unnamed for gene in fusion.genes}
    maybe = {pair for pair in DEFINING_FUSIONS if halves.intersection(pair)}
    open_pairs = ({fusion.defining for fusion in unread} | maybe) - defining
    open_genes = {gene for fusion in unread for gene in fusion.genes} - genes
    return {
        "fusion_count": len(distinct),
        "fusion_defining_count": None if open_pairs - {None} else len(defining),
        "fusion_kinase_count": sum(bool(f.genes & KINASES) for f in distinct.values()),
        "fusion_in_frame_count": len(in_frame) if frames or not fusions else None,
        "fusion_max_reads": max(reads) if reads else (None if fusions else 0.0),
        **{fusion_name(*pair): None if pair in open_pairs else pair in defining
           for pair in DEFINING_FUSIONS},
        **{f"{gene}_rearranged": None if gene in open_genes else gene in genes
           for gene in REARRANGED_GENES},
    }  # fmt: skip


def _partners(fusions: Sequence[_Fusion], unread: Sequence[_Fusion]) -> BlockValues:
    """Different fusions per partner gene, genes in alphabetical order; NaN for unread partners."""
    distinct = {(fusion.five, fusion.three): fusion.genes for fusion in fusions}
    counts = Counter(gene for genes in distinct.values() for gene in genes)
    names = sorted({*counts, *(gene for fusion in unread for gene in fusion.genes)})
    values = np.array([counts.get(name, np.nan) for name in names], dtype=np.float32)
    return BlockValues(pl.Series("name", names, dtype=pl.String), values)

"""Features of structural variants: the columns and how they follow from the events.

events (one row per junction) -> scalars and vectors of one patient

Short events count for every gene they overlap. Long ones (from 5 Mb on) and translocations count
for the genes at their ends, and long ones besides for the bases they cover of bands and
chromosomes: a deletion of half an arm says nothing of its single genes that copy numbers do not
say better.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from assets.genomics.granularity import (
    LONG_EVENT_BP,
    Level,
    Places,
    band_level,
    bases_in,
    breakends_in,
    chromosome_level,
    gene_level,
)
from assets.genomics.panel.fusions import DEFINING_FUSIONS, fusion_name
from assets.genomics.sv.events import breakends_of
from assets.genomics.sv.joins import joined_pairs
from assets.genomics.sv.records import DEL, DUP, INS, INV, SINGLE, TRA
from oncoframe.contracts import Block, Contract, Feature, Modality
from oncoframe.extraction import BlockValues, FeatureValue
from oncoframe.reference.intervals import covering
from oncoframe.reference.tables import Reference

#: Type -> the word in the names of its features.
TYPES = {INS: "insertion", DEL: "deletion", DUP: "duplication", TRA: "translocation",
         INV: "inversion"}  # fmt: skip
_ALONG = {DEL: "deletion", DUP: "duplication", INV: "inversion"}
#: Class of length -> first length that is too long for it, in base pairs.
SIZES = {
    "under_1kb": 1_000,
    "1kb_10kb": 10_000,
    "10kb_100kb": 100_000,
    "100kb_1mb": 1_000_000,
    "1mb_5mb": LONG_EVENT_BP,
    "over_5mb": None,
}
_MB = 1e6
_COUNT = pl.Int32()


def _features() -> tuple[Feature, ...]:
    totals = (
        Feature("sv_events", _COUNT, "1", "structural variants, mates counted once"),
        *(Feature(f"sv_{word}s", _COUNT, "1", f"{word}s among them") for word in TYPES.values()),
        Feature("sv_single_breakends", _COUNT, "1",
                "breakends whose other side is not known; of none of the five types"),
        Feature("sv_long_events", _COUNT, "1",
                "deletions, duplications and inversions of 5 Mb or more"),
        Feature("sv_joins", _COUNT, "1", "different pairs of genes that are joined"),
        Feature("sv_chromosomes", _COUNT, "1", "chromosomes with a breakend"),
        Feature("sv_max_support_reads", pl.Float64(), "reads",
                "most reads and pairs that support one event; null if the file gives none"),
    )  # fmt: skip
    sizes = (
        Feature(f"sv_{word}s_{size}", _COUNT, "1", f"{word}s by length")
        for word in _ALONG.values()
        for size in SIZES
    )
    return (*totals, *sizes)


def _blocks() -> tuple[Block, ...]:
    genes = (
        Block(f"sv_{word}", "gene", "1", f"{word}s that overlap the gene or end in it", fill=0.0)
        for word in TYPES.values()
    )
    pairs = Block("sv_join", "gene_pair", "1", "junctions that join the two genes", fill=0.0)
    levels = (
        block
        for axis in ("band", "chromosome")
        for block in (
            Block(f"sv_{axis}_breakends", axis, "1", f"breakends in the {axis}", fill=0.0),
            *(Block(f"sv_{axis}_{word}_mb", axis, "Mb",
                    f"bases of the {axis} that {word}s of 5 Mb or more cover", fill=0.0)
              for word in _ALONG.values()),
        )
    )  # fmt: skip
    return (*genes, pairs, *levels)


CONTRACT = Contract(
    table="sv_features",
    modality=Modality.SV,
    description=(
        "Structural variants of the tumour: insertions, deletions, duplications, translocations "
        "and inversions per gene, gene pairs that they join, long events per band and chromosome."
    ),
    code_version="3",
    features=_features(),
    blocks=_blocks(),
)


def sv_scalars(events: pl.DataFrame, pairs: pl.DataFrame | None) -> dict[str, FeatureValue]:
    """Scalar features, every name of :data:`CONTRACT`.

    Parameters
    ----------
    events
        As :func:`assets.genomics.sv.events.events_of` returns them.
    pairs
        Joined genes of the junctions; None if the build is unknown.
    """
    first = events.filter("is_first")
    kinds = dict(first["type"].value_counts().iter_rows())
    support = events["support"].max()
    found: dict[str, FeatureValue] = {
        "sv_events": len(first),
        **{f"sv_{word}s": kinds.get(kind, 0) for kind, word in TYPES.items()},
        "sv_single_breakends": kinds.get(SINGLE, 0),
        "sv_long_events": len(_long(first)),
        "sv_joins": None if pairs is None else pairs["pair"].n_unique(),
        "sv_chromosomes": breakends_of(events)["chrom"].n_unique(),
        "sv_max_support_reads": float(support) if isinstance(support, int | float) else None,
    }
    for kind, word in _ALONG.items():
        lengths = first.filter(pl.col("type") == kind)["length"]
        shorter = 0
        for size, limit in SIZES.items():
            up_to = len(lengths) if limit is None else int((lengths < limit).sum())
            found[f"sv_{word}s_{size}"] = up_to - shorter
            shorter = up_to
    return found


def sv_blocks(
    events: pl.DataFrame,
    pairs: pl.DataFrame | None,
    reference: Reference | None,
    failed: pl.DataFrame | None = None,
) -> dict[str, BlockValues | None]:
    """Vectors over genes, gene pairs, bands and chromosomes, every block of :data:`CONTRACT`.

    Parameters
    ----------
    reference
        None if the build is unknown: no place can be named then.
    failed
        Alleles that could not be read (``chrom1``, ``pos1``, ``type``, null if that is unknown):
        genes at their places are unknown where no other event hits them.
    """
    if reference is None or pairs is None:
        return {block.name: None for block in CONTRACT.blocks}
    first = events.filter("is_first")
    genes = gene_level(reference)
    unknown = _genes_of_failed(failed, reference)
    found = {}
    for kind, word in TYPES.items():
        counted = _events_per_gene(first.filter(pl.col("type") == kind), genes)
        unread = [gene for gene, of in unknown.items() if of & {kind, None}]
        found[f"sv_{word}"] = _with_unknown(_block(genes, counted), unread)
    counts = pairs.group_by("pair").len().sort("pair")
    joined = BlockValues(counts["pair"], counts["len"].cast(pl.Float32).to_numpy())
    unread = [fusion_name(*pair) for pair in DEFINING_FUSIONS if unknown.keys() & {*pair}]
    found["sv_join"] = _with_unknown(joined, unread)
    # Both junctions of an inversion are at its two ends.
    ends = breakends_of(first)
    for level in (band_level(reference), chromosome_level(reference)):
        found[f"sv_{level.axis}_breakends"] = _block(level, breakends_in(level, ends))
        for kind, word in _ALONG.items():
            long = _long(first).filter(pl.col("type") == kind)
            covered = bases_in(level, Places(_spans(long)), np.ones(len(long))) / _MB
            found[f"sv_{level.axis}_{word}_mb"] = _block(level, covered)
    return dict(found)


def pairs_of(events: pl.DataFrame, reference: Reference | None) -> pl.DataFrame | None:
    """Gene pairs that the junctions join, None if the build is unknown."""
    if reference is None:
        return None
    junctions = events.filter(~pl.col("type").is_in([INS, SINGLE]))
    return joined_pairs(junctions, reference)


def _long(events: pl.DataFrame) -> pl.DataFrame:
    return events.filter(pl.col("type").is_in(list(_ALONG)) & (pl.col("length") >= LONG_EVENT_BP))


def _spans(events: pl.DataFrame) -> pl.DataFrame:
    """Bases that events change: those behind the first place (POS is the base before)."""
    return events.select(
        pl.col("chrom1").alias("chrom"),
        (pl.col("pos1") + 1).alias("start"),
        pl.max_horizontal(pl.col("pos1") + 1, "pos2").alias("end"),
    )


def _events_per_gene(events: pl.DataFrame, genes: Level) -> np.ndarray:
    """Events of one type per gene: those that overlap it, or if long, that end in it."""
    along = pl.col("type").is_in(list(_ALONG))
    short = _spans(events.filter(along & (pl.col("length") < LONG_EVENT_BP)))
    others = events.filter(~along | (pl.col("length") >= LONG_EVENT_BP))
    joins = others.filter(~pl.col("type").is_in([INS, SINGLE]))
    one, two = (
        others.select(pl.col("chrom1").alias("chrom"), start="pos1", end="pos1"),
        joins.select(pl.col("chrom2").alias("chrom"), start="pos2", end="pos2"),
    )
    # No gene is so long that both ends of a long event lie in it.
    counts: np.ndarray = sum(
        (_overlaps(genes, places) for places in (short, one, two)), np.zeros(len(genes.table))
    )
    return counts


def _overlaps(genes: Level, places: pl.DataFrame) -> np.ndarray:
    counts = np.zeros(len(genes.table))
    on = Places(places).on
    for chrom, (rows, first, last) in genes.places.on.items():
        if chrom in on:
            counts[rows] = covering(on[chrom][1], on[chrom][2], first, last)
    return counts


def _block(level: Level, values: np.ndarray) -> BlockValues:
    some = values > 0
    names = level.table["name"].filter(pl.Series(some))
    return BlockValues(names, values[some].astype(np.float32))


def _genes_of_failed(
    failed: pl.DataFrame | None, reference: Reference
) -> dict[str, set[str | None]]:
    """Gene at the place of an allele that could not be read -> types it may be of."""
    if failed is None or failed.is_empty():
        return {}
    places = failed.select(pl.col("chrom1").alias("chrom"), start="pos1", end="pos1")
    types = failed["type"].to_list()
    found: dict[str, set[str | None]] = {}
    for row, gene in reference.genes_at(places).select("row", "symbol").iter_rows():
        found.setdefault(gene, set()).add(types[row])
    return found


def _with_unknown(block: BlockValues, names: Sequence[str]) -> BlockValues:
    """The block with NaN for further names, for which nobody knows."""
    more = sorted({*names}.difference(block.names))
    if not more:
        return block
    values = np.append(block.values, np.full(len(more), np.nan, dtype=np.float32))
    return BlockValues(pl.concat([block.names, pl.Series(more, dtype=pl.String)]), values)

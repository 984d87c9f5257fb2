"""From alleles to events: mates joined, duplicates left out, reciprocal inversions made one.

    alleles -> junctions (two mates are one) -> events (two junctions of an inversion are one)

Mates are found by their places, because ids repeat in merged files; where the places of two mates
differ, by their ids, if those are unique. A junction stands if neither mate is filtered; a mate
that is not in the file is no loss, because a breakend names both places. A balanced translocation
has two junctions and counts as two. What is chosen among several records is chosen by what they
say, never by their order in the file.
"""

import polars as pl

from assets.genomics.sv.records import INS, INV, SINGLE
from oncoframe.reference.builds import CHROMOSOMES

#: Bases by which the places of the two junctions of one inversion may differ.
RECIPROCAL_BP = 1_000

_ORDER = {name: number for number, name in enumerate(CHROMOSOMES)}
_KEY = ("type", "first", "pos_first", "second", "pos_second", "sides_ordered")


def with_events(alleles: pl.DataFrame) -> pl.DataFrame:
    """Alleles with the event each belongs to.

    Parameters
    ----------
    alleles
        As :func:`assets.genomics.sv.records.with_structure` returns them.

    Returns
    -------
    The rows with ``event`` (number; null where there is a reason), the places in the order of the
    genome (``first``, ``pos_first``, ``second``, ``pos_second``, ``sides_ordered``), ``rank`` (the
    lowest of a junction speaks for it), and in ``reason`` also ``mate_filtered`` and
    ``duplicate_record``.
    """
    ranked = _ranked(_ordered(alleles.with_row_index("row")))
    joined = _joined_by_id(ranked.with_columns(junction=_junction_key()))
    judged = _without_filtered_mates(joined)
    judged = _without_duplicates(judged)
    return _numbered(judged).sort("row").drop("row")


def events_of(alleles: pl.DataFrame) -> pl.DataFrame:
    """One row per event and junction: places, type, sides, largest support.

    Returns
    -------
    ``event``, ``type``, ``chrom1``, ``pos1``, ``chrom2``, ``pos2`` (in the order of the genome),
    ``sides``, ``length``, ``support``, ``is_first`` (first junction of its event).
    """
    used = alleles.filter(pl.col("reason").is_null()).sort("rank")
    junctions = used.group_by("event", "junction", maintain_order=True).agg(
        pl.col("type").first(),
        pl.col("first").first().alias("chrom1"),
        pl.col("pos_first").first().alias("pos1"),
        pl.col("second").first().alias("chrom2"),
        pl.col("pos_second").first().alias("pos2"),
        pl.col("sides_ordered").first().alias("sides"),
        pl.col("length").max(),
        pl.col("support").max(),
    )
    return junctions.with_columns(is_first=pl.col("event").is_first_distinct())


def _ordered(alleles: pl.DataFrame) -> pl.DataFrame:
    """Places in the order of the genome, sides along with them."""
    rank = {
        name: pl.col(name).replace_strict(_ORDER, default=len(_ORDER), return_dtype=pl.Int32)
        for name in ("chrom1", "chrom2")
    }
    # On contigs without a rank the name decides; such alleles have a reason anyway.
    is_back = (rank["chrom1"] > rank["chrom2"]) | (
        (rank["chrom1"] == rank["chrom2"])
        & ((pl.col("chrom1") > pl.col("chrom2"))
           | ((pl.col("chrom1") == pl.col("chrom2")) & (pl.col("pos1") > pl.col("pos2"))))
    ) | (_is_loop() & (pl.col("sides") == "+-"))  # fmt: skip
    is_back = is_back.fill_null(value=False)
    turned = pl.concat_str(pl.col("sides").str.slice(1, 1), pl.col("sides").str.head(1))
    return alleles.with_columns(
        is_back=is_back,
        first=pl.when(is_back).then("chrom2").otherwise("chrom1"),
        pos_first=pl.when(is_back).then("pos2").otherwise("pos1"),
        second=pl.when(is_back).then("chrom1").otherwise("chrom2"),
        pos_second=pl.when(is_back).then("pos1").otherwise("pos2"),
        sides_ordered=pl.when(is_back).then(turned).otherwise("sides"),
    )


def _is_loop() -> pl.Expr:
    """Whether a place is joined with itself: its base is there twice (``+-``), or turned."""
    return (pl.col("pos1") == pl.col("pos2")) & (pl.col("chrom1") == pl.col("chrom2"))


def _ranked(alleles: pl.DataFrame) -> pl.DataFrame:
    """Rows by what they say: of two mates the one whose place comes first, then the best seen."""
    by = ("is_back", "pos_first", "pos_second", "sides_ordered", "type", "length", "support")
    return alleles.sort(
        by, descending=[name == "support" for name in by], nulls_last=True
    ).with_row_index("rank")


def _junction_key() -> pl.Expr:
    # Insertions at one place differ by their length.
    inserted = pl.when(pl.col("type") == INS).then("length")
    return pl.struct(*_KEY, inserted.alias("inserted")).hash()


def _joined_by_id(alleles: pl.DataFrame) -> pl.DataFrame:
    """Give mates whose places differ the junction of the one that ranks first."""
    alone = pl.len().over("junction") == 1
    candidates = alleles.filter(pl.col("is_breakend") & alone & (pl.col("id") != ".")).select(
        "rank", "id", "mate", "chrom1", "chrom2", "junction"
    )
    unique = candidates.filter(pl.len().over("id") == 1)
    # It is enough that one of the two names the other.
    found = unique.filter(pl.col("mate") != pl.col("id")).join(
        unique, left_on="mate", right_on="id", suffix="_mate"
    )
    found = found.filter(
        (pl.col("id") == pl.col("mate_mate").fill_null(pl.col("id")))
        & (pl.col("chrom1") == pl.col("chrom2_mate"))
        & (pl.col("chrom2") == pl.col("chrom1_mate"))
    ).filter(pl.len().over("mate") == 1)
    pairs = found.select(
        pl.max_horizontal("rank", "rank_mate").alias("rank"),
        pl.when(pl.col("rank") < pl.col("rank_mate")).then("junction").otherwise("junction_mate")
        .alias("found"),
    ).unique()  # fmt: skip
    return alleles.join(pairs, on="rank", how="left", maintain_order="left").with_columns(
        pl.coalesce("found", "junction").alias("junction"),
        by_id=pl.col("found").is_not_null(),
    ).drop("found")  # fmt: skip


def _without_filtered_mates(alleles: pl.DataFrame) -> pl.DataFrame:
    """A junction one of whose mates the caller does not believe does not stand."""
    doubted = (pl.col("reason").is_not_null() & pl.col("is_breakend")).any().over("junction")
    fine = pl.col("reason").is_null() & pl.col("is_breakend")
    # A second, believed record of the same side makes up for a doubted one.
    sides = pl.when(pl.col("reason").is_null()).then("is_back").n_unique().over("junction")
    has_both = (pl.col("reason").is_null().sum().over("junction") > 1) & (sides > 1)
    return alleles.with_columns(
        pl.when(fine & doubted & ~has_both).then(pl.lit("mate_filtered")).otherwise("reason")
        .alias("reason")
    )  # fmt: skip


def _without_duplicates(alleles: pl.DataFrame) -> pl.DataFrame:
    """Of a junction count one breakend of each side, or one other allele."""
    fit = pl.col("reason").is_null()
    # Both breakends of a place that is turned stand on one side.
    is_turned = _is_loop() & pl.col("sides").is_in(["++", "--"])
    allowed = pl.when(pl.col("is_breakend") & (is_turned | pl.col("by_id"))).then(2).otherwise(1)
    number = fit.cast(pl.UInt32).cum_sum().over("junction", "is_breakend", "is_back")
    marked = alleles.with_columns(
        pl.when(fit & (number > allowed)).then(pl.lit("duplicate_record")).otherwise("reason")
        .alias("reason")
    )  # fmt: skip
    # A caller that writes an event both as breakends and by a symbol means it once.
    both = pl.col("is_breakend").filter(pl.col("reason").is_null()).any().over("junction")
    again = pl.col("reason").is_null() & ~pl.col("is_breakend") & both
    return marked.with_columns(
        pl.when(again).then(pl.lit("duplicate_record")).otherwise("reason").alias("reason")
    )


def _numbered(alleles: pl.DataFrame) -> pl.DataFrame:
    """Numbers of events; the two junctions of a reciprocal inversion share theirs."""
    used = alleles.filter(pl.col("reason").is_null())
    junctions = used.unique("junction", keep="first", maintain_order=True).with_row_index("event")
    inversions = junctions.filter(pl.col("type") == INV)
    open_left = inversions.filter(pl.col("sides_ordered") == "++").sort("pos_first", "pos_second")
    open_right = inversions.filter(pl.col("sides_ordered") == "--").sort("pos_first", "pos_second")
    pairs = open_right.join_asof(
        open_left.select("first", "pos_first", pl.col("pos_second").alias("other_end"),
                         pl.col("event").alias("partner")),
        on="pos_first", by="first", strategy="nearest", tolerance=RECIPROCAL_BP,
        check_sortedness=False,
    ).filter((pl.col("pos_second") - pl.col("other_end")).abs() <= RECIPROCAL_BP)  # fmt: skip
    pairs = pairs.unique("partner", keep="first", maintain_order=True)
    shared = dict(pairs.select("event", "partner").iter_rows())
    events = junctions.select("junction", pl.col("event").replace(shared)) if shared else (
        junctions.select("junction", "event")
    )  # fmt: skip
    numbered = alleles.join(events, on="junction", how="left")
    return numbered.with_columns(pl.when(pl.col("reason").is_null()).then("event").alias("event"))


def breakends_of(events: pl.DataFrame) -> pl.DataFrame:
    """Breakends of the junctions (``chrom``, ``pos``): one of an insertion, two of a join."""
    both = events.filter(~pl.col("type").is_in([INS, SINGLE]))
    return pl.concat(
        part.select("event", "type", pl.col(chrom).alias("chrom"), pl.col(pos).alias("pos"))
        for part, chrom, pos in ((events, "chrom1", "pos1"), (both, "chrom2", "pos2"))
    )

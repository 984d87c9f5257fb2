"""Gene pairs that structural variants join, named as fusions are.

    junctions -> gene at either place -> A::B, 5' partner first

With the strand of a gene, the side of a place that stays says which end of the gene stays: a join
of one gene's 5' end with another's 3' end can be transcribed and is named in that order. Other
joins of a pair of the panel have the panel's order, all others that of the alphabet, the antigen
receptor locus first. Where genes overlap, a pair of the panel is meant, else a coding gene.
"""

from collections.abc import Sequence

import polars as pl

from assets.genomics.panel.fusions import defining_pair, fusion_name
from oncoframe.reference.tables import LOCUS, Reference

#: Genes that an enhancer near them switches on without a fusion, WHO 2022 and ICC 2022.
HIJACKED_GENES = (
    "BCL2", "BCL3", "BCL6", "BCL9", "BCL10", "BCL11B", "CCND1", "CCND2", "CCND3", "CDK6", "CEBPA",
    "CEBPB", "CEBPD", "CEBPE", "CRLF2", "DUX4", "EPOR", "FCRL4", "FGFR3", "FOXP1", "ID4", "IL3",
    "IRF4", "IRF8", "LHX4", "LMO1", "LMO2", "LYL1", "MAF", "MAFA", "MAFB", "MALT1", "MECOM", "MYB",
    "MYC", "NKX2-1", "NSD2", "OLIG2", "PAX5", "SPI1", "TAL1", "TAL2", "TLX1", "TLX3", "ZNF384",
)  # fmt: skip
#: Farthest place from such a gene, in base pairs: MYC is moved from 340 kb away (Walker et al.,
#: Blood Cancer J 2014;4), CCND1 from 400 kb.
HIJACK_BP = 500_000


def joined_pairs(junctions: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Gene pair of each junction that joins two genes.

    Parameters
    ----------
    junctions
        ``event``, ``chrom1``, ``pos1``, ``chrom2``, ``pos2``, ``sides`` (may be null).

    Returns
    -------
    ``event`` and ``pair`` (``BCR::ABL1``), one row per junction and in their order.
    """
    at = [
        _symbols(reference, junctions.select(pl.col(f"chrom{n}").alias("chrom"),
                                             pl.col(f"pos{n}").alias("pos")))
        for n in (1, 2)
    ]  # fmt: skip
    loci = set(reference.genes.filter(pl.col("biotype") == LOCUS)["symbol"])
    hijacked = _Hijacked(reference)
    rows = []
    places = junctions.select("event", "chrom1", "pos1", "chrom2", "pos2", "sides").rows()
    for index, (event, chrom1, pos1, chrom2, pos2, sides) in enumerate(places):
        first, second = at[0].get(index, []), at[1].get(index, [])
        if loci & {*first} and not loci & {*second}:
            second = hijacked.at(chrom2, pos2, second)
        elif loci & {*second} and not loci & {*first}:
            first = hijacked.at(chrom1, pos1, first)
        chosen = _chosen(first, second)
        if chosen:
            rows.append((event, _name(chosen, sides, reference.strands, loci)))
    return pl.DataFrame(rows, schema={"event": pl.UInt32(), "pair": pl.String()}, orient="row")


def _symbols(reference: Reference, places: pl.DataFrame) -> dict[int, list[str]]:
    """Position of a place -> genes at it, coding ones first."""
    points = places.select("chrom", pl.col("pos").alias("start"), pl.col("pos").alias("end"))
    found: dict[int, list[str]] = {}
    for row, symbol in reference.genes_at(points).select("row", "symbol").iter_rows():
        found.setdefault(row, []).append(symbol)
    return found


class _Hijacked:
    """Genes that an enhancer near a place may switch on."""

    def __init__(self, reference: Reference) -> None:
        genes = reference.genes.filter(pl.col("symbol").is_in(HIJACKED_GENES))
        self._on: dict[str, list[tuple[int, int, str]]] = {}
        for chrom, start, end, symbol in genes.select("chrom", "start", "end", "symbol").rows():
            self._on.setdefault(chrom, []).append((start, end, symbol))

    def at(self, chrom: str, pos: int, there: list[str]) -> list[str]:
        """Such genes at a place, else the nearest one, else the genes that are there."""
        if known := [symbol for symbol in there if symbol in HIJACKED_GENES]:
            return known
        distances = sorted(
            (max(start - pos, pos - end), symbol) for start, end, symbol in self._on.get(chrom, [])
        )
        close = [symbol for distance, symbol in distances if distance <= HIJACK_BP]
        return close[:1] or there


def _chosen(first: Sequence[str], second: Sequence[str]) -> tuple[str, str] | None:
    pairs = [(one, two) for one in first for two in second if one != two]
    if not pairs or set(first) & set(second):
        # Both places lie in one gene: it is broken, and joined with nothing.
        return None
    return next((pair for pair in pairs if defining_pair(*pair)), pairs[0])


def _name(pair: tuple[str, str], sides: str | None, strands: dict[str, str], loci: set[str]) -> str:
    one, two = pair
    if loci & {one, two}:
        return fusion_name(*sorted(pair, key=lambda symbol: (symbol not in loci, symbol)))
    if sides is not None and one in strands and two in strands:
        keeps_five = [side == strands[gene] for side, gene in zip(sides, pair, strict=True)]
        if keeps_five[0] != keeps_five[1]:
            return fusion_name(one, two) if keeps_five[0] else fusion_name(two, one)
    return fusion_name(*(defining_pair(*pair) or sorted(pair)))

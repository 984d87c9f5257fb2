"""Names of genome builds and chromosomes, as files write them and as we do.

"hg19", "chr7" -> normalise_build, chromosome_name -> "GRCh37", "7"

References
----------
Genome Reference Consortium, GRCh37.p13 and GRCh38.p14, with the RefSeq accessions of their
chromosomes (``data/refseq.tsv``); Nurk et al., Science 2022 (T2T-CHM13).
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

import polars as pl

GRCH37, GRCH38, CHM13 = "GRCh37", "GRCh38", "T2T-CHM13v2"
#: Builds with genes and bands.
BUILDS = (GRCH37, GRCH38)
#: Chromosomes in the order of a karyotype, without the mitochondrial one.
CHROMOSOMES = (*(str(number) for number in range(1, 23)), "X", "Y")
MITOCHONDRION = "MT"

_NAMES = {
    "hg19": GRCH37,
    "grch37": GRCH37,
    "b37": GRCH37,
    "hs37d5": GRCH37,
    "hs37": GRCH37,
    "g1k_v37": GRCH37,
    "human_g1k_v37": GRCH37,
    "hg38": GRCH38,
    "grch38": GRCH38,
    "hs38": GRCH38,
    "hs38dh": GRCH38,
    "b38": GRCH38,
    "chm13": CHM13,
    "t2t-chm13v2": CHM13,
    "hs1": CHM13,
}
_PATCH = re.compile(r"[.]p\d+$|[.]0$")
_IN_TEXT = re.compile(
    r"(?<![a-z0-9])(hg19|grch37|b37|hs37d5|g1k_v37|hg38|grch38|hs38dh|chm13)(?![0-9])",
    re.IGNORECASE,
)

#: Chromosome -> length in base pairs -> build. One chromosome tells; a file may lack some.
CHROMOSOME_LENGTHS: dict[str, dict[int, str]] = {
    "1": {249250621: GRCH37, 248956422: GRCH38, 248387328: CHM13},
    "2": {243199373: GRCH37, 242193529: GRCH38, 242696752: CHM13},
    "3": {198022430: GRCH37, 198295559: GRCH38, 201105948: CHM13},
    "4": {191154276: GRCH37, 190214555: GRCH38, 193574945: CHM13},
    "5": {180915260: GRCH37, 181538259: GRCH38, 182045439: CHM13},
    "6": {171115067: GRCH37, 170805979: GRCH38, 172126628: CHM13},
    "7": {159138663: GRCH37, 159345973: GRCH38, 160567428: CHM13},
    "8": {146364022: GRCH37, 145138636: GRCH38, 146259331: CHM13},
    "9": {141213431: GRCH37, 138394717: GRCH38, 150617247: CHM13},
    "10": {135534747: GRCH37, 133797422: GRCH38, 134758134: CHM13},
    "11": {135006516: GRCH37, 135086622: GRCH38, 135127769: CHM13},
    "12": {133851895: GRCH37, 133275309: GRCH38, 133324548: CHM13},
    "13": {115169878: GRCH37, 114364328: GRCH38, 113566686: CHM13},
    "14": {107349540: GRCH37, 107043718: GRCH38, 101161492: CHM13},
    "15": {102531392: GRCH37, 101991189: GRCH38, 99753195: CHM13},
    "16": {90354753: GRCH37, 90338345: GRCH38, 96330374: CHM13},
    "17": {81195210: GRCH37, 83257441: GRCH38, 84276897: CHM13},
    "18": {78077248: GRCH37, 80373285: GRCH38, 80542538: CHM13},
    "19": {59128983: GRCH37, 58617616: GRCH38, 61707364: CHM13},
    "20": {63025520: GRCH37, 64444167: GRCH38, 66210255: CHM13},
    "21": {48129895: GRCH37, 46709983: GRCH38, 45090682: CHM13},
    "22": {51304566: GRCH37, 50818468: GRCH38, 51324926: CHM13},
    "X": {155270560: GRCH37, 156040895: GRCH38, 154259566: CHM13},
}


def normalise_build(name: str | None) -> str | None:
    """Name of a build as we write it; None for none, an unknown one as it is.

    ``hg19``, ``b37``, ``hs37d5``, ``GRCh37.p13`` -> ``GRCh37``; ``hg38``, ``GRCh38`` -> ``GRCh38``.
    """
    if name is None or not name.strip():
        return None
    return _NAMES.get(_PATCH.sub("", name.strip().lower()), name.strip())


def build_in_text(text: str) -> str | None:
    """The one build that a header line names (``##reference=.../hg38.fa``), or None."""
    found = {_NAMES[match.lower()] for match in _IN_TEXT.findall(text)}
    return found.pop() if len(found) == 1 else None


def build_of_contigs(lengths: Mapping[str, int]) -> str | None:
    """Build whose chromosomes have these lengths, or None if none or several do.

    Parameters
    ----------
    lengths
        Contig as the file names it -> length in base pairs.
    """
    found = {
        build
        for name, length in lengths.items()
        if (build := CHROMOSOME_LENGTHS.get(chromosome_name(name), {}).get(length))
    }
    return found.pop() if len(found) == 1 else None


def builds_of_accessions(names: Iterable[str]) -> set[str]:
    """Builds whose RefSeq accessions (``NC_000017.11``) are among the names.

    The mitochondrion has one accession in both builds and tells nothing.
    """
    known = _accessions()
    told = (known[name][1] for name in names if name in known)
    return {build for builds in told if len(builds) == 1 for build in builds}


def chromosome_name(name: str) -> str:
    """Name of a chromosome without ``chr``; ``MT`` for the mitochondrial one, others as they are.

    RefSeq accessions of GRCh37 and GRCh38 are translated. PLINK and Illumina number the sex
    chromosomes 23 and 24; no assembly has such contigs.
    """
    if name.startswith("NC_"):
        return _accessions()[name][0] if name in _accessions() else name
    bare = name[3:] if name[:3].lower() == "chr" else name
    bare = bare.upper() if len(bare) <= 2 else bare  # noqa: PLR2004  # x, y, m, mt
    return {"M": MITOCHONDRION, "23": "X", "24": "Y"}.get(bare, bare)


def chromosome_names(names: pl.Series) -> pl.Series:
    """As :func:`chromosome_name`, of every element."""
    known = {name: chromosome_name(name) for name in names.unique().drop_nulls()}
    if not known:
        return names.cast(pl.String)
    return names.replace_strict(known, return_dtype=pl.String)


@cache
def _accessions() -> dict[str, tuple[str, frozenset[str]]]:
    """RefSeq accession -> chromosome and the builds that it is of."""
    text = files("oncoframe.reference").joinpath("data/refseq.tsv").read_text("utf-8")
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for line in text.splitlines()[1:]:
        chrom, *names = line.split("\t")
        for build, name in zip(BUILDS, names, strict=True):
            others = found[name][1] if name in found else frozenset()
            found[name] = (chrom, others | {build})
    return found

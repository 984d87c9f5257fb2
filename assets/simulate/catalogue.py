"""What the synthetic cohort is drawn from: entities, mutable genes, fusions, expression programs.

    data/*.yaml -> catalogue -> plan (who has what) -> patient -> files

The values live in the data files, their meaning is said there; here is only their shape, and how
a variant is drawn somewhere in a gene: the right gene and a plausible change, not a real base.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import yaml

#: Seed of what all cohorts share (base expression of a gene); changing it changes every file.
_SHARED_SEED = 2022
#: Share of the patients of an entity that show the picture of a lookalike instead.
LOOKALIKE_SHARE = 0.06


@dataclass(frozen=True)
class Variant:
    """One variant as VCF and VEP write it; positions on GRCh38."""

    gene: str
    chrom: str
    pos: int
    ref: str
    alt: str
    hgvsc: str
    hgvsp: str
    consequence: str


@dataclass(frozen=True)
class Stretch:
    """Part of a gene in which variants are drawn, with the residues at its two ends."""

    gene: str
    chrom: str
    start: int
    end: int
    first_residue: int
    last_residue: int
    kind: str


@dataclass(frozen=True)
class Target:
    """What a biomarker of the catalogue mutates: known variants, a stretch of the gene, or both."""

    gene: str
    hotspots: tuple[Variant, ...]
    weights: tuple[float, ...]
    scatter: Stretch | None


@dataclass(frozen=True)
class Fusion:
    """A fusion transcript; breakpoints as ``chromosome:position:strand``."""

    name: str
    left: str
    right: str

    @property
    def partners(self) -> tuple[str, str]:
        """Gene symbols, 5' first."""
        left, right = self.name.split("::")
        return left, right


@dataclass(frozen=True)
class Entity:
    """One diagnosis and what its patients look like; fields as in ``entities.yaml``."""

    key: str
    name: str
    weight: float
    lookalikes: tuple[str, ...]
    age: tuple[float, float]
    female: float
    labs: dict[str, tuple[float, float]]
    mutations: dict[str, float]
    fusions: dict[str, float]
    karyotype: dict[str, float]
    programs: dict[str, float]
    genes: dict[str, float]


@dataclass(frozen=True)
class Transcriptome:
    """Genes of the synthetic RNA-seq.

    Parameters
    ----------
    genes
        Symbols, sorted.
    base : (genes,) array of float
        Expression of a normal marrow, log2.
    programs
        Program -> positions of its genes.
    weights : (genes,) array of float
        How strongly a gene follows its program.
    female, male
        Positions of sex-linked genes.
    """

    genes: tuple[str, ...]
    base: np.ndarray
    programs: dict[str, np.ndarray]
    weights: np.ndarray
    female: np.ndarray
    male: np.ndarray


@cache
def entities() -> tuple[Entity, ...]:
    """Entities, most frequent first."""
    return tuple(
        Entity(
            key=entry["key"],
            name=entry["name"],
            weight=entry["weight"],
            lookalikes=tuple(entry["lookalikes"]),
            age=(entry["age"][0], entry["age"][1]),
            female=entry["female"],
            labs={name: (a, b) for name, (a, b) in entry["labs"].items()},
            mutations=entry["mutations"],
            fusions=entry.get("fusions", {}),
            karyotype=entry.get("karyotype", {}),
            programs=entry["programs"],
            genes=entry.get("genes", {}),
        )
        for entry in _read("entities")["entities"]
    )


@cache
def targets() -> dict[str, Target]:
    """Mutable targets by name."""
    return {name: _target(name, entry) for name, entry in _read("mutations")["targets"].items()}


@cache
def passengers() -> tuple[Stretch, ...]:
    """Long genes that collect mutations without meaning."""
    entries = _read("mutations")["passengers"].items()
    return tuple(
        Stretch(gene, chrom, start, end, first, last, "passenger")
        for gene, (chrom, start, end, first, last) in entries
    )


@cache
def transcripts() -> dict[str, tuple[str, str, str]]:
    """Gene -> RefSeq transcript, protein and strand."""
    genes = _read("mutations")["genes"].items()
    return {gene: (transcript, protein, strand) for gene, (transcript, protein, strand) in genes}


@cache
def fusions() -> dict[str, Fusion]:
    """Fusions by name; several breakpoints of one fusion have names of their own."""
    return _fusions("fusions")


@cache
def artefact_fusions() -> tuple[Fusion, ...]:
    """Read-through and germline events that callers report in any marrow."""
    return tuple(_fusions("artefacts").values())


@cache
def fusion_gene_ids() -> dict[str, str]:
    """Gene symbol -> versioned Ensembl id, for the partners of all fusions."""
    ids: dict[str, str] = _read("fusions")["genes"]
    return ids


@cache
def transcriptome() -> Transcriptome:
    """Genes of the synthetic RNA-seq with what all cohorts share."""
    content = _read("expression")
    rng = np.random.default_rng(_SHARED_SEED)
    levels = {gene: rng.uniform(8.5, 12.0) for gene in content["housekeeping"]}
    levels |= {gene: rng.uniform(1.0, 8.0) for gene in content["background"]}
    for genes in content["programs"].values():
        levels |= {gene: rng.uniform(2.5, 6.5) for gene in genes}
    levels |= dict.fromkeys([*content["female"], *content["male"]], 0.0)
    symbols = tuple(sorted(levels))
    at = {gene: position for position, gene in enumerate(symbols)}
    return Transcriptome(
        genes=symbols,
        base=np.array([levels[gene] for gene in symbols]),
        programs={
            program: np.array([at[gene] for gene in genes])
            for program, genes in content["programs"].items()
        },
        weights=rng.uniform(0.6, 1.2, size=len(symbols)),
        female=np.array([at[gene] for gene in content["female"]]),
        male=np.array([at[gene] for gene in content["male"]]),
    )


@cache
def _read(name: str) -> dict[str, Any]:
    text = files("assets.simulate").joinpath(f"data/{name}.yaml").read_text("utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def _fusions(section: str) -> dict[str, Fusion]:
    return {
        name: Fusion(entry.get("name", name), entry["left"], entry["right"])
        for name, entry in _read("fusions")[section].items()
    }


def _target(name: str, entry: dict[str, Any]) -> Target:
    gene = entry.get("gene", name)
    hotspots, weights = [], []
    for line in entry.get("hotspots", []):
        chrom, pos, ref, alt, hgvsc, hgvsp, consequence, weight = line.split()
        hotspots.append(Variant(gene, chrom, int(pos), ref, alt, hgvsc, hgvsp, consequence))
        weights.append(float(weight))
    total = sum(weights)
    scatter = Stretch(gene, *entry["scatter"]) if "scatter" in entry else None
    return Target(gene, tuple(hotspots), tuple(w / total for w in weights), scatter)


_BASES = "ACGT"
_COMPLEMENT = str.maketrans("ACGT", "TGCA")
_RESIDUES = (
    "Ala", "Arg", "Asn", "Asp", "Cys", "Gln", "Glu", "Gly", "His", "Ile",
    "Leu", "Lys", "Met", "Phe", "Pro", "Ser", "Thr", "Trp", "Tyr", "Val",
)  # fmt: skip

#: Kind of stretch -> consequence -> probability.
_CONSEQUENCES = {
    "missense": {"missense_variant": 1.0},
    "truncating": {"frameshift_variant": 0.6, "stop_gained": 0.4},
    "passenger": {
        "missense_variant": 0.62,
        "synonymous_variant": 0.27,
        "intron_variant": 0.05,
        "stop_gained": 0.03,
        "frameshift_variant": 0.03,
    },
}


def draw_variant(stretch: Stretch, rng: np.random.Generator) -> Variant:
    """A variant at a random place of the stretch, with a consequence of its kind."""
    shares = _CONSEQUENCES[stretch.kind]
    consequence = list(shares)[rng.choice(len(shares), p=list(shares.values()))]
    offset = int(rng.integers(stretch.end - stretch.start))
    first, shift = rng.integers(4), rng.integers(1, 4)
    ref, alt = _BASES[first], _BASES[(first + shift) % 4]
    if consequence == "frameshift_variant":
        ref, alt = (ref + alt, ref) if rng.random() < 0.5 else (ref, ref + alt)  # noqa: PLR2004
    _, _, strand = transcripts()[stretch.gene]
    along = offset / (stretch.end - stretch.start)
    residues = stretch.last_residue - stretch.first_residue
    residue = stretch.first_residue + int(residues * (along if strand == "+" else 1 - along))
    hgvsc, hgvsp = _hgvs(consequence, residue, (ref, alt), strand, rng)
    return Variant(
        gene=stretch.gene,
        chrom=stretch.chrom,
        pos=stretch.start + offset,
        ref=ref,
        alt=alt,
        hgvsc=hgvsc,
        hgvsp=hgvsp,
        consequence=consequence,
    )


def _hgvs(
    consequence: str, residue: int, alleles: tuple[str, str], strand: str, rng: np.random.Generator
) -> tuple[str, str]:
    """Change of the transcript and of the protein, in the notation of HGVS."""
    ref, alt = (a if strand == "+" else a.translate(_COMPLEMENT)[::-1] for a in alleles)
    base = 3 * residue - int(rng.integers(3))
    was, shift = rng.integers(len(_RESIDUES)), rng.integers(1, len(_RESIDUES))
    before, after = _RESIDUES[was], _RESIDUES[(was + shift) % len(_RESIDUES)]
    substitution = f"c.{base}{ref}>{alt}"
    match consequence:
        case "missense_variant":
            return substitution, f"p.{before}{residue}{after}"
        case "stop_gained":
            return substitution, f"p.{before}{residue}Ter"
        case "synonymous_variant":
            return substitution, f"p.{before}{residue}="
        case "frameshift_variant":
            change = f"c.{base}del" if len(ref) > len(alt) else f"c.{base}dup"
            return change, f"p.{before}{residue}{after}fsTer{rng.integers(2, 60)}"
        case _:
            return f"c.{base}+{rng.integers(20, 900)}{ref}>{alt}", ""

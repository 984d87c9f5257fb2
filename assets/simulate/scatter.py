"""Variants drawn somewhere in a gene: the right gene and a plausible change, not a real base.

    Stretch -> draw_variant -> Variant

Residue and position run along the stretch together; introns are not modelled.
"""

import numpy as np

from assets.simulate.catalogue import Stretch, Variant, transcripts

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
    consequence: str,
    residue: int,
    alleles: tuple[str, str],
    strand: str,
    rng: np.random.Generator,
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

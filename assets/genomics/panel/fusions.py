"""Fusions and rearrangements that define or support entities of blood cancers.

    panel.yaml -> DEFINING_FUSIONS, REARRANGED_GENES -> flags of the fusion features

References
----------
Khoury et al., Leukemia 2022 and Alaggio et al., Leukemia 2022 (WHO, 5th edition). Arber et al.,
Blood 2022 (ICC). Names as HGNC recommends: Bruford et al., Leukemia 2021.
"""

from assets.genomics.panel.entries import load_panel

#: 5' and 3' partner of fusions with a Boolean feature each, named ``FIVE::THREE``.
DEFINING_FUSIONS = tuple(
    dict.fromkeys(
        (five, three)
        for finding in load_panel().findings
        for five, three in (name.split("::") for name in finding.fusion)
    )
)

#: Genes whose fusion with any partner, also an unknown one, has a feature ``GENE_rearranged``.
REARRANGED_GENES = tuple(
    sorted({gene for finding in load_panel().findings for gene in finding.rearranged})
)

#: Protein kinases that fusions of blood cancers switch on.
KINASES = frozenset(
    {
        "ABL1", "ABL2", "ALK", "BRAF", "CSF1R", "FGFR1", "FGFR2", "FGFR3",
        "FLT3", "FYN", "JAK1", "JAK2", "JAK3", "KIT", "LYN", "NTRK1", "NTRK2", "NTRK3",
        "PDGFRA", "PDGFRB", "PTK2B", "RAF1", "RET", "ROS1", "SYK", "TYK2",
    }
)  # fmt: skip

_PAIRS = {frozenset(pair): pair for pair in DEFINING_FUSIONS}


def fusion_name(five: str, three: str) -> str:
    """HGNC name ``FIVE::THREE``."""
    return f"{five}::{three}"


def defining_pair(five: str, three: str) -> tuple[str, str] | None:
    """Panel fusion of two genes, also where a caller reports the reciprocal product."""
    return _PAIRS.get(frozenset((five, three)))

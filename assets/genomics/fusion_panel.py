"""Fusions and rearrangements that define or support entities of blood cancers.

References
----------
Khoury et al., Leukemia 2022 and Alaggio et al., Leukemia 2022 (WHO, 5th edition). Arber et al.,
Blood 2022 (ICC). Names as HGNC recommends: Bruford et al., Leukemia 2021.
"""

#: 5' and 3' partner of fusions with a Boolean feature each, named ``FIVE::THREE``.
DEFINING_FUSIONS = (
    # acute myeloid leukaemia
    ("PML", "RARA"),
    ("ZBTB16", "RARA"),
    ("NPM1", "RARA"),
    ("STAT5B", "RARA"),
    ("RUNX1", "RUNX1T1"),
    ("CBFB", "MYH11"),
    ("DEK", "NUP214"),
    ("RBM15", "MRTFA"),
    ("KMT2A", "MLLT3"),
    ("KMT2A", "AFDN"),
    ("KMT2A", "MLLT10"),
    ("KMT2A", "ELL"),
    ("KMT2A", "MLLT1"),
    ("KMT2A", "AFF1"),
    ("GATA2", "MECOM"),
    ("RPN1", "MECOM"),
    ("RUNX1", "MECOM"),
    ("NUP98", "NSD1"),
    ("NUP98", "KDM5A"),
    ("CBFA2T3", "GLIS2"),
    ("KAT6A", "CREBBP"),
    ("FUS", "ERG"),
    ("MNX1", "ETV6"),
    ("NPM1", "MLF1"),
    ("RUNX1", "CBFA2T3"),
    ("PICALM", "MLLT10"),
    ("SET", "NUP214"),
    # myeloproliferative and eosinophilic neoplasms
    ("BCR", "ABL1"),
    ("ETV6", "ABL1"),
    ("FIP1L1", "PDGFRA"),
    ("ETV6", "PDGFRB"),
    ("PCM1", "JAK2"),
    ("BCR", "FGFR1"),
    ("ZMYM2", "FGFR1"),
    # lymphoblastic leukaemia and lymphoma
    ("ETV6", "RUNX1"),
    ("TCF3", "PBX1"),
    ("TCF3", "HLF"),
    ("EP300", "ZNF384"),
    ("TCF3", "ZNF384"),
    ("MEF2D", "BCL9"),
    ("PAX5", "ETV6"),
    ("P2RY8", "CRLF2"),
    ("EBF1", "PDGFRB"),
    ("NUP214", "ABL1"),
    ("STIL", "TAL1"),
    ("NPM1", "ALK"),
    ("NPM1", "TYK2"),
    ("BIRC3", "MALT1"),
    ("ITK", "SYK"),
)

#: Genes whose fusion with any partner, also an unknown one, has a feature ``GENE_rearranged``.
REARRANGED_GENES = (
    "ABL1",
    "ABL2",
    "ALK",
    "BCL2",
    "BCL6",
    "CBFB",
    "CCND1",
    "CRLF2",
    "CSF1R",
    "DUSP22",
    "DUX4",
    "ETV6",
    "FGFR1",
    "FLT3",
    "HLF",
    "JAK2",
    "KMT2A",
    "LMO2",
    "MECOM",
    "MEF2D",
    "MYC",
    "NUP98",
    "NUP214",
    "NUTM1",
    "PAX5",
    "PDGFRA",
    "PDGFRB",
    "RARA",
    "RUNX1",
    "TAL1",
    "TLX1",
    "TLX3",
    "ZNF384",
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

"""Genes of blood cancers by their HGNC names, and former names that callers still write.

Names only; what a variant or fusion of a gene means stands beside the rules that use it.

References
----------
HGNC, https://www.genenames.org. Khoury et al., Leukemia 2022 (WHO, 5th edition). Arber et al.,
Blood 2022 (ICC).
"""

#: What stands for the name of a gene where there is none, as R, spreadsheets and callers write it.
NO_NAMES = frozenset(
    case(text)
    for text in ("", ".", "-", "?", "NA", "N/A", "NaN", "NULL", "NONE", "UNKNOWN")
    for case in (str, str.upper, str.lower, str.title)
)

#: Genes with scalar features of their own: drivers of myeloid and lymphoid neoplasms.
DRIVER_GENES = (
    "ANKRD26", "ASXL1", "ASXL2", "ATM", "BCOR", "BCORL1", "BRAF", "CALR", "CBL", "CD79B", "CDKN2A",
    "CEBPA", "CREBBP", "CRLF2", "CSF3R", "CUX1", "CXCR4", "DDX41", "DNMT3A", "EP300", "ETNK1",
    "ETV6", "EZH2", "FBXW7", "FLT3", "GATA1", "GATA2", "GATA3", "GNAS", "GNB1", "ID3", "IDH1",
    "IDH2", "IKZF1", "IL7R", "JAK1", "JAK2", "JAK3", "KDM6A", "KIT", "KMT2A", "KMT2D", "KRAS",
    "MPL", "MYD88", "NF1", "NOTCH1", "NPM1", "NRAS", "PAX5", "PHF6", "PIGA", "PPM1D", "PRPF8",
    "PTEN", "PTPN11", "RAD21", "RHOA", "RUNX1", "SETBP1", "SF3B1", "SH2B3", "SMC1A", "SMC3",
    "SRSF2", "STAG2", "STAT3", "STAT5B", "TET2", "TP53", "U2AF1", "UBA1", "WT1", "XPO1", "ZRSR2",
)  # fmt: skip

#: Former or informal symbol -> HGNC symbol, for genes of the panels here.
FORMER_SYMBOLS = {
    "AF10": "MLLT10", "AF1Q": "MLLT11", "AF4": "AFF1", "AF6": "AFDN", "AF9": "MLLT3",
    "AML1": "RUNX1", "CBFA2T1": "RUNX1T1", "CAN": "NUP214", "CALM": "PICALM", "E2A": "TCF3",
    "ENL": "MLLT1", "ETO": "RUNX1T1", "EVI1": "MECOM", "FGFR1OP": "CEP43",
    "KIAA1509": "CCDC88C", "MDS1": "MECOM", "MDS1-EVI1": "MECOM", "MKL1": "MRTFA",
    "MLL": "KMT2A", "MLL1": "KMT2A", "MLL2": "KMT2D", "MLL3": "KMT2C", "MLLT4": "AFDN",
    "MYST3": "KAT6A", "MOZ": "KAT6A", "OTT": "RBM15", "PLZF": "ZBTB16", "SEPT5": "SEPTIN5",
    "SEPT6": "SEPTIN6", "SEPT9": "SEPTIN9", "SIL": "STIL", "TEL": "ETV6", "WHSC1": "NSD2",
    "WHSC1L1": "NSD3",
}  # fmt: skip


def current_symbol(symbol: str) -> str:
    """HGNC symbol of a gene that may be given by a former one; other names as they are."""
    return FORMER_SYMBOLS.get(symbol, symbol)

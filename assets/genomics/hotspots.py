"""Recurrent protein changes of blood cancers, recognised from HGVS protein names.

    "ENSP00000351015.5:p.Val617Phe" -> ProteinChange -> rules -> {"JAK2_V617F"}

Residues are those of the transcript that the literature numbers by; a variant annotated only on
another transcript is not recognised rather than guessed.

References
----------
HGVS nomenclature, version 21. Khoury et al., Leukemia 2022 (WHO). Arber et al., Blood 2022 (ICC).
Kayser et al., Blood 2009 (insertion sites of FLT3-ITD). Falini et al., NEJM 2005 (NPM1).
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote


class Change(StrEnum):
    """Kind of a protein change."""

    SUBSTITUTION = "substitution"
    NONSENSE = "nonsense"
    FRAMESHIFT = "frameshift"
    INSERTION = "insertion"
    DELETION = "deletion"
    OTHER = "other"


@dataclass(frozen=True)
class ProteinChange:
    """One protein change in one-letter code.

    Parameters
    ----------
    reference
        First residue (``V``).
    start, end
        First and last residue that change, 1-based.
    kind
        INSERTION and DELETION are in frame, by net length.
    alternate
        New residue of a substitution, otherwise empty.
    """

    reference: str
    start: int
    end: int
    kind: Change
    alternate: str = ""


@dataclass(frozen=True)
class Hotspot:
    """Rule that recognises a recurrent change.

    Parameters
    ----------
    name
        Feature name.
    gene
        HGNC symbol.
    residues
        First and last residue of the region, inclusive.
    kinds
        Kinds of change that count.
    description
        For the feature dictionary.
    alternates
        New residues that count; empty for any.
    """

    name: str
    gene: str
    residues: tuple[int, int]
    kinds: frozenset[Change]
    description: str
    alternates: str = ""

    def matches(self, change: ProteinChange) -> bool:
        """Whether a change of the gene is this hotspot."""
        first, last = self.residues
        return (
            change.kind in self.kinds
            and change.start <= last
            and change.end >= first
            and (not self.alternates or change.alternate in self.alternates)
        )


_LETTERS = {
    "Ala": "A", "Arg": "R", "Asn": "N", "Asp": "D", "Cys": "C", "Gln": "Q", "Glu": "E", "Gly": "G",
    "His": "H", "Ile": "I", "Leu": "L", "Lys": "K", "Met": "M", "Phe": "F", "Pro": "P", "Ser": "S",
    "Thr": "T", "Trp": "W", "Tyr": "Y", "Val": "V", "Sec": "U", "Ter": "*", "Xaa": "X",
}  # fmt: skip
_THREE_LETTERS = re.compile("|".join(_LETTERS))
_CHANGE = re.compile(r"([A-Z*])(\d{1,5})(?:_([A-Z*])(\d{1,5}))?(.*)", re.DOTALL)
_DELINS = re.compile(r"delins([A-Z]+)")
_KINDS = (
    (re.compile(r".*fs.*"), Change.FRAMESHIFT),
    (re.compile(r"[*X]|(ins|dup|delins).*\*.*"), Change.NONSENSE),
    (re.compile(r"(ins|dup).*"), Change.INSERTION),
    (re.compile(r"del"), Change.DELETION),
    (re.compile(r"[A-Z]"), Change.SUBSTITUTION),
)
_MISSENSE = frozenset({Change.SUBSTITUTION})
_IN_FRAME = frozenset({Change.SUBSTITUTION, Change.INSERTION, Change.DELETION})
_SHIFT = frozenset({Change.FRAMESHIFT})
_LOSS = frozenset({Change.FRAMESHIFT, Change.NONSENSE})

#: Recurrent changes with a Boolean feature each.
HOTSPOTS = (
    Hotspot("NPM1_exon12_frameshift", "NPM1", (283, 294), _SHIFT,
            "frameshift in the last exon of NPM1 (type A: W288Cfs*12)"),
    Hotspot("FLT3_ITD", "FLT3", (569, 630), frozenset({Change.INSERTION}),
            "in-frame insertion in the juxtamembrane or first kinase domain of FLT3"),
    Hotspot("FLT3_TKD", "FLT3", (835, 836), _IN_FRAME, "FLT3 D835 or I836 changed"),
    Hotspot("IDH1_R132", "IDH1", (132, 132), _MISSENSE, "IDH1 R132 substituted"),
    Hotspot("IDH2_R140", "IDH2", (140, 140), _MISSENSE, "IDH2 R140 substituted"),
    Hotspot("IDH2_R172", "IDH2", (172, 172), _MISSENSE, "IDH2 R172 substituted"),
    Hotspot("DNMT3A_R882", "DNMT3A", (882, 882), _MISSENSE, "DNMT3A R882 substituted"),
    Hotspot("JAK2_V617F", "JAK2", (617, 617), _MISSENSE, "JAK2 V617F", "F"),
    Hotspot("JAK2_exon12", "JAK2", (536, 547), _IN_FRAME, "in-frame change in JAK2 exon 12"),
    Hotspot("KIT_D816", "KIT", (816, 816), _MISSENSE, "KIT D816 substituted"),
    Hotspot("SF3B1_K700", "SF3B1", (700, 700), _MISSENSE, "SF3B1 K700 substituted"),
    Hotspot("SF3B1_hotspot", "SF3B1", (622, 700), _MISSENSE,
            "SF3B1 substituted in HEAT repeats 4-7 (residues 622-700)"),
    Hotspot("SRSF2_P95", "SRSF2", (95, 95), _IN_FRAME, "SRSF2 P95 changed in frame"),
    Hotspot("U2AF1_S34", "U2AF1", (34, 34), _MISSENSE, "U2AF1 S34 substituted"),
    Hotspot("U2AF1_Q157", "U2AF1", (156, 157), _MISSENSE, "U2AF1 R156 or Q157 substituted"),
    Hotspot("NRAS_G12_G13_Q61", "NRAS", (12, 13), _MISSENSE, "NRAS G12, G13 or Q61 substituted"),
    Hotspot("NRAS_G12_G13_Q61", "NRAS", (61, 61), _MISSENSE, "NRAS G12, G13 or Q61 substituted"),
    Hotspot("KRAS_G12_G13_Q61", "KRAS", (12, 13), _MISSENSE, "KRAS G12, G13 or Q61 substituted"),
    Hotspot("KRAS_G12_G13_Q61", "KRAS", (61, 61), _MISSENSE, "KRAS G12, G13 or Q61 substituted"),
    Hotspot("MPL_W515", "MPL", (515, 515), _IN_FRAME, "MPL W515 changed in frame"),
    Hotspot("MPL_S505N", "MPL", (505, 505), _MISSENSE, "MPL S505N", "N"),
    Hotspot("CALR_exon9_frameshift", "CALR", (352, 417), _SHIFT, "frameshift in CALR exon 9"),
    Hotspot("CSF3R_T618I", "CSF3R", (618, 618), _MISSENSE, "CSF3R T618I", "I"),
    Hotspot("CSF3R_truncation", "CSF3R", (715, 836), _LOSS, "CSF3R truncated in its tail"),
    Hotspot("SETBP1_hotspot", "SETBP1", (858, 871), _MISSENSE,
            "SETBP1 substituted in the SKI-homologous region (residues 858-871)"),
    Hotspot("CBL_RING", "CBL", (366, 420), _IN_FRAME, "CBL changed in the linker or RING finger"),
    Hotspot("PTPN11_hotspot", "PTPN11", (58, 76), _MISSENSE, "PTPN11 N-SH2 (residues 58-76)"),
    Hotspot("PTPN11_hotspot", "PTPN11", (491, 510), _MISSENSE, "PTPN11 PTP (residues 491-510)"),
    # L265P of NM_002468 is L273P in the longer and L252P in the MANE Select transcript.
    Hotspot("MYD88_L265P", "MYD88", (265, 265), _MISSENSE, "MYD88 L265P", "P"),
    Hotspot("MYD88_L265P", "MYD88", (273, 273), _MISSENSE, "MYD88 L265P", "P"),
    Hotspot("MYD88_L265P", "MYD88", (252, 252), _MISSENSE, "MYD88 L265P", "P"),
    Hotspot("BRAF_V600E", "BRAF", (600, 600), _MISSENSE, "BRAF V600E", "E"),
    Hotspot("BRAF_V600E", "BRAF", (640, 640), _MISSENSE, "BRAF V600E", "E"),
    Hotspot("CXCR4_truncation", "CXCR4", (306, 356), _LOSS, "CXCR4 truncated in its tail (WHIM)"),
    Hotspot("NOTCH1_PEST", "NOTCH1", (2280, 2555), _LOSS, "NOTCH1 truncated before or in PEST"),
    Hotspot("STAT3_SH2", "STAT3", (580, 670), _IN_FRAME, "STAT3 changed in the SH2 domain"),
    Hotspot("STAT5B_N642H", "STAT5B", (642, 642), _MISSENSE, "STAT5B N642H", "H"),
    Hotspot("RHOA_G17V", "RHOA", (17, 17), _MISSENSE, "RHOA G17V", "V"),
    Hotspot("EZH2_Y646", "EZH2", (641, 646), _MISSENSE, "EZH2 Y646 (Y641) substituted"),
    Hotspot("UBA1_M41", "UBA1", (41, 41), frozenset(Change), "UBA1 M41 changed (VEXAS)"),
    Hotspot("CEBPA_bZIP_in_frame", "CEBPA", (278, 358), _IN_FRAME,
            "in-frame change in the bZIP domain of CEBPA"),
)  # fmt: skip

#: Residues of the bZIP domain of CEBPA (p42), where ICC and WHO look for its mutation.
CEBPA_BZIP = (278, 358)


def parse_change(hgvs: str) -> ProteinChange | None:
    """Protein change of an HGVS name, or None if it is not one or changes nothing.

    Parameters
    ----------
    hgvs
        One- or three-letter code, with or without accession, ``p.`` and parentheses; percent
        escapes as VEP writes them.
    """
    text = unquote(hgvs).rsplit(":", 1)[-1].strip().removeprefix("p.").strip("()")
    text = _THREE_LETTERS.sub(lambda match: _LETTERS[match[0]], text)
    match = _CHANGE.fullmatch(text)
    if match is None:
        return None
    reference, start, _, end, change = match.groups()
    first, last = int(start), int(end or start)
    kind, alternate = _kind(change, last - first + 1)
    return None if kind is None else ProteinChange(reference, first, last, kind, alternate)


def _kind(change: str, residues: int) -> tuple[Change | None, str]:
    """Kind of the text behind the residues, and the new residue of a substitution."""
    if change in {"", "=", "?"}:
        return None, ""
    if match := _DELINS.fullmatch(change):
        return (Change.INSERTION if len(match[1]) > residues else Change.DELETION), ""
    kind = next((kind for pattern, kind in _KINDS if pattern.fullmatch(change)), Change.OTHER)
    return kind, change if kind is Change.SUBSTITUTION else ""


def hotspots_of(gene: str, changes: list[str]) -> set[str]:
    """Names of the hotspots that any of the protein changes of one variant is."""
    parsed = [change for text in changes if (change := parse_change(text))]
    return {
        rule.name
        for rule in HOTSPOTS
        if rule.gene == gene and any(rule.matches(change) for change in parsed)
    }

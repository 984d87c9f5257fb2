"""Names of segmented structures: which are tumours, and what of a name can be shown.

    name -> words of the vocabulary -> tumour, no tumour or neither; the same words as a clean name

People write names of patients into names of structures, so only words of the vocabulary go on, and
a name is judged by nothing else: its clean copy means the same. English, German, French, Spanish,
Italian and Dutch, and the names of AAPM TG-263; accents do not count.

References
----------
AAPM TG-263 (2018), standardizing nomenclatures in radiation oncology: GTVp and GTVn are primary and
nodal volumes, ``Lungs-GTV`` is the lung without the tumour.
"""

import re
import unicodedata
from collections.abc import Iterator
from enum import IntEnum

#: What a name without a known word becomes.
UNKNOWN = "structure"
#: What an organ without the tumour becomes.
_REST = "organ minus GTV"


class Kind(IntEnum):
    """What a name says, the surest sign of a tumour first."""

    GROSS_TUMOUR_VOLUME = 0
    TUMOUR = 1
    OTHER = 2


_ORGANS = (
    r"lung|pulmon|poumon|polmon|heart|herz|coeur|corazon|cuore|liver|leber|foie"
    r"|higado|fegato|lever|brain|hirn|cerveau|cerebro|cervello|hersen|kidney|niere|rinon"
    r"|spine|cord|myelon|ruckenmark|moelle|medula|midollo|ruggenmerg|bone|knochen|hueso|osso"
    r"|body|korper|koerper|corps|cuerpo|corpo|lichaam|external|extern|skin|haut|peau(?![a-z])"
    r"|piel|pelle(?![a-z])|huid|bladder|blase|vessie|vejiga|vescica|blaas|prostat|breast|brust"
    r"|mamma|borst|spleen|milz|pancrea|pankreas|stomach|magen|bowel|darm|rectum|rektum|trachea"
    r"|oesophag|esophag|aorta|organ|tissue|gewebe|tissu|tejido|tessuto|weefsel"
)
#: "long" is the Dutch lung, and elsewhere a family name: only what is left without a tumour.
_MINUS = r"(?:-|minus|ohne|sans|senza|zonder)"
_VOLUME = r"(?:i?gtv|ctv|ptv|itv|tum(?:ou?|eu)r)"
_NO_TUMOUR = (
    # Nodes, but not lymphoma.
    r"lymph(?!om)|lymf(?!oo?m)|linfo(?!m)|node|(?<![a-z])l[nk](?![a-z])|ganglio|adenopat|klier"
    r"|gtv[-_ ]?n(?![a-z])|gtvn[a-z]?(?![a-z])"
    # Margins, and volumes that have one.
    r"|ctv|ptv|i?itv|igtv|prv|ring|margin|marge|saum|anneau|anillo|anello"
    r"|\+? ?\d{1,2}[-_ ]?mm(?![a-z])"
    # What lies around the tumour, in it, or where it was.
    r"|o?ede?em|odem|ne[ck]ro|peri[-_ ]?tum(?:ou?|eu)r|tum(?:ou?|eu)r[-_ ]?(?:bed|bett|free)"
    r"|lit[-_ ]tumor|lecho|letto|gtvsb"
)
_TUMOUR = (
    r"tum(?:ou?|eu)r|neoplasm|neoplas|[ck]ar[cz]inoma|[ck]ar[cz]ino|sar[ck]oo?ma?|cancer|cancro"
    r"|kanker|[a-z]{3,12}krebs|mass|(?<![a-z])masa|lesion|lesie|laesi|lasion|nodule|nodul"
    r"|rundherd|knoten|raumforderung|geschwulst|gezwel|malignan|malign|metasta[sz]|metast"
    r"|lymphom|linfom|lymfoo?m|blastom|gliom|melanom|prima(?:ry|rio|ire|rius)(?![a-z])"
)
_SIDES = (
    r"left|right|upper|middle|lower|lobe|links?|rechts?|gauche|droite?|izquierd|derech|sinistr"
    r"|destr[oa]"
)
_NUMBER = r"(?<!\d)\d{1,3}(?!\d)"

_WORDS = re.compile(
    rf"(?P<rest>(?:{_ORGANS}|long)[a-z]{{0,4}}(?:[_ ]+[lr])?[_ ]*{_MINUS}[_ ]*{_VOLUME})"
    rf"|(?P<other>{_NO_TUMOUR})|(?P<gtv>gtv)|(?P<tumour>{_TUMOUR})|(?P<number>{_NUMBER})"
    rf"|(?P<place>{_ORGANS}|{_SIDES})",
    re.IGNORECASE,
)


def structure_label(text: str) -> str:
    """Name of a structure without what is no word for one: ``GTV Doe 2`` becomes ``GTV 2``."""
    words = (_REST if word.lastgroup == "rest" else word[0].strip() for word in _found(text))
    return " ".join(words) or UNKNOWN


def kind_of(text: str) -> tuple[Kind, int]:
    """What a name says, and the first number in it; 0 without one.

    Anything that is said not to be the tumour (oedema, a node, a margin) counts before what it is
    called after: ``GTV_Edema`` is none.
    """
    words = list(_found(structure_label(text)))
    said = {word.lastgroup for word in words}
    number = next((int(word[0]) for word in words if word.lastgroup == "number"), 0)
    if said & {"other", "rest"}:
        return Kind.OTHER, number
    if "gtv" in said:
        return Kind.GROSS_TUMOUR_VOLUME, number
    return (Kind.TUMOUR if "tumour" in said else Kind.OTHER), number


def is_no_tumour(text: str) -> bool:
    """Whether a name says that the structure is something else than a tumour."""
    return any(word.lastgroup in ("other", "rest") for word in _found(structure_label(text)))


def names_a_place(text: str) -> bool:
    """Whether a name tells of a part of the body and of no tumour."""
    said = {word.lastgroup for word in _found(structure_label(text))}
    return "place" in said and not said & {"gtv", "tumour"}


def _found(text: str) -> Iterator[re.Match[str]]:
    plain = text.replace("œ", "oe").replace("Œ", "Oe").replace("æ", "ae").replace("Æ", "Ae")
    letters = unicodedata.normalize("NFKD", plain)
    return _WORDS.finditer("".join(c for c in letters if not unicodedata.combining(c)))

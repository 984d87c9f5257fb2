"""How a CT was made: scanner, kernel, slice thickness; covariates of its features.

Radiomic features depend on these as much as on the tumour. Texts of a header were typed by
somebody and may name the patient, so they pass through vocabularies: what is not in them becomes
``other``.
"""

import re

from pydicom import Dataset

from oncoframe.extraction import FeatureValue

#: Vendor -> what its scanners write as manufacturer, in lower case.
_VENDORS = {
    "siemens": ("siemens",),
    "ge": ("ge ", "general electric", "gems", "ge_"),
    "philips": ("philips", "picker", "marconi", "adac"),
    "canon": ("canon", "toshiba"),
    "fujifilm": ("fuji", "hitachi"),
    "cms": ("cms",),
    "neusoft": ("neusoft",),
    "united_imaging": ("uih", "united imaging"),
}
_MODELS = re.compile(
    r"(?:LightSpeed|Discovery|Revolution|Optima|BrightSpeed|HiSpeed|ProSpeed|CT/i|Sensation"
    r"|SOMATOM|Emotion|Definition|Biograph|Volume Zoom|NAEOTOM|Brilliance|Ingenuity|IQon|iCT|Mx8000"
    r"|GEMINI|Aquilion|Asteion|SCENARIA|ECLOS)"
    r"(?: ?(?:VCT|RT|ST|STE|RX|QX/i|Pro|Plus|Ultra|Power|Force|Flash|Edge|AS\+?|Drive|Open|One"
    r"|PRIME|Big Bore|TF|mCT|HD|CT|Definition|Sensation|Emotion|Go|Top|\d{1,4}[A-Za-z]?)){0,4}"
)
#: Kernels as the vendors name them: B30f, Br40d, STANDARD, LUNG, FC08, YA.
_KERNELS = re.compile(
    r"(?:[ABDHIQTUJ][a-z]?\d{2}[a-z]?(?:[\\/]?\d)?|FC\d{2}(?:-[A-Z])?|[A-EL]|Y[A-Z]|IMR\d|EB|EC"
    r"|STANDARD|STND|SOFT|LUNG|BONE|BONEPLUS|DETAIL|EDGE|CHST|ULTRA|SHARP|SMOOTH)"
)

#: DICOM attribute -> feature, for numbers.
_NUMBERS = {"SliceThickness": "slice_thickness_mm", "KVP": "tube_voltage_kv"}


def manufacturer(text: str) -> str | None:
    """Vendor of a scanner, one of a short list; ``other`` for all else, None if not given."""
    if not text.strip():
        return None
    padded = f"{text.casefold().strip()} "
    found = (v for v, said in _VENDORS.items() if any(padded.startswith(s) for s in said))
    return next(found, "other")


def scanner_model(text: str) -> str | None:
    """Model of a scanner if it is a known one; ``other`` for all else, None if not given."""
    return _known(_MODELS, text)


def kernel(text: str) -> str | None:
    """Reconstruction kernel if it is written as vendors do; ``other`` for all else."""
    return _known(_KERNELS, text)


def _known(pattern: re.Pattern[str], text: str) -> str | None:
    text = text.strip()
    if not text or text.casefold() == "none":
        return None
    return text if pattern.fullmatch(text) else "other"


def covariates(header: Dataset) -> dict[str, FeatureValue]:
    """Covariates of a CT image; None where its header does not say."""
    return {
        "manufacturer": manufacturer(_text(header, "Manufacturer")),
        "scanner_model": scanner_model(_text(header, "ManufacturerModelName")),
        "kernel": kernel(_text(header, "ConvolutionKernel")),
        **{name: _number(header, keyword) for keyword, name in _NUMBERS.items()},
    }


def _text(header: Dataset, keyword: str) -> str:
    value = header.get(keyword)
    if value is None:
        return ""
    # Iterative reconstruction gives the kernel two values, I31f and its strength.
    return str(value) if isinstance(value, str) else "\\".join(map(str, value))


def _number(header: Dataset, keyword: str) -> float | None:
    value = header.get(keyword)
    try:
        number = float(value) if value is not None else 0.0
    except (TypeError, ValueError):
        return None
    return number if number > 0 else None

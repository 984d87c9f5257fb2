"""Whose sample a file of several is read for: the named one, else the only one that may be tumour.

    names of the samples, name that the row gives -> one_sample -> its name, or a typed refusal

One rule for all readers. A file of a cohort is never read as one patient's because that patient
stands first or last in it, and a normal sample never as a tumour because it stands alone.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from oncoframe.errors import AmbiguousSample, MissingSample

#: Names that a refusal lists, and characters of each.
MAX_LISTED, MAX_LISTED_LENGTH = 20, 60

_TUMOUR = re.compile(
    r"tumou?r|cancer|primary|metasta|relapse|leuk(a)?emi|malignan|diagnosis|blast"
    r"|^case$|^t$|[-_.]t$|TCGA-\w{2}-\w{4}-0\d",
    re.IGNORECASE,
)
_NORMAL = re.compile(
    r"(?<!ab)normal(?!i[sz])|germ_?line|control|remission|fibroblast|saliva|buccal|skin|^n$|[-_.]n$"
    r"|TCGA-\w{2}-\w{4}-1\d",
    re.IGNORECASE,
)
_RNA = re.compile(r"(^|[-_.])rna", re.IGNORECASE)
#: What a merge adds to the name of a sample: ``2:TUMOR`` (BCFtools), ``TUMOR.mutect2`` (GATK).
_MERGED = re.compile(
    r"^\d{1,3}:|[-_.:](mutect|mutect2|strelka|strelka2|varscan|varscan2|vardict|lofreq|muse|radia"
    r"|somaticsniper|sniper|pindel|freebayes|dragen|tnscope|octopus|platypus|scalpel|lancet|caveman"
    r"|gatk|deepvariant|deepsomatic|clairs)(_?(snvs?|indels?))?$",
    re.IGNORECASE,
)
_HINT = "Name it: column sample of the samplesheet, or --sample."


def specimen(name: str) -> str:
    """Name of a sample without what a merge of callers adds to it."""
    return _MERGED.sub("", name)


def likely_tumours(names: Sequence[str], told: Mapping[str, str] | None = None) -> list[str]:
    """Names that may be tumours: those that say so, else those that do not say normal.

    Parameters
    ----------
    told
        What the file says of a sample beside its name.
    """
    about = {name: f"{name}\n{(told or {}).get(name, '')}" for name in names}

    def says(pattern: re.Pattern[str], name: str) -> bool:
        return any(pattern.search(text) for text in about[name].split("\n"))

    tumours = [name for name in names if says(_TUMOUR, name)]
    tumours = [name for name in tumours if not _NORMAL.search(name)] or tumours
    found = tumours or [name for name in names if not says(_NORMAL, name)]
    return [name for name in found if not _RNA.search(name)] or found


def one_sample(
    names: Sequence[str],
    wanted: str | None,
    path: Path,
    candidates: Sequence[str] | None = None,
) -> str:
    """Sample to read.

    Parameters
    ----------
    names
        Samples of the file.
    wanted
        The one that its row names, if it names one.
    candidates
        Those that may be meant; :func:`likely_tumours` unless told.

    Raises
    ------
    MissingSample
        If the wanted one is not there, or none may be a tumour.
    AmbiguousSample
        If several may be meant.
    """
    if wanted is not None:
        own = [name for name in names if wanted in (name, specimen(name))]
        if not own:
            raise MissingSample(
                "the file does not hold the sample that is asked for",
                where=str(path),
                got=listed_names(names),
            )
        return wanted if wanted in own else own[-1]
    if candidates is None:
        candidates = likely_tumours(names)
    if not candidates:
        raise MissingSample(
            "the file holds no tumour, only normal samples",
            where=str(path),
            got=listed_names(names),
            hint=_HINT,
        )
    if len({specimen(name) for name in candidates}) > 1:
        raise AmbiguousSample(
            "the file holds several samples that may be the patient's tumour",
            where=str(path),
            expected="one",
            got=listed_names(candidates),
            hint=_HINT,
        )
    return candidates[-1]


def listed_names(names: Sequence[str]) -> str:
    """Names for a message, without what cannot be printed and not too many."""
    shown = ["".join(filter(str.isprintable, name))[:MAX_LISTED_LENGTH] for name in names]
    more = len(shown) - MAX_LISTED
    listed = ", ".join(shown[:MAX_LISTED])
    return f"{listed} and {more} more" if more > 0 else listed or "none"

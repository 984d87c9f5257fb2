"""Features in the words of the clinic: what a column is called, what its value says.

    column of a model -> FrameColumn of the sidecar, evidence of the panel -> Words

A model knows ``fusion_features__PML::RARA`` and 1.0; people know "PML::RARA: present".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ml.figures.style import modality_name
from oncoframe.columns import Column
from oncoframe.names import decode

_TITLE_LETTERS = 56
#: Units of the dictionary, for one and for several.
_UNITS = {
    "a": ("year", "years"),
    "d": ("day", "days"),
    "bit": ("bit", "bits"),
    "fpkm": ("FPKM", "FPKM"),
    "tpm": ("TPM", "TPM"),
    "counts": ("read", "reads"),
    "log2": ("log2", "log2"),
    "10^9/L": ("billion per litre", "billion per litre"),
    "mm^2": ("mm\N{SUPERSCRIPT TWO}", "mm\N{SUPERSCRIPT TWO}"),
    "mm^3": ("mm\N{SUPERSCRIPT THREE}", "mm\N{SUPERSCRIPT THREE}"),
    "HU^2": ("HU\N{SUPERSCRIPT TWO}", "HU\N{SUPERSCRIPT TWO}"),
}
#: Categories as the encoder of a recipe calls them.
_CATEGORIES = {"infrequent_sklearn": "another value", "None": "not known", "nan": "not known"}


@dataclass(frozen=True)
class Evidence:
    """A biomarker of the panel: what it is, and who says so.

    Parameters
    ----------
    title
        For people.
    citations
        Publications.
    """

    title: str
    citations: tuple[str, ...]


@dataclass(frozen=True)
class Words:
    """One feature in words.

    Parameters
    ----------
    name
        Short name.
    meaning
        Sentence of the feature dictionary.
    modality
        Assay.
    unit
        Of the value.
    is_flag
        Whether it is yes or no.
    category
        Value of a text column that the feature stands for, in words.
    evidence
        Of the biomarker with this name; None for all others.
    is_assay
        Whether it says that an assay was performed.
    """

    name: str
    meaning: str
    modality: str
    unit: str
    is_flag: bool = False
    category: str | None = None
    evidence: Evidence | None = None
    is_assay: bool = False

    @property
    def question(self) -> str:
        """The name without the category: what the category answers."""
        return self.name if self.category is None else self.name.removesuffix(f": {self.category}")

    def said(self, value: float | None) -> str:
        """The value in words."""
        if value is None:
            return "not known"
        if self.is_flag:
            yes, no = ("yes", "no") if self.category or self.is_assay else ("present", "absent")
            return yes if value else no
        text = f"{value:.4g}"
        if self.unit in {"", "1"}:
            return text
        one, several = _UNITS.get(self.unit, (self.unit, self.unit))
        return f"{text} {one if value == 1 else several}"


class Dictionary:
    """Words of the features of a frame.

    Parameters
    ----------
    columns
        ``columns`` of the frame's sidecar.
    flags
        Frame columns that hold yes or no.
    evidence
        Id of a biomarker -> its evidence.
    expression_unit
        In which models see expression.
    """

    def __init__(
        self,
        columns: Mapping[str, Mapping[str, Any]],
        *,
        flags: frozenset[str] = frozenset(),
        evidence: Mapping[str, Evidence] | None = None,
        expression_unit: str = "",
    ) -> None:
        self._expression_unit = expression_unit
        self._columns = columns
        self._flags = flags
        self._evidence = evidence or {}

    def words(self, feature: str) -> Words:
        """Words of a column of a design matrix, or of a category of one."""
        column, category, position = self._place(feature)
        if column is None:
            return Words(feature, "", "", "")
        about = self._columns[column]
        modality, unit = about["modality"], about.get("unit", "")
        meaning = str(about.get("description", ""))
        assay = modality_name(modality)
        if about["kind"] == "performed":
            return Words(
                f"Assay performed: {assay}", meaning, modality, unit, is_flag=True, is_assay=True
            )
        if position is not None:
            spaced = _capital(_spaced(about["feature"], modality))
            unit = self._expression_unit if unit == "expression_unit" else unit
            return Words(f"{spaced} of {position}", meaning, modality, unit)
        name = str(about["feature"])
        evidence = self._evidence.get(name)
        if category is not None:
            shown = _category(category)
            named = f"{_title(name, meaning, modality)}: {shown}"
            return Words(named, meaning, modality, "", is_flag=True, category=shown)
        shown = name if evidence or "::" in name else _title(name, meaning, modality)
        if evidence:
            shown, meaning = name.replace("_", " "), evidence.title
        is_flag = column in self._flags
        return Words(shown, meaning, modality, unit, is_flag, evidence=evidence)

    def called(self, feature: str) -> str:
        """Short name of a feature."""
        return self.words(feature).name

    @cached_property
    def _by_domain(self) -> dict[str, str]:
        return {decode(column): column for column in self._columns}

    def _place(self, feature: str) -> tuple[str | None, str | None, str | None]:
        """Frame column, category and position of a block that a feature stands for."""
        if feature in self._by_domain:
            return self._by_domain[feature], None, None
        asked = Column.parse(feature)
        block = str(Column(asked.table, asked.name))
        if asked.position is not None and block in self._by_domain:
            return self._by_domain[block], None, asked.position
        # A flag of a category is called <column>_<category>; the column with the longest name wins.
        columns = [c for c in self._by_domain if feature.startswith(f"{c}_")]
        if not columns:
            return None, None, None
        domain = max(columns, key=len)
        return self._by_domain[domain], feature[len(domain) + 1 :], None


def _spaced(name: str, modality: str) -> str:
    """``snv_gene_burden`` of snv as ``gene burden``: the assay stands elsewhere."""
    return name.removeprefix(f"{modality}_").replace("_", " ")


def _title(name: str, meaning: str, modality: str) -> str:
    """First clause of the meaning, where it is short; else the name."""
    clause = re.split(r"[;.](?: |$)", meaning, maxsplit=1)[0]
    short = 0 < len(clause) <= _TITLE_LETTERS
    return _capital(clause if short else _spaced(name, modality))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _category(category: str) -> str:
    return _CATEGORIES.get(category, category)

"""Abbreviations and terms of the pages, each explained where a reader meets it first.

text -> Glossary.marked -> the same with one tooltip per term -> Glossary.met, for print
"""

import re

from markupsafe import Markup, escape

TERMS = {
    "ADASYN": "Adaptive synthetic sampling: new patients made between neighbours of a rare class.",
    "AUROC": "Area under the receiver operating characteristic curve: how often a patient of the "
    "class is ranked above one of another class; 0.5 is chance, 1 is perfect.",
    "Brier score": "Mean squared distance of the probabilities from what happened; 0 is perfect.",
    "CNV": "Copy number variants: parts of chromosomes gained or lost.",
    "CPM": "Counts per million reads: expression for the depth of sequencing.",
    "CT": "Computed tomography.",
    "F1": "Harmonic mean of precision and recall.",
    "FAB": "French-American-British classification of leukaemias, by morphology.",
    "FPKM": "Fragments per kilobase and million reads: expression for gene length and depth.",
    "HU": "Hounsfield units: X-ray density; water is 0, air is -1000.",
    "IPCW": "Inverse probability of censoring weighting: patients seen for long stand for those "
    "lost early.",
    "ISCN": "International system for human cytogenomic nomenclature: how karyotypes are written.",
    "LOH": "Loss of heterozygosity: one of the two copies is lost.",
    "LoRAS": "Localised random affine shadow sampling: new patients of a rare class.",
    "PCA": "Principal component analysis: few new columns that hold most of the variation.",
    "SNV": "Single nucleotide and other small variants.",
    "SV": "Structural variants: pieces of chromosomes joined anew.",
    "TNM": "Stage of a tumour by its size (T), lymph nodes (N) and metastases (M).",
    "TPM": "Transcripts per million: expression for gene length and depth.",
    "TRIPOD+AI": "Transparent reporting of prediction models, with machine learning: a checklist.",
    "VAF": "Variant allele frequency: share of reads that carry the variant.",
    "WHO": "World Health Organization.",
    "abstains": "Gives no answer, because the prediction set is empty or too large.",
    "calibration error": "Mean distance between what is said and what happens, over groups of "
    "patients.",
    "concordance": "How often, of two patients, the one with the higher risk dies first; 0.5 is "
    "chance.",
    "cross-validation": "Each patient is predicted by a model that was fitted without them.",
    "log loss": "Mean surprise at what happened, by the probability that was given to it; 0 is "
    "perfect, and confident errors cost most.",
    "log-odds": "Logarithm of probability by counter-probability; contributions add up on it.",
    "macro": "Mean over classes: a rare class counts as much as a common one.",
    "out-of-fold": "Predicted by a model that never saw the patient.",
    "precision": "Share of the patients called so who are so.",
    "prediction set": "Classes that together hold the true one with the promised probability.",
    "recall": "Share of the patients who are so that are called so.",
    "Shapley values": "Fair division of a prediction among the features.",
}
#: Longest first, so that a term within another one does not take its place.
_FOUND = re.compile(
    r"(?<![\w+])(" + "|".join(map(re.escape, sorted(TERMS, key=len, reverse=True))) + r")(?![\w+])",
    re.IGNORECASE,
)
_BY_LETTERS = {term.lower(): term for term in TERMS}


class Glossary:
    """Terms that a page has used so far.

    Explained is the first place in the order of reading; a tooltip at each would be noise.
    """

    def __init__(self) -> None:
        self._met: dict[str, str] = {}

    def marked(self, text: str) -> Markup:
        """Text as HTML, terms that are new with their explanation."""
        parts = _FOUND.split(text)
        return Markup("").join(
            self._explained(part) if at % 2 else escape(part) for at, part in enumerate(parts)
        )

    def _explained(self, found: str) -> Markup:
        term = _BY_LETTERS[found.lower()]
        # "ct" and "sv" are parts of names, "CT" and "SV" are abbreviations.
        if term in self._met or (term.isupper() and found != term):
            return escape(found)
        self._met[term] = TERMS[term]
        return Markup('<abbr title="{}">{}</abbr>').format(TERMS[term], found)

    @property
    def met(self) -> list[tuple[str, str]]:
        """Terms that were explained, in order of the alphabet: a tooltip cannot be printed."""
        return sorted(self._met.items(), key=lambda term: term[0].lower())

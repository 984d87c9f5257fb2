"""Gene expression, declared: what everything about the modality is made from."""

from assets.expression.quantification import CONTRACT, extract
from oncoframe.modality import Files, ModalitySpec

MODALITY = ModalitySpec(
    contract=CONTRACT,
    extract=extract,
    stage="expression",
    kinds=frozenset({"csv", "deltalake"}),
    words="expression",
    colour="#009e73",
    files=Files(words="table of a quantifier: counts, TPM, FPKM or log2", is_folder=False),
    # A gene that a quantifier leaves out of its table mostly has no read.
    fill={"expression": "zero"},
    simulate="assets.simulate.transcripts",
    inspect=None,
)

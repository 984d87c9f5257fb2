"""Small variants, declared: what everything about the modality is made from."""

from assets.genomics.snv.features import CONTRACT
from assets.genomics.snv.reader import extract
from oncoframe.modality import Files, ModalitySpec

MODALITY = ModalitySpec(
    contract=CONTRACT,
    extract=extract,
    stage="genomics",
    kinds=frozenset({"vcf", "deltalake"}),
    words="small variants",
    colour="#0072b2",
    files=Files(
        words="VCF 4.1 to 4.4 or BCF of a somatic caller, annotated or not", is_folder=False
    ),
    # A vector is there as a whole or not at all: a gap is a file without genes, not a zero.
    fill=dict.fromkeys(block.name for block in CONTRACT.blocks),
    simulate="assets.simulate.vcf_files",
    inspect=None,
)

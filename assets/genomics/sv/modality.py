"""Structural variants, declared: what everything about the modality is made from."""

from assets.genomics.sv.features import CONTRACT
from assets.genomics.sv.reader import extract
from oncoframe.modality import Files, ModalitySpec

MODALITY = ModalitySpec(
    contract=CONTRACT,
    extract=extract,
    stage="genomics",
    kinds=frozenset({"vcf", "deltalake"}),
    words="structural variants",
    colour="#56b4e9",
    files=Files(
        words="VCF 4.1 to 4.4 or BCF of Manta, DELLY, GRIDSS, LUMPY, DRAGEN", is_folder=False
    ),
    # A vector is there as a whole or not at all: a gap is a file of unknown build, not a zero.
    fill=dict.fromkeys(block.name for block in CONTRACT.blocks),
    simulate="assets.simulate.sv_files",
    inspect=None,
)

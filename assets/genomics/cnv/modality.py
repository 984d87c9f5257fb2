"""Copy number, declared: what everything about the modality is made from."""

from assets.genomics.cnv.features import CONTRACT
from assets.genomics.cnv.reader import extract
from oncoframe.modality import Files, ModalitySpec

MODALITY = ModalitySpec(
    contract=CONTRACT,
    extract=extract,
    stage="genomics",
    kinds=frozenset({"vcf", "csv", "deltalake"}),
    words="copy number",
    colour="#cc79a7",
    files=Files(words="VCF or BCF, or a table of segments", is_folder=False),
    # A region without a read is more likely lost than unchanged.
    fill={
        block.name: "lowest" if block.name.endswith("_ratio") else None for block in CONTRACT.blocks
    },
    simulate="assets.simulate.cnv_files",
    inspect=None,
)

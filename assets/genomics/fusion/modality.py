"""Gene fusions, declared: what everything about the modality is made from."""

from assets.genomics.fusion.reader import CONTRACT, extract
from oncoframe.modality import Files, ModalitySpec

MODALITY = ModalitySpec(
    contract=CONTRACT,
    extract=extract,
    stage="genomics",
    kinds=frozenset({"csv", "deltalake"}),
    words="fusions",
    colour="#d55e00",
    files=Files(words="table of a fusion caller", is_folder=False),
    fill={"fusion_partner": None},
    simulate="assets.simulate.fusion_files",
    inspect=None,
)

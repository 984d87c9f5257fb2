"""CT, declared: what everything about the modality is made from."""

from assets.imaging.ct import CONTRACT, extract
from oncoframe.modality import Files, ModalitySpec

MODALITY = ModalitySpec(
    contract=CONTRACT,
    extract=extract,
    stage="imaging",
    kinds=frozenset({"dicom", "simpleitk", "deltalake"}),
    words="CT",
    colour="#8c6d4f",
    files=Files(
        words="folder of DICOM files with RTSTRUCT or SEG, or of one image and its mask",
        is_folder=True,
    ),
    fill={"ct_filtered": None},
    # Of a patient and not of a specimen: assets/simulate/ct_files.py.
    simulate=None,
    inspect="assets.imaging.study",
)

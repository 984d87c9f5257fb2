"""Names of structures: a lung taken for the tumour is a wrong row that nobody notices."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from assets.imaging import errors
from assets.imaging.dicom_files import DicomFile
from assets.imaging.rules import MaskRule
from assets.imaging.structure_names import Kind, kind_of, structure_label
from assets.imaging.targets import Target, candidates


@pytest.mark.parametrize(
    "name",
    ["Tumor", "Primärtumor", "Raumforderung li", "Läsion 2", "Rundherd", "Bronchialkarzinom",
     "Lungenkrebs", "Tumeur", "Masse", "Lésion", "Métastase", "Nódulo", "Masa", "Lesión",
     "Cáncer", "Tumore", "Massa", "Lesione", "Nodulo", "Carcinoma", "Gezwel", "Laesie", "Kanker",
     "carcinoom", "Lymphoma", "Glioblastom"],
)  # fmt: skip
def test_kind_of__knows_tumours_in_six_languages(name):
    assert kind_of(name)[0] is Kind.TUMOUR


@pytest.mark.parametrize("name", ["GTV", "GTVp", "gtv_lung", "GTV 2", "GTVp1"])
def test_kind_of__knows_gross_tumour_volumes(name):
    assert kind_of(name)[0] is Kind.GROSS_TUMOUR_VOLUME


@pytest.mark.parametrize(
    "name",
    ["Haut", "Lunge links", "Körper", "Peau", "Poumon G", "Pulmón", "Piel", "Cuerpo", "Polmone",
     "Pelle", "Huid", "Lichaam", "BODY", "Lungs", "Lungs-GTV", "Lung_L-GTVp", "Lunge - GTV",
     "Lung minus GTV", "Poumon-Tumeur", "GTVn", "GTVn_L", "GTVnL", "CTV", "PTV_60", "IGTV", "ITV",
     "GTV+5mm", "GTV 10 mm", "Lymphknoten", "LK 4R", "Ganglion", "Linfonodo", "Lymfeklier",
     "GTV Ödem", "Tumor oedème", "Tumorbett", "Peritumoral", "lecho tumoral", "Tumor Nekrose"],
)  # fmt: skip
def test_kind_of__takes_no_organ_node_or_margin_for_a_tumour(name):
    """``Lungs-GTV`` is how TG-263 calls the lung without the tumour."""
    assert kind_of(name)[0] is Kind.OTHER


@given(st.text(st.sampled_from("gtvnlGTV-_ +5mLungesTumorkhcpöéDoe1234"), max_size=24))
def test_structure_label__means_what_the_name_means(text):
    """The copy holds the clean name only: the tumour must be the same there."""
    assert kind_of(structure_label(text)) == kind_of(text)
    assert structure_label(structure_label(text)) == structure_label(text)


def targets(*names: str, finding: str = "") -> list[Target]:
    file = DicomFile(Path(), "study", Dataset())
    return [Target(file, number, name, finding) for number, name in enumerate(names, start=1)]


def test_candidates__lists_structures_when_none_is_called_after_a_tumour():
    """The largest would be the skin: every feature that of the whole body."""
    with pytest.raises(errors.UnclearTumour, match="1 Haut, 2 Lung links, 3 structure"):
        candidates(targets("Haut", "Lunge links", "Doe John"), MaskRule())


def test_candidates__takes_the_only_structure_and_says_so():
    found = candidates(targets("Liver"), MaskRule())
    assert ([t.label for t in found.targets], found.sign) == (["Liver"], "only_structure")


def test_candidates__takes_the_lowest_number_of_gross_tumour_volumes():
    found = candidates(targets("GTV-2", "GTV-1", "Tumor"), MaskRule())
    assert [t.label for t in found.targets] == ["GTV-1"]
    assert found.sign == "gross_tumour_volume/lowest_number_of_2"


def test_candidates__does_not_believe_codes_of_organs():
    """Programs that code every segment as neoplasm would make the lung one."""
    coded = targets("Haut", "Lunge", finding="neoplasm")
    with pytest.raises(errors.UnclearTumour, match="code of a tumour"):
        candidates(coded, MaskRule())


@pytest.mark.parametrize(
    ("text", "rule"),
    [("tumour+interpolate", MaskRule(interpolate=True)),
     ("tumour+interpolate+absent_images", MaskRule(interpolate=True, absent_images=True))],
)  # fmt: skip
def test_mask_rule__writes_options_as_it_reads_them(text, rule):
    assert MaskRule.parse(text) == rule
    assert rule.label == text

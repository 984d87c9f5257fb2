"""Measures of fields and of cells: names, units and words."""

from collections.abc import Mapping

#: Measure of a cell -> unit and words.
CELL_MEASURES: Mapping[str, tuple[str, str]] = {
    "nucleus_area_um2": ("um^2", "area of the nucleus"),
    "nucleus_roundness": ("1", "roundness of the nucleus, 1 for a disc"),
    "nucleus_solidity": ("1", "share of its convex hull that the nucleus fills"),
    "nucleus_eccentricity": ("1", "elongation of the nucleus, 0 for a disc"),
    "nucleus_lobes": ("1", "lobes of the nucleus"),
    "lobe_radius_um": ("um", "radius of the largest disc in the nucleus"),
    "cell_area_um2": ("um^2", "area of the cell"),
    "nucleus_share": ("1", "share of the cell that is nucleus"),
    "nucleus_density": ("1", "blue index of the nucleus, an optical density"),
    "chromatin_spread": ("1", "relative spread of the density in the nucleus"),
    "chromatin_fine": ("1", "relative spread of the chromatin at 0.2 to 0.4 um"),
    "chromatin_coarse": ("1", "relative spread of the chromatin at 0.4 to 0.8 um"),
    "chromatin_contrast": ("1", "difference of neighbouring chromatin, in gray levels squared"),
    "chromatin_evenness": ("1", "homogeneity of neighbouring chromatin"),
    "nucleus_lightness": ("1", "CIELAB L* of the nucleus"),
    "nucleus_a": ("1", "CIELAB a* of the nucleus, green to red"),
    "nucleus_b": ("1", "CIELAB b* of the nucleus, blue to yellow"),
    "cytoplasm_lightness": ("1", "CIELAB L* of the cytoplasm"),
    "cytoplasm_a": ("1", "CIELAB a* of the cytoplasm, green to red"),
    "cytoplasm_b": ("1", "CIELAB b* of the cytoplasm, blue to yellow"),
    "cytoplasm_grain": ("1", "spread of the density of the cytoplasm at 0.2 to 0.4 um"),
}
#: Measure of the quality of a field -> unit and words.
QUALITY_MEASURES: Mapping[str, tuple[str, str]] = {
    "blur_um": ("um", "width of a point, from the sharpest edges"),
    "stain_contrast": ("1", "blue index of the nuclei over that of the rest"),
    "stain_angle_deg": ("deg", "angle between the stain of nuclei and that of red cells"),
    "stain_blue": ("1", "amount of the stain of nuclei in the deepest pixels"),
    "stain_red": ("1", "amount of the stain of red cells in the deepest pixels"),
    "cells_per_10e4_um2": ("1/10,000 um^2", "nucleated cells per area"),
    "stained_share": ("1", "share of the field that is not glass"),
    "evenness": ("1", "evenness of the stained area over the field, 1 if even"),
    "clumped_share": ("1", "share of the nuclear area that lies in touching nuclei"),
    "glass_lightness": ("1", "CIELAB L* of the glass"),
    "glass_chroma": ("1", "CIELAB chroma of the glass: a veil of protein, or a cast of colour"),
    "light_unevenness": ("1", "relative difference of the glass between parts of the field"),
    "artefact_share": ("1", "share of the field that is dark in all colours: dirt, ink, folds"),
}

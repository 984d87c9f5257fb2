"""Radiomic features against published values: PyRadiomics' baselines and IBSI's phantom."""

import ast
import csv
from pathlib import Path
from typing import Any

import pytest
import SimpleITK as sitk

from assets.imaging.radiomics import compute_features
from assets.imaging.settings import Settings, own_settings
from assets.imaging.study import read_study

CASES = ("brain1", "brain2", "breast1")
CLASSES = ("firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm", "shape", "shape2D")
#: PyRadiomics 3.0.1 itself is 0.1 % off its own baseline here: the mesh of a later version.
MESH = {"MeshVolume", "SurfaceArea", "SurfaceVolumeRatio", "Sphericity"}


def baselines(folder: Path, kind: str) -> dict[str, dict[str, str]]:
    """Test case -> row name -> value of one baseline file."""
    with (folder / "baseline" / f"baseline_{kind}.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    return {
        case: {row[0]: row[column] for row in rows}
        for column, case in enumerate(header)
        if case.startswith(CASES)
    }


@pytest.mark.real_data
@pytest.mark.parametrize("kind", CLASSES)
def test_compute_features__gives_the_published_baselines(real_data, kind):
    """Cropping, shared filters or a changed default would move values away from PyRadiomics'."""
    folder = real_data / "imaging" / "pyradiomics"
    compared, off = 0, {}
    for case, rows in baselines(folder, kind).items():
        options = ast.literal_eval(rows["diagnostics_Configuration_Settings"])
        name = rows["diagnostics_Configuration_TestCase"].removesuffix("_2D")
        image = sitk.ReadImage(str(folder / f"{name}_image.nrrd"))
        label = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"{name}_label.nrrd"))) == 1
        expected = {k: float(v) for k, v in rows.items() if k.startswith("original_")}
        if kind == "shape2D":
            box = ast.literal_eval(rows["diagnostics_Mask-corrected_BoundingBox"])
            label[: box[2]] = label[box[2] + 1 :] = False
        features = [n.removeprefix(f"original_{kind}_") for n in expected]
        settings = Settings(
            case,
            1,
            {"setting": options, "imageType": {"Original": {}}, "featureClass": {kind: features}},
        )
        got = compute_features(image, {case: label}, settings)[case]
        for feature, value in expected.items():
            compared += 1
            short = feature.split("_")[2]
            tolerance = 2e-3 if name == "brain1" and short in MESH else 1e-6
            if got[feature] is None or abs(got[feature] - value) > tolerance * max(
                abs(value), 1e-12
            ):
                off[case, feature] = (got[feature], value)
    assert off == {}
    assert compared > 0


#: Feature of PyRadiomics -> tag of IBSI's table.
IBSI = {
    "shape_MeshVolume": "morph_volume",
    "shape_VoxelVolume": "morph_vol_approx",
    "shape_SurfaceArea": "morph_area_mesh",
    "shape_SurfaceVolumeRatio": "morph_av",
    "shape_Sphericity": "morph_sphericity",
    "shape_Maximum3DDiameter": "morph_diam",
    "shape_MajorAxisLength": "morph_pca_maj_axis",
    "shape_MinorAxisLength": "morph_pca_min_axis",
    "shape_LeastAxisLength": "morph_pca_least_axis",
    "shape_Elongation": "morph_pca_elongation",
    "shape_Flatness": "morph_pca_flatness",
    "firstorder_Mean": "stat_mean",
    "firstorder_Variance": "stat_var",
    "firstorder_Skewness": "stat_skew",
    "firstorder_Kurtosis": "stat_kurt",
    "firstorder_Median": "stat_median",
    "firstorder_Minimum": "stat_min",
    "firstorder_10Percentile": "stat_p10",
    "firstorder_90Percentile": "stat_p90",
    "firstorder_Maximum": "stat_max",
    "firstorder_InterquartileRange": "stat_iqr",
    "firstorder_Range": "stat_range",
    "firstorder_MeanAbsoluteDeviation": "stat_mad",
    "firstorder_RobustMeanAbsoluteDeviation": "stat_rmad",
    "firstorder_Energy": "stat_energy",
    "firstorder_RootMeanSquared": "stat_rms",
    "firstorder_Entropy": "ih_entropy",
    "firstorder_Uniformity": "ih_uniformity",
    "glcm_MaximumProbability": "cm_joint_max_3D_avg",
    "glcm_JointAverage": "cm_joint_avg_3D_avg",
    "glcm_SumSquares": "cm_joint_var_3D_avg",
    "glcm_JointEntropy": "cm_joint_entr_3D_avg",
    "glcm_DifferenceAverage": "cm_diff_avg_3D_avg",
    "glcm_DifferenceVariance": "cm_diff_var_3D_avg",
    "glcm_DifferenceEntropy": "cm_diff_entr_3D_avg",
    "glcm_SumAverage": "cm_sum_avg_3D_avg",
    "glcm_SumEntropy": "cm_sum_entr_3D_avg",
    "glcm_JointEnergy": "cm_energy_3D_avg",
    "glcm_Contrast": "cm_contrast_3D_avg",
    "glcm_Id": "cm_inv_diff_3D_avg",
    "glcm_Idn": "cm_inv_diff_norm_3D_avg",
    "glcm_Idm": "cm_inv_diff_mom_3D_avg",
    "glcm_Idmn": "cm_inv_diff_mom_norm_3D_avg",
    "glcm_InverseVariance": "cm_inv_var_3D_avg",
    "glcm_Correlation": "cm_corr_3D_avg",
    "glcm_Autocorrelation": "cm_auto_corr_3D_avg",
    "glcm_ClusterTendency": "cm_clust_tend_3D_avg",
    "glcm_ClusterShade": "cm_clust_shade_3D_avg",
    "glcm_ClusterProminence": "cm_clust_prom_3D_avg",
    "glcm_Imc1": "cm_info_corr1_3D_avg",
    "glcm_Imc2": "cm_info_corr2_3D_avg",
    "glrlm_ShortRunEmphasis": "rlm_sre_3D_avg",
    "glrlm_LongRunEmphasis": "rlm_lre_3D_avg",
    "glrlm_LowGrayLevelRunEmphasis": "rlm_lgre_3D_avg",
    "glrlm_HighGrayLevelRunEmphasis": "rlm_hgre_3D_avg",
    "glrlm_ShortRunLowGrayLevelEmphasis": "rlm_srlge_3D_avg",
    "glrlm_ShortRunHighGrayLevelEmphasis": "rlm_srhge_3D_avg",
    "glrlm_LongRunLowGrayLevelEmphasis": "rlm_lrlge_3D_avg",
    "glrlm_LongRunHighGrayLevelEmphasis": "rlm_lrhge_3D_avg",
    "glrlm_GrayLevelNonUniformity": "rlm_glnu_3D_avg",
    "glrlm_GrayLevelNonUniformityNormalized": "rlm_glnu_norm_3D_avg",
    "glrlm_RunLengthNonUniformity": "rlm_rlnu_3D_avg",
    "glrlm_RunLengthNonUniformityNormalized": "rlm_rlnu_norm_3D_avg",
    "glrlm_RunPercentage": "rlm_r_perc_3D_avg",
    "glrlm_GrayLevelVariance": "rlm_gl_var_3D_avg",
    "glrlm_RunVariance": "rlm_rl_var_3D_avg",
    "glrlm_RunEntropy": "rlm_rl_entr_3D_avg",
    "glszm_SmallAreaEmphasis": "szm_sze_3D",
    "glszm_LargeAreaEmphasis": "szm_lze_3D",
    "glszm_LowGrayLevelZoneEmphasis": "szm_lgze_3D",
    "glszm_HighGrayLevelZoneEmphasis": "szm_hgze_3D",
    "glszm_SmallAreaLowGrayLevelEmphasis": "szm_szlge_3D",
    "glszm_SmallAreaHighGrayLevelEmphasis": "szm_szhge_3D",
    "glszm_LargeAreaLowGrayLevelEmphasis": "szm_lzlge_3D",
    "glszm_LargeAreaHighGrayLevelEmphasis": "szm_lzhge_3D",
    "glszm_GrayLevelNonUniformity": "szm_glnu_3D",
    "glszm_GrayLevelNonUniformityNormalized": "szm_glnu_norm_3D",
    "glszm_SizeZoneNonUniformity": "szm_zsnu_3D",
    "glszm_SizeZoneNonUniformityNormalized": "szm_zsnu_norm_3D",
    "glszm_ZonePercentage": "szm_z_perc_3D",
    "glszm_GrayLevelVariance": "szm_gl_var_3D",
    "glszm_ZoneVariance": "szm_zs_var_3D",
    "glszm_ZoneEntropy": "szm_zs_entr_3D",
    "gldm_SmallDependenceEmphasis": "ngl_lde_3D",
    "gldm_LargeDependenceEmphasis": "ngl_hde_3D",
    "gldm_LowGrayLevelEmphasis": "ngl_lgce_3D",
    "gldm_HighGrayLevelEmphasis": "ngl_hgce_3D",
    "gldm_SmallDependenceLowGrayLevelEmphasis": "ngl_ldlge_3D",
    "gldm_SmallDependenceHighGrayLevelEmphasis": "ngl_ldhge_3D",
    "gldm_LargeDependenceLowGrayLevelEmphasis": "ngl_hdlge_3D",
    "gldm_LargeDependenceHighGrayLevelEmphasis": "ngl_hdhge_3D",
    "gldm_GrayLevelNonUniformity": "ngl_glnu_3D",
    "gldm_DependenceNonUniformity": "ngl_dcnu_3D",
    "gldm_DependenceNonUniformityNormalized": "ngl_dcnu_norm_3D",
    "gldm_GrayLevelVariance": "ngl_gl_var_3D",
    "gldm_DependenceVariance": "ngl_dc_var_3D",
    "gldm_DependenceEntropy": "ngl_dc_entr_3D",
    "ngtdm_Coarseness": "ngt_coarseness_3D",
    "ngtdm_Contrast": "ngt_contrast_3D",
    "ngtdm_Busyness": "ngt_busyness_3D",
    "ngtdm_Complexity": "ngt_complexity_3D",
    "ngtdm_Strength": "ngt_strength_3D",
}
#: Where PyRadiomics does not follow IBSI -> its value on the phantom, and why.
DEVIATIONS = {
    "firstorder_Kurtosis": 2.64538,  # not reduced by 3
    "shape_MinorAxisLength": 9.24490,  # covariance over N voxels; the consensus fits N - 1
    "shape_LeastAxisLength": 8.47811,  # same
}


@pytest.mark.real_data
def test_compute_features__gives_the_consensus_of_ibsi(real_data):
    """Values agreed on by 25 teams: a wrong neighbourhood or discretisation would show here."""
    folder = real_data / "imaging" / "ibsi"
    image = sitk.ReadImage(str(folder / "digital_phantom_image.nii.gz"))
    mask = sitk.ReadImage(str(folder / "digital_phantom_mask.nii.gz"))
    settings = Settings("ibsi", 1, {"setting": {"binWidth": 1}, "imageType": {"Original": {}}})
    got = compute_features(image, {"": sitk.GetArrayFromImage(mask) > 0}, settings)[""]
    with (folder / "ibsi_1_dig_phantom.csv").open(newline="") as stream:
        rows = {row["tag"]: row for row in csv.DictReader(stream, delimiter=";")}
    off = {}
    for feature, tag in IBSI.items():
        value, expected = got[f"original_{feature}"], float(rows[tag]["reference value"])
        # The table gives three digits; its tolerance is 0 where they must be met.
        near = abs(value - expected) <= float(rows[tag]["tolerance"])
        if not near and f"{value:.3g}" != f"{expected:.3g}":
            off[feature] = pytest.approx(value, rel=1e-5)
    assert off == DEVIATIONS


#: IBSI-1's configurations of its CT phantom, as settings of a center.
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "A": {"force2D": True, "resegmentRange": [-500, 400], "binWidth": 25},
    "B": {"force2D": True, "resampledPixelSpacing": [2, 2, 0], "resampleLike": "ibsi",
          "interpolator": "sitkLinear", "resegmentRange": [-500, 400], "binCount": 32},
    "C": {"resampledPixelSpacing": [2, 2, 2], "resampleLike": "ibsi",
          "interpolator": "sitkLinear", "resegmentRange": [-1000, 400], "binWidth": 25},
    "D": {"resampledPixelSpacing": [2, 2, 2], "resampleLike": "ibsi",
          "interpolator": "sitkLinear", "resegmentSigma": 3, "binCount": 32},
    "E": {"resampledPixelSpacing": [2, 2, 2], "resampleLike": "ibsi",
          "interpolator": "sitkBSpline", "resegmentRange": [-1000, 400], "resegmentSigma": 3,
          "binCount": 32},
}  # fmt: skip
#: Features of C that count gray levels from the lowest voxel, IBSI from -1000 HU: they go by the
#: number of the level.
OF_LEVELS = ("GrayLevelEmphasis", "GrayLevelRunEmphasis", "GrayLevelZoneEmphasis")
OTHERS_OF_LEVELS = {
    "glcm_JointAverage", "glcm_SumAverage", "glcm_Autocorrelation", "ngtdm_Busyness",
}  # fmt: skip


@pytest.mark.real_data
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_compute_features__gives_the_consensus_of_ibsi_on_the_ct_phantom(real_data, configuration):
    """Resegmentation, bins, resampling and 2-D aggregation, within the published tolerances.

    References
    ----------
    Zwanenburg et al., Radiology 295 (2020), reference values of the CT phantom; aggregation 2.5D
    by direction for A and B, 3D by direction for C to E.
    """
    study = read_study(real_data / "imaging" / "lung_rtstruct" / "pat_1")
    content = {"setting": CONFIGURATIONS[configuration], "imageType": {"Original": {}}}
    settings = own_settings(configuration, content)
    got = compute_features(study.volume.image, {"": study.mask}, settings)[""]
    with (Path(__file__).parent / "ibsi_ct_phantom.csv").open(newline="") as stream:
        rows = {row["tag"]: row for row in csv.DictReader(stream, delimiter=";")}
    off = set()
    for feature, tag in IBSI.items():
        said = rows[tag.removesuffix("_avg").removesuffix("_3D")][configuration]
        expected, tolerance = map(float, said.split("/"))
        value = got[f"original_{feature}"]
        if abs(value - expected) > tolerance and f"{value:.3g}" != f"{expected:.3g}":
            off.add(feature)
    known = {"firstorder_Kurtosis"}
    if configuration == "C":
        known |= OTHERS_OF_LEVELS | {name for name in IBSI if name.endswith(OF_LEVELS)}
    assert off == known
    # The fourth standardised moment, from which IBSI takes the 3 of a normal distribution.
    expected, tolerance = map(float, rows["stat_kurt"][configuration].split("/"))
    assert got["original_firstorder_Kurtosis"] - 3 == pytest.approx(expected, abs=tolerance)

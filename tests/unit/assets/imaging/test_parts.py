"""Parts of CT imaging: rasterising, vocabularies, overlays, ready volumes, names of targets."""

import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from assets.imaging import errors
from assets.imaging.covariates import kernel, manufacturer, scanner_model
from assets.imaging.dicom_files import DicomFile, save
from assets.imaging.grid import Grid
from assets.imaging.overlay import CONTOUR_RGB, PANEL_PIXELS, overlay
from assets.imaging.ready import find_pair, read_pair
from assets.imaging.rtstruct import even_odd
from assets.imaging.structure_names import structure_label
from assets.imaging.study import extract_folder, extract_volume, read_study
from assets.imaging.targets import Target
from assets.simulate.phantom.dicom import ct_slices, structure_set, write_study
from assets.simulate.phantom.image import PhantomShape, make_phantom
from oncoframe.errors import EmptyFile, FileMissing, TruncatedFile, WrongFormat

PHANTOM = make_phantom(PhantomShape(size=(12, 40, 44), tumour_mm=11.0), seed=1)
NOTHING = np.zeros_like(PHANTOM.mask)


def crossings(polygon: list[tuple[float, float]], x: float, y: float) -> bool:
    """Point in polygon by casting a ray to the left, edge by edge, as in a textbook."""
    inside = False
    for (x0, y0), (x1, y1) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if (y0 > y) != (y1 > y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) < x:
            inside = not inside
    return inside


#: Corners off the pixel centres: on a centre, inside and outside are a convention.
corner = st.tuples(
    st.integers(-20, 120).map(lambda n: n / 10 + 0.04371234567),
    st.integers(-20, 120).map(lambda n: n / 10 + 0.02718765431),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(corner, min_size=3, max_size=9), min_size=1, max_size=3))
def test_even_odd__agrees_with_ray_casting(polygons):
    """Self-crossing, nested and leaving the image: parity decides, pixel by pixel."""
    got = even_odd([np.array(polygon) for polygon in polygons], (10, 11))
    expected = [
        [sum(crossings(polygon, x, y) for polygon in polygons) % 2 == 1 for x in range(11)]
        for y in range(10)
    ]
    assert got.tolist() == expected


def test_even_odd__counts_a_pixel_on_a_shared_edge_once():
    """Two regions side by side: no gap between them and no pixel in both."""
    left = np.array([[0, 0], [5, 0], [5, 8], [0, 8]], dtype=float)
    right = np.array([[5, 0], [9, 0], [9, 8], [5, 8]], dtype=float)
    one, other = even_odd([left], (10, 10)), even_odd([right], (10, 10))
    assert not (one & other).any()
    assert np.array_equal(one | other, even_odd([left, right], (10, 10)))
    assert (one | other).sum() == 72


def test_even_odd__leaves_a_keyhole_open():
    """A hole reached by a channel of no width is still a hole."""
    ring = [[1, 1], [8, 1], [8, 8], [1, 8], [1, 1], [3, 3], [3, 6], [6, 6], [6, 3], [3, 3]]
    got = even_odd([np.array(ring, dtype=float) + 0.5], (10, 10))
    assert got[2, 2]
    assert not got[5, 5]
    assert got.sum() == 49 - 9


def with_contours(folder: Path, change) -> Path:
    images = ct_slices(PHANTOM)
    structures = structure_set(PHANTOM, images)
    contours = structures.ROIContourSequence[0].ContourSequence
    change(contours)
    for number, image in enumerate(images):
        save(image, folder / f"{number}.dcm")
    save(structures, folder / "rs.dcm")
    return folder


def test_read_study__counts_a_contour_written_twice_once(tmp_path):
    """By the even-odd rule a copy would cancel the contour, and the tumour with it."""
    folder = with_contours(tmp_path, lambda contours: contours.extend(list(contours)))
    assert np.array_equal(read_study(folder).mask, PHANTOM.mask)


def test_read_study__refuses_contours_finer_than_the_slices(tmp_path):
    """Drawn on slices of 1.5 mm, CT of 3 mm: two planes in one slice would leave a thin ring."""

    def move(contours) -> None:
        data = [float(v) for v in contours[0].ContourData]
        data[2::3] = [z + 1.2 for z in data[2::3]]
        contours[0].ContourData = data
        contours.append(
            structure_set(PHANTOM, ct_slices(PHANTOM)).ROIContourSequence[0].ContourSequence[0]
        )

    with pytest.raises(errors.MaskOffGrid, match="between the slices"):
        read_study(with_contours(tmp_path, move))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("SIEMENS", "siemens"), ("GE MEDICAL SYSTEMS", "ge"), ("Philips", "philips"),
     ("TOSHIBA", "canon"), ("Canon Medical Systems", "canon"), ("Dr. Doe's own", "other"),
     ("", None)],
)  # fmt: skip
def test_manufacturer__is_one_of_a_few(text, expected):
    assert manufacturer(text) == expected


@pytest.mark.parametrize("text", ["B30f", "Br40d\\3", "STANDARD", "LUNG", "FC08", "YA", "I31f\\2"])
def test_kernel__keeps_what_vendors_write(text):
    assert kernel(text) == text


@pytest.mark.parametrize("text", ["LightSpeed VCT", "Sensation 64", "SOMATOM Definition AS+",
                                  "Discovery ST", "Aquilion ONE", "Brilliance 64"])  # fmt: skip
def test_scanner_model__keeps_models(text):
    assert scanner_model(text) in (text, "other")
    assert scanner_model("LightSpeed VCT") == "LightSpeed VCT"


@pytest.mark.parametrize("text", ["DOE", "Doe^John", "B30f DOE", "4711", "LUNG DOE"])
def test_vocabularies__let_no_name_through(text):
    """Whatever somebody typed into a field of the scanner, it is not repeated."""
    assert kernel(text) == "other"
    assert scanner_model(text) == "other"
    assert manufacturer(text) == "other"
    assert structure_label(f"GTV {text}") in ("GTV", "GTV 30", "GTV LUNG")


@pytest.mark.parametrize(
    ("label", "kept"),
    [("GTV-1", "GTV 1"), ("gtv_mass_CT", "gtv mass"), ("Tumor Doe", "Tumor"),
     ("Liver 12", "Liver 12"), ("Doe John 4711174711", "structure"), ("GTV Nguyen", "GTV")],
)  # fmt: skip
def test_structure_label__keeps_words_for_structures_only(label, kept):
    assert structure_label(label) == kept


@pytest.mark.slow
@given(
    st.lists(
        st.sampled_from(
            ["GTV", "gtvn", "GTV_N", "Edema", "Mass", "Tumour", "nodule", "LN", "PTV", "Carcinoma",
             "metastasis", "Sarcoma", "necrosis", "ring", "Doe", "Nguyen", "left", "2", "10",
             "Lung"]
        ),
        min_size=1, max_size=4,
    ),
    st.sampled_from(" _-"),
)  # fmt: skip
def test_structure_label__leaves_the_rank_of_a_tumour(words, separator):
    """A name hidden so well that the lung is taken for the tumour would be a wrong row."""
    file = DicomFile(Path(), "", structure_set(PHANTOM, ct_slices(PHANTOM)[:1], {"x": NOTHING}))
    label = separator.join(words)
    hidden = Target(file, 1, structure_label(label), "").tumour_rank
    assert hidden == Target(file, 1, label, "").tumour_rank
    by_code = Target(file, 1, "", structure_label(label).casefold()).tumour_rank
    assert by_code == Target(file, 1, "", label.casefold()).tumour_rank


@pytest.mark.parametrize(
    ("label", "rank"),
    [("GTV-1", (0, 1)), ("gtv_mass_CT", (0, 0)), ("Tumor", (1, 0)), ("Lesion 2", (1, 2)),
     ("GTV_Edema", None), ("GTVn", None), ("PTV", None), ("Lung L", None), ("LN 4R", None),
     ("Liver", None)],
)  # fmt: skip
def test_target__knows_tumours_by_name(tmp_path, label, rank):
    """An oedema or a node taken for the tumour is a wrong row that nobody notices."""
    file = DicomFile(tmp_path, "", structure_set(PHANTOM, ct_slices(PHANTOM)))
    assert Target(file, 1, label, "").tumour_rank == rank


def test_target__knows_tumours_by_code(tmp_path):
    file = DicomFile(tmp_path, "", structure_set(PHANTOM, ct_slices(PHANTOM)))
    assert Target(file, 1, "Segment 1", "neoplasm").tumour_rank == (2, 1)


def png_chunks(png: bytes) -> list[bytes]:
    chunks, at = [], 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4])
        assert zlib.crc32(png[at + 4 : at + 8 + length]) == int.from_bytes(
            png[at + 8 + length : at + 12 + length]
        )
        chunks.append(png[at + 4 : at + 8])
        at += 12 + length
    return chunks


def marked(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray, Grid]:
    """A volume with a bright spot towards the patient's left, front and head."""
    grid = Grid((20, 30, 40), np.zeros(3), np.array([1.0, 1.0, 2.0]), direction)
    points = grid.points(
        np.array([[x, y, z] for z in range(20) for y in range(30) for x in range(40)])
    )
    hu = np.full(grid.shape, -1000.0)
    offset = points - points.mean(axis=0)
    hu.ravel()[(offset[:, 0] > 0) & (offset[:, 1] < 0) & (offset[:, 2] > 0)] = 400.0
    mask = (np.abs(offset - np.array([8, -6, 8])) < 4).all(axis=1).reshape(grid.shape)
    return hu, mask, grid


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (-1, -1, 1), (1, -1, -1)])
def test_overlay__shows_left_right_and_head_up(signs):
    """A flipped picture shows the tumour in the wrong lung."""
    picture = Image.open(BytesIO(overlay(*marked(np.diag(signs).astype(float))).png))
    shades = np.array(picture.convert("L")).astype(float)[:PANEL_PIXELS]
    half_height = PANEL_PIXELS // 2
    for number, (start, width) in enumerate(zip((0, 431, 755), (427, 320, 240), strict=True)):
        panel = shades[:, start : start + width]
        half = width // 2
        quarters = {
            "upper left": panel[:half_height, :half], "upper right": panel[:half_height, half:],
            "lower left": panel[half_height:, :half], "lower right": panel[half_height:, half:],
        }  # fmt: skip
        # Left of the patient is right in the picture; in the sagittal plane the front is left.
        brightest = max(quarters, key=lambda name: quarters[name].mean())
        assert brightest == ("upper left" if number == 2 else "upper right")


def test_overlay__outlines_the_mask_and_carries_no_text():
    picture = overlay(PHANTOM.hu, PHANTOM.mask, PHANTOM.grid)
    chunks = {b"IHDR", b"IDAT", b"IEND"}
    assert set(png_chunks(picture.png)) == chunks
    assert set(png_chunks(picture.preview)) == {*chunks, b"PLTE"}
    for png, pixels in ((picture.png, 1000), (picture.preview, 200)):
        shown = np.array(Image.open(BytesIO(png)).convert("RGB"))
        assert (shown == CONTOUR_RGB).all(axis=2).sum() > pixels


@pytest.mark.slow
def test_overlay__preview_is_small_for_a_large_noisy_scan():
    """It goes into the event log, which keeps it for ever: 1,000 patients must stay below 50 MB."""
    phantom = make_phantom(PhantomShape(size=(60, 512, 512), spacing_mm=(0.8, 0.8, 3.0)), seed=2)
    noise = np.random.default_rng(1).normal(0, 40, phantom.hu.shape)
    assert len(overlay(phantom.hu + noise, phantom.mask, phantom.grid).preview) < 50_000


@pytest.fixture
def pair(tmp_path) -> tuple[Path, Path]:
    image, mask = tmp_path / "ct.nii.gz", tmp_path / "ct_mask.nii.gz"
    sitk.WriteImage(PHANTOM.grid.image(PHANTOM.hu), str(image))
    sitk.WriteImage(PHANTOM.grid.image(PHANTOM.mask.astype(np.uint8)), str(mask))
    return image, mask


def test_extract_volume__equals_the_features_of_the_dicom_files(tmp_path):
    """What is computed from a study does not hang on how it is stored."""
    write_study(PHANTOM, tmp_path / "dicom", kind="rtstruct")
    (tmp_path / "nifti").mkdir()
    study = read_study(tmp_path / "dicom")
    image, mask = tmp_path / "nifti" / "ct.nii.gz", tmp_path / "nifti" / "mask.nii.gz"
    sitk.WriteImage(study.volume.image, str(image))
    sitk.WriteImage(study.volume.grid.image(study.mask.astype(np.uint8)), str(mask))
    from_dicom, from_files = extract_folder(tmp_path / "dicom"), extract_volume(image, mask)
    assert from_files.radiomics == pytest.approx(from_dicom.radiomics, rel=1e-5)
    assert extract_folder(tmp_path / "nifti").radiomics == from_files.radiomics
    assert from_files.mask_voxels == PHANTOM.mask.sum()
    assert set(from_dicom.as_json()) >= {
        "modality", "status", "series", "slices", "mask_voxels", "settings", "features",
    }  # fmt: skip


def test_find_pair__needs_one_image_and_one_mask(pair, tmp_path):
    assert find_pair(tmp_path) == pair
    (tmp_path / "third.nii.gz").write_bytes(b"")
    assert find_pair(tmp_path) is None


def test_read_pair__refuses_a_mask_beside_the_image(pair):
    """Same shape, one voxel further: features of another region without any error."""
    image, mask = pair
    moved = sitk.ReadImage(str(mask))
    moved.SetOrigin([v + 2.0 for v in moved.GetOrigin()])
    sitk.WriteImage(moved, str(mask))
    with pytest.raises(errors.MaskOffGrid):
        read_pair(image, mask)


def test_read_pair__refuses_files_that_cannot_be_used(pair, tmp_path):
    image, mask = pair
    with pytest.raises(FileMissing):
        read_pair(image, tmp_path / "nowhere.nii.gz")
    with pytest.raises(errors.NoMask):
        read_pair(image, mask, label=7)
    blank = sitk.ReadImage(str(mask)) * 0
    sitk.WriteImage(blank, str(tmp_path / "blank.nii.gz"))
    with pytest.raises(errors.EmptyMask):
        read_pair(image, tmp_path / "blank.nii.gz")
    image.write_bytes(b"")
    with pytest.raises(EmptyFile):
        read_pair(image, mask)
    text = tmp_path / "ct.txt"
    text.write_text("no volume")
    with pytest.raises(WrongFormat):
        read_pair(text, mask)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_read_pair__refuses_a_truncated_volume(pair, tmp_path, suffix, share):
    """ITK reads a NIfTI file that ends early without a word, the rest being chance."""
    path = tmp_path / f"cut{suffix}"
    sitk.WriteImage(PHANTOM.grid.image(PHANTOM.hu), str(path), useCompression=True)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(TruncatedFile):
        read_pair(path, pair[1])

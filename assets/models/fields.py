"""Fields of smears for the networks of a study, and what a finished model says elsewhere.

study, frame -> prepare_fields -> bags
training, frame of a site -> validate_elsewhere -> Validation
"""

from pathlib import Path

from assets.smears.bags import prepare_bags
from ml.frames.design_matrix import bag_matrix
from ml.frames.frame import read_frame
from ml.serving.model import load_served
from ml.smears.available import require_extra
from ml.smears.places import Places
from ml.study.definition import Study
from ml.training.stored import StoredTraining
from ml.training.validation import Validation, validate
from oncoframe.errors import StudyError
from oncoframe.lake import Lake


def prepare_fields(lake: Lake, study: Study, frame: Path, places: Places) -> None:
    """Prepare the fields of the patients of a frame, if the study has a network.

    Raises
    ------
    ExtraMissing
        If this machine cannot train one.
    StudyError
        If the fields are not those of the frame any more.
    """
    if not any(recipe.is_network for recipe in study.recipes):
        return
    require_extra()
    keys = bag_matrix(read_frame(frame)).features.iloc[:, 0].dropna()
    prepare_bags(lake, list(keys), places.bags)


def validate_elsewhere(
    training: StoredTraining, frame: Path, *, frames_dir: Path, lake: Lake, places: Places
) -> Validation:
    """Ask the best model of a training about the patients of a frame of another site.

    Raises
    ------
    StudyError
        If the training kept no model, or as :func:`ml.training.validation.validate`.
    """
    if training.best.served is None:
        raise StudyError("the training kept no model", where=f"run {training.run_id}")
    prepare_fields(lake, training.study, frame, places)
    return validate(
        load_served(training.best.served).with_bags(places.bags),
        read_frame(frame),
        read_frame(frames_dir / training.frame_id),
        seed=training.study.cross_validation.seed,
    )

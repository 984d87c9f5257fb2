"""Study files: what loads, and the sentence a wrong one gets."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from ml.study.definition import STUDIES_DIR, load_study, study_names
from oncoframe.errors import StudyError


@pytest.fixture
def write_study(tmp_path):
    """Write a copy of a shipped study with some keys replaced; a dot goes one level down."""

    def write(**changes: object) -> Path:
        content = yaml.safe_load((STUDIES_DIR / "aml_who_class.yaml").read_text())
        content["name"] = "mine"
        for path, value in changes.items():
            *parents, last = path.split("__")
            target = content
            for parent in parents:
                target = target[parent]
            if value is None:
                del target[last]
            else:
                target[last] = value
        file = tmp_path / "mine.yaml"
        file.write_text(yaml.safe_dump(content))
        return file

    return write


@pytest.mark.parametrize("name", study_names())
def test_load_study__every_shipped_study_loads(name):
    """A typing error in a shipped file would only show when somebody trains it."""
    study = load_study(name)

    assert study.name == name
    assert study.pairs()
    assert all(reason.strip() for reason in study.features.exclude.values())


def test_load_study__unknown_name_lists_the_known_ones():
    with pytest.raises(StudyError, match="no study aml; expected one of aml_recipes, aml_who_"):
        load_study("aml")


def test_load_study__reads_a_file_anywhere(write_study):
    assert load_study(write_study()).label.min_patients_per_class == 10


def test_load_study__a_path_outside_is_not_reachable_as_a_name():
    """A name is joined to the studies folder: ``../x`` must not read another file."""
    with pytest.raises(StudyError, match="there is no study"):
        load_study("../studies/aml_who_class")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"titel": "x"}, r"mine\.yaml: titel: Extra inputs are not permitted"),
        ({"label__version": None}, r"label\.version: Field required"),
        ({"modality_sets": {"rna": ["rna"]}}, "modality set rna must name one or more of .*; got"),
        ({"modality_sets": {"none": []}}, "modality set none must name .*; got none"),
        ({"modality_sets": {"twice": ["snv", "snv"]}}, "each once; got snv, snv"),
        ({"label__min_patients_per_class": 3}, "with 5 folds every class needs as many patients"),
        ({"clocks__happened": "any_time"}, r"clocks\.happened: Input should be 'until_index'"),
        ({"features__exclude": {"a": ""}}, r"features\.exclude\.a: String should have at least 1"),
        ({"recipes": ["xgbost"]}, r"recipes\.0: there is no recipe xgbost; expected one of light"),
        ({"recipes": ["cox"]}, "the label is of classes, which recipe cox does not predict"),
        ({"recipes": ["lightgbm", "lightgbm"]}, "every recipe has a name of its own"),
        (
            {"recipes": [{"name": "lightgbm", "modality_sets": ["rna"]}]},
            "recipe lightgbm names no modality set of the study: rna",
        ),
        ({"cross_validation__split": "time"}, "split time has one repeat; got 3"),
        ({"name": "other"}, "a study is named like its file; expected name: mine, got other"),
    ],
)
def test_load_study__refuses_a_wrong_file(write_study, change, sentence):
    """A misspelt key that is ignored would train another study than the one written down."""
    with pytest.raises(StudyError, match=sentence):
        load_study(write_study(**change))


def test_load_study__refuses_what_is_no_yaml(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("name: [")

    with pytest.raises(StudyError, match="not YAML"):
        load_study(file)


def test_load_study__refuses_a_missing_file(tmp_path):
    with pytest.raises(StudyError, match="not there"):
        load_study(tmp_path / "mine.yaml")


def test_study__cannot_be_changed():
    """A study altered between frame and training would not be the one in the sidecar."""
    study = load_study("aml_who_class")

    with pytest.raises(ValidationError, match="frozen"):
        study.title = "another"

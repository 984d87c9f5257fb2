"""Studies: what is predicted for whom from what, declared in one YAML file each.

    ml/studies/<name>.yaml -> load_study -> Study -> frame builder, training

Only declarations: how a frame is joined is in ``assets/training``, how a recipe is built in
:mod:`ml.pipelines.recipes`.
"""

from pathlib import Path
from typing import Annotated, Literal, Self, get_args

import yaml
from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError, model_validator

from ml.study.modelling import (
    Calibration,
    Conformal,
    CrossValidation,
    Declaration,
    Identifier,
    Promotion,
    Recipe,
    Sentence,
    Subgroups,
)
from oncoframe.errors import StudyError
from oncoframe.modalities import MODULES

STUDIES_DIR = Path(__file__).parent.parent / "studies"

#: Languages that a page can call its classes in; its sentences are English.
Language = Literal["en", "de"]
#: The same in one or in several languages.
Said = Sentence | dict[Language, Sentence]


class Label(Declaration):
    """What is predicted.

    Parameters
    ----------
    name
        ``label_name`` in the labels table.
    version
        ``label_version`` there; classifications change (WHO 2016, WHO 2022), frames do not mix.
    min_patients_per_class
        Classes with fewer patients leave the frame.
    exclude
        Values that are no class of the study (``unknown``) -> reason.
    kind
        ``class``, or ``survival``: a time in days, with ``+`` behind it where the patient was
        alive then and nothing later is known.
    words
        Class -> what it is called for people, in English or by language (``dead: {en: died within
        two years, de: innerhalb von zwei Jahren verstorben}``); itself unless told.
    groups
        Lineage, or another heading -> its classes: reports keep them together, in this order.
    """

    name: Identifier
    version: Sentence
    kind: Literal["class", "survival"] = "class"
    min_patients_per_class: PositiveInt
    exclude: dict[Sentence, Sentence] = Field(default={})
    words: dict[Sentence, Said] = Field(default={})
    groups: dict[Sentence, tuple[Sentence, ...]] = Field(default={})

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        for language in get_args(Language):
            called = list(self.called(language).values())
            twice = sorted({words for words in called if called.count(words) > 1})
            if twice:
                msg = f"two classes are called {twice[0]}"
                raise ValueError(msg)
        return self

    def called(self, language: Language = "en") -> dict[str, str]:
        """Class -> what it is called in a language, or else in English, or as it is."""
        return {
            name: said if isinstance(said, str) else said.get(language, said.get("en", name))
            for name, said in self.words.items()
        }

    @model_validator(mode="after")
    def _in_one_group(self) -> Self:
        named = [name for names in self.groups.values() for name in names]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            msg = f"a class belongs to one group; {twice[0]} stands in several"
            raise ValueError(msg)
        return self


class Population(Declaration):
    """Who is in.

    Parameters
    ----------
    require_consent
        Leave out patients without consent.
    unreadable
        What becomes of a patient with a file that could not be read: ``exclude``, or ``missing``,
        which leaves the patient in, as one without that assay. Biomarkers are those of the files
        that were read.
    held_out_sites
        Sites whose patients no model learns from: a finished one is asked about them, by
        ``oncoframe validate``.
    """

    require_consent: bool = True
    unreadable: Literal["exclude", "missing"] = "exclude"
    held_out_sites: tuple[Sentence, ...] = ()


class Clocks(Declaration):
    """Which rows of the feature tables a patient's frame row may use, on both clocks.

    Parameters
    ----------
    index
        The event in the life of a patient from which the prediction is made, in words.
    dates
        What the dates are where they are not those of the calendar (shifted by the publisher).
    happened
        ``until_index``: event_timestamp <= the patient's index time.
    known
        ``until_as_of``: created_timestamp <= the as-of time of the frame.
    """

    index: Sentence
    dates: Sentence | None = None
    happened: Literal["until_index"] = "until_index"
    known: Literal["until_as_of"] = "until_as_of"


class Features(Declaration):
    """What it is predicted from.

    Parameters
    ----------
    service
        Feast feature service.
    exclude
        Frame column (``clinical_features__fab_subtype``) -> reason; no model sees it.
    """

    service: Identifier
    exclude: dict[Sentence, Sentence] = Field(default={})


class Guards(Declaration):
    """What may not get into a frame, and what is reported of it; see :mod:`ml.frames.leakage`.

    Parameters
    ----------
    after_index, label_column, mixed
        Columns known only after the index event, the label among the features, rows measured in
        different ways: always refused. They stand here so that a study file says so.
    same
        Columns of the feature tables that must have one value in all rows of a frame: genome
        build, unit of the expression, radiomics settings.
    suspect_auc
        A single column that tells a class from the others this well, out of fold, is reported as
        suspected leakage.
    suspect_min_patients
        Classes with fewer patients are not asked for: chance alone separates a handful.
    implausible
        What becomes of values that no measurement gives (:mod:`ml.frames.implausible`): ``kept``,
        or ``nulled``, which is missing to every model. Reported they are either way.
    """

    after_index: Literal["refuse"] = "refuse"
    label_column: Literal["refuse"] = "refuse"
    mixed: Literal["refuse"] = "refuse"
    same: tuple[Identifier, ...] = ("reference_build", "expression_unit", "settings_version")
    suspect_auc: Annotated[float, Field(gt=0.5, le=1)] = 0.95
    suspect_min_patients: Annotated[int, Field(ge=2)] = 10
    implausible: Literal["kept", "nulled"] = "kept"


class Study(Declaration):
    """One study file.

    Parameters
    ----------
    name
        Its file is ``<name>.yaml``.
    title
        What it asks, for reports.
    modality_sets
        Name of the set -> modalities a model of it sees; one row of the result table each.
    recipes
        Ways to a model; each is trained on every modality set.
    best_by
        Metric that decides which model is best, and is reported with it; a model of times is best
        by its concordance. The log loss asks for honest probabilities, and so for all that the
        other metrics are made of.
    permuted_labels
        Times that the labels are shuffled and the first recipe is trained on them, as a check that
        the whole evaluation finds nothing where nothing is.
    calibration
        None: probabilities are left as the models give them.
    limits
        What the data cannot tell, for reports.
    """

    name: Identifier
    title: Sentence
    label: Label
    population: Population = Population()
    clocks: Clocks
    features: Features
    guards: Guards = Guards()
    modality_sets: Annotated[dict[Identifier, tuple[str, ...]], Field(min_length=1)]
    recipes: Annotated[tuple[Recipe, ...], Field(min_length=1)]
    cross_validation: CrossValidation
    best_by: Literal["log_loss", "brier", "auroc", "accuracy", "balanced_accuracy", "macro_f1"] = (
        "log_loss"
    )
    permuted_labels: NonNegativeInt = 1
    calibration: Calibration | None = Calibration()
    conformal: Conformal = Conformal()
    subgroups: Subgroups = Subgroups()
    promotion: Promotion = Promotion()
    limits: tuple[Sentence, ...] = ()

    @model_validator(mode="after")
    def _check_sets_and_folds(self) -> Self:
        for name, modalities in self.modality_sets.items():
            unknown = sorted(set(modalities) - set(MODULES))
            if unknown or not modalities or len(set(modalities)) < len(modalities):
                msg = (
                    f"modality set {name} must name one or more of {', '.join(sorted(MODULES))}"
                    f", each once; got {', '.join(modalities) or 'none'}"
                )
                raise ValueError(msg)
        plan = self.cross_validation
        by_class = self.label.kind == "class" and plan.split == "patient"
        if by_class and self.label.min_patients_per_class < plan.folds:
            msg = (
                f"with {plan.folds} folds every class needs as many patients; "
                f"min_patients_per_class is {self.label.min_patients_per_class}"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _check_recipes(self) -> Self:
        names = [recipe.name for recipe in self.recipes]
        if len(set(names)) < len(names):
            msg = f"every recipe has a name of its own; got {', '.join(names)}"
            raise ValueError(msg)
        survival = self.label.kind == "survival"
        for recipe in self.recipes:
            if recipe.is_survival is not survival:
                kinds = "times" if survival else "classes"
                msg = f"the label is of {kinds}, which recipe {recipe.name} does not predict"
                raise ValueError(msg)
            unknown = sorted(set(recipe.modality_sets or ()) - set(self.modality_sets))
            if unknown:
                msg = f"recipe {recipe.name} names no modality set of the study: {unknown[0]}"
                raise ValueError(msg)
        for recipe, name in self.pairs():
            if recipe.is_network and self.modality_sets[name] != ("smear",):
                msg = f"recipe {recipe.name} sees fields of smears only, not modality set {name}"
                raise ValueError(msg)
        return self

    def pairs(self) -> list[tuple[Recipe, str]]:
        """Every recipe with every modality set that it is trained on, in the file's order."""
        return [
            (recipe, name)
            for recipe in self.recipes
            for name in (
                self.modality_sets if recipe.modality_sets is None else recipe.modality_sets
            )
        ]


def study_names() -> list[str]:
    """Names of the studies that come with the package, sorted."""
    return sorted(path.stem for path in STUDIES_DIR.glob("*.yaml"))


def load_study(name_or_path: str | Path) -> Study:
    """Study of a name of :func:`study_names`, or of a YAML file anywhere.

    Raises
    ------
    StudyError
        If there is no such study, or its file is not a study.
    """
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = STUDIES_DIR / f"{name_or_path}.yaml"
        if str(name_or_path) not in study_names():
            raise StudyError(
                f"there is no study {name_or_path}",
                expected=f"one of {', '.join(study_names())}, or the path of a study file",
            )
    if not path.is_file():
        raise StudyError("the study file is not there", where=str(path))
    try:
        study = Study.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise StudyError("the study file is not YAML", where=str(path)) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise StudyError(f"{place}: {said}" if place else said, where=str(path)) from error
    if study.name != path.stem:
        raise StudyError(
            "a study is named like its file",
            where=str(path),
            expected=f"name: {path.stem}",
            got=study.name,
        )
    return study

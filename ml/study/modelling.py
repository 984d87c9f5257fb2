"""How a study is modelled and released: recipes, folds, search, calibration, sets, subgroups.

    study file -> these declarations -> pipelines, training, evaluation, promotion

Declarations only; what they refuse is what can be seen to be wrong without a frame.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, StringConstraints, model_validator

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Share = Annotated[float, Field(gt=0, lt=1)]

#: Models that predict classes, and those that predict how long; see :mod:`ml.pipelines.recipes`.
CLASSIFIERS = (
    "lightgbm",
    "xgboost",
    "xgboost_pca",
    "elastic_net",
    "extra_trees",
    "prototypes",
    "ensemble",
)
SURVIVAL_MODELS = ("cox", "aft")
#: Networks on fields of smears, by the names of torchvision; they need the extra ``smears``.
NETWORKS = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "wide_resnet50_2",
    "wide_resnet101_2",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
)


class Declaration(BaseModel):
    """Part of a study file: cannot be changed, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CrossValidation(Declaration):
    """Stratified k-fold over patients, repeated with other shuffles.

    Parameters
    ----------
    folds, repeats
        Models per repeat, and number of repeats.
    seed
        Of the shuffles, the recipes and the bootstrap.
    split
        ``patient``: at random. ``site``: all patients of a site in one fold, so that each is
        predicted by models of other sites. ``time``: a fold is predicted by models of the patients
        diagnosed before; the earliest block is never tested, and there is one repeat.
    """

    folds: Annotated[int, Field(ge=2)]
    repeats: PositiveInt
    seed: Annotated[int, Field(ge=0)]
    split: Literal["patient", "site", "time"] = "patient"

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if self.split == "time" and self.repeats > 1:
            msg = f"time runs once: split time has one repeat; got {self.repeats}"
            raise ValueError(msg)
        return self


class Search(Declaration):
    """Hyper-parameter search inside each training fold, by cross-validation within it.

    Parameters
    ----------
    trials
        Settings tried per training fold, the recipe's own first.
    seconds
        No trial starts later than this; a limit of time makes results depend on the machine.
    inner_folds
        Folds of the inner cross-validation. A trial that is worse than the median of the earlier
        ones after a fold is given up.
    objective
        What is minimised (``log_loss``) or maximised.
    patients
        Training patients drawn for the search, by class; all unless told. For large frames: the
        winner is fitted on everybody.
    """

    trials: PositiveInt
    seconds: Annotated[float, Field(gt=0)] | None = None
    inner_folds: Annotated[int, Field(ge=2)] = 3
    objective: Literal["log_loss", "accuracy", "macro_f1"] = "log_loss"
    patients: PositiveInt | None = None


class Recipe(Declaration):
    """One way to a model; in a study file a bare name stands for the model of that name.

    Parameters
    ----------
    name
        Row of the result table.
    model
        One of :data:`CLASSIFIERS`, of :data:`SURVIVAL_MODELS` for survival labels, or of
        :data:`NETWORKS`, which see the fields of smears and nothing else.
    defaults
        ``ours``: settings for few patients and many columns. ``library``: those of the package,
        as a plain baseline.
    options
        Settings of the model by their names in its package, over the defaults; of a network, those
        of :class:`ml.smears.fitting.Plan`, ``pretrained``, and ``families`` that a search may try.
    fusion
        ``early``: all columns side by side. ``late``: calibrated average of a model per modality.
        ``stacking``: a model of out-of-fold predictions of a model per modality.
    sampler
        What is done about rare classes in the training fold: nothing, weights
        (``n ** -class_weight_power`` per patient), or new patients by ADASYN or LoRAS. Answers are
        corrected for it.
    class_weight_power
        From 0, no weighting, to 1, one total weight for all classes.
    select
        Columns kept by variance, besides the scalar ones; all unless told.
    modality_dropout
        Share of training patients that come a second time with one modality taken away.
    search
        Hyper-parameter search; none unless told.
    modality_sets
        Sets it is trained on; all unless told.
    """

    name: Identifier
    model: Identifier
    defaults: Literal["ours", "library"] = "ours"
    options: dict[str, bool | int | float | str] = {}
    fusion: Literal["early", "late", "stacking"] = "early"
    sampler: Literal["none", "class_weights", "adasyn", "loras"] = "class_weights"
    class_weight_power: Annotated[float, Field(ge=0, le=1)] = 0.5
    select: PositiveInt | None = None
    modality_dropout: Annotated[float, Field(ge=0, le=1)] = 0.0
    search: Search | None = None
    modality_sets: tuple[Identifier, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {"name": value}
        if isinstance(value, dict):
            return {"model": value.get("name"), **value}
        return value

    @model_validator(mode="after")
    def _known(self) -> Self:
        known = (*CLASSIFIERS, *SURVIVAL_MODELS, *NETWORKS)
        if self.model not in known:
            msg = f"there is no recipe {self.model}; expected one of {', '.join(known)}"
            raise ValueError(msg)
        if self.is_survival and (self.fusion != "early" or self.sampler in {"adasyn", "loras"}):
            msg = f"{self.model} predicts times: it has neither fusion of models nor samplers"
            raise ValueError(msg)
        tabular = (self.fusion, self.select, self.modality_dropout) != ("early", None, 0.0)
        if self.is_network and (tabular or self.sampler in {"adasyn", "loras"}):
            msg = f"{self.model} sees fields, not columns: it has no fusion, selection or samplers"
            raise ValueError(msg)
        return self

    @property
    def is_survival(self) -> bool:
        """Whether it predicts times, not classes."""
        return self.model in SURVIVAL_MODELS

    @property
    def is_network(self) -> bool:
        """Whether it sees fields of smears, not columns of a frame."""
        return self.model in NETWORKS


class Calibration(Declaration):
    """Probabilities that can be taken at their word; see :mod:`ml.evaluation.calibrators`.

    Parameters
    ----------
    inner_folds
        Folds within each training fold; the calibrator and the prediction sets of a fold are chosen
        and fitted on the out-of-fold predictions that they give, never on tested patients.
    """

    inner_folds: Annotated[int, Field(ge=2)] = 3


class Conformal(Declaration):
    """Sets of classes that hold the true one with a chosen probability, class by class.

    Parameters
    ----------
    coverage
        Share of the patients of a class whose set holds it.
    min_patients
        Classes with fewer patients to learn a threshold from share one.
    answer_at_most
        The model abstains where the set is empty or holds more classes than this.
    answer_from_inputs
        It also abstains of a patient of whom less is known than this share of what is known of the
        median training patient, as the mean over its modalities.
    """

    coverage: Share = 0.9
    min_patients: PositiveInt = 20
    answer_at_most: PositiveInt = 1
    answer_from_inputs: Annotated[float, Field(ge=0, le=1)] = 0.2


class Promotion(Declaration):
    """How much worse than the champion a new model may be; see :mod:`ml.promotion.criteria`.

    Parameters
    ----------
    margin
        Of accuracy and macro F1: the paired 95 % interval of the difference must stay above minus
        this. Few patients give wide intervals, and so need a wide margin or a better model.
    in_the_large_margin, slope_margin
        How far from 0 calibration in the large (log-odds), and how far from 1 the slope may be;
        further is refused if the interval leaves out the ideal, too.
    max_ece
        Largest calibration error of a model that is released.
    ece_margin
        How much larger than that of the champion it may be.
    subgroup_margin
        A subgroup counts as served worse if its accuracy is lower by more than this, and the paired
        interval holds no zero.
    """

    margin: Share = 0.03
    in_the_large_margin: Annotated[float, Field(gt=0)] = 0.2
    slope_margin: Annotated[float, Field(gt=0)] = 0.2
    max_ece: Share = 0.15
    ece_margin: Share = 0.05
    subgroup_margin: Share = 0.05


class Subgroup(Declaration):
    """Patients that are looked at separately.

    Parameters
    ----------
    column
        Frame column, or ``site``.
    cuts
        Where a number is cut into groups; a value equal to a cut belongs above it.
    """

    column: Sentence
    cuts: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if list(self.cuts) != sorted(set(self.cuts)):
            msg = "cuts must ascend"
            raise ValueError(msg)
        return self


class Subgroups(Declaration):
    """Which patients are looked at separately, and how many a group needs.

    Parameters
    ----------
    by
        Name of the grouping -> column.
    min_patients
        Groups with fewer patients are listed as too few, without a number.
    """

    by: dict[Identifier, Subgroup] = {}
    min_patients: PositiveInt = 20

"""The TRIPOD+AI checklist: 27 main items, filled from facts or said to be missing.

facts -> template of an item -> reported, not applicable, or missing

An item is reported if every fact that its template names is known; its text is the template with
these facts. No item has a text that stands without a fact, so nothing can be invented: what only
authors can say (funding, ethics, protocol) is missing.

References
----------
Collins GS et al. TRIPOD+AI statement: updated guidance for reporting clinical prediction models
that use regression or machine learning methods. BMJ 2024;385:e078378.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Literal

Status = Literal["reported", "not applicable", "missing"]


@dataclass(frozen=True)
class Item:
    """One item of the checklist, in our words.

    Parameters
    ----------
    number
        As in the publication.
    part
        Section of a publication it belongs to.
    asks
        What is to be reported.
    template
        Answer with the names of facts in braces; empty where only authors can answer.
    unless
        Name of a fact and the reason why the item does not apply where it is not known.
    """

    number: str
    part: str
    asks: str
    template: str = ""
    unless: tuple[str, str] | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """Facts that the template names."""
        return tuple(name for _, name, _, _ in Formatter().parse(self.template) if name)


@dataclass(frozen=True)
class Answer:
    """An item with what is known of it."""

    item: Item
    status: Status
    text: str


_INTERNAL = (
    "external",
    "No separate evaluation cohort: the model is evaluated by cross-validation in one cohort",
)

ITEMS = (
    Item("1", "Title", "Prediction model study, target population, outcome",
         "Development with internal validation of a prediction model: {title}."),
    Item("2", "Abstract", "Structured abstract"),
    Item("3a", "Background", "Health care context and existing models"),
    Item("3b", "Background", "Target population, purpose and users",
         "Prediction is made from what is known at: {index}. Research use only."),
    Item("3c", "Background", "Known health inequalities"),
    Item("4", "Objectives", "Objectives: development, evaluation or both",
         "Development with internal validation; outcome {label}."),
    Item("5a", "Data", "Sources of data and how representative they are"),
    Item("5b", "Data", "Dates of the data",
         "Index events from {dates}; known as of {as_of}."),
    Item("6a", "Participants", "Setting, number and location of centres",
         "{site_count} sites; what they are, and where, is not known here."),
    Item("6b", "Participants", "Eligibility criteria",
         "Patients with label {label}. Left out: {excluded}."),
    Item("6c", "Participants", "Treatments received"),
    Item("7", "Data preparation", "Pre-processing and quality checks",
         "All rows share: {guards}. Steps fitted over patients are fitted within the training "
         "fold: {recipe}."),
    Item("8a", "Outcome", "Definition, time horizon, assessment",
         "Outcome {label}, at: {index}."),
    Item("8b", "Outcome", "Assessors, where assessment is subjective"),
    Item("8c", "Outcome", "Blinding of the outcome assessment"),
    Item("9a", "Predictors", "Choice of initial predictors",
         "{features} columns of {modalities}. Left out by declaration: {feature_exclusions}."),
    Item("9b", "Predictors", "Definition and time of measurement",
         "Columns known at the index event ({index}), as of {as_of}; frame {frame_id} names each "
         "with unit and meaning."),
    Item("9c", "Predictors", "Assessors, where measurement is subjective"),
    Item("10", "Sample size", "How the sample size was arrived at"),
    Item("11", "Missing data", "Handling of missing data",
         "No assay is filled with zero; whether it was performed is a column of its own. Patients "
         "with the assay: {performed}."),
    Item("12a", "Analysis", "Use of the data, partitions",
         "{patients} patients; {folds}-fold cross-validation, repeated {repeats} times, split "
         "{split}."),
    Item("12b", "Analysis", "Handling of predictors",
         "Recipe {recipe}, fitted within each training fold."),
    Item("12c", "Analysis", "Type of model, building, internal validation",
         "Recipe {recipe}; {search}; {folds}-fold cross-validation, repeated {repeats} times."),
    Item("12d", "Analysis", "Heterogeneity across clusters",
         "Accuracy by site in the subgroup table, {site_count} sites."),
    Item("12e", "Analysis", "Measures of performance and comparison of models",
         "{metrics}. Compared on the same folds: {comparison}. Shuffled labels: {permuted}."),
    Item("12f", "Analysis", "Model updating",
         "{recalibration}, fitted on out-of-fold predictions of training patients.",
         ("recalibration", "No model was updated")),
    Item("12g", "Analysis", "How predictions were calculated",
         "Out-of-fold predictions of {model}; the stored model of run {stored}, version "
         "{code_version}, calculates new ones."),
    Item("13", "Class imbalance", "Methods for class imbalance and recalibration after them",
         "{imbalance}; {classes} classes.", ("classes", "The outcome is a time, not a class")),
    Item("14", "Fairness", "Approaches to fairness",
         "Results by {subgroups}; the data by group before any model."),
    Item("15", "Model output", "Output, thresholds and how they were found",
         "Probability of each class and a prediction set; thresholds from out-of-fold predictions "
         "of training patients: {coverage}."),
    Item("16", "Training and evaluation", "Differences between development and evaluation data",
         "{external}", _INTERNAL),
    Item("17", "Ethics", "Ethical approval and consent"),
    Item("18a", "Open science", "Funding"),
    Item("18b", "Open science", "Conflicts of interest"),
    Item("18c", "Open science", "Protocol"),
    Item("18d", "Open science", "Registration"),
    Item("18e", "Open science", "Availability of the data"),
    Item("18f", "Open science", "Availability of the code",
         "OncoFrame version {code_version}; study file {study}."),
    Item("19", "Involvement", "Patient and public involvement"),
    Item("20a", "Participants", "Flow of participants",
         "{patients} patients in the frame. Left out: {excluded}."),
    Item("20b", "Participants", "Characteristics",
         "Assays performed: {performed}. Groups stand on this page."),
    Item("20c", "Participants", "Comparison of development and evaluation data",
         "{external}", _INTERNAL),
    Item("21", "Model development", "Participants and events in each analysis",
         "{patients} patients; {tested}, in {folds} folds. Events: {events}."),
    Item("22", "Model specification", "Full model, so that others can predict",
         "Run {stored} keeps model, signature, frame id {frame_id} and environment."),
    Item("23a", "Performance", "Estimates with intervals, also by subgroup", "{metrics}."),
    Item("23b", "Performance", "Heterogeneity across clusters", "Accuracy by site: {sites}."),
    Item("24", "Model updating", "Results of updating",
         "After {recalibration}: {calibration}.", ("recalibration", "No model was updated")),
    Item("25", "Discussion", "Interpretation, also of fairness"),
    Item("26", "Discussion", "Limitations", "Found in the numbers: {limits}."),
    Item("27a", "Usability", "Poor or missing input",
         "Missing assays are inputs; patients with each assay: {performed}."),
    Item("27b", "Usability", "Interaction and expertise of users"),
    Item("27c", "Usability", "Next steps"),
)  # fmt: skip


def checklist(facts: Mapping[str, str]) -> tuple[Answer, ...]:
    """Answers to all items from what is known."""
    return tuple(_answer(item, facts) for item in ITEMS)


def _answer(item: Item, facts: Mapping[str, str]) -> Answer:
    if item.unless is not None and item.unless[0] not in facts:
        return Answer(item, "not applicable", item.unless[1])
    if not item.needs or any(name not in facts for name in item.needs):
        return Answer(item, "missing", "")
    text = item.template.format_map(facts)
    return Answer(item, "reported", text[:1].upper() + text[1:])

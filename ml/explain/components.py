"""The shape of a cohort: principal components of all columns, and which classes lie side by side.

    design matrix -> principal_components -> variance, loadings with modality, scores
    scores, classes -> nearest patients -> similarity (links between classes)

These describe a cohort and are fitted on all of it; no model sees them. Classes are told apart by
colour, not learned from: components and neighbours do not use the label.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from ml.frames.design_matrix import DesignMatrix
from ml.pipelines.encoding import dense_encoder
from ml.pipelines.recipes import PCA_VARIANCE, Input
from oncoframe.columns import Column

#: Components whose loadings are kept.
LOADED_COMPONENTS = 20
#: Share of the variance in which patients are neighbours; what is left is mostly noise.
NEIGHBOUR_VARIANCE = 0.8
#: Neighbours kept per patient, and those that make the similarity of classes.
NEIGHBOURS, LINK_NEIGHBOURS = 10, 2


@dataclass(frozen=True)
class Components:
    """Principal components of scaled columns.

    Parameters
    ----------
    variance_ratio : (c,) array
        Share of the variance of each component, largest first, up to 99 % in all.
    loadings
        ``feature``, ``modality``, ``component`` (from 1), ``loading`` (of the unit vector) and
        ``correlation`` of the scaled column with the component, for the correlation circle.
    scores : (n, c) array
        Patients in the components.
    """

    variance_ratio: np.ndarray
    loadings: pl.DataFrame
    scores: np.ndarray


def principal_components(matrix: DesignMatrix, given: Input) -> Components:
    """Components of all columns of a design matrix, each scaled to variance 1."""
    encoder = dense_encoder(counts=given.counts)
    columns = encoder.fit_transform(matrix.features, matrix.labels)
    names = [str(name) for name in encoder.get_feature_names_out()]
    pca = PCA(svd_solver="full").fit(columns)
    ratio = pca.explained_variance_ratio_
    kept = int(np.searchsorted(np.cumsum(ratio), PCA_VARIANCE) + 1)
    shown = min(LOADED_COMPONENTS, kept)
    loading = pca.components_[:shown]
    spread = np.sqrt(pca.explained_variance_[:shown])[:, np.newaxis]
    deviation = np.asarray(columns).std(axis=0, ddof=1)
    correlation = np.divide(
        loading * spread, deviation, out=np.zeros_like(loading), where=deviation > 0
    )
    loadings = pl.DataFrame(
        {
            "feature": np.tile(np.array(names, dtype=object), shown),
            "modality": np.tile(
                np.array([given.views.get(Column.parse(n).table, "") for n in names], object), shown
            ),
            "component": np.repeat(np.arange(1, shown + 1), len(names)),
            "loading": loading.ravel(),
            "correlation": correlation.ravel(),
        },
        schema_overrides={"feature": pl.String, "modality": pl.String},
    )
    return Components(ratio[:kept], loadings, pca.transform(columns)[:, :kept])


def nearest_patients(
    components: Components, patient_ids: np.ndarray, labels: np.ndarray
) -> pl.DataFrame:
    """``patient_id``, ``rank`` (from 1), ``neighbour``, ``label`` of it, ``distance``.

    Euclidean, in as many components as hold :data:`NEIGHBOUR_VARIANCE` of the variance.
    """
    share = np.cumsum(components.variance_ratio) / components.variance_ratio.sum()
    scores = components.scores[:, : int(np.searchsorted(share, NEIGHBOUR_VARIANCE) + 1)]
    count = min(NEIGHBOURS, len(patient_ids) - 1)
    # Without rows of their own, patients are asked about: nobody is a neighbour of themselves.
    distance, near = NearestNeighbors(n_neighbors=count).fit(scores).kneighbors()
    return pl.DataFrame(
        {
            "patient_id": np.repeat(patient_ids, count),
            "rank": np.tile(np.arange(1, count + 1), len(patient_ids)),
            "neighbour": patient_ids[near.ravel()],
            "label": labels[near.ravel()],
            "distance": distance.ravel(),
        },
        schema_overrides=dict.fromkeys(["patient_id", "neighbour", "label"], pl.String),
    )


def similarity(neighbours: pl.DataFrame, patient_ids: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(k, k) share of the two nearest neighbours of the patients of class i that are of class j.

    Rows sum to 1; a link of a circos plot is a cell off the diagonal.
    """
    classes = np.unique(labels)
    own = pl.DataFrame(
        {"patient_id": patient_ids, "own": labels},
        schema={"patient_id": pl.String, "own": pl.String},
    )
    near = neighbours.filter(pl.col("rank") <= LINK_NEIGHBOURS).join(own, on="patient_id")
    links = np.zeros((len(classes), len(classes)))
    rows = np.searchsorted(classes, near["own"].to_numpy().astype(object))
    columns = np.searchsorted(classes, near["label"].to_numpy().astype(object))
    np.add.at(links, (rows, columns), 1)
    return np.asarray(links / links.sum(axis=1, keepdims=True))

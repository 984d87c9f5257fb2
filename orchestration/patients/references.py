"""References of a run: the user's annotation made ready for its processes.

settings -> compiled genes and bands -> this process, by the pool its workers, the dictionaries
"""

from oncoframe.lake import Lake
from oncoframe.reference.active import reference_for, use
from oncoframe.reference.builds import BUILDS
from oncoframe.reference.load import compile_references
from orchestration.settings import Settings


def prepare_references(settings: Settings) -> None:
    """Compile the user's annotation where it changed, and use it in this process.

    Raises
    ------
    oncoframe.errors.BadInput
        If a file of it cannot be used.
    """
    compile_references(settings.annotation_files, settings.reference_dir)
    use(settings.reference_dir)


def seed_dictionaries(settings: Settings, lake: Lake) -> None:
    """Give genes, bands, arms and chromosomes of the user's annotation their positions.

    Without an annotation nothing is seeded: names get positions as files bring them.
    """
    for build in BUILDS:
        if not (settings.reference_dir / build).is_dir():
            continue
        reference = reference_for(build)
        if reference is not None:
            lake.extend_dictionary("gene", reference.genes["symbol"])
            lake.extend_dictionary("band", reference.bands["band"])
            lake.extend_dictionary("arm", reference.bands["arm"].unique())
            lake.extend_dictionary("chromosome", reference.bands["chrom"].unique())

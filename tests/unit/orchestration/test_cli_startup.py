"""What each command may load: a library that it does not need costs every start of it seconds."""

import subprocess
import sys

import pytest
import typer

from orchestration.cli.main import app

pytestmark = pytest.mark.slow

#: Libraries that take a tenth of a second and more to load.
HEAVY = {
    "SimpleITK", "boto3", "cyvcf2", "dagster", "dagster_dbt", "dbt", "duckdb", "evidently", "feast",
    "ibis", "lightgbm", "matplotlib", "mlflow", "numba", "optuna", "pandas", "pydicom", "pysam",
    "radiomics", "scipy", "shap", "sklearn", "skops", "sqlalchemy", "torch", "xgboost",
}  # fmt: skip
_MODELS = {"lightgbm", "matplotlib", "mlflow", "pandas", "scipy", "sklearn", "skops", "xgboost"}
#: Command -> the heavy libraries that it may load; in a home without anything.
COMMANDS: dict[str, set[str]] = {
    "models synthetic_leukemia": set(),
    "status": set(),
    "status --failed": set(),
    "explain P FLT3_variants": set(),
    "audit show": set(),
    "audit verify": set(),
    "frame show 3f2a9c0d1e4b5a67": set(),
    "frame diff 3f2a9c0d1e4b5a67 9b1c44e2a0d37f58": {"pandas"},
    "drift --reference a --current b": {"matplotlib", "pandas", "scipy"},
    "report synthetic_leukemia": _MODELS,
}
_PROGRAM = """
import sys
import typer
from orchestration.cli.main import app
for words in sys.stdin.read().splitlines():
    try:
        app(words.split(), standalone_mode=False)
    except typer.Exit:
        pass
print(*{name.partition(".")[0] for name in sys.modules})
"""


def loaded(*commands: str) -> set[str]:
    """Heavy libraries in a new process that ran some commands."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input="\n".join(commands), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return HEAVY.intersection(done.stdout.splitlines()[-1].split())


def test_help__of_no_command_loads_a_heavy_library():
    """What is imported above the functions of one command is paid by all of them."""
    group = typer.main.get_command(app)
    names = [
        *group.commands,
        *(f"{name} {sub}" for name, one in group.commands.items()
          for sub in getattr(one, "commands", ())),
    ]  # fmt: skip

    assert loaded("--help", *(f"{name} --help" for name in names)) == set()


@pytest.mark.parametrize("words", COMMANDS)
def test_command__loads_no_more_than_it_needs(tmp_path, words):
    assert loaded(f"{words} --home {tmp_path}") <= COMMANDS[words]

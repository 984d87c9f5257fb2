"""The command ``oncoframe``: all commands, and those on the whole: demo, ui.

simulate -> run -> train -> report -> where to look
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli import biomarkers, data, dictionary, drift, extract, registry, studies
from orchestration.cli.output import AsJson, Home, command
from orchestration.settings import PROJECT, Settings

DEMO_STUDY = "synthetic_leukemia"

app = typer.Typer(
    name="oncoframe",
    help="Per-patient oncology data assets, point-in-time training frames and tracked models. "
    "Research software; it gives no medical advice.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(data.commands)
app.add_typer(extract.commands)
app.add_typer(studies.commands)
app.add_typer(registry.commands)
app.add_typer(drift.commands)
app.add_typer(dictionary.commands)
app.add_typer(biomarkers.commands, name="biomarkers")


@app.command()
def demo(
    patients: Annotated[int, typer.Option(min=30, help="Number of patients.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same cohort.")] = 1,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Simulate a cohort, run the whole line on it, train and report, and say where to look.

    Example: oncoframe demo --patients 60
    """
    from assets.simulate.landing_zone import simulate
    from orchestration.pipeline import open_instance

    with command(as_json=as_json) as output:
        from orchestration.definitions import pipeline_of

        start = time.monotonic()
        settings = Settings.load(home=home)
        landing = settings.home / "landing"
        settings = Settings.load(home=home, landing=str(landing))
        with output.progress() as progress, open_instance(settings.dagster_dir) as instance:
            with progress.count("simulate") as report:
                simulate(
                    landing, patients=patients, seed=seed, corrupt=3, ct=data.CT_PATIENTS,
                    progress=report,
                )  # fmt: skip
            pipeline = pipeline_of(settings, instance, progress)
            ran = pipeline.run()
            settings.remember_landing()
            trained = pipeline.train(DEMO_STUDY)
        best = trained["best"]
        result = {
            "home": str(settings.home),
            "patients": ran.patients,
            "quarantined": ran.quarantined,
            "study": DEMO_STUDY,
            "accuracy": best["accuracy"],
            "macro_f1": best["macro_f1"],
            "report": trained["report"],
            "seconds": round(time.monotonic() - start, 2),
        }
        output.say(
            studies.result_table(trained),
            f"{ran.patients} synthetic patients, {ran.quarantined} with a broken file on purpose "
            "(oncoframe status --failed), "
            f"{result['seconds']:.0f} s. Look around: oncoframe ui",
            f"Report: {trained['report']}",
        )
        output.result(result)


@app.command()
def ui(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Dagster's port.")] = 3000,
    mlflow_port: Annotated[int, typer.Option(help="MLflow's port.")] = 5000,
    home: Home = None,
) -> None:
    """Open the Dagster UI (with its daemon) and the MLflow UI until Ctrl-C.

    Example: oncoframe ui --port 3000
    """
    from orchestration.pipeline import open_instance

    with command(as_json=False) as output:
        settings = Settings.load(home=home)
        open_instance(settings.dagster_dir).dispose()
        settings.mlflow_db.parent.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(settings.dagster_dir),
            "ONCOFRAME_HOME": str(settings.home),
            "DO_NOT_TRACK": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            # Jobs of MLflow for language models: a process each that nobody here asks.
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        binaries = Path(sys.executable).parent
        dagster = [
            str(binaries / "dagster"), "dev", "--workspace", str(PROJECT / "workspace.yaml"),
            "--host", host, "--port", str(port),
        ]  # fmt: skip
        mlflow = [
            str(binaries / "mlflow"), "server", "--host", host, "--port", str(mlflow_port),
            "--backend-store-uri", f"sqlite:///{settings.mlflow_db}",
            "--artifacts-destination", str(settings.mlflow_artifacts),
        ]  # fmt: skip
        # A server that the settings name has users; one of ours beside it would let anybody in.
        own = settings.mlflow_uri is None
        address = f"http://{host}:{mlflow_port}" if own else settings.mlflow_uri
        output.say(f"Dagster  http://{host}:{port}", f"MLflow   {address}")
        servers = [
            subprocess.Popen(arguments, env=environment, cwd=PROJECT)
            for arguments in ((dagster, mlflow) if own else (dagster,))
        ]
        try:
            for server in servers:
                server.wait()
        except KeyboardInterrupt:
            for server in servers:
                server.send_signal(signal.SIGINT)

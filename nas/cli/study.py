"""`nas study` moves a run's study and results; `nas dashboard` shows them in a browser."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from nas.cli.console import err, note
from nas.cli.options import RunArgument
from nas.errors import ConfigError

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="A run's study, wherever it is kept."
)
PLACE = "A run's folder, or postgresql://USER@HOST/DATABASE."


@app.callback()
def study() -> None:
    """A run's study, wherever it is kept."""


@app.command("copy")
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help=PLACE)],
    target: Annotated[str, typer.Argument(metavar="TO", help=PLACE)],
) -> None:
    """Move a run's study from its folder to a database, or back; one of the two is the folder.

    What it is copied from stays; the run goes on with the copy.
    """
    from nas.storage.postgres import public
    from nas.storage.run_folder import RunFolder
    from nas.storage.study_copy import copy_study

    databases = ["://" in place for place in (source, target)]
    if databases.count(True) != 1:
        raise ConfigError(
            f"{source} and {target}: one must be a run's folder and the other a database's URL, "
            "postgresql://USER@HOST/DATABASE"
        )
    run, url = (Path(target), source) if databases[0] else (Path(source), target)
    trials = copy_study(RunFolder(run), url, to_database=databases[1])
    where = public(url) if databases[1] else str(RunFolder(run).journal)
    note(f"{trials} trials are in {where}")


@app.command("send")
def send(
    run: RunArgument,
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="URL",
            help="s3://BUCKET/PREFIX, ...",
            show_default="where its search sends them",
        ),
    ] = None,
) -> None:
    """Copy a run's finished trials to object storage, as far as they are not there."""
    from nas.storage.object_store import ObjectStore
    from nas.storage.run_folder import RunFolder
    from nas.system.files import held

    folder = RunFolder(run)
    folder.description()
    with held(run):
        store = ObjectStore(url, run.resolve().name) if url else ObjectStore.of(folder)
        if store is None:
            raise ConfigError(f"{run} was searched without object storage: give its URL")
        store.claim(folder)
        numbers = sorted(folder.finished_numbers())
        for number in numbers:
            store.send(folder, number)
    note(f"{len(numbers)} trials are in {store.where}")


@app.command("fetch")
def fetch(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="s3://BUCKET/PREFIX, as the search was given it.")
    ],
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A new folder, with the name that the run's had.")
    ],
) -> None:
    """Get a run's results back from object storage; models follow once they are needed."""
    from nas.search.uploads import restored
    from nas.storage.run_folder import RunFolder
    from nas.system.files import held

    folder = RunFolder(run)
    with held(run):
        store = restored(folder, url, note)
        if store is not None and not (run / "run.json").exists():
            raise ConfigError(f"{store.where} holds no run: look at the URL and the folder's name")
        if store is not None:
            store.claim(folder)


def dashboard(
    run: RunArgument,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    storage: Annotated[str | None, typer.Option(help="The database, where it is in one.")] = None,
) -> None:
    """Open optuna-dashboard on a run's study: a file as it stands now, a database live."""
    from nas.storage.run_folder import RunFolder
    from nas.storage.study_copy import read_only

    folder = RunFolder(run)
    folder.description()
    try:
        from optuna_dashboard import run_server
    except ImportError as error:
        raise ConfigError(
            "optuna-dashboard is not installed; install it: pip install 'portable-nas[dashboard]'"
        ) from error
    with tempfile.TemporaryDirectory() as snapshot:
        store = None
        if storage is not None:
            shown = read_only(storage)
        else:
            from optuna.artifacts import FileSystemArtifactStore

            from nas.report.dashboard import dashboard_storage

            shutil.copy(folder.journal, snapshot)
            copied = read_only(Path(snapshot) / folder.journal.name)
            pictures = Path(snapshot) / "pictures"
            pictures.mkdir()
            store = FileSystemArtifactStore(pictures)
            with err.status("reading the run, and restoring a picture with each model"):
                shown = dashboard_storage(folder, copied, store, Path(snapshot))
        err.print(f"http://{host}:{port} shows {run}; Ctrl-C ends it", highlight=False)
        run_server(shown, host=host, port=port, artifact_store=store)

"""A run's study in PostgreSQL, by URL, in Optuna's own tables; one driver at a time.

The driver holds an advisory lock of the database on a connection of its own: the server drops it
when that connection ends, however the driver does. A second driver is told who holds it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import optuna
from optuna.exceptions import OptunaError

from nas.errors import ConfigError, RunError, one_line
from nas.system.hashing import content_key

FINGERPRINT = "fingerprint"
_SECONDS = 5
_HOLDER = """
select a.application_name, to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS')
from pg_locks l join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted
and ((l.classid::bigint << 32) | l.objid::bigint) = %s
"""


@dataclass(frozen=True)
class SharedStudy:
    """The storage of one run's study in a database, for `nas.search.ask_tell`.

    `storage`: Optuna's storage.
    `name`: the name of the study in the database.
    `fingerprint`: the content key of the run's study, which the one in the database must have.
    `where`: the database's URL without its password, for messages.
    """

    storage: Any
    name: str
    fingerprint: str
    where: str

    def sync(self, every_s: float = 0.0) -> None:
        """Do nothing, where a journal would write: PostgreSQL writes through by itself."""

    def tidy(self, storage: Any, trials: int) -> None:
        """Do nothing, where a journal would be written anew: tables need no tidying."""

    def load(self) -> optuna.Study:
        """Return the study; RunError where the database has none of that name."""
        with _quiet():
            try:
                return optuna.load_study(study_name=self.name, storage=self.storage)
            except KeyError as error:
                raise RunError(f"{self.where} has no study {self.name!r}") from error

    def check(self, study: optuna.Study) -> None:
        """Note the run's fingerprint in the study; RunError where it has another run's."""
        theirs = study.user_attrs.get(FINGERPRINT)
        if theirs is None:
            study.set_user_attr(FINGERPRINT, self.fingerprint)
        elif theirs != self.fingerprint:
            raise RunError(
                f"{self.where} holds a study {self.name!r} of another run: name this run's folder "
                "otherwise, or use another database"
            )

    def failed(self, error: Exception) -> RunError:
        """Return the error to raise for a database that failed during a search."""
        why = one_line(error.__cause__ or error)
        return RunError(
            f"{self.where} failed: {why}. Nothing finished is lost: see to it and start the same "
            "command again"
        )


@contextlib.contextmanager
def shared_study(url: str, name: str, fingerprint: str) -> Iterator[SharedStudy]:
    """Hold the study `name` in the database; raises RunError, within seconds, where it is held,
    the database does not answer or its tables are of another version, ConfigError for a wrong URL.
    """
    where = public(url)
    with _lock(url, name, where):
        yield SharedStudy(open_storage(url), name, fingerprint, where)


def public(url: str) -> str:
    """Return the URL without its password, for messages and files; ConfigError for no such URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
        raise ConfigError(
            f"storage {url.split('@')[-1]!r}: expected postgresql://USER[:PASSWORD]@HOST[:PORT]/"
            "DATABASE"
        )
    user = f"{parts.username}@" if parts.username else ""
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, f"{user}{parts.hostname or ''}{port}", parts.path, "", ""))


def copy(source: Any, source_name: str, target: Any, target_name: str) -> int:
    """Copy a study's trials, attributes and directions; returns the number of trials.

    Raises RunError where the source has no such study or the target has one already.
    """
    names = [study.study_name for study in optuna.get_all_study_summaries(target)]
    if target_name in names:
        raise RunError(f"the target has a study {target_name!r} already; nothing was copied")
    with warnings.catch_warnings(action="ignore"), _quiet():
        try:
            study = optuna.load_study(study_name=source_name, storage=source)
        except KeyError as error:
            raise RunError(f"the source has no study {source_name!r}") from error
        twin = optuna.create_study(
            study_name=target_name, storage=target, directions=study.directions
        )
        for key, value in study._storage.get_study_system_attrs(study._study_id).items():
            target.set_study_system_attr(twin._study_id, key, value)
        for key, value in study.user_attrs.items():
            twin.set_user_attr(key, value)
        trials = study.get_trials(deepcopy=False)
        for trial in trials:
            target.create_new_trial(twin._study_id, template_trial=trial)
    return len(trials)


@contextlib.contextmanager
def _lock(url: str, name: str, where: str) -> Iterator[None]:
    try:
        import psycopg
    except ImportError as error:
        raise ConfigError(
            "PostgreSQL needs psycopg; install it: pip install 'portable-nas[postgresql]'"
        ) from error
    me = f"nas pid {os.getpid()} on {socket.gethostname()}"[:63]
    try:
        connection = psycopg.connect(
            url, autocommit=True, connect_timeout=_SECONDS, application_name=me
        )
    except psycopg.Error as error:
        raise RunError(
            f"PostgreSQL does not answer at {where}: {one_line(error)}. Is it started, and may "
            "this user come in?"
        ) from error
    key = int(content_key(["portable-nas", name])[:15], 16)
    with contextlib.closing(connection):
        taken = connection.execute("select pg_try_advisory_lock(%s)", (key,)).fetchone()
        if taken is None or not taken[0]:
            holder = connection.execute(_HOLDER, (key,)).fetchone()
            who = f"{holder[0]} since {holder[1]}" if holder else "owner unknown"
            raise RunError(
                f"the study {name!r} in {where} is held by another driver ({who}); wait for it or "
                "stop it"
            )
        try:
            yield
        finally:
            # A closed connection's lock is free only once the server has noticed: the next driver,
            # started at once, would be refused.
            with contextlib.suppress(psycopg.Error):
                connection.execute("select pg_advisory_unlock(%s)", (key,))


def open_storage(url: str) -> Any:
    """Open Optuna's storage in a database; RunError where its tables are of another version."""
    import sqlalchemy.exc

    where = public(url)
    address = "postgresql+psycopg" + url[url.index(":") :]
    try:
        with _quiet(), warnings.catch_warnings(action="ignore"):
            return optuna.storages.RDBStorage(
                address, engine_kwargs={"connect_args": {"connect_timeout": _SECONDS}}
            )
    except (RuntimeError, OptunaError, sqlalchemy.exc.SQLAlchemyError) as error:
        raise RunError(
            f"the tables in {where} are not those of optuna {optuna.__version__}: "
            f"{one_line(error)}. Use an empty database, or `optuna storage upgrade`"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)

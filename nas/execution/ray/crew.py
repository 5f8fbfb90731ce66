"""A crew on a Ray cluster.

Ray starts processes on nodes and carries messages; what is given to whom, retried and given up is
the driver's (`nas.execution.pool`). A phone is a custom resource `phone:SERIAL` of amount 1 of the
node that it hangs on; the host is timed on the driver's own machine only.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from nas.data import Dataset
from nas.devices.phone.fitness import LIMITS_VARIABLE
from nas.errors import RunError, one_line
from nas.execution.pool import PoolExecutor
from nas.execution.processes import attempt
from nas.execution.ray.cluster import LOCAL, PHONE, Cluster, Node, answers, connect
from nas.execution.ray.head import HeadWatch
from nas.execution.ray.node_check import CLOCK_SECONDS, NodeCheck
from nas.execution.run_log import RunLog
from nas.execution.trial.task import Report, TrialProgress
from nas.execution.workers import LIGHT, TRAIN, Gone, Job, Message, Ready
from nas.storage.run_folder import RunFolder
from nas.study.study import Study
from nas.system.files import WriteError

START_SECONDS = 120.0
PROGRESS_SECONDS = 0.5
MESSAGES_PER_SECOND = 50.0  # of progress, from all workers together; each costs the driver a ms
MANY = 64  # workers, whose messages are collected for a moment before they are looked at
MOMENT_SECONDS = 0.05


def ray_executor(
    address: str,
    study: Study,
    workers: int | None,
    run: RunFolder,
    dataset: Dataset,
    report: Report,
    tell: Callable[[str], None],
    log: RunLog | None = None,
) -> tuple[PoolExecutor, int]:
    """Return an executor on the cluster at `address` (HOST:PORT), or on a new one here (LOCAL).

    Returns the executor and its number of workers: `workers`, or as many as the cluster has room
    for. Raises ConfigError, within seconds, where the cluster does not answer, has another
    version, or lacks what the study needs.
    """
    devices = study.devices + study.optional_devices
    phones = {device: phone_resource(device) for device in devices if is_phone(device)}
    tell("starting Ray on this machine" if address == LOCAL else f"joining Ray at {address}")
    ray = connect(address, set(phones.values()) if address == LOCAL else set())
    head = HeadWatch(ray.get_runtime_context().gcs_address, run.path, answers)
    try:
        cluster = Cluster(ray, study.schedule.threads, head)
        workers = cluster.check(workers, [phones[d] for d in study.devices if d in phones])
        check = NodeCheck.of(run, dataset)
        crew = RayCrew(cluster, check, tell, progress_seconds(workers))
    except BaseException:
        head.close()
        ray.shutdown()
        raise
    tell(f"Ray: {workers} worker(s), {len(cluster.nodes())} node(s)")
    limits = {TRAIN: workers} | ({LIGHT: 1} if phones else {})
    return PoolExecutor(crew, limits, report, log), workers


def progress_seconds(workers: int) -> float:
    """Return the seconds between two reports of progress, for so many workers."""
    return max(PROGRESS_SECONDS, workers / MESSAGES_PER_SECOND)


def is_phone(kind: str) -> bool:
    """Return whether a kind of worker, or a device, hangs on some node; others are the driver's."""
    return kind.startswith("adb:")


def phone_resource(device: str) -> str:
    """Return the resource that stands for a phone: `adb:SERIAL@HOST?options` is `phone:SERIAL`."""
    from nas.devices.phone.spec import parse_spec

    return PHONE + parse_spec(device)[0]


@dataclass(frozen=True)
class _Refused:
    """A worker's first message where its node can't be used."""

    why: str


class _Worker:
    """A worker as an actor of Ray's. It never trains on Ray's own threads."""

    def __init__(
        self, kind: str, threads: int, check: NodeCheck, every_s: float, limits: str
    ) -> None:
        os.environ[LIMITS_VARIABLE] = limits
        self._every_s = every_s
        self._kind = kind
        self._threads = threads
        self._check = check
        self._prepared = False

    def hello(self) -> Ready | _Refused:
        """Get ready, and say whether this node can be used."""
        for entry in self._check.path:
            if entry not in sys.path:
                sys.path.append(entry)
        why = self._check.complaint()
        if why:
            return _Refused(why)
        if self._kind == LIGHT:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return Ready(f"{socket.gethostname()} pid {os.getpid()}")

    def _prepare(self) -> None:
        """Load TensorFlow, once and late: what ends by its cost alone needs none."""
        if not self._prepared:
            from nas.training.tensorflow import prepare_tensorflow

            prepare_tensorflow(self._threads)
            self._prepared = True

    def now(self) -> float:
        """Return the time on this node, in seconds since 1970."""
        return time.time()

    def work(self, job: Job) -> Iterator[Message]:
        """Do a job: yield its progress, then what became of it."""
        said: queue.SimpleQueue[Message] = queue.SimpleQueue()

        def do() -> None:
            try:
                said.put(attempt(job, said.put, self._prepare))
            except BaseException as error:
                said.put(RuntimeError(repr(error)))

        threading.Thread(target=do, daemon=True).start()
        last, stage = 0.0, ""
        while True:
            message = said.get()
            if isinstance(message, TrialProgress):
                now = time.monotonic()
                if message.stage == stage and now - last < self._every_s:
                    continue
                last, stage = now, message.stage
                yield message
            else:
                yield message
                return


@dataclass
class _Member:
    kind: str
    actor: Any
    node: Node
    hears: Any  # what it says next: an object's reference, or a generator of them
    since: float
    ready: bool = False


@dataclass
class RayCrew:
    """A crew of Ray actors, pinned to nodes that this driver chose."""

    cluster: Cluster
    check: NodeCheck
    tell: Callable[[str], None]
    progress_s: float = PROGRESS_SECONDS
    _members: dict[str, _Member] = field(default_factory=dict)
    _refused: dict[str, str] = field(default_factory=dict)
    _clocks: set[str] = field(default_factory=set)
    _started: int = 0

    def start(self, kind: str) -> str | None:
        """Start a worker of that kind and return its name; None where there is no room."""
        if self.cluster.head_silent:
            return None
        node = self._place(kind)
        if node is None:
            usable = [n for n in self.cluster.nodes() if n.id not in self._refused]
            if kind in (TRAIN, LIGHT) and not usable:
                raise RunError(f"no node of the cluster can be used: {self.lacks(kind)}")
            return None
        ray = self.cluster.ray
        options: dict[str, Any] = {"num_cpus": 0, "max_restarts": 0, "max_task_retries": 0}
        if kind == TRAIN:
            options |= {"num_cpus": self.cluster.threads}
            options |= {"num_gpus": self.cluster.per_worker.get("GPU", 0)}
        elif is_phone(kind):
            options |= {"resources": {phone_resource(kind): 1}}
        limits = os.environ.get(LIMITS_VARIABLE, "")
        affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        actor = (
            ray.remote(_Worker)
            .options(scheduling_strategy=affinity(node.id, soft=False), **options)
            .remote(kind, self.cluster.threads, self.check, self.progress_s, limits)
        )
        self._started += 1
        name = f"{node.host}-{self._started}" if kind in (TRAIN, LIGHT) else kind
        if name in self._members:
            name = f"{name}-{self._started}"
        now = time.monotonic()
        self._members[name] = _Member(kind, actor, node, actor.hello.remote(), now)
        return name

    def give(self, worker: str, job: Job) -> None:
        """Give a worker something to do."""
        member = self._members[worker]
        member.hears = member.actor.work.options(num_returns="streaming").remote(job)

    def wait(self, seconds: float) -> list[tuple[str, Message]]:
        """Return what workers have said, by name; nothing after `seconds`.

        Raises ClusterError where the cluster's head is gone."""
        if self.cluster.head is not None:
            self.cluster.head.check()
        names = {m.hears: name for name, m in self._members.items() if m.hears is not None}
        if not names:
            time.sleep(seconds)
            return []
        ray, hears = self.cluster.ray, list(names)
        ready, _ = ray.wait(hears, timeout=seconds, fetch_local=False)
        if ready and len(hears) > MANY:
            time.sleep(MOMENT_SECONDS)
        if ready and len(hears) > 1:
            ready, _ = ray.wait(hears, num_returns=len(hears), timeout=0, fetch_local=False)
        heard = [(names[ref], self._hear(names[ref])) for ref in ready]
        return [(n, m) for n, m in heard if m is not None] + self._late()

    def stop(self, worker: str) -> None:
        """End a worker, whatever it does."""
        member = self._members.pop(worker)
        if self.cluster.head_silent:  # its node ends it, as soon as it sees that the head is gone
            return
        with contextlib.suppress(Exception):  # it may be gone already
            self.cluster.ray.kill(member.actor)

    def lacks(self, kind: str) -> str:
        """Say why there is no room for a worker of that kind."""
        if is_phone(kind):
            there = ", ".join(self.cluster.phones()) or "no phone"
            return f"no node has {phone_resource(kind)}; the cluster has {there}"
        refused = [f"{n.host}: {self._refused.get(n.id, 'busy')}" for n in self.cluster.nodes()]
        return "; ".join(refused) or "the cluster has no node"

    def close(self) -> None:
        """End all workers. Where the head is gone, Ray is left alone: it would wait for it."""
        for worker in list(self._members):
            self.stop(worker)
        if self.cluster.head is not None:
            self.cluster.head.close()
        if not self.cluster.head_silent:
            self.cluster.ray.shutdown()

    def _place(self, kind: str) -> Node | None:
        """Return the node with most room for a worker of that kind."""
        nodes = [node for node in self.cluster.nodes() if node.id not in self._refused]
        if is_phone(kind):
            resource = phone_resource(kind)
            return next((node for node in nodes if resource in node.resources), None)
        if kind not in (TRAIN, LIGHT):
            return next((node for node in nodes if node.id == self.cluster.here), None)
        if kind == LIGHT:
            return max(nodes, key=self._free, default=None)
        best = max(nodes, key=self._free, default=None)
        return best if best is not None and self._free(best) > 0 else None

    def _free(self, node: Node) -> int:
        taken = sum(m.kind == TRAIN and m.node.id == node.id for m in self._members.values())
        return self.cluster.room(node) - taken

    def _hear(self, name: str) -> Message | None:
        member = self._members[name]
        ray = self.cluster.ray
        try:
            reference = member.hears if not member.ready else next(member.hears)
            message = ray.get(reference, timeout=30)
        except StopIteration:
            member.hears = None
            return None
        except (ray.exceptions.RayError, ray.exceptions.GetTimeoutError) as error:
            self.stop(name)
            return Gone(self._cause(member, error))
        if isinstance(message, _Refused | WriteError):
            why = message.why if isinstance(message, _Refused) else str(message)
            self.stop(name)
            self._refuse(member.node, why)
            return Gone(f"node {member.node.host}: {why}")
        if not member.ready:
            member.ready = True
            member.hears = None
            self._compare_clocks(member)
        elif not isinstance(message, TrialProgress):
            member.hears = None
        said: Message = message
        return said

    def _cause(self, member: _Member, error: Exception) -> str:
        self.cluster.look_again()
        if all(node.id != member.node.id for node in self.cluster.nodes()):
            return f"its node {member.node.host} is gone"
        if isinstance(error, self.cluster.ray.exceptions.RayActorError):
            return f"its process on {member.node.host} was killed or crashed"
        text = one_line(re.sub(r"\x1b\[[0-9;]*m", "", str(error)))
        return f"its process on {member.node.host} failed: {text}"

    def _refuse(self, node: Node, why: str) -> None:
        if node.id not in self._refused:
            self._refused[node.id] = why
            self.tell(f"node {node.host} is not used: {why}")

    def _late(self) -> list[tuple[str, Message]]:
        """End the workers that don't get their place, as somebody else has it."""
        late = []
        for name, member in list(self._members.items()):
            if not member.ready and time.monotonic() - member.since > START_SECONDS:
                self.stop(name)
                what = f"no start within {START_SECONDS:.0f} s on {member.node.host}"
                message: Message = Gone(f"{what}: others may hold what it needs")
                late.append((name, message))
        return late

    def _compare_clocks(self, member: _Member) -> None:
        if member.node.id in self._clocks:
            return
        self._clocks.add(member.node.id)
        before = time.time()
        with contextlib.suppress(Exception):
            there = self.cluster.ray.get(member.actor.now.remote(), timeout=5)
            apart = there - (before + time.time()) / 2
            if abs(apart) > CLOCK_SECONDS:
                self.tell(
                    f"the clock of node {member.node.host} is {apart:+.0f} s off: times in its "
                    "files won't fit. Set it (NTP); the search does not depend on it"
                )

"""Random faults of a hub for minutes, while events are sent and read through both transports; then all is counted.

`python -m faults.hub_chaos` (with `tests` on the path; `make faults` does it) prints what was done and ends with 1 when
an event was lost, invented, or doubled without a reason, or when the two readers saw different logs.

Senders try again until an event is acknowledged. So each must be read at least once, and more than once only if the
call that sent it ran into a fault.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from eventhubs.errors import EventHubsError
from eventhubs.hub.server import LocalHub
from eventhubs.kept_receiver import KeptReceiver
from eventhubs.receiver import Transport, open_receiver
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection

__all__ = ["Chaos", "Outcome"]

HUB, PARTITIONS = "chaos", 4
PER_CALL = 100
PATIENCE = 60.0


@dataclass
class Outcome:
    """What was done and found."""

    sent: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    tried_again: int = 0
    """Calls of a sender that failed and were made again."""
    doubled: int = 0
    """Events that are in the hub more than once, with a reason."""
    lost: int = 0
    invented: int = 0
    doubled_without_reason: int = 0
    readers_differ: bool = False
    broken: list[str] = field(default_factory=list)
    """Errors that should not have reached a sender or reader."""

    @property
    def ok(self) -> bool:
        """Whether everything is as it has to be."""
        bad = self.lost or self.invented or self.doubled_without_reason or self.readers_differ or self.broken
        return self.sent > 0 and not bad


class Chaos:
    """One run over `folder`, reproducible as far as threads are."""

    def __init__(self, folder: Path, seconds: float, seed: int) -> None:
        self._seconds = seconds
        self._random = random.Random(seed)
        self._hub = LocalHub(folder, {HUB: PARTITIONS})
        self._connection: HubConnection
        self._troubled: list[tuple[float, float]] = []
        """From when to when a fault was in force."""
        self._calls: dict[str, tuple[float, float]] = {}
        """When the call ran that an event was sent by, the first to the last try."""
        self._logs: dict[str, dict[tuple[str, int], str]] = {"amqp": {}, "sdk": {}}
        self._over, self._drained = threading.Event(), threading.Event()
        self.outcome = Outcome()

    def run(self, on_progress: Callable[[Outcome], None] = lambda _: None) -> Outcome:
        """Send, read and break things for `seconds`, then let everybody finish, and count."""
        with self._hub:
            self._connection = HubConnection.from_connection_string(self._hub.connection_string)
            senders = [self._thread(self._send, n) for n in range(2)]
            readers = [self._thread(self._read, "amqp"), self._thread(self._read, "sdk")]
            self._break_things(on_progress)
            self._over.set()
            for thread in senders:
                thread.join()
            self._drained.set()
            for thread in readers:
                thread.join()
        self._count()
        return self.outcome

    def _thread(self, work: Callable[..., None], argument: object) -> threading.Thread:
        def guarded() -> None:
            try:
                work(argument)
            except Exception as error:  # noqa: BLE001 - whatever it is, the run has failed
                self.outcome.broken.append(f"{work.__name__} {argument}: {type(error).__name__}: {error}")

        thread = threading.Thread(target=guarded, name=f"{work.__name__} {argument}", daemon=True)
        thread.start()
        return thread

    def _break_things(self, on_progress: Callable[[Outcome], None]) -> None:
        end = time.monotonic() + self._seconds
        while time.monotonic() < end:
            self._over.wait(self._random.uniform(0.2, 4.0))
            name, fault, lasts = self._random.choice(self._faults())
            started = time.monotonic()
            fault()
            self._troubled.append((started, time.monotonic() + lasts))
            self.outcome.faults[name] += 1
            on_progress(self.outcome)
        self._hub.faults.clear()

    def _faults(self) -> list[tuple[str, Callable[[], object], float]]:
        faults, seconds = self._hub.faults, self._random.uniform(0.1, 1.5)
        return [
            ("connections dropped", faults.drop_connections, 0.0),
            ("links closed", faults.close_links, 0.0),
            ("tokens expired", faults.expire_tokens, 0.0),
            ("server busy", lambda: faults.throttle(seconds=seconds), seconds),
            ("answers late", lambda: faults.delay_answers(seconds / 2, seconds=seconds), 2 * seconds),
            ("connections refused", lambda: faults.refuse_connections(seconds), seconds),
            ("hub stopped and started", self._restart, 0.0),
        ]

    def _restart(self) -> None:
        self._hub.stop()
        self._hub.start()

    def _send(self, number: object) -> None:
        count = 0
        with HubSender(self._connection, HUB) as sender:
            while not self._over.is_set():
                ids = [f"{number}:{count + i}" for i in range(PER_CALL)]
                count += PER_CALL
                events = [OutgoingEvent(f"{id_} {'x' * 500}".encode(), id_) for id_ in ids]
                started = time.monotonic()
                while True:
                    try:
                        sender.send(events)
                        break
                    except EventHubsError as error:
                        if not error.transient:
                            raise
                        self.outcome.tried_again += 1
                self._calls.update(dict.fromkeys(ids, (started, time.monotonic())))

    def _read(self, name: object) -> None:
        transport: Transport = "amqp" if name == "amqp" else "sdk"
        at, log = {str(p): 0 for p in range(PARTITIONS)}, self._logs[transport]
        opened = lambda: open_receiver(self._connection, HUB, transport=transport, receive_timeout=PATIENCE)  # noqa: E731
        with KeptReceiver(opened, PATIENCE) as receiver:
            while True:
                last_round = self._drained.is_set()
                for info in receiver.partition_infos(list(at)):
                    place = info.partition_id
                    for events in receiver.read(place, at[place], info.next_sequence - at[place]):
                        for event in events:
                            log[place, event.sequence] = event.body.split(b" ")[0].decode()
                    at[place] = info.next_sequence
                if last_round:
                    return
                self._drained.wait(0.05)

    def _count(self) -> None:
        found = self.outcome
        found.sent = len(self._calls)
        found.readers_differ = self._logs["amqp"] != self._logs["sdk"]
        times = Counter(self._logs["amqp"].values())
        found.lost = len(self._calls.keys() - times.keys())
        found.invented = len(times.keys() - self._calls.keys())
        for id_ in (id_ for id_, n in times.items() if n > 1 and id_ in self._calls):
            begun, ended = self._calls[id_]
            if any(start <= ended and begun <= end for start, end in self._troubled):
                found.doubled += 1
            else:
                found.doubled_without_reason += 1


def main() -> int:
    """Run as told; 1 when something is not as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    shown = time.monotonic()

    def progress(outcome: Outcome) -> None:
        nonlocal shown
        if time.monotonic() - shown > 30:
            shown = time.monotonic()
            sys.stderr.write(f"{outcome.faults.total()} faults, {outcome.tried_again} calls tried again\n")

    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        outcome = Chaos(folder, given.minutes * 60, given.seed).run(progress)
    for name, value in {**vars(outcome), "seed": given.seed}.items():
        sys.stdout.write(f"{name.replace('_', ' '):24}{dict(value) if isinstance(value, Counter) else value}\n")
    return 0 if outcome.ok else 1


if __name__ == "__main__":
    sys.exit(main())

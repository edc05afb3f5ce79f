"""Many agents at once: no point twice, none missing, whoever wins the race and whoever dies."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from besom.core.names import SweepPath
from besom.core.wire import Beat, Done
from besom.hub.hub import Hub
from besom.store.migrations import open_database

CELLS = {
    "program": "t.py",
    "method": "grid",
    "parameters": {"a": {"values": [*range(8)]}, "b": {"values": [*range(8)]}},
}


def test_eight_agents_over_two_hubs_take_each_of_64_cells_once(
    tmp_path: Path, place: Callable[[Path], Path | str]
) -> None:
    """Two hubs over one store are two processes, as far as the claim is concerned: they share nothing but the database."""
    databases = [open_database(place(tmp_path)) for _ in range(2)]
    hubs = [Hub(database) for database in databases]
    sweep = hubs[0].create_sweep("ann", "dkt", CELLS)
    taken: list[tuple[int, ...]] = []
    failures: list[BaseException] = []

    def agent(hub: Hub) -> None:
        try:
            me = hub.register(f"ann/dkt/{sweep.id}", "host", 1).id
            done: tuple[Done, ...] = ()
            while True:
                commands = hub.beat(me, Beat((), done, 1)).commands
                done = ()
                for command in commands:
                    if command.type == "exit":
                        return
                    taken.append(tuple(command.params.values()))
                    done = (Done(command.run, command.attempt, 0, "finished"),)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=agent, args=(hubs[i % 2],)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert Counter(taken) == Counter((a, b) for a in range(8) for b in range(8))
    view = hubs[1].sweep(SweepPath("ann", "dkt", sweep.id))
    assert (view.state, view.counts, [t.number for t in view.trials]) == ("finished", {"finished": 64}, [*range(1, 65)])
    for database in databases:
        database.close()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), agents=st.integers(1, 4))
def test_whatever_goes_wrong_each_point_has_one_run_and_the_grid_ends(
    tmp_path_factory: object, seed: int, agents: int
) -> None:
    """Agents die, answers get lost, runs fail, the clock jumps: each point is one run, and attempts never overlap."""
    chance = random.Random(seed)
    now = [1e9]
    database = open_database(tmp_path_factory.mktemp("store") / "besom.db")  # type: ignore[attr-defined]
    hub = Hub(database, clock=lambda: now[0])
    config = {**CELLS, "parameters": {"a": {"values": [*range(6)]}}, "retry": 1}
    sweep = hub.create_sweep("ann", "dkt", config)
    path = SweepPath("ann", "dkt", sweep.id)

    def register() -> dict[str, object]:
        return {"id": hub.register(str(path), "host", 1).id, "running": {}, "done": []}

    players = [register() for _ in range(agents)]
    holder: dict[tuple[str, int], str] = {}
    for _ in range(400):
        now[0] += chance.choice([0.1, 1.0, 20.0])
        player = chance.choice(players)
        fate = chance.random()
        if fate < 0.05:  # it is killed, and another one starts
            players[players.index(player)] = register()
            now[0] += 61
            continue
        running, done = player["running"], player["done"]
        if running and fate < 0.6:
            run, attempt = running.popitem()  # type: ignore[attr-defined]
            bad = chance.random() < 0.2
            done.append(Done(run, attempt, int(bad), "failed" if bad else "finished"))  # type: ignore[attr-defined]
        orders = hub.beat(player["id"], Beat(tuple(running.items()), tuple(done), int(not running)))  # type: ignore
        if chance.random() < 0.1:
            continue  # the answer is lost on its way
        done.clear()  # type: ignore[attr-defined]
        for command in orders.commands:
            if command.type == "run":
                owner = holder.setdefault((command.run, command.attempt), player["id"])  # type: ignore[arg-type]
                assert owner == player["id"], "one attempt belongs to one agent"
                running[command.run] = command.attempt  # type: ignore[index]
            elif command.type == "stop":
                running.pop(command.run, None)  # type: ignore[attr-defined]
        if orders.state == "finished":
            break
    view = hub.sweep(path)
    points = [trial.params["a"] for trial in view.trials]
    assert len(points) == len(set(points)) and len({trial.run for trial in view.trials}) == len(points)
    assert view.state == "finished" and sorted(points) == [*range(6)]
    assert all(trial.attempt <= 1 + 3 + 1 for trial in view.trials), "lost up to three times, failed up to once"
    database.close()

"""The server: sends the hypernetwork, calls `orrery hyperfl aggregate` on what comes back, keeps every round and goes on
from the last one that is there."""

import os
import time
from pathlib import Path

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

from . import files

app = ServerApp()


def log(line):
    print(f"[hyperfl] {line}", flush=True)


def nodes(grid, least, patience=600):
    """The clients there are, once there are enough."""
    begun = time.time()
    while True:
        found = sorted(grid.get_node_ids())
        if len(found) >= least or (found and time.time() - begun > patience):
            return found
        time.sleep(1)


def received(replies, folder, round):
    """The replies as files for the binary; what cannot be read is left out and logged."""
    updates = []
    for number, reply in enumerate(replies):
        node = reply.metadata.src_node_id
        if reply.has_error():
            log(f"round {round}: node {node} failed: {reply.error.reason}")
            continue
        path = folder / f"update-{number}.safetensors"
        try:
            files.write(path, reply.content["hypernetwork"], dict(reply.content["notes"]))
        except (KeyError, TypeError, ValueError) as error:
            log(f"round {round}: node {node} sent what cannot be read: {error}; left out")
            continue
        updates.append(path)
    return updates


@app.main()
def main(grid: Grid, context: Context) -> None:
    run = context.run_config
    call = (run["orrery"], "aggregate", run["settings"])
    folder = Path(run["state"])
    folder.mkdir(parents=True, exist_ok=True)
    place = lambda round: folder / f"global-{round}.safetensors"
    if not place(0).exists():
        files.orrery(*call, "--start", "--out", place(0))
    first = 1 + max(n for n in range(int(run["rounds"]) + 1) if place(n).exists())
    for round in range(first, int(run["rounds"]) + 1):
        arrays, _ = files.read(place(round - 1))
        content = RecordDict({"hypernetwork": arrays, "config": ConfigRecord({"round": round})})
        for attempt in range(int(run["tries"])):
            sent = [
                Message(content=content, dst_node_id=node, message_type="train", group_id=str(round))
                for node in nodes(grid, int(run["min-clients"]))
            ]
            replies = grid.send_and_receive(sent, timeout=float(run["timeout"]))
            updates = received(replies, folder, round)
            if not updates:
                log(f"round {round}: none of {len(sent)} clients answered in time")
                continue
            # Written beside and renamed by the binary: a server that is killed loses no finished round.
            what = ("--round", round, "--global", place(round - 1), "--out", place(round))
            try:
                answer, told = files.orrery(*call, *what, *updates)
            except RuntimeError as error:
                log(f"round {round}: {error}")
                continue
            finally:
                for path in updates:
                    os.remove(path)
            for line in told.splitlines():
                log(f"round {round}: {line}")
            log(f"round {round}: {answer['taken']} of {len(sent)} clients averaged")
            break
        else:
            raise RuntimeError(f"round {round} cannot be done: start clients, then run again; finished rounds are kept")

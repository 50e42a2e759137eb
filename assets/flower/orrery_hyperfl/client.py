"""The client: each round is one call of `orrery hyperfl client`. Embedding and head stay in its folder."""

import tempfile
from pathlib import Path

from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from . import files

app = ClientApp()


def work(message, context, *more):
    """Runs the binary on what the server sent; gives its answer and the folder with what it wrote."""
    node, run = context.node_config, context.run_config
    number = int(node["partition-id"])
    request = message.content["config"]
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "global.safetensors"
        # The notes are those of the settings: the binary writes and checks its own.
        files.write(given, message.content["hypernetwork"], {})
        made = Path(folder) / "update.safetensors"
        answer, _ = files.orrery(
            node.get("orrery", run["orrery"]),
            "client",
            run["settings"],
            *("--client", number, "--round", request["round"]),
            *("--state", node.get("state", f"hyperfl-client-{number}")),
            *("--global", given),
            *(more or ("--out", made)),
        )
        return answer, (None if more else files.read(made))


@app.train()
def train(message: Message, context: Context) -> Message:
    answer, (arrays, notes) = work(message, context)
    # The allow-list: nothing but the hypernetwork leaves.
    private = [name for name in arrays if not name.startswith("hypernetwork.")]
    if private:
        raise RuntimeError(f"refused to send {private}")
    content = RecordDict(
        {
            "hypernetwork": arrays,
            "metrics": MetricRecord({key: answer[key] for key in ("num-examples", "loss", "accuracy")}),
            "notes": ConfigRecord(dict(notes)),
        }
    )
    return Message(content=content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    answer, _ = work(message, context, "--evaluate")
    metrics = MetricRecord({key: answer[key] for key in ("num-examples", "loss", "accuracy")})
    return Message(content=RecordDict({"metrics": metrics}), reply_to=message)

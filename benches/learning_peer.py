"""The other side of `orrery bench --suite learning`: PyTorch for a federated round and for an attack, `x-magical` for its physics;
`peer_loop.py`, which is put behind it, times the benchmarks. A package that is missing only stops its own benchmarks.

    peers/bin/pip install torch x-magical
    orrery bench --suite learning --peer peers/bin/python
"""

import collections.abc
import contextlib
import copy
import importlib.metadata
import sys

try:
    import torch
    import torch.nn.functional as F
    from torch import nn

    torch.set_num_threads(int(sys.argv[1]))
    torch.manual_seed(0)
    VERSION = f"PyTorch {torch.__version__}"
except ImportError:
    import types

    nothing = lambda *_: contextlib.nullcontext()
    torch = types.SimpleNamespace(set_grad_enabled=nothing, __version__="absent")
    nn = types.SimpleNamespace(Module=object)
    VERSION = "no PyTorch"
try:
    VERSION += f", x-magical {importlib.metadata.version('x-magical')}"
except importlib.metadata.PackageNotFoundError:
    pass

CLIENTS, PICTURES, BATCH, EPOCHS, EMBED, WIDTH = 20, 100, 50, 5, 64, 128
SHAPES = {
    "conv1.weight": (16, 1, 5, 5), "conv1.bias": (16,),
    "conv2.weight": (32, 16, 5, 5), "conv2.bias": (32,),
    "fc1.weight": (128, 800), "fc1.bias": (128,),
}  # fmt: skip


def extract(x, theta):
    x = F.max_pool2d(F.leaky_relu(F.conv2d(x, theta["conv1.weight"], theta["conv1.bias"])), 2)
    x = F.max_pool2d(F.leaky_relu(F.conv2d(x, theta["conv2.weight"], theta["conv2.bias"], padding=1)), 2)
    return F.leaky_relu(F.linear(x.flatten(1), theta["fc1.weight"], theta["fc1.bias"]))


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 5), nn.Conv2d(16, 32, 5, padding=1)
        self.fc1, self.fc2 = nn.Linear(800, 128), nn.Linear(128, 10)

    def forward(self, x):
        return self.fc2(extract(x, dict(self.named_parameters())))


class Hyper(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Linear(EMBED, WIDTH)
        size = lambda shape: torch.Size(shape).numel()
        self.heads = nn.ModuleList(nn.Linear(WIDTH, size(shape)) for shape in SHAPES.values())
        for head in self.heads:
            head.weight.data *= 0.02

    def forward(self, v):
        f = F.relu(self.trunk(v))
        return {name: head(f).view(shape) for (name, shape), head in zip(SHAPES.items(), self.heads)}


def sgd(params, lr):
    return torch.optim.SGD(params, lr=lr, momentum=0.5, weight_decay=5e-4, fused=True)


def batches():
    return torch.randperm(PICTURES).split(BATCH)


def pictures():
    return [(torch.rand(PICTURES, 1, 28, 28), torch.randint(10, (PICTURES,))) for _ in range(CLIENTS)]


def average(model, sent):
    with torch.no_grad():
        for name, value in model.state_dict().items():
            value.copy_(sum(one[name] for one in sent) / len(sent))


def hyperfl():
    data, server = pictures(), Hyper()
    own = [(torch.randn(EMBED), nn.Linear(128, 10)) for _ in range(CLIENTS)]

    @torch.enable_grad()
    def step():
        sent = []
        for at, (x, y) in enumerate(data):
            model, (v, head) = copy.deepcopy(server), own[at]
            optimizer = sgd(head.parameters(), 0.1)
            for rows in batches():
                with torch.no_grad():
                    features = extract(x[rows], model(v))
                optimizer.zero_grad(set_to_none=True)
                F.cross_entropy(head(features), y[rows]).backward()
                optimizer.step()
            head.requires_grad_(False)
            v.requires_grad_(True)
            optimizer = sgd([*model.parameters(), v], 0.02)
            for _ in range(EPOCHS):
                for rows in batches():
                    optimizer.zero_grad(set_to_none=True)
                    F.cross_entropy(head(extract(x[rows], model(v))), y[rows]).backward()
                    nn.utils.clip_grad_norm_(model.parameters(), 50)
                    nn.utils.clip_grad_norm_([v], 50)
                    optimizer.step()
            head.requires_grad_(True)
            v.requires_grad_(False)
            sent.append(model.state_dict())
        average(server, sent)

    return step


def fedavg():
    data, server = pictures(), Plain()

    @torch.enable_grad()
    def step():
        sent = []
        for x, y in data:
            model = copy.deepcopy(server)
            optimizer = sgd(model.parameters(), 0.02)
            for _ in range(EPOCHS):
                for rows in batches():
                    optimizer.zero_grad(set_to_none=True)
                    F.cross_entropy(model(x[rows]), y[rows]).backward()
                    optimizer.step()
            sent.append(model.state_dict())
        average(server, sent)

    return step


def attack(iterations=1000):
    model = Plain()
    params, label = list(model.parameters()), torch.tensor([3])
    truth = torch.rand(1, 1, 28, 28)
    wanted = torch.autograd.grad(F.cross_entropy(model(truth), label), params)
    size = sum((w * w).sum() for w in wanted).sqrt()

    def variation(x):
        return (x[..., 1:] - x[..., :-1]).abs().mean() + (x[..., 1:, :] - x[..., :-1, :]).abs().mean()

    @torch.enable_grad()
    def run():
        x = torch.randn(1, 1, 28, 28, requires_grad=True)
        optimizer = torch.optim.Adam([x], lr=0.1)
        marks = [int(iterations / part) for part in (2.667, 1.6, 1.142)]
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, marks, 0.1)
        for _ in range(iterations):
            loss = F.cross_entropy(model(x), label)
            found = torch.autograd.grad(loss, params, create_graph=True)
            dot = sum((f * w).sum() for f, w in zip(found, wanted))
            cost = 1 - dot / (size * sum((f * f).sum() for f in found).sqrt()) + 0.1 * variation(x)
            (x.grad,) = torch.autograd.grad(cost, [x])
            x.grad.sign_()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                x.clamp_(0, 1)

    return run


def magical():
    # Written for Python before 3.10; what it prints while it loads is not an answer of ours.
    collections.Sequence = collections.abc.Sequence
    with contextlib.redirect_stdout(sys.stderr):
        import gym
        import xmagical

        xmagical.register_envs()
        env = gym.make("SweepToTop-Longstick-State-Allo-Demo-v0", disable_env_checker=True).unwrapped

    # It draws each frame even where only states are asked for; here it does not.
    env.render = lambda *_, **__: None

    def run():
        env.reset()
        done, at = False, 0
        while not done:
            _, _, done, _ = env.step([0.8, 0.2 if at % 10 < 5 else -0.2])
            at += 1
        assert at == 50

    return run


BENCHMARKS = {
    "hyperfl-round": hyperfl,
    "fedavg-round": fedavg,
    "ig-1000": attack,
    "xmagical-episode": magical,
}

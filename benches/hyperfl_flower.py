"""HyperFL on Flower for real: a SuperLink and two SuperNodes over loopback with TLS, our app, the binary as the client.

    python3 -m venv flower && flower/bin/pip install 'flwr>=1.41,<1.43' numpy
    flower/bin/python benches/hyperfl_flower.py target/release/orrery [plain] [equal] [faults] [kills] [--kills 20]

`plain`: without Flower, the verbs that its app calls are killed with SIGKILL at random moments and called again. `equal`: three rounds give what the simulation gives, to 1e-6. `faults`: a client is killed in the middle of its work, one is late,
one sends what must not be averaged; each is told by name, the round goes on, and the result is that of the same rounds done by
hand. `kills`: SuperLink (with the ServerApp) or a SuperNode is killed with SIGKILL at random moments; no finished round is lost
or changed. Ends with 1 where anything is not so.
"""

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

APP = Path(__file__).resolve().parent.parent / "assets" / "flower"
sys.path.insert(0, str(APP))
from orrery_hyperfl import files  # noqa: E402

BIN = Path(sys.executable).parent
SETTINGS = "--clients 2 --train 40 --test 20 --batch 20 --hidden {hidden} --rounds {rounds} --local-epochs 2"
# What client 1 does in `faults`, by round; else it is honest.
FAULTS = {2: "killed", 3: "late", 4: "nan", 5: "huge", 6: "shape", 7: "replay", 8: "liar"}
TIMEOUT = 60
# The client of `faults`: the binary, then what the fault asks for.
HOSTILE = '''#!{python}
import os, subprocess, sys, time
sys.path.insert(0, {app!r})
import numpy as np
from flwr.app import Array
from orrery_hyperfl import files

args = sys.argv[1:]
value = lambda name: args[args.index(name) + 1]
number = int(value("--round"))
fault = {faults!r}.get(number)
kept = {folder!r}
open(f"{{kept}}/began-{{number}}", "w").close()
if fault == "killed" and not os.path.exists(f"{{kept}}/again"):
    time.sleep(20)
done = subprocess.run([{orrery!r}, *args], capture_output=True, text=True)
sys.stderr.write(done.stderr)
sys.stdout.write(done.stdout)
if done.returncode == 0 and "--out" in args:
    out = value("--out")
    arrays, notes = files.read(out)
    first = next(iter(arrays))
    change = lambda values: arrays.__setitem__(first, Array(np.ascontiguousarray(values)))
    if number == 1:
        files.write(f"{{kept}}/first.safetensors", arrays, notes)
    if fault == "late" and {sleeps}:
        time.sleep({timeout} + 12)
    if fault == "nan":
        change(np.full_like(arrays[first].numpy(), np.nan))
    if fault == "huge":
        change(arrays[first].numpy() + np.float32(1e6))
    if fault == "shape":
        change(arrays[first].numpy()[1:])
    if fault == "replay":
        arrays, old = files.read(f"{{kept}}/first.safetensors")
    if fault == "liar":
        notes["hyperfl.samples"] = "1000000000"
    files.write(out, arrays, notes)
sys.exit(done.returncode)
'''


def check(what, holds, detail=""):
    print(f"{'ok  ' if holds else 'FAIL'} {what} {detail}", flush=True)
    if not holds:
        raise SystemExit(1)


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def certificates(folder):
    """An authority and a certificate for 127.0.0.1 that it signed."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.timezone.utc)
    name = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]

    def made(subject, key, authority):
        usage = dict.fromkeys(
            "content_commitment key_encipherment data_encipherment key_agreement encipher_only decipher_only".split(), False
        )
        signs = x509.KeyUsage(digital_signature=True, key_cert_sign=authority, crl_sign=authority, **usage)
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("test authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(signs, critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False)
            .sign(keys[0], hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    (folder / "ca.pem").write_bytes(made("test authority", keys[0], True))
    (folder / "server.pem").write_bytes(made("localhost", keys[1], False))
    (folder / "server.key").write_bytes(
        keys[1].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


class Federation:
    """SuperLink, SuperNodes and runs of one test, each in a process group of its own."""

    def __init__(self, folder, orrery, rounds, hidden=32, timeout=TIMEOUT):
        self.folder, self.orrery, self.rounds = folder, orrery, rounds
        self.settings = SETTINGS.format(hidden=hidden, rounds=rounds)
        self.timeout, self.groups, self.clients = timeout, {}, {0: orrery, 1: orrery}
        folder.mkdir(parents=True)
        certificates(folder)
        self.port = port()
        home = folder / "flwr"
        home.mkdir()
        (home / "config.toml").write_text(
            f'[superlink]\ndefault = "here"\n\n[superlink.here]\naddress = "127.0.0.1:{self.port}"\n'
            f'root-certificates = "{folder}/ca.pem"\n'
        )
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        self.env = os.environ | {"FLWR_HOME": str(home), "PATH": path, "FLWR_TELEMETRY_ENABLED": "0"}

    def start(self, name, *command):
        with open(self.folder / f"{name}.log", "ab") as out:
            self.groups[name] = subprocess.Popen(
                [str(part) for part in command],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=self.env,
                cwd=self.folder,
            )

    def link(self):
        pem = [f"--ssl-{kind}={self.folder}/{file}" for kind, file in
               (("ca-certfile", "ca.pem"), ("certfile", "server.pem"), ("keyfile", "server.key"))]  # fmt: skip
        more = ("--port", self.port, "--disable-runtime-dependency-installation")
        self.start("link", BIN / "flower-superlink", *pem, *more)
        for _ in range(2400):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        check("the SuperLink listens", False, self.said("link")[-2000:])

    def node(self, number):
        pem = [f"--ssl-{kind}={self.folder}/{file}" for kind, file in
               (("ca-certfile", "ca.pem"), ("certfile", "server.pem"), ("keyfile", "server.key"))]  # fmt: skip
        settings = (
            f'partition-id={number} state="{self.folder}/client-{number}" orrery="{self.clients[number]}"'
        )
        superlink = ("--root-certificates", self.folder / "ca.pem", "--superlink", f"127.0.0.1:{self.port}")
        more = ("--port", port(), "--node-config", settings)
        self.start(f"node-{number}", BIN / "flower-supernode", *superlink, *pem, *more)

    def run(self):
        config = {
            "rounds": self.rounds,
            "timeout": float(self.timeout),
            "state": f"{self.folder}/server",
            "orrery": str(self.orrery),
            "settings": self.settings,
        }
        text = " ".join(f"{key}={json.dumps(value)}" for key, value in config.items())
        self.start("run", BIN / "flwr", "run", APP, "here", "--stream", "--run-config", text)

    def all(self):
        self.link()
        self.node(0)
        self.node(1)
        self.run()

    def kill(self, name):
        if (group := self.groups.pop(name, None)) is not None:
            try:
                os.killpg(group.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            group.wait()

    def end(self):
        for name in list(self.groups):
            self.kill(name)

    def said(self, name):
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def place(self, number):
        return self.folder / "server" / f"global-{number}.safetensors"

    def wait(self, holds, what, seconds):
        begun = time.time()
        while not holds():
            run = self.groups.get("run")
            if time.time() - begun > seconds or (run and run.poll() is not None and not holds()):
                for name in ("run", "link", "node-0", "node-1"):
                    print(f"--- {name}\n{self.said(name)[-3000:]}")
                check(what, False, "not in time")
            time.sleep(0.05)

    def wait_for_round(self, number, seconds=240):
        self.wait(lambda: self.place(number).exists(), f"round {number} is finished", seconds)


def values(path):
    return {name: array.numpy().astype(np.float64) for name, array in files.read(path)[0].items()}


def apart(a, b):
    """The largest distance between two files' tensors, relative to each tensor's size."""
    a, b = values(a), values(b)
    assert a.keys() == b.keys(), a.keys() ^ b.keys()
    return max(np.linalg.norm(a[name] - b[name]) / max(np.linalg.norm(b[name]), 1e-30) for name in a)


def equal(folder, orrery, _):
    rounds = 3
    it = Federation(folder / "equal", orrery, rounds)
    try:
        it.all()
        it.wait_for_round(rounds)
    finally:
        it.end()
    out = folder / "simulated"
    simulate = [orrery, "hyperfl", "simulate", *it.settings.split(), "--out", out, "--json"]
    subprocess.run([str(part) for part in simulate], check=True, capture_output=True)
    off = apart(it.place(rounds), out / "shared.safetensors")
    check("TLS, two clients, three rounds: the federation equals the simulation", off <= 1e-6, f"(off by {off:.1e})")
    resumes(it, rounds)


def resumes(it, rounds):
    """The server goes on from the last round that is there."""
    before = hashlib.sha256(it.place(rounds - 1).read_bytes()).hexdigest()
    last = it.place(rounds).read_bytes()
    it.place(rounds).unlink()
    Path(f"{it.place(rounds)}.seen").unlink()
    (it.folder / "run.log").unlink()
    try:
        it.all()
        it.wait_for_round(rounds)
        it.wait(lambda: f"round {rounds}: " in it.said("run"), "the server tells of the round", 60)
    finally:
        it.end()
    lines = [line for line in it.said("run").splitlines() if "clients averaged" in line]
    check("a new run does only the round that is missing", len(lines) == 1, str(lines))
    same = hashlib.sha256(it.place(rounds - 1).read_bytes()).hexdigest() == before
    check("and with the same result, bit for bit", same and it.place(rounds).read_bytes() == last)


def hostile(it, place, sleeps):
    text = HOSTILE.format(
        python=sys.executable, app=str(APP), faults=FAULTS, folder=str(it.folder), orrery=str(it.orrery),
        sleeps=sleeps, timeout=it.timeout,
    )  # fmt: skip
    place.write_text(text)
    place.chmod(0o755)
    return place


def faults(folder, orrery, _):
    rounds = 9
    it = Federation(folder / "faults", orrery, rounds)
    it.clients[1] = hostile(it, it.folder / "client.py", True)
    try:
        it.all()
        it.wait((it.folder / "began-2").exists, "client 1 begins round 2", 240)
        it.kill("node-1")
        it.wait_for_round(2)
        (it.folder / "again").touch()
        it.node(1)
        for number in range(3, rounds + 1):
            it.wait_for_round(number)
        it.wait(lambda: f"round {rounds}: " in it.said("run"), "the server tells of the last round", 60)
    finally:
        it.end()
    log = it.said("run")
    tells = {
        4: r"value \d+ is NaN; left out",
        5: r"a change of size .* times the median .*; left out",
        6: r"`hypernetwork\..*left out",
        7: r"the same values were sent before; left out",
        8: r"says 1000000000 samples, counts as 400",
    }
    for number, line in tells.items():
        told = re.search(f"round {number}: client `1`: {line}", log)
        check(f"round {number} ({FAULTS[number]}) is told by name", told, "" if told else log[-3000:])
    for number, taken in {1: 2, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 8: 2, 9: 2}.items():
        done = f"round {number}: {taken} of " in log
        check(f"round {number} goes on with {taken} of 2 ({FAULTS.get(number, 'all are honest')})", done)
    off = apart(it.place(rounds), by_hand(it, rounds))
    check("the result is that of the same rounds done by hand", off <= 1e-6, f"(off by {off:.1e})")


def by_hand(it, rounds):
    """The same rounds with `client` and `aggregate` alone."""
    hand = it.folder / "hand"
    hand.mkdir()
    client = hostile(it, hand / "client.py", False)
    place = lambda number: hand / f"global-{number}.safetensors"
    files.orrery(it.orrery, "aggregate", it.settings, "--start", "--out", place(0))
    for number in range(1, rounds + 1):
        sent = []
        for at, program in ((0, it.orrery), (1, client)):
            if at == 1 and FAULTS.get(number) == "killed":
                continue
            out = hand / f"update-{at}.safetensors"
            more = ("--client", at, "--round", number, "--state", hand / f"state-{at}", "--global", place(number - 1))
            files.orrery(program, "client", it.settings, *more, "--out", out)
            if at == 0 or FAULTS.get(number) != "late":
                sent.append(out)
        more = ("--round", number, "--global", place(number - 1), "--out", place(number))
        files.orrery(it.orrery, "aggregate", it.settings, *more, *sent)
    return place(rounds)


def kills(folder, orrery, count):
    it = Federation(folder / "kills", orrery, 10_000, hidden=8, timeout=20)
    rng, digests = random.Random(0), {}

    def look():
        """Every finished round is there, and as it was."""
        for path in (it.folder / "server").glob("global-*.safetensors"):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            if digests.setdefault(path.name, digest) != digest:
                check(f"{path.name} is as it was", False)
        missing = [name for name in digests if not (it.folder / "server" / name).exists()]
        check(f"{len(digests)} rounds are there", not missing, str(missing) if missing else "")
        return len(digests)

    try:
        it.all()
        it.wait_for_round(1)
        for number in range(count):
            time.sleep(rng.uniform(0.0, 5.0))
            victim = rng.choice(["link", "node-0", "node-1"])
            it.kill(victim)
            before = look()
            if victim == "link":
                it.end()
                it.all()
            else:
                it.node(int(victim[-1]))
            it.wait_for_round(before)
            print(f"     kill {number + 1}: {victim}", flush=True)
        total = look()
        for number in range(total, total + 3):
            it.wait_for_round(number)
        look()
    finally:
        it.end()
    check(f"{count} kills lost no finished round", True)


def plain(folder, orrery, count):
    """The verbs that Flower calls, killed at random moments and called again: every round ends as if nothing had happened."""
    rng, settings, kills, took = random.Random(1), SETTINGS.format(hidden=8, rounds=count), 0, {}

    def call(verb, *arguments, killed):
        nonlocal kills
        command = [orrery, "hyperfl", verb, *settings.split(), *arguments, "--json"]
        while True:
            begun = time.time()
            silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            process = subprocess.Popen([str(part) for part in command], **silent)
            if killed and kills < count and rng.random() < 0.7:
                try:
                    process.wait(rng.uniform(0, took[verb]))
                except subprocess.TimeoutExpired:
                    process.kill()
                    kills += 1
            if process.wait() == 0:
                took[verb] = time.time() - begun
                return

    def done(name, killed):
        here, rounds = folder / name, []
        here.mkdir(parents=True)
        place = lambda number: here / f"global-{number}.safetensors"
        call("aggregate", "--start", "--out", place(0), killed=False)
        for number in range(1, 7):
            sent = [here / f"update-{at}.safetensors" for at in (0, 1)]
            for at in (0, 1):
                state = ("--client", at, "--round", number, "--state", here / f"state-{at}")
                call("client", *state, "--global", place(number - 1), "--out", sent[at], killed=killed)
            more = ("--round", number, "--global", place(number - 1), "--out", place(number))
            call("aggregate", *more, *sent, killed=killed)
            rounds.append(place(number).read_bytes())
            check(f"{name}: rounds 1 to {number} are as they were", all(
                place(at + 1).read_bytes() == one for at, one in enumerate(rounds)
            ))  # fmt: skip
        return rounds

    calm, killed = done("calm", False), done("killed", True)
    check(f"{kills} kills of clients and servers change no round", calm == killed and kills > 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("orrery", type=Path)
    tests = {"plain": plain, "equal": equal, "faults": faults, "kills": kills}
    parser.add_argument("tests", nargs="*", metavar="TEST", help="plain, equal, faults, kills")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="keep logs and files in this new folder")
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp())
    folder = folder.resolve()
    for name in given.tests or tests:
        begun = time.time()
        tests[name](folder, given.orrery.resolve(), given.kills)
        print(f"{name}: {time.time() - begun:.0f} s", flush=True)
    if not given.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

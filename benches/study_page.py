"""The form of `orrery counterspeech study serve` in a real browser, with a server that is killed while people answer.

    python study_page.py ORRERY [--axe axe.min.js] [--pictures FOLDER] [--kills 5]

Makes a study of invented replies and takes part in it: keyboard alone, 390×800, offline, kill -9, two tabs, reload, back,
a second person on a slow network, a third who withdraws.
In the end the stored answers have to be those that were given, each once. Needs chromium and chromedriver.
"""

import argparse
import json
import pathlib
import random
import signal
import subprocess
import tempfile
import time
import urllib.request

from serve_page import Browser

TAB, ENTER, SPACE = "\ue004", "\ue007", " "
CONFIGS = ("Ba", "Ba.Pr", "Ba.Hi", "Ba.Su")
AXE = "const done = arguments[0]; axe.run(document).then((found) => done(found.violations.map((v) => [v.id, v.impact, v.nodes.map((n) => n.target.join(' ')).slice(0, 3)])))"


class Server:
    def __init__(self, orrery, study):
        self.command = [orrery, "counterspeech", "study", "serve", "--study", study, "--port", "0"]
        self.port = "0"
        self.start()

    def start(self):
        self.process = subprocess.Popen([*self.command[:-1], self.port], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = ""
        while "http://127.0.0.1:" not in line:
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read()
        self.port = line.split("http://127.0.0.1:")[1].split("/")[0].strip()
        self.url = f"http://127.0.0.1:{self.port}/"

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def row(record, config):
    text = f"Thank you for saying so ({config}). The boats of {record['id']} are for everybody, and so is this place."
    return {"record": record["id"], "config": config, "model": "Ba", "context": config[3:], "prompts": "", "prompt_sha": "", "record_sha": "", "model_sha": "", "adapter_sha": None, "seed": 0, "text": text, "refused": False, "tokens": 1, "seconds": 0.0, "absent": [], "machine_text": True}


def make(orrery, place):
    """A study of four messages in four configurations: 16 items a person, four of them with a check."""
    subprocess.run([orrery, "counterspeech", "-q", "templates", "--out", place / "mine"], check=True)
    records = [json.loads(line) for line in (place / "mine/records.jsonl").read_text().splitlines()][:8]
    (place / "replies.jsonl").write_text("".join(json.dumps(row(record, config)) + "\n" for record in records for config in CONFIGS))
    subprocess.run([orrery, "counterspeech", "-q", "study", "design", "--replies", place / "replies.jsonl", "--configs", ",".join(CONFIGS), "--messages", "4", "--out", place / "pilot"], check=True)
    return place / "pilot"


class Person:
    """Answers by the keyboard, and remembers what was answered."""

    def __init__(self, browser, draw):
        self.browser, self.draw, self.given = browser, draw, {}

    def join(self):
        browser = self.browser
        browser.until("return document.getElementById('agree') !== null")
        browser.type(TAB + SPACE + TAB + ENTER)
        browser.until("return document.querySelectorAll('select').length === 4")
        browser.type("".join(TAB + letters for letters in ("2", "w", "s", "c")) + TAB + ENTER)
        browser.until("return document.body.dataset.screen === 'item'")
        self.name = browser.run("return document.querySelector('.note').textContent.match(/p\\d+/)[0]")

    def place(self):
        return int(self.browser.run("return document.querySelector('h1').textContent").split()[1]) - 1

    def choose(self):
        asked = self.browser.run("return [...document.querySelectorAll('fieldset')].map((set) => [set.name, set.querySelector('legend').textContent])")
        values = {name: int(line.split("choose ")[1][0]) if name == "check" else self.draw.randint(1, 5) for name, line in asked}
        self.browser.type("".join(str(values[name]) for name, _ in asked))
        return values

    def answer(self, send=ENTER):
        place, values = self.place(), self.choose()
        self.given[place] = values
        self.browser.type(send)
        self.browser.until("return document.querySelector('h1').textContent !== arguments[0]".replace("arguments[0]", json.dumps(f"Reply {place + 1} of 16")))

    def settled(self, seconds=60):
        self.browser.until("return !Object.keys(localStorage).some((it) => it.includes('answer:'))", seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("orrery")
    parser.add_argument("--axe", type=pathlib.Path)
    parser.add_argument("--pictures", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=5)
    args = parser.parse_args()
    broken, people, draw = [], [], random.Random(1)
    place = tempfile.TemporaryDirectory()
    study = make(args.orrery, pathlib.Path(place.name))
    server, browser = Server(args.orrery, study), Browser()

    def look(name):
        if args.axe:
            browser.run(args.axe.read_text() + "; window.axe = axe;")
            broken.extend((name, *one) for one in browser.wait(AXE))
        if args.pictures:
            browser.picture(args.pictures / f"study-{name}.png")

    def fault(line):
        broken.append(("fault", line))
        print("fault:", line, flush=True)

    def cdp(cmd, **params):
        return browser.ask("POST", f"{browser.session}/goog/cdp/execute", {"cmd": cmd, "params": params})

    def network(offline, latency=0):
        cdp("Network.enable")
        cdp("Network.emulateNetworkConditions", offline=offline, latency=latency, downloadThroughput=-1, uploadThroughput=-1)

    def visit():
        person = Person(browser, draw)
        people.append(person)
        browser.open(server.url)
        return person

    def end(person, name):
        try:
            browser.until("return document.querySelector('h1').textContent === 'Thank you'", 30)
        except AssertionError:
            fault(f"{name}: the last page says {browser.run('return document.body.innerText')!r} and sends nothing more")
            browser.open(server.url)
        person.settled()

    try:
        browser.ask("POST", f"{browser.session}/timeouts", {"script": 60_000})
        browser.size(1280, 860)
        # One: keyboard alone, nothing missing is let through, double Enter, reload, back, two tabs.
        one = visit()
        browser.until("return document.getElementById('agree') !== null")
        look("consent")
        one.join()
        look("item")
        browser.type("3" + ENTER)
        assert one.place() == 0 and "each box" in browser.run("return document.querySelector('.error').textContent")
        look("missing")
        browser.open(server.url)
        browser.until("return document.body.dataset.screen === 'item'")
        one.answer()
        one.answer(ENTER + ENTER)
        assert one.place() == 2
        browser.open("about:blank")
        browser.ask("POST", f"{browser.session}/back")
        browser.until("return document.body.dataset.screen === 'item'")
        assert one.place() == 2
        first = browser.ask("GET", f"{browser.session}/window")
        second = browser.ask("POST", f"{browser.session}/window/new", {"type": "tab"})["handle"]
        browser.ask("POST", f"{browser.session}/window", {"handle": second})
        browser.open(server.url)
        browser.until("return document.body.dataset.screen === 'item'")
        assert one.place() == 2
        one.answer()
        one.settled()
        kept = dict(one.given)
        browser.ask("DELETE", f"{browser.session}/window")
        browser.ask("POST", f"{browser.session}/window", {"handle": first})
        one.answer()  # The same item again, from the other tab: what was stored first stays.
        one.given = kept
        one.settled()
        assert one.place() == 3
        # Without network, then the server killed, at random moments.
        network(True)
        for _ in range(3):
            one.answer()
        browser.until("return !document.getElementById('net').hidden")
        look("offline")
        network(False)
        one.settled()
        for _ in range(args.kills):
            server.kill()
            one.answer()
            if draw.random() < 0.5:
                browser.ask("POST", f"{browser.session}/refresh")  # Not even the page is there.
                server.start()
                browser.open(server.url)
                browser.until("return document.body.dataset.screen === 'item'", 30)
            else:
                server.start()
                one.settled()
            if one.place() < 15:
                one.answer()
        while browser.run("return document.querySelector('h1').textContent").startswith("Reply"):
            one.answer()
        end(one, "keyboard")
        look("end")
        # The same person once more, in the same browser.
        browser.open(server.url)
        browser.until("return document.querySelector('h1').textContent === 'Thank you'")
        # Two: a phone, a slow network.
        browser.run("localStorage.clear()")
        browser.size(390, 800, True)
        two = visit()
        browser.until("return document.getElementById('agree') !== null")
        look("phone-consent")
        two.join()
        assert two.name != one.name
        assert browser.run("return document.documentElement.scrollWidth") <= 390
        look("phone-item")
        network(False, 700)
        for _ in range(16):
            two.answer()
        end(two, "slow network")
        network(False)
        look("phone-end")
        # Three withdraws; the page that is still open must neither join again by itself nor keep answering.
        browser.run("localStorage.clear()")
        three = visit()
        three.join()
        three.answer()
        three.settled()
        server.kill()
        subprocess.run([args.orrery, "counterspeech", "-q", "study", "withdraw", "--study", study, "--participant", three.name], check=True)
        three.given = {}
        server.start()
        browser.open(server.url)
        time.sleep(2)
        look("withdrawn")
        if f'"{three.name}"' in (study / "participants.jsonl").read_text():
            fault(f"withdrawn: a reload joins {three.name} again without consent, at {browser.run('return document.querySelector(`h1`).textContent')!r}")
    finally:
        browser.close()
        server.kill()
    stored = {}
    for line in (study / "answers.jsonl").read_text().splitlines():
        found = json.loads(line)
        key = (found["participant"], found["place"])
        if key in stored:
            fault(f"{key} is stored twice")
        stored[key] = {**found["values"], **({"check": found["check"]} if found["check"] is not None else {})}
    given = {(person.name, at): values for person in people for at, values in person.given.items()}
    for key in sorted(given.keys() | stored.keys()):
        if given.get(key) != stored.get(key):
            fault(f"{key}: given {given.get(key)}, stored {stored.get(key)}")
    said = subprocess.run([args.orrery, "counterspeech", "study", "import", "--study", study], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    rows = (study / "ratings.csv").read_text().splitlines()
    print(f"study form: {len(given)} items of {len(people)} people given, {len(stored)} stored, {len(rows) - 1} ratings in the table;", "axe-core" if args.axe else "no axe-core")
    for one in broken:
        print(json.dumps(one))
    if broken:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

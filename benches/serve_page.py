"""The page of a running `orrery serve` in a real browser: chat, steering, guard, pictures, keyboard, widths, axe-core, screenshots.

    python serve_page.py URL [--axe axe.min.js] [--pictures FOLDER]

Needs chromium and chromedriver (Debian: chromium, chromium-driver).
"""

import argparse
import base64
import json
import pathlib
import subprocess
import time
import urllib.error
import urllib.request

PORT = 9517


class Browser:
    """As much of WebDriver as is needed."""

    def __init__(self):
        self.driver = subprocess.Popen(["chromedriver", f"--port={PORT}", "--silent"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                self.ask("GET", "/status")
                break
            except urllib.error.URLError:
                time.sleep(0.1)
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"]}
        made = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = f"/session/{made['sessionId']}"

    def ask(self, method, path, body=None):
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", data, {"Content-Type": "application/json"}, method=method)
        return json.load(urllib.request.urlopen(request, timeout=300))["value"]

    def open(self, url):
        self.ask("POST", f"{self.session}/url", {"url": url})

    def run(self, script, *args):
        return self.ask("POST", f"{self.session}/execute/sync", {"script": script, "args": list(args)})

    def wait(self, script, *args):
        return self.ask("POST", f"{self.session}/execute/async", {"script": script, "args": list(args)})

    def size(self, width, height, phone=False):
        override = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.ask("POST", f"{self.session}/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": override})

    def type(self, text):
        keys = [{"type": kind, "value": letter} for letter in text for kind in ("keyDown", "keyUp")]
        self.ask("POST", f"{self.session}/actions", {"actions": [{"type": "key", "id": "keys", "actions": keys}]})

    def picture(self, path):
        path.write_bytes(base64.b64decode(self.ask("GET", f"{self.session}/screenshot")))

    def until(self, script, seconds=240):
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, script
            time.sleep(0.2)

    def close(self):
        self.ask("DELETE", self.session)
        self.driver.terminate()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--axe", type=pathlib.Path)
    parser.add_argument("--pictures", type=pathlib.Path)
    args = parser.parse_args()
    browser = Browser()
    broken = []

    def look(name):
        if args.axe:
            browser.run(args.axe.read_text() + "; window.axe = axe;")
            found = browser.wait("const done = arguments[0]; axe.run(document).then((found) => done(found.violations.map((v) => [v.id, v.impact, v.nodes.map((n) => n.target.join(' ') + ' ' + n.failureSummary).slice(0, 3)])))")
            broken.extend((name, *one) for one in found)
        if args.pictures:
            time.sleep(0.5)
            browser.picture(args.pictures / f"serve-{name}.png")

    done = "return document.getElementById('stop').hidden && !document.querySelector('.verdict.wait')"
    try:
        browser.size(1280, 860)
        browser.ask("POST", f"{browser.session}/timeouts", {"script": 60_000})
        browser.open(args.url)
        browser.until("return document.querySelector('#model option') !== null")
        look("start")
        # With the keyboard alone: focus the field, type, send with Enter.
        browser.run("document.getElementById('length').value = 60; document.getElementById('say').focus()")
        browser.type("What is an orrery?\ue007")
        browser.until("return document.querySelectorAll('.assistant .said i').length > 0")
        browser.until(done)
        said = browser.run("return document.querySelector('.assistant .said').textContent")
        assert len(said) > 20, said
        assert browser.run("return document.querySelectorAll('.verdict').length") == 2
        browser.run("document.querySelector('.assistant .said').focus()")
        browser.type("\ue014" * 6)
        assert browser.run("return !document.getElementById('peek').hidden && document.querySelectorAll('#peek .row').length") == 5
        look("chat")
        browser.type("\ue00c")
        browser.run("const lean = document.getElementById('lean'); lean.value = 100; lean.dispatchEvent(new Event('input')); document.querySelector('.acts button:last-child')")
        browser.run("const again = [...document.querySelectorAll('.assistant .acts button')].at(-1); again.click()")
        browser.until(done)
        steered = browser.run("return document.querySelector('.assistant .said').textContent")
        assert steered != said, "the slider changes nothing"
        browser.run("document.getElementById('theme').click(); document.getElementById('language').click()")
        look("dark")
        browser.run("document.getElementById('theme').click(); document.getElementById('language').click()")
        browser.run("location.hash = '#pictures'; document.getElementById('count').value = '2'; document.getElementById('subject').value = 'red apple'; document.getElementById('draw').requestSubmit()")
        browser.until("return document.querySelectorAll('#gallery img').length === 2")
        look("pictures")
        browser.run("location.hash = '#documents'; document.getElementById('example').click()")
        browser.until("return document.querySelectorAll('#scores tbody tr').length > 3")
        look("documents")
        browser.run("location.hash = '#systems'")
        browser.until("return document.querySelectorAll('#cards > li').length === 27")
        look("systems")
        browser.size(390, 844, True)
        for place in ("chat", "pictures", "documents", "systems"):
            browser.run("location.hash = arguments[0]", f"#{place}")
            time.sleep(0.3)
            assert browser.run("return document.documentElement.scrollWidth") <= 390, place
        browser.run("location.hash = '#chat'")
        look("phone")
        browser.open(args.url)
        browser.until("return document.querySelectorAll('.message').length === 2")
        errors = [line["message"] for line in browser.ask("POST", f"{browser.session}/se/log", {"type": "browser"}) if line["level"] == "SEVERE"]
        assert not errors, errors
    finally:
        browser.close()
    for one in broken:
        print(json.dumps(one))
    print("page: chat, guard, steering, pictures, documents, systems, keyboard, phone width;", "axe-core:" if args.axe else "no axe-core", len(broken) if args.axe else "")
    if broken:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

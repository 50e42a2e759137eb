#!/bin/sh
# Official clients and a real browser against a running `orrery serve`, in a throw-away environment.
#
#     benches/serve_clients.sh http://127.0.0.1:8080
#
# Needs python3, npm, chromium and chromedriver (Debian: chromium, chromium-driver).
set -eu
url=${1:-http://127.0.0.1:8080}
here=$(cd "$(dirname "$0")" && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q openai
"$place/venv/bin/python" "$here/serve_clients.py" "$url"
cd "$place"
npm init -y > /dev/null
npm install --silent openai axe-core > /dev/null
cp "$here/serve_clients.mjs" .
node serve_clients.mjs "$url"
python3 "$here/serve_page.py" "$url" --axe node_modules/axe-core/axe.min.js

#!/bin/sh
# Draws docs/screen.svg, the picture of `relay usage` in the README, from the tests' made-up data: docs/draw-screen.sh
# Needs tmux. The data and its clock are fixed, so the picture only changes when the screen does.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"
built="$(mktemp -d)"
trap 'tmux -L relay-draw kill-server 2>/dev/null || true; rm -rf "$built"' EXIT
ln -s "$PWD/node_modules" "$built/node_modules"
cp package.json "$built/"
tsc -p tsconfig.json --noEmit false --allowImportingTsExtensions false --rootDir . --outDir "$built" >/dev/null || true
tmux -L relay-draw new-session -d -x 118 -y 34 "COLORTERM=truecolor FORCE_COLOR=1 node $built/test/support/tui-demo.js"
sleep 3
tmux -L relay-draw capture-pane -e -p | node "$built/test/support/ansi-to-svg.js" > docs/screen.svg

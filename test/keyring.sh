#!/bin/sh
# The keychain's contract against a real GNOME Keyring: open, locked, without a session bus, without a secret service.
# Needs: apt-get install gnome-keyring dbus libsecret-1-0 libsecret-tools. Run from the project's folder.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"
export PATH
HOME="$(mktemp -d)"
XDG_RUNTIME_DIR="$(mktemp -d)"
export HOME XDG_RUNTIME_DIR
chmod 700 "$XDG_RUNTIME_DIR"
unset DISPLAY WAYLAND_DISPLAY XDG_DATA_HOME XDG_CONFIG_HOME
trap 'rm -rf "$HOME" "$XDG_RUNTIME_DIR"' EXIT

in_session() { # $1: what the keyring is to be, $2: how the daemon is brought up
  RELAY_TEST_KEYRING="$1" dbus-run-session -- sh -c "$2; vitest run test/io/keychain.keyring.test.ts </dev/null"
}

# The first daemon makes the login keyring, the second finds it shut.
in_session 1 'printf pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null'
in_session locked 'gnome-keyring-daemon --start --components=secrets >/dev/null'

# dbus starts a service by its file; an empty folder of them leaves the bus without one.
mkdir -p "$HOME/empty"
cat > "$HOME/bus.conf" <<CONF
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen><servicedir>$HOME/empty</servicedir>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
CONF
RELAY_TEST_KEYRING=no-service dbus-run-session --config-file="$HOME/bus.conf" -- vitest run test/io/keychain.keyring.test.ts </dev/null

env -u DBUS_SESSION_BUS_ADDRESS RELAY_TEST_KEYRING=none vitest run test/io/keychain.keyring.test.ts </dev/null

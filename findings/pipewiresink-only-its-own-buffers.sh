#!/usr/bin/env sh
# GStreamer's pipewiresink as a camera gives pictures of videotestsrc, and none that come through a pipe.
#
# Guess: any pipeline that ends in raw video can feed `pipewiresink mode=provide` (media.class=Video/Source), so a
#   program needs gst-launch-1.0 and a pipe to be a camera.
# Behaviour: pictures of videotestsrc arrive. Those of rawvideoparse, which (it seems) brings buffers that are not of
#   the sink's own pool, do not: a reader gets none, the daemon writes "invalid memory type 4", gst-launch may crash.
# Seen (Debian 12: PipeWire 0.3.65, WirePlumber 0.4.13, GStreamer 1.22.0; "test" is videotestsrc):
#   test: 5 pictures   pipe: 0 pictures
#
# Needs, from apt: pipewire wireplumber dbus gstreamer1.0-pipewire gstreamer1.0-tools gstreamer1.0-plugins-base
set -eu
for program in pipewire wireplumber dbus-run-session gst-launch-1.0; do
  command -v $program >/dev/null || { echo "not installed: $program (see the head)" >&2; exit 1; }
done
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
export XDG_RUNTIME_DIR="$work" PIPEWIRE_RUNTIME_DIR="$work" XDG_CONFIG_HOME="$work/config" XDG_STATE_HOME="$work/state"
cat >"$work/session" <<'SESSION'
set -u
pipewire >/dev/null 2>&1 & daemon=$!
until [ -S "$XDG_RUNTIME_DIR/pipewire-0" ]; do sleep 0.1; done
wireplumber >/dev/null 2>&1 & manager=$!
sleep 2
caps=video/x-raw,format=BGRx,width=320,height=240,framerate=15/1
props=p,media.class=Video/Source,media.role=Camera,node.name
seen() { # camera: how many of five pictures a reader gets
  timeout -s KILL 8 gst-launch-1.0 -q pipewiresrc "target-object=$1" num-buffers=5 ! video/x-raw ! \
    filesink "location=$XDG_RUNTIME_DIR/$1" >/dev/null 2>&1
  echo "$1: $(($(stat -c %s "$XDG_RUNTIME_DIR/$1") / 307200)) pictures"
}
gst-launch-1.0 -q videotestsrc is-live=true ! $caps ! pipewiresink mode=provide "stream-properties=$props=test" \
  >/dev/null 2>&1 & test=$!
head -c 307200000 /dev/zero | gst-launch-1.0 -q fdsrc fd=0 ! \
  rawvideoparse format=bgrx width=320 height=240 framerate=15/1 ! \
  pipewiresink mode=provide "stream-properties=$props=pipe" >/dev/null 2>&1 & pipe=$!
sleep 2
seen test
seen pipe
kill -KILL $test $pipe $manager $daemon
SESSION
timeout 60 dbus-run-session -- sh "$work/session" 2>/dev/null >"$work/seen" || true
cat "$work/seen"
[ "$(cat "$work/seen")" = "test: 5 pictures
pipe: 0 pictures" ] || { echo "the behaviour has changed" >&2; exit 1; }

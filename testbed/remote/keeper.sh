#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The keeper of a host that an experiment uses: it owns the folder in which all that is made on the host is written down
# beforehand, and undoes everything when it is told to, or when nobody has renewed the claim for a while. It needs nobody
# for that: what is shaped on a host may be the very link that its experiment is steered over.
#
# Usage: keeper.sh FOLDER VERB ...; keeper.ts is its other end. In FOLDER:
#   owner      who claimed the host, in words
#   beat       a number that its owner changes every few seconds
#   undo/NNN   a step each, in order: the name of one of the functions below and its arguments, one a line
#   pids/NAME  pid and start time of a process that was started under that name
#   stop       when it is there, everything is to be undone
# Whoever holds the lock of FOLDER is its keeper; the kernel lets go of it when the keeper dies, however that comes about.
# Descriptors: 9 is FOLDER's lock, 8 that of undo/. What is started here must inherit neither.
set -u
umask 077
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL
folder=$1
shift

# Exit codes that the programs which are run here do not use.
IN_USE=74 GONE=75 NOT_UNDONE=76

fail() {
  status=$1
  shift
  printf '%s\n' "$*" >&2
  exit "$status"
}

# --- steps that undo; each succeeds when there is nothing (any more) to undo

# When a process started, in ticks since boot; empty when it has ended. A pid alone may be another process's by now.
start_of() {
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  # The name in parentheses may hold anything.
  set -f
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  set +f
  case $1 in Z | X) ;; *) printf %s "${20}" ;; esac
}

end_process() { # PID START
  tries=0
  while [ "$(start_of "$1")" = "$2" ]; do
    [ "$tries" -lt 50 ] || return 1
    tries=$((tries + 1))
    kill -KILL "$1" 2>/dev/null
    sleep 0.1
  done
}

delete_link() { # NAME
  [ -e "/sys/class/net/$1" ] || return 0
  ip link delete dev "$1"
}

delete_qdisc() { # NIC HANDLE
  [ -e "/sys/class/net/$1" ] || return 0
  tc qdisc show dev "$1" | grep -q "^qdisc [a-z_]* $2 root" || return 0
  tc qdisc delete dev "$1" root handle "$2"
}

remove_file() { # PATH
  rm -f "$1"
}

undo_step() { # FILE
  file=$1
  set --
  while IFS= read -r argument; do set -- "$@" "$argument"; done <"$file"
  case ${1-} in
  end_process | delete_link | delete_qdisc | remove_file) "$@" ;;
  *) return 1 ;;
  esac
}

# Last made, first undone; what cannot be undone is tried again, and stays written down.
undo_all() {
  undo_tries=0
  while :; do
    left=0
    for step in $(ls -r "$folder/undo" 2>/dev/null); do
      if undo_step "$folder/undo/$step"; then rm -f "$folder/undo/$step"; else left=$((left + 1)); fi
    done
    [ "$left" -gt 0 ] || return 0
    undo_tries=$((undo_tries + 1))
    [ "$undo_tries" -lt 10 ] || return 1
    sleep 1
  done
}

# --- the lock

# Opens FOLDER as 9 and locks it; false when somebody else holds it. Makes it when there is none.
lock_folder() {
  while :; do
    mkdir "$folder" 2>/dev/null
    [ -d "$folder" ] || fail 1 "cannot make $folder"
    command exec 9<"$folder" || continue
    flock -n 9 || return 1
    # Its last keeper may have removed it between the two.
    [ ! "$folder" -ef /proc/self/fd/9 ] || return 0
  done
}

has_keeper() {
  [ -d "$folder" ] || return 1
  command exec 7<"$folder" || return 1
  ! flock -n 7 || return 1
}

owner() {
  cat "$folder/owner" 2>/dev/null || echo 'somebody who is just beginning'
}

# Opens undo/ as 8 and locks it, so that nothing is made while things are being undone. $1: who believes to own FOLDER.
enter_changes() {
  command exec 8<"$folder/undo" || fail "$GONE" "$folder is gone"
  flock -w 20 8 || fail 1 "$folder/undo stays locked"
  [ "$folder/undo" -ef /proc/self/fd/8 ] && [ "$(owner)" = "$1" ] && has_keeper ||
    fail "$GONE" "what was claimed here is undone already"
  # Had its keeper been killed a moment ago, has_keeper would have been false.
  exec 7<&-
}

# Makes what is in FOLDER/step the next step. Under the lock of undo/.
add_step() {
  number=$(ls "$folder/undo" | wc -l)
  mv "$folder/step" "$folder/undo/$(printf %06d "$number")" || fail 1 "cannot write in $folder"
}

# --- verbs

claim() { # OWNER SILENCE_S
  lock_folder || fail "$IN_USE" "in use by $(owner)"
  undo_all || fail "$NOT_UNDONE" "cannot undo what $(owner) left: $(remains)"
  rm -rf "$folder"/*
  mkdir "$folder/undo" "$folder/pids" && echo 0 >"$folder/beat" && printf '%s\n' "$1" >"$folder/owner" ||
    fail 1 "cannot write in $folder"
  setsid sh "$0" "$folder" keep "$2" </dev/null >/dev/null 2>&1 &
  # By then it has locked what is locked already: the lock goes over to it, and this shell can end.
}

uptime_s() {
  read -r uptime rest </proc/uptime
  echo "${uptime%.*}"
}

keep() { # SILENCE_S
  trap 'touch "$folder/stop"' TERM
  trap '' HUP INT
  beat='' since=$(uptime_s)
  while [ -d "$folder" ] && [ ! -e "$folder/stop" ]; do
    now=$(cat "$folder/beat" 2>/dev/null)
    [ "$now" = "$beat" ] || { beat=$now since=$(uptime_s); }
    [ $(($(uptime_s) - since)) -lt "$1" ] || break
    sleep 1 9<&-
  done
  command exec 8<"$folder/undo" && flock -w 20 8
  undo_all 9<&- 8<&- && rm -rf "$folder"
}

beat() { # OWNER NUMBER
  [ "$(owner)" = "$1" ] && has_keeper || fail "$GONE" "the keeper of $folder is gone"
  printf '%s\n' "$2" >"$folder/next-beat" && mv "$folder/next-beat" "$folder/beat"
}

change() { # OWNER N UNDO-STEP-OF-N-ARGUMENTS... COMMAND...
  enter_changes "$1"
  count=$2
  shift 2
  : >"$folder/step"
  while [ "$count" -gt 0 ]; do
    printf '%s\n' "$1" >>"$folder/step"
    shift
    count=$((count - 1))
  done
  add_step
  "$@" 8<&-
}

# Becomes COMMAND, which is killed with everything else. DEVICE ("-": none) is open in it as 3.
become() { # OWNER NAME DEVICE COMMAND...
  enter_changes "$1"
  # What replaces this shell keeps its pid and start time.
  own_start=$(start_of $$)
  printf '%s\n' end_process $$ "$own_start" >"$folder/step"
  add_step
  echo "$$ $own_start" >"$folder/pids/$2"
  exec 8<&-
  [ "$3" = - ] || exec 3<>"$3"
  shift 3
  exec "$@"
}

# As become, in the background; prints its pid once it has made SOCKET.
launch() { # OWNER NAME DEVICE LOG SOCKET COMMAND...
  owner_=$1 name=$2 device=$3 log=$4 socket=$5
  shift 5
  setsid sh "$0" "$folder" become "$owner_" "$name" "$device" "$@" </dev/null >>"$log" 2>&1 &
  tries=0
  while [ ! -S "$socket" ]; do
    [ "$tries" -lt 150 ] && [ -n "$(start_of $!)" ] || fail 1 "no $socket; $log ends: $(tail -c 1500 "$log")"
    tries=$((tries + 1))
    sleep 0.1
  done
  echo $!
}

signal() { # NAME SIGNAL
  read -r pid start <"$folder/pids/$1" || fail "$GONE" "no process $1"
  [ "$(start_of "$pid")" != "$start" ] || kill -s "$2" "$pid"
}

remains() {
  for step in "$folder"/undo/*; do [ ! -e "$step" ] || tr '\n' ' ' <"$step"; done
}

stop() { # OWNER
  [ "$(owner)" = "$1" ] || return 0
  touch "$folder/stop"
  tries=0
  while [ -d "$folder" ] && [ "$(owner)" = "$1" ]; do
    has_keeper || [ ! -d "$folder" ] || fail "$NOT_UNDONE" "not undone: $(remains)"
    [ "$tries" -lt 200 ] || fail "$NOT_UNDONE" "still being undone: $(remains)"
    tries=$((tries + 1))
    sleep 0.2
  done
}

# What a dead keeper left; with "all", what a living one looks after too.
reap() { # [all]
  [ -d "$folder" ] || return 0
  whose=$(owner)
  if has_keeper; then
    [ "${1-}" = all ] || fail "$IN_USE" "in use by $whose"
    stop "$whose"
  else
    exec 7<&-
    lock_folder || fail "$IN_USE" "in use by $(owner)"
    undo_all || fail "$NOT_UNDONE" "not undone: $(remains)"
    rm -rf "$folder"
  fi
  echo "what $whose left"
}

case ${1-} in
claim | keep | beat | change | become | launch | signal | stop | reap) "$@" ;;
*) fail 2 "no such verb: ${1-}" ;;
esac

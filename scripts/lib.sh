# shellcheck shell=bash
# What the scripts of this folder share: processes, ports, waiting, messages.
# Sourced, never run. Linux only: it reads /proc.

# Debian keeps daemons in sbin, which an ordinary user's PATH often lacks.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# say TEXT…: for the person, beside what a caller reads from stdout.
say() { printf '%s\n' "$*" >&2; }

# die TEXT…: says what is wrong and ends the script with exit code 1.
die() {
  say "${0##*/}: $*"
  exit 1
}

# usage_error TEXT…: the same for a wrong command line, exit code 2.
usage_error() {
  say "${0##*/}: $*"
  say "try: ${0##*/} help"
  exit 2
}

# is_port TEXT: whether it is a port number.
is_port() { [[ $1 =~ ^[1-9][0-9]{0,4}$ ]] && ((10#$1 <= 65535)); }

# pause SECONDS: sleeps without a process of its own.
pause() {
  [[ -n ${PAUSE_FD:-} ]] || exec {PAUSE_FD}<> <(:)
  read -r -t "$1" -u "$PAUSE_FD" || true
}

# wait_until SECONDS COMMAND…: calls the command until it succeeds; 1 when the
# time is over first.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    pause 0.05
  done
}

# start_of PID: when the process began, in clock ticks since boot; empty if it
# is gone. A pid with its start names a process for ever: pids are reused.
start_of() {
  local line rest
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 0
  rest=${line##*) }
  local -a field
  read -r -a field <<<"$rest"
  # A zombie is gone, its parent just has not asked; but not before the last of
  # its threads has ended and closed its sockets.
  [[ ${field[0]} == Z && ${field[17]} -le 1 ]] || printf '%s\n' "${field[19]}"
}

# lives PID START: whether that very process still runs.
lives() { [[ -n $1 && -n $2 && $(start_of "$1") == "$2" ]]; }

# gone PID START: the other way round, for wait_until.
gone() { ! lives "$1" "$2"; }

# end_process PID START SECONDS: SIGTERM, then SIGKILL when the time is over;
# returns once it is gone. 1 if it had to be killed.
end_process() {
  local pid=$1 start=$2 seconds=$3
  lives "$pid" "$start" || return 0
  kill -TERM "$pid" 2>/dev/null || true
  # One that was stopped (SIGSTOP) could not hear the first signal.
  kill -CONT "$pid" 2>/dev/null || true
  wait_until "$seconds" gone "$pid" "$start" && return 0
  kill -KILL "$pid" 2>/dev/null || true
  wait_until 10 gone "$pid" "$start" || die "process $pid does not end, not even on SIGKILL"
  return 1
}

# listeners PORT: the inodes of the sockets that listen on a TCP port.
listeners() {
  local hex
  printf -v hex ':%04X' "$1"
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    awk -v port="$hex" '$4 == "0A" && substr($2, length($2) - 4) == port { print $10 }'
}

# port_in_use PORT
port_in_use() { [[ -n $(listeners "$1") ]]; }

# listens PID PORT: whether that process holds a listening socket on the port.
listens() {
  local inode
  for inode in $(listeners "$2"); do
    [[ -z $(find "/proc/$1/fd" -lname "socket:\[$inode\]" 2>/dev/null) ]] || return 0
  done
  return 1
}

# port_owner PORT: "redis-server, process 4711" as far as it can be seen.
port_owner() {
  local inode link pid name
  for inode in $(listeners "$1"); do
    link=$(find /proc/[0-9]*/fd -maxdepth 1 -lname "socket:\[$inode\]" -print -quit 2>/dev/null) || true
    pid=${link#/proc/}
    pid=${pid%%/*}
    [[ -n $pid ]] || continue
    name=$(cat "/proc/$pid/comm" 2>/dev/null) || true
    printf '%s, process %s\n' "${name:-unknown}" "$pid"
    return 0
  done
  printf 'a process of another user\n'
}

# free_port: a port nobody listens on. Taken from below the kernel's ephemeral
# range, so that no outgoing connection and no "port 0" can get it meanwhile.
free_port() {
  local port
  for _ in {1..200}; do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    port_in_use "$port" || {
      printf '%s\n' "$port"
      return 0
    }
  done
  die "no free port found between 20000 and 31999"
}

# show_log FILE: the last lines of a log, indented.
show_log() {
  [[ -s $1 ]] || return 0
  say "the last lines of $1:"
  tail -n 15 "$1" | sed 's/^/    /' >&2
}

#!/usr/bin/env bash
# Private MariaDB, Redis and nginx: for the tests and for the local cluster.
# Nothing of the system's own services is used or touched; all that a service
# writes is in its DIR. `services.sh help` says how to call it.
set -euo pipefail
shopt -s extglob

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"

readonly NGINX_TEMPLATES="$here/../nginx"
readonly STREAM_MODULE=/usr/lib/nginx/modules/ngx_stream_module.so
readonly START_SECONDS=30
readonly STOP_SECONDS=15

help() {
  cat <<'TXT'
usage:
  services.sh start mariadb|redis|nginx --dir DIR [--port P] [--conf FILE] [--watch PID]
      Starts it in DIR and waits until it answers. Prints pid=, port= and url=
      (nginx needs --conf and has no url, mariadb may have one); DIR/pid and DIR/port hold the same.
      What runs in DIR already is left as it is. --watch: ends with process PID.
  services.sh stop DIR       ends it and waits until it is gone; keeps the data.
      Ends also what a killed one has left behind, as start does
  services.sh reload DIR     nginx only: new workers by the configuration of now
  services.sh status DIR     what runs there: state=answers, silent (it runs, but
      does not answer), left (only children of a killed one) or down; exit code 0
      for the first, else 1
  services.sh nginx-conf --listen P --dir DIR [--variant V] [--balance B] SERVER…
      Prints a private configuration that balances port P of 127.0.0.1 over the
      servers (HOST:PORT each). V: plain (nginx/nginx.conf, the default),
      proxy-protocol (nginx/nginx-proxy-protocol.conf), or tls
      (nginx/nginx-tls.conf) with --certificate FILE and --key FILE.
      B: round-robin (the default), hash (a consistent hash of the client's address,
      as in nginx/nginx-hash.conf) or hash-addr-port (of its address and port).
  services.sh check          names the Debian packages that are missing; exit code 1
  services.sh install        installs them (as root), starting no system service
TXT
}

# ---- what is needed on this machine ----

# Debian's stream module is a file of its own; elsewhere it may be built in.
has_stream() {
  [[ -e $STREAM_MODULE ]] || { command -v nginx >/dev/null && nginx -V 2>&1 | grep -qE -- '--with-stream( |$)'; }
}

# The stories about a clock that jumps run servers under it.
has_faketime() {
  local folder
  for folder in /usr/lib/*/ /usr/lib/ /usr/lib64/ /usr/local/lib/; do
    [[ ! -e ${folder}faketime/libfaketimeMT.so.1 ]] || return 0
  done
  return 1
}

missing_packages() {
  local has="command -v"
  { $has mariadbd && $has mariadb-install-db && $has mariadb-admin; } >/dev/null || echo mariadb-server
  { $has redis-server && $has redis-cli; } >/dev/null || echo redis-server
  $has nginx >/dev/null || echo nginx
  has_stream || echo libnginx-mod-stream
  has_faketime || echo libfaketime
  $has ss >/dev/null || echo iproute2
}

check() {
  local -a missing
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]})) || return 0
  say "missing: ${missing[*]}"
  say "to install: apt-get update && apt-get install ${missing[*]}"
  say "        or: sudo $here/services.sh install   (starts none of them as a system service)"
  return 1
}

install_missing() {
  local -a missing
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]})) || return 0
  ((EUID == 0)) || {
    check || true
    exit 1
  }
  command -v apt-get >/dev/null || die "no apt-get here; install by hand what provides: ${missing[*]}"
  # Debian starts what it installs, unless this file says no.
  if [[ ! -e /usr/sbin/policy-rc.d ]]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
  fi
  local apt=(apt-get -o DPkg::Lock::Timeout=120)
  say "installing ${missing[*]}"
  "${apt[@]}" update >&2
  DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >&2
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]} == 0)) || die "installed, but still not found: ${missing[*]}"
}

# ---- the three services: how to start one, and whether it answers ----
# Each start_NAME leaves the process in $! and each ready_NAME asks the process
# itself, so that a stranger on the same port is not taken for it.

as_root=()
((EUID != 0)) || as_root=(--user=root)

prepare_mariadb() {
  [[ ! -d $dir/data ]] || return 0
  # Made beside and moved, so that an interrupted one is not taken for whole.
  rm -rf "$dir/data.new"
  # A folder of its own for temporary tables: any mariadbd that starts removes
  # those of others from a shared one.
  mkdir -p "$dir/tmp"
  TMPDIR="$dir/tmp" mariadb-install-db --no-defaults --datadir="$dir/data.new" "${as_root[@]}" \
    --auth-root-authentication-method=normal --skip-test-db --innodb-log-file-size=16M \
    >"$dir/install.log" 2>&1 || {
    show_log "$dir/install.log"
    die "mariadb-install-db failed in $dir"
  }
  mv "$dir/data.new" "$dir/data"
}

start_mariadb() {
  mkdir -p "$dir/tmp"
  # The socket's path is relative to the data: an absolute one may be longer
  # than the 107 bytes that a socket's address holds.
  # A commit is written at once and synced once a second: a killed one loses
  # nothing, and the many servers of a test run do not wait for one disk.
  local options=--no-defaults
  [[ -z $conf ]] || options=--defaults-file=$conf
  setsid mariadbd "$options" "${as_root[@]}" --datadir="$dir/data" --tmpdir="$dir/tmp" \
    --socket=private.sock --pid-file=private.pid --port="$port" --bind-address=127.0.0.1 \
    --innodb-buffer-pool-size=64M --innodb-log-file-size=16M --skip-name-resolve \
    --innodb-flush-log-at-trx-commit=2 \
    --performance-schema=OFF </dev/null >>"$dir/log" 2>&1 &
}

# It listens on TCP before it answers on its socket.
ready_mariadb() {
  listens "$pid" "$port" &&
    (cd "$dir/data" && mariadb-admin --no-defaults --protocol=socket --socket=private.sock \
      --user=root --connect-timeout=2 ping) >/dev/null 2>&1
}

prepare_redis() { :; }

start_redis() {
  setsid redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$dir" \
    --daemonize no </dev/null >>"$dir/log" 2>&1 &
}

ready_redis() {
  listens "$pid" "$port" &&
    [[ $(timeout 2 redis-cli -h 127.0.0.1 -p "$port" ping 2>/dev/null) == PONG ]]
}

prepare_nginx() {
  nginx_arguments
  nginx -t "${nginx_args[@]}" >"$dir/test.log" 2>&1 || {
    show_log "$dir/test.log"
    die "nginx refuses $conf"
  }
}

# What the configuration leaves open is given on the command line; nginx takes
# neither directive twice.
nginx_arguments() {
  nginx_args=(-p "$dir" -c "$conf" -e "$dir/log")
  local more=""
  grep -qE '^[[:space:]]*daemon[[:space:]]' "$conf" || more+="daemon off; "
  grep -qE '^[[:space:]]*pid[[:space:]]' "$conf" || more+="pid $dir/nginx.pid; "
  [[ -z $more ]] || nginx_args+=(-g "$more")
}

start_nginx() {
  setsid nginx "${nginx_args[@]}" </dev/null >>"$dir/log" 2>&1 &
}

# A connection that the kernel accepts proves nothing before a worker is there.
ready_nginx() { listens "$pid" "$port" && [[ -n $(workers "$pid") ]]; }

# workers PID: the pids of an nginx master's workers that take connections.
workers() {
  local child children=""
  { read -r children <"/proc/$1/task/$1/children"; } 2>/dev/null || true
  for child in $children; do
    # A worker may end between the two looks; the braces silence that as well.
    if { tr '\0' ' ' <"/proc/$child/cmdline"; } 2>/dev/null | grep -q 'worker process *$'; then
      printf '%s\n' "$child"
    fi
  done
}

# The first port that an nginx configuration listens on.
nginx_port() {
  sed 's/#.*//' "$conf" | grep -oE '(^|[[:space:];{])listen[[:space:]]+[^[:space:];]+' |
    grep -oE '[0-9]+$' | head -n 1 || true
}

program_of() {
  case $1 in
    mariadb) echo mariadbd ;;
    redis) echo redis-server ;;
    nginx) echo nginx ;;
  esac
}

# ---- start ----

start() {
  [[ $# -gt 0 ]] || usage_error "start what? mariadb, redis or nginx"
  service=$1
  shift
  [[ -n $(program_of "$service") ]] || usage_error "no such service: $service"
  dir="" port="" conf="" watch="" pid="" began="" running=""
  while (($#)); do
    [[ $# -ge 2 ]] || usage_error "$1 needs a value"
    case $1 in
      --dir) dir=$2 ;;
      --port) port=$2 ;;
      --conf) conf=$2 ;;
      --watch) watch=$2 ;;
      *) usage_error "unknown option: $1" ;;
    esac
    shift 2
  done
  [[ -n $dir ]] || usage_error "--dir is missing"
  [[ -z $port ]] || is_port "$port" || usage_error "not a port: $port"
  [[ -z $watch || -n $(start_of "$watch") ]] || die "no process $watch to watch"
  command -v "$(program_of "$service")" >/dev/null || {
    check || true
    die "$(program_of "$service") is not installed"
  }

  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  if read_state && lives "$pid" "$began"; then
    [[ $running == "$service" ]] || die "$running runs in $dir already"
    [[ -z $wanted_port || $wanted_port == "$port" ]] ||
      die "$service runs in $dir already, on port $port and not $wanted_port"
    # Whoever started it may have been killed before it was ready.
    { wait_until "$START_SECONDS" settled && "ready_$service"; } ||
      die "$service (process $pid) runs in $dir, but does not answer on port $port; kill -9 $pid, then start it again"
    report
    return 0
  fi
  end_rest
  port=$wanted_port
  choose_conf
  "prepare_$service"
  trap end_unready EXIT
  launch
  [[ -z $watch ]] || watch_for "$watch"
  trap - EXIT
  report
}

# nginx's port stands in its configuration; --port may only repeat it.
choose_conf() {
  [[ $service == nginx ]] || return 0
  [[ -n $conf ]] || usage_error "nginx needs --conf FILE (see: services.sh nginx-conf)"
  [[ -r $conf ]] || die "cannot read $conf"
  conf=$(cd "$(dirname "$conf")" && pwd)/$(basename "$conf")
  local listen
  listen=$(nginx_port)
  [[ -n $listen ]] || die "$conf has no listen directive with a port"
  [[ -z $port || $port == "$listen" ]] || die "$conf listens on port $listen, not on $port"
  port=$listen
}

# Starts the process and waits for it. A port that was found free may be taken
# by somebody else meanwhile: then another one is tried.
launch() {
  local given=$port attempt
  for attempt in 1 2 3 4 5; do
    [[ -n $given ]] || port=$(free_port)
    ! port_in_use "$port" || {
      [[ -n $given ]] || continue
      die "port $port, wanted for $service, is in use: $(port_owner "$port")"
    }
    launch_once
    if [[ -n $began ]] && wait_until "$START_SECONDS" settled && "ready_$service"; then
      return 0
    fi
    local lived=yes
    lives "$pid" "$began" || lived=""
    end_unready
    # Only a lost race for a port is worth another attempt.
    [[ -z $lived && -z $given && $attempt -lt 5 ]] && port_in_use "$port" && continue
    show_log "$dir/log"
    [[ -z $lived ]] || die "$service did not answer on port $port within $START_SECONDS s"
    die "$service ended before it answered on port $port"
  done
  die "$service found no port"
}

# The process and the note of it belong together: a signal waits for both.
launch_once() {
  local signal=""
  trap 'signal=INT' INT
  trap 'signal=TERM' TERM
  "start_$service"
  pid=$!
  # Else bash tells of a child that had to be killed, in words of its own.
  disown "$pid"
  began=$(start_of "$pid")
  write_state
  trap - INT TERM
  [[ -z $signal ]] || kill -"$signal" $$
}

# Whatever ends this script before the service is ready ends the service too.
end_unready() {
  [[ -n $pid ]] || return 0
  end_process "$pid" "$began" 5 || true
  end_rest
  rm -f "$dir/pid" "$dir/state"
}

# Ready or ended: either way there is nothing more to wait for.
settled() { "ready_$service" || gone "$pid" "$began"; }

# A process of its own that ends the service once `owner` is gone. It knows the
# pids itself, so that it also works after DIR was removed.
watch_for() {
  local owner=$1 owner_began
  owner_began=$(start_of "$owner")
  setsid "$here/services.sh" watch-internal "$owner" "${owner_began:-gone}" "$pid" "$began" "$service" \
    </dev/null >/dev/null 2>&1 &
}

watch_internal() {
  local owner=$1 owner_began=$2
  pid=$3 began=$4 running=$5
  cd /
  while lives "$owner" "$owner_began"; do
    lives "$pid" "$began" || break
    pause 0.3
  done
  end_process "$pid" "$began" 5 || true
  end_rest
}

# ---- what stands in DIR ----

# The process leads a session of its own (setsid), so its pid names that too.
write_state() {
  running=$service
  printf '%s\n' "$port" >"$dir/port"
  printf '%s %s %s\n' "$service" "$pid" "$began" >"$dir/state"
  # Last, since a reader that finds it may rely on the rest.
  printf '%s\n' "$pid" >"$dir/pid"
  [[ $service != nginx ]] || printf '%s\n' "$conf" >"$dir/conf-path"
}

# Sets running, pid, began and port; wanted_port keeps what was asked for.
read_state() {
  wanted_port=${port:-}
  running="" pid="" began=""
  [[ -r $dir/pid && -r $dir/state && -r $dir/port ]] || return 1
  local noted
  read -r running noted began <"$dir/state" || return 1
  read -r pid <"$dir/pid" || return 1
  read -r port <"$dir/port" || return 1
  [[ $noted == "$pid" ]]
}

# rest: the processes of the session that a service has led and that outlived
# it, as nginx's workers do when their master is killed. The kernel gives no
# new process the number of a session that is not empty.
rest() {
  [[ -n $running && -n $pid && -z $(start_of "$pid") ]] || return 0
  local file line program
  program=$(program_of "$running")
  for file in /proc/[0-9]*/stat; do
    { read -r line <"$file"; } 2>/dev/null || continue
    [[ $line == *" ($program) "[!Z]" "+([0-9])" "+([0-9])" $pid "* ]] || continue
    printf '%s\n' "${line%% *}"
  done
}

# Ends them. What read_state has set says whose they are.
end_rest() {
  local process
  for process in $(rest); do
    end_process "$process" "$(start_of "$process")" 3 || true
  done
}

report() {
  printf 'pid=%s\nport=%s\n' "$pid" "$port"
  case $running$service in
    *mariadb*) printf 'url=mysql://root@127.0.0.1:%s/\n' "$port" ;;
    *redis*) printf 'url=redis://127.0.0.1:%s\n' "$port" ;;
  esac
}

# ---- stop, reload, status ----

# given_dir ARGUMENTS…: the one argument of a command on a DIR.
given_dir() {
  [[ $# -eq 1 ]] || usage_error "give one DIR"
  dir=$1 port="" service="" running=""
  [[ -d $dir ]] || die "no such folder: $dir"
  dir=$(cd "$dir" && pwd)
}

stop() {
  given_dir "$@"
  if read_state; then
    end_process "$pid" "$began" "$STOP_SECONDS" || say "$running (process $pid) had to be killed"
    end_rest
  fi
  rm -f "$dir/pid" "$dir/state"
}

status() {
  given_dir "$@"
  if ! read_state || gone "$pid" "$began"; then
    local left
    left=$(rest)
    if [[ -n $left ]]; then
      printf 'state=left\n'
      say "$running (process $pid) is gone, but processes of it are left: ${left//$'\n'/ }"
      say "start and stop end them"
    else
      printf 'state=down\n'
      say "nothing runs in $dir"
    fi
    return 1
  fi
  service=$running
  printf 'service=%s\n' "$service"
  report
  "ready_$service" || {
    printf 'state=silent\n'
    say "$service (process $pid) does not answer on port $port; kill -9 $pid ends it if stop does not"
    return 1
  }
  printf 'state=answers\n'
}

reload() {
  given_dir "$@"
  if ! read_state || gone "$pid" "$began" || [[ $running != nginx ]]; then
    die "no nginx runs in $dir"
  fi
  service=nginx
  read -r conf <"$dir/conf-path"
  prepare_nginx
  local before
  before=$(workers "$pid")
  kill -HUP "$pid"
  wait_until "$START_SECONDS" only_new_workers "$before" || {
    show_log "$dir/log"
    die "nginx took no new configuration within $START_SECONDS s"
  }
}

# Old workers that still serve connections are no longer among the workers.
only_new_workers() {
  local now old
  now=$(workers "$pid")
  [[ -n $now ]] || return 1
  for old in $1; do
    ! grep -qx "$old" <<<"$now" || return 1
  done
}

# ---- nginx-conf ----

nginx_conf() {
  local listen="" variant=plain balance=round-robin certificate="" key="" template hash_key servers=()
  dir=""
  while (($#)); do
    case $1 in
      --listen | --dir | --variant | --balance | --certificate | --key)
        [[ $# -ge 2 ]] || usage_error "$1 needs a value"
        # The option is called as the variable that it sets.
        printf -v "${1#--}" %s "$2"
        shift
        ;;
      -*) usage_error "unknown option: $1" ;;
      *:*) servers+=("$1") ;;
      *) usage_error "not HOST:PORT: $1" ;;
    esac
    shift
  done
  is_port "$listen" || usage_error "--listen needs a port"
  [[ -n $dir ]] || usage_error "--dir is missing"
  ((${#servers[@]})) || usage_error "no server given"
  case $balance in
    round-robin) hash_key="" ;;
    # shellcheck disable=SC2016 # nginx expands it
    hash) hash_key='$remote_addr' ;;
    # shellcheck disable=SC2016
    hash-addr-port) hash_key='$remote_addr:$remote_port' ;;
    *) usage_error "no such balance: $balance (round-robin, hash or hash-addr-port)" ;;
  esac
  case $variant in
    plain) [[ -n $hash_key ]] && template=nginx-hash.conf || template=nginx.conf ;;
    proxy-protocol | tls) template=nginx-$variant.conf ;;
    *) usage_error "no such variant: $variant (plain, proxy-protocol or tls)" ;;
  esac
  if [[ $variant == tls ]]; then
    [[ -n $certificate && -n $key ]] || usage_error "tls needs --certificate FILE and --key FILE"
    [[ -r $certificate && -r $key ]] || die "cannot read $certificate or $key"
    # Relative ones would be looked for beside the configuration.
    certificate=$(realpath "$certificate") key=$(realpath "$key")
  else
    [[ -z $certificate$key ]] || usage_error "--certificate and --key are for --variant tls"
  fi
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  # A built-in stream module is not to be loaded.
  local module=load
  [[ -e $STREAM_MODULE ]] || module=""
  awk -v listen="127.0.0.1:$listen" -v dir="$dir" -v servers="${servers[*]}" -v module="$module" \
    -v certificate="$certificate" -v key="$key" -v hash_key="$hash_key" -v files="$(ulimit -Hn)" '
    /^load_module / && module == "" { next }
    /^user / { next }
    /^pid / { print "pid " dir "/nginx.pid;"; next }
    /^error_log / { print "error_log " dir "/log notice;"; next }
    /^worker_rlimit_nofile / && files != "unlimited" && files + 0 < $2 + 0 { $2 = files ";" }
    /^worker_processes / { print "worker_processes 2;"; next }
    /^ *ssl_certificate / { $0 = "        ssl_certificate " certificate ";" }
    /^ *ssl_certificate_key / { $0 = "        ssl_certificate_key " key ";" }
    /^ *access_log / { sub(/access_log [^ ;]+/, "access_log " dir "/access.log") }
    /^ *listen / { sub(/listen [^ ;]+/, "listen " listen) }
    # Only one of the files says it itself.
    /^ *hash / { hashed = 1; $0 = "        hash " hash_key " consistent;" }
    /^ *server [^{]*;/ && hash_key != "" && !hashed++ { print "        hash " hash_key " consistent;" }
    /^ *server [^{]*;/ {
      # The first of the template stands for all of ours; the others go.
      if (!seen++) {
        count = split(servers, each, " ")
        for (i = 1; i <= count; i++) { line = $0; sub(/server [^ ;]+/, "server " each[i], line); print line }
      }
      next
    }
    { print }
  ' "$NGINX_TEMPLATES/$template"
}

case ${1:-help} in
  start | stop | status | reload | check) "$1" "${@:2}" ;;
  install) install_missing ;;
  nginx-conf) nginx_conf "${@:2}" ;;
  watch-internal) watch_internal "${@:2}" ;;
  help | -h | --help) help ;;
  *) usage_error "unknown command: $1" ;;
esac

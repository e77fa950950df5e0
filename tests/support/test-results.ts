/** `cricket/test-results.txt` of the shared data, a tuple a line, as Cricsheet files: line number = match id. */
import { international } from './cricket.ts';

const line =
  /^\((\d+), '([^']+)', '([^']+)', '(\d{4}-\d{2}-\d{2})', (?:None|'([^']+)'), (?:True|False), (['"])(.*)\6\)$/;

/** Name (`<line>.json`) → file. Throws for a line that is none. */
export function testResultFiles(text: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const row of text.trim().split('\n')) {
    const [, id = '', one = '', other = '', date = '', winner, , event = ''] = line.exec(row) ?? [];
    if (id === '') throw new Error(`expected a result, got ${row}`);
    const file = international('Test', { date, teams: [one, other], winner: winner ?? null, event });
    // One season of all: what follows a season of each year is not what these results are for.
    files.set(`${id}.json`, JSON.stringify({ ...file, info: { ...Object(file['info']), season: 'all' } }));
  }
  return files;
}

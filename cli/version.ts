/** The release of this package. */
import { readFileSync } from 'node:fs';

export function version(): string {
  // From source one folder up, compiled two.
  const file = new URL(import.meta.url.endsWith('.ts') ? '../package.json' : '../../package.json', import.meta.url);
  const facts: unknown = JSON.parse(readFileSync(file, 'utf8'));
  return typeof facts === 'object' && facts !== null && 'version' in facts ? String(facts.version) : 'unknown';
}

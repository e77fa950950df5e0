/** The rights that docs/configuration.md gives a Redis user, so that the suites run with what is documented and no more. */
import { readFileSync } from 'node:fs';

export function documentedRights(): string {
  const text = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  const [, rights] = /^ACL SETUSER jobfleet on '>[^']*' (.+)$/m.exec(text.replace(/\\\n\s*/g, '')) ?? [];
  if (rights === undefined) throw new Error('docs/configuration.md shows no ACL SETUSER jobfleet');
  return rights;
}

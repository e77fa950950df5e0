/**
 * What a key sees of the data that jobs found. Its own tenant's in full: it is what the jobs were for. Another tenant's,
 * which only operators reach, masked and without links to its files, unless the key may see personal data in full
 * (docs/decisions/0008).
 */
import { mask } from '../runtime/mask.ts';
import type { Credential } from './keys.ts';

/** False: what it is shown of that tenant's data is masked. */
export function seesInFull({ tenant: own, scopes }: Pick<Credential, 'scopes' | 'tenant'>, tenant: string): boolean {
  return own === tenant || scopes.includes('export:unmasked');
}

export function shownData(credential: Pick<Credential, 'scopes' | 'tenant'>, tenant: string, data: unknown): unknown {
  return seesInFull(credential, tenant) ? data : mask(data);
}

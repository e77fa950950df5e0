/** Who calls: the Bearer key of the Authorization header, nothing else. */
import type { FastifyRequest } from 'fastify';
import { bearerKeys } from './bearer.ts';
import { ProducerError } from './errors.ts';
import type { Credential, Keys, Scope } from './keys.ts';

export const nobody: Credential = { keyId: '-', tenant: '-', scopes: [] };

/** Throws `UNAUTHENTICATED`, `FORBIDDEN`, or `INVALID` when a header that decides stands there twice. */
export async function credentialOf(request: FastifyRequest, keys: Keys, scope: Scope): Promise<Credential> {
  let credential: Credential | undefined;
  for (const key of bearerKeys(request.headers.authorization)) credential ??= await keys.find(key);
  if (credential === undefined) {
    throw new ProducerError('UNAUTHENTICATED', 'Send a valid key: "Authorization: Bearer <key>".');
  }
  if (!mayUse(credential, scope)) {
    throw new ProducerError('FORBIDDEN', `This key lacks the scope "${scope}".`);
  }
  return credential;
}

function mayUse({ scopes }: Credential, scope: Scope): boolean {
  return scopes.includes(scope) || (scope === 'scaling' && scopes.includes('operator'));
}

/** The tenant whose jobs the caller may see; undefined: all of them. */
export function visibleTenant(credential: Credential): string | undefined {
  return credential.scopes.includes('operator') ? undefined : credential.tenant;
}

const single = new Set(['authorization', 'content-length', 'content-type', 'host', 'idempotency-key']);

/**
 * What Node's parser lets through: other versions than HTTP/1.0 and 1.1, no Host, and headers that stand there twice (it
 * keeps the first of some and joins others: neither is what the sender can have meant).
 */
export function refuseOddRequests(request: FastifyRequest): void {
  const { httpVersion } = request.raw;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') throw new ProducerError('MALFORMED', 'Expected HTTP/1.1.');
  if (httpVersion === '1.1' && request.headers.host === undefined) {
    throw new ProducerError('MALFORMED', 'The Host header is missing.');
  }
  const seen = new Set<string>();
  for (const [index, text] of request.raw.rawHeaders.entries()) {
    if (index % 2 !== 0) continue;
    const name = text.toLowerCase();
    if (single.has(name) && seen.has(name)) {
      throw new ProducerError('INVALID', `The header ${name} appears twice.`, [
        { path: `headers.${name}`, message: 'expected once' },
      ]);
    }
    seen.add(name);
  }
}

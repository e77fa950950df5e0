/** `jobfleet tenants` and `jobfleet keys`: what is agreed with a tenant, and the keys that speak for it. */
import { z } from 'zod';
import { connect, type ServerFlags } from './connection.ts';
import { CliError, print } from './output.ts';

interface Flags extends ServerFlags {
  readonly json?: boolean;
}

const tenant = z.looseObject({
  tenant: z.string(),
  weight: z.number(),
  tier: z.enum(['standard', 'premium']),
  limits: z.object({ concurrency: z.number().optional() }),
});

const pathOf = (id: string): string => `/v1/tenants/${encodeURIComponent(id)}`;

const inWords = ({ tenant: id, weight, tier, limits }: z.output<typeof tenant>): string =>
  `${id}  weight ${weight}, ${tier}, concurrency ${limits.concurrency ?? 'as each type says'}`;

export async function showTenant(id: string, flags: Flags): Promise<void> {
  const server = await connect(flags);
  print(flags.json === true, await server.call(tenant, 'GET', pathOf(id)), inWords);
}

/** Changes what is named and leaves the rest. */
export async function setTenant(
  id: string,
  flags: Flags & { readonly weight?: string; readonly tier?: string; readonly concurrency?: string },
): Promise<void> {
  const server = await connect(flags);
  const { weight, tier, limits } = await server.call(tenant, 'GET', pathOf(id));
  const concurrency = flags.concurrency === 'default' ? undefined : numberOf('--concurrency', flags.concurrency);
  const wanted = {
    weight: numberOf('--weight', flags.weight) ?? weight,
    tier: flags.tier ?? tier,
    limits: flags.concurrency === undefined ? limits : concurrency === undefined ? {} : { concurrency },
  };
  print(flags.json === true, await server.call(tenant, 'PUT', pathOf(id), wanted), inWords);
}

function numberOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new CliError(`${flag} must be a number, got ${text}`, 2);
  return value;
}

export async function createKey(
  flags: Flags & {
    readonly tenant?: string;
    readonly scopes?: string;
    readonly tier?: string;
    readonly expires?: string;
  },
): Promise<void> {
  const server = await connect(flags);
  const wanted = {
    ...(flags.tenant === undefined ? {} : { tenant: flags.tenant }),
    ...(flags.scopes === undefined ? {} : { scopes: flags.scopes.split(',').map((scope) => scope.trim()) }),
    ...(flags.tier === undefined ? {} : { tier: flags.tier }),
    ...(flags.expires === undefined ? {} : { expiresAt: flags.expires }),
  };
  const answer = z.looseObject({ id: z.string(), key: z.string(), tenant: z.string() });
  print(flags.json === true, await server.call(answer, 'POST', '/v1/keys', wanted), ({ key }) => key);
}

export async function revokeKey(id: string, flags: Flags): Promise<void> {
  const server = await connect(flags);
  await server.call(z.undefined(), 'DELETE', `/v1/keys/${encodeURIComponent(id)}`);
  print(flags.json === true, { id, revoked: true }, () => `${id} is no key any more`);
}

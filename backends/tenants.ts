/** What is agreed with a tenant: record `tenant:<id>`, written by operators, read by whoever adds or runs its jobs. */
import { z } from 'zod';
import type { RecordStore } from './backend.ts';
import { readAll, write } from './operator-record.ts';

export const tenantTiers = ['standard', 'premium'] as const;

const stored = z.object({
  /** Its share of fair queues in relation to others: 1 to 1,000. */
  weight: z.number().min(1).max(1_000).default(1),
  /** `premium`: ten times the rates per tenant. */
  tier: z.enum(tenantTiers).default('standard'),
  limits: z
    .object({
      /** Attempts at once, instead of `policy.perTenant.concurrency` of each type that has one. */
      concurrency: z.number().int().min(1).max(100_000).optional(),
    })
    .default({}),
  by: z.string().default('-'),
  /** Epoch ms of the store's clock. */
  at: z.number().default(0),
});
export type TenantSettings = z.output<typeof stored>;

export const usualTenant: TenantSettings = Object.freeze(stored.parse({}));

/** A tenant of the tier `premium` may do this many times as much. */
export const premiumFactor = 10;

const tenantKey = (tenant: string): string => `tenant:${tenant}`;

/** `usualTenant` for one of whom nothing was agreed. */
export async function readTenant(records: RecordStore, tenant: string): Promise<TenantSettings> {
  const [found] = await readAll(records, [tenantKey(tenant)], stored);
  return found?.value ?? usualTenant;
}

/** Processes that have read the tenant lately follow within five seconds. */
export async function writeTenant(
  records: RecordStore,
  tenant: string,
  settings: Omit<TenantSettings, 'at'>,
  now: number,
): Promise<TenantSettings> {
  const value = { ...settings, at: now };
  await write(records, tenantKey(tenant), value);
  return value;
}

export interface TenantReader {
  /** Five seconds old at most; a promise only where the store has to be asked. */
  of(tenant: string): TenantSettings | Promise<TenantSettings>;
}

const freshMs = 5_000;
const tenantsKept = 1_000;

/** `now`: monotonic ms. */
export function tenantReader(records: RecordStore, now: () => number = () => performance.now()): TenantReader {
  const known = new Map<string, { readonly until: number; readonly value: TenantSettings | Promise<TenantSettings> }>();
  const look = async (tenant: string): Promise<TenantSettings> => {
    try {
      const value = await readTenant(records, tenant);
      known.set(tenant, { until: now() + freshMs, value });
      return value;
    } catch (error) {
      known.delete(tenant);
      throw error;
    }
  };
  return {
    of(tenant) {
      // Nobody's jobs have nobody to agree with.
      if (tenant === '-') return usualTenant;
      const found = known.get(tenant);
      if (found !== undefined && found.until > now()) return found.value;
      if (known.size >= tenantsKept) known.clear();
      const value = look(tenant);
      known.set(tenant, { until: now() + freshMs, value });
      return value;
    },
  };
}

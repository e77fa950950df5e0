/**
 * What a tick does that stands for every tenant: it adds a job of the same type for each of them. Only the pipeline acts
 * for tenants beside the job's own, and only for what the system itself added for a schedule: no handler can ask for it.
 */
import type { Job } from '../jobs/define.ts';
import { tenantsWith } from './services/documents.ts';
import type { ServiceParts } from './services/services.ts';

/** Keys name tick and tenant: a tick that is run again adds nothing twice. One tenant that is full does not hold up the others. */
export async function addForTenants(
  job: Job,
  collection: string,
  payload: unknown,
  { documents, breakers, enqueue }: Pick<ServiceParts, 'breakers' | 'documents' | 'enqueue'>,
  tick: { readonly id: string; readonly signal: AbortSignal },
): Promise<{ readonly tenants: number }> {
  const tenants = await tenantsWith(documents, collection, breakers);
  let refused: Error | undefined;
  for (const tenant of tenants) {
    tick.signal.throwIfAborted();
    try {
      await enqueue(job.name, payload, { tenant, idempotencyKey: `${tick.id}/${tenant}` });
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      refused ??= error;
    }
  }
  if (refused !== undefined) throw refused;
  return { tenants: tenants.length };
}

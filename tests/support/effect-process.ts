/**
 * Begins jobs with an effect and stops each of them at one step of it, for a test that then kills the process: before or
 * after the intent is noted, or before or after the confirmation is; at `effect` it waits for whoever has been asked.
 * Prints a line for each job that has come to its step.
 */

import type { RecordStore } from '../../backends/backend.ts';
import { openBackend } from '../../backends/open.ts';
import type { Handler } from '../../jobs/define.ts';
import email from '../../jobs/email-sending/handler.ts';
import notification from '../../jobs/notification-sending/handler.ts';
import { runJob } from '../../workers/testing.ts';

const steps = ['before intent', 'after intent', 'effect', 'before confirm', 'after confirm'] as const;
export type Step = (typeof steps)[number];

export interface Order {
  readonly queueUrl: string;
  readonly step: Step;
  readonly jobs: readonly { readonly id: string; readonly type: 'email' | 'notification'; readonly payload: unknown }[];
  readonly env: Readonly<Record<string, string>>;
  readonly allow: readonly string[];
}

export const handlers: Readonly<Record<Order['jobs'][number]['type'], Handler>> = { email, notification };

const forEver = (): Promise<never> => new Promise(() => undefined);
/** The once-record of the effect itself; others are notes beside it. */
const isEffect = (key: string): boolean => /:(?:send|mail|try-1)$/.test(key);

function stopping(records: RecordStore, step: Step, say: () => void): RecordStore {
  const stop = (): Promise<never> => {
    say();
    return forEver();
  };
  return {
    ...records,
    async putIfAbsent(key, value, ttlMs) {
      if (isEffect(key) && step === 'before intent') return stop();
      const stored = await records.putIfAbsent(key, value, ttlMs);
      return isEffect(key) && step === 'after intent' ? stop() : stored;
    },
    async compareAndSet(key, version, value, ttlMs) {
      if (isEffect(key) && step === 'before confirm') return stop();
      const done = await records.compareAndSet(key, version, value, ttlMs);
      return isEffect(key) && step === 'after confirm' ? stop() : done;
    },
  };
}

async function begin({ queueUrl, step, jobs, env, allow }: Order): Promise<void> {
  const backend = await openBackend(queueUrl, { onError: () => undefined });
  const say = (): void => void process.stdout.write('.\n');
  await Promise.all(
    jobs.map(async ({ id, type, payload }) => {
      const records = stopping(backend.records, step, say);
      const run = await runJob(handlers[type], payload, { id, records, env, http: { allow } });
      process.stdout.write(`${id} ended: ${JSON.stringify(run.outcome)} ${run.error?.message ?? ''}\n`);
    }),
  );
}

const [, , order] = process.argv;
if (order?.startsWith('{"queueUrl"')) await begin(JSON.parse(order) as Order);

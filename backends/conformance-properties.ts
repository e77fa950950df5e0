/** What is rare or random, on every store: any payload comes back as it went in; workers that race spend no attempt. */
import { DelayedError, type Job as StoredJob } from 'bullmq';
import {
  array,
  assert,
  asyncProperty,
  boolean,
  constant,
  dictionary,
  double,
  integer,
  letrec,
  oneof,
  pre,
  string,
} from 'fast-check';
import { expect } from 'vitest';
import { type Register, type Stage, until } from './conformance-stage.ts';
import { portabilityProblem } from './portable.ts';

/** `heavy` races often enough to meet deadlocks. */
export function propertyTests(stage: Stage, register: Register, { heavy }: { readonly heavy: boolean }): void {
  payloadTests(stage, register, heavy);
  raceTests(stage, register, heavy);
}

// Code points that encoders get wrong; random text meets them too seldom.
const edges = [
  '\u0001',
  '\u007f',
  '\u0085',
  '\u2028',
  '\ufeff',
  '\ufffd',
  '\ufffe',
  '\uffff',
  '\u{1f600}',
  '\u{10ffff}',
  '"',
  '\\',
  "'",
  '$1',
  '\u202e',
];
const text = oneof(
  string({ unit: 'binary', maxLength: 20 }),
  string({ unit: oneof(...edges.map(constant)), maxLength: 8 }),
  string(),
);
const { payload } = letrec<{ payload: Record<string, unknown>; value: unknown }>((tie) => ({
  payload: dictionary(text, tie('value'), { maxKeys: 6 }),
  value: oneof(
    { depthSize: 'small', withCrossShrink: true },
    text,
    double(),
    integer(),
    boolean(),
    constant(null),
    array(tie('value'), { maxLength: 5 }),
    tie('payload'),
  ),
}));

function payloadTests(stage: Stage, register: Register, heavy: boolean): void {
  const numRuns = heavy ? 500 : 150;
  register(
    `gives back every payload it accepts, exactly (${numRuns} random ones)`,
    async () => {
      const name = stage.queueName();
      const waiting = new Map<string, (data: unknown) => void>();
      stage.work(stage.second, name, (job) => Promise.resolve(waiting.get(job.id ?? '')?.(job.data)), {
        concurrency: 4,
      });
      let count = 0;
      await assert(
        asyncProperty(payload, async (data) => {
          pre(portabilityProblem(data) === undefined);
          count += 1;
          const jobId = `x_${count}`;
          const arrived = new Promise<unknown>((resolve) => waiting.set(jobId, resolve));
          await stage.first.queue(name).add('x', data, { jobId });
          // −0 is 0 in JSON, on every store alike.
          const canonical: unknown = JSON.parse(JSON.stringify(data));
          expect(await arrived).toStrictEqual(canonical);
          const stored: StoredJob | undefined = await stage.first.queue(name).getJob(jobId);
          expect(stored?.data).toStrictEqual(canonical);
        }),
        { numRuns },
      );
    },
    60_000,
  );
}

function raceTests(stage: Stage, register: Register, heavy: boolean): void {
  const [jobs, defers] = heavy ? [200, 5] : [60, 3];
  register(
    `two workers put ${jobs} jobs off ${defers} times each and spend no attempt`,
    async () => {
      const name = stage.queueName();
      const runs = new Map<string, number>();
      const attempts: number[] = [];
      for (const backend of [stage.first, stage.second]) {
        stage.work(
          backend,
          name,
          async (job, token) => {
            const id = job.id ?? '';
            const run = (runs.get(id) ?? 0) + 1;
            runs.set(id, run);
            attempts.push(job.attemptsMade);
            if (run > defers) return run;
            await job.moveToDelayed(Date.now() + Math.round(Math.random() * 20), token);
            throw new DelayedError();
          },
          { concurrency: 20 },
        );
      }
      const queue = stage.first.queue(name);
      const ids = Array.from({ length: jobs }, (_, n) => `x_${n}`);
      await queue.addBulk(ids.map((jobId) => ({ name: 'x', data: {}, opts: { jobId, attempts: 2 } })));
      await until(async () => expect(await queue.getCompletedCount()).toBe(jobs), 50_000);
      expect(attempts.every((made) => made === 0)).toBe(true);
      expect(Array.from(runs.values())).toEqual(Array.from({ length: jobs }, () => defers + 1));
    },
    60_000,
  );
}

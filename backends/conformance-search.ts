/** Lists and searches on every store: by state, tenant, code, text and time, with cursors that hold while jobs come and go. */
import { expect } from 'vitest';
import type { NewJob } from './backend.ts';
import { type Register, type Stage, until } from './conformance-stage.ts';
import { findJobs, type JobFilter } from './find.ts';

const bornAt = 1_700_000_000_000;

/** The tenth of them a millisecond apart, so that orders are told apart by more than ids. */
function newJob(index: number, more: { json?: string; tenant?: string; options?: NewJob['options'] } = {}): NewJob {
  const { json = '{}', tenant = 'acme', options = {} } = more;
  const id = `x_${String(index).padStart(3, '0')}`;
  const facts = tenant === '-' ? {} : { jobfleet: { tenant, v: 1 } };
  return { id, name: 'x', json, timestamp: bornAt + Math.floor(index / 10), options: { ...options, ...facts } };
}

async function allOf(stage: Stage, queue: string, filter: JobFilter, limit = 4, between?: () => Promise<unknown>) {
  const found: [string, string][] = [];
  let cursor: string | undefined;
  let complete = true;
  do {
    const page = await findJobs(stage.first, queue, filter, { limit, ...(cursor === undefined ? {} : { cursor }) });
    expect(page.jobs.length).toBeLessThanOrEqual(limit);
    found.push(...page.jobs.map(({ state, job }): [string, string] => [state, job.id ?? '']));
    complete &&= page.complete;
    cursor = page.cursor;
    await between?.();
  } while (cursor !== undefined);
  return { found, ids: found.map(([, id]) => id), complete };
}

export function searchTests(stage: Stage, register: Register): void {
  register('lists jobs by state and tenant, page by page, each once', async () => {
    const name = stage.queueName();
    const jobs = Array.from({ length: 60 }, (_, index) =>
      newJob(index, {
        tenant: ['acme', 'other', '-'][index % 3] ?? '-',
        options: index < 12 ? { delay: 60_000 } : index < 24 ? { priority: 5 } : {},
      }),
    );
    for (const one of jobs.slice(0, 12)) await stage.first.add(name, one);
    await stage.second.addMany([{ queue: name, jobs: jobs.slice(12) }]);
    const all = await allOf(stage, name, {});
    expect(all.complete).toBe(true);
    expect(new Set(all.ids).size).toBe(60);
    expect(all.ids).toHaveLength(60);
    expect(all.found.map(([state]) => state)).toEqual([...Array(48).fill('waiting'), ...Array(12).fill('delayed')]);
    const acme = await allOf(stage, name, { tenant: 'acme' });
    // Accepted last, first.
    expect(acme.ids).toEqual(jobs.flatMap(({ id }, index) => (index % 3 === 0 ? [id] : [])).toReversed());
    const delayed = await allOf(stage, name, { tenant: 'other', states: ['delayed'] });
    expect(delayed.ids).toEqual(['x_010', 'x_007', 'x_004', 'x_001']);
    expect((await allOf(stage, name, { tenant: '-' })).ids).toHaveLength(20);
    expect((await allOf(stage, name, { tenant: 'nobody' })).ids).toEqual([]);
  });

  register('finds by code, text and time of acceptance', async () => {
    const name = stage.queueName();
    const cities = ['Zürich', 'Lyon 100%', 'Oslo_A', 'OsloBA'];
    const jobs = cities.map((city, index) => newJob(index * 10, { json: JSON.stringify({ city }) }));
    await stage.first.addMany([{ queue: name, jobs: jobs }]);
    const textOf = async (text: string) => (await allOf(stage, name, { text })).ids.toSorted();
    expect(await textOf('zürich')).toEqual(['x_000']);
    expect(await textOf('100%')).toEqual(['x_010']);
    expect(await textOf('oslo_a')).toEqual(['x_020']);
    expect(await textOf('OSLO')).toEqual(['x_020', 'x_030']);
    expect(await textOf('X_03')).toEqual(['x_030']);
    expect(await textOf('nowhere')).toEqual([]);
    expect((await allOf(stage, name, { from: bornAt + 1, to: bornAt + 2 })).ids.toSorted()).toEqual(['x_010', 'x_020']);
    stage.work(
      stage.second,
      name,
      ({ id }) => Promise.reject(new Error(`HTTP_50${id?.at(2) ?? ''}: ${id} was no good`)),
      {
        backoff: () => -1,
      },
    );
    await until(async () => expect(await stage.first.queue(name).getFailedCount()).toBe(4));
    expect((await allOf(stage, name, { code: 'HTTP_500', tenant: 'acme' })).ids).toHaveLength(4);
    expect((await allOf(stage, name, { code: 'HTTP_50' })).ids).toEqual([]);
    expect(await textOf('x_010 was NO good')).toEqual(['x_010']);
  });

  register('pages go on where they were while jobs come, run and leave', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    const stays = Array.from({ length: 40 }, (_, index) => newJob(100 + index));
    await stage.first.addMany([
      { queue: name, jobs: [...Array.from({ length: 10 }, (_, index) => newJob(index)), ...stays] },
    ]);
    let next = 200;
    for (const filter of [{}, { tenant: 'acme' }]) {
      const { ids } = await allOf(stage, name, filter, 7, async () => {
        await stage.second.add(name, newJob(next++));
        await queue.remove(newJob(next - 201).id);
      });
      expect(ids.filter((id) => stays.some((job) => job.id === id))).toEqual(stays.map(({ id }) => id).toReversed());
      expect(new Set(ids).size).toBe(ids.length);
    }
  });

  register('goes on past the job its cursor stands on when that has left', async () => {
    const name = stage.queueName();
    for (const delay of [0, 60_000]) {
      const jobs = Array.from({ length: 9 }, (_, index) => newJob(index, { options: delay === 0 ? {} : { delay } }));
      const ids = jobs.map(({ id }) => id);
      await stage.first.addMany([{ queue: name, jobs: jobs }]);
      for (const filter of [{ states: ['waiting', 'delayed'] as const }, { tenant: 'acme' }]) {
        const first = await findJobs(stage.first, name, filter, { limit: 3 });
        const seen = first.jobs.map(({ job }) => job.id ?? '');
        const last = seen.at(-1) ?? '';
        await stage.first.queue(name).remove(last);
        const rest = await findJobs(stage.first, name, filter, { limit: 100, cursor: first.cursor ?? '' });
        const others = new Set(rest.jobs.map(({ job }) => job.id));
        expect(others).toEqual(new Set(ids.filter((id) => !seen.includes(id))));
        await stage.first.addMany([{ queue: name, jobs: jobs.filter(({ id }) => id === last) }]);
      }
      await stage.first.queue(name).obliterate({ force: true });
    }
  });

  register('refuses a cursor that is none', async () => {
    const name = stage.queueName();
    for (const text of ['', '9', '0 0 ; DROP', '0 0 1;2', 'x y'])
      for (const cursor of [text, Buffer.from(text).toString('base64url')].filter((one) => one !== ''))
        await expect(findJobs(stage.first, name, {}, { limit: 1, cursor })).rejects.toBeInstanceOf(RangeError);
  });
}

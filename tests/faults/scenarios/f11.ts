import { setTimeout as wait } from 'node:timers/promises';
import { Client } from 'pg';
import type { Arena } from '../arena.ts';
import { pickUpTimes, spread } from '../figures.ts';
import { logPaths, type ProducerLine, readLog, type StateLine } from '../logs.ts';
import { usualLoad } from '../plan.ts';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  title: 'PostgreSQL: killed three times; the LISTEN connections terminated; every connection taken for 3 s',
  stores: ['postgres'],
  load: usualLoad,
  async inject(arena) {
    const partMs = (arena.seconds * 1_000) / 6;
    for (const act of [kill, terminateListeners, kill, exhaust, kill]) {
      await wait(partMs);
      await act(arena);
    }
    const healedAt = Date.now();
    await wait(partMs);
    const paths = logPaths(arena.folder);
    const times = pickUpTimes(readLog<ProducerLine>(paths.producer), readLog<StateLine>(paths.state), healedAt + 1_000);
    arena.facts.set('pickUps', times.length);
    arena.facts.set('pickUpP95Ms', spread(times).p95);
  },
  targets: (_ours, { facts }) => [
    { what: 'pick-up p95 after the last heal', measured: facts.get('pickUpP95Ms') ?? 0, limit: 1_000, unit: 'ms' },
  ],
};

async function kill({ server, note }: Arena): Promise<void> {
  note('inject', 'postmaster and children killed');
  await server.kill();
  await server.start();
  note('heal', 'started');
}

async function terminateListeners({ server, note }: Arena): Promise<void> {
  note('inject', 'LISTEN terminated');
  await server.command(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'listen%' AND pid <> pg_backend_pid()",
  );
}

/** Takes what is left of the connections and gives it back 3 s later. */
async function exhaust({ server, note, side }: Arena): Promise<void> {
  note('inject', 'connections taken');
  const clients: Client[] = [];
  const until = Date.now() + 3_000;
  while (Date.now() < until) {
    const client = new Client({ connectionString: server.url, application_name: `hog of ${side}` });
    client.on('error', () => undefined);
    try {
      await client.connect();
      clients.push(client);
    } catch {
      // None left, as wanted: hold them.
      await wait(100);
    }
  }
  await Promise.all(clients.map((client) => client.end()));
  note('heal', `${clients.length} connections given back`);
}

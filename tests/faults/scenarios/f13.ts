import { setTimeout as wait } from 'node:timers/promises';
import type { Arena } from '../arena.ts';
import { usualLoad } from '../plan.ts';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  title: 'the store stands still for half of the time (SIGSTOP); then every connection is cut',
  stores: ['redis', 'postgres', 'embedded'],
  load: usualLoad,
  targets: ({ resumeMs }) => [
    {
      what: 'work goes on after SIGCONT and after the cut, the longest',
      measured: resumeMs.max,
      limit: 10_000,
      unit: 'ms',
    },
  ],
  async inject(arena) {
    const { server, note, seconds } = arena;
    await wait(seconds * 200);
    note('inject', 'SIGSTOP');
    server.freeze();
    await wait(seconds * 500);
    server.thaw();
    note('heal', 'SIGCONT');
    await wait(seconds * 200);
    await cutAll(arena);
    note('heal', 'may connect again');
    await wait(seconds * 100);
  },
};

async function cutAll({ store, server, note, side }: Arena): Promise<void> {
  // The embedded store is reached through its own processes only.
  if (store === 'embedded' && side === 'ours') return;
  note('inject', 'connections cut');
  if (store === 'redis') {
    await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
  } else {
    await server.command('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
  }
}

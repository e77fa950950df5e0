import { setTimeout as wait } from 'node:timers/promises';
import { tickingScenario } from '../ticking-run.ts';

export const scenario = tickingScenario(
  {
    title:
      '20 schedules declared by 4 instances at once, 50 rounds; then the store killed and started, workers killed at random, all of them gone for over a minute; ticks of all three policies',
    stores: ['redis', 'postgres', 'embedded'],
  },
  async ({ server, note }) => {
    note('inject', 'store killed');
    await server.kill();
    await wait(1_000);
    await server.start();
    note('heal', 'store started');
  },
);

/**
 * A process that holds an embedded store, for embedded.live.test.ts: `holder.ts <dir> [add]`. Says each event as a
 * line of JSON. With `add` it inserts rows one by one, and names each after its commit. A line on stdin closes it.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'pg';
import { type EmbeddedStore, openEmbedded } from './server.ts';

function say(event: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

async function addRows(store: EmbeddedStore, stopped: () => boolean): Promise<void> {
  const pool = new Pool({ connectionString: store.url, max: 1 });
  pool.on('error', (error) => {
    say({ poolError: error.message });
  });
  for (let row = 0; !stopped(); row += 1) {
    const id = `${process.pid}-${row}`;
    try {
      if (row === 0) await pool.query('create table if not exists added (id text primary key)');
      await pool.query('insert into added values ($1) on conflict do nothing', [id]);
      say({ added: id });
    } catch (error) {
      say({ refused: error instanceof Error ? error.message : String(error) });
      // The store is being started again, or another holder makes the table at this moment.
      row -= 1;
      await sleep(20);
    }
  }
  await pool.end();
}

const [dir, mode] = process.argv.slice(2);
if (dir === undefined) throw new Error('Expected a directory.');
const store = await openEmbedded(dir, {
  onError: (error) => {
    say({ error: error.message });
  },
});
say({ opened: store.serverPid });
let stopping = false;
const adding = mode === 'add' ? addRows(store, () => stopping) : Promise.resolve();
await once(process.stdin, 'data');
stopping = true;
await adding;
await store.close();
say({ closed: true });
process.exit();

/** Opening, closing and dying, with real processes. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chown, mkdir, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { describe, expect, test, vi } from 'vitest';
import { signalAll } from '../../tests/support/children.ts';
import { asRoot, gone, kill, openStage, processesOf, query, serversIn } from './live-stage.suite.ts';
import { findProcess } from './pid-file.ts';
import { type EmbeddedStore, openEmbedded } from './server.ts';

/** Whole numbers from 0 up to `below`, the same ones on every run. */
function randomFrom(start: number): (below: number) => number {
  let seed = start;
  return (below) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * below);
  };
}

describe('opening and closing', () => {
  test('makes a store, keeps its rows for the next start, and leaves no server behind', async () => {
    const { root, dir, open } = await openStage();
    const first = await open();
    await query(first, 'create table kept as select 7 as n');
    expect(
      await query(first, 'select count(*)::int as n from pg_settings where name = $$fsync$$ and setting = $$on$$'),
    ).toEqual([{ n: 1 }]);
    await first.close();
    await first.close();
    expect(await serversIn(root)).toEqual([]);
    expect(existsSync(join(dir, 'postmaster.pid'))).toBe(false);
    const second = await open();
    expect(await query(second, 'select n from kept')).toEqual([{ n: 7 }]);
    expect(second.url).toBe(first.url);
  });

  test('five processes that open a fresh directory at once share one server', async () => {
    const { root, dir, hold } = await openStage();
    const holders = Array.from({ length: 5 }, () => hold(dir));
    const pids = await Promise.all(holders.map((holder) => holder.said('opened')));
    expect(new Set(pids).size).toBe(1);
    expect(await serversIn(root)).toEqual([pids[0]]);
    expect(await readdir(root)).toEqual(['queue']);
    for (const holder of holders) await holder.close();
    expect(await serversIn(root)).toEqual([]);
  });

  test('opens and closes in any order find a server, and the last one leaves none', async () => {
    const { root, dir, errors } = await openStage();
    const random = randomFrom(11);
    const inside = new Set<EmbeddedStore>();
    const visits = Array.from({ length: 4 }, async () => {
      for (let visit = 0; visit < 8; visit += 1) {
        const store = await openEmbedded(dir, { onError: (error) => errors.push(error.message) });
        inside.add(store);
        for (let turn = random(4); turn >= 0; turn -= 1)
          expect(await query(store, 'select 1 as n')).toEqual([{ n: 1 }]);
        expect(new Set([...inside].map((other) => other.serverPid)).size).toBe(1);
        inside.delete(store);
        await store.close();
      }
    });
    await Promise.all(visits);
    expect(errors).toEqual([]);
    expect(await serversIn(root)).toEqual([]);
  });

  test.runIf(asRoot)('an ordinary user runs the server as itself', async () => {
    const { root, hold } = await openStage();
    const home = join(root, 'home');
    await mkdir(home);
    await chown(home, 65_534, 65_534);
    const holder = hold(join(home, 'queue'), { uid: 65_534 });
    const pid = Number(await holder.said('opened'));
    expect((await stat(`/proc/${pid}`)).uid).toBe(65_534);
    await holder.close();
    await gone(pid);
  });
});

describe('death', () => {
  test('a killed postmaster is replaced while the store is open', async () => {
    const { root, errors, open } = await openStage();
    const store = await open();
    await query(store, 'create table kept as select 7 as n');
    const before = store.serverPid;
    signalAll([before ?? 0]);
    await vi.waitFor(() => expect([undefined, before]).not.toContain(store.serverPid), { timeout: 20_000 });
    expect(await query(store, 'select n from kept')).toEqual([{ n: 7 }]);
    expect(errors).toEqual([expect.stringContaining('starting it again')]);
    expect((await serversIn(root)).length).toBe(1);
  });

  test('a backend that computes on after its postmaster died is waited for', async () => {
    const { errors, open } = await openStage();
    const store = await open();
    const client = new Client({ connectionString: store.url });
    client.on('error', (error) => errors.push(error.message));
    await client.connect();
    const { rows } = await client.query('select pg_backend_pid() as pid');
    const computing = client.query('do $$ begin for i in 1..60000000 loop end loop; end $$').catch(() => 'ended');
    await vi.waitFor(
      async () =>
        expect(await query(store, `select state from pg_stat_activity where pid = ${rows[0].pid}`)).toEqual([
          { state: 'active' },
        ]),
      { timeout: 15_000, interval: 20 },
    );
    const before = store.serverPid;
    signalAll([before ?? 0]);
    await vi.waitFor(() => expect([undefined, before]).not.toContain(store.serverPid), { timeout: 50_000 });
    expect(await findProcess(rows[0].pid)).toBeUndefined();
    await computing;
  });

  test('a killed process leaves its server, and the next start attaches to it', async () => {
    const { root, dir, open, hold } = await openStage();
    const holder = hold(dir);
    const pid = await holder.said('opened');
    await kill(holder.child, 'SIGKILL');
    const store = await open();
    expect(store.serverPid).toBe(pid);
    await store.close();
    expect(await serversIn(root)).toEqual([]);
  });

  test('accepted rows survive the death of every postgres process and of everything', async () => {
    const { root, dir, open, hold } = await openStage();
    const holder = hold(dir, { mode: 'add' });
    const pid = Number(await holder.said('opened'));
    await vi.waitFor(() => expect(holder.added.length).toBeGreaterThan(100), { timeout: 20_000 });
    signalAll(await processesOf(pid));
    await holder.said('error');
    const afterFirst = holder.added.length;
    await vi.waitFor(() => expect(holder.added.length).toBeGreaterThan(afterFirst + 100), { timeout: 20_000 });
    const [second] = await serversIn(root);
    holder.child.kill('SIGKILL');
    signalAll(await processesOf(second ?? 0));
    await gone(second);
    const store = await open();
    const kept = new Set((await query(store, 'select id from added')).map((row) => JSON.stringify(row)));
    expect(holder.added.filter((id) => !kept.has(JSON.stringify({ id })))).toEqual([]);
  });

  test('whatever dies, whenever: no accepted row is lost, and the last one out stops the server', async () => {
    const { root, dir, open, hold } = await openStage();
    const random = randomFrom(29);
    const accepted: string[] = [];
    const holders = [hold(dir, { mode: 'add' }), hold(dir, { mode: 'add' })];
    for (let round = 0; round < 8; round += 1) {
      const before = holders.map((holder) => holder.added.length);
      for (const [index, holder] of holders.entries()) {
        const goal = (before[index] ?? 0) + 10 + random(100);
        await vi.waitFor(() => expect(holder.added.length).toBeGreaterThan(goal), { timeout: 30_000, interval: 10 });
      }
      const [server = 0] = await serversIn(root);
      const family = await processesOf(server);
      const index = random(2);
      const victim = holders[index];
      const choice = round % 4;
      if (choice === 0) signalAll([server]);
      else if (choice === 1) signalAll(family);
      else if (choice === 2) signalAll([family[1 + random(family.length - 1)] ?? server]);
      else if (victim !== undefined) {
        await kill(victim.child, 'SIGKILL');
        accepted.push(...victim.added);
        holders[index] = hold(dir, { mode: 'add' });
      }
    }
    // The server recovers from this while everybody leaves.
    const [, child = 0] = await processesOf((await serversIn(root))[0] ?? 0);
    signalAll([child]);
    await Promise.all(holders.map((holder) => holder.close()));
    expect(await serversIn(root)).toEqual([]);
    for (const holder of holders) accepted.push(...holder.added);
    const kept = new Set((await query(await open(), 'select id from added')).map((row) => JSON.stringify(row)));
    expect(accepted.filter((id) => !kept.has(JSON.stringify({ id })))).toEqual([]);
  }, 180_000);

  test('a lost connection of its own brings a process back in', async () => {
    const { root, open } = await openStage();
    const store = await open();
    const before = store.serverPid;
    await query(
      store,
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'jobfleet presence'",
    );
    const present = "select count(*)::int as n from pg_locks where locktype = 'advisory' and mode = 'ShareLock'";
    await vi.waitFor(async () => expect(await query(store, present)).toEqual([{ n: 1 }]), { timeout: 10_000 });
    expect(store.serverPid).toBe(before);
    await store.close();
    expect(await serversIn(root)).toEqual([]);
  });

  test('a process that closes with its own connection lost still stops the server', async () => {
    const { root, open } = await openStage();
    const store = await open();
    await query(
      store,
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'jobfleet presence'",
    );
    await store.close();
    expect(await serversIn(root)).toEqual([]);
  });

  test('an open process does not take a fresh store for its own', async () => {
    const { dir, errors, open } = await openStage();
    const store = await open();
    await rename(dir, `${dir}.moved`);
    signalAll([store.serverPid ?? 0], 'SIGINT');
    await vi.waitFor(() => expect(errors).toContainEqual(expect.stringContaining('is gone')), { timeout: 10_000 });
    expect(existsSync(dir)).toBe(false);
    await store.close();
  });

  test('Ctrl-C in a terminal reaches Node and not the server', async () => {
    const { root, dir, open, hold } = await openStage();
    const holder = hold(dir, { detached: true });
    const pid = await holder.said('opened');
    const exit = once(holder.child, 'exit');
    process.kill(-(holder.child.pid ?? 0), 'SIGINT');
    await exit;
    expect(await serversIn(root)).toEqual([pid]);
    const store = await open();
    expect(store.serverPid).toBe(pid);
  });
});

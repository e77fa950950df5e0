/**
 * Who uses the store: each process holds one connection with a shared advisory lock. A killed process loses its lock
 * with its socket, so there is nothing to clean up; who leaves last can tell, and stops the server.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { z } from 'zod';

/** `jobfleet` in ASCII. Advisory locks are per database: presence is kept in `postgres`, and nothing else locks there by this number. */
const presenceKey = BigInt('0x6a6f62666c656574').toString();

const answer = z.tuple([z.object({ yes: z.boolean() })]);

async function ask(client: Client, call: string): Promise<boolean> {
  const { rows } = await client.query(`select ${call}(${presenceKey}) as yes`);
  return answer.parse(rows)[0].yes;
}

/**
 * Enters. False when the server is about to be stopped by its last user and went away under us, or when that lasts
 * beyond `deadline` (epoch ms): connect again.
 */
export async function announce(client: Client, deadline: number): Promise<boolean> {
  try {
    while (!(await ask(client, 'pg_try_advisory_lock_shared'))) {
      if (Date.now() > deadline) return false;
      await sleep(20);
    }
    return true;
  } catch {
    // The server stopped while we asked: the caller's next attempt starts it, and reports what keeps it from starting.
    return false;
  }
}

/** Leaves. True when nobody else is there; nobody can enter then until the connection ends. */
export async function withdraw(client: Client): Promise<boolean> {
  await ask(client, 'pg_advisory_unlock_shared');
  return await ask(client, 'pg_try_advisory_lock');
}

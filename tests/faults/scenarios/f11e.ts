import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import type { Arena } from '../arena.ts';
import { usualLoad } from '../plan.ts';
import type { Scenario } from '../scenario.ts';
import { allPids, commandOf, embeddedPids, parentOf, signal } from '../servers.ts';

const cases = ['postmaster', 'all of PostgreSQL', 'a worker', 'everything'] as const;

export const scenario: Scenario = {
  title: 'embedded store under load: SIGKILL of the postmaster, of all its processes, of a worker, of everything',
  stores: ['embedded'],
  load: usualLoad,
  async inject(arena) {
    const until = Date.now() + arena.seconds * 1_000;
    const watch = setInterval(() => count(arena), 200);
    for (let round = 0; Date.now() < until; round += 1) {
      await wait(3_000);
      await strike(arena, cases[round % cases.length] ?? 'a worker');
    }
    clearInterval(watch);
  },
  problems: (_ours, { facts }) => {
    const most = facts.get('postmastersAtOnce') ?? 0;
    return most > 1 ? [`${most} postmasters served one directory at the same time`] : [];
  },
  withoutStock: 'stock BullMQ has no embedded store; F11 has its figures on PostgreSQL',
};

const folderOf = (arena: Arena): string => arena.server.url.slice('embedded:'.length);

async function strike(arena: Arena, what: (typeof cases)[number]): Promise<void> {
  arena.note('inject', what);
  const [postmaster, ...others] = embeddedPids(folderOf(arena));
  switch (what) {
    case 'postmaster':
      if (postmaster !== undefined) signal(postmaster, 'SIGKILL');
      return;
    case 'all of PostgreSQL':
      for (const pid of [postmaster, ...others]) if (pid !== undefined) signal(pid, 'SIGKILL');
      return;
    case 'a worker': {
      const victim = arena.pick();
      if (victim !== undefined) await arena.kill(victim);
      return;
    }
    case 'everything': {
      arena.supervise(false);
      const workers = arena.workers.slice().map((worker) => arena.kill(worker));
      await Promise.all([...workers, arena.killProducer()]);
      for (const pid of embeddedPids(folderOf(arena))) signal(pid, 'SIGKILL');
      await Promise.all([arena.refill(), arena.startProducer()]);
    }
  }
}

/**
 * Postmasters of this directory: who listens on its socket. A child bears its name and has its socket too, until it has
 * begun its own work.
 */
function count(arena: Arena): void {
  const dir = folderOf(arena);
  const listening = listeners();
  const found = allPids().filter((pid) => commandOf(pid).split('\0').includes(dir) && listens(pid, listening));
  const first = found.filter((pid) => !found.includes(parentOf(pid) ?? 0));
  arena.facts.set('postmastersAtOnce', Math.max(first.length, arena.facts.get('postmastersAtOnce') ?? 0));
}

/** Inodes of the Unix sockets of PostgreSQL that take connections. */
function listeners(): ReadonlySet<string> {
  const acceptsConnections = '00010000';
  const lines = readFileSync('/proc/net/unix', 'utf8').split('\n');
  const fields = lines.map((line) => line.trim().split(/\s+/)).filter((it) => it[3] === acceptsConnections);
  return new Set(fields.filter((it) => it[7]?.includes('.s.PGSQL.') === true).map((it) => `socket:[${it[6]}]`));
}

function listens(pid: number, listening: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => listening.has(readlinkSync(`/proc/${pid}/fd/${fd}`)));
  } catch {
    return false; // it ended, or closed a file, between the two looks
  }
}

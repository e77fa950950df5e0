/** Runs the handler of one attempt, in this process or in a killable child, with everything it may touch. */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Job, OpenHandler } from '../jobs/define.ts';
import { giveUp, retry } from '../jobs/errors.ts';
import { type AttemptFacts, createContext, type Services } from './context.ts';
import type { Running } from './running.ts';
import type { NoteSink } from './services/notes.ts';
import { createServices, type OwnServices, type ServiceParts } from './services/services.ts';

/** The part of the pool of `isolate/` that an attempt needs. */
export interface ChildRunner {
  run(
    type: string,
    payload: unknown,
    makeServices: (folder: string) => Services,
    attempt: { readonly facts: AttemptFacts; readonly signal: AbortSignal; readonly policy: Job['policy'] },
  ): Promise<unknown>;
}

/** What the attempts of one job type share. */
export interface HandlingParts {
  readonly job: Job;
  readonly services: ServiceParts;
  /** Opened by the first attempt in process, then the same. */
  readonly handler: () => Promise<OpenHandler>;
  /** Opened by the first attempt that needs a child, then the same. */
  readonly children: () => Promise<ChildRunner>;
  /** Where folders of attempts in process are made; children get theirs from the pool. */
  readonly workDir: string;
  readonly onNoteError: (error: unknown) => void;
}

export interface Handling {
  /** Rejects with what the handler threw. Call once. */
  run(alone: boolean): Promise<unknown>;
  /** Whether there is anything to close; saves an await where there is not. */
  readonly isUsed: boolean;
  /** After the outcome: stores pending notes and removes the folder. Does nothing where the handler asked for nothing. */
  close(isDone: boolean): Promise<void>;
}

export function createHandling(running: Running, sink: NoteSink, parts: HandlingParts): Handling {
  const { claim } = running;
  const facts: AttemptFacts = {
    id: claim.id,
    tenant: claim.tenant,
    attempt: claim.attempt,
    maxAttempts: claim.maxAttempts,
    fence: claim.fence,
  };
  let folder: string | undefined;
  let made: OwnServices | undefined;
  const makeServices = (folderOf: () => string): OwnServices =>
    (made = createServices(
      parts.services,
      {
        facts,
        queue: claim.queue,
        sink,
        isOver: () => running.isOver,
        signal: () => running.signal,
        onNoteError: parts.onNoteError,
      },
      folderOf,
    ));
  const makeFolder = (): string => {
    if (running.isOver) throw retry('LOCKED', 'This attempt is over; its folder is gone.');
    return (folder ??= mkdtempSync(join(parts.workDir, 'jobfleet-attempt-')));
  };
  return {
    async run(alone) {
      if (alone || parts.job.policy.isolation === 'child') {
        const pool = await parts.children();
        const attempt = { facts, signal: running.signal, policy: parts.job.policy };
        const result = await pool.run(parts.job.name, claim.payload, (path) => makeServices(() => path), attempt);
        return parseResult(parts.job, result);
      }
      const handler = await parts.handler();
      const services = makeServices(makeFolder);
      return handler.run(
        claim.payload,
        createContext(facts, services, { folder: makeFolder, signal: () => running.signal }),
      );
    },
    get isUsed() {
      return folder !== undefined || made?.isUsed === true;
    },
    async close(isDone) {
      try {
        await made?.close(isDone);
      } finally {
        if (folder !== undefined) await rm(folder, { recursive: true, force: true, maxRetries: 3 });
      }
    },
  };
}

/** What a child says is parsed again here: it is not believed. */
function parseResult(job: Job, value: unknown): unknown {
  const parsed = job.result.safeParse(value);
  if (!parsed.success) throw giveUp('RESULT_INVALID', z.prettifyError(parsed.error));
  return parsed.data;
}

/** Runs the handler of one attempt, in this process or in a killable child, with everything it may touch. */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { openReview } from '../backends/reviews.ts';
import { lockOf } from '../backends/secret-owner.ts';
import { outsideId } from '../backends/slot-id.ts';
import type { Job, OpenHandler } from '../jobs/define.ts';
import { giveUp, JobError, retry } from '../jobs/errors.ts';
import type { ChildJob } from '../jobs/ports.ts';
import { openFields, PlainSecretError, secretTexts } from '../jobs/secret-fields.ts';
import {
  fetchKept,
  inlineLimitBytes,
  KeptLostError,
  type KeptPointer,
  offloadedLimitBytes,
  pointerOf,
} from '../runtime/payload-objects.ts';
import { storeResult } from '../runtime/result-objects.ts';
import { type SecretBox, SecretError } from '../runtime/secret-box.ts';
import { type AttemptFacts, createContext, type Services } from './context.ts';
import { addForTenants } from './for-tenants.ts';
import { type Redact, redactSecrets } from './redact.ts';
import type { Running } from './running.ts';
import type { NoteSink } from './services/notes.ts';
import { OwnServices, type ServiceParts } from './services/services.ts';

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
  /** Opens the secret fields of payloads; a type that has any runs nowhere without it. */
  readonly secrets?: SecretBox | undefined;
  readonly onNoteError: (error: unknown) => void;
}

/** What of the stored job an attempt may touch. */
export type AttemptSink = NoteSink & { readonly children?: () => Promise<readonly ChildJob[]> };

/** One attempt's handler with what it has been given. */
export class Handling {
  readonly #running: Running;
  readonly #sink: AttemptSink;
  readonly #parts: HandlingParts;
  #folder: string | undefined = undefined;
  #services: OwnServices | undefined = undefined;
  #redact: Redact | undefined = undefined;

  constructor(running: Running, sink: AttemptSink, parts: HandlingParts) {
    this.#running = running;
    this.#sink = sink;
    this.#parts = parts;
  }

  /** Rejects with what the handler threw. Call once. */
  async run(alone: boolean): Promise<unknown> {
    return this.#kept(await this.#run(alone));
  }

  async #run(alone: boolean): Promise<unknown> {
    const { claim } = this.#running;
    const { job } = this.#parts;
    const facts: AttemptFacts = {
      id: outsideId(claim.queue, claim.id),
      tenant: claim.tenant,
      attempt: claim.attempt,
      maxAttempts: claim.maxAttempts,
      fence: claim.fence,
    };
    const pointer = pointerOf(claim.queue, claim.id, claim.payload);
    const stored = pointer === undefined ? claim.payload : await this.#fetchPayload(pointer);
    if (job.schedule?.tenants !== undefined && claim.isScheduled)
      return addForTenants(job, job.schedule.tenants, stored, this.#parts.services, {
        id: facts.id,
        signal: this.#running.signal,
      });
    if (job.secretFields.length === 0) return this.#reviewed(facts, await this.#handle(facts, stored, alone));
    const payload = this.#openSecrets(stored);
    this.#redact = redactSecrets(secretTexts(job.secretFields, payload));
    try {
      return await this.#reviewed(facts, await this.#handle(facts, payload, alone));
    } catch (error) {
      throw this.#redact.error(error);
    }
  }

  /** A result that a person has to look at opens its review before the job completes. */
  async #reviewed(facts: AttemptFacts, result: unknown): Promise<unknown> {
    const { job, services } = this.#parts;
    const wanted = job.review?.of(result);
    if (wanted === undefined || this.#running.isOver) return result;
    const { id, tenant } = facts;
    const parts = { records: services.records, objects: services.objects, now: Date.now };
    await openReview(parts, { queue: job.name, id, tenant }, wanted);
    return result;
  }

  /** A result that is too large to stay in its job goes to the object store. */
  async #kept(result: unknown): Promise<unknown> {
    if (typeof result !== 'object' || result === null || this.#running.isOver) return result;
    const json = jsonOf(result);
    if (json.length * 3 <= inlineLimitBytes) return result;
    const bytes = Buffer.byteLength(json);
    if (bytes <= inlineLimitBytes) return result;
    if (bytes > offloadedLimitBytes)
      throw giveUp(
        'RESULT_INVALID',
        `The result has ${bytes} bytes of JSON, at most ${offloadedLimitBytes} are kept; store a file and return its object.`,
      );
    try {
      return await storeResult(this.#parts.services.objects, this.#running.claim, json);
    } catch (error) {
      throw this.#unanswered('result', error);
    }
  }

  async #handle(facts: AttemptFacts, payload: unknown, alone: boolean): Promise<unknown> {
    const { job } = this.#parts;
    if (alone || job.policy.isolation === 'child') {
      const pool = await this.#parts.children();
      const makeServices = (path: string): Services => this.#makeServices(facts, () => path);
      const attempt = { facts, signal: this.#running.signal, policy: job.policy };
      return parseResult(job, await pool.run(job.name, payload, makeServices, attempt));
    }
    const handler = await this.#parts.handler();
    const folder = (): string => this.#makeFolder();
    const services = this.#makeServices(facts, folder);
    return handler.run(payload, createContext(facts, services, { folder, signal: () => this.#running.signal }));
  }

  /** Whether there is anything to close; saves an await where there is not. */
  get isUsed(): boolean {
    return this.#folder !== undefined || this.#services?.isUsed === true;
  }

  /** After the outcome: stores pending notes and removes the folder. Does nothing where the handler asked for nothing. */
  async close(isDone: boolean): Promise<void> {
    try {
      await this.#services?.close(isDone);
    } finally {
      if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true, maxRetries: 3 });
    }
  }

  /** The store may answer later; what it answers must be what the producer stored. */
  async #fetchPayload(pointer: KeptPointer): Promise<unknown> {
    try {
      return await fetchKept(this.#parts.services.objects, pointer, this.#running.signal);
    } catch (error) {
      if (error instanceof KeptLostError)
        throw giveUp('PAYLOAD_LOST', `The payload ${error.message}`, { cause: error });
      throw this.#unanswered('payload', error);
    }
  }

  /** What the attempt fails with when the object store keeps or gives nothing. */
  #unanswered(what: string, error: unknown): unknown {
    this.#running.signal.throwIfAborted();
    // Its circuit is open: nobody was asked.
    if (error instanceof JobError) return error;
    const reason = error instanceof Error ? error.message : String(error);
    return retry('NETWORK', `The object store that keeps the ${what} did not answer: ${reason}`, 0, { cause: error });
  }

  #openSecrets(stored: unknown): unknown {
    const { job, secrets } = this.#parts;
    const { id, queue, tenant } = this.#running.claim;
    if (secrets === undefined) throw unreadable('This worker has no key; set ENCRYPTION_KEY.');
    try {
      return openFields(job.secretFields, stored, lockOf(secrets, queue, { id, tenant }));
    } catch (error) {
      if (error instanceof SecretError) throw unreadable(error.message, error);
      if (error instanceof PlainSecretError)
        throw giveUp('PAYLOAD_INVALID', `${error.message}; redriving the job encrypts it.`, { cause: error });
      throw error;
    }
  }

  #makeServices(facts: AttemptFacts, folder: () => string): OwnServices {
    const running = this.#running;
    const attempt = {
      facts,
      queue: running.claim.queue,
      sink: this.#sink,
      children: this.#sink.children,
      redact: this.#redact,
      isOver: () => running.isOver,
      signal: () => running.signal,
      onNoteError: this.#parts.onNoteError,
    };
    this.#services = new OwnServices(this.#parts.services, attempt, folder);
    return this.#services;
  }

  #makeFolder(): string {
    if (this.#running.isOver) throw retry('LOCKED', 'This attempt is over; its folder is gone.');
    return (this.#folder ??= mkdtempSync(join(this.#parts.workDir, 'jobfleet-attempt-')));
  }
}

export function createHandling(running: Running, sink: AttemptSink, parts: HandlingParts): Handling {
  return new Handling(running, sink, parts);
}

function unreadable(why: string, cause?: Error): JobError {
  return giveUp('SECRET_UNREADABLE', `A secret field of the payload: ${why}`, cause === undefined ? {} : { cause });
}

/** What a child says is parsed again here: it is not believed. */
function parseResult(job: Job, value: unknown): unknown {
  const parsed = job.result.safeParse(value);
  if (!parsed.success) throw giveUp('RESULT_INVALID', z.prettifyError(parsed.error));
  return parsed.data;
}

function jsonOf(result: object): string {
  try {
    return JSON.stringify(result);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw giveUp('RESULT_INVALID', `The result is no JSON: ${reason}`, { cause: error });
  }
}

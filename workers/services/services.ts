/** What a handler may ask for, answered by the worker: the same object serves a handler in process and, over its pipe, one in a child. */
import { createHash } from 'node:crypto';
import type { RecordStore } from '../../backends/backend.ts';
import type { Enqueued } from '../../jobs/define.ts';
import { giveUp, retry } from '../../jobs/errors.ts';
import type {
  ChildJob,
  FetchedInput,
  HttpAnswer,
  HttpRequest,
  LogLevel,
  ObjectLink,
  StoredObject,
} from '../../jobs/ports.ts';
import type { Documents } from '../../runtime/documents.ts';
import type { Breakers, CallOutcome, Pass } from '../breaker.ts';
import type { AttemptFacts, OnceAnswer, Services } from '../context.ts';
import type { Redact } from '../redact.ts';
import type { Ask } from './ask.ts';
import { attemptDocuments, type DocumentCalls } from './documents.ts';
import { createNotes, type NoteSink, type Notes } from './notes.ts';
import { type AttemptObjects, createObjects, type ObjectParts } from './objects.ts';
import { createOnce, type Once } from './once.ts';
import type { TakeQuota } from './quotas.ts';
import type { ShortLives } from './short-lives.ts';

/** Shared by all attempts of a process. */
export interface ServiceParts extends ObjectParts {
  readonly records: RecordStore;
  readonly shorten: ShortLives['shorten'];
  /** Undefined where documents are not kept. */
  readonly documents: Documents | undefined;
  readonly breakers: Pick<Breakers, 'enter'>;
  readonly ask: Ask;
  readonly takeQuota: TakeQuota;
  /** Throws `UNKNOWN_JOB` or `PAYLOAD_INVALID` where the client would. */
  readonly enqueue: (
    type: string,
    payload: unknown,
    options: { readonly tenant: string; readonly idempotencyKey: string; readonly delayMs?: number },
  ) => Promise<Enqueued>;
}

/** Per attempt. */
interface ServiceAttempt {
  readonly facts: AttemptFacts;
  readonly queue: string;
  readonly sink: NoteSink;
  /** Absent for a job without a queue. */
  readonly children?: (() => Promise<readonly ChildJob[]>) | undefined;
  /** Of a job with secret fields. */
  readonly redact?: Redact | undefined;
  /** True once the attempt has its outcome. */
  readonly isOver: () => boolean;
  readonly signal: () => AbortSignal;
  readonly onNoteError: (error: unknown) => void;
}

/** The parts are made when they are first asked for: most attempts need none of them. */
export class OwnServices implements Services {
  readonly #parts: ServiceParts;
  readonly #attempt: ServiceAttempt;
  readonly #folder: () => string;
  #once: Once | undefined = undefined;
  #notes: Notes | undefined = undefined;
  #objects: AttemptObjects | undefined = undefined;
  #documents: DocumentCalls | undefined = undefined;
  /** Calls of dependencies under way, by number; made by the first. */
  #calls: Map<number, Pass> | undefined = undefined;
  #lastCall = 0;
  /** What was enqueued under each key, hashed; made by the first. */
  #enqueued: Map<string, string> | undefined = undefined;

  constructor(parts: ServiceParts, attempt: ServiceAttempt, folder: () => string) {
    this.#parts = parts;
    this.#attempt = attempt;
    this.#folder = folder;
  }

  /** The handler noted something or began an effect: there is something to close. */
  get isUsed(): boolean {
    return this.#notes !== undefined || this.#once !== undefined || this.#calls !== undefined;
  }

  async onceBegin(key: string, whenUnknown: 'repeat' | 'skip'): Promise<OnceAnswer> {
    this.#refuseWhenOver();
    return this.#ownOnce().begin(key, whenUnknown);
  }

  /** Confirms even when the attempt is over: the effect has happened, and the fence refuses a stale writer. */
  onceEnd(key: string, result: unknown): Promise<void> {
    return this.#ownOnce().end(key, result);
  }

  onceForget(key: string): Promise<void> {
    return this.#ownOnce().forget(key);
  }

  async dependencyBegin(name: string): Promise<number> {
    this.#refuseWhenOver();
    const pass = this.#parts.breakers.enter(name.slice(0, 200));
    this.#calls ??= new Map();
    this.#lastCall += 1;
    this.#calls.set(this.#lastCall, pass);
    return this.#lastCall;
  }

  async dependencyEnd(call: number, outcome: CallOutcome): Promise<void> {
    this.#calls?.get(call)?.leave(outcome);
    this.#calls?.delete(call);
  }

  async http(request: HttpRequest): Promise<HttpAnswer> {
    this.#refuseWhenOver();
    const { facts, signal } = this.#attempt;
    const { quota } = request;
    if (quota === undefined) return this.#parts.ask(request, signal());
    return this.#parts.ask(request, signal(), (name) => this.#parts.takeQuota(quota, name, facts.tenant));
  }

  async enqueue(
    type: string,
    payload: unknown,
    options: { readonly key: string; readonly delayMs?: number },
  ): Promise<Enqueued> {
    this.#refuseWhenOver();
    const { facts } = this.#attempt;
    this.#refuseOther(type, payload, options.key);
    return this.#parts.enqueue(type, payload, {
      tenant: facts.tenant,
      // Deterministic: a retry of this job finds the job its earlier attempt added.
      idempotencyKey: `${facts.id}/${options.key}`,
      ...(options.delayMs === undefined ? {} : { delayMs: options.delayMs }),
    });
  }

  /** Another attempt may well say something else under a key; one that does so itself would lose a job. */
  #refuseOther(type: string, payload: unknown, key: string): void {
    const digest = createHash('sha256')
      .update(JSON.stringify([type, payload]))
      .digest('base64');
    this.#enqueued ??= new Map();
    const before = this.#enqueued.get(key);
    this.#enqueued.set(key, digest);
    if (before === undefined || before === digest) return;
    throw giveUp('PAYLOAD_INVALID', `ctx.enqueue(${type}): the key "${key}" was used for another job of this attempt.`);
  }

  progress(percent: number, note: string | undefined): void {
    const { redact } = this.#attempt;
    if (this.#attempt.isOver()) return;
    this.#ownNotes().progress(percent, note === undefined || redact === undefined ? note : redact.text(note));
  }

  log(level: LogLevel, message: string, facts: Readonly<Record<string, unknown>> | undefined): void {
    const { redact } = this.#attempt;
    if (this.#attempt.isOver()) return;
    if (redact === undefined) this.#ownNotes().log(level, message, facts);
    else this.#ownNotes().log(level, redact.text(message), facts && Object(redact.facts(facts)));
  }

  async children(): Promise<readonly ChildJob[]> {
    return (await this.#attempt.children?.()) ?? [];
  }

  async objectFetch(input: string, options: { readonly maxBytes: number }): Promise<FetchedInput> {
    this.#refuseWhenOver();
    return this.#ownObjects().fetch(input, options);
  }

  async objectPut(key: string, path: string, contentType: string): Promise<StoredObject> {
    this.#refuseWhenOver();
    return this.#ownObjects().put(key, path, contentType);
  }

  async objectHead(key: string): Promise<StoredObject | undefined> {
    this.#refuseWhenOver();
    return this.#ownObjects().head(key);
  }
  async objectLink(key: string): Promise<ObjectLink | undefined> {
    this.#refuseWhenOver();
    return this.#ownObjects().link(key);
  }

  get documents(): DocumentCalls {
    return (this.#documents ??= this.#openDocuments());
  }

  /** Stores what is still pending, and has the life of the once-records of a job that is done cut short. Does nothing when the handler asked for nothing. */
  async close(isDone: boolean): Promise<void> {
    // Of a child that died in the middle: a probe that nobody ends would keep its circuit half-open for ever.
    for (const pass of this.#calls?.values() ?? []) pass.leave('unknown');
    this.#calls?.clear();
    await this.#notes?.flush();
    if (isDone && this.#once !== undefined) this.#parts.shorten(this.#once.names());
  }

  /** A handler that was left behind at its time limit runs on: it must not act for a job that others have by now. */
  #refuseWhenOver(): void {
    if (this.#attempt.isOver()) throw retry('LOCKED', 'This attempt is over; nothing it asks for is done any more.');
  }

  #openDocuments(): DocumentCalls {
    const own = attemptDocuments(this.#parts.documents, this.#attempt.facts.tenant, this.#parts.breakers);
    const late =
      <A extends readonly unknown[], T>(call: (...args: A) => Promise<T>) =>
      async (...args: A): Promise<T> => {
        this.#refuseWhenOver();
        return call(...args);
      };
    return {
      get: late(own.get),
      put: late(own.put),
      putMany: late(own.putMany),
      page: late(own.page),
      remove: late(own.remove),
      removePrefix: late(own.removePrefix),
    };
  }

  #ownOnce(): Once {
    const { facts, queue } = this.#attempt;
    return (this.#once ??= createOnce(this.#parts.records, { queue, id: facts.id, fence: facts.fence }));
  }

  #ownNotes(): Notes {
    return (this.#notes ??= createNotes(this.#attempt.sink, this.#attempt.onNoteError));
  }

  #ownObjects(): AttemptObjects {
    const { facts, signal } = this.#attempt;
    return (this.#objects ??= createObjects(this.#parts, { tenant: facts.tenant, folder: this.#folder, signal }));
  }
}

/**
 * What a job type is, and the words we use for it.
 *
 *   job type      what kind of work: one folder under jobs/
 *   job           one piece of work: a job type, a payload, an id
 *   payload       validated input; result: validated output
 *   queue         where jobs of one type wait; same name as the job type
 *   claim         a worker takes a waiting job under a lease
 *   lease, fence  how long a claim holds unless renewed; the number that proves which claim writes
 *   attempt       one run of a handler for a job
 *   interruption  a run that ended for no fault of the job: deploy, crash, lost lease; counted apart
 *   outcome       done, retry, later or dead: what decide() made of an attempt
 *   dead letter   a job whose outcome is dead; it stays until redriven or discarded
 *   schedule      a cron rule that creates jobs; each of its ticks is one slot, and a slot runs once
 *   tenant        on whose behalf a job runs
 *   once-record   proof that an effect of a job has happened
 *
 * A folder has two doors. `job.ts` is light (zod and this file only), so that producers and the API load no codec;
 * `handler.ts` is heavy and is imported only by the process that runs the type.
 */
import { z } from 'zod';
import { giveUp } from './errors.ts';
import { defaultPolicy, type Level, type Policy } from './policy.ts';
import type { ChildJob, JobDependency, JobDocuments, JobHttp, JobObjects, LogLevel } from './ports.ts';
import type { Schedule } from './schedule.ts';
import { type SecretField, secretFieldsOf } from './secret-fields.ts';

/** What a job type says of a collection of `ctx.documents`. Made at boot where it is missing, by any number of processes. */
export interface Collection {
  /**
   * Fields (paths with dots) that queries sort by, at most three in one index, such as `['season', 'playedAt']`. They hold
   * scalars only, text of at most 500 bytes. An index that is new on a large collection keeps its writers waiting while it
   * is built.
   */
  readonly indexes?: readonly (readonly string[])[];
  /** How long a document lives after it was last written. Default: for ever. */
  readonly ttlMs?: number;
  /** What the licence of the data wants to be said wherever they are shown; exports say it in every row. */
  readonly attribution?: string;
}

export interface Job<Name extends string = string, P extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> {
  /** kebab-case, equal to the folder's name; also the queue's name. */
  readonly name: Name;
  /** Other names the HTTP API and the CLI accept, such as `video_transcoding`. */
  readonly aliases: readonly string[];
  /** One sentence for the board, the API documentation and the CLI. */
  readonly summary: string;
  readonly payload: P;
  readonly result: R;
  readonly policy: Policy;
  /** The fields of the payload that are marked as `secret`. */
  readonly secretFields: readonly SecretField[];
  /** What the store must be able to do for this type; elsewhere it is refused, with the reason. Default: nothing special. */
  readonly needs?: readonly 'flows'[];
  /**
   * The documents the type works with, by collection: `[a-z][a-z0-9_]*`, at most 48 characters. Several types may declare
   * the same one; their indexes add up. A type that declares any (`{}` counts) runs only where documents are kept.
   */
  readonly collections?: Readonly<Record<string, Collection>>;
  /** `optional`: the type runs without documents too; what then asks for them is `DOCUMENTS_MISSING`. Default `needed`. */
  readonly documents?: 'needed' | 'optional';
  /**
   * Parts of the type that a worker may lack while it runs the others, such as channels: by variables (`gaps` of the handler),
   * or by documents. The API refuses payloads of a part that no worker has (503 `TYPE_UNAVAILABLE`).
   */
  readonly parts?: {
    readonly names: readonly string[];
    /** Those that work where documents are kept only, of a type whose documents are `optional`. */
    readonly needDocuments?: readonly string[];
    /** Which one a payload needs. */
    of(payload: z.output<P>): string;
  };
  /** Jobs of this type that come by themselves. */
  readonly schedule?: Schedule<z.input<P>>;
  /** While a job with the same key is queued or running, enqueue answers with it (`duplicate: true`) and stores nothing. */
  uniqueKey?(payload: z.output<P>): string;
  /** What `policy.perKey` counts by: an account, a host, a mailbox. Undefined = this job is not counted. */
  limitKey?(payload: z.output<P>): string | undefined;
  /** Results of the type that a person has to look at. The job completes; its review stays open until somebody decides. */
  readonly review?: {
    /** What a reviewer may correct; a correction is parsed with it. */
    readonly data: z.ZodObject;
    /** Asked once for every result; undefined = nobody has to look. */
    of(result: z.output<R>): ReviewRequest | undefined;
  };
}

/** What a reviewer sees. */
export interface ReviewRequest {
  /** What was made of the input, for approval or correction; at most 64 KiB of JSON. */
  readonly data: Readonly<Record<string, unknown>>;
  /** Codes of what is doubtful. */
  readonly issues: readonly string[];
  /** 0 to 1. */
  readonly confidence: number;
  /** Pictures to look at: `object:<key>` of the job's tenant. They are deleted with the review, 45 days after it was opened. */
  readonly pages: readonly string[];
}

/** What a producer writes: defaults are optional. */
export type Input<J extends Job> = z.input<J['payload']>;
/** What a handler reads: defaults are filled. */
export type Payload<J extends Job> = z.output<J['payload']>;
/** What a handler returns. */
export type Result<J extends Job> = z.input<J['result']>;

type Written<N extends string, P extends z.ZodType, R extends z.ZodType> = Omit<
  Job<N, P, R>,
  'aliases' | 'policy' | 'secretFields'
> & {
  readonly aliases?: readonly string[];
  readonly policy?: Partial<Omit<Policy, 'child'>> & { readonly child?: Partial<Policy['child']> };
};

/** Declares a job type. What is left out of `policy` comes from `defaultPolicy`. */
export function defineJob<const N extends string, P extends z.ZodType, R extends z.ZodType>(
  job: Written<N, P, R>,
): Job<N, P, R> {
  const policy = { ...defaultPolicy, ...job.policy, child: { ...defaultPolicy.child, ...job.policy?.child } };
  const secretFields = Object.freeze(secretFieldsOf(job.payload).fields);
  return Object.freeze({ ...job, aliases: job.aliases ?? [], policy: Object.freeze(policy), secretFields });
}

export interface EnqueueOptions {
  /** Wait this long before the job may start; 0 to 366 days. Default 0. */
  readonly delayMs?: number;
  /** Overrides `policy.attempts` for this job; 1–100. */
  readonly attempts?: number;
  /** Default `normal`. Decides who goes first on types with `order: 'fair'`, and who is refused first when work piles up. */
  readonly level?: Level;
  /** Not started by then = dead letter `EXPIRED`. RFC 3339. */
  readonly startBy?: string;
  /** The same key (per tenant and job type) answers with the same job for `idempotencyTtlMs`. At most 255 characters. */
  readonly idempotencyKey?: string;
  /** How long the key is known; a minute to 45 days, default 24 hours. */
  readonly idempotencyTtlMs?: number;
  /**
   * What a later call with the same key may ask for. `same` (default): the same again, anything else is refused with
   * `IDEMPOTENCY_MISMATCH`. `any`: it is answered with the job of the first call, whatever it asks for.
   */
  readonly repeat?: 'same' | 'any';
  /** On whose behalf. Default `-`: nobody's. Lower-case letters, digits, `-` and `_`, at most 64. */
  readonly tenant?: string;
}

export interface Enqueued {
  readonly id: string;
  readonly type: string;
  readonly queue: string;
  /** `waiting` or `delayed` for a fresh job; the current state for a duplicate. */
  readonly status: string;
  /** True when an idempotency key or a unique key named a job that exists already. */
  readonly duplicate: boolean;
  /** RFC 3339. */
  readonly createdAt: string;
}

/** Why a signal aborted. `signal.reason` is an `Error` with this as `code`. */
export type AbortCode = 'CANCELLED' | 'TIMED_OUT' | 'SHUTDOWN' | 'LEASE_LOST';

/** What an attempt may touch. Members are function properties: destructure them freely. */
export interface JobContext {
  readonly id: string;
  readonly tenant: string;
  /** 1 on the first attempt. Interruptions do not count. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Grows with every claim. Database effects compare it, so that a run which lost its lease cannot write. */
  readonly fence: number;
  /** Aborts on cancel, time limit, shutdown and lost lease; pass it on. */
  readonly signal: AbortSignal;
  /** A folder of this attempt alone (0700), removed with everything in it when the attempt ends. */
  readonly folder: string;
  /** Masked, at most 200 lines a job; shown on the board. */
  readonly log: (message: string, facts?: Readonly<Record<string, unknown>>, level?: LogLevel) => void;
  /**
   * Runs an effect at most once per job and key, and replays its result (JSON, at most 16 KiB) to later attempts.
   * `whenUnknown` says what to do when an earlier attempt began the effect and nobody knows whether it happened:
   * `repeat` (default) where the receiver drops duplicates by the effect's own key, `skip` where it cannot (the answer
   * is then undefined). An effect that throws an error with `effect: 'none'` counts as never begun.
   */
  readonly once: <T>(key: string, effect: () => Promise<T>, whenUnknown?: 'repeat' | 'skip') => Promise<T | undefined>;
  /** 0–100, clamped, never falling, sent at most once a second. */
  readonly progress: (percent: number, note?: string) => void;
  /**
   * Adds another job on behalf of the same tenant. A retry of this job enqueues it once: `key` tells two of them apart. The
   * first payload stays, so it may hold what differs between attempts, such as a time.
   */
  readonly enqueue: <J extends Job>(
    job: J,
    payload: Input<J>,
    options: { readonly key: string; readonly delayMs?: number },
  ) => Promise<Enqueued>;
  /** The children of a flow that this job ran after, in no order; empty for every other job. At most 8 MiB of results in a child process. */
  readonly children: () => Promise<readonly ChildJob[]>;
  readonly objects: JobObjects;
  readonly documents: JobDocuments;
  readonly http: JobHttp;
  readonly dependency: JobDependency;
}

export interface OpenHandler {
  readonly run: (payload: unknown, ctx: JobContext) => Promise<unknown>;
  readonly close: () => Promise<void>;
}

export interface Handler {
  readonly job: Job;
  /** The variables this handler needs. A missing one makes the type unavailable, with the reason, and nothing else. */
  readonly env: z.ZodType;
  /** Why this machine cannot run the type (a program that is missing, and how to get it); undefined when it can. */
  readonly missing: () => Promise<string | undefined>;
  /** Parts of the type that cannot run with these values of the declared variables: name → one sentence; the rest runs. */
  readonly gaps: (env: unknown) => Readonly<Record<string, string>>;
  /** Imports what only a run needs, such as a codec. A spare child does it before its job comes. */
  readonly load: () => Promise<void>;
  /** Once per process. `env` are the values of the declared variables. */
  readonly open: (env: unknown) => Promise<OpenHandler>;
}

function parse<S extends z.ZodType>(schema: S, value: unknown, code: string): z.output<S> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw giveUp(code, z.prettifyError(parsed.error));
  return parsed.data;
}

/** Binds the heavy door to its job. The payload is parsed before `run` and the result after it. */
export function defineHandler<
  J extends Job,
  E extends z.ZodType = z.ZodObject<Record<never, never>>,
  O extends { readonly close?: () => Promise<void> | void } = Record<never, never>,
>(
  job: J,
  spec: {
    readonly env?: E;
    readonly missing?: () => Promise<string | undefined>;
    /** Parts (`parts` of the job) that lack a variable, by name: said at the start, by `doctor`, and to those who add such jobs. */
    readonly gaps?: (env: z.output<E>) => Readonly<Record<string, string>>;
    /** `() => import('./heavy.ts')`; `open` or `run` import the same file where they use it. */
    readonly load?: () => Promise<unknown>;
    readonly open?: (env: z.output<E>) => O | Promise<O>;
    readonly run: (payload: Payload<J>, ctx: JobContext, own: O) => Promise<Result<J>>;
  },
): Handler {
  const env: z.ZodType = spec.env ?? z.object({});
  return {
    job,
    env,
    missing: spec.missing ?? (async () => undefined),
    gaps: (values) => spec.gaps?.(env.parse(values) as z.output<E>) ?? {},
    async load() {
      await spec.load?.();
    },
    async open(values) {
      const own = ((await spec.open?.(env.parse(values) as z.output<E>)) ?? {}) as O;
      return {
        run: async (payload, ctx) => {
          const input = parse(job.payload, payload, 'PAYLOAD_INVALID') as Payload<J>;
          return parse(job.result, await spec.run(input, ctx, own), 'RESULT_INVALID');
        },
        close: async () => {
          await own.close?.();
        },
      };
    },
  };
}

/**
 * An input file of a payload: `object:<key>` (made by POST /v1/uploads), `s3://bucket/key` of an allowed bucket, or
 * `https://`. `jobfleet enqueue TYPE --file F` uploads F and fills the field that carries this mark.
 */
export const inputFile = (): z.ZodString =>
  z
    .string()
    .max(2_048)
    .regex(
      /^(object:[^\s]+|s3:\/\/[^\s/]+\/[^\s]+|https:\/\/[^\s]+)$/u,
      'expected object:<key>, s3://bucket/key or https://…',
    )
    .meta({ file: true });

/**
 * A field that nobody but the handler may read, such as a password or a token: encrypted under `ENCRYPTION_KEY` before
 * the job is stored, opened in the worker. Wherever else the payload is shown or searched it is not there.
 */
export const secret = <S extends z.ZodType>(schema: S): S => schema.meta({ secret: true, writeOnly: true });

/**
 * kill -9 of worker processes at every step of an effect, and the fleet takes over: before and after the intent of a message
 * is noted, while the receiver has it, before and after it is confirmed; before the first write of a job that writes, after
 * it, after a later one, and when all is written but its end is not stored. What the receivers got and what is kept in the
 * end is what docs/reliability.md promises: text messages and pushes at most once, webhooks and mails under one name that
 * receivers know again, notes, files, matches and tables as if nothing had happened.
 *
 * A kill counts for a job when its process was killed while the job stood at its step. EFFECT_KILLS is how many of them
 * each step of each kind gets, two by default; up to four jobs of each kind are in one process. Long because
 * one fleet dies at all steps of all kinds at once.
 */
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { generateVAPIDKeys } from 'web-push';
import { loadRegistry } from '../jobs/registry.ts';
import { type Documents, mergeCollections } from '../runtime/documents.ts';
import { mongoPools, openDocuments } from '../runtime/open-documents.ts';
import { international } from './support/cricket.ts';
import { crowding } from './support/crowding.ts';
import { openStage, type Stage, type WorkerProcess } from './support/fleet.ts';
import { type FreshStore, storeChoices } from './support/fresh-stores.ts';
import { type Hold, type Step, steps } from './support/holding.ts';
import {
  answer,
  madeUpSecret,
  makeDevice,
  openGoogle,
  openReceiver,
  type Received,
  type Receiver,
  type Respond,
} from './support/receivers.ts';
import { openSmtpSink, type SmtpSink } from './support/smtp-sink.ts';

const kills = Number(process.env['EFFECT_KILLS'] ?? 2);
/** Fewer than the mailer has connections: while it holds some, others must come through. */
const together = Math.min(kills, 4);
vi.setConfig({ testTimeout: 600_000 + kills * 60_000, hookTimeout: 120_000 });

/** Messages to somebody outside: a once-record each. */
const senders = ['sms', 'web', 'app', 'hook', 'mail'] as const;
/** Jobs that only write, and which of their writes is the step `effect`. */
const writers = { note: 1, export: 2, match: 3, ranking: 2 } as const;
type Sender = (typeof senders)[number];
type Writer = keyof typeof writers;

interface Victim {
  /** Also its tenant, and what its receiver knows it by. */
  readonly tag: string;
  readonly kind: Sender | Writer;
  readonly step: Step;
  readonly id: string;
}

const rounds = steps.flatMap((step) =>
  Array.from({ length: Math.ceil(kills / together) }, (_, at) => ({
    step,
    name: `${step.replace(' ', '-')}-${at}`,
    count: Math.min(together, kills - at * together),
  })),
);
type Round = (typeof rounds)[number];

/** PostgreSQL, and Redis with MongoDB, where they are: what the embedded store does is what PostgreSQL does. */
const stores = storeChoices('effects').slice(-2);
const device = makeDevice();
const vapid = generateVAPIDKeys();
const match = JSON.stringify(
  international('T20', { date: '2024-04-01', teams: ['India', 'Australia'], winner: 'India' }),
);
const shownIn = [
  ['stats_tables', 'points_table_rows'],
  ['stats_tables', 'player_statistics'],
  ['ranking_tables', 'rankings'],
] as const;

describe.each(stores)('on $name', ({ name, open }) => {
  let store: FreshStore;
  let stage: Stage;
  let documents: Documents;
  let receiver: Receiver;
  let google: Awaited<ReturnType<typeof openGoogle>>;
  let sink: SmtpSink;
  /** Message-IDs that reached the mail server, answered or not, by the receiver's name. */
  const mails: { readonly tag: string; readonly id: string }[] = [];
  const victims: Victim[] = [];
  let deaths = 0;

  beforeAll(async () => {
    store = await open();
    [stage, receiver, google] = await Promise.all([
      openStage(store.queueUrl, 'real'),
      openReceiver(respond),
      openGoogle(),
    ]);
    sink = await openSmtpSink({
      onData(stream, session, done) {
        // A sender that dies inside its message has sent none.
        text(stream).then((source) => {
          const tag = session.envelope.rcptTo[0]?.address.split('@')[0] ?? '';
          const isFirst = !arrivals().has(tag);
          mails.push({ tag, id: /^Message-ID: <(.*)>/im.exec(source)?.[1] ?? '' });
          if (!isHeld(tag, isFirst)) done();
        }, done);
      },
    });
    google.respond(respond);
    const { backend } = await stage.open();
    const collections = mergeCollections([...(await loadRegistry()).jobs.values()].map((job) => job.collections));
    const opened = await openDocuments(collections, {
      mongoUrl: store.mongoUrl,
      sql: backend.sql,
      pool: mongoPools.worker,
    });
    if (opened === undefined) throw new Error('expected a store that keeps documents');
    documents = opened;
  });
  afterAll(async () => {
    await documents.close();
    await stage.close();
    await sink.close();
    await receiver.close();
    await google.close();
    await store.drop();
  });

  /** The first message of a job that is to be killed while its receiver has it gets no answer. */
  const isHeld = (tag: string, isFirst: boolean): boolean => isFirst && tag.includes('-effect-');
  const respond: Respond = (response, received, request) => {
    const tag = tagOf(received);
    if (isHeld(tag, arrivals().get(tag) === 1)) return;
    answer(200, {}, { sid: 'SM1', name: 'projects/demo-project/messages/1' })(response, received, request);
  };
  /** How often each message has arrived so far. */
  const arrivals = (): ReadonlyMap<string, number> => {
    const counts = new Map<string, number>();
    for (const tag of [...receiver.received, ...google.messages()].map(tagOf).concat(mails.map((one) => one.tag)))
      counts.set(tag, (counts.get(tag) ?? 0) + 1);
    return counts;
  };

  const start = (hold?: Hold): Promise<WorkerProcess> =>
    stage.start({
      ...(hold === undefined ? {} : { HOLD: JSON.stringify(hold) }),
      ...(store.mongoUrl === undefined ? {} : { MONGODB_URL: store.mongoUrl }),
      CONCURRENCY: '40',
      LEASE_MS: '5000',
      HTTP_ALLOW: `${receiver.host},${google.host}`,
      QUEUES: 'data-export,email-sending,match-aggregation,notification-sending,ranking-update,stats-calculation',
      FCM_SERVICE_ACCOUNT: google.account,
      FCM_URL: google.url,
      RANKING_MIN_MATCHES: '1',
      SMTP_URL: sink.url,
      TWILIO_ACCOUNT_SID: 'AC1',
      TWILIO_AUTH_TOKEN: 'token-of-the-test',
      TWILIO_FROM: '+15005550006',
      TWILIO_URL: receiver.url,
      VAPID_PRIVATE_KEY: vapid.privateKey,
      VAPID_PUBLIC_KEY: vapid.publicKey,
      VAPID_SUBJECT: 'mailto:ops@example.com',
      WEBHOOK_SECRETS: `*=${madeUpSecret('s')}`,
    });

  const payloadOf = async (kind: Victim['kind'], tag: string): Promise<object> => {
    const shown = { userId: tag, title: 'T', body: tag };
    switch (kind) {
      case 'sms':
        return { ...shown, channel: 'sms', to: '+919812345678' };
      case 'web':
        return { ...shown, channel: 'push', to: { endpoint: `${receiver.url}/push/${tag}`, keys: device.keys } };
      case 'app':
        return { ...shown, channel: 'push', to: `device-token-of-the-test:${tag}` };
      case 'hook':
        return { ...shown, channel: 'webhook', to: `${receiver.url}/hook/${tag}` };
      case 'note':
        return { ...shown, channel: 'in-app' };
      case 'mail':
        return { to: `${tag}@example.com`, template: 'welcome' };
      case 'export':
        await documents.of(tag).put('cache', { _id: 'm1', note: 'one' });
        return {
          collection: 'cache',
          columns: [{ field: '_id' }],
          format: 'csv',
          notify: { email: `${tag}@example.com` },
        };
      case 'match': {
        const key = `t/${tag}/uploads/one/7.json`;
        await stage.objects.put(key, Buffer.from(match), { contentType: 'application/json' });
        return { source: `object:${key}` };
      }
      case 'ranking': {
        // What the calm one has taken in, without the table that was made of it.
        for (const collection of ['matches', 'match_changes']) {
          const { items } = await documents.of('calm').page(collection, {});
          await documents.of(tag).putMany(
            collection,
            items.map(({ _version, ...one }) => one),
          );
        }
        return { format: 't20i' };
      }
    }
  };

  const add = async (kind: Victim['kind'], tag: string): Promise<string> => {
    const { client } = await stage.open();
    const { jobs } = await loadRegistry();
    const job = jobs.get(typeOf(kind));
    if (job === undefined) throw new Error(`no job type for ${kind}`);
    return (await client.enqueue(job, await payloadOf(kind, tag), { tenant: tag })).id;
  };

  const isAtStep = ({ kind, tag, id, step }: Victim, output: string, seen: ReadonlyMap<string, number>): boolean => {
    if (kind in writers) return output.includes(`held ${tag}\n`);
    return step === 'effect' ? seen.has(tag) : output.includes(`held ${typeOf(kind)}:${id}\n`);
  };

  /** A process for the jobs of a round and what the one before left, killed when each job of the round is at its step. */
  const runRound = async ({ step, name: round, count }: Round): Promise<void> => {
    const kinds = [...senders, ...(step === 'after confirm' ? [] : (Object.keys(writers) as Writer[]))];
    const tags = kinds.flatMap((kind) =>
      Array.from({ length: count }, (_, n) => ({ kind, tag: `${kind}-${round}-${n}` })),
    );
    const hold: Hold = {
      step,
      writers: Object.fromEntries(
        tags.flatMap(({ kind, tag }) => (kind in writers ? [[tag, holdOf(kind as Writer, step)]] : [])),
      ),
    };
    const worker = await start(hold);
    // First what the process before has left: nobody dies twice, and nobody waits so long at a step that time runs out.
    for (const { id } of victims.slice(-9 * together)) await stage.reaches(id, 'completed', 'failed');
    const own: Victim[] = [];
    for (const { kind, tag } of tags) own.push({ kind, tag, step, id: await add(kind, tag) });
    victims.push(...own);
    await vi.waitFor(
      () => {
        const seen = arrivals();
        const missing = own.filter((one) => !isAtStep(one, worker.output(), seen));
        if (missing.length > 0)
          throw new Error(`${missing.map(({ tag }) => tag).join(' ')} not at "${step}"\n${worker.output()}`);
      },
      { timeout: 45_000 * crowding(), interval: 20 },
    );
    worker.child.kill('SIGKILL');
    await worker.exited;
    deaths += 1;
  };

  it('the calm one: nobody dies', async () => {
    const worker = await start();
    await stage.reaches(await add('match', 'calm'), 'completed');
    await settled();
    worker.child.kill('SIGTERM');
    await worker.exited;
    expect((await tablesOf('calm'))['rankings']).toHaveLength(2);
  });

  it(`every process dies, ${rounds.length} of them`, async () => {
    for (const round of rounds) await runRound(round);
    await start();
    for (const { id, tag } of victims) {
      const { status, interruptions, error } = await stage.reaches(id, 'completed', 'failed');
      expect({ tag, status, error, wasKilled: interruptions > 0 }).toEqual({
        tag,
        status: 'completed',
        error: null,
        wasKilled: true,
      });
    }
    await settled();
    const each = rounds.map(({ step, count }) => `${step} ${count}`);
    process.stdout.write(`${name}: ${deaths} processes killed, ${victims.length} jobs in them (${each.join(', ')})\n`);
  });

  it.each(steps)('killed at "%s", messages arrive as often as promised', async (step) => {
    const { client } = await stage.open();
    const seen = new Map<string, number>();
    const counts = arrivals();
    for (const { kind, tag, id } of victims.filter((one) => one.step === step && !(one.kind in writers))) {
      const { result } = (await client.status(id)) ?? {};
      const status = kind === 'mail' ? 'sent' : (result as { status: string }).status;
      const line = `${kind} ${counts.get(tag) ?? 0} ${status}`;
      seen.set(line, (seen.get(line) ?? 0) + 1);
    }
    const [once, named] = promised[step];
    const lines = senders.map((kind) => {
      const [count, status] = kind === 'hook' || kind === 'mail' ? named : once;
      return [`${kind} ${count} ${status}`, kills] as const;
    });
    expect(seen).toEqual(new Map(lines));
  });

  it('what is sent again has the name it had', () => {
    const names = new Map<string, Set<string>>();
    const note = (tag: string, id: string): void => void names.set(tag, (names.get(tag) ?? new Set()).add(id));
    for (const { tag, id } of mails) note(tag, id);
    for (const one of receiver.received)
      if (one.path.startsWith('/hook/')) note(tagOf(one), one.headers['webhook-id'] ?? '');
    const several = [...names].filter(([, ids]) => ids.size !== 1);
    expect(several).toEqual([]);
    // One mail of each export, and those that were jobs of their own.
    const mailed = victims.filter(({ kind }) => kind === 'mail' || kind === 'export').map(({ tag }) => tag);
    expect(mailed.filter((tag) => names.has(tag))).toEqual(mailed);
  });

  it('notes, files, matches and tables are as if nothing had happened', async () => {
    const calm = await tablesOf('calm');
    for (const victim of victims.filter(({ kind }) => kind in writers))
      expect(await keptOf(victim), victim.tag).toEqual(wantedOf(victim, calm));
    const count = (kind: Victim['kind']): number => victims.filter((one) => one.kind === kind).length;
    const { backend } = await stage.open();
    const done = async (type: string) => (await backend.queue(type).getJobCounts('completed'))['completed'];
    expect({
      statistics: await done('stats-calculation'),
      rankings: await done('ranking-update'),
      mails: await done('email-sending'),
    }).toEqual({
      statistics: 2 * (count('match') + 1),
      rankings: count('match') + 1 + count('ranking'),
      mails: count('mail') + count('export'),
    });
  });

  /** Rows as readers see them, and the matches with their versions: how often each was written. */
  const tablesOf = async (tenant: string): Promise<Record<string, unknown[]>> => {
    const own = documents.of(tenant);
    const { items } = await own.page('matches', { limit: 1_000 });
    const tables: Record<string, unknown[]> = {
      matches: items.map(({ written: _written, source: _source, ...one }) => one),
    };
    for (const [heads, rowsIn] of shownIn) {
      for (const { _id: table, label } of (await own.page(heads, {})).items) {
        const rows = (await own.page(rowsIn, { filter: { table, label: String(label) }, limit: 1_000 })).items;
        const shown = rows.map(({ _id, _version, label: _label, inputs: _inputs, ...row }) => row);
        tables[rowsIn] = [...(tables[rowsIn] ?? []), ...shown];
      }
    }
    return tables;
  };

  /** What a job that writes has left, whatever became of it on the way. */
  const keptOf = async ({ kind, tag }: Victim): Promise<unknown> => {
    const own = documents.of(tag);
    if (kind === 'note') return (await own.page('notifications', {})).items.map(({ _id, _version }) => [_id, _version]);
    if (kind === 'export') return keysOf(`t/${tag}/exports/`);
    const tables = await tablesOf(tag);
    if (kind === 'ranking') return tables['rankings'];
    const sources = await keysOf(`t/${tag}/cricket/`);
    return { tables, open: (await own.page('match_intakes', {})).items, sources: sources.length };
  };

  const keysOf = async (prefix: string): Promise<string[]> => {
    const keys: string[] = [];
    for await (const { key } of stage.objects.list(prefix)) keys.push(key);
    return keys;
  };

  const settled = async (): Promise<void> => {
    const { backend } = await stage.open();
    await vi.waitFor(async () => {
      for (const type of ['email-sending', 'stats-calculation', 'ranking-update']) {
        const busy = await backend.queue(type).getJobCounts('waiting', 'prioritized', 'active', 'delayed');
        expect([type, ...Object.values(busy)]).toEqual([type, 0, 0, 0, 0]);
      }
    }, 45_000 * crowding());
  };
});

function wantedOf({ kind, tag, id }: Victim, calm: Readonly<Record<string, unknown>>): unknown {
  if (kind === 'note') return [[id, 1]];
  if (kind === 'export') return [`t/${tag}/exports/${id}/cache.csv`];
  return kind === 'ranking' ? calm['rankings'] : { tables: calm, open: [], sources: 1 };
}

const types: Readonly<Partial<Record<Victim['kind'], string>>> = {
  mail: 'email-sending',
  export: 'data-export',
  match: 'match-aggregation',
  ranking: 'ranking-update',
};

function typeOf(kind: Victim['kind']): string {
  return types[kind] ?? 'notification-sending';
}

function holdOf(kind: Writer, step: Step): Hold['writers'][string] {
  if (step === 'before confirm') return { type: typeOf(kind) };
  if (step === 'effect') return { write: writers[kind], when: 'after' };
  return { write: 1, when: step === 'before intent' ? 'before' : 'after' };
}

function tagOf({ path, body }: Received): string {
  if (path.startsWith('/hook/') || path.startsWith('/push/')) return path.slice('/hook/'.length);
  if (path.includes('messages:send')) return /"body":"([^"]+)"/.exec(body.toString())?.[1] ?? '';
  return new URLSearchParams(body.toString()).get('Body')?.split('\n').at(-1) ?? '';
}

/** Sends that reached the receiver, and what the job answered; [at most once, under one name]. */
const promised: Readonly<Record<Step, readonly [readonly [number, string], readonly [number, string]]>> = {
  'before intent': [
    [1, 'sent'],
    [1, 'sent'],
  ],
  'after intent': [
    [0, 'unknown'],
    [1, 'sent'],
  ],
  effect: [
    [1, 'unknown'],
    [2, 'sent'],
  ],
  'before confirm': [
    [1, 'unknown'],
    [2, 'sent'],
  ],
  'after confirm': [
    [1, 'sent'],
    [1, 'sent'],
  ],
};

/**
 * kill -9 at every step of an effect, fifty jobs of each channel at a time: before and after its intent is noted, while
 * the receiver has it, before and after it is confirmed. What the receivers got in the end is what docs/reliability.md
 * promises: text messages and pushes at most once, webhooks and mails under one name that receivers know again.
 */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { generateVAPIDKeys } from 'web-push';
import { runJob } from '../workers/testing.ts';
import { program } from './support/compiled.ts';
import { handlers, type Order, type Step } from './support/effect-process.ts';
import { openStage, type Stage } from './support/fleet.ts';
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

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });
const each = 50;
const channels = ['sms', 'web', 'app', 'hook', 'mail'] as const;
type Channel = (typeof channels)[number];

let stage: Stage;
let receiver: Receiver;
let google: Awaited<ReturnType<typeof openGoogle>>;
let sink: SmtpSink;
/** Message-IDs that reached the mail server, answered or not. */
const mails: string[] = [];
let isHolding = false;
beforeAll(async () => {
  [stage, receiver, google] = await Promise.all([openStage('postgres', 'real'), openReceiver(respond), openGoogle()]);
  sink = await openSmtpSink({
    onData(stream, _session, done) {
      void text(stream).then((source) => {
        mails.push(/^Message-ID: <(.*)@/im.exec(source)?.[1] ?? '');
        if (!isHolding) done();
      });
    },
  });
  google.respond(respond);
});
afterAll(async () => {
  await sink.close();
  await receiver.close();
  await google.close();
  await stage.close();
});

const respond: Respond = (response, received, request) => {
  if (isHolding) return;
  answer(200, {}, { sid: 'SM1', name: 'projects/demo-project/messages/1' })(response, received, request);
};

const device = makeDevice();
const vapid = generateVAPIDKeys();
const environment = (): Record<string, string> => ({
  FCM_SERVICE_ACCOUNT: google.account,
  FCM_URL: google.url,
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

/** Each job's receiver tells it from the others by something of its own. */
function jobOf(channel: Channel, step: Step, n: number): Order['jobs'][number] {
  const id = `${channel}-${step.replace(' ', '-')}-${n}`;
  const shown = { userId: id, title: 'T', body: id };
  const payloads: Readonly<Record<Channel, unknown>> = {
    sms: { ...shown, channel: 'sms', to: '+919812345678' },
    web: { ...shown, channel: 'push', to: { endpoint: `${receiver.url}/push/${id}`, keys: device.keys } },
    app: { ...shown, channel: 'push', to: `device-token-of-the-test:${id}` },
    hook: { ...shown, channel: 'webhook', to: `${receiver.url}/hook/${id}` },
    mail: { to: 'ada@example.com', template: 'welcome' },
  };
  return { id, type: channel === 'mail' ? 'email' : 'notification', payload: payloads[channel] };
}

/** What arrived so far, by the id of its job. */
function arrivals(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const count = (id: string): void => void counts.set(id, (counts.get(id) ?? 0) + 1);
  for (const one of receiver.received) count(idOf(one));
  for (const { body } of google.messages()) count(/"body":"([^"]+)"/.exec(body.toString())?.[1] ?? '');
  for (const id of mails) count(id);
  return counts;
}

function idOf({ path, headers, body }: Received): string {
  if (path.startsWith('/hook/')) return headers['webhook-id'] ?? '';
  if (path.startsWith('/push/')) return path.slice('/push/'.length);
  return new URLSearchParams(body.toString()).get('Body')?.split('\n').at(-1) ?? '';
}

/** Runs the first attempts in a process of their own and kills it when all of them are at the step. */
async function killAt(step: Step, jobs: Order['jobs']): Promise<void> {
  const { queueUrl } = stage;
  const order: Order = { queueUrl, step, jobs, env: environment(), allow: [receiver.host, google.host] };
  const child = spawn(process.execPath, [...program('tests/support/effect-process.ts'), JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  const exited = new Promise((resolve) => child.once('exit', resolve));
  try {
    await vi.waitFor(
      () => {
        const seen = arrivals();
        const isThere = ({ id }: { readonly id: string }) => seen.has(id);
        const there =
          step === 'effect' ? jobs.filter(isThere).length : output.split('\n').filter((one) => one === '.').length;
        if (there !== jobs.length)
          throw new Error(`${there} of ${jobs.length} are at "${step}"\n${output.slice(-2_000)}`);
      },
      { timeout: 45_000, interval: 20 },
    );
  } finally {
    child.kill('SIGKILL');
    await exited;
  }
  expect(output).not.toContain('ended');
}

/** The next attempt, as the worker that takes the job over would run it; answers what became of the notification. */
async function runAgain({ id, type, payload }: Order['jobs'][number]): Promise<string> {
  const { backend } = await stage.open();
  const http = { allow: [receiver.host, google.host] };
  const options = { id, records: backend.records, attempt: 2, env: environment(), http };
  await using run = await runJob(handlers[type], payload, options);
  expect(run.outcome, `${id}: ${run.error?.message}`).toEqual({ state: 'done' });
  return type === 'email' ? 'sent' : (run.result as { status: string }).status;
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

it.each(Object.keys(promised) as Step[])(
  'killed at "%s", fifty jobs of every channel keep what is promised',
  async (step) => {
    const jobs = channels.flatMap((channel) => Array.from({ length: each }, (_, n) => jobOf(channel, step, n)));
    isHolding = step === 'effect';
    await killAt(step, jobs);
    isHolding = false;
    const statuses = new Map<string, string>();
    // As many at a time as the process that was killed had of each channel.
    for (let from = 0; from < jobs.length; from += each)
      await Promise.all(jobs.slice(from, from + each).map(async (job) => statuses.set(job.id, await runAgain(job))));
    const sends = arrivals();
    const seen = new Map<string, number>();
    for (const [id, status] of statuses) {
      const line = `${id.split('-')[0]} ${sends.get(id) ?? 0} ${status}`;
      seen.set(line, (seen.get(line) ?? 0) + 1);
    }
    const [once, named] = promised[step];
    const lines = channels.map((channel) => {
      const [count, status] = channel === 'hook' || channel === 'mail' ? named : once;
      return [`${channel} ${count} ${status}`, each] as const;
    });
    expect(seen).toEqual(new Map(lines));
  },
);

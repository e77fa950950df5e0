/**
 * M6: mails a second of the e-mail handler over its pooled SMTP connections, against bare nodemailer with the same pool
 * and the same message. The server is a process of its own. Ours parses the payload, renders the template and checks.
 */
import { cp } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createTransport } from 'nodemailer';
import handler from '../jobs/email-sending/handler.ts';
import { loadTemplates } from '../jobs/email-sending/templates.ts';
import { bareContext } from './context.ts';
import { atLeast, type BenchOptions, type Goal, goal, type Round } from './goal.ts';
import { startSmtp } from './smtp-server.ts';

const atOnce = 20;
const to = 'ada@example.com';
const from = 'no-reply@localhost';

/** Mails a second. */
async function paced(count: number, send: (index: number) => Promise<unknown>): Promise<number> {
  const left = Array.from({ length: count }, (_, index) => index).values();
  const started = performance.now();
  const lane = async (): Promise<void> => {
    for (const index of left) await send(index);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return (count * 1_000) / (performance.now() - started);
}

/** Goal: at least 0.9 of the mails a second of bare nodemailer. */
export async function run({ quick }: BenchOptions): Promise<Goal[]> {
  // The compiler copies code only.
  const templates = 'jobs/email-sending/templates';
  await cp(resolve(templates), fileURLToPath(new URL(`../${templates}`, import.meta.url)), { recursive: true });
  const { port, url, stop } = await startSmtp();
  const ours = await handler.open({ SMTP_URL: url, MAIL_FROM: from });
  const theirs = createTransport({ pool: true, host: '127.0.0.1', port, secure: false, maxConnections: 5 });
  const { subject, html, text } = (await loadTemplates()).render('welcome', 'en', {});
  const sendOurs = (index: number) => ours.run({ to, template: 'welcome' }, bareContext({ id: `mail-${index}` }));
  const sendTheirs = (index: number) =>
    theirs.sendMail({ from, to, subject, html, text, messageId: `<mail-${index}@localhost>` });
  const count = quick ? 200 : 500;
  const rounds: Round[] = [];
  try {
    // Connections and compiled code first.
    for (const send of [sendOurs, sendTheirs]) await paced(100, send);
    for (let round = 0; round < (quick ? 3 : 5); round += 1)
      rounds.push({ theirs: await paced(count, sendTheirs), ours: await paced(count, sendOurs) });
  } finally {
    await ours.close();
    theirs.close();
    stop();
  }
  return [goal({ goal: 'M6', name: `mails/s, ${atOnce} at once`, backend: '-' }, rounds, atLeast(0.9, 0.7))];
}

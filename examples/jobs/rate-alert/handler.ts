import { z } from 'zod';
import { defineHandler } from '../../../jobs/define.ts';
import { giveUp, retry } from '../../../jobs/errors.ts';
import notificationSending from '../../../jobs/notification-sending/job.ts';
import { changesOf } from './changes.ts';
import rateAlert from './job.ts';

const latest = z.object({
  base: z.string().regex(/^[A-Z]{3}$/),
  at: z.iso.datetime({ offset: true }),
  rates: z.record(z.string().regex(/^[A-Z]{3}$/), z.number().positive()),
});

export default defineHandler(rateAlert, {
  async run({ url, userId, ...limits }, { documents, enqueue, http, log }) {
    const answer = await http({ url, headers: { accept: 'application/json' }, maxBytes: 262_144 });
    if (answer.status !== 200) throw retry(`HTTP_${answer.status}`, 'the source of rates did not answer with 200');
    const parsed = latest.safeParse(parseJson(answer.body));
    if (!parsed.success) throw giveUp('BAD_SOURCE', `these are no rates: ${z.prettifyError(parsed.error)}`);
    const { base, at, rates } = parsed.data;
    const before = latest.shape.rates.parse((await documents.get('rates', base))?.['rates'] ?? {});
    const changes = changesOf(before, rates, limits);
    for (const { currency, percent, severity } of changes) {
      const title = `${base}/${currency} ${percent > 0 ? '+' : ''}${percent.toFixed(1)} % (${severity})`;
      const body = `From ${before[currency]} to ${rates[currency]} at ${at}.`;
      // The key is of the rate, not of the run: a retry finds the note it has made.
      await enqueue(notificationSending, { channel: 'in-app', userId, title, body }, { key: `${currency}/${at}` });
      log(title, { severity }, severity === 'medium' ? 'warn' : 'error');
    }
    // Last: a run that dies before compares with the same rates again.
    await documents.put('rates', { _id: base, rates, at });
    return { compared: Object.keys(rates).length, alerts: changes.length };
  },
});

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    return undefined; // The schema says what was expected.
  }
}

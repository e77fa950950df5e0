import { createHash } from 'node:crypto';
import { defineHandler } from '../../../../jobs/define.ts';
import job from './job.ts';

/** What a handler that means no harm says all the same. */
function leak(token: string, log: (message: string, facts?: Readonly<Record<string, unknown>>) => void): never {
  const address = `https://user:${encodeURIComponent(token)}@example.com/`;
  const basic = Buffer.from(token).toString('base64');
  const error = new Error(`401 of ${address}`, { cause: new Error(`Basic ${basic} with ${token}`) });
  log(`asking ${address}`, { headers: { 'x-anything': token }, list: [{ deep: token }], error });
  throw Object.assign(error, { request: { body: JSON.stringify({ token }) } });
}

export default defineHandler(job, {
  async run({ act, token, accounts, note }, { log, progress, enqueue }) {
    if (act === 'leak') {
      progress(50, `with ${token}`);
      leak(token, log);
    }
    if (act === 'pass') await enqueue(job, { token, accounts, note: `${note} passed on` }, { key: 'next' });
    const pins = accounts.reduce((sum, { pin = 0 }) => sum + pin, 0);
    return { sha256: createHash('sha256').update(`seen ${token}`).digest('hex'), pins };
  },
});

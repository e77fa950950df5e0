/** A worker process whose children never end: `worker-with-children.ts <base> <level> <how>`. Prints each child's folder. */
import { extname } from 'node:path';
import { defaultPolicy } from '../../jobs/policy.ts';
import { openPool } from '../../workers/isolate/pool.ts';
import { recordServices } from './children.ts';

const [base = '', level = '', how = ''] = process.argv.slice(2);
const policy = { ...defaultPolicy, isolation: 'child' as const };
const handlerUrl = new URL(`jobs/trouble/handler${extname(import.meta.url)}`, import.meta.url).href;
const pool = await openPool({
  types: [{ name: 'trouble', handlerUrl, policy, env: {}, spares: 1 }],
  log: { warn: () => undefined, error: () => undefined },
  environment: process.env,
  base,
  atMost: level === 'limits' ? 'limits' : 'namespaces',
});
const recorded = recordServices();
const facts = { id: 'trouble_1', tenant: '-', attempt: 1, maxAttempts: 1, fence: 1 };
const signal = new AbortController().signal;
void pool.run('trouble', { how }, recorded.services, { facts, signal, policy });
await recorded.progressed;
process.stdout.write(`${recorded.folder()}\n`);

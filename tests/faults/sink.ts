/**
 * The effect sink: a process of its own that stands for mail servers, webhook receivers and a customer's database. It
 * writes down everything that reaches it, and behaves as the real ones do: mail is sent each time, a hook with a known
 * key is dropped, a row takes no write with an older fence nor a second one of the same job.
 */
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { type EffectLine, logPaths, openLog, type StateLine } from './logs.ts';

export interface SinkRequest {
  readonly n: number;
  /** `start`: a handler runs. `open`: it announces its fence to the database before it works. */
  readonly event: 'start' | 'open' | 'apply';
  readonly kind: EffectLine['kind'];
  readonly id: string;
  readonly key: string;
  /** Undefined: a writer that knows no fences. */
  readonly fence?: number;
}

interface Row {
  fence: number;
  done: boolean;
}

const paths = logPaths(process.argv[2] ?? '.');
const note = openLog<EffectLine>(paths.effects);
// Written here, because a handler in a child sees no file of the harness.
const noteState = openLog<StateLine>(paths.state);
const hooks = new Set<string>();
const rows = new Map<string, Row>();

function take({ event, kind, id, key, fence }: SinkRequest): EffectLine['event'] {
  if (kind === 'mail') return 'applied';
  if (kind === 'hook') {
    if (hooks.has(key)) return 'repeated';
    hooks.add(key);
    return 'applied';
  }
  const row = rows.get(id) ?? { fence: 0, done: false };
  rows.set(id, row);
  if (fence === undefined) return 'applied';
  if (fence < row.fence) return 'refused';
  row.fence = fence;
  if (event === 'open') return row.done ? 'repeated' : 'applied';
  if (row.done) return 'refused';
  row.done = true;
  return 'applied';
}

const server = createServer((socket) => {
  socket.on('error', () => socket.destroy());
  const lines = createInterface({ input: socket });
  // It repeats the errors of its input: a killed worker is a usual guest here.
  lines.on('error', () => undefined);
  lines.on('line', (line) => {
    const request = JSON.parse(line) as SinkRequest & { readonly actor: number; readonly claim: number };
    const answer = request.event === 'start' ? 'applied' : take(request);
    if (request.event === 'start') noteState('started', request.id, { fence: request.claim, actor: request.actor });
    if (request.event === 'apply')
      note(answer, request.id, {
        kind: request.kind,
        key: request.key,
        fence: request.claim,
        actor: request.actor,
      });
    socket.write(`${JSON.stringify({ n: request.n, answer })}\n`);
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') process.send?.({ ready: address.port });
});
process.on('disconnect', () => process.exit(0));

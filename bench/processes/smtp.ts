/** An SMTP server of its own for `mail.ts`: takes everything, keeps nothing. Prints its port, and ends with its parent. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

const server = new SMTPServer({
  authOptional: true,
  logger: false,
  disabledCommands: ['STARTTLS', 'AUTH'],
  disableReverseLookup: true,
  onData(stream, _session, done) {
    stream.once('end', () => done()).resume();
  },
});
const listener = server.listen(0, '127.0.0.1');
await once(listener, 'listening');
process.stdout.write(`${(listener.address() as AddressInfo).port}\n`);
process.stdin.once('end', () => process.exit()).resume();

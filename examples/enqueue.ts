/** A service that only enqueues: one client, a typed payload, an idempotency key. QUEUE_URL chooses the store. */
import emailSending from '../jobs/email-sending/job.ts';
import { openClient } from '../producers/client.ts';

const client = await openClient(process.env);
const order = { to: 'ada@example.com', template: 'welcome' } as const;

const first = await client.enqueue(emailSending, order, { idempotencyKey: 'welcome-ada' });
const again = await client.enqueue(emailSending, order, { idempotencyKey: 'welcome-ada' });
const status = await client.status(first.id);

process.stdout.write(
  `${JSON.stringify({ same: first.id === again.id, duplicate: again.duplicate, status: status?.status })}\n`,
);
await client.close();

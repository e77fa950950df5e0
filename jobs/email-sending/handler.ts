import { z } from 'zod';
import { defineHandler } from '../define.ts';
import emailSending from './job.ts';
import { isServerTrouble, openMailer, parseSender } from './mailer.ts';
import { loadTemplates } from './templates.ts';

const isSender = (value: string) => {
  try {
    return parseSender(value).address !== '';
  } catch {
    return false; // parseSender throws for what is no sender; zod words the refusal.
  }
};

export default defineHandler(emailSending, {
  env: z.object({
    SMTP_URL: z
      .url({ protocol: /^smtps?$/, error: 'expected smtp://[user:password@]host[:port] or smtps://…' })
      .describe('The mail server. In development `jobfleet up` sets it to its own inbox at /dev/inbox.'),
    MAIL_FROM: z
      .string()
      .refine(isSender, 'expected an address or Name <address>')
      .default('no-reply@localhost')
      .describe('Sender of every mail: an address or `Name <address>`.'),
  }),
  open: async ({ SMTP_URL, MAIL_FROM }) => {
    const templates = await loadTemplates();
    const mailer = openMailer(SMTP_URL, MAIL_FROM);
    return { templates, mailer, close: () => mailer.close() };
  },
  async run(
    { to, template, locale, variables },
    { id, dependency, once, signal, log, progress },
    { templates, mailer },
  ) {
    const mail = { to, ...templates.render(template, locale, variables) };
    log('mail written', { template, locale: mail.locale });
    progress(20, 'written');
    // Receivers know a mail by its Message-ID, which is the job's: an unconfirmed one may be repeated.
    const send = () => once('mail', () => mailer.send(id, mail, signal), 'repeat');
    const messageId = await dependency('smtp', send, isServerTrouble);
    if (messageId === undefined) throw new Error('the once-record of the mail holds no Message-ID');
    log('mail accepted by the server', { messageId });
    progress(100, 'sent');
    return { messageId };
  },
});

import { defineHandler } from '../define.ts';
import emailSending from '../email-sending/job.ts';
import job from './job.ts';

const keptMs = 7 * 86_400_000;

export default defineHandler(job, {
  load: () => import('./write.ts'),
  async run(payload, ctx) {
    const { writeExport } = await import('./write.ts');
    const { object, key, ...facts } = await writeExport(payload, ctx);
    const expiresAt = new Date(Date.now() + keptMs).toISOString();
    const { notify } = payload;
    if (notify !== undefined) {
      const made = await ctx.objects.link(key);
      // A mail carries no link that others on its way could read along.
      const link = made?.url.startsWith('https://') === true ? made : undefined;
      await ctx.enqueue(
        emailSending,
        {
          to: notify.email,
          locale: notify.locale,
          template: 'export',
          variables: {
            collection: payload.collection,
            format: payload.format,
            rows: facts.rows,
            job: ctx.id,
            keptUntil: expiresAt,
            ...(link === undefined ? {} : { link: link.url, linkUntil: link.expiresAt }),
          },
        },
        { key: 'mail' },
      );
    }
    ctx.log('exported', { rows: facts.rows, bytes: facts.bytes });
    return { key: object, ...facts, expiresAt };
  },
});

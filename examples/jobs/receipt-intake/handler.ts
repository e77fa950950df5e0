import { defineHandler } from '../../../jobs/define.ts';
import documentOcr from '../../../jobs/document-ocr/job.ts';
import imageProcessing from '../../../jobs/image-processing/job.ts';
import notificationSending from '../../../jobs/notification-sending/job.ts';
import receiptIntake from './job.ts';

export default defineHandler(receiptIntake, {
  async run({ source, userId }, { enqueue }) {
    // Each under a key of this job: a retry after a crash between two of them meets what is there already.
    const pictures = await enqueue(imageProcessing, { source, widths: [320, 1_280] }, { key: 'pictures' });
    const text = await enqueue(documentOcr, { file_id: source, document_type: 'receipt' }, { key: 'text' });
    const said = { title: 'Your receipt is here', body: 'It is being read; you can look at it already.' };
    const note = await enqueue(notificationSending, { channel: 'in-app', userId, ...said }, { key: 'note' });
    return { pictures: pictures.id, text: text.id, note: note.id };
  },
});

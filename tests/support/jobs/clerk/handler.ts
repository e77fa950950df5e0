import { readdir } from 'node:fs/promises';
import { defineHandler } from '../../../../jobs/define.ts';
import job from './job.ts';

export default defineHandler(job, {
  async run(_payload, { documents, folder }) {
    const put = [
      await documents.put('papers', { _id: 'one', shelf: 's', place: 0, text: 'x'.repeat(300_000) }),
      await documents.put('papers', { _id: 'one', shelf: 's', place: 1 }, { version: 7 }),
      await documents.put('papers', { _id: 'one', shelf: 's', place: 1, text: 'y'.repeat(300_000) }, { version: 1 }),
      await documents.put('papers', { _id: 'brief', shelf: 't' }, { ttlMs: 50 }),
    ];
    const many = Array.from({ length: 1_000 }, (_, n) => ({
      _id: `m${n}`,
      shelf: 's',
      place: n,
      text: 'z'.repeat(2_000),
    }));
    await documents.putMany('papers', many);
    const places: unknown[] = [];
    const sort = [
      { field: 'shelf', descending: true },
      { field: 'place', descending: true },
    ];
    for await (const paper of documents.stream('papers', { filter: { shelf: 's' }, sort })) places.push(paper['place']);
    const shown = await documents.page('papers', { filter: { _id: 'm3' }, fields: ['place'] });
    const refused = await documents.page('papers', { sort: [{ field: 'text' }] }).then(
      () => 'taken',
      (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
    );
    const one = await documents.get('papers', 'one');
    return {
      put,
      one: [one?._version, String(one?.['text']).length],
      absent: (await documents.get('papers', 'absent')) ?? null,
      places: [places.length, places[0], places.at(-1)],
      shown,
      refused,
      removed: [
        await documents.remove('papers', ['m0', 'm1', 'nothing']),
        await documents.removePrefix('papers', 'm99'),
      ],
      left: await readdir(folder),
    };
  },
});

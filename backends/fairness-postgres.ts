/** Tags in schema `jobfleet`: a row per flow and a row per queue, both gone while the queue is empty. */
import type { Pool } from 'pg';
import { highestTag, type TagStore } from './fairness.ts';

export function postgresTags(pool: Pool): TagStore {
  return {
    async nextTags(queue, turns) {
      if (turns.length === 0) return [];
      const { rows } = await pool.query<{ tags: number[] }>('SELECT jobfleet.next_tags($1, $2, $3, $4) AS tags', [
        queue,
        turns.map(({ flow }) => flow),
        turns.map(({ cost }) => cost),
        highestTag,
      ]);
      if (rows[0]?.tags.length !== turns.length)
        throw new TypeError(`PostgreSQL answered ${turns.length} turns with ${rows[0]?.tags.length ?? 'no'} tags`);
      return rows[0].tags;
    },
    async passTag(queue, tag) {
      await pool.query('SELECT jobfleet.pass_tag($1, $2)', [queue, tag]);
    },
    async lastTag(queue) {
      const { rows } = await pool.query<{ top: number }>('SELECT top FROM jobfleet.tag_queue WHERE queue = $1', [
        queue,
      ]);
      return rows[0]?.top ?? 0;
    },
  };
}

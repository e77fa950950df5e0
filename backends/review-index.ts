/**
 * Which reviews there are: a record store cannot be listed, so their names stand in sets, one for each day they were
 * opened on. `reviews:open` holds what nobody has decided, `reviews:kept` everything until it expires. About 14,000 a day.
 */
import type { RecordStore } from './backend.ts';
import { nameSet } from './name-set.ts';

export interface OpenName {
  /** `<opened at, base 36> <queue> <tenant> <id>`: sorts by time. */
  readonly name: string;
  readonly openedAt: number;
  readonly queue: string;
  readonly tenant: string;
  readonly id: string;
}

type Named = Omit<OpenName, 'name'>;

export interface ReviewIndex {
  readonly add: (review: Named) => Promise<void>;
  /** It is open no more. */
  readonly close: (review: Named) => Promise<void>;
  /** Nothing is left of it. */
  readonly forget: (review: Named) => Promise<void>;
  /** Everything opened on a day, decided or not. */
  readonly keptOn: (dayMs: number) => Promise<OpenName[]>;
}

const shards = 64;
const dayMs = 86_400_000;
/** Reviews live 45 days; one more, as a day is cut at midnight. */
export const daysKept = 46;

const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10).replaceAll('-', '');
const nameOf = ({ openedAt, queue, tenant, id }: Named): string =>
  `${openedAt.toString(36).padStart(9, '0')} ${queue} ${tenant} ${id}`;

function parse(name: string): OpenName[] {
  const [at = '', queue, tenant, id] = name.split(' ');
  return queue === undefined || tenant === undefined || id === undefined
    ? []
    : [{ name, openedAt: Number.parseInt(at, 36), queue, tenant, id }];
}

export function reviewIndex(records: RecordStore): ReviewIndex {
  const open = (at: number) => nameSet(records, `reviews:open:${dayOf(at)}`, shards);
  const kept = (at: number) => nameSet(records, `reviews:kept:${dayOf(at)}`, shards);
  return {
    add: async (review) => {
      await kept(review.openedAt).add(nameOf(review));
      await open(review.openedAt).add(nameOf(review));
    },
    close: (review) => open(review.openedAt).remove([nameOf(review)]),
    forget: async (review) => {
      await open(review.openedAt).remove([nameOf(review)]);
      await kept(review.openedAt).remove([nameOf(review)]);
    },
    keptOn: async (at) => (await kept(at).list()).flatMap(parse),
  };
}

/** All that are open, the oldest first. */
export async function openNames(records: RecordStore, now: number): Promise<OpenName[]> {
  const days = Array.from({ length: daysKept }, (_, back) => `reviews:open:${dayOf(now - back * dayMs)}`);
  const lists = await Promise.all(days.map((prefix) => nameSet(records, prefix, shards).list()));
  return lists
    .flat()
    .flatMap(parse)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Where the page after `cursor` begins. */
export function nextOpen(names: readonly OpenName[], cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  const index = names.findIndex(({ name }) => name > cursor);
  return index < 0 ? names.length : index;
}

import { expect, it } from 'vitest';
import { outsideId, readSlotId, slotJobId, slotOf, tickJobId } from './slot-id.ts';

const slot = 1_795_000_000_000;

it('tells the slot of both kinds of jobs, and none of any other', () => {
  for (const id of [tickJobId('data-export', slot), slotJobId('data-export', slot)]) {
    expect(slotOf('data-export', id)).toBe(slot);
    expect(outsideId('data-export', id)).toBe(`data-export_s${slot}`);
  }
  const others = [
    'data-export_01HZX3J9Q6T7V8W9XAYBZC0D1E',
    'repeat:other:5',
    'data-export_s',
    'data-export_s05',
    'x',
    '',
  ];
  for (const id of others) {
    expect(slotOf('data-export', id)).toBeUndefined();
    expect(outsideId('data-export', id)).toBe(id);
  }
});

it('reads what the outside writes', () => {
  expect(readSlotId(`data-export_s${slot}`)).toEqual({ type: 'data-export', slot });
  expect(readSlotId('data-export_01HZX3J9Q6T7V8W9XAYBZC0D1E')).toBeUndefined();
  expect(readSlotId(tickJobId('data-export', slot))).toBeUndefined();
});

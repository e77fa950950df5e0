import { describe, expect, it } from 'vitest';
import { slotMemory, slotReader, slotWriter } from './lease-slots.ts';

describe('lease slots', () => {
  it('shows what is taken to a reader of the same memory, and no longer after the release', () => {
    const memory = slotMemory(2);
    const writer = slotWriter(memory);
    const reader = slotReader(memory);
    const one = { queue: 3, id: 'image-processing_01JÄ', token: 'token:1', deadlineAt: 1_700_000_000_123 };
    const two = { queue: 0, id: 'b', token: 'token:2', deadlineAt: Number.POSITIVE_INFINITY };
    const slot = writer.take(one);
    writer.take(two);
    expect(reader.taken()).toEqual([one, two]);
    writer.release(slot);
    expect(reader.taken()).toEqual([two]);
    writer.take(one);
    expect(reader.taken()).toEqual([one, two]);
  });

  it('refuses more claims than slots', () => {
    const writer = slotWriter(slotMemory(1));
    writer.take({ queue: 0, id: 'a', token: 't', deadlineAt: 0 });
    expect(() => writer.take({ queue: 0, id: 'b', token: 't', deadlineAt: 0 })).toThrow('All 1 lease slots');
  });

  it('carries the sign of life', () => {
    const memory = slotMemory(1);
    slotWriter(memory).beat(1_234);
    expect(slotReader(memory).beatAt()).toBe(1_234);
  });
});

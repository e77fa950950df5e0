import { describe, expect, it, vi } from 'vitest';
import { startHeartbeat } from './registry.ts';
import { memoryRecords } from './testing-records.ts';

const key = 'worker:one';

function start() {
  const records = memoryRecords();
  const forgotten = vi.fn<() => void>();
  const heartbeat = startHeartbeat({
    records,
    instance: 'one',
    version: '1.0.0',
    samples: () => [],
    circuits: () => [],
    problem: () => undefined,
    clockOffMs: () => 0,
    onForgotten: forgotten,
    onError: (error) => {
      throw error;
    },
  });
  const version = async () => (await records.get([key]))[0]?.version ?? 0;
  const beat = async (): Promise<void> => {
    const before = await version();
    heartbeat.beat();
    await vi.waitFor(async () => expect(await version()).not.toBe(before));
  };
  return { records, forgotten, heartbeat, beat, version };
}

describe('the record of a worker', () => {
  it('that the store has lost is told once', async () => {
    const { records, forgotten, heartbeat, beat, version } = start();
    await beat();
    await beat();
    expect(forgotten).not.toHaveBeenCalled();
    await records.compareAndSet(key, await version(), null, null);
    await beat();
    await beat();
    await heartbeat.stop();
    expect(forgotten).toHaveBeenCalledOnce();
  });
});

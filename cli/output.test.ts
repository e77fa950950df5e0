import { describe, expect, it } from 'vitest';
import { age, confirm, table } from './output.ts';

describe('table', () => {
  it('makes columns as wide as their widest cell and puts numbers to the right', () => {
    const text = table(
      ['queue', 'jobs'],
      [
        ['email-sending', 7],
        ['a', 1_200],
      ],
      'none',
    );
    expect(text.split('\n')).toEqual(['queue          jobs', 'email-sending     7', 'a              1200']);
  });

  it('says its own sentence when there is nothing', () => {
    expect(table(['id'], [], 'No jobs.')).toBe('No jobs.');
  });
});

describe('age', () => {
  it.each([
    [0, '0 s'],
    [89, '89 s'],
    [90, '2 min'],
    [5_399, '90 min'],
    [7_200, '2 h'],
    [172_800, '2 d'],
    [-5, '0 s'],
  ])('%i seconds ago is "%s"', (seconds, text) => {
    const now = Date.parse('2026-11-21T12:00:00Z');
    expect(age(new Date(now - seconds * 1_000).toISOString(), now)).toBe(text);
  });
});

it('never asks off a terminal: without --yes it refuses and says how', async () => {
  await expect(confirm('3 dead letters would be removed for good', false)).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringContaining('--yes'),
  });
  await confirm('3 dead letters would be removed for good', true);
});

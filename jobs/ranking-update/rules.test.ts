import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { elo, eloShift } from './elo.ts';
import { glicko2 } from './glicko-method.ts';
import { iccLimited } from './icc-limited.ts';
import { matchPoints, seriesRatingPoints, seriesWeight } from './icc-points.ts';
import { iccTest } from './icc-test.ts';
import type { Method } from './method.ts';
import { addDays, monthEnds } from './months.ts';
import type { Played } from './played.ts';
import { replay, validDays } from './replay.ts';
import { halfWeight, rankingYear } from './window.ts';

const runs = 1_000;
const rating = fc.integer({ min: 0, max: 300 });
const result = fc.constantFrom('win', 'tie', 'loss');

describe('ICC points', () => {
  it('add up to the sum of both ratings, and never punish a win or reward a loss', () => {
    fc.assert(
      fc.property(rating, rating, result, (a, b, how) => {
        const [ofA, ofB] = matchPoints([a, b], how);
        expect(ofA + ofB).toBe(a + b);
        expect(how === 'tie' || Math.sign(ofA - a) === (how === 'win' ? 1 : -1)).toBe(true);
        const [mirroredB, mirroredA] = matchPoints([b, a], how === 'win' ? 'loss' : how === 'loss' ? 'win' : 'tie');
        expect([mirroredA, mirroredB]).toEqual([ofA, ofB]);
      }),
      { numRuns: runs },
    );
  });

  it('of a series add up to the sum of both ratings times its weight', () => {
    fc.assert(
      fc.property(rating, rating, fc.nat(3), fc.nat(3), fc.nat(3), (a, b, winsA, winsB, drawn) => {
        const series = { tests: winsA + winsB + drawn, winsA, winsB };
        fc.pre(series.tests > 0);
        const [ofA, ofB] = seriesRatingPoints([a, b], series);
        expect(ofA + ofB).toBe(2 * (a + b) * seriesWeight(series));
      }),
      { numRuns: runs },
    );
  });
});

describe('the window', () => {
  it('changes on 1 May alone', () => {
    const day = fc.integer({ min: 0, max: 12_000 }).map((days) => addDays('1995-01-01', days));
    fc.assert(
      fc.property(day, day, (asOf, match) => {
        const weight = halfWeight(rankingYear(asOf), rankingYear(match));
        const next = halfWeight(rankingYear(addDays(asOf, 1)), rankingYear(match));
        expect(next).toBeLessThanOrEqual(weight);
        expect(next === weight || addDays(asOf, 1).slice(5) === '05-01').toBe(true);
      }),
      { numRuns: runs },
    );
  });

  it('knows the ends of months, leap years included', () => {
    expect(monthEnds('2024-01-31', '2024-04-29')).toEqual(['2024-01-31', '2024-02-29', '2024-03-31']);
    expect(monthEnds('2023-02-28', '2023-02-27')).toEqual([]);
  });
});

const teams = ['a', 'b', 'c', 'd'];
const games = fc
  .array(fc.record({ day: fc.nat(900), first: fc.nat(3), second: fc.nat(2), result, tour: fc.nat(1) }), {
    maxLength: 60,
  })
  .map((all) =>
    all
      .map(({ day, first, second, result, tour }, at): Played => {
        const one = teams[first] ?? 'a';
        const other = teams.filter((team) => team !== one)[second] ?? 'b';
        const date = addDays('2021-03-20', day);
        const order = `${date}/${String(at).padStart(12, '0')}`;
        return {
          id: String(at),
          date,
          order,
          competition: `tour ${tour}`,
          teams: [one, other],
          names: [one, other],
          result,
        };
      })
      .toSorted((x, y) => (x.order < y.order ? -1 : 1)),
  );

const whole = <S>(method: Method<S>, matches: readonly Played[], until: string) =>
  replay(method, { day: '', state: method.fresh() }, matches, until);

function describeMethod<S>(name: string, method: Method<S>): void {
  // The last day of a month is a checkpoint of its own.
  describe.each(['2023-10-15', '2023-10-31'])(`a replay of ${name} until %s`, (until) => {
    it('from any checkpoint gives what one from the start gives', () => {
      fc.assert(
        fc.property(games, fc.nat(), (matches, pick) => {
          const all = whole(method, matches, until);
          const checkpoint = all.checkpoints[pick % Math.max(1, all.checkpoints.length)];
          fc.pre(checkpoint !== undefined);
          const start = { day: checkpoint.day, state: method.read(JSON.parse(JSON.stringify(checkpoint.state))) };
          const rest = replay(
            method,
            start,
            matches.filter(({ date }) => date > checkpoint.day),
            until,
          );
          expect(rest.state).toEqual(all.state);
          expect(rest.checkpoints).toEqual(all.checkpoints.filter(({ day }) => day > checkpoint.day));
        }),
        { numRuns: runs },
      );
    });

    it('with a late match needs only the checkpoints before it', () => {
      fc.assert(
        fc.property(games, fc.nat(), (matches, pick) => {
          const late = matches[pick % Math.max(1, matches.length)];
          fc.pre(late !== undefined);
          const before = whole(
            method,
            matches.filter((match) => match !== late),
            until,
          );
          const days = before.checkpoints.map(({ day }) => day);
          const day = validDays(days, late.date, method.reachesBackDays).at(-1) ?? '';
          const state = before.checkpoints.find((one) => one.day === day)?.state ?? method.fresh();
          const again = replay(
            method,
            { day, state },
            matches.filter(({ date }) => date > day),
            until,
          );
          expect(again.state).toEqual(whole(method, matches, until).state);
        }),
        { numRuns: runs },
      );
    });

    it('does not change what it started from', () => {
      const start = { day: '', state: method.fresh() };
      replay(
        method,
        start,
        [
          {
            id: '1',
            date: '2022-01-01',
            order: '2022-01-01/1',
            competition: null,
            teams: ['a', 'b'],
            names: ['a', 'b'],
            result: 'win',
          },
        ],
        until,
      );
      expect(start.state).toEqual(method.fresh());
    });
  });
}
describeMethod('ICC points of matches', iccLimited);
describeMethod('ICC points of series', iccTest);
describeMethod('Elo', elo);
describeMethod('Glicko-2', glicko2);

describe('Elo', () => {
  it('conserves the sum of all ratings exactly', () => {
    fc.assert(
      fc.property(games, (matches) => {
        const { state } = whole(elo, matches, '2024-12-31');
        const sum = Object.values(state).reduce((all, { rating }) => all + BigInt(rating), 0n);
        expect(sum).toBe(BigInt(Object.keys(state).length) * 1_500_000_000_000n);
      }),
      { numRuns: runs },
    );
  });

  it('stays near a decimal reference', () => {
    const points = fc.integer({ min: 500, max: 2_500 });
    fc.assert(
      fc.property(points, points, fc.constantFrom(0, 0.5, 1), (a, b, score) => {
        const exact = 20 * (score - 1 / (1 + 10 ** ((b - a) / 400)));
        expect(Math.abs(eloShift(a * 1e9, b * 1e9, score, 20) / 1e9 - exact)).toBeLessThan(1e-9);
      }),
      { numRuns: runs },
    );
  });
});

describe('Glicko-2', () => {
  it('stays finite and within its deviation, whatever is played', () => {
    fc.assert(
      fc.property(games, (matches) => {
        for (const { rating, deviation, volatility } of Object.values(whole(glicko2, matches, '2023-12-31').state)) {
          expect(Number.isFinite(rating) && Number.isFinite(volatility)).toBe(true);
          expect(deviation > 0 && deviation <= 350).toBe(true);
        }
      }),
      { numRuns: runs },
    );
  });

  it('grows unsure of a side that does not play', () => {
    const [match] = [
      {
        id: '1',
        date: '2022-01-10',
        order: '2022-01-10/1',
        competition: null,
        teams: ['a', 'b'],
        names: ['a', 'b'],
        result: 'win',
      } as const,
    ];
    const soon = whole(glicko2, [match], '2022-02-28').state['a'];
    const later = whole(glicko2, [match], '2023-02-28').state['a'];
    expect(later?.deviation).toBeGreaterThan(soon?.deviation ?? 0);
    expect(later?.rating).toBe(soon?.rating);
  });
});

describe('the unit of the Test ranking', () => {
  const test = (id: number, date: string, result: Played['result'], competition = 'tour'): Played => ({
    id: String(id),
    date,
    order: `${date}/${id}`,
    competition,
    teams: id % 2 === 0 ? ['b', 'a'] : ['a', 'b'],
    names: ['A', 'B'],
    result,
  });
  const standings = (matches: readonly Played[]) =>
    iccTest.standings(whole(iccTest, matches, '2023-12-31').state, '2023-12-31', { minMatches: 1 });

  it('is the series: five Tests weigh six, whoever is named first', () => {
    const five = [1, 2, 3, 4, 5].map((id) => test(id, addDays('2023-01-01', 9 * id), id % 2 === 0 ? 'loss' : 'win'));
    // 5-0 from 100 each: (5 + 1) × 150 and 6 × 50, over six.
    expect(standings(five)).toMatchObject([
      { teamId: 'a', rating: 150, exact: { quarterPoints: 3_600, halfMatches: 12 }, matches: 5 },
      { teamId: 'b', rating: 50, matches: 5 },
    ]);
  });

  it('ends with another event, a pause of more than 60 days, or after 120', () => {
    const single = (second: Played) => standings([test(1, '2023-01-01', 'win'), second])[0]?.exact['halfMatches'];
    expect(single(test(3, '2023-02-20', 'win'))).toBe(6);
    expect(single(test(3, '2023-02-20', 'win', 'other'))).toBe(4);
    expect(single(test(3, '2023-03-20', 'win'))).toBe(4);
    const long = ['2023-01-01', '2023-02-25', '2023-04-20', '2023-06-15'].map((date, at) =>
      test(2 * at + 1, date, 'win'),
    );
    expect(standings(long)[0]?.exact['halfMatches']).toBe(2 * (4 + 1));
  });
});

import { describe, expect, it } from 'vitest';
import { ball, cricsheet, type MatchFacts, overOf, singles } from '../../tests/support/cricket.ts';
import type { Innings, ReadMatch } from './match.ts';
import { readMatch } from './read-match.ts';
import { teamOf } from './teams.ts';

const read = (facts: MatchFacts = {}): ReadMatch => readMatch('1', JSON.stringify(cricsheet(facts)));

/** The scorecard of Alpha's innings with these overs. */
function innings(overs: readonly object[], more: object = {}): Innings {
  const [first] = read({ innings: [{ team: 'Alpha', overs, ...more }] }).innings;
  if (first === undefined) throw new Error('expected an innings');
  return first;
}

const batter = (card: Innings, name: string) => card.batting.find((line) => line.name === name);
const bowler = (card: Innings, name = 'B11') => card.bowling.find((line) => line.name === name);

describe('a ball', () => {
  it('may give two extras: a no-ball with byes costs the bowler one and the batter a ball', () => {
    const card = innings([overOf(0, [ball({ extras: { noballs: 1, byes: 2 } })])]);
    expect(card).toMatchObject({ runs: 3, balls: 0, extras: { noballs: 1, byes: 2, legbyes: 0 } });
    expect(bowler(card)).toMatchObject({ runs: 1, balls: 0 });
    expect(batter(card, 'A1')).toMatchObject({ runs: 0, balls: 1 });
  });

  it('that is wide is not faced and is bowled again; its runs are the bowler’s', () => {
    const card = innings([overOf(0, [ball({ extras: { wides: 5 } }), ball()])]);
    expect(card).toMatchObject({ runs: 5, balls: 1 });
    expect(bowler(card)).toMatchObject({ runs: 5, balls: 1 });
    expect(batter(card, 'A1')).toMatchObject({ balls: 1 });
  });

  it('charges byes, leg byes and penalty runs to nobody', () => {
    const card = innings([overOf(0, [ball({ extras: { byes: 4 } }), ball({ extras: { legbyes: 1, penalty: 5 } })])]);
    expect(card.runs).toBe(10);
    expect(bowler(card)).toMatchObject({ runs: 0, balls: 2 });
  });

  it('gives a four only over the rope', () => {
    const card = innings([
      overOf(0, [ball({ runs: 4 }), ball({ runs: 4, non_boundary: true }), ball({ runs: 6 }), ball({ runs: 5 })]),
    ]);
    expect(batter(card, 'A1')).toMatchObject({ runs: 19, fours: 1, sixes: 1 });
  });

  it('may dismiss the other batter, and more than one', () => {
    const wickets = [
      { kind: 'run out', player_out: 'A2' },
      { kind: 'retired out', player_out: 'A1' },
    ];
    const card = innings([overOf(0, [ball({ wickets })])]);
    expect(card.wickets).toBe(2);
    expect(bowler(card)?.wickets).toBe(0);
    expect([batter(card, 'A1')?.out, batter(card, 'A2')?.out]).toEqual(['retired out', 'run out']);
  });

  it.each(['bowled', 'caught', 'caught and bowled', 'lbw', 'stumped', 'hit wicket'])(
    '%s is the bowler’s wicket',
    (kind) => {
      const card = innings([overOf(0, [ball({ wickets: [{ kind, player_out: 'A1' }] })])]);
      expect([card.wickets, bowler(card)?.wickets]).toEqual([1, 1]);
    },
  );

  it.each(['run out', 'obstructing the field', 'retired out', 'timed out', 'hit the ball twice', 'handled the ball'])(
    '%s is the side’s wicket alone',
    (kind) => {
      const card = innings([overOf(0, [ball({ wickets: [{ kind, player_out: 'A1' }] })])]);
      expect([card.wickets, bowler(card)?.wickets, batter(card, 'A1')?.out]).toEqual([1, 0, kind]);
    },
  );

  it.each(['retired hurt', 'retired not out'])('%s is no wicket', (kind) => {
    const card = innings([overOf(0, [ball({ wickets: [{ kind, player_out: 'A1' }] })])]);
    expect([card.wickets, batter(card, 'A1')?.out]).toEqual([0, null]);
  });
});

describe('an innings', () => {
  it('counts an over of five balls as one, in the middle and where the umpire miscounted the last', () => {
    const five = Array.from({ length: 5 }, () => ball());
    expect(innings([overOf(0, five), singles(1)])).toMatchObject({ balls: 11, oversBalls: 12 });
    expect(innings([singles(0), overOf(1, five)])).toMatchObject({ balls: 11, oversBalls: 11 });
    const miscounted = { miscounted_overs: { 1: { balls: 5, umpire: 'U' } } };
    expect(innings([singles(0), overOf(1, five)], miscounted)).toMatchObject({ balls: 11, oversBalls: 12 });
    expect(innings([overOf(0, [...five, ball(), ball()])])).toMatchObject({ balls: 7, oversBalls: 6 });
  });

  it('has a maiden for a whole over of one bowler without charged runs', () => {
    const quiet = Array.from({ length: 6 }, () => ball());
    expect(bowler(innings([overOf(0, quiet)]))?.maidens).toBe(1);
    expect(bowler(innings([overOf(0, [...quiet.slice(1), ball({ extras: { byes: 4 } })])]))?.maidens).toBe(1);
    expect(bowler(innings([overOf(0, [...quiet, ball({ extras: { wides: 1 } })])]))?.maidens).toBe(0);
    expect(bowler(innings([overOf(0, quiet.slice(1))]))?.maidens).toBe(0);
    expect(bowler(innings([overOf(0, [...quiet.slice(1), ball({ bowler: 'B10' })])]))?.maidens).toBe(0);
  });

  it('is over with nine wickets and one absent, or one who never came back', () => {
    const out = (count: number) =>
      Array.from({ length: count }, (_, at) =>
        ball({ batter: `A${at + 1}`, non_striker: 'A11', wickets: [{ kind: 'bowled', player_out: `A${at + 1}` }] }),
      );
    expect(innings([overOf(0, out(10))]).allOut).toBe(true);
    expect(innings([overOf(0, out(9))]).allOut).toBe(false);
    expect(innings([overOf(0, out(9))], { absent_hurt: ['A10'] }).allOut).toBe(true);
    const hurt = ball({ batter: 'A10', non_striker: 'A11', wickets: [{ kind: 'retired hurt', player_out: 'A10' }] });
    expect(innings([overOf(0, [hurt, ...out(9)])]).allOut).toBe(true);
    const back = ball({ batter: 'A10', non_striker: 'A11' });
    expect(innings([overOf(0, [hurt, ...out(8), back])]).allOut).toBe(false);
  });

  it('has the penalty runs before and after it', () => {
    expect(innings([singles(0)], { penalty_runs: { pre: 5, post: 10 } }).runs).toBe(21);
  });

  it('may be forfeited without an over, or declared', () => {
    const match = read({
      innings: [
        { team: 'Alpha', forfeited: true },
        { team: 'Beta', overs: [singles(0, 'B')], declared: true },
      ],
    });
    expect(match.innings).toMatchObject([
      { forfeited: true, runs: 0, oversBalls: 0, allOut: false },
      { declared: true, runs: 6 },
    ]);
  });

  it('takes fractions of overs of a target as balls', () => {
    const target = (overs: number) => innings([singles(0)], { target: { runs: 90, overs } }).target;
    expect([target(16), target(9.2), target(47.2)]).toEqual(
      [16, 9, 47].map((full, at) => ({ runs: 90, balls: 6 * full + (at === 0 ? 0 : 2) })),
    );
  });
});

describe('a match', () => {
  it('has a season as text, whatever the file holds', () => {
    expect([read({ season: 2011 }).season, read({ season: '2007/08' }).season]).toEqual(['2011', '2007/08']);
  });

  it('says who won what settled a tie', () => {
    const tie = read({ outcome: { result: 'tie', eliminator: 'Beta' } });
    expect(tie.outcome).toMatchObject({ result: 'tie', winner: null, tieWinner: 'beta' });
    expect(read({ outcome: { result: 'tie', bowl_out: 'Alpha' } }).outcome.tieWinner).toBe('alpha');
  });

  it('takes a winner without a margin', () => {
    const { outcome } = read({ outcome: { winner: 'Alpha', method: 'Awarded' } });
    expect(outcome).toEqual({ result: 'win', winner: 'alpha', tieWinner: null, method: 'Awarded', by: null });
  });

  it('has those who came in as replacements among its players', () => {
    const replacements = { match: [{ in: 'B12', out: 'B1', team: 'Beta', reason: 'impact_player' }] };
    const people = { A1: '1', A2: '2', B11: '3', B12: '4' };
    const info = { players: { Alpha: ['A1', 'A2'], Beta: ['B11'] }, registry: { people } };
    const match = read({ info, innings: [{ team: 'Alpha', overs: [overOf(0, [ball({ replacements })])] }] });
    expect(match.players).toContainEqual({ id: '4', name: 'B12', team: 'beta' });
    expect(match.players).toHaveLength(4);
  });

  it('leaves unknown keys alone, everywhere', () => {
    const odd = { ...ball(), weather: { wind: 3 } };
    const file = cricsheet({
      innings: [{ team: 'Alpha', overs: [overOf(0, [odd])], mood: 1 }],
      info: { moon: 'full' },
    });
    expect(readMatch('1', JSON.stringify({ ...file, more: [] })).innings).toHaveLength(1);
  });

  it('reads a file with a byte order mark and both data versions', () => {
    expect(readMatch('7', `\uFEFF${JSON.stringify(cricsheet({ meta: { data_version: '1.0.0' } }))}`)).toMatchObject({
      _id: '7',
      dataVersion: '1.0.0',
      order: '2024-04-01/000000000007',
    });
  });

  it('sorts by day and then by match id as a number', () => {
    const order = (id: string) => readMatch(id, JSON.stringify(cricsheet())).order;
    expect(['10', '9', 'wi_12'].map(order).toSorted()).toEqual(['9', '10', 'wi_12'].map(order));
  });
});

describe('a team', () => {
  it('stays one through its names', () => {
    expect(teamOf('Delhi Daredevils', '2018-05-01').id).toBe(teamOf('Delhi Capitals', '2019-05-01').id);
    expect(teamOf('Kings XI Punjab', '2020-10-01').id).toBe(teamOf('Punjab Kings', '2021-04-12').id);
    expect(teamOf('Royal Challengers Bangalore', '2023-05-01').id).toBe(
      teamOf('Royal Challengers Bengaluru', '2024-05-01').id,
    );
  });

  it('of another day with an old name is another team, and so are the successors of a franchise', () => {
    expect(teamOf('Delhi Daredevils', '2024-05-01').id).not.toBe(teamOf('Delhi Capitals', '2024-05-01').id);
    expect(teamOf('Deccan Chargers', '2012-05-01').id).not.toBe(teamOf('Sunrisers Hyderabad', '2013-05-01').id);
  });
});

/**
 * Glicko-2 (Mark Glickman, "Example of the Glicko-2 system", glicko.net), tau 0.5; a rating period is a calendar month. Everybody starts with
 * 1,500, deviation 350, volatility 0.06. Pure.
 */

export interface Glicko {
  readonly rating: number;
  /** Two of them either way hold the strength with 95 % probability. */
  readonly deviation: number;
  readonly volatility: number;
}

export interface Game {
  readonly rating: number;
  readonly deviation: number;
  /** 1, ½ or 0. */
  readonly score: number;
}

export const newcomer: Glicko = { rating: 1_500, deviation: 350, volatility: 0.06 };
const tau = 0.5;
const scale = 173.7178;
const epsilon = 0.000_001;
const maxRounds = 100;

const g = (phi: number): number => 1 / Math.sqrt(1 + (3 * phi * phi) / (Math.PI * Math.PI));

/** The player after one period with these games; without any only the deviation grows, to 350 at most. */
export function afterPeriod(player: Glicko, games: readonly Game[]): Glicko {
  const phi = player.deviation / scale;
  if (games.length === 0) {
    const grown = Math.sqrt(phi * phi + player.volatility * player.volatility) * scale;
    return { ...player, deviation: Math.min(newcomer.deviation, grown) };
  }
  const mu = (player.rating - newcomer.rating) / scale;
  let information = 0;
  let surprise = 0;
  for (const game of games) {
    const weight = g(game.deviation / scale);
    const expected = 1 / (1 + Math.exp(-weight * (mu - (game.rating - newcomer.rating) / scale)));
    information += weight * weight * expected * (1 - expected);
    surprise += weight * (game.score - expected);
  }
  const v = 1 / information;
  const volatility = newVolatility(player.volatility, phi, v, v * surprise);
  const before = Math.sqrt(phi * phi + volatility * volatility);
  const after = 1 / Math.sqrt(1 / (before * before) + information);
  return {
    rating: newcomer.rating + scale * (mu + after * after * surprise),
    deviation: Math.min(newcomer.deviation, after * scale),
    volatility,
  };
}

/** Step 5 of the paper, the Illinois algorithm: the root of f between A and B. */
function newVolatility(sigma: number, phi: number, v: number, delta: number): number {
  const a = Math.log(sigma * sigma);
  const f = (x: number): number => {
    const square = Math.exp(x);
    const sum = phi * phi + v + square;
    return (square * (delta * delta - sum)) / (2 * sum * sum) - (x - a) / (tau * tau);
  };
  let low = a;
  let high = delta * delta > phi * phi + v ? Math.log(delta * delta - phi * phi - v) : lowerBound(f, a);
  let [fLow, fHigh] = [f(low), f(high)];
  for (let round = 0; Math.abs(high - low) > epsilon && round < maxRounds; round += 1) {
    const middle = low + ((low - high) * fLow) / (fHigh - fLow);
    const fMiddle = f(middle);
    if (fMiddle * fHigh <= 0) {
      low = high;
      fLow = fHigh;
    } else {
      fLow /= 2;
    }
    high = middle;
    fHigh = fMiddle;
  }
  return Math.exp(low / 2);
}

function lowerBound(f: (x: number) => number, a: number): number {
  let k = 1;
  while (f(a - k * tau) < 0 && k < maxRounds) k += 1;
  return a - k * tau;
}

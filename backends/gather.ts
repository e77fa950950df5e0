/**
 * Calls that come together leave together: one round trip instead of one for each. Nothing waits by the clock: with
 * nothing under way a call leaves at once, and while an answer is awaited the others gather until this turn of the
 * event loop ends, or a batch is full, and a lane is free.
 */

export interface GatherOptions<Entry, Answer> {
  /** Most entries of one batch. */
  readonly most: number;
  /** Most weight of one batch, in the unit of `weigh`; a single heavier entry leaves alone. */
  readonly mostWeight: number;
  /** Bytes, roughly, that an entry adds to its batch. */
  readonly weigh: (entry: Entry) => number;
  /** Batches under way at once: while the store works on one, the next is written. */
  readonly lanes: number;
  /** One answer per entry, in order; an `Error` rejects that entry alone. Rejecting rejects all. `lane` counts from 0. */
  readonly send: (entries: readonly Entry[], lane: number) => Promise<readonly (Answer | Error)[]>;
}

interface Waiting<Entry, Answer> {
  readonly entry: Entry;
  readonly weight: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

export function gather<Entry, Answer>(options: GatherOptions<Entry, Answer>): (entry: Entry) => Promise<Answer> {
  const { most, mostWeight, weigh, lanes, send } = options;
  const free = Array.from({ length: lanes }, (_, lane) => lanes - 1 - lane);
  let waiting: Waiting<Entry, Answer>[] = [];
  let weight = 0;
  let turn: NodeJS.Immediate | undefined;

  const take = (): Waiting<Entry, Answer>[] => {
    let count = 0;
    let taken = 0;
    for (const one of waiting) {
      if (count === most || (count > 0 && taken + one.weight > mostWeight)) break;
      count += 1;
      taken += one.weight;
    }
    weight -= taken;
    if (count === waiting.length) {
      const all = waiting;
      waiting = [];
      return all;
    }
    return waiting.splice(0, count);
  };
  const leave = async (lane: number): Promise<void> => {
    const batch = take();
    try {
      const answers = await send(
        batch.map((one) => one.entry),
        lane,
      );
      settle(batch, answers);
    } catch (error) {
      for (const one of batch) one.reject(error);
    }
    free.push(lane);
    // What the answers set off is part of this turn: it may fill the batch that leaves next.
    if (waiting.length > 0) atEndOfTurn();
  };
  const leaveAll = (): void => {
    turn = undefined;
    while (waiting.length > 0) {
      const lane = free.pop();
      if (lane === undefined) return;
      void leave(lane);
    }
  };
  const atEndOfTurn = (): void => {
    turn ??= setImmediate(leaveAll);
  };
  return (entry) =>
    new Promise((resolve, reject) => {
      const one = { entry, weight: weigh(entry), resolve, reject };
      waiting.push(one);
      weight += one.weight;
      const idle = free.length === lanes && turn === undefined;
      const full = waiting.length >= most || weight >= mostWeight;
      if (!idle && !full) return atEndOfTurn();
      const lane = free.pop();
      if (lane !== undefined) void leave(lane);
    });
}

function settle<Entry, Answer>(batch: readonly Waiting<Entry, Answer>[], answers: readonly (Answer | Error)[]): void {
  for (const [index, one] of batch.entries()) {
    const answer = answers[index];
    if (answer instanceof Error) one.reject(answer);
    else if (answer === undefined)
      one.reject(new Error(`the store answered ${answers.length} of ${batch.length} entries`));
    else one.resolve(answer);
  }
}

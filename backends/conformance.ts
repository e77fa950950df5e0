/**
 * What every store must do, run on all of them: the same tests on `embedded:memory`, the embedded store on disk,
 * PostgreSQL and Redis. What one store cannot be asked is a skip with its reason, as data.
 */
import { afterAll, afterEach, beforeAll, describe, test } from 'vitest';
import type { Backend } from './backend.ts';
import { deadLetterTests } from './conformance-dead-letters.ts';
import { editTests } from './conformance-edit.ts';
import { fairnessTests } from './conformance-fairness.ts';
import { fleetTests } from './conformance-fleet.ts';
import { flowTests } from './conformance-flows.ts';
import { jobTests } from './conformance-jobs.ts';
import { leaseTests } from './conformance-leases.ts';
import { limitTests } from './conformance-limits.ts';
import { observingTests } from './conformance-observing.ts';
import { propertyTests } from './conformance-properties.ts';
import { recordTests } from './conformance-records.ts';
import { scheduleTests } from './conformance-schedules.ts';
import { searchTests } from './conformance-search.ts';
import { createStage, type Register } from './conformance-stage.ts';
import { watchingTests } from './conformance-watching.ts';

/** Titles of tests that a store cannot be asked, each with the reason. */
export type Skips = Readonly<Record<string, string>>;

declare module 'vitest' {
  interface TaskMeta {
    /** Why the store of this test cannot be asked: what is documented of it, no server that is missing. `script/test` lists it. */
    notAsked?: string;
  }
}

/** `heavy` repeats the races often enough to meet what is rare. */
export function conformance(
  name: string,
  open: (onError: (error: Error) => void) => Promise<Backend>,
  options: { readonly skips?: Skips; readonly heavy?: boolean } = {},
): void {
  describe(`every store: ${name}`, () => {
    const { stage, start, cleanUp, stop } = createStage(open);
    beforeAll(start);
    afterEach(cleanUp);
    afterAll(stop);
    const skips = new Map(Object.entries(options.skips ?? {}));
    // Titles and bodies come from the parts below, and a skip is data: the linter cannot see either.
    const register: Register = (title, run, timeoutMs) => {
      const reason = skips.get(title);
      skips.delete(title);
      // oxlint-disable-next-line vitest/valid-title, vitest/expect-expect, vitest/no-conditional-tests
      if (reason === undefined) test(title, run, timeoutMs);
      // oxlint-disable-next-line vitest/valid-title, vitest/expect-expect, vitest/no-disabled-tests, vitest/no-conditional-tests
      else test.skip(title, { meta: { notAsked: reason } }, run);
    };
    jobTests(stage, register);
    editTests(stage, register);
    searchTests(stage, register);
    flowTests(stage, register);
    observingTests(stage, register);
    watchingTests(stage, register);
    propertyTests(stage, register, { heavy: options.heavy ?? false });
    leaseTests(stage, register);
    recordTests(stage, register);
    deadLetterTests(stage, register);
    scheduleTests(stage, register);
    fairnessTests(stage, register);
    limitTests(stage, register);
    fleetTests(stage, register);
    if (skips.size > 0) throw new RangeError(`no test has the title ${[...skips.keys()].join(', ')}`);
  });
}

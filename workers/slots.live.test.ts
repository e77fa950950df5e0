import { describe } from 'vitest';
import { openBackend } from '../backends/open.ts';
import { onRedisForms } from '../tests/support/redis-forms.ts';
import { slotTests } from './slots.suite.ts';

const { TEST_POSTGRES_URL: postgresUrl } = process.env;
const onError = (): undefined => undefined;

onRedisForms('slots', (name, url) => slotTests(name, () => openBackend(url(), { onError })));

describe.skipIf(postgresUrl === undefined)('PostgreSQL of TEST_POSTGRES_URL', () => {
  slotTests('postgres', () => openBackend(postgresUrl ?? '', { onError }));
});

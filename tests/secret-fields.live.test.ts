import { describe } from 'vitest';
import { openBackend } from '../backends/open.ts';
import { onRedisForms } from './support/redis-forms.ts';
import { secretFieldTests } from './support/secret-fields.suite.ts';

const { TEST_POSTGRES_URL: postgresUrl } = process.env;
const onError = () => undefined;

onRedisForms('secret-fields', (name, url) => secretFieldTests(name, () => openBackend(url(), { onError })));

describe.skipIf(postgresUrl === undefined)('PostgreSQL of TEST_POSTGRES_URL', () => {
  secretFieldTests('postgres', () => openBackend(postgresUrl ?? '', { onError }));
});

import { tenantTests } from './support/tenants.suite.ts';

tenantTests('embedded:memory', 'embedded:memory', { workers: false });

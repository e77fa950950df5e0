import { loopTests } from './loops.suite.ts';

loopTests('PostgreSQL', 'embedded:memory');

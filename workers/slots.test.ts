import { openBackend } from '../backends/open.ts';
import { slotTests } from './slots.suite.ts';

const onError = (): undefined => undefined;

slotTests('embedded:memory', (first) => openBackend(first?.leaseConnection.url ?? 'embedded:memory', { onError }));

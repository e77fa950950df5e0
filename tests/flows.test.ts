import { openBackend } from '../backends/open.ts';
import { flowSuite } from './support/flows.suite.ts';

flowSuite('embedded:memory', () => openBackend('embedded:memory', { onError: () => undefined }));

import { openBackend } from '../backends/open.ts';
import { secretFieldTests } from './support/secret-fields.suite.ts';

secretFieldTests('embedded:memory', () => openBackend('embedded:memory', { onError: () => undefined }));

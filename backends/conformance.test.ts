import { conformance } from './conformance.ts';
import { openBackend } from './open.ts';

conformance('embedded:memory', (onError) => openBackend('embedded:memory', { onError }));

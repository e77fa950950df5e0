import { conformance } from './conformance.ts';
import { openBackend } from './open.ts';

conformance('embedded:memory', (onError) => openBackend('embedded:memory', { onError }), {
  skips: { 'reads a job whose payload is not JSON': 'a jsonb column holds nothing else' },
});

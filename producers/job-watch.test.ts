import { openBackend } from '../backends/open.ts';
import { jobWatchTests } from './job-watch.suite.ts';

jobWatchTests('embedded:memory', (onError) => openBackend('embedded:memory', { onError }));

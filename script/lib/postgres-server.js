/**
 * A PostgreSQL for the live suites until SIGTERM: `node script/lib/postgres-server.js FOLDER` prints its address when it
 * answers. Runs the compiled package (npm run build).
 */
import { once } from 'node:events';
import { openEmbedded } from '../../dist/backends/embedded/server.js';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: postgres-server.js FOLDER');
const server = await openEmbedded(folder, { onError: (error) => process.stderr.write(`${error.message}\n`) });
process.stdout.write(`${server.url}\n`);
const alive = setInterval(() => undefined, 60_000);
await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
clearInterval(alive);
await server.close();

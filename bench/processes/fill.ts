/** Adds jobs of 2K for the type `noop`, in bulks, and ends: `node fill.js URL COUNT`. */
import { fill } from '../side.ts';
import { openOurs } from '../side-ours.ts';

const [url = '', count = '0'] = process.argv.slice(2);
const side = await openOurs({ url });
await fill(side, Number(count));
await side.close();
// Metrics watch the event loop for as long as there is one.
process.exit();

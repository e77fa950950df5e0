import { z } from 'zod';
import { closeIntake, type Intake, noteChange } from '../cricket/changes.ts';
import { defineHandler, type JobContext } from '../define.ts';
import type { FetchedInput } from '../ports.ts';
import rankingUpdate from '../ranking-update/job.ts';
import statsCalculation from '../stats-calculation/job.ts';
import job from './job.ts';
import { keepMatches, newestOf } from './keep.ts';
import { limits } from './limits.ts';
import { type FoundMatch, matchesOf } from './source.ts';

/** Shares of the progress bar: read, then write; what follows is quick. */
const readTo = 50;
const writtenTo = 95;

const scopeRule = z.templateLiteral([z.enum(['odi', 't20i', 'test']), '/', z.enum(['male', 'female'])]);

async function read(path: string, source: string, ctx: JobContext): Promise<Map<string, FoundMatch>> {
  const found: FoundMatch[] = [];
  for await (const one of matchesOf(path, source, ctx.signal)) {
    found.push(one);
    ctx.progress((readTo * found.length) / (found.length + 50), `${found.length} matches read`);
  }
  return newestOf(found);
}

/** The file whole, under a name of its content: what no table reads today may be asked of it tomorrow. */
async function keepSource({ path, sha256 }: FetchedInput, isZip: boolean, ctx: JobContext): Promise<string> {
  const key = `cricket/${sha256}.${isZip ? 'zip' : 'json'}`;
  const there = await ctx.objects.head(key);
  return (there ?? (await ctx.objects.put(key, path, isZip ? 'application/zip' : 'application/json'))).object;
}

/** Notes what changed and enqueues what follows, each once however often this job is tried, then closes the intake. */
async function followUp(intake: Intake, ctx: JobContext): Promise<void> {
  for (const [scope, from] of Object.entries(intake.from)) await noteChange(ctx.documents, scope, from);
  for (const season of intake.seasons)
    for (const kind of ['points-table', 'players'] as const)
      await ctx.enqueue(statsCalculation, { kind, season }, { key: `${kind}/${season}` });
  const scopes = Object.keys(intake.from).filter((scope) => scopeRule.safeParse(scope).success);
  for (const format of ['odi', 't20i', 'test'] as const) {
    const own = scopes.filter((scope) => scope.startsWith(`${format}/`));
    if (own.length === 0) continue;
    for (const method of ['icc', 'elo', 'glicko2'] as const)
      if (method === 'icc' || (await isKept(own, method, ctx)))
        await ctx.enqueue(rankingUpdate, { format, method }, { key: `ranking/${format}/${method}` });
  }
  await closeIntake(ctx.documents, intake._id);
}

/** Elo and Glicko-2 are for those who asked for them once. */
async function isKept(scopes: readonly string[], method: string, { documents }: JobContext): Promise<boolean> {
  for (const scope of scopes)
    if ((await documents.get('ranking_tables', `${scope}/${method}`)) !== undefined) return true;
  return false;
}

export default defineHandler(job, {
  async run({ source }, ctx) {
    const input = await ctx.objects.fetch(source, { maxBytes: limits.sourceBytes });
    const files = await read(input.path, source, ctx);
    const isZip = [...files.values()].some(({ entry }) => entry !== null);
    const { counts, intake } = await keepMatches(files, {
      documents: ctx.documents,
      job: ctx.id,
      sourceSha256: input.sha256,
      keepSource: () => keepSource(input, isZip, ctx),
      signal: ctx.signal,
      onWritten: (done, of) => ctx.progress(readTo + ((writtenTo - readTo) * done) / of, `${done} of ${of} written`),
    });
    if (intake !== undefined) await followUp(intake, ctx);
    ctx.log('matches taken in', counts);
    return counts;
  },
});

import { readdir, readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { jobCodes } from '../jobs/errors.ts';
import { loadRegistry } from '../jobs/registry.ts';
import { producerCodes } from '../producers/errors.ts';
import { between, envExample, generate, readSection } from '../script/lib/docs.ts';
import { jobPageParts } from '../script/lib/job-docs.ts';

const root = new URL('../', import.meta.url);
const sections = await generate();
const registry = await loadRegistry();

it.each([...sections.keys()])(
  'holds the documented %s equal to the code (npm run docs writes them)',
  async (section) => {
    expect(await readSection(section)).toBe(sections.get(section));
  },
);

it.each([...registry.jobs.values()])(
  'holds docs/jobs/$name.md equal to the code (npm run docs writes it)',
  async (job) => {
    const page = await readFile(new URL(`docs/jobs/${job.name}.md`, root), 'utf8');
    for (const [part, text] of await jobPageParts(registry, job)) expect(between(page, part), part).toBe(text);
  },
);

it('keeps no page of a job type that is gone', async () => {
  const pages = (await readdir(new URL('docs/jobs/', root))).map((file) => file.replace(/\.md$/, ''));
  expect(pages.toSorted()).toEqual([...registry.jobs.keys()].toSorted());
});

it('holds .env.example equal to the schemas', async () => {
  expect(await readFile(new URL('.env.example', root), 'utf8')).toBe(await envExample());
});

/** The product's own sources, without their tests. */
async function sources(...folders: readonly string[]): Promise<string> {
  const texts: string[] = [];
  for (const folder of folders) {
    for (const entry of await readdir(new URL(folder, root), { withFileTypes: true, recursive: true })) {
      const isTest = /\.(test|suite)\.ts$|^conformance/.test(entry.name) || entry.parentPath.includes('fixtures');
      if (entry.isFile() && entry.name.endsWith('.ts') && !isTest)
        texts.push(await readFile(`${entry.parentPath}/${entry.name}`, 'utf8'));
    }
  }
  return texts.join('\n');
}

it('documents every code that the sources throw', async () => {
  const known = `${sections.get('job codes')}${sections.get('api codes')}${await readFile(new URL('docs/errors.md', root), 'utf8')}`;
  const text = await sources('jobs', 'producers', 'workers', 'backends', 'dashboard', 'runtime');
  const thrown = [...text.matchAll(/(?:giveUp|retry|tryAgainIn\([^,]+,)\(?\s*'([A-Z][A-Z_]+)'/g)].map(
    ([, code]) => code,
  );
  expect(thrown.filter((code) => !known.includes(`\`${code}\``))).toEqual([]);
});

it('documents no code that nothing gives any more', async () => {
  // The catalogues name their codes as keys, whoever gives one as a string.
  const given = {
    jobs: await sources('jobs', 'workers', 'backends', 'runtime'),
    producers: await sources('producers', 'backends'),
  };
  const gone = (codes: object, text: string) => Object.keys(codes).filter((code) => !text.includes(`'${code}'`));
  expect(gone(jobCodes, given.jobs)).toEqual([]);
  expect(gone(producerCodes, given.producers)).toEqual([]);
});

/** Not ours: set by the system, Node or the platform, and explained where they matter. */
const foreign = new Set(['HOME', 'NODE_ENV', 'PATH', 'TMPDIR']);

it('documents every variable that the sources read by name', async () => {
  const text = await sources('jobs', 'producers', 'workers', 'backends', 'dashboard', 'runtime', 'cli');
  const page = await readFile(new URL('docs/configuration.md', root), 'utf8');
  const read = [...text.matchAll(/\benv\['([A-Z][A-Z_]+)'\]/g)].map(([, name = '']) => name);
  expect(read.length).toBeGreaterThan(3);
  const unknown = read.filter((name) => !foreign.has(name) && !name.startsWith('JOBFLEET_TEST_'));
  expect(unknown.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});

it('links only to files that exist', async () => {
  const broken: string[] = [];
  const files = [
    'README.md',
    ...(await readdir(new URL('docs/', root), { recursive: true }))
      .filter((file) => file.endsWith('.md'))
      .map((file) => `docs/${file}`),
  ];
  for (const file of files) {
    const text = await readFile(new URL(file, root), 'utf8');
    for (const match of text.matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)/g)) {
      const target = new URL(match[1] ?? '', new URL(file, root));
      await readFile(target)
        .catch(() => readdir(target))
        .catch(() => broken.push(`${file}: ${match[1]}`));
    }
  }
  expect(broken).toEqual([]);
});

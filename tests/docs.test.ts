import { readdir, readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { loadRegistry } from '../jobs/registry.ts';
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

it('documents every code that the sources throw', async () => {
  const known = `${sections.get('job codes')}${sections.get('api codes')}${await readFile(new URL('docs/errors.md', root), 'utf8')}`;
  const thrown = new Set<string>();
  for (const folder of ['jobs', 'producers', 'workers', 'backends', 'dashboard', 'runtime']) {
    for (const entry of await readdir(new URL(folder, root), { withFileTypes: true, recursive: true })) {
      if (
        !entry.isFile() ||
        !entry.name.endsWith('.ts') ||
        /\.(test|suite)\.ts$/.test(entry.name) ||
        entry.parentPath.includes('fixtures')
      )
        continue;
      const text = await readFile(`${entry.parentPath}/${entry.name}`, 'utf8');
      for (const match of text.matchAll(/(?:giveUp|retry|tryAgainIn\([^,]+,)\(?\s*'([A-Z][A-Z_]+)'/g))
        thrown.add(match[1] ?? '');
    }
  }
  expect([...thrown].filter((code) => !known.includes(`\`${code}\``))).toEqual([]);
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

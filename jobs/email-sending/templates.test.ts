import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import emailSending from './job.ts';
import { loadTemplates } from './templates.ts';

const known = emailSending.payload.options.map((option) => option.shape.template.value);

test('every template of the payload has an English text, and every file belongs to a template', async () => {
  const { names } = await loadTemplates();
  for (const template of known) expect(names).toContain(`${template}.en`);
  for (const name of names) expect(known).toContain(name.replace(/\..*/, ''));
});

test.each([
  ['welcome.en.eta', '<title><%~ it.name %></title>', 'raw tag'],
  ['welcome.en.eta', '<%_~ it.name %>', 'raw tag'],
  ['welcome.eta', 'x', 'expected <template>.<locale>.eta'],
  ['Welcome.en.eta', 'x', 'expected <template>.<locale>.eta'],
])('a file %s with %s is refused', async (file, source, message) => {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-templates-'));
  await writeFile(join(folder, file), source);
  await expect(loadTemplates(pathToFileURL(`${folder}/`))).rejects.toThrow(message);
  await rm(folder, { recursive: true });
});

test('a language that only begins like another one is not taken for it', async () => {
  const templates = await loadTemplates();
  expect(templates.render('welcome', 'hil', {}).locale).toBe('en');
  const variables = { number: '1', currency: 'USD', items: [], total: 150_000 };
  expect(templates.render('receipt', 'en-IN', variables).text).toContain('$1,500.00');
  expect(templates.render('receipt', 'hil', variables).text).toContain('$1,500.00');
});

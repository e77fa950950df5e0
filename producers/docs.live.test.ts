/** /docs in a real browser: it works under its own content security policy and asks nobody else for anything. */
import { chromium } from 'playwright-core';
import { expect, test } from 'vitest';
import { openTestApi } from '../tests/support/api.ts';

test('shows every operation, breaks no rule of the policy, loads nothing from elsewhere', async () => {
  const api = await openTestApi();
  const browser = await chromium.launch({
    executablePath: process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium',
    args: ['--no-sandbox'],
  });
  try {
    const page = await browser.newPage();
    const complaints: string[] = [];
    const foreign: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => {
      if (!request.url().startsWith(api.url) && !request.url().startsWith('data:')) foreign.push(request.url());
    });
    await page.goto(`${api.url}/docs/`);
    await page.locator('#operations-jobs-enqueueJob').waitFor();
    await page.locator('#operations-jobs-enqueueJob').click();
    await page.getByText('Idempotent-Replayed').first().waitFor();
    expect(await page.locator('.opblock').count()).toBeGreaterThan(10);
    expect(await page.title()).toBe('Jobfleet API');
    expect(await page.getByRole('button', { name: 'Explore' }).isVisible()).toBe(false);
    await page.getByRole('button', { name: 'Authorize' }).waitFor();
    expect(foreign).toEqual([]);
    expect(complaints).toEqual([]);
  } finally {
    await browser.close();
    await api.close();
  }
});

import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { type Browser, type BrowserContext, chromium, type Locator, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openTestDashboard, type Person, passwords, type TestDashboard } from './support/dashboard.ts';

const executablePath = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium';
/** Where pictures of every page go; default: none are taken. */
const pictures = process.env['BOARD_PICTURES'];

let stage: TestDashboard;
let browser: Browser;
let sentId: string;
let failedId: string;
let delayedId: string;

describe.skipIf(!existsSync(executablePath))('in a real browser', () => {
  beforeAll(async () => {
    stage = await openTestDashboard();
    await stage.work();
    const variables = { name: 'Ada', link: 'https://shop.example.com/start' };
    sentId = await stage.mail('completed', { to: 'ada@example.com', template: 'welcome', variables });
    failedId = await stage.mail('failed', { to: 'bob@example.com', template: 'welcome' });
    const late = { to: 'late@example.com', template: 'welcome' };
    delayedId = (await stage.client.enqueueNamed('email-sending', late, { delayMs: 3_600_000 })).id;
    await stage.client.enqueueNamed('video-transcoding', {
      video_url: 'https://media.example.com/final.mp4',
      user_id: 'u-17',
    });
    if (pictures !== undefined) await mkdir(pictures, { recursive: true });
    browser = await chromium.launch({
      executablePath,
      args: [
        '--no-sandbox',
        '--disable-dev-shm-usage',
        '--disable-background-networking',
        '--disable-component-update',
        '--no-first-run',
      ],
    });
  });
  afterAll(async () => {
    await browser?.close();
    await stage?.close();
  });

  test('the board shows queues, jobs, logs and masked payloads, light and dark, wide and narrow', async () => {
    for (const look of looks) {
      await using visit = await openVisit(look);
      const { page, picture } = visit;
      await page.goto(`${stage.url}/board`);
      await picture('login');
      await logIn(page, 'vera');
      await page.getByRole('link', { name: 'email-sending' }).last().waitFor();
      await fits(page);
      await picture('queues');

      await page.goto(`${stage.url}/board/queue/email-sending`);
      for (const id of [sentId, failedId, delayedId]) await page.getByText(id).first().waitFor();
      const shown = await page.locator('body').innerText();
      expect(shown).toContain('a***@example.com');
      expect(shown).not.toMatch(/(?:ada|bob|late)@example\.com/);
      await fits(page);
      await picture('queue');

      await page.goto(`${stage.url}/board/queue/email-sending/${sentId}`);
      await page.getByRole('tab', { name: 'Logs' }).click();
      await page.getByText('mail accepted by the server').waitFor();
      await picture('logs');
      await page.goto(`${stage.url}/board/queue/email-sending/${failedId}`);
      await page.getByText('SMTP_451').first().waitFor();
      await fits(page);
      await picture('failed');
      expect(visit.problems()).toEqual([]);
    }
  }, 120_000);

  test('the inbox shows a mail with its parts, light and dark, wide and narrow', async () => {
    await createTransport(stage.inbox.smtpUrl).sendMail({
      from: 'shop@example.com',
      to: 'carl@example.com',
      subject: 'Tickets <b>with a very long subject that has to wrap on a narrow window without breaking it</b>',
      html: '<h1>Two tickets</h1><script>document.title = "owned"</script><img src="https://tracker.example/x.gif">',
      text: 'Two tickets',
      attachments: [{ filename: 'tickets.txt', content: 'A12, A13' }],
    });
    for (const look of looks) {
      await using visit = await openVisit(look);
      const { page, picture } = visit;
      await page.goto(`${stage.url}/dev/inbox`);
      await logIn(page, 'otto');
      await page.getByText('Welcome, Ada').waitFor();
      await fits(page);
      await picture('inbox');
      await page.getByText('Welcome, Ada').click();
      await page.frameLocator('iframe').getByRole('link', { name: 'Open your account' }).waitFor();
      await picture('mail');
      await page.getByRole('link', { name: 'Text', exact: true }).click();
      await page.getByText('Open your account: https://shop.example.com/start').waitFor();

      await page.goto(`${stage.url}/dev/inbox`);
      await page.getByText('Tickets <b>').click();
      await page.frameLocator('iframe').getByRole('heading', { name: 'Two tickets' }).waitFor();
      expect(await page.title()).toContain('Tickets');
      await fits(page);
      await picture('attachment');
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('link', { name: 'tickets.txt' }).click(),
      ]);
      expect(download.suggestedFilename()).toBe('tickets.txt');
      await page.getByRole('link', { name: 'Headers' }).click();
      await page.getByText('Delivered-To: carl@example.com').waitFor();
      // Chromium says that it kept the mail's script and picture from loading; that is the point.
      expect(visit.problems().filter((line) => !/sandboxed|Content Security Policy/.test(line))).toEqual([]);
    }
  }, 120_000);

  test('a dead letter is retried from the board after mail is accepted again', async () => {
    await using visit = await openVisit({ colorScheme: 'light', width: 1_280 });
    const { page } = visit;
    await page.goto(`${stage.url}/dev/inbox`);
    await logIn(page, 'otto');
    await page.getByRole('button', { name: 'Refuse mail' }).click();
    await page.getByText('Mail is refused').waitFor();
    await page.getByRole('button', { name: 'Accept mail' }).click();
    await page.getByRole('button', { name: 'Refuse mail' }).waitFor();
    await page.goto(`${stage.url}/board/queue/email-sending/${failedId}`);
    await page.getByText('SMTP_451').first().waitFor();
    await retry(page);
    const state = async () => (await stage.backend.queue('email-sending').getJob(failedId))?.getState();
    await expect.poll(state, { timeout: 30_000 }).toBe('completed');
    await page.goto(`${stage.url}/dev/inbox`);
    await page.getByText('bob@example.com').waitFor();
    expect(visit.problems()).toEqual([]);
  }, 120_000);

  test('the add dialog starts from the schema, refuses with a reason, and adds', async () => {
    await using visit = await openVisit({ colorScheme: 'dark', width: 1_280 });
    const { page, picture } = visit;
    await page.goto(`${stage.url}/board/queue/email-sending`);
    await logIn(page, 'otto');
    await page.getByText(sentId).first().waitFor();
    const empty = await openAddDialog(page);
    await picture('add');
    await empty.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByText('data.to: expected one address').waitFor();
    await picture('refused');

    const dialog = await openAddDialog(page);
    await write(dialog.locator('.cm-content').first(), {
      to: 'grace@example.com',
      template: 'welcome',
      variables: { name: 'Grace' },
    });
    await dialog.getByRole('button', { name: 'Add', exact: true }).click();
    const arrived = async () => (await stage.inbox.messages()).map((mail) => mail.subject);
    await expect.poll(arrived, { timeout: 30_000 }).toContain('Welcome, Grace');
    expect(visit.problems()).toEqual([
      expect.stringMatching(/^400 .*\/board\/api\/queues\/email-sending\/add$/),
      expect.stringMatching(/^console .*400/),
    ]);
  }, 120_000);

  test('hostile names, payloads and errors are shown as text', async () => {
    const hostile = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;
    const queue = stage.backend.queue('email-sending');
    const payload = { to: hostile, [hostile]: hostile, variables: [hostile] };
    const [named, plain] = await Promise.all([queue.add(hostile, payload), queue.add('email-sending', payload)]);
    await named.log(hostile);
    const states = async () => [await named.getState(), await plain.getState()];
    await expect.poll(states, { timeout: 30_000 }).toEqual(['failed', 'failed']);
    await using visit = await openVisit({ colorScheme: 'dark', width: 1_280 });
    const { page } = visit;
    await page.goto(`${stage.url}/board/queue/email-sending?status=failed`);
    await logIn(page, 'vera');
    await page.getByText('UNKNOWN_JOB').first().waitFor();
    for (const { id } of [named, plain]) {
      for (const tab of ['Data', 'Options', 'Logs', 'Error']) {
        await page.goto(`${stage.url}/board/queue/email-sending/${encodeURIComponent(id ?? '')}`);
        await page.getByRole('tab', { name: tab }).click();
        await page.getByRole('tabpanel', { name: tab }).waitFor();
        expect(await page.title()).not.toContain('owned');
      }
    }
    expect(visit.problems()).toEqual([]);
  }, 120_000);

  test('a viewer who presses retry is told why not', async () => {
    await using visit = await openVisit({ colorScheme: 'light', width: 1_280 });
    const { page } = visit;
    const id = await stage.mail('failed', { to: 'hal@example.com', template: 'welcome' });
    await page.goto(`${stage.url}/board/queue/email-sending/${id}`);
    await logIn(page, 'vera');
    await page.getByText('SMTP_451').first().waitFor();
    await retry(page);
    await page.getByText('This needs the role operator; vera is a viewer.').waitFor();
    expect(visit.problems().every((line) => /403/.test(line))).toBe(true);
  });
});

interface Look {
  readonly colorScheme: 'light' | 'dark';
  readonly width: number;
}

const looks: readonly Look[] = [
  { colorScheme: 'light', width: 1_280 },
  { colorScheme: 'dark', width: 1_280 },
  { colorScheme: 'light', width: 400 },
  { colorScheme: 'dark', width: 400 },
];

interface Visit extends AsyncDisposable {
  readonly page: Page;
  /** Foreign requests, console errors, answers of 400 and above, in order. */
  readonly problems: () => readonly string[];
  readonly picture: (name: string) => Promise<void>;
}

/** A fresh browser session. Whatever it asks of another host is noted and not sent. */
async function openVisit({ colorScheme, width }: Look): Promise<Visit> {
  const context: BrowserContext = await browser.newContext({ colorScheme, viewport: { width, height: 800 } });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const problems: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(`console ${message.text()}`);
  });
  page.on('pageerror', (error) => problems.push(`error ${error.message}`));
  page.on('response', (response) => {
    if (response.status() >= 400) problems.push(`${response.status()} ${response.url()}`);
  });
  await context.route(
    (url) => url.origin !== new URL(stage.url).origin && url.protocol.startsWith('http'),
    async (route) => {
      problems.push(`foreign ${route.request().url()}`);
      await route.abort();
    },
  );
  return {
    page,
    problems: () => problems,
    picture: async (name) => {
      if (pictures === undefined) return;
      await page.waitForLoadState('networkidle');
      await page.screenshot({ path: join(pictures, `${name}-${colorScheme}-${width}.png`) });
    },
    [Symbol.asyncDispose]: () => context.close(),
  };
}

async function logIn(page: Page, person: Person): Promise<void> {
  const { pathname } = new URL(new URL(page.url()).searchParams.get('next') ?? '/', stage.url);
  await page.getByLabel('Name').fill(person);
  await page.getByLabel('Password').fill(passwords[person]);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL((url) => url.pathname === pathname);
}

/** Nothing sticks out: the page does not scroll sideways. */
async function fits(page: Page): Promise<void> {
  const [wide, seen] = (await page.evaluate('[document.documentElement.scrollWidth, window.innerWidth]')) as [
    number,
    number,
  ];
  expect(wide).toBeLessThanOrEqual(seen);
}

/** The board names its icons only in tooltips; retry is the first of a job's actions. */
async function retry(page: Page): Promise<void> {
  await page.locator('main li button').first().click();
  await page.getByRole('button', { name: 'Confirm' }).click();
}

/** The dialog of the queue that is shown, filled from its schema. */
async function openAddDialog(page: Page): Promise<Locator> {
  const dialog = page.getByRole('dialog');
  const item = page.getByRole('menuitem', { name: 'Add job' });
  await vi.waitFor(async () => {
    // From the start where a click was lost: the page draws itself anew every few seconds, whoever is at its menu.
    if (!(await dialog.isVisible())) {
      if (!(await item.isVisible()))
        await page.locator('button[aria-haspopup="menu"]').last().click({ timeout: 5_000 });
      await item.click({ timeout: 5_000 });
    }
    const text = await dialog.locator('.cm-content').first().innerText({ timeout: 5_000 });
    expect(text).toContain('"template": "welcome"');
  }, 45_000);
  return dialog;
}

async function write(editor: Locator, value: unknown): Promise<void> {
  await editor.click();
  await editor.press('ControlOrMeta+a');
  // Not typed key by key: the editor would close every bracket a second time.
  await editor.page().keyboard.insertText(JSON.stringify(value));
}

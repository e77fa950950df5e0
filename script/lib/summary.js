/**
 * The end of script/test: the slowest files, what was skipped and why, then "N passed, N failed" as the last line.
 * Exit 1 when something failed, when nothing ran, or (CI=true) when anything was skipped that this machine lacks. What a
 * store cannot be asked, by what is documented of it, is data of the test (`meta.notAsked`): listed, and no skip to refuse.
 * Usage: node script/lib/summary.js VITEST_JSON SKIPPED_LIST
 */
import { readFileSync } from 'node:fs';

const [reportFile, skippedFile] = process.argv.slice(2);
if (reportFile === undefined || skippedFile === undefined)
  throw new Error('usage: summary.js VITEST_JSON SKIPPED_LIST');

/** @type {{testResults?: {name: string, status: string, message?: string, startTime: number, endTime: number, assertionResults: {status: string, fullName: string, meta?: {notAsked?: string}}[]}[]}} */
let report = {};
try {
  report = JSON.parse(readFileSync(reportFile, 'utf8'));
} catch (error) {
  process.stdout.write(`The test run left no report: ${String(error)}\n`);
}
/** @param {string} file */
const short = (file) => file.replace(`${process.cwd()}/`, '');
/** @param {readonly string[]} lines */
const list = (lines) => lines.map((line) => `  ${line}\n`).join('');
const files = report.testResults ?? [];
const tests = files.flatMap((file) => file.assertionResults.map((test) => ({ ...test, file: file.name })));
const passed = tests.filter((test) => test.status === 'passed').length;
const brokenFiles = files.filter(
  (file) => file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
);
const failed = tests.filter((test) => test.status === 'failed').length + brokenFiles.length;
const notRun = tests.filter((test) => test.status !== 'passed' && test.status !== 'failed');
const skippedTests = notRun.filter(({ meta }) => meta?.notAsked === undefined);
const notAsked = notRun.flatMap((test) =>
  test.meta?.notAsked === undefined ? [] : [`${short(test.file)}: ${test.fullName}: ${test.meta.notAsked}`],
);
const reasons = readFileSync(skippedFile, 'utf8').split('\n').filter(Boolean);

const slowest = files
  .map((file) => ({ name: short(file.name), seconds: (file.endTime - file.startTime) / 1000 }))
  .filter(({ seconds }) => seconds >= 1)
  .toSorted((a, b) => b.seconds - a.seconds)
  .slice(0, 10);
if (slowest.length > 1) process.stdout.write('Slowest files, in seconds:\n');
for (const { name, seconds } of slowest.length > 1 ? slowest : [])
  process.stdout.write(`${seconds.toFixed(0).padStart(6)}  ${name}\n`);

if (notAsked.length > 0) process.stdout.write(`Not asked of a store that cannot:\n${list(notAsked)}`);
const skipped = [...reasons, ...skippedTests.map((test) => `${short(test.file)}: ${test.fullName}`)];
process.stdout.write(skipped.length === 0 ? 'Nothing was skipped.\n' : `Skipped:\n${list(skipped)}`);
const refused = process.env['CI'] === 'true' && skipped.length > 0;
if (refused) process.stdout.write('CI=true refuses skips.\n');
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed > 0 || passed === 0 || refused ? 1 : 0;

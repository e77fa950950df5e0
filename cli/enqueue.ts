/** `jobfleet enqueue TYPE`: uploads a file where one is given, adds the job, and follows it to its end with --wait. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { type Connection, connect, type ServerFlags } from './connection.ts';
import { follow } from './follow.ts';
import { CliError, note, print } from './output.ts';

export interface EnqueueFlags extends ServerFlags {
  readonly payload?: string;
  readonly file?: string;
  readonly idempotencyKey?: string;
  readonly delay?: string;
  readonly attempts?: string;
  readonly level?: string;
  readonly wait?: boolean;
  readonly json?: boolean;
}

const types = z.object({
  types: z.array(
    z.object({
      name: z.string(),
      aliases: z.array(z.string()),
      available: z.boolean(),
      reason: z.string().optional(),
      payload: z.object({
        properties: z.record(z.string(), z.looseObject({ file: z.boolean().optional() })).optional(),
      }),
    }),
  ),
});
const uploaded = z.object({
  object: z.string(),
  upload: z.object({ method: z.string(), url: z.url(), headers: z.record(z.string(), z.string()) }),
});
const accepted = z.looseObject({
  id: z.string(),
  queue: z.string(),
  status: z.string(),
  duplicate: z.boolean().optional(),
});
const job = z.looseObject({
  id: z.string(),
  type: z.string(),
  status: z.string(),
  attempt: z.number(),
  maxAttempts: z.number(),
  progress: z.unknown(),
  result: z.unknown(),
  error: z.object({ code: z.string(), message: z.string() }).nullish(),
  files: z
    .array(z.object({ object: z.string(), url: z.string(), contentType: z.string(), sizeBytes: z.number() }))
    .nullish(),
});

const contentTypes: Readonly<Record<string, string>> = {
  '.avif': 'image/avif',
  '.gif': 'image/gif',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.json': 'application/json',
  '.mov': 'video/quicktime',
  '.mp3': 'audio/mpeg',
  '.mp4': 'video/mp4',
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.tif': 'image/tiff',
  '.tiff': 'image/tiff',
  '.webm': 'video/webm',
  '.webp': 'image/webp',
  '.zip': 'application/zip',
};

export async function enqueue(type: string, flags: EnqueueFlags): Promise<void> {
  const server = await connect(flags);
  const payload = {
    ...parsePayload(flags.payload),
    ...(flags.file === undefined ? {} : await fileField(server, type, flags.file)),
  };
  const options = {
    ...(flags.delay === undefined ? {} : { delayMs: wholeNumber('--delay', flags.delay) }),
    ...(flags.attempts === undefined ? {} : { attempts: wholeNumber('--attempts', flags.attempts) }),
    ...(flags.level === undefined ? {} : { level: flags.level }),
  };
  const headers: Record<string, string> =
    flags.idempotencyKey === undefined ? {} : { 'idempotency-key': flags.idempotencyKey };
  const answer = await server.call(accepted, 'POST', '/v1/jobs', { type, payload, options }, headers);
  if (flags.wait !== true) {
    print(
      flags.json === true,
      answer,
      (it) => `${it.id}  ${it.status}${it.duplicate === true ? '  (it was there already)' : ''}`,
    );
    return;
  }
  note(`${answer.id} ${answer.status}`);
  await showEnd(server, answer.id, flags);
}

/** `jobfleet jobs watch ID`. Throws, so that a script notices, when it did not complete. */
export async function watchJob(id: string, flags: ServerFlags & { readonly json?: boolean }): Promise<void> {
  await showEnd(await connect(flags), id, flags);
}

async function showEnd(server: Connection, id: string, flags: { readonly json?: boolean }): Promise<void> {
  const ended = await watchToEnd(server, id, flags.json !== true && process.stderr.isTTY);
  print(flags.json === true, ended, summary);
  if (ended.status !== 'completed') throw new CliError(`${ended.id} ended as ${ended.status}`);
}

function parsePayload(text: string | undefined): Record<string, unknown> {
  if (text === undefined) return {};
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(text));
  } catch (error) {
    throw new CliError(`--payload must be a JSON object, got ${text.slice(0, 80)}`, 2, { cause: error });
  }
}

function wholeNumber(flag: string, text: string): number {
  if (!/^\d{1,12}$/.test(text)) throw new CliError(`${flag} must be a whole number, got ${text}`, 2);
  return Number(text);
}

async function fileField(server: Connection, type: string, file: string): Promise<Record<string, string>> {
  const known = (await server.call(types, 'GET', '/v1/types')).types.find(
    (it) => it.name === type || it.aliases.includes(type),
  );
  if (known === undefined) throw new CliError(`There is no job type "${type}" on ${server.url}`, 2);
  const field = Object.entries(known.payload.properties ?? {}).find(([, schema]) => schema.file === true)?.[0];
  if (field === undefined) throw new CliError(`${known.name} takes no file; give its payload with --payload`, 2);
  return { [field]: await upload(server, file) };
}

async function upload(server: Connection, file: string): Promise<string> {
  let sizeBytes: number;
  try {
    sizeBytes = (await stat(file)).size;
  } catch (error) {
    throw new CliError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`, 2, {
      cause: error,
    });
  }
  const contentType = contentTypes[extname(file).toLowerCase()] ?? 'application/octet-stream';
  const slot = await server.call(uploaded, 'POST', '/v1/uploads', { filename: basename(file), contentType, sizeBytes });
  const request: RequestInit & { readonly duplex: 'half' } = {
    method: slot.upload.method,
    headers: { ...slot.upload.headers, 'content-length': String(sizeBytes) },
    body: Readable.toWeb(createReadStream(file)) as RequestInit['body'] & object,
    duplex: 'half',
  };
  const response = await fetch(slot.upload.url, request);
  if (!response.ok)
    throw new CliError(`Uploading ${file} failed: ${response.status} ${(await response.text()).slice(0, 200)}`);
  return slot.object;
}

/** Shows how it goes on, in one line on a terminal and in a line each elsewhere; answers how it ended. */
async function watchToEnd(server: Connection, id: string, live: boolean): Promise<z.output<typeof job>> {
  let shown = '';
  await follow(server, id, ({ status, attempt, maxAttempts, progress }) => {
    const line = `${status}, attempt ${attempt} of ${maxAttempts}${percent(progress)}`;
    if (line !== shown) process.stderr.write(live ? `\r\u001b[2K${line}` : `${line}\n`);
    shown = line;
  });
  if (live) process.stderr.write('\n');
  return server.call(job, 'GET', `/v1/jobs/${encodeURIComponent(id)}`);
}

function percent(progress: unknown): string {
  const parsed = z
    .union([z.number(), z.object({ percent: z.number() }).transform((it) => it.percent)])
    .safeParse(progress);
  return parsed.success && parsed.data > 0 ? `, ${Math.round(parsed.data)} %` : '';
}

function summary(ended: z.output<typeof job>): string {
  const error = ended.error ? `\n${ended.error.code}: ${ended.error.message}` : '';
  const result =
    ended.result === null || ended.result === undefined ? '' : `\n${JSON.stringify(ended.result, null, 2)}`;
  const files = (ended.files ?? [])
    .map((file) => `\n${file.contentType}  ${file.sizeBytes} bytes  ${file.url}`)
    .join('');
  return `${ended.id} ${ended.status}${error}${result}${files}`;
}

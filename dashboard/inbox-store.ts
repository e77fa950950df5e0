/**
 * Mails of the development inbox as `.eml` files in one folder, the newest 500. A mail that comes again with the same
 * Message-ID for the same receivers is kept once, as a mailbox that drops duplicates would.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import PostalMime, { type Email } from 'postal-mime';

export interface InboxMail {
  /** Names the mail in addresses; sorts by arrival. */
  readonly id: string;
  /** RFC 3339. */
  readonly receivedAt: string;
  /** The envelope: who would really have got it, whatever the headers say. */
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly messageId: string;
  readonly sizeBytes: number;
}

export interface Envelope {
  readonly from: string;
  readonly to: readonly string[];
}

export interface InboxStore {
  /** Answers the mail as listed. Writes to the side first, so that a listing never meets half a mail. */
  add(envelope: Envelope, source: Buffer): Promise<InboxMail>;
  /** The newest first. */
  list(): Promise<readonly InboxMail[]>;
  /** Undefined when there is no such mail (any more). */
  read(id: string): Promise<{ readonly mail: InboxMail; readonly source: Buffer; readonly parsed: Email } | undefined>;
  clear(): Promise<void>;
}

const fileName = /^(?<id>(?<time>[0-9a-z]{9})-[0-9a-f]{24})\.eml$/;

/** Creates the folder (0700). `limit` is how many mails stay. */
export async function openInboxStore(folder: string, limit = 500): Promise<InboxStore> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  /** What has been read once: a mail never changes. */
  const known = new Map<string, InboxMail>();
  const ids = async () =>
    (await readdir(folder))
      .flatMap((file) => fileName.exec(file)?.groups?.['id'] ?? [])
      .toSorted()
      .toReversed();
  const pathOf = (id: string) => join(folder, `${id}.eml`);

  const summary = async (id: string): Promise<InboxMail | undefined> => {
    const found = known.get(id) ?? (await readSummary(pathOf(id), id));
    if (found !== undefined) known.set(id, found);
    return found;
  };
  const drop = async (id: string) => {
    known.delete(id);
    await rm(pathOf(id), { force: true });
  };

  const store = async (envelope: Envelope, source: Buffer): Promise<InboxMail> => {
    const { messageId = '' } = await PostalMime.parse(headOf(source));
    const print =
      messageId === '' ? randomBytes(12).toString('hex') : hash(`${messageId} ${envelope.to.toSorted().join(' ')}`);
    const before = await ids();
    const twin = before.find((id) => id.endsWith(`-${print}`));
    const id = twin ?? `${Date.now().toString(36).padStart(9, '0')}-${print}`;
    if (twin === undefined) {
      const aside = join(folder, `.${id}.part`);
      await writeFile(aside, Buffer.concat([Buffer.from(trace(envelope)), source]), { mode: 0o600 });
      await rename(aside, pathOf(id));
      for (const old of before.slice(limit - 1)) await drop(old);
    }
    const mail = await summary(id);
    if (mail === undefined) throw new Error(`the mail ${id} vanished while it was stored; was the folder emptied?`);
    return mail;
  };
  /** One after the other: two copies of one mail at once must meet each other. */
  let last: Promise<unknown> = Promise.resolve();

  return {
    add(envelope, source) {
      const stored = last.then(() => store(envelope, source));
      last = stored.catch(() => undefined); // Its own caller hears of it; the next mail goes on.
      return stored;
    },
    async list() {
      const mails: InboxMail[] = [];
      for (const id of (await ids()).slice(0, limit)) {
        const mail = await summary(id);
        if (mail !== undefined) mails.push(mail);
      }
      return mails;
    },
    async read(id) {
      if (!fileName.test(`${id}.eml`)) return undefined;
      const mail = await summary(id);
      if (mail === undefined) return undefined;
      const source = await readFile(pathOf(id));
      return { mail, source, parsed: await PostalMime.parse(source) };
    },
    async clear() {
      for (const id of await ids()) await drop(id);
    },
  };
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 24);
}

/** What a delivering server writes on top: the envelope. Angle brackets and line ends cannot occur in its addresses. */
function trace(envelope: Envelope): string {
  const clean = (address: string) => address.replace(/[\r\n<>]/g, '');
  return [
    `Return-Path: <${clean(envelope.from)}>`,
    ...envelope.to.map((address) => `Delivered-To: ${clean(address)}`),
    '',
  ].join('\r\n');
}

/** The headers alone, at most 64 KiB: bodies are parsed only when somebody reads the mail. */
function headOf(source: Buffer): Buffer {
  const end = source.indexOf('\r\n\r\n');
  return source.subarray(0, Math.min(end === -1 ? source.length : end + 4, 65_536));
}

async function readSummary(path: string, id: string): Promise<InboxMail | undefined> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path);
  } catch (error) {
    // Emptied or over the limit since it was listed.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(size, 65_536)), 0, Math.min(size, 65_536), 0);
    const { headers, subject, messageId } = await PostalMime.parse(headOf(buffer.subarray(0, bytesRead)));
    const values = (key: string) => headers.filter((header) => header.key === key).map((header) => header.value);
    return {
      id,
      receivedAt: new Date(Number.parseInt(id.slice(0, 9), 36)).toISOString(),
      from: values('return-path')[0]?.replace(/^<|>$/g, '') ?? '',
      to: values('delivered-to'),
      subject: subject ?? '',
      messageId: messageId ?? '',
      sizeBytes: size,
    };
  } finally {
    await file.close();
  }
}

/** A certificate for 127.0.0.1 and localhost, made now and good for a day; its own authority. Needs `openssl` on PATH. */
import { execFile } from 'node:child_process';
import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  /** What a client must trust (`NODE_EXTRA_CA_CERTS`); `ca` is its text. */
  readonly caFile: string;
  readonly ca: string;
}

export async function makeCertificate(dir: string): Promise<Certificate> {
  const keyFile = join(dir, 'key.pem');
  const certFile = join(dir, 'cert.pem');
  const kind = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1'.split(' ');
  const subject = ['-subj', '/CN=jobfleet tests', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  await run('openssl', [...kind, '-keyout', keyFile, '-out', certFile, ...subject]);
  await chmod(keyFile, 0o644);
  return { certFile, keyFile, caFile: certFile, ca: await readFile(certFile, 'utf8') };
}

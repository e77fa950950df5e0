/** An SMTP server in a process of its own (`processes/smtp.ts`) that takes everything; it ends with the bench. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface SmtpServer {
  readonly port: number;
  /** An SMTP_URL. */
  readonly url: string;
  readonly stop: () => void;
}

export async function startSmtp(): Promise<SmtpServer> {
  const script = fileURLToPath(new URL('./processes/smtp.js', import.meta.url));
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line]: unknown[] = await once(child.stdout, 'data');
  const port = Number(String(line));
  return { port, url: `smtp://127.0.0.1:${port}`, stop: () => void child.kill() };
}

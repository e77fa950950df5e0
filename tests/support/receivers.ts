/**
 * The far ends of notifications, as real servers that speak the real protocols and check what they are sent: a push
 * service that decrypts and verifies, Google's token and message servers, a provider of text messages, and endpoints.
 */
import { createDecipheriv, createECDH, createHmac, generateKeyPairSync, hkdfSync, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeJwt, importJWK, importSPKI, jwtVerify } from 'jose';

export interface Received {
  readonly method: string | undefined;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export type Respond = (response: ServerResponse, received: Received, request: IncomingMessage) => unknown;

export interface Receiver {
  readonly url: string;
  /** For `http.allow` and `HTTP_ALLOW`. */
  readonly host: string;
  /** Every request that came whole, in order. */
  readonly received: Received[];
  /** From now on. */
  respond(how: Respond): void;
  close(): Promise<void>;
}

/** A server on loopback that remembers what it was sent. */
export async function openReceiver(first: Respond): Promise<Receiver> {
  let how = first;
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const headers = Object.fromEntries(
        Object.entries(request.headers).map(([name, value]) => [
          name,
          Array.isArray(value) ? value.join() : (value ?? ''),
        ]),
      );
      const one = { method: request.method, path: request.url ?? '', headers, body: Buffer.concat(chunks) };
      received.push(one);
      how(response, one, request);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const host = `127.0.0.1:${port}`;
  return {
    url: `http://${host}`,
    host,
    received,
    respond: (next) => void (how = next),
    close: () => closeServer(server),
  };
}

function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((done) => server.close(() => done()));
}

export const answer =
  (status: number, headers: Record<string, string> = {}, body: unknown = ''): Respond =>
  (response) =>
    response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));

/** A device of a user: what its browser gives the page, and the private half that only it has. */
export function makeDevice() {
  const ecdh = createECDH('prime256v1');
  ecdh.generateKeys();
  const auth = randomBytes(16);
  const keys = { p256dh: ecdh.getPublicKey('base64url'), auth: auth.toString('base64url') };
  return {
    keys,
    /** RFC 8291 over RFC 8188: throws for what was not encrypted for this device. */
    decrypt(body: Buffer): string {
      const salt = body.subarray(0, 16);
      const keyLength = body[20] ?? 0;
      const senderKey = body.subarray(21, 21 + keyLength);
      const record = body.subarray(21 + keyLength);
      const info = Buffer.concat([Buffer.from('WebPush: info\0'), ecdh.getPublicKey(), senderKey]);
      const secret = Buffer.from(hkdfSync('sha256', ecdh.computeSecret(senderKey), auth, info, 32));
      const key = Buffer.from(hkdfSync('sha256', secret, salt, 'Content-Encoding: aes128gcm\0', 16));
      const nonce = Buffer.from(hkdfSync('sha256', secret, salt, 'Content-Encoding: nonce\0', 12));
      const decipher = createDecipheriv('aes-128-gcm', key, nonce);
      decipher.setAuthTag(record.subarray(-16));
      const plain = Buffer.concat([decipher.update(record.subarray(0, -16)), decipher.final()]);
      // The last record ends with a 2 and zeros.
      return plain.subarray(0, plain.lastIndexOf(2)).toString('utf8');
    },
  };
}

/** Throws unless the request carries a VAPID token for this server, signed by the key it names. */
export async function verifyVapid({ headers }: Received, origin: string) {
  const [, token = '', key = ''] = /^vapid t=([^,]+), ?k=(.+)$/i.exec(headers['authorization'] ?? '') ?? [];
  const point = Buffer.from(key, 'base64url');
  const coordinates = { x: point.subarray(1, 33).toString('base64url'), y: point.subarray(33).toString('base64url') };
  const publicKey = await importJWK({ kty: 'EC', crv: 'P-256', ...coordinates }, 'ES256');
  const { payload } = await jwtVerify(token, publicKey, { audience: origin, algorithms: ['ES256'] });
  return { key, subject: payload.sub };
}

/** Google's two servers: one sells access for a token signed by the account, the other takes messages for it. */
export async function openGoogle() {
  const pair = generateKeyPairSync('rsa', {
    modulusLength: 2_048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const publicKey = await importSPKI(pair.publicKey, 'RS256');
  const email = 'sender@demo-project.iam.gserviceaccount.com';
  let sold = 0;
  let how: Respond = answer(200, {}, { name: 'projects/demo-project/messages/1' });
  let tokens: Respond | undefined;
  const refuse = (response: ServerResponse, status: number) => response.writeHead(status).end('{}');
  const sell = async (response: ServerResponse, one: Received): Promise<unknown> => {
    const form = new URLSearchParams(one.body.toString());
    try {
      if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer') return refuse(response, 400);
      const assertion = form.get('assertion') ?? '';
      const audience = `${receiver.url}/token`;
      await jwtVerify(assertion, publicKey, { issuer: email, audience, algorithms: ['RS256'], maxTokenAge: '1m' });
      if (decodeJwt(assertion)['scope'] !== 'https://www.googleapis.com/auth/firebase.messaging')
        return refuse(response, 400);
      sold += 1;
      return response.end(JSON.stringify({ access_token: `access-${sold}`, expires_in: 3_600, token_type: 'Bearer' }));
    } catch {
      return refuse(response, 400); // jose throws for what does not verify: that is the answer.
    }
  };
  const receiver = await openReceiver((response, one, request) => {
    if (one.path === '/token') return tokens === undefined ? sell(response, one) : tokens(response, one, request);
    if (one.path !== '/v1/projects/demo-project/messages:send') return refuse(response, 404);
    const bought = Number(/^Bearer access-(\d+)$/.exec(one.headers['authorization'] ?? '')?.[1] ?? 0);
    if (bought < 1 || bought > sold) return refuse(response, 401);
    return how(response, one, request);
  });
  return {
    ...receiver,
    account: JSON.stringify({
      type: 'service_account',
      project_id: 'demo-project',
      client_email: email,
      private_key: pair.privateKey,
      token_uri: `${receiver.url}/token`,
    }),
    respond: (next: Respond) => void (how = next),
    /** Undefined: sells as usual. */
    respondToTokens: (next: Respond | undefined) => void (tokens = next),
    sold: () => sold,
    /** What was sent, without what was paid. */
    messages: () => receiver.received.filter(({ path }) => path !== '/token'),
  };
}

/** As the Standard Webhooks specification writes it, with nothing of the library that signs. */
export function standardSignature(secret: string, id: string, timestamp: string, body: string): string {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

/** A secret for a test: 24 bytes of one letter. */
export const madeUpSecret = (letter: string): string => `whsec_${Buffer.alloc(24, letter).toString('base64')}`;

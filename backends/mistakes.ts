/** What people get wrong about the address of a store, told by what the server or the driver says. */
import type { BackendErrorCode } from './unreachable.ts';

export interface Mistake<Address> {
  /** Tested against `<code> <message>` of the error. */
  readonly when: RegExp;
  readonly code: BackendErrorCode;
  /** What follows the name of the store: what is wrong, and the way out. */
  readonly words: (text: string, address: Address) => string;
}

/** Of every driver: the words are Node's. */
export const certificateMistakes: readonly Mistake<unknown>[] = [
  {
    when: /SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|self.signed certificate/i,
    code: 'BACKEND_UNTRUSTED',
    words: (text) =>
      `shows a certificate that is not trusted (${text}); start with NODE_EXTRA_CA_CERTS=<file with its authority>`,
  },
  {
    when: /CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/,
    code: 'BACKEND_UNTRUSTED',
    words: (text) => `shows a certificate out of its time (${text}); renew it, or set the clock`,
  },
  {
    when: /ALTNAME|does not match certificate/i,
    code: 'BACKEND_UNTRUSTED',
    words: (text) => `shows the certificate of another name (${text}); use the name it was made for in QUEUE_URL`,
  },
];

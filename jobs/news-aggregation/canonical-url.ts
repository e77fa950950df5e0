/**
 * One spelling for all the addresses of a story, so that two feeds which link it differently are seen to mean the same.
 * Only what cannot change the meaning (RFC 3986 §6.2.2) and tracking parameters; `www.`, `http:` and the case of paths
 * stay, and double slashes too: servers do tell them apart.
 */

const tracking = new Set(
  'gclid fbclid msclkid dclid gbraid wbraid mc_cid mc_eid igshid yclid _hsenc _hsmi ref_src spm cmpid ns_campaign'.split(
    ' ',
  ),
);
const unreserved = /[A-Za-z0-9._~-]/;
/** Longer addresses are no links that anybody follows. */
const maxLength = 2_048;

/**
 * Undefined for what is no address. Not `URL.canParse`: on Node 20 it refuses letters such as "ü" once it has been called
 * some thousand times.
 */
export function parseUrl(text: string, base?: string): URL | undefined {
  try {
    return new URL(text, base);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/** The web address that `link` means in a document at `base`: http or https, without password; undefined for any other. */
export function webAddress(link: string | undefined, base: string | undefined): string | undefined {
  const text = link?.trim() ?? '';
  const url = text === '' || text.length > maxLength ? undefined : parseUrl(text, base);
  if (url === undefined || !/^https?:$/.test(url.protocol)) return undefined;
  url.username = '';
  url.password = '';
  return url.href.length > maxLength ? undefined : url.href;
}

/** The same for every spelling of one address, and for its own result; undefined for what is no web address. */
export function canonicalUrl(link: string | undefined, base?: string): string | undefined {
  const address = webAddress(link, base);
  if (address === undefined) return undefined;
  const url = new URL(address);
  const host = url.host.replace(/\.(?=$|:)/, '');
  const path = evenEscapes(url.pathname).replace(/\/+$/, '') || '/';
  const query = evenEscapes(url.search.slice(1))
    .split('&')
    .filter((pair) => pair !== '' && !isTracking(pair))
    .toSorted()
    .join('&');
  return `${url.protocol}//${host}${path}${query === '' ? '' : `?${query}`}`;
}

/** Upper-case escapes, and none for characters that need none. */
function evenEscapes(text: string): string {
  return text.replaceAll(/%([0-9a-f]{2})/gi, (escape, hex: string) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    return unreserved.test(char) ? char : escape.toUpperCase();
  });
}

function isTracking(pair: string): boolean {
  const name = pair.replace(/=.*/s, '').toLowerCase();
  return name.startsWith('utm_') || tracking.has(name);
}

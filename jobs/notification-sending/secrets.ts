/** Which secrets sign the webhooks to which endpoint. Pure. */

/** Secrets by endpoint: host, or host and the beginning of the path, or `*`. The first signs first; all of them sign. */
export type EndpointSecrets = ReadonlyMap<string, readonly string[]>;

/**
 * `hooks.example.com=whsec_new,whsec_old partner.example/in=whsec_x *=whsec_y`: entries separated by white space. Throws
 * one sentence for anything else. A secret is `whsec_` and 24 to 64 bytes of base64.
 */
export function parseSecrets(text: string): EndpointSecrets {
  const secrets = new Map<string, readonly string[]>();
  for (const entry of text.split(/\s+/).filter((one) => one !== '')) {
    const at = entry.indexOf('=');
    const [name, list] = [nameOf(entry.slice(0, at)), entry.slice(at + 1).split(',')];
    // The text itself is secret: only the place is named.
    const place = `entry ${secrets.size + 1}`;
    if (at < 1 || !/^(?:\*|[a-z0-9.-]+(?::\d+)?(?:\/[^\s,=]*)?)$/.test(name))
      throw new Error(`${place}: expected host=whsec_…, host/path=whsec_… or *=whsec_…`);
    if (secrets.has(name)) throw new Error(`${place}: ${name} is there twice; separate its secrets by commas`);
    if (list.length > 5 || !list.every(isSecret))
      throw new Error(`${place}: expected 1 to 5 secrets, each whsec_ and 24 to 64 bytes of base64`);
    secrets.set(name, list);
  }
  if (secrets.size === 0) throw new Error('expected host=whsec_… or *=whsec_…');
  return secrets;
}

/** Hosts have no case, paths have. */
function nameOf(endpoint: string): string {
  const slash = endpoint.indexOf('/');
  const host = slash === -1 ? endpoint : endpoint.slice(0, slash);
  return host.toLowerCase() + endpoint.slice(host.length);
}

function isSecret(text: string): boolean {
  const coded = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text)?.[1] ?? '';
  const { length } = Buffer.from(coded, 'base64');
  return length >= 24 && length <= 64;
}

/** The secrets of the longest name that fits; undefined when none does. */
export function secretsFor(secrets: EndpointSecrets, endpoint: URL): readonly string[] | undefined {
  const names = [...secrets.keys()].filter((name) => {
    const [host, ...path] = name.split('/');
    const prefix = path.join('/');
    if (host !== endpoint.host && host !== endpoint.hostname) return false;
    const isWhole = prefix === '' || prefix.endsWith('/');
    return endpoint.pathname === `/${prefix}` || endpoint.pathname.startsWith(isWhole ? `/${prefix}` : `/${prefix}/`);
  });
  return secrets.get(names.toSorted((a, b) => b.length - a.length)[0] ?? '*');
}

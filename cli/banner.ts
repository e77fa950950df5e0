/** What `jobfleet up` prints when it is ready: everything one needs for the first job, ready to paste. */

export interface UpFacts {
  readonly url: string;
  readonly key: string;
  readonly hasInbox: boolean;
  readonly boardUsers: string;
  readonly dataDir: string;
  readonly store: string;
  /** Job type → why it cannot run here. */
  readonly unavailable: Readonly<Record<string, string>>;
}

/** One word of a shell, whatever is in it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

export function banner(facts: UpFacts, tookMs: number): string {
  const { url, key } = facts;
  const elsewhere =
    facts.store === 'embedded' ? '; no server needed, QUEUE_URL=redis://… or postgres://… changes that' : '';
  const rows: [string, string][] = [
    ['API', `${url}/v1`],
    ['Docs', `${url}/docs`],
    ['Board', `${url}/board   (login ${facts.boardUsers})`],
    ...(facts.hasInbox
      ? [['Inbox', `${url}/dev/inbox   (mail goes nowhere else; set SMTP_URL to send it)`] satisfies [string, string]]
      : []),
    ['Key', key],
    ['Data', `${facts.dataDir}/   (store: ${facts.store}${elsewhere})`],
  ];
  const grey = Object.entries(facts.unavailable).map(([type, reason]) => `  ${type} cannot run here: ${reason}\n`);
  return `
Jobfleet is ready (${(tookMs / 1_000).toFixed(1)} s).

${rows.map(([name, value]) => `  ${name.padEnd(7)}${value}`).join('\n')}
${grey.length === 0 ? '' : `\n${grey.join('')}`}
Try it:

  curl -sX POST ${url}/v1/jobs -H ${quoted(`authorization: Bearer ${key}`)} -H 'content-type: application/json' -d '{"type":"email-sending","payload":{"to":"ada@example.com","template":"welcome"}}'

Ctrl-C finishes what is running and stops.
`;
}

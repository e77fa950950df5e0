/** The payloads of the workloads: JSON objects of an exact size, 64 prebuilt variants so that neither side profits from one string. */

interface Item {
  readonly key: string;
  readonly text: string;
  readonly n: number;
}

export interface Payload {
  readonly id: string;
  readonly tenant: string;
  readonly type: string;
  readonly at: string;
  readonly items: readonly Item[];
  readonly pad: string;
}

/** Bytes of JSON, and the items of three words each that are in it. */
const sizes = {
  '100 B': { bytes: 100, items: 0 },
  '2K': { bytes: 2_048, items: 37 },
  '20K': { bytes: 20_480, items: 370 },
} as const;
export type Size = keyof typeof sizes;

const words = ['alto', 'bass', 'cord', 'dome', 'echo', 'flux', 'gold', 'hymn'];

function word(seed: number): string {
  return words[seed % words.length] ?? 'alto';
}

function build(variant: number, size: Size): Payload {
  const { bytes, items } = sizes[size];
  const bare = {
    id: `job-${String(variant).padStart(4, '0')}`,
    tenant: `t${variant % 50}`,
    type: 'bench',
    at: new Date(1_700_000_000_000 + variant * 1_000).toISOString(),
    items: Array.from({ length: items }, (_, index) => ({
      key: `k${index}`,
      text: `${word(variant + index)} ${word(variant * 3 + index)} ${word(variant * 7 + index)}`,
      n: variant * 100 + index,
    })),
    pad: '',
  };
  const missing = bytes - Buffer.byteLength(JSON.stringify(bare));
  if (missing < 0) throw new Error(`a payload of ${items} items does not fit ${bytes} bytes`);
  return { ...bare, pad: 'x'.repeat(missing) };
}

const variants = (size: Size): Payload[] => Array.from({ length: 64 }, (_, variant) => build(variant, size));
const prebuilt: Readonly<Record<Size, readonly Payload[]>> = {
  '100 B': variants('100 B'),
  '2K': variants('2K'),
  '20K': variants('20K'),
};

/** A variant; the same index gives the same one. Default: of 2,048 bytes. */
export function payloadOf(index: number, size: Size = '2K'): Payload {
  const payload = prebuilt[size][index % 64];
  if (payload === undefined) throw new Error(`there is no payload ${index}`);
  return payload;
}

export function payloadsOf(from: number, count: number, size: Size = '2K'): Payload[] {
  return Array.from({ length: count }, (_, offset) => payloadOf(from + offset, size));
}

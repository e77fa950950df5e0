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
  readonly items: Item[];
  readonly pad: string;
}

const words = ['alto', 'bass', 'cord', 'dome', 'echo', 'flux', 'gold', 'hymn'];

function word(seed: number): string {
  return words[seed % words.length] ?? 'alto';
}

function build(variant: number, sizeBytes: number, items: number): Payload {
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
  const missing = sizeBytes - Buffer.byteLength(JSON.stringify(bare));
  if (missing < 0) throw new Error(`a payload of ${items} items does not fit ${sizeBytes} bytes`);
  return { ...bare, pad: 'x'.repeat(missing) };
}

/** 2K: exactly 2,048 bytes of JSON with 37 items of three words each. */
export const payloads2K: readonly Payload[] = Array.from({ length: 64 }, (_, variant) => build(variant, 2_048, 37));

export function payload2K(index: number): Payload {
  const payload = payloads2K[index % payloads2K.length];
  if (payload === undefined) throw new Error('there are no payloads');
  return payload;
}

/** Zip archives for tests, good and bad ones: what is not said is right. */
import { crc32, deflateRawSync } from 'node:zlib';

export interface ZipEntry {
  readonly name: string;
  readonly bytes: Uint8Array | string;
  /** What the archive says of itself instead of the truth. */
  readonly declared?: { readonly size?: number; readonly packed?: number; readonly crc?: number };
  /** General purpose flags; 1 = encrypted. */
  readonly flags?: number;
  /** Unix mode of the entry, such as 0o120777 for a link. */
  readonly mode?: number;
  /** Compression method; default deflate (8), 0 = stored. */
  readonly method?: number;
}

export function makeZip(entries: readonly ZipEntry[]): Buffer {
  const files: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, bytes, declared = {}, flags = 0, mode = 0o100644, method = 8 } of entries) {
    const plain = Buffer.from(bytes);
    const packed = method === 8 ? deflateRawSync(plain) : plain;
    const title = Buffer.from(name);
    const facts = Buffer.alloc(26);
    facts.writeUInt16LE(20, 0);
    facts.writeUInt16LE(flags | 0x800, 2);
    facts.writeUInt16LE(method, 4);
    facts.writeUInt32LE(0x5821_0000, 6);
    facts.writeUInt32LE(declared.crc ?? crc32(plain), 10);
    facts.writeUInt32LE(declared.packed ?? packed.length, 14);
    facts.writeUInt32LE(declared.size ?? plain.length, 18);
    facts.writeUInt16LE(title.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), facts, title, packed]);
    const more = Buffer.alloc(14);
    more.writeUInt32LE((mode << 16) >>> 0, 6);
    more.writeUInt32LE(at, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x03', 'latin1'), facts, more, title]));
    files.push(local);
    at += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length & 0xffff, 8);
  end.writeUInt16LE(entries.length & 0xffff, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...files, central, end]);
}

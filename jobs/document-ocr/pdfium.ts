/**
 * PDFium as functions over numbers: the C interface compiled to WebAssembly. The only file that imports it. The
 * package's own page object closes its page when it renders, knows no attachments and no places of characters, so the
 * module below it is used; every function is looked up by its name once and checked to be there.
 */
import { PDFiumModule } from '@hyzyla/pdfium';
import { giveUp } from '../errors.ts';

export interface Pdfium {
  /** Calls a C function: `FPDF_GetPageCount`. */
  readonly call: (name: string, ...args: readonly number[]) => number;
  /** Memory for the time of `work`. Throws `LIMIT_EXCEEDED` when there is none. */
  readonly lend: <T>(bytes: number, work: (pointer: number) => T) => T;
  /** A copy. */
  readonly bytes: (pointer: number, length: number) => Uint8Array<ArrayBuffer>;
  readonly doubles: (pointer: number, length: number) => Float64Array;
  readonly floats: (pointer: number, length: number) => Float32Array;
  readonly write: (pointer: number, bytes: Uint8Array) => void;
  readonly allocate: (bytes: number) => number;
}

export async function openPdfium(): Promise<Pdfium> {
  const module = await PDFiumModule({});
  module._FPDF_InitLibraryWithConfig({
    version: 2,
    m_pIsolate: null,
    m_pUserFontPaths: null,
    m_v8EmbedderSlot: 0,
    m_pPlatform: null,
  });
  const known = new Map<string, (...args: readonly number[]) => unknown>();
  const functionOf = (name: string): ((...args: readonly number[]) => unknown) => {
    const before = known.get(name);
    if (before !== undefined) return before;
    const found: unknown = Reflect.get(module, `_${name}`);
    if (typeof found !== 'function') throw new Error(`expected PDFium to have ${name}; this build has not`);
    const wrapped = (...args: readonly number[]): unknown => Reflect.apply(found, undefined, args);
    known.set(name, wrapped);
    return wrapped;
  };
  const allocate = (bytes: number): number => {
    const pointer = module.wasmExports.malloc(bytes);
    if (pointer === 0)
      throw giveUp('LIMIT_EXCEEDED', `The PDF needs more memory than it may have (${bytes} bytes more).`);
    return pointer;
  };
  return {
    call: (name, ...args) => Number(functionOf(name)(...args)),
    allocate,
    lend: (bytes, work) => {
      const pointer = allocate(bytes);
      try {
        return work(pointer);
      } finally {
        module.wasmExports.free(pointer);
      }
    },
    // The memory grows and moves: never keep a view.
    bytes: (pointer, length) => module.HEAPU8.slice(pointer, pointer + length),
    doubles: (pointer, length) => new Float64Array(module.HEAPU8.buffer, pointer, length),
    floats: (pointer, length) => new Float32Array(module.HEAPU8.buffer, pointer, length),
    write: (pointer, bytes) => module.HEAPU8.set(bytes, pointer),
  };
}

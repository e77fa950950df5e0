/**
 * tesseract compiled to WebAssembly, with its data from npm packages: nothing is loaded from a network. Each of its two
 * workers is a thread that is made when it is first needed; a page that takes too long ends its thread.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createWorker, OEM, PSM, type Worker } from 'tesseract.js';
import { giveUp } from '../errors.ts';
import { asTurn, type Engine, type PageMode, readTsv } from './engine.ts';
import { asPnm, smallOf } from './picture.ts';

const modes: Readonly<Record<PageMode, PSM>> = { 3: PSM.AUTO, 6: PSM.SINGLE_BLOCK };

/** Named one by one, so that tools see what is used. */
function dataFolder(language: 'eng' | 'osd'): string {
  const require = createRequire(import.meta.url);
  return language === 'osd'
    ? join(dirname(require.resolve('@tesseract.js-data/osd/package.json')), '4.0.0')
    : join(dirname(require.resolve('@tesseract.js-data/eng/package.json')), '4.0.0_best_int');
}

/** An engine that cannot start is the machine's trouble, not the document's. */
async function start(language: 'eng' | 'osd'): Promise<Worker> {
  const isOsd = language === 'osd';
  return createWorker(language, isOsd ? OEM.TESSERACT_ONLY : OEM.LSTM_ONLY, {
    langPath: dataFolder(language),
    gzip: true,
    cacheMethod: 'none',
    ...(isOsd ? { legacyCore: true, legacyLang: true } : {}),
    // Without it a picture the engine refuses ends the process.
    errorHandler: () => undefined,
  });
}

export function openJsEngine(): Engine {
  const workers = new Map<'eng' | 'osd', Promise<Worker>>();
  const workerFor = (language: 'eng' | 'osd'): Promise<Worker> => {
    const known = workers.get(language);
    if (known !== undefined) return known;
    const made = start(language);
    workers.set(language, made);
    return made;
  };
  const drop = async (language: 'eng' | 'osd'): Promise<void> => {
    const worker = workers.get(language);
    workers.delete(language);
    await (await worker)?.terminate();
  };
  /** The engine cannot be asked to stop: its thread is ended. */
  const bounded = async <T>(
    language: 'eng' | 'osd',
    signal: AbortSignal,
    work: (worker: Worker) => Promise<T>,
  ): Promise<T> => {
    signal.throwIfAborted();
    const worker = await workerFor(language);
    let stop: () => void = () => undefined;
    const stopped = new Promise<never>((_, reject) => {
      stop = () => reject(signal.reason instanceof Error ? signal.reason : new Error('stopped'));
      signal.addEventListener('abort', stop, { once: true });
    });
    try {
      return await Promise.race([work(worker), stopped]);
    } catch (error) {
      await drop(language);
      if (signal.aborted || error instanceof Error) throw error;
      throw giveUp('BAD_SOURCE', `tesseract cannot read the page: ${String(error).slice(0, 200)}`);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  };
  return {
    name: 'tesseract.js',
    orientation: async (picture, signal) => {
      const small = await smallOf(picture, 2_000);
      const { data } = await bounded('osd', signal, (worker) => worker.detect(asPnm(small)));
      const { orientation_degrees: degrees, orientation_confidence: confidence } = data;
      return degrees === null || confidence === null ? undefined : { degrees: asTurn(degrees), confidence };
    },
    read: async (picture, mode, signal) => {
      const { data } = await bounded('eng', signal, async (worker) => {
        await worker.setParameters({
          tessedit_pageseg_mode: modes[mode],
          ...(picture.dpi === undefined ? {} : { user_defined_dpi: `${picture.dpi}` }),
        });
        return worker.recognize(asPnm(picture), {}, { text: false, tsv: true });
      });
      return readTsv(data.tsv ?? '');
    },
    async close() {
      await Promise.all([...workers.keys()].map(drop));
    },
  };
}

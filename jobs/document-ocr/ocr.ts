/** Reads one picture: its words, another way round where they make no sense, and a second look where they are poor. */
import { giveUp } from '../errors.ts';
import type { DocumentType } from './confidence.ts';
import type { Engine, EngineText, PageMode, Turned } from './engine.ts';
import { greyOfWidth, isBlank, type Picture, turn } from './picture.ts';
import { meanConfidence } from './words.ts';

export interface PictureText extends EngineText {
  /** Clockwise, beyond what the file itself says. */
  readonly turned: Turned['degrees'];
  readonly mean: number;
}

export interface PictureReading {
  readonly engine: Engine;
  readonly type: DocumentType;
  /** Told how many of the wanted fields a text gives; a text that gives all of them needs no second look. */
  readonly wanted: (text: EngineText) => { readonly found: number; readonly of: number };
  /** The same page in more pixels, where it is drawn and not scanned. */
  readonly closer?: (() => Promise<Picture | undefined>) | undefined;
  readonly pageMs: number;
  readonly signal: AbortSignal;
}

const reliable = 2;
const nothingRead = 0.6;
const goodText = 0.7;
const secondWidth = 1_600;

/** Throws `LIMIT_EXCEEDED` for a page that takes longer than `pageMs`. */
export async function readPicture(picture: Picture, reading: PictureReading): Promise<PictureText> {
  const late = AbortSignal.timeout(reading.pageMs);
  const signal = AbortSignal.any([reading.signal, late]);
  try {
    return await readBounded(picture, { ...reading, signal });
  } catch (error) {
    if (!late.aborted || reading.signal.aborted) throw error;
    throw giveUp(
      'LIMIT_EXCEEDED',
      `expected a page that is read within ${reading.pageMs / 1_000} s; this one takes longer`,
      {
        cause: error,
      },
    );
  }
}

async function readBounded(picture: Picture, reading: PictureReading): Promise<PictureText> {
  const { engine, type, signal } = reading;
  // Receipts and forms are one block of lines; a document has columns and paragraphs.
  const mode: PageMode = type === 'document' ? 3 : 6;
  if (isBlank(picture)) return { words: [], text: '', turned: 0, mean: 0 };
  let best = withMean(await engine.read(picture, mode, signal), 0);
  // What is read this well is upright. To ask first would cost as much as to read, and the answer is wrong for receipts.
  if (best.mean < goodText) {
    for (const degrees of turnsToTry(await engine.orientation(picture, signal), best)) {
      const text = withMean(await engine.read(await turn(picture, degrees), mode, signal), degrees);
      if (letters(text) > letters(best)) best = text;
    }
  }
  const { found, of } = reading.wanted(best);
  if (best.words.length === 0 || (best.mean >= goodText && found === of)) return best;
  const closer = await secondLook(picture, best.turned, reading);
  const again = withMean(await engine.read(closer, mode, signal), best.turned);
  return isBetter(again, best, reading.wanted) ? again : best;
}

/** Where the engine cannot tell, a page that reads as nothing is tried all ways round. */
function turnsToTry(told: Turned | undefined, read: PictureText): (90 | 180 | 270)[] {
  if (told !== undefined && told.confidence >= reliable) return told.degrees === 0 ? [] : [told.degrees];
  return read.mean < nothingRead ? [180, 90, 270] : [];
}

async function secondLook(picture: Picture, degrees: Turned['degrees'], reading: PictureReading): Promise<Picture> {
  const drawn = await reading.closer?.();
  const closer = drawn ?? (await greyOfWidth(picture, secondWidth));
  return degrees === 0 ? closer : turn(closer, degrees);
}

const withMean = (text: EngineText, turned: Turned['degrees']): PictureText => ({
  ...text,
  turned,
  mean: meanConfidence(text.words) ?? 0,
});

/** How much was read that means something: noise has letters too, but no confidence. */
function letters({ words }: EngineText): number {
  return words.reduce(
    (all, word) => all + (word.confidence >= nothingRead ? word.text.length * word.confidence : 0),
    0,
  );
}

function isBetter(a: PictureText, b: PictureText, wanted: PictureReading['wanted']): boolean {
  const [first, second] = [wanted(a).found, wanted(b).found];
  return first === second ? a.mean > b.mean : first > second;
}

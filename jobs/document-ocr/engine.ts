/** What reads pictures, whichever program it is. */
import type { Picture } from './picture.ts';
import { asConfidence, type Word } from './words.ts';

/** tesseract's page modes: 3 finds columns and paragraphs, 6 takes the page as one block of lines. */
export type PageMode = 3 | 6;

export interface EngineText {
  readonly words: readonly Word[];
  readonly text: string;
}

export interface Turned {
  /** Clockwise, to make it upright. */
  readonly degrees: 0 | 90 | 180 | 270;
  /** 2 and more can be relied on. */
  readonly confidence: number;
}

export interface Engine {
  readonly name: string;
  /** Undefined when there is too little text to tell. */
  readonly orientation: (picture: Picture, signal: AbortSignal) => Promise<Turned | undefined>;
  readonly read: (picture: Picture, mode: PageMode, signal: AbortSignal) => Promise<EngineText>;
  readonly close: () => Promise<void>;
}

export function asTurn(degrees: number): Turned['degrees'] {
  return degrees === 90 || degrees === 180 || degrees === 270 ? degrees : 0;
}

/** tesseract's TSV: level, page, block, paragraph, line, word, left, top, width, height, confidence, text. */
export function readTsv(tsv: string): EngineText {
  const words: Word[] = [];
  let text = '';
  let paragraph = '';
  let line = '';
  for (const row of tsv.split('\n')) {
    const [level, page, block, par, lineNumber, , left, top, width, height, confidence, ...rest] = row.split('\t');
    const content = rest.join('\t').trim();
    if (level !== '5' || content === '') continue;
    const inParagraph = `${page}.${block}.${par}`;
    const inLine = `${inParagraph}.${lineNumber}`;
    if (text !== '') text += inLine === line ? ' ' : inParagraph === paragraph ? '\n' : '\n\n';
    text += content;
    [paragraph, line] = [inParagraph, inLine];
    const [x, y] = [Number(left), Number(top)];
    const box = { left: x, top: y, right: x + Number(width), bottom: y + Number(height) };
    words.push({ text: content, confidence: asConfidence(Number(confidence) / 100), box });
  }
  return { words, text };
}

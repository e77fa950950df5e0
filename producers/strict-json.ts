/**
 * Reads JSON as every store will give it back, and refuses the rest: text that is not UTF-8, a byte order mark, NUL and
 * lone surrogates, duplicate keys, `__proto__`, numbers that a double cannot hold (1e400, −0, 2^53+1), more than 32
 * levels or 1,000 keys and elements (a batch: 50,000). Linear: one scan beside JSON.parse, which judges the syntax.
 */
import { ProducerError } from './errors.ts';

const maxDepth = 32;

const malformed = (message: string): ProducerError => new ProducerError('MALFORMED', message, [{ path: '', message }]);
const tooDeep = (message: string): ProducerError => new ProducerError('TOO_DEEP', message, [{ path: '', message }]);

/** Throws `MALFORMED` or `TOO_DEEP`. `maxKeys` counts keys and elements. */
export function readStrictJson(body: Uint8Array, maxKeys = 1_000): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch (error) {
    if (error instanceof TypeError) throw malformed('The body is not UTF-8.');
    throw error;
  }
  if (text.startsWith('\uFEFF')) throw malformed('The body starts with a byte order mark; send plain UTF-8.');
  // Before JSON.parse, so that nothing deep or huge is ever built.
  scan(text, maxKeys);
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw malformed('The body is not one JSON value (RFC 8259).');
    throw error;
  }
}

interface Level {
  /** Undefined in an array. */
  readonly keys: Set<string> | undefined;
  /** The key whose value is being read. */
  key: string;
  /** True where the next string is a key. */
  expectsKey: boolean;
}

const stringLiteral = /"[^"\\]*(?:\\.[^"\\]*)*"/suy;
const loneSurrogate = /\p{Surrogate}/u;
const numberLiteral = /-?[0-9][0-9.eE+-]*/y;

/** Lenient about syntax (JSON.parse follows), strict about what syntax allows and we do not. */
function scan(text: string, maxKeys: number): void {
  const levels: Level[] = [];
  let elements = 0;
  const count = (): void => {
    elements += 1;
    if (elements > maxKeys) throw tooDeep(`The body has more than ${maxKeys} keys and elements.`);
  };
  for (let at = 0; at < text.length; ) {
    const character = text[at];
    const level = levels.at(-1);
    if (character === '"') {
      const literal = match(stringLiteral, text, at);
      if (literal === '') throw malformed('The body ends inside a string.');
      const value = readString(literal);
      if (level?.expectsKey === true) {
        count();
        enterKey(level, value, levels.at(-2)?.key);
      }
      at += literal.length;
      continue;
    }
    if (character === '{' || character === '[') {
      if (levels.length >= maxDepth) throw tooDeep(`The body is nested deeper than ${maxDepth} levels.`);
      const isObject = character === '{';
      levels.push({ keys: isObject ? new Set() : undefined, key: '', expectsKey: isObject });
    } else if (character === '}' || character === ']') levels.pop();
    else if (character === ',' && level !== undefined) {
      if (level.keys === undefined) count();
      level.expectsKey = level.keys !== undefined;
    } else if (character === '-' || (character !== undefined && character >= '0' && character <= '9')) {
      const literal = match(numberLiteral, text, at);
      checkNumber(literal);
      at += Math.max(1, literal.length);
      continue;
    }
    at += 1;
  }
}

function match(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
}

function readString(literal: string): string {
  let value: unknown;
  try {
    value = JSON.parse(literal);
  } catch (error) {
    if (error instanceof SyntaxError) throw malformed('A string holds a control character or an unknown escape.');
    throw error;
  }
  const text = String(value);
  if (text.includes('\0')) throw malformed('A string holds NUL (U+0000).');
  if (loneSurrogate.test(text)) throw malformed('A string holds half of a surrogate pair: it is not Unicode text.');
  return text;
}

function enterKey(level: Level, key: string, outerKey: string | undefined): void {
  if (level.keys?.has(key) === true) throw malformed(`The key ${JSON.stringify(key.slice(0, 64))} appears twice.`);
  if (key === '__proto__' || (key === 'prototype' && outerKey === 'constructor')) {
    throw malformed(`The key ${JSON.stringify(key)} is not allowed here.`);
  }
  level.keys?.add(key);
  level.key = key;
  level.expectsKey = false;
}

/** A number comes back as it was sent, or it is refused: digits must not vanish silently. */
function checkNumber(literal: string): void {
  const value = Number(literal);
  if (Number.isNaN(value)) throw malformed('A number is not written as JSON writes numbers.');
  const shown = literal.slice(0, 40);
  if (!Number.isFinite(value))
    throw malformed(`The number ${shown} is too large for JSON readers; send it as a string.`);
  if (/^-?\d+$/.test(literal) && !Number.isSafeInteger(value)) {
    throw malformed(`The number ${shown} has more digits than JSON readers keep; send it as a string.`);
  }
  if (value === 0 && (literal.startsWith('-') || /^[0.]*[1-9]/.test(literal))) {
    throw malformed(`The number ${shown} would become 0; send 0 or a string.`);
  }
}

/**
 * The templates of this folder: `<template>.<locale>.eta`, one HTML document each, whose title is the subject and from
 * which the text part is made. Compiled once, when the handler opens; payload text is only ever a value, never source.
 */
import { readdir, readFile } from 'node:fs/promises';
import { Eta, type TemplateFunction } from 'eta';
import { textPart, unescapeHtml } from './text-part.ts';

export interface Rendered {
  readonly subject: string;
  readonly html: string;
  readonly text: string;
  /** The language that was used: the one asked for, its base language, or `en`. */
  readonly locale: string;
}

export interface Templates {
  /** `<template>.<locale>` of every file, in alphabetical order. */
  readonly names: readonly string[];
  /** `variables` are parsed already. Throws when the template has no `en` file: a fault of this folder, not of the job. */
  render(template: string, locale: string, variables: Readonly<Record<string, unknown>>): Rendered;
}

const fileName = /^(?<name>[a-z][a-z-]*\.[a-z]{2,3}(?:-[a-z0-9]+)*)\.eta$/;
const folder = new URL('./templates/', import.meta.url);

/** Throws one error that names every file which cannot be used: a wrong name, or a tag that would print without escaping. */
export async function loadTemplates(root: URL = folder): Promise<Templates> {
  const eta = new Eta({ autoEscape: true, useWith: false });
  const compiled = new Map<string, TemplateFunction>();
  const problems: string[] = [];
  for (const file of (await readdir(root)).toSorted()) {
    const name = fileName.exec(file)?.groups?.['name'];
    const source = await readFile(new URL(file, root), 'utf8');
    if (name === undefined) problems.push(`${file}: expected <template>.<locale>.eta in lower case`);
    else if (/<%[-_]?\s*~/.test(source)) problems.push(`${file}: the raw tag <%~ prints without escaping; use <%=`);
    else compiled.set(name, eta.compile(source));
  }
  if (problems.length > 0) throw new Error(`The e-mail templates cannot be used:\n  ${problems.join('\n  ')}`);
  return {
    names: [...compiled.keys()],
    render(template, locale, variables) {
      const used = chooseLocale(locale, (one) => compiled.has(`${template}.${one}`));
      const write = compiled.get(`${template}.${used}`);
      if (write === undefined) throw new Error(`jobs/email-sending/templates has no ${template}.en.eta`);
      const money = moneyWriter(used, locale, variables['currency']);
      const html = eta.render(write, { ...variables, money });
      const title = /<title>(.*?)<\/title>/su.exec(html)?.[1] ?? '';
      return { subject: unescapeHtml(title).trim(), html, text: textPart(html), locale: used };
    },
  };
}

/** The first of `hi-in`, `hi`, `en` there is; `en` when there is none. */
function chooseLocale(asked: string, has: (locale: string) => boolean): string {
  const parts = asked.toLowerCase().split('-');
  for (let length = parts.length; length > 0; length -= 1) {
    const locale = parts.slice(0, length).join('-');
    if (has(locale)) return locale;
  }
  return 'en';
}

/** Amounts are written as the reader of the text writes them: by the region asked for when the language is the same. */
function moneyWriter(used: string, asked: string, currency: unknown): (amount: number) => string {
  if (typeof currency !== 'string') return String;
  const locale = `${asked.toLowerCase()}-`.startsWith(`${used}-`) ? asked : used;
  const format = new Intl.NumberFormat(locale, { style: 'currency', currency });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  return (amount) => format.format(amount / 10 ** digits);
}

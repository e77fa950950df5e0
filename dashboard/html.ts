/** HTML by tagged template: every value is escaped unless it was made by this tag itself. */

const made: unique symbol = Symbol('html');

/** Text that is safe to send as HTML. Only `html` makes one. */
export interface Html {
  readonly [made]: string;
}

type Value = string | number | undefined | false | Html | readonly Html[];

/** `undefined` and `false` print nothing, lists print their parts one after the other. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  return { [made]: parts.map((part, index) => part + print(values[index])).join('') };
}

/** The document as it goes out. */
export function textOf(page: Html): string {
  return page[made];
}

function print(value: Value): string {
  if (value === undefined || value === false) return '';
  if (typeof value === 'string' || typeof value === 'number') return escapeHtml(String(value));
  return made in value ? value[made] : value.map(textOf).join('');
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For text between tags and inside quoted attributes. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (mark) => entities[mark] ?? mark);
}

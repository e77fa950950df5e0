/** `node --import record-imports.js`: writes the address of every module that is loaded to the file RECORD_IMPORTS names. */
import { appendFileSync } from 'node:fs';
import { register } from 'node:module';

const { RECORD_IMPORTS: file = '/dev/null' } = process.env;
const hooks = `
  import { appendFileSync } from 'node:fs';
  let file;
  export async function initialize(data) { file = data.file; }
  export async function resolve(specifier, context, next) {
    const found = await next(specifier, context);
    appendFileSync(file, found.url + '\\n');
    return found;
  }`;
appendFileSync(file, '');
register(`data:text/javascript,${encodeURIComponent(hooks)}`, { data: { file } });

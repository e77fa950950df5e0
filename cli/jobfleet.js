#!/usr/bin/env node
// The door of the command: the compiled program of this package. script/bootstrap compiles a fresh clone.
import { existsSync } from 'node:fs';
import module from 'node:module';

// Node 22.8 and later keep what they compiled for the next start: a tenth of it.
module.enableCompileCache?.();

const compiled = new URL('../dist/cli/main.js', import.meta.url);
if (existsSync(compiled)) await import(compiled.href);
else {
  process.stderr.write(
    'jobfleet is not built yet: run script/bootstrap (or `npm run build`) in its folder, then call it again.\n',
  );
  process.exitCode = 1;
}

/** A Lua script that Redis keeps: sent once, called by its hash afterwards. */
import { createHash } from 'node:crypto';

/** What a script needs of a connection; a single server, a fail-over set and a cluster all have it. */
export interface ScriptLine {
  evalsha(sha: string, keyCount: number, ...args: (string | number)[]): Promise<unknown>;
  eval(script: string, keyCount: number, ...args: (string | number)[]): Promise<unknown>;
}

export type Script = (
  line: ScriptLine,
  keys: readonly string[],
  args: readonly (string | number)[],
) => Promise<unknown>;

export function script(lua: string): Script {
  const sha = createHash('sha1').update(lua).digest('hex');
  return async (line, keys, args) => {
    try {
      return await line.evalsha(sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return line.eval(lua, keys.length, ...keys, ...args);
    }
  };
}

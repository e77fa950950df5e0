/** Whether sharp can be loaded here, without loading it: libvips belongs into the children that decode. */
import { createRequire } from 'node:module';

const howToGet =
  'install it again on this platform (npm ci, without --omit=optional): its binaries are optional packages of their own';

/**
 * Why it cannot; undefined when it can. npm leaves the binary out with `--omit=optional`, and a folder copied from another
 * platform has that one's. `from`: the file that would load it.
 */
export function sharpMissing(
  { platform, arch }: { readonly platform: string; readonly arch: string } = process,
  from: string = import.meta.url,
): string | undefined {
  const sharp = resolved(createRequire(from), 'sharp');
  if (sharp === undefined) return `sharp is not installed: ${howToGet}`;
  const builds = [`${platform}-${arch}`, ...(platform === 'linux' ? [`linuxmusl-${arch}`] : []), 'wasm32'];
  // They lie where sharp looks for them.
  const beside = createRequire(sharp);
  if (builds.some((build) => resolved(beside, `@img/sharp-${build}/sharp.node`) !== undefined)) return undefined;
  return `sharp has no binary for ${platform}-${arch}: ${howToGet}`;
}

function resolved(require: NodeJS.Require, name: string): string | undefined {
  try {
    return require.resolve(name);
  } catch {
    return undefined;
  }
}

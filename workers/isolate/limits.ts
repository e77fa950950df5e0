/**
 * What holds a child in: resource limits set before it starts, and the strongest level of separation this machine
 * allows. Pure: the command line of a child. `level.ts` finds the level by trying.
 *
 *   bwrap       no network, no file but its own and the program's, own process numbers
 *   namespaces  no network, own process numbers; files by user id
 *   limits      resource limits and a watch over memory, disk and processes
 *   none        the watch alone (and not even that where /proc is missing)
 *
 * A type whose policy asks for no isolation runs in a child only as a suspect, after its worker died: it does what it
 * does in the worker, so it keeps the network at every level; without it a mail that met a crash could never be sent.
 *
 * A worker that runs as root gives every child a user id of its own at each level but `none`.
 */
import { lstatSync, readlinkSync } from 'node:fs';
import { release } from 'node:os';
import type { ChildLimits } from '../../jobs/policy.ts';

export const levels = ['none', 'limits', 'namespaces', 'bwrap'] as const;
export type Level = (typeof levels)[number];

export interface Confinement {
  readonly level: Level;
  /** True when the worker runs as root and children can run under ids of their own. */
  readonly hasOwnUser: boolean;
}

export interface Place {
  /** The child's folder. */
  readonly folder: string;
  /** Folders a child at level `bwrap` may read beside the system's: the package, its modules, Node itself. */
  readonly readable: readonly string[];
  /** The child's own user and group id; undefined = the worker's. */
  readonly userId: number | undefined;
  /** True for a type that runs in the worker itself unless it is a suspect. */
  readonly hasNetwork: boolean;
}

const megabyte = 1_048_576;

/** JavaScript heap of a child, in MiB: three quarters of its memory. `--data` alone would end it without a message. */
export function heapMb(limits: ChildLimits): number {
  return Math.max(48, Math.floor(limits.memoryMb * 0.75));
}

/**
 * `--data` counts what is writable, and Node 24 counts up to 1.2 GB that it never touches, so it is a wide second wall
 * behind the watch. Never `--as`: WebAssembly reserves 12 GB of addresses.
 */
export function dataBytes(limits: ChildLimits): number {
  return Math.round((1.25 * limits.memoryMb + heapMb(limits) + 1_536) * megabyte);
}

/** `--nproc` counts threads, and Node alone has eleven; this stops a bomb, the watch counts exactly. */
function threadLimit(limits: ChildLimits): number {
  return limits.processes * 16 + 64;
}

/** Since Linux 5.14 the limit counts inside a user namespace; before, it counted all processes of the user. */
function countsPerNamespace(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10));
  return major > 5 || (major === 5 && minor >= 14);
}

/** The argument array that starts `command` confined; no shell anywhere. The first process keeps its pid through all links. */
export function commandLine(
  confinement: Confinement,
  limits: ChildLimits,
  place: Place,
  command: readonly string[],
  kernel = release(),
): readonly string[] {
  if (confinement.level === 'none') return command;
  const threads = [`--nproc=${threadLimit(limits)}`];
  const ids =
    place.userId === undefined ? [] : [`--reuid=${place.userId}`, `--regid=${place.userId}`, '--clear-groups'];
  const common = [
    'prlimit',
    `--data=${dataBytes(limits)}`,
    // Node would end on the soft limit's signal only outside a namespace; the hard limit's SIGKILL always comes.
    `--cpu=${limits.cpuSeconds}:${limits.cpuSeconds + 1}`,
    `--fsize=${limits.diskMb * megabyte}`,
    '--nofile=256',
    '--core=0',
    ...(place.userId === undefined ? [] : threads),
    'nice',
    '-n',
    '5',
    'setpriv',
    ...ids,
    '--no-new-privs',
  ];
  const inside = countsPerNamespace(kernel) ? ['prlimit', ...threads] : [];
  switch (confinement.level) {
    case 'limits':
      return [...common, '--pdeathsig=KILL', ...command];
    case 'namespaces':
      // The parent-death signal is set again after the user namespace, whose creation clears it.
      return [
        ...common,
        ...words(
          `unshare ${place.hasNetwork ? '-r' : '-rn'} --ipc setpriv --pdeathsig=KILL unshare --pid --fork --kill-child=KILL`,
        ),
        ...inside,
        ...words('setpriv --bounding-set=-all --inh-caps=-all'),
        ...command,
      ];
    case 'bwrap':
      return [...common, '--pdeathsig=KILL', 'bwrap', ...bwrapArguments(place), ...inside, ...command];
  }
}

const systemFolders = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];
// Programs need these of /etc: fonts for drawn text, alternatives for libraries, the loader's cache, time zones, OpenSSL's defaults.
const systemFiles = ['/etc/alternatives', '/etc/fonts', '/etc/ld.so.cache', '/etc/localtime', '/etc/ssl/openssl.cnf'];
// To find a server by its name.
const networkFiles = ['/etc/hosts', '/etc/nsswitch.conf', '/etc/resolv.conf', '/etc/ssl/certs'];

function bwrapArguments(place: Place): readonly string[] {
  return [
    ...words(`--unshare-all ${place.hasNetwork ? '--share-net ' : ''}--die-with-parent --cap-drop ALL`),
    ...systemFolders.flatMap((folder) => {
      const target = linkTarget(folder);
      return target === undefined ? ['--ro-bind-try', folder, folder] : ['--symlink', target, folder];
    }),
    ...[...systemFiles, ...(place.hasNetwork ? networkFiles : [])].flatMap((file) => ['--ro-bind-try', file, file]),
    ...words('--proc /proc --dev /dev --tmpfs /tmp'),
    ...place.readable.flatMap((folder) => ['--ro-bind', folder, folder]),
    '--bind',
    place.folder,
    place.folder,
    '--chdir',
    place.folder,
    '--',
  ];
}

const words = (text: string): readonly string[] => text.split(' ');

function linkTarget(path: string): string | undefined {
  const facts = lstatSync(path, { throwIfNoEntry: false });
  return facts?.isSymbolicLink() === true ? readlinkSync(path) : undefined;
}

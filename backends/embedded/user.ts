/** As whom the server runs, and what that user may reach. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
  /** True when this process is root and the server must run as somebody else. */
  readonly changed: boolean;
}

const nobody = 65_534;

/** PostgreSQL refuses root: the server of a root process runs as `nobody`. */
export function serverUser(): ServerUser {
  const uid = process.geteuid?.() ?? -1;
  if (uid === 0) return { uid: nobody, gid: nobody, changed: true };
  return { uid, gid: process.getegid?.() ?? -1, changed: false };
}

/** What `spawn` needs to run a program as `user`, away from the terminal's environment and a working directory it may not see. */
export function spawnAs(user: ServerUser): {
  readonly cwd: string;
  readonly env: { readonly LC_ALL: string; readonly PATH: string };
  readonly uid?: number;
  readonly gid?: number;
} {
  const plain = { cwd: '/', env: { LC_ALL: 'C', PATH: '/usr/local/bin:/usr/bin:/bin' } };
  return user.changed ? { ...plain, uid: user.uid, gid: user.gid } : plain;
}

export interface Permissions {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** Whether `user` may pass through a directory, by its mode bits. Access lists are not asked. */
export function mayPass(directory: Permissions, user: ServerUser): boolean {
  if (directory.uid === user.uid) return (directory.mode & 0o100) !== 0;
  if (directory.gid === user.gid) return (directory.mode & 0o010) !== 0;
  return (directory.mode & 0o001) !== 0;
}

/** Whether `user` can pass through the existing directory `path` and all above it. `path` holds no symbolic link. */
export async function canReach(path: string, user: ServerUser): Promise<boolean> {
  for (let at = path; ; at = dirname(at)) {
    if (!mayPass(await stat(at), user)) return false;
    if (dirname(at) === at) return true;
  }
}

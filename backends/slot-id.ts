/**
 * Ids of the jobs of a schedule. BullMQ names the job of a tick `repeat:<type>:<slot>`; what we add ourselves for a tick
 * that was missed is `<type>_s<slot>`. Outside both are `<type>_s<slot>`, where `slot` is the time of the tick, epoch ms.
 */

/** BullMQ's own job of a tick. The scheduler has the name of its type. */
export const tickJobId = (type: string, slot: number): string => `repeat:${type}:${slot}`;

/** How the outside names the run of a slot; also the id of a job that makes up for a missed tick. */
export const slotJobId = (type: string, slot: number): string => `${type}_s${slot}`;

/** Which slot a stored job is for; undefined for every job that no schedule made. */
export function slotOf(type: string, id: string): number | undefined {
  const start = id.startsWith('repeat:')
    ? tickJobId(type, 0).length - 1
    : id[type.length + 1] === 's'
      ? type.length + 2
      : 0;
  if (start === 0) return undefined;
  const digits = id.slice(start);
  const slot = /^\d{1,15}$/.test(digits) ? Number(digits) : Number.NaN;
  return id === tickJobId(type, slot) || id === slotJobId(type, slot) ? slot : undefined;
}

/** The id by which the outside knows a stored job. */
export function outsideId(type: string, id: string): string {
  const slot = slotOf(type, id);
  return slot === undefined ? id : slotJobId(type, slot);
}

/** Type and slot of an id as the outside writes it; undefined for other ids. */
export function readSlotId(id: string): { readonly type: string; readonly slot: number } | undefined {
  const [, type, slot] = /^([a-z][a-z0-9-]{0,36})_s(\d{1,15})$/.exec(id) ?? [];
  return type === undefined ? undefined : { type, slot: Number(slot) };
}

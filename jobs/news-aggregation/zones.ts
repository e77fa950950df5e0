/** Zone names and offsets of feed dates. */

export interface Offset {
  /** East of Greenwich. */
  readonly minutes: number;
  /** False where the zone is missing, unknown or a military letter: those were defined with the wrong sign, so RFC 2822 ignores them. */
  readonly isKnown: boolean;
}

/** Where a name has several meanings, what feeds mean: IST is India, BST the British summer, CST the American one. */
const names: Readonly<Record<string, number>> = {
  ut: 0,
  utc: 0,
  gmt: 0,
  z: 0,
  wet: 0,
  west: 60,
  bst: 60,
  cet: 60,
  cest: 120,
  met: 60,
  mest: 120,
  mez: 60,
  mesz: 120,
  eet: 120,
  eest: 180,
  msk: 180,
  pkt: 300,
  ist: 330,
  sgt: 480,
  hkt: 480,
  jst: 540,
  kst: 540,
  aest: 600,
  aedt: 660,
  nzst: 720,
  nzdt: 780,
  nst: -210,
  ast: -240,
  adt: -180,
  edt: -240,
  est: -300,
  cdt: -300,
  cst: -360,
  mdt: -360,
  mst: -420,
  pdt: -420,
  pst: -480,
  akdt: -480,
  akst: -540,
  hst: -600,
};

/** `+0530`, `+5:30`, `GMT+2`, `PDT`, nothing. Undefined for an offset that no place has (over 14 hours, 60 minutes). */
export function offsetOf(zone: string | undefined): Offset | undefined {
  if (zone === undefined) return { minutes: 0, isKnown: false };
  const numeric = /^(?:[a-z]+\s*)?([+-])(\d{1,2}):?(\d{2})?$/i.exec(zone.trim());
  if (numeric === null) {
    const minutes = names[zone.trim().toLowerCase()];
    return minutes === undefined ? { minutes: 0, isKnown: false } : { minutes, isKnown: true };
  }
  const [, sign, hours, more = '0'] = numeric;
  const minutes = Number(hours) * 60 + Number(more);
  if (Number(more) > 59 || minutes > 14 * 60) return undefined;
  return { minutes: sign === '-' ? -minutes : minutes, isKnown: true };
}

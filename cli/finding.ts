/** One line of `jobfleet doctor`. */
export interface Finding {
  readonly check: string;
  /** `missing` greys something, `weak` is a trade to know of; both leave the rest working. `unsafe` may lose or leak something. */
  readonly state: 'missing' | 'ok' | 'unsafe' | 'weak';
  readonly detail: string;
  /** What it may cost. */
  readonly why?: string;
  readonly fix?: string;
}

/** What the bench's own handlers tell, and do when asked; one measured run at a time in a process. */
export interface HandlerHooks {
  start: (payload: { readonly at: string }) => void;
  end: () => void;
  /** Done by every run between the two, where a bench sets it. */
  work: (() => Promise<unknown>) | undefined;
}

export const handlerHooks: HandlerHooks = { start: () => undefined, end: () => undefined, work: undefined };

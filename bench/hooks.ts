/** What the bench's own handler tells; one measured run at a time in a process. */
export const handlerHooks: { start: () => void; end: () => void } = { start: () => undefined, end: () => undefined };

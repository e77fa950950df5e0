/** Runs once per vitest process, before all files. */
export function setup(): void {}

export type { FinalRecord } from './checker.ts';

export type StockAddress =
  | { readonly kind: 'redis'; readonly host: string; readonly port: number }
  | { readonly kind: 'sentinel'; readonly master: string; readonly ports: readonly number[] }
  | { readonly kind: 'cluster'; readonly ports: readonly number[] }
  | { readonly kind: 'postgres'; readonly url: string };

/** Which addresses outgoing requests may reach. Pure. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * True for public unicast addresses only: no loopback, private, link-local, shared, reserved, multicast or tunnelled
 * (6to4, Teredo, NAT64) one. An IPv4 address inside IPv6 is judged as the IPv4 address. Anything unreadable is not public.
 */
export function isPublicAddress(address: string): boolean {
  // Only the textbook spellings: ipaddr.js also reads 0x7f.1 and the like, which no resolver or socket answers.
  if (isIP(address) === 0 || address.includes('%')) return false;
  const parsed = ipaddr.process(address);
  if (parsed.range() !== 'unicast') return false;
  // ipaddr.js calls ::10.0.0.1 (IPv4-compatible, RFC 4291) unicast; only 2000::/3 is given out to the public.
  return parsed instanceof ipaddr.IPv4 || parsed.match(globalUnicast);
}

/** The address in a URL's host (brackets removed), or undefined when it is a name that has to be looked up. */
export function literalAddress(hostname: string): string | undefined {
  const bare = hostname.startsWith('[') && hostname.endsWith(']') ? hostname.slice(1, -1) : hostname;
  return isIP(bare) === 0 ? undefined : bare;
}

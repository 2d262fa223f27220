import { lookup, type LookupAddress, type LookupOptions } from 'node:dns';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { BridgeError } from '../errors.js';

/** The address may not be connected to. Counts as a failed attempt: DNS can change. */
export class EgressError extends BridgeError {}

export interface EgressRules {
  readonly mode: 'private' | 'public';
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = readonly [Address, number];

/** Never, whatever the mode: cloud metadata lives in link-local, and the rest is no one host. */
const NEVER: ReadonlySet<string> = new Set(['linkLocal', 'multicast', 'unspecified', 'broadcast', 'rfc6145', 'teredo']);
/** Local NAT64 prefixes hide the IPv4 address at a place that only the network's operator knows. RFC 8215 */
const LOCAL_NAT64: Range = [ipaddr.parse('64:ff9b:1::'), 48];
const PRIVATE: ReadonlySet<string> = new Set(['loopback', 'private', 'uniqueLocal', 'carrierGradeNat']);

/** Decides which addresses may be connected to. Lists go first: deny, then allow, then the rules. */
export class Egress {
  readonly #rules: EgressRules;
  readonly #allow: readonly Range[];
  readonly #deny: readonly Range[];

  constructor(rules: EgressRules) {
    this.#rules = rules;
    this.#allow = rules.allow.map(parseRange);
    this.#deny = rules.deny.map(parseRange);
  }

  /** @returns why the address is refused; null when it is not */
  refusal(text: string): string | null {
    if (!ipaddr.isValid(text)) return `${text} is not an address`;
    const given = ipaddr.parse(text);
    const address = embedded(given);
    if (matches(given, this.#deny) || matches(address, this.#deny)) return `${text} is in EGRESS_DENY`;
    if (matches(given, this.#allow) || matches(address, this.#allow)) return null;
    const range = address.range();
    if (NEVER.has(range)) return `${text} is a ${range} address`;
    if (matches(address, [LOCAL_NAT64])) return `${text} is a local NAT64 address`;
    if (this.#rules.mode === 'private') return null;
    return range === 'unicast' ? null : `${text} is ${PRIVATE.has(range) ? 'on a private network' : `a ${range} address`}, and EGRESS is public`;
  }

  /** @throws {EgressError} for a host that is an address and refused; names are checked when they are resolved */
  checkHost(hostname: string): void {
    const bare = hostname.replace(/^\[|\]$/gu, '');
    if (!ipaddr.isValid(bare)) return;
    const refusal = this.refusal(bare);
    if (refusal !== null) throw new EgressError(`connection refused by the egress rules: ${refusal}`);
  }

  /**
   * For the socket's own `lookup`: the address that is connected to is one that was checked here, so a
   * name that resolves differently a moment later (DNS rebinding) gains nothing.
   */
  readonly lookup: LookupFunction = (hostname, options: LookupOptions, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) {
        callback(error, []);
        return;
      }
      const permitted = addresses.filter(({ address }) => this.refusal(address) === null);
      const first = permitted[0];
      if (first === undefined) {
        const reasons = addresses.map(({ address }) => this.refusal(address)).join('; ');
        callback(new EgressError(`connection refused by the egress rules: ${hostname}: ${reasons}`), []);
      } else if (options.all === true) {
        callback(null, permitted);
      } else {
        callback(null, first.address, first.family);
      }
    });
  };
}

/** The IPv4 address in an IPv4-mapped, NAT64 or 6to4 one; otherwise the address itself. */
function embedded(address: Address): Address {
  if (!(address instanceof ipaddr.IPv6)) return address;
  if (address.isIPv4MappedAddress()) return address.toIPv4Address();
  const bytes = address.toByteArray();
  if (address.range() === 'rfc6052') return new ipaddr.IPv4(bytes.slice(12));
  if (address.range() === '6to4') return new ipaddr.IPv4(bytes.slice(2, 6));
  // ::a.b.c.d, deprecated, but some stacks still connect
  if (bytes.slice(0, 12).every((byte) => byte === 0) && bytes.slice(12, 14).some((byte) => byte !== 0)) return new ipaddr.IPv4(bytes.slice(12));
  return address;
}

function parseRange(text: string): Range {
  if (text.includes('/')) return ipaddr.parseCIDR(text);
  const address = ipaddr.parse(text);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}

function matches(address: Address, ranges: readonly Range[]): boolean {
  return ranges.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));
}

import type { LookupAddress } from 'node:dns';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Egress, EgressError, type EgressRules } from '../../src/deliver/egress.js';

const egress = (over: Partial<EgressRules> = {}): Egress => new Egress({ mode: 'private', allow: [], deny: [], ...over });
const toPrivate = egress();
const toPublic = egress({ mode: 'public' });

/** Whether the host of such a URL passes, spelled as the platform's URL parser spells it. */
function passes(rules: Egress, host: string): boolean {
  try {
    rules.checkHost(new URL(`http://${host}/`).hostname);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(EgressError);
    return false;
  }
}

const hex = (high: number, low: number): string => ((high << 8) | low).toString(16);
const asNumber = (octets: readonly number[]): number => octets.reduce((sum, one) => sum * 256 + one, 0);

/** An IPv4 address inside IPv6 ones: mapped, NAT64, 6to4, compatible. */
function wrapped(address: string): string[] {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  return [`::ffff:${address}`, `64:ff9b::${address}`, `2002:${hex(a, b)}:${hex(c, d)}::1`, `::${address}`, `::${hex(a, b)}:${hex(c, d)}`];
}

const NEVER = ['169.254.169.254', '169.254.0.1', '224.0.0.1', '239.255.255.250', '0.0.0.0', '0.1.2.3', '255.255.255.255'];
const PRIVATE = ['127.0.0.1', '127.9.9.9', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1'];
const PUBLIC = ['8.8.8.8', '1.1.1.1', '172.32.0.1', '169.253.1.1', '100.128.0.1', '223.255.255.255'];

describe('never, whatever the mode', () => {
  test.each([...NEVER, 'fe80::1', 'fe80::a9fe:a9fe', 'febf::1', 'ff02::1', 'ff0e::1', '::'])('%s', (address) => {
    for (const rules of [toPrivate, toPublic]) expect(rules.refusal(address)).toContain(address);
  });

  test.each(NEVER.filter((address) => !address.startsWith('0.')))('%s inside an IPv6 address', (address) => {
    for (const rules of [toPrivate, toPublic]) for (const inside of wrapped(address)) expect(rules.refusal(inside), inside).not.toBe(null);
  });

  test('anything that is no address', () => {
    for (const text of ['', 'localhost', 'example.org', '1.2.3.4.5', '1.2.3.4/8', ':::']) expect(toPrivate.refusal(text)).not.toBe(null);
  });
});

describe('loopback and private networks', () => {
  test.each([...PRIVATE, '::1', 'fc00::1', 'fd12:3456::1'])('%s is allowed by default, and refused with EGRESS=public', (address) => {
    expect(toPrivate.refusal(address)).toBe(null);
    expect(toPublic.refusal(address)).toContain('EGRESS is public');
  });

  test.each(PRIVATE)('%s is the same inside an IPv6 address', (address) => {
    for (const inside of wrapped(address)) {
      expect(toPrivate.refusal(inside), inside).toBe(null);
      expect(toPublic.refusal(inside), inside).not.toBe(null);
    }
  });
});

describe('public addresses', () => {
  test.each([...PUBLIC, ...PUBLIC.flatMap(wrapped), '2606:4700::1111', '2a00:1450::1'])('%s is allowed in both modes', (address) => {
    expect(toPrivate.refusal(address)).toBe(null);
    expect(toPublic.refusal(address)).toBe(null);
  });

  test.each(['192.0.2.1', '198.18.0.1', '203.0.113.1', '240.0.0.1', '2001:db8::1'])('%s is none, so EGRESS=public refuses it', (address) => {
    expect(toPublic.refusal(address)).not.toBe(null);
  });
});

describe('the lists', () => {
  test('go first, the one that denies before the one that allows', () => {
    const rules = egress({
      mode: 'public',
      allow: ['10.1.0.0/16', '169.254.10.0/24', '127.0.0.1', 'fd00::/8'],
      deny: ['10.1.2.0/24', '8.8.8.8', 'fd00:1::/32'],
    });
    for (const address of ['10.1.0.1', '169.254.10.20', '127.0.0.1', 'fd00::1', '1.1.1.1', '::ffff:10.1.0.1'])
      expect(rules.refusal(address), address).toBe(null);
    for (const address of ['10.1.2.3', '8.8.8.8', 'fd00:1::1', '::ffff:8.8.8.8', '64:ff9b::10.1.2.3'])
      expect(rules.refusal(address), address).toContain('EGRESS_DENY');
    for (const address of ['10.2.0.1', '127.0.0.2', '169.254.169.254']) expect(rules.refusal(address), address).not.toBe(null);
  });

  test('may name IPv6 ranges that hold IPv4 addresses, and what they deny is denied', () => {
    expect(egress({ deny: ['64:ff9b::/96'] }).refusal('64:ff9b::8.8.8.8')).not.toBe(null);
    expect(egress({ deny: ['2002::/16'] }).refusal('2002:808:808::1')).not.toBe(null);
    expect(egress({ deny: ['::/0'] }).refusal('64:ff9b::8.8.8.8')).not.toBe(null);
  });

  test('of one family say nothing of the other', () => {
    expect(egress({ deny: ['0.0.0.0/0'] }).refusal('2606:4700::1111')).toBe(null);
    expect(egress({ deny: ['2000::/3'] }).refusal('8.8.8.8')).toBe(null);
  });

  test('decide by the bits of the range alone', () => {
    const octet = fc.nat({ max: 255 });
    fc.assert(
      fc.property(fc.tuple(octet, octet, octet, octet), fc.tuple(octet, octet, octet, octet), fc.integer({ min: 0, max: 32 }), (a, b, bits) => {
        const inside = Math.floor(asNumber(a) / 2 ** (32 - bits)) === Math.floor(asNumber(b) / 2 ** (32 - bits));
        expect(
          egress({ deny: [`${a.join('.')}/${bits}`] })
            .refusal(b.join('.'))
            ?.includes('EGRESS_DENY') === true,
        ).toBe(inside);
        expect(egress({ mode: 'public', allow: [`${a.join('.')}/${bits}`] }).refusal(`::ffff:${b.join('.')}`) === null).toBe(
          inside || toPublic.refusal(b.join('.')) === null,
        );
      }),
    );
  });
});

describe('the host of a URL', () => {
  test.each([
    '169.254.169.254',
    '2852039166',
    '0xa9fea9fe',
    '0xA9.0xFE.0xA9.0xFE',
    '0251.0376.0251.0376',
    '169.16689662',
    '[::ffff:169.254.169.254]',
    '[::ffff:a9fe:a9fe]',
    '[64:ff9b::a9fe:a9fe]',
    '[fe80::1]',
    '169.254.169.254.',
    '0',
    '[::]',
  ])('%s is refused at once, however it is spelled', (host) => {
    expect(passes(toPrivate, host)).toBe(false);
  });

  test.each(['127.1', '2130706433', '0x7f.1', '017700000001', '[::1]', '10.1'])('%s is refused with EGRESS=public', (host) => {
    expect(passes(toPrivate, host)).toBe(true);
    expect(passes(toPublic, host)).toBe(false);
  });

  test('that is a name is checked when it is resolved, not before', () => {
    for (const host of ['example.org', 'localhost', '169.254.169.254.nip.io']) expect(passes(toPublic, host)).toBe(true);
  });
});

interface Resolved {
  readonly error: Error | null;
  readonly address: string | LookupAddress[];
  readonly family: number | undefined;
}

function resolve(rules: Egress, hostname: string, options: { all?: boolean } = {}): Promise<Resolved> {
  return new Promise((done) => {
    rules.lookup(hostname, options, (error, address, family) => done({ error, address, family }));
  });
}

describe('resolving', () => {
  test('gives one address with its family, or all of them, as the socket asks', async () => {
    expect(await resolve(toPrivate, '127.0.0.1')).toEqual({ error: null, address: '127.0.0.1', family: 4 });
    expect(await resolve(toPrivate, '::1')).toEqual({ error: null, address: '::1', family: 6 });
    expect(await resolve(toPrivate, '127.0.0.1', { all: true })).toEqual({ error: null, address: [{ address: '127.0.0.1', family: 4 }], family: undefined });
  });

  test('gives only addresses that are allowed, and an error where none is', async () => {
    const { address } = await resolve(egress({ deny: ['::/0'] }), 'localhost', { all: true });
    expect(address).toEqual([{ address: '127.0.0.1', family: 4 }]);
    for (const options of [{}, { all: true }]) {
      const { error } = await resolve(toPublic, 'localhost', options);
      expect(error).toBeInstanceOf(EgressError);
      expect(error?.message).toContain('localhost');
      expect((await resolve(toPrivate, '169.254.169.254', options)).error).toBeInstanceOf(EgressError);
    }
  });

  test('hands on the error of a name that there cannot be', async () => {
    const { error } = await resolve(toPrivate, 'a'.repeat(300));
    expect(error).toHaveProperty('syscall', 'getaddrinfo');
  });
});

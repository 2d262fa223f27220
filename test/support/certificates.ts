import { isIP } from 'node:net';
import { generate } from 'selfsigned';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface Authority extends Certificate {
  /** Signs one for these names and addresses; the first is its common name. */
  issue(names: readonly string[], valid?: { readonly until: Date }): Promise<Certificate>;
}

const common = { keyType: 'ec', algorithm: 'sha256' } as const;

/** Who signs certificates, and is trusted by nobody but those who are given its own. */
export async function createAuthority(name: string): Promise<Authority> {
  const made = await generate([{ name: 'commonName', value: name }], {
    ...common,
    extensions: [{ name: 'basicConstraints', cA: true, critical: true }, { name: 'keyUsage', keyCertSign: true, digitalSignature: true, critical: true }],
  });
  const authority: Certificate = { cert: made.cert, key: made.private };
  return {
    ...authority,
    async issue(names, { until } = { until: new Date(Date.now() + 86_400_000) }) {
      const issued = await generate([{ name: 'commonName', value: names[0] ?? '' }], {
        ...common,
        ca: authority,
        notBeforeDate: new Date(until.getTime() - 2 * 86_400_000),
        notAfterDate: until,
        extensions: [
          { name: 'basicConstraints', cA: false, critical: true },
          { name: 'keyUsage', digitalSignature: true, critical: true },
          { name: 'subjectAltName', altNames: names.map((one) => (isIP(one) === 0 ? { type: 2, value: one } : { type: 7, ip: one })) },
        ],
      });
      return { cert: issued.cert, key: issued.private };
    },
  };
}

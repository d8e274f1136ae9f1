import type { X509Certificate } from 'node:crypto';

/** How far a signer is to be believed. */
export type SignerTrust = 'trusted' | 'self-signed' | 'untrusted';

export interface CertificateChain {
  readonly trust: SignerTrust;
  /** From the signer to the last issuer that is known. */
  readonly certificates: readonly X509Certificate[];
}

const maxDepth = 10;

/**
 * Follows a signer's certificate from issuer to issuer, among those that came with it and those that are trusted. It is
 * trusted when it, or one on the way, is one of the latter.
 */
export function chainOf(
  signer: X509Certificate,
  given: readonly X509Certificate[],
  trusted: readonly X509Certificate[],
): CertificateChain {
  const anchors = new Set(trusted.map(({ fingerprint256 }) => fingerprint256));
  const candidates = [...trusted, ...given];
  const seen = new Set<string>();
  let longest: readonly X509Certificate[] = [];
  const follow = (path: readonly X509Certificate[]): readonly X509Certificate[] | undefined => {
    const last = path.at(-1)!;
    if (path.length > longest.length) longest = path;
    if (anchors.has(last.fingerprint256)) return path;
    if (seen.has(last.fingerprint256) || path.length >= maxDepth) return undefined;
    seen.add(last.fingerprint256);
    for (const issuer of candidates) {
      if (!issued(issuer, last)) continue;
      const found = follow([...path, issuer]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const path = follow([signer]);
  if (path !== undefined) return { trust: 'trusted', certificates: path };
  const alone = signer.subject === signer.issuer && signer.verify(signer.publicKey);
  return { trust: alone ? 'self-signed' : 'untrusted', certificates: alone ? [signer] : withoutTwins(longest) };
}

function issued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  if (issuer.fingerprint256 === certificate.fingerprint256 || !issuer.ca) return false;
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    return false;
  }
}

/** Each certificate once: a root that is its own issuer ends the chain. */
function withoutTwins(path: readonly X509Certificate[]): X509Certificate[] {
  return [...new Map(path.map((certificate) => [certificate.fingerprint256, certificate])).values()];
}

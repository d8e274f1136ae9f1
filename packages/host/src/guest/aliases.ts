import { X509Certificate } from 'node:crypto';
import { data, type GuestAliases, type GuestAuthAliasInfo, type GuestAuthSubject } from '@hypostyle/vim';
import { guestFaults } from './guest-faults.ts';

/** A certificate of which somebody in a guest takes the word about who asks, and for whom. */
export interface KeptAlias {
  /** DER in base64. */
  readonly certificate: string;
  /** Whoever shows it is the account, without naming it. */
  readonly mapped: boolean;
  /** Name of who is certified; undefined for whoever is. */
  readonly subject: string | undefined;
  readonly comment: string;
}

const most = 1_000;
const maxText = 4_096;

/** Reads what a guest keeps, less what is no alias. */
export function parseAliases(text: string): KeptAlias[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  return (Array.isArray(value) ? value.slice(0, most) : []).flatMap((entry: unknown) => {
    const { certificate, mapped, subject, comment } = (entry ?? {}) as Partial<Record<keyof KeptAlias, unknown>>;
    if (typeof certificate !== 'string' || typeof comment !== 'string' || typeof mapped !== 'boolean') return [];
    if (subject !== undefined && typeof subject !== 'string') return [];
    return [{ certificate, mapped, subject, comment }];
  });
}

/** DER in base64 of a certificate in that or in PEM. Throws InvalidArgument. */
export function certificateOf(text: string): string {
  try {
    const bytes = text.includes('-----') ? text : Buffer.from(text, 'base64');
    return new X509Certificate(bytes).raw.toString('base64');
  } catch {
    throw guestFaults.argument('base64Cert', 'This is no certificate in base64.');
  }
}

/** The aliases with one more; the same one replaces the former. Throws InvalidArgument. */
export function withAlias(
  aliases: readonly KeptAlias[],
  certificate: string,
  mapped: boolean,
  { subject, comment }: GuestAuthAliasInfo,
): KeptAlias[] {
  const name = subjectName(subject);
  if (comment.length > maxText || (name?.length ?? 0) > maxText)
    throw guestFaults.argument('aliasInfo', 'Names and comments have 4,096 characters at most.');
  const others = aliases.filter((each) => each.certificate !== certificate || each.subject !== name);
  if (others.length >= most) throw guestFaults.argument('aliasInfo', `An account has ${most} aliases at most.`);
  return [...others, { certificate, mapped, subject: name, comment }];
}

export function subjectName(subject: GuestAuthSubject): string | undefined {
  const { name } = subject as { readonly name?: string };
  return (subject as { _typeName?: string })._typeName === 'GuestAuthNamedSubject' ? name : undefined;
}

export function subjectOf({ subject }: KeptAlias): GuestAuthSubject {
  return subject === undefined ? data('GuestAuthAnySubject', {}) : data('GuestAuthNamedSubject', { name: subject });
}

/** By certificate, as the interface lists them. */
export function listed(aliases: readonly KeptAlias[]): GuestAliases[] {
  return [...Map.groupBy(aliases, ({ certificate }) => certificate)].map(([base64Cert, group]) =>
    data('GuestAliases', {
      base64Cert,
      aliases: group.map((alias) => data('GuestAuthAliasInfo', { subject: subjectOf(alias), comment: alias.comment })),
    }),
  );
}

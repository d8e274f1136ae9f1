import { fault } from '../../runtime/fault.ts';

/** What a new password has to be. */
export interface PasswordPolicy {
  /** Fewest characters. */
  readonly least?: number;
  /** Kinds of characters that it has at least: small and capital letters, digits, others. */
  readonly kinds?: number;
}

const most = 1_024;
const kinds = [/\p{Ll}/u, /\p{Lu}/u, /\p{Nd}/u, /[^\p{L}\p{Nd}]/u];

/** Throws InvalidArgument that says what is wrong with a password. */
export function checkPassword(
  password: string,
  { name, policy: { least = 7, kinds: wanted = 1 } }: { readonly name: string; readonly policy: PasswordPolicy },
): void {
  const wrong = (message: string) => fault('InvalidArgument', { invalidProperty: 'password' }, message);
  if (password.length < least || password.length > most) throw wrong(`A password has ${least} to ${most} characters.`);
  const found = kinds.filter((kind) => kind.test(password)).length;
  if (found < wanted) {
    throw wrong(`A password has characters of ${wanted} kinds: small and capital letters, digits, others.`);
  }
  if (password.toLowerCase() === name.toLowerCase()) throw wrong('A password is not the name of its user.');
}

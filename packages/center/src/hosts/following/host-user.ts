/** The account of centers on a host. */
export const centerUser = 'vpxuser';

/** Who did it, as a host names those for whom a center acts: `vpxuser:NAME`; empty for the center itself. */
export function plainUserName(userName: string): string {
  if (userName === centerUser) return '';
  return userName.startsWith(`${centerUser}:`) ? userName.slice(centerUser.length + 1) : userName;
}

/** The account that a center acts by: it has no password, and signs in by the certificate of the center's extension. */
export const centerUserName = 'vpxuser';

/** True for a user name as calls and tasks carry it, `vpxuser` or `vpxuser:VSPHERE.LOCAL\ann`. */
export function isCenter(userName: string): boolean {
  return userName === centerUserName || userName.startsWith(`${centerUserName}:`);
}

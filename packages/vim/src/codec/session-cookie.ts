const cookieName = 'vmware_soap_session';

/** Exactly this Set-Cookie, and no other: pyVmomi cannot tell several apart and sends the attributes back. */
export function sessionCookie(token: string): string {
  return `${cookieName}="${token}"; Path=/; HttpOnly; Secure`;
}

/** The session's token in a Cookie or Set-Cookie header, quoted or not. */
export function soapToken(cookies: string | undefined): string | undefined {
  if (cookies === undefined) return undefined;
  return /(?:^|;\s*)vmware_soap_session="?([^";,\s]+)/.exec(cookies)?.[1];
}

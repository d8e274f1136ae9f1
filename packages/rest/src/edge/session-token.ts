import type { HttpRequest } from '@hypostyle/vim';

/** Header and cookie by which clients of this interface name their session. */
export const sessionHeader = 'vmware-api-session-id';
const longestToken = 256;

/** The session's token: by header, by this interface's cookie, or by that of SOAP. */
export function sessionToken(request: HttpRequest): string | undefined {
  const header = single(request, sessionHeader);
  if (header !== undefined) return usable(header);
  const cookies = single(request, 'cookie');
  if (cookies === undefined || comesFromAnotherSite(request)) return undefined;
  return usable(cookieNamed(cookies, sessionHeader) ?? cookieNamed(cookies, 'vmware_soap_session'));
}

/** Name and password of a Basic sign-in (RFC 7617). */
export function basicCredentials(request: HttpRequest): { userName: string; password: string } | undefined {
  const encoded = /^basic +([A-Za-z0-9+/=_-]{1,8192})$/i.exec(single(request, 'authorization') ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { userName: text.slice(0, colon), password: text.slice(colon + 1) };
}

export function sessionCookie(token: string, path: string): string {
  return `${sessionHeader}=${token}; Path=${path}; HttpOnly; Secure; SameSite=Strict`;
}

/** A browser sends cookies along with what another site's page asks for; a header it does not. */
function comesFromAnotherSite(request: HttpRequest): boolean {
  const site = single(request, 'sec-fetch-site');
  if (site !== undefined) return site !== 'same-origin' && site !== 'none';
  const origin = single(request, 'origin');
  if (origin === undefined) return false;
  return !URL.canParse(origin) || new URL(origin).host !== single(request, 'host');
}

export function single(request: HttpRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : value?.[0];
}

function cookieNamed(cookies: string, name: string): string | undefined {
  for (const pair of cookies.split(';')) {
    const mark = pair.indexOf('=');
    if (mark < 0 || pair.slice(0, mark).trim() !== name) continue;
    return pair
      .slice(mark + 1)
      .trim()
      .replace(/^"(.*)"$/, '$1');
  }
  return undefined;
}

function usable(token: string | undefined): string | undefined {
  return token === undefined || token === '' || token.length > longestToken ? undefined : token;
}

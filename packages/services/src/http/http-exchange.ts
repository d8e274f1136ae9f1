/** A request as any HTTP library has it. */
export interface FileRequest {
  readonly method: string;
  /** Path and query as they were sent. */
  readonly url: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: AsyncIterable<Uint8Array>;
  /** Fires when the client goes away. */
  readonly signal: AbortSignal;
}

/** What to answer. `body` is read as fast as the client takes it; end its iteration when the client goes away. */
export interface FileResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: AsyncIterable<Uint8Array> | Buffer;
}

export function header(request: FileRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : value?.[0];
}

/** Content-Length of the request; undefined where there is none or it is no length. */
export function announcedLength(request: FileRequest): number | undefined {
  const text = header(request, 'content-length');
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** A short page, which is all that a browser or a person sees of a failure. */
export function plainResponse(status: number, message: string, headers: Record<string, string> = {}): FileResponse {
  const body = Buffer.from(`${message}\n`);
  return {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'content-length': String(body.length), ...headers },
    body,
  };
}

/** For whoever is not signed in: programs then send name and password. */
export function signInFirst(): FileResponse {
  return plainResponse(401, 'Sign in first.', { 'www-authenticate': 'Basic realm="Hypostyle"' });
}

/** The request's path, percent-decoded, and its query; undefined where it is not valid. */
export function splitUrl(url: string): { readonly path: string; readonly query: URLSearchParams } | undefined {
  const mark = url.indexOf('?');
  try {
    const path = decodeURIComponent(mark < 0 ? url : url.slice(0, mark));
    return { path, query: new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1)) };
  } catch {
    return undefined;
  }
}

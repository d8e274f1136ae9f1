import type { PackageSource } from '@hypostyle/ovf';
import { CliError } from '../errors.ts';

/** The body of what lies at an address, as it comes. Throws `not-found` and `failed`. */
export async function fetchBody(url: URL, signal: AbortSignal, headers: Record<string, string> = {}) {
  const response = await request(url, signal, { headers });
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    const kind = response.status === 404 ? 'not-found' : 'failed';
    throw new CliError(kind, `${url.origin}${url.pathname} answers ${response.status} ${response.statusText}.`);
  }
  return response.body as unknown as AsyncIterable<Uint8Array>;
}

/** A descriptor on a web server, with its files beside it. */
export function webFolderSource(descriptor: URL, signal: AbortSignal): PackageSource {
  const addressOf = (name: string) => {
    const url = new URL(name.split('/').map(encodeURIComponent).join('/'), descriptor);
    url.search = descriptor.search;
    return url;
  };
  return {
    descriptorName: decodeURIComponent(descriptor.pathname.slice(descriptor.pathname.lastIndexOf('/') + 1)),
    async size(name) {
      const response = await request(addressOf(name), signal, { method: 'HEAD' });
      if (response.status === 404 || response.status === 410) return undefined;
      if (!response.ok) throw new CliError('failed', `${addressOf(name)} answers ${response.status}.`);
      const length = response.headers.get('content-length');
      return length === null ? null : Number(length);
    },
    async *read(name, range = {}) {
      const { start = 0, length } = range;
      const whole = start === 0 && length === undefined;
      const last = length === undefined ? '' : String(start + length - 1);
      yield* await fetchBody(addressOf(name), signal, whole ? {} : { range: `bytes=${start}-${last}` });
    },
    close: async () => undefined,
  };
}

async function request(url: URL, signal: AbortSignal, init: RequestInit): Promise<Response> {
  try {
    // Content as it is stored: its digest is that of the manifest.
    const headers = { ...(init.headers as Record<string, string> | undefined), 'accept-encoding': 'identity' };
    return await fetch(url, { ...init, headers, signal });
  } catch (cause) {
    signal.throwIfAborted();
    const reason =
      cause instanceof Error ? (cause.cause instanceof Error ? cause.cause.message : cause.message) : cause;
    throw new CliError('failed', `${url.origin} cannot be reached: ${reason}.`, { cause });
  }
}

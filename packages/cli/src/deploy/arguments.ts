import { isIPv4 } from 'node:net';

/** `key=value`; the value may be empty or hold further signs. Undefined for anything else. */
export function parseProperty(text: string): { readonly key: string; readonly value: string } | undefined {
  const mark = text.indexOf('=');
  return mark < 1 ? undefined : { key: text.slice(0, mark), value: text.slice(mark + 1) };
}

/**
 * `8080:80`, `0.0.0.0:8080:80`, with `tcp:` or `udp:` before it, as a machine's configuration has it:
 * `tcp:127.0.0.1:8080:80`. Undefined for anything else.
 */
export function parseForward(text: string): string | undefined {
  const match = /^(?:(tcp|udp):)?(?:([\d.]+):)?(\d{1,5}):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, protocol = 'tcp', address = '127.0.0.1', host, guest] = match;
  const ports = [Number(host), Number(guest)];
  if (!isIPv4(address) || ports.some((port) => port < 1 || port > 65_535)) return undefined;
  return `${protocol}:${address}:${ports.join(':')}`;
}

/** `id=count`, of what scales out in a package. Undefined for anything else. */
export function parseScale(text: string): readonly [id: string, count: number] | undefined {
  const match = /^(.+)=(\d{1,6})$/.exec(text);
  return match?.[1] === undefined ? undefined : [match[1], Number(match[2])];
}

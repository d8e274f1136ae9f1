import { data, type GuestProcessInfo } from '@hypostyle/vim';

/** Most characters of a command line. */
const maxLine = 8_192;

/** Reads what `listProcesses` wrote, `separator` between its parts. Lines that are none of Linux's are left out. */
export function parseProcesses(text: string, separator: string): GuestProcessInfo[] {
  const [boot = '', ticks = '', accounts = '', owners = '', ...files] = text.split(`${separator}\n`);
  const bootTime = Number(/^btime (\d{1,12})$/m.exec(boot)?.[1] ?? 0);
  const perSecond = Number(/^\d{1,5}$/m.exec(ticks)?.[0] ?? 100) || 100;
  const names = new Map<string, string>();
  for (const line of accounts.split('\n')) {
    const [name, , id] = line.split(':');
    if (name && id && !names.has(id)) names.set(id, name);
  }
  const userOf = new Map<string, string>();
  for (const [, pid = '', uid = ''] of owners.matchAll(/^(\d{1,10})\/status:Uid:\s+(\d{1,10})/gm)) userOf.set(pid, uid);
  const stats = new Map<string, { readonly name: string; readonly startTime: string }>();
  const commands = new Map<string, string>();
  for (const [pid, kind, content] of sections(files.join(''))) {
    if (kind === 'stat') {
      // The name is in parentheses, and may have some itself.
      const close = content.lastIndexOf(')');
      const start = Number(content.slice(close + 2).split(' ')[19]);
      if (close < 0 || !Number.isFinite(start)) continue;
      const at = new Date((bootTime + start / perSecond) * 1000);
      if (Number.isNaN(at.getTime())) continue;
      stats.set(pid, { name: printable(content.slice(content.indexOf('(') + 1, close)), startTime: at.toISOString() });
    } else commands.set(pid, printable(content.replaceAll('\0', ' ')));
  }
  return [...stats].map(([pid, { name, startTime }]) => {
    const uid = userOf.get(pid) ?? '';
    return data('GuestProcessInfo', {
      name,
      pid: Number(pid),
      owner: names.get(uid) ?? uid,
      // Threads of the kernel have none.
      cmdLine: commands.get(pid) || name,
      startTime,
    });
  });
}

/** What `tail` wrote of several files, each after a line with its name. */
function* sections(text: string): Generator<readonly [pid: string, kind: string, content: string]> {
  const heading = /^==> (\d{1,10})\/(stat|cmdline) <==\n/gm;
  let last: readonly [string, string, number] | undefined;
  for (const match of text.matchAll(heading)) {
    if (last !== undefined) yield [last[0], last[1], text.slice(last[2], match.index)];
    last = [match[1] ?? '', match[2] ?? '', match.index + match[0].length];
  }
  if (last !== undefined) yield [last[0], last[1], text.slice(last[2])];
}

/** Text that an answer in XML can carry. */
function printable(text: string): string {
  return text
    .slice(0, maxLine)
    .replace(/[\0-\x1f\x7f]+/g, ' ')
    .trim();
}

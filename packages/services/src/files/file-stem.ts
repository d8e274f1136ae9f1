/** Bytes: `-000001-delta.qcow2.partial` and the like are put behind it. */
const longestStem = 200;

/** A machine's name as that of a file: with room for what is put behind it, since a file has 255 bytes at most. */
export function fileStem(name: string): string {
  const safe = name.replace(/[/\\:*?"<>|%\u0000-\u001f]/g, '_').replace(/^\.+/, '_');
  let kept = '';
  for (const character of safe.toWellFormed()) {
    if (Buffer.byteLength(kept + character) > longestStem) break;
    kept += character;
  }
  return kept;
}

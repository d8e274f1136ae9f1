import { HostError } from '../errors.ts';

/** Longest `.vmx` that is read, in bytes. */
export const maximumVmxBytes = 1 << 20;

type Line = { readonly text: string; readonly key?: string; readonly value?: string };

/**
 * A `.vmx` file: `key = "value"` lines, in their order, with everything kept that we do not know.
 *
 * Keys compare without case. A line that is not changed is written back byte by byte.
 */
export class VmxFile {
  #lines: Line[];
  readonly #index = new Map<string, number>();
  readonly #newline: string;

  private constructor(lines: Line[], newline: string) {
    this.#lines = lines;
    this.#newline = newline;
    this.#reindex();
  }

  static empty(): VmxFile {
    return new VmxFile([], '\n').set('.encoding', 'UTF-8').set('config.version', '8');
  }

  /** `name` is for messages. Throws `vmx-invalid` for what is no text or too large. */
  static parse(bytes: Uint8Array, name: string): VmxFile {
    if (bytes.length > maximumVmxBytes) {
      throw new HostError('vmx-invalid', `${name} has ${bytes.length} bytes; a .vmx has at most ${maximumVmxBytes}`);
    }
    if (bytes.includes(0)) throw new HostError('vmx-invalid', `${name} is no text file: it has a zero byte`);
    const text = decode(bytes);
    const newline = text.includes('\r\n') ? '\r\n' : '\n';
    const raw = text.split(/\r?\n/);
    if (raw.at(-1) === '') raw.pop();
    return new VmxFile(raw.map(parseLine), newline);
  }

  get(key: string): string | undefined {
    const at = this.#index.get(key.toLowerCase());
    return at === undefined ? undefined : this.#lines[at]?.value;
  }

  /** Sets the value, keeping the line's place; an equal value changes nothing. */
  set(key: string, value: string): this {
    const at = this.#index.get(key.toLowerCase());
    if (at === undefined) {
      this.#index.set(key.toLowerCase(), this.#lines.length);
      this.#lines.push({ text: `${key} = "${escapeValue(value)}"`, key, value });
    } else if (this.#lines[at]?.value !== value) {
      const name = this.#lines[at]?.key ?? key;
      this.#lines[at] = { text: `${name} = "${escapeValue(value)}"`, key: name, value };
    }
    return this;
  }

  delete(key: string): this {
    return this.deleteWhere((name) => name === key.toLowerCase());
  }

  /** Drops every key for which `test` is true; it sees the key in lower case. */
  deleteWhere(test: (key: string) => boolean): this {
    const kept = this.#lines.filter((line) => line.key === undefined || !test(line.key.toLowerCase()));
    if (kept.length !== this.#lines.length) {
      this.#lines = kept;
      this.#reindex();
    }
    return this;
  }

  /** Keys as written, in order, each once. */
  entries(): [key: string, value: string][] {
    return [...this.#index.values()].map((at) => {
      const line = this.#lines[at] as Line;
      return [line.key as string, line.value as string];
    });
  }

  clone(): VmxFile {
    return new VmxFile([...this.#lines], this.#newline);
  }

  toString(): string {
    return this.#lines.map((line) => line.text + this.#newline).join('');
  }

  #reindex(): void {
    this.#index.clear();
    // The last of a repeated key is the one that counts.
    for (const [at, line] of this.#lines.entries()) {
      if (line.key !== undefined) this.#index.set(line.key.toLowerCase(), at);
    }
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    // Old Windows products wrote their code page; what we do not know is kept, and Latin-1 keeps every byte.
    return new TextDecoder('latin1').decode(bytes);
  }
}

const assignment = /^\s*([.\w:-][^=\s"]*)\s*=\s*(?:"([^"]*)"|(\S.*?))\s*$/;

function parseLine(text: string): Line {
  if (/^\s*#/.test(text)) return { text };
  const match = assignment.exec(text);
  if (match === null) return { text };
  return { text, key: match[1] as string, value: ownText(unescapeValue(match[2] ?? match[3] ?? '')) };
}

/** The same text on its own: a part of a string keeps the whole in memory, and values live on in thousands of records. */
function ownText(text: string): string {
  return Buffer.from(text).toString();
}

/** `|22` is a quotation mark, `|7C` the bar itself, `|0A` a line feed. */
function unescapeValue(text: string): string {
  return text.replace(/\|([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function escapeValue(text: string): string {
  return text.replace(/[|"\u0000-\u001f]/g, (c) => `|${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}
